"""Performance by vintage: what has come of a month's decisions, and what was to be expected.

A vintage is the decisions of one month, wherever their outcomes fall. Outcomes are mostly known of
the approved, and of the youngest vintages of hardly any; bounds say what the unknown ones could do.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from creditrisk.metrics.calibration import calibration_line
from creditrisk.metrics.costs import expected_cost
from creditrisk.metrics.intervals import share_interval
from creditrisk.metrics.ranking import FEW, auc_interval, implied_auc
from creditrisk.monitoring.alarms.sequential import Floats
from creditrisk.monitoring.months import Timeline


@dataclass(frozen=True)
class Calibrated:
    """The recalibration of a score on held-out outcomes, and how sure its level is."""

    intercept: float
    slope: float
    error: float  # standard error of the mean outcome that it expects

    def probability(self, score: Floats) -> Floats:
        """The recalibrated probability of good."""
        odds = logit(np.clip(score, 1e-6, 1 - 1e-6))
        calibrated: Floats = expit(self.intercept + self.slope * odds)
        return calibrated


def calibrated_on(y: Floats, score: Floats) -> Calibrated:
    """The recalibration on held-out scores; none where it is not defined."""
    line = calibration_line(y, score)
    spread = float(np.std(np.asarray(y) - score) / np.sqrt(len(y)))
    if line.slope is None or line.intercept is None:
        return Calibrated(0.0, 1.0, spread)
    return Calibrated(line.intercept.estimate, line.slope.estimate, spread)


def by_vintage(
    decisions: pd.DataFrame,
    months: Timeline,
    calibrated: Calibrated,
    cutoff: float,
    bad_accepted: float,
    good_rejected: float,
) -> pd.DataFrame:
    """What each month's approved applicants have come to, beside what was to be expected of them.

    Parameters
    ----------
    decisions
        Columns time, score (probability of good), approved and outcome (1, 0, NaN unknown).
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant.

    Returns
    -------
    DataFrame
        Indexed by month: approved; known (share with an outcome); bad_rate among the known with
        Wilson bounds low and high; expected (bad rate among the same, before it was known) with
        expected_low and expected_high, between which it falls in about 95% of months if the
        relation holds; at_best and at_worst (bad rate if all unknown are good, or bad); roc_auc
        with DeLong bounds, and expected_auc; expected_cost per applicant, declined ones included,
        and cost where the outcomes of all are known.

    Notes
    -----
    Expected figures are those of confidence-based estimation: sums over the recalibrated
    probabilities (Białek and others 2024, "Estimating Model Performance Under Covariate Shift
    Without Labels"; for the ROC-AUC see :func:`~creditrisk.metrics.ranking.implied_auc`). They hold
    as long as the relation of score and outcome does. The bounds are those of Manski (1989),
    Journal of Human Resources 24.
    """
    month, rows = months.of(decisions.time), {}
    probability = calibrated.probability(decisions.score.to_numpy(dtype=float))
    prices = bad_accepted, good_rejected
    for number, name in enumerate(months.names):
        here = decisions[month == number]
        if here.empty:
            continue
        p, approved = probability[month == number], here.score.to_numpy() >= cutoff
        paid = np.where(approved, bad_accepted * (1 - p), good_rejected * p)
        row = _approved(here[approved], p[approved], calibrated.error)
        row["expected_cost"] = float(paid.mean())
        if here.outcome.notna().all():
            y, score = here.outcome.to_numpy(), here.score.to_numpy()
            row["cost"] = float(expected_cost(y, score, np.array([cutoff]), *prices)[0])
        rows[name] = row
    names = ["approved", "known", "bad_rate", "low", "high", "expected", "expected_low"]
    names += ["expected_high", "at_best", "at_worst", "roc_auc", "auc_low", "auc_high"]
    names += ["expected_auc", "expected_cost", "cost"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("month")


def _approved(approved: pd.DataFrame, p: Floats, error: float) -> dict[str, float]:
    """One vintage of approved applicants; figures that nothing is known of are left out."""
    n, is_known = len(approved), approved.outcome.notna().to_numpy()
    row: dict[str, float] = {"approved": n, "known": float(is_known.mean()) if n else 0.0}
    if not n:
        return row
    y, score = approved.outcome.to_numpy()[is_known], approved.score.to_numpy()[is_known]
    bad, unknown = int((y == 0).sum()), n - len(y)
    row |= {"at_best": bad / n, "at_worst": (bad + unknown) / n, "expected_auc": implied_auc(p)}
    expected = p[is_known] if len(y) else p
    mean = float(1 - expected.mean())
    spread = np.sqrt((expected * (1 - expected)).sum() / len(expected) ** 2 + error**2)
    row |= {"expected": mean}
    row |= {"expected_low": max(0.0, mean - 1.96 * spread)}
    row |= {"expected_high": min(1.0, mean + 1.96 * spread)}
    if len(y):
        rate = share_interval(bad, len(y))
        row |= {"bad_rate": rate.estimate, "low": rate.low, "high": rate.high}
    if min(bad, len(y) - bad) >= FEW:
        auc = auc_interval(y, score)
        row |= {"roc_auc": auc.estimate, "auc_low": auc.low, "auc_high": auc.high}
        row["expected_auc"] = implied_auc(expected)
    return row


def as_expected(vintages: pd.DataFrame) -> tuple[int, int]:
    """In how many vintages the bad rate fell where it was expected to, and of how many."""
    came = vintages[vintages.bad_rate.notna()]
    inside = (came.expected_low <= came.bad_rate) & (came.bad_rate <= came.expected_high)
    return int(inside.sum()), len(came)


def vintage_curves(decisions: pd.DataFrame, months: Timeline, cutoff: float) -> pd.DataFrame:
    """The share of each vintage's approved applicants known to be bad, month after month.

    Returns
    -------
    DataFrame
        Indexed by the month of the decision, one column for each number of months after it; NaN
        where that month has not come yet.
    """
    approved = decisions[decisions.score >= cutoff]
    made, known = months.of(approved.time), months.of(approved.known_since)
    bad = (approved.outcome == 0).to_numpy() & (known >= 0)
    total = len(months.names)
    curves = np.full((total, total), np.nan)
    for number in range(total):
        mine = made == number
        if mine.any():
            ages = np.bincount((known - made)[mine & bad].clip(0), minlength=total)[:total]
            reached = total - number
            curves[number, :reached] = np.cumsum(ages)[:reached] / mine.sum()
    table = pd.DataFrame(curves, pd.Index(months.names, name="month"), range(total))
    return table.dropna(how="all").dropna(how="all", axis=1)
