"""The rules that compare a challenger with the version in production."""

from functools import partial

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from creditrisk.data.applications.record_checks import InvalidRecords
from creditrisk.data.contract import Contract
from creditrisk.metrics import intervals, ranking
from creditrisk.metrics.costs import expected_cost
from creditrisk.metrics.intervals import Interval, weight_of
from creditrisk.scoring.scorer import ModelRefused, Scorer
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.validation.gate.rules import passes_or
from creditrisk.validation.gate.verdicts import Rule, Verdict

#: Fewer good, or fewer bad, applicants that are new to both models are not compared on: DeLong's
#: interval is normal by the central limit theorem, which wants some thirty of a kind.
FEWEST = 30

_FAIR_COMPARISON = (
    "A model shines on applicants it has learned from; only those new to both compare the two."
)


def not_worse(lead: Interval, holder: int, allowed: float, note: str = "") -> Rule:
    """It does not rank beyond doubt worse than production by more than what is allowed."""
    return Rule(
        f"ranks not beyond doubt more than {allowed:g} worse than version {holder}",
        f"ROC-AUC gained {lead}{note}",
        passes_or(lead.high >= -allowed),
        "A version that ranks worse than the one in production is a step back.",
    )


def not_dearer(extra: Interval, holder: int, allowed: float, note: str = "") -> Rule:
    """Its decisions do not cost beyond doubt more than production's by more than is allowed."""
    return Rule(
        f"costs not beyond doubt more than {allowed:g} above version {holder}",
        f"cost per applicant added {extra}{note}",
        passes_or(extra.low <= allowed),
        "Better ranking is of no use if the decisions at the new cut-off cost more.",
    )


def against_production(
    holder: ModelVersion | None,
    challenger: Scorer,
    applicants: pd.DataFrame,
    y: np.ndarray,
    prices: tuple[float, float],
    new: np.ndarray | str,
    *,
    allowed_loss: float,
    allowed_cost: float,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> list[Rule]:
    """Challenger and production on the same applicants, none of whom either has learned from.

    Each decides at its own cut-off. A version in production that was made for other applications is
    neither compared with nor replaced: one rule stops the challenger. If production cannot be
    loaded, one rule warns of that; if too few are new to both, one rule is not judged.

    Parameters
    ----------
    holder
        The version in production. If there is none, or if it is the challenger, no rule follows.
    y
        Shape (n,), 1 = good and 0 = bad.
    prices
        Cost of a bad approved and of a good declined.
    new
        Shape (n,), True for applicants that neither has learned from, or why that is not known.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.
    """
    if holder is None or int(holder.version) == challenger.version:
        return []
    number = int(holder.version)
    try:
        other = load_scorer(f"models:/{holder.name}/{number}")
    except ModelRefused as error:
        return [_not_compared(number, f"it cannot be loaded: {error}", Verdict.WARNING)]
    if differing := _differences(challenger.contract, other.contract):
        return [_of_other_contract(holder, challenger, differing)]
    try:
        theirs = other.probabilities(applicants)
    except InvalidRecords as error:
        first = error.problems[0]
        return [_of_other_contract(holder, challenger, f"{first.field} {first.message}")]
    if isinstance(new, str):
        return [_not_compared(number, f"cannot be compared: {new}", Verdict.NOT_JUDGED)]
    if too_few := _too_few(y[new]):
        return [_not_compared(number, f"cannot be compared: {too_few}", Verdict.NOT_JUDGED)]
    own, theirs, y = challenger.probabilities(applicants)[new], theirs[new], y[new]
    counted = weight_of(weight, new)
    added = partial(_added_cost, prices)
    decided = (own >= challenger.cutoff).astype(float), (theirs >= other.cutoff).astype(float)
    extra = intervals.bootstrap_interval(added, y, *decided, draws=draws, seed=seed, weight=counted)
    lead = ranking.auc_difference(y, own, theirs, weight=counted)
    note = f"; on {len(y):,} applicants new to both"
    return [
        not_worse(lead, number, allowed_loss, note),
        not_dearer(extra, number, allowed_cost, note),
    ]


def _added_cost(
    prices: tuple[float, float],
    y: np.ndarray,
    approve: np.ndarray,
    other_approve: np.ndarray,
    weight: np.ndarray | None = None,
) -> float:
    """What some decisions cost per applicant more than others; 1.0 is approved, 0.0 declined."""
    half = np.array([0.5])
    costs = [expected_cost(y, each, half, *prices, weight)[0] for each in (approve, other_approve)]
    return float(costs[0] - costs[1])


def _too_few(y: np.ndarray) -> str:
    """Why applicants are too few for a comparison; empty if there are enough."""
    bad = int((y == 0).sum())
    if min(bad, len(y) - bad) >= FEWEST:
        return ""
    return (
        f"only {len(y):,} applicants are new to both, {bad} of them bad; "
        f"{FEWEST} good and {FEWEST} bad are needed"
    )


def _differences(ours: Contract, theirs: Contract) -> str:
    """In what two contracts' applications differ, in a few words; empty if in nothing."""
    mine, other = ours.signature, theirs.signature
    if mine["target"] != other["target"]:
        return f"it predicts {other['target']} and not {mine['target']}"
    columns, others = mine["columns"], other["columns"]
    parts = {
        "it has": [name for name in others if name not in columns],
        "it lacks": [name for name in columns if name not in others],
        "it has as another type": [
            name for name in columns if others.get(name, columns[name]) != columns[name]
        ],
    }
    return "; ".join(f"{what} {', '.join(names)}" for what, names in parts.items() if names)


def _of_other_contract(holder: ModelVersion, challenger: Scorer, differing: str) -> Rule:
    """The rule that stops a challenger which answers another question than production."""
    return Rule(
        f"is made for the same applications as version {holder.version}",
        f"version {holder.version} in production was made for others: {differing}. Give the data "
        "set a modelName of its own, or, if its model is to be replaced, creditrisk promote "
        f"{challenger.version} --approve NAME --reason TEXT",
        Verdict.STOP,
        "Who asks the model in production sends its applications; a model of another contract "
        "cannot answer them.",
    )


def _not_compared(holder: int, why: str, verdict: Verdict) -> Rule:
    return Rule(f"is compared with version {holder}", why, verdict, _FAIR_COMPARISON)
