"""The rules a version must pass to go into production, each with its figure and its verdict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from creditrisk.data.contract import Json
from creditrisk.data.record_checks import InvalidRecords
from creditrisk.metrics import intervals, ranking
from creditrisk.metrics.calibration import CalibrationLine
from creditrisk.metrics.costs import expected_cost
from creditrisk.metrics.intervals import Interval
from creditrisk.scoring.loading import load_scorer
from creditrisk.scoring.scorer import ModelRefused, Scorer


@dataclass(frozen=True)
class Rule:
    """One rule, the figure it is judged by, and whether the version passes it."""

    rule: str  # completes "The model ..."
    figure: str
    passed: bool
    stops: bool = True  # False: a rule that is broken warns and does not stop

    @property
    def verdict(self) -> str:
        """Passed, warning or stop."""
        return "passed" if self.passed else "stop" if self.stops else "warning"


def better_than_chance(auc: Interval, held_out: Interval) -> list[Rule]:
    """The whole interval of the ROC-AUC lies above that of a coin, twice.

    Where nothing can be learned, one test set in forty looks as if something had been. The scores
    of applicants held out in training must show it too.
    """
    return [
        Rule("ranks better than chance", f"ROC-AUC {auc}", auc.low > 0.5),
        Rule("did so in training, on those held out", f"ROC-AUC {held_out}", held_out.low > 0.5),
    ]


def better_than_base_rate(gain: Interval) -> Rule:
    """Its Brier score is beyond doubt lower than that of giving everybody the base rate."""
    return Rule("predicts better than the base rate", f"Brier score lower by {gain}", gain.low > 0)


def not_too_good(auc: Interval, limit: float) -> Rule:
    """Its ROC-AUC is not of the kind that only a column known after the outcome explains."""
    leak = "" if auc.estimate < limit else "; look for a leaked column"
    rule = f"is not too good to be true (ROC-AUC under {limit:g})"
    return Rule(rule, f"ROC-AUC {auc}{leak}", auc.estimate < limit)


def calibrated(line: CalibrationLine, within: float) -> Rule:
    """Its calibration slope is not beyond doubt above a factor, or below one over it."""
    low, high = 1 / within, within
    rule = f"has a calibration slope not beyond doubt outside {low:.2f} to {high:.2f}"
    if line.slope is None:
        return Rule(rule, f"slope {line.why_not}", False)
    return Rule(rule, f"slope {line.slope}", line.slope.high >= low and line.slope.low <= high)


def same_data(registered: str, found: str) -> Rule:
    """The training files are those that the registered model learned from."""
    figure = f"sha256 {registered[:12]} registered, {found[:12]} found"
    return Rule("was trained on the data at hand", figure, registered == found)


def fair(lowest: pd.Series | str, floor: float, stops: bool) -> Rule:
    """No group is approved at less than a share of the best group's rate (the four-fifths rule).

    It is judged by the ratio itself and not by its interval, as the rule is: doubt does not excuse.

    Parameters
    ----------
    lowest
        The row of :func:`creditrisk.validation.fairness.impact_ratios` with the lowest ratio, or
        why no two groups can be compared; the rule then warns.
    """
    rule = f"approves every group at no less than {floor:g} of the best group's rate"
    if isinstance(lowest, str):
        return Rule(rule, f"not judged: {lowest}", False, stops=False)
    interval = Interval(lowest.ratio, lowest.low, lowest.high)
    doubt = "; its interval allows both" if interval.low < floor <= interval.high else ""
    figure = f"{lowest.name} against {lowest.against}: {interval}{doubt}"
    return Rule(rule, figure, lowest.ratio >= floor, stops)


def not_worse(lead: Interval, holder: int, allowed: float, note: str = "") -> Rule:
    """It does not rank beyond doubt worse than production by more than what is allowed."""
    rule = f"ranks not beyond doubt more than {allowed:g} worse than version {holder}"
    return Rule(rule, f"ROC-AUC gained {lead}{note}", lead.high >= -allowed)


def not_dearer(extra: Interval, holder: int, allowed: float) -> Rule:
    """Its decisions do not cost beyond doubt more than production's by more than is allowed."""
    rule = f"costs not beyond doubt more than {allowed:g} above version {holder}"
    return Rule(rule, f"cost per applicant added {extra}", extra.low <= allowed)


def against_production(
    holder: ModelVersion,
    challenger: Scorer,
    applicants: pd.DataFrame,
    y: np.ndarray,
    prices: tuple[float, float],
    *,
    trained_on: str,
    allowed_loss: float,
    allowed_cost: float,
    draws: int,
    seed: int,
) -> list[Rule]:
    """Challenger and production on the same applicants, so that both share the chance of the draw.

    Each decides at its own cut-off. If production cannot score these applicants, one
    rule warns of that.

    Parameters
    ----------
    y
        Shape (n,), 1 = good and 0 = bad.
    prices
        Cost of a bad approved and of a good declined.
    trained_on
        Hash of the challenger's training rows. If production learned from others, it may know
        some of these applicants, which the figure then mentions.
    """
    number = int(holder.version)
    try:
        other = load_scorer(f"models:/{holder.name}/{number}")
        theirs = other.probabilities(applicants)
    except ModelRefused as error:
        return [_not_compared(number, f"it cannot be loaded: {error}")]
    except InvalidRecords as error:
        first = error.problems[0]
        why = f"it was made for other applications: {first.field} {first.message}"
        return [_not_compared(number, why)]
    own = challenger.probabilities(applicants)

    def added(y: np.ndarray, approve: np.ndarray, other_approve: np.ndarray) -> float:
        costs = [
            expected_cost(y, each, np.array([0.5]), *prices)[0] for each in (approve, other_approve)
        ]
        return float(costs[0] - costs[1])

    decided = (own >= challenger.cutoff).astype(float), (theirs >= other.cutoff).astype(float)
    extra = intervals.bootstrap_interval(added, y, *decided, draws=draws, seed=seed)
    lead = ranking.auc_difference(y, own, theirs)
    note = ""
    if holder.tags.get("training_sha256") != trained_on:
        note = "; that version learned from other rows and may know some of these applicants"
    return [not_worse(lead, number, allowed_loss, note), not_dearer(extra, number, allowed_cost)]


def _not_compared(holder: int, why: str) -> Rule:
    return Rule(f"is compared with version {holder}", why, False, stops=False)


def passed(rules: Sequence[Rule]) -> bool:
    """Whether no rule stops the version."""
    return all(rule.passed or not rule.stops for rule in rules)


def outcome(rules: Sequence[Rule]) -> str:
    """Whether the version passes, and how many rules it breaks, as a short text."""
    verdicts = [rule.verdict for rule in rules]
    stops, warnings = verdicts.count("stop"), verdicts.count("warning")
    text = f"stopped by {stops} rule{'s' * (stops > 1)}" if stops else "passed"
    return text + (f", {warnings} warning{'s' * (warnings > 1)}" if warnings else "")


def verdict(rules: Sequence[Rule], version: int) -> str:
    """Whether the version passes, and why not, in a sentence or two."""
    stopped, warned = _broken(rules, "stop"), _broken(rules, "warning")
    warning = f" Warning: it {warned}." if warned else ""
    if not stopped:
        return f"Version {version} passed the gate.{warning}"
    return f"Version {version} did not pass the gate: it {stopped}.{warning}"


def _broken(rules: Sequence[Rule], verdict: str) -> str:
    broken = [f"“{rule.rule}”" for rule in rules if rule.verdict == verdict]
    return f"breaks the rule{'s' * (len(broken) > 1)} {' and '.join(broken)}" if broken else ""


def table(rules: Sequence[Rule]) -> pd.DataFrame:
    """One row a rule: the rule, its figure and its verdict."""
    rows = [(rule.rule, rule.figure, rule.verdict) for rule in rules]
    return pd.DataFrame(rows, columns=["rule: the model ...", "figure", "verdict"])


def record(rules: Sequence[Rule]) -> list[Json]:
    """The rules as JSON, for ``validation.json``."""
    return [asdict(rule) | {"passed": bool(rule.passed), "verdict": rule.verdict} for rule in rules]
