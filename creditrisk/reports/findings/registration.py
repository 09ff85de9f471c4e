"""What training and registration found: figures in, one sentence or list out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Level
from creditrisk.data.missing_values import MISSING
from creditrisk.modelling.refit_stability import RefitStability


def champion(won: Mapping[str, Any]) -> str:
    """Who won the comparison and how it decides; ``won`` is the content of ``champion.json``."""
    text = (
        f"**{won['model']}**: {won['reason']}\n\nIt approves from a probability of "
        f"{won['cutoff']:.2f} on, the cheapest cut-off if a bad loan costs "
        f"{won['cost_bad_accepted']:g} and a good applicant turned away "
        f"{won['cost_good_rejected']:g}."
    )
    if won["search_trials"]:
        trials = won["search_trials"]
        text += f" Its settings are those that a search of {trials} chose on the training set."
    return text


def training(
    rows: int, seconds: float, reference: Mapping[str, Level | None] | None, contract: Contract
) -> str:
    """How long training took, and what is usual among good applicants who are approved."""
    usual = "nobody is approved, so the model cannot give reasons"
    if reference:
        stated = {name: contract[name].stated(value) for name, value in reference.items()}
        read = {name: contract[name].read(value) for name, value in stated.items()}
        usual = ", ".join(
            f"{name} {MISSING if stated[name] is None else text}" for name, text in read.items()
        )
    return (
        f"Trained on {rows:,} applicants in {seconds:.1f} s. Usual among good ones approved: "
        f"{usual}."
    )


def refits(steady: RefitStability | None) -> str:
    """How far decisions depend on who was in the training set; None if that was not tried."""
    if steady is None:
        return "Too few refits to say how far decisions depend on the training set."
    return (
        f"In {steady.refits} refits on resampled training sets, an applicant's decision differs "
        f"from that of the majority {steady.turned:.1%} of the time; {steady.unsteady:.1%} of "
        f"{steady.judged:,} applicants are decided otherwise by a fifth of the refits or more. "
        f"The 5th to 95th percentiles of an applicant's probabilities span {steady.spread:.3f} at "
        "the median."
    )


def description(won: Mapping[str, Any], y: pd.Series, chain_run: str, sha256: str) -> str:
    """The version for whoever reviews it in MLflow and has not read the reports."""
    return (
        f"**{won['model']}**, {won['reason']}\n\n"
        f"- cross-validated ROC-AUC {won['roc_auc']:.3f} ({won['roc_auc_low']:.3f} to "
        f"{won['roc_auc_high']:.3f})\n"
        f"- approves from P(good) = {won['cutoff']:.2f} on, cost "
        f"{won['cost_per_applicant']:.2f} per applicant\n"
        f"- trained on {len(y):,} applicants, {int((y == 0).sum()):,} of them bad\n"
        f"- chain run {chain_run}; model sha256 {sha256[:12]}"
    )


def agreement(largest: float) -> str:
    """How closely two models agree; ``largest`` is the largest difference of a probability."""
    return f"to {largest:.0e}" if largest else "to the last digit"


def summary(
    champion: str,
    contract: Contract,
    left_out: Sequence[str],
    agree: str,
    version: str,
    alias: str,
) -> str:
    """What was registered, one line a promise; ``left_out`` are columns that no model uses."""
    columns = len(contract.fields)
    without = f"; it does not look at {' and '.join(left_out)}" if left_out else ""
    return (
        f"- **{champion}** takes the {columns} columns of a raw application and decides from "
        f"{columns - len(left_out)} of them{without}. Nothing has to be encoded by hand.\n"
        f"- **File, registry and memory agree** {agree}.\n"
        f"- **Version {version}** waits as `{alias}`. `mlflow ui` in the project's folder shows "
        "it, the runs of the comparison and these reports."
    )
