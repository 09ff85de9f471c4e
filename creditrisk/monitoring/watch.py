"""A decision log judged against the sample that the model was trained and validated on."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.metrics.stability import score_title
from creditrisk.monitoring.alarms.challenger import Comparison, compare
from creditrisk.monitoring.alarms.drift import drift_table, reference_of
from creditrisk.monitoring.alarms.relation import OUTCOME_WINDOWS, held_out, relation_table
from creditrisk.monitoring.alarms.sequential import FEWEST, WINDOWS, YEAR, Floats, judged, shares
from creditrisk.monitoring.months import Timeline
from creditrisk.monitoring.records import inputs

#: The part of a year's false alarms that a challenger in the shadow may use up.
CHALLENGER_SHARE = 0.2


class Model(Protocol):
    """What gives an applicant a probability of good."""

    @property
    def contract(self) -> Contract: ...  # of the columns that it uses
    def probabilities(self, frame: pd.DataFrame) -> np.ndarray: ...


@dataclass(frozen=True)
class Baseline:
    """What months are compared with: the training sample and its held-out scores."""

    applications: pd.DataFrame  # raw
    y: Floats  # outcomes, 1 good and 0 bad
    score: Floats  # probabilities of good by models that had not learned from the row
    cutoff: float  # from which probability on the model approves
    contract: Contract
    #: Applicants that drift is compared with instead of the training sample, with their scores.
    first_months: tuple[pd.DataFrame, Floats] | None = None


@dataclass(frozen=True)
class Watch:
    """All statistics of a log, with limits that a quiet year passes with probability alpha."""

    months: Timeline
    alpha: float
    columns: tuple[str, ...]  # titles of all that is watched for drift
    degrees: tuple[float, ...]  # bins of each, less one
    drift: pd.DataFrame  # from drift.drift_table; month by name, column by title
    relation: pd.DataFrame  # from relation.relation_table; month by name
    comparison: Comparison | None  # with the challenger, if there is one
    challenger_alpha: float  # the part of alpha for "the challenger is better"
    score_title: str = "Score"  # of the probability of good among the columns

    @property
    def this_year(self) -> tuple[str, ...]:
        """The months whose alarms count: those since the last multiple of twelve."""
        start = (len(self.months.names) - 1) // YEAR * YEAR
        return self.months.names[start:]


def recorded(decisions: pd.DataFrame, contract: Contract) -> Contract:
    """The contract of the columns that every decision has on record; the others cannot be judged.

    A column that no model uses is not recorded, and an older version may have used others.
    """
    found = inputs(decisions, contract.fields)
    missing = [
        field.name
        for field in contract.fields
        if found[field.name].isna().all() or (field.required and found[field.name].isna().any())
    ]
    return contract if decisions.empty else contract.without(missing)


def prepared(decisions: pd.DataFrame, model: Model, version: str) -> pd.DataFrame:
    """A log's decisions with the score of the model that is judged, whichever version decided.

    What this version has decided itself keeps the probability on record, and so does what lacks a
    column that this version needs.

    Parameters
    ----------
    decisions
        ``frame`` of :class:`creditrisk.monitoring.records.Decisions`.
    version
        The model's, as the log has it.

    Returns
    -------
    DataFrame
        With score, and known_since: when the outcome came, or if no date came with it the last
        time of the log; NaT if it is unknown.
    """
    applications = inputs(decisions, model.contract.fields)
    needed = [field.name for field in model.contract.fields if field.required]
    last = max(decisions.time.max(), decisions.outcome_time.max())
    since = decisions.outcome_time.where(decisions.outcome_time.notna(), last)
    score = decisions.probability.to_numpy(dtype=float).copy()
    others = (decisions.model_version != version) & applications[needed].notna().all(axis=1)
    if others.any():
        score[others] = model.probabilities(applications[others])
    return decisions.assign(score=score, known_since=since.where(decisions.outcome.notna()))


def known_until(decisions: pd.DataFrame, months: Timeline) -> pd.DataFrame:
    """The decisions of these months, with the outcomes that were known at their end."""
    inside = decisions[months.of(decisions.time) >= 0]
    known = months.of(inside.known_since) >= 0
    return inside.assign(
        outcome=inside.outcome.where(known), known_since=inside.known_since.where(known)
    )


def first_months(
    decisions: pd.DataFrame, months: Timeline, number: int
) -> tuple[pd.DataFrame, Floats] | None:
    """The applicants of the first months with their scores, whatever was decided; None for 0.

    A training sample with the matured outcomes of approved applicants leans towards these, and
    those who apply differ from it from the start. Months that are part of what they are compared
    with alarm less often than others.
    """
    month = months.of(decisions.time)
    inside = decisions[(month >= 0) & (month < number)]
    return (inside, inside.score.to_numpy()) if len(inside) else None


def watch(
    decisions: pd.DataFrame,
    baseline: Baseline,
    months: Timeline,
    alpha: float,
    *,
    draws: int,
    seed: int,
    shadow_cutoff: float | None = None,
) -> Watch:
    """Judge every month of a log.

    Parameters
    ----------
    decisions
        From :func:`known_until`.
    alpha
        Probability of an alarm in a year in which nothing changes.
    draws
        Simulated quiet logs by which limits are found.
    shadow_cutoff
        From which probability on the challenger approves; None if there is none.
    """
    applicants, score = baseline.applications, baseline.score
    if baseline.first_months:
        first, score = baseline.first_months
        applicants = inputs(first, baseline.contract.fields)
    reference = reference_of(applicants, score, baseline.contract)
    month = months.of(decisions.time)
    arrived = inputs(decisions, baseline.contract.fields)
    placed = reference.placed(arrived, decisions.score.to_numpy())
    sizes = months.counts(month)

    validated = held_out(baseline.y, baseline.score, baseline.cutoff)
    mature = decisions[decisions.outcome.notna() & (decisions.score >= baseline.cutoff)]
    came = months.of(mature.known_since)
    products = validated.products(mature.outcome.to_numpy(), mature.score.to_numpy())
    outcomes = months.counts(came)

    comparison = None
    if shadow_cutoff is not None and decisions.shadow_probability.notna().any():
        comparison = compare(decisions, baseline.cutoff, shadow_cutoff)
    for_challenger = alpha * CHALLENGER_SHARE if comparison else 0.0
    enough = len(validated.features) >= FEWEST
    can_judge = [judged(sizes, WINDOWS), enough & judged(outcomes, OUTCOME_WINDOWS)]
    spend = shares(np.array(can_judge), alpha - for_challenger)

    drift = drift_table(
        reference, months.sums(placed, month), sizes, spend[0], draws=draws, seed=[seed, 0]
    )
    titles = tuple(bins.title for bins in reference.bins)
    drift["column"] = [titles[number] for number in drift.column]
    relation = relation_table(
        validated, months.sums(products, came), outcomes, spend[1], draws=draws, seed=[seed, 1]
    )
    for table in (drift, relation):
        table["month"] = [months.names[number] for number in table.month]
    return Watch(
        months,
        alpha,
        titles,
        tuple(reference.degrees.tolist()),
        drift,
        relation,
        comparison,
        for_challenger,
        score_title(baseline.contract),
    )
