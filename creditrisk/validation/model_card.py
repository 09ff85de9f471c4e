"""The model card: one page on the purpose, performance and limits of a registered model."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from markdown_it import MarkdownIt

from creditrisk.data.contract import Contract, Json
from page_style.style import house_style

_INTERVAL = re.compile(r"(?<=[>(])([-+\d.%]+) to ([-+\d.%]+)(?=[<)])")
_STYLE = """th,td,:is(th,td)+:is(th,td){padding-left:0;padding-right:1rem}
@media screen and (max-width:700px){td{min-width:6rem}}
@media print{th,td,:is(th,td)+:is(th,td){padding:.2rem .3rem .2rem 0;font-size:7pt}}"""

#: Whoever keeps the card in the folder of a run makes a link of it; alone it is not shown.
_WAY_BACK = (
    '<nav class="neighbours way-back" aria-label="Pages">'
    '<a data-of-run="../../index.html">All runs</a></nav>'
)

_NO_PURPOSE = "What it may be used for is not stated: `purpose` in datapackage.json says it."

#: How the card begins, by the result of the gate.
_RESULTS = {
    "passed": "It passed the gate",
    "approved": "A named person approved it where the gate left it open",
    "waits for approval": "It waits for a named person's approval",
    "stopped": "It did not pass the gate",
}


def write_card(
    contract: Contract, registration: Json, validation: Json, owner: str = "", review_by: str = ""
) -> str:
    """The card of a registered version, from the figures of its run.

    Parameters
    ----------
    registration, validation
        As in ``experiments/registration.json`` and ``experiments/validation.json``.
    owner
        Who answers for the model and how to reach them.
    review_by
        When it is to be reviewed.

    Returns
    -------
    str
        Markdown.

    Raises
    ------
    KeyError
        If a figure is missing.
    """
    test = validation["test"]
    left_out = ", ".join(registration["exclude"]) or "none"
    review = review_by or "*to be filled in: `run_all.py --set review_by=DATE`*"
    answers = owner or '*to be filled in: `run_all.py --set owner="Name, address"`*'
    return f"""# {registration["model"]} version {registration["version"]}

{registration["champion"]}, trained on {registration["training_rows"]:,} loan applications.
{_RESULTS[validation["result"]]}{_warned(validation["rules"])}; the registry says what is in
production.

Answers for it: {answers}

To be reviewed by: {review}

## Purpose

Ranks loan applicants by the probability of being a good risk and suggests approval from
{registration["cutoff"]:.2f} on.

{contract.purpose or _NO_PURPOSE}

## Data

{contract.title}. {contract.source} {contract.licence}.
{_population(contract)}Training rows: sha256 `{registration["training_sha256"]}`.
Columns left out of the features: {left_out}.

{_caveats(contract)}

## Performance on {test["rows"]:,} applicants who took no part in training

{_performance(test)}

Cross-validated ROC-AUC on the training set: {registration["roc_auc"]:.3f}
({registration["roc_auc_low"]:.3f} to {registration["roc_auc_high"]:.3f}). Costs:
{registration["cost_bad_accepted"]:g} for a bad loan approved,
{registration["cost_good_rejected"]:g} for a good applicant declined.

## Groups

{_groups(validation)}

{_protected(contract)}
## Gate

{_gate(validation["rules"])}

{validation["verdict"]}

## Risks

{_risks(validation["risks"])}

## Limits

{test["rows"]:,} applicants, {test["bad"]:,} of them bad, judge it; intervals say how
well.{_weights(test)} They had no part in any fit, in the choice of the model or in its
cut-off, and were used to validate
{_times(validation["looks"])}. The recipe as such was developed on the file that comes with the
project, so its figures there are flattered by an unknown amount. Where another share of applicants
is bad, probabilities have to be corrected before they are used as such.

{_listed(validation["limitations"])}
"""


def as_html(card: str) -> str:
    """The card as an HTML page; markup in the data is shown as text."""
    title = card.partition("\n")[0].removeprefix("# ")
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(card)
    # a wide table scrolls inside itself, by keyboard too
    frame = '<div class="table" role="region" aria-label="Table" tabindex="0"><table>'
    text = text.replace("<table>", frame).replace("</table>", "</table></div>")
    text = _INTERVAL.sub("\\1\u00a0to\u00a0\\2", text)  # an interval stays on one line
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{house_style()}{_STYLE}</style></head>\n"
        f'<body><div class="layout">{_WAY_BACK}<main class="prose">\n{text}</main></div>'
        "</body></html>\n"
    )


def _warned(rules: list[Json]) -> str:
    warnings = sum(rule["verdict"] == "warning" for rule in rules)
    return f" with {warnings} warning{'s' * (warnings > 1)}" if warnings else ""


def _risks(risks: list[Json]) -> str:
    ordered = sorted(risks, key=lambda risk: -risk["weight"])
    return _listed(risk["text"] for risk in ordered) or "The checks of the validation found none."


def _weights(test: Json) -> str:
    """What weighted applicants stand for and are worth, as a sentence; empty without weights."""
    if "effective_rows" not in test:
        return ""
    return (
        f" By their weights, which all figures count, they stand for {test['applications']:,.0f} "
        f"applications and are worth {test['effective_rows']:,.0f} of equal weight."
    )


def _times(looks: Json) -> str:
    times, models = looks["looks"], looks["models"]
    many = "once" if times == 1 else f"{times} times"
    return many + (f", for {models} models" if models > 1 else "")


def _listed(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _population(contract: Contract) -> str:
    """Whose applications they are and from when, as far as the contract says so."""
    stated = {"Population": contract.population, "Period": contract.period}
    return "".join(f"{name}: {text.rstrip('.')}.\n" for name, text in stated.items() if text)


def _caveats(contract: Contract) -> str:
    return (
        "\n".join(f"- {caveat}" for caveat in contract.caveats)
        or "No error of the source is known."
    )


def _performance(test: Json) -> str:
    gini = f"{2 * test['roc_auc_low'] - 1:.3f} to {2 * test['roc_auc_high'] - 1:.3f}"
    slope = test["calibration_slope"]
    slopes = (
        ("not defined", "not defined")
        if slope is None
        else (f"{slope:.3f}", _ends(test, "calibration_slope"))
    )
    rows = [
        (
            "ROC-AUC",
            f"{test['roc_auc']:.3f}",
            f"{test['roc_auc_low']:.3f} to {test['roc_auc_high']:.3f}",
        ),
        ("Gini", f"{test['gini']:.3f}", gini),
        ("KS", f"{test['ks']:.3f}", _ends(test, "ks")),
        ("Brier score", f"{test['brier']:.3f}", _ends(test, "brier")),
        ("calibration slope", *slopes),
        (
            "cost per applicant at the cut-off",
            f"{test['cost']:.3f}",
            _ends(test, "cost"),
        ),
        ("approved at the cut-off", f"{test['approved']:.0%}", _ends(test, "approved", "{:.0%}")),
        ("bad among the approved", *_bad(test)),
    ]
    return _table(("measure", "value", "95% interval"), rows)


def _ends(figures: Json, name: str, form: str = "{:.3f}") -> str:
    return f"{form.format(figures[f'{name}_low'])} to {form.format(figures[f'{name}_high'])}"


def _bad(test: Json) -> tuple[str, str]:
    if test["bad_among_approved"] is None:
        return "nobody is approved", "not defined"
    return f"{test['bad_among_approved']:.0%}", _ends(test, "bad_among_approved", "{:.0%}")


def _protected(contract: Contract) -> str:
    lines = [f"- {field.title}: {field.description}" for field in contract.protected]
    lines = [line.removesuffix(": ") for line in lines]  # nothing more need be said of a column
    return "\n".join(
        [*lines, "- A column that was left out of the features is audited all the same."]
    )


def _groups(validation: Json) -> str:
    rows = [
        (
            group["grouping"],
            group["group"],
            str(group["applicants"]),
            str(group["bad"]),
            _share(group, "approved"),
            _share(group, "tpr"),
            _share(group, "fpr"),
            _share(group, "roc_auc", "{:.2f}") if group["roc_auc"] is not None else group["note"],
            f"{group['predicted']:.0%}",
            _share(group, "observed"),
        )
        for group in validation["groups"]
    ]
    names = (
        "by",
        "group",
        "applicants",
        "bad",
        "approved",
        "good approved",
        "bad approved",
        "ROC-AUC",
        "predicted good",
        "observed good",
    )
    of_whom = {"impact_ratios": "approval ratio", "opportunity_ratios": "approval ratio of good"}
    ratios = "\n".join(
        f"- {ratio['index']} against {ratio['against']}: {kind} {ratio['ratio']:.2f} "
        f"({ratio['low']:.2f} to {ratio['high']:.2f})"
        for table, kind in of_whom.items()
        for ratio in validation[table]
    )
    return (
        f"{_table(names, rows)}\n\n{ratios}" if rows else "The contract names no protected column."
    )


def _share(group: Json, name: str, form: str = "{:.0%}") -> str:
    if group[name] is None or group[f"{name}_low"] is None:
        return "too few"
    return f"{form.format(group[name])} ({_ends(group, name, form)})"


def _gate(rules: list[Json]) -> str:
    rows = [(rule["rule"], rule["figure"], rule["verdict"], rule["why"]) for rule in rules]
    return _table(("the model ...", "figure", "verdict", "why it is asked"), rows)


def _table(names: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: object) -> str:
    """A level may hold anything: a bar or a line break would end the cell."""
    return " ".join(str(text).split()).replace("|", "\\|")
