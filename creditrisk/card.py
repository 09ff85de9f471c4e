"""The model card: one page on what a registered model is for, how good it is, and where it ends."""

from creditrisk.contract import Contract


def model_card(contract: Contract, registration: dict, validation: dict) -> str:
    """Write the card of a registered version from the figures of its own run.

    Parameters
    ----------
    registration, validation
        As in ``experiments/registration.json`` and ``experiments/validation.json``.

    Returns
    -------
    str
        Markdown. A figure that is missing raises KeyError: no card with a gap.
    """
    test = validation["test"]
    verdict = "In production" if validation["promoted"] else "Not in production"
    gate = "\n".join(
        f"- {'passed' if rule['passed'] else 'failed'}: the model {rule['rule']}; {rule['figure']}"
        for rule in validation["rules"]
    )
    gini = f"{2 * test['roc_auc_low'] - 1:.3f} to {2 * test['roc_auc_high'] - 1:.3f}"
    return f"""# {registration["model"]} version {registration["version"]}

{registration["champion"]}, trained on {registration["training_rows"]} loan applications. {verdict}.

## Purpose

Ranks loan applicants by the probability of being a good risk and suggests approval from
{registration["cutoff"]:.2f} on. Made to show a model's whole life on public data; not fit to decide
about people.

## Data

{contract.title}. {contract.source} {contract.licence}.
Training rows: sha256 `{registration["training_sha256"]}`.

Known errors of the source (Grömping 2019): levels of checking account, savings and housing are
mislabelled, so that "missing" is the top category; sex cannot be recovered from the source's code;
the amount is an undisclosed monotone transform; bad loans are oversampled, so probabilities are too
dark for real use; rejected applicants were never observed.

## Performance on {test["rows"]} applicants who took no part in training

| measure | value | 95 % interval |
|---|---|---|
| ROC-AUC | {test["roc_auc"]:.3f} | {test["roc_auc_low"]:.3f} to {test["roc_auc_high"]:.3f} |
| Gini | {test["gini"]:.3f} | {gini} |
| KS | {test["ks"]:.3f} | |
| Brier score | {test["brier"]:.3f} | |
| cost per applicant at the cut-off | {test["cost"]:.2f} | {test["cost_low"]:.2f} to {test["cost_high"]:.2f} |
| approved at the cut-off | {test["approved"]:.0%} | |
| bad among the approved | {test["bad_among_approved"]:.0%} | |

## Gate

{gate}

## Limits

{test["rows"]} applicants, {test["bad"]} of them bad, tell good models from useless ones, not good ones
from each other. Nothing here was checked on loans of another bank, country or decade.
"""
