"""What a decision rule leads to: counts, shares, costs and groups at a cut-off.

``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.contract import Json
from creditrisk.metrics.calibration import correct_prior
from creditrisk.metrics.costs import CUTOFFS, break_even, check_costs
from creditrisk.metrics.ranking import FEW

#: With fewer costly decisions of a kind than this, the normal interval of the cost means nothing.
LEAST = 5

#: A normal variable lies within so many standard deviations 95 times in a hundred.
WITHIN = 1.959963984540054


def wrong_decisions(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many bad are approved and how many good declined at each of ``costs.CUTOFFS``.

    Parameters
    ----------
    y, score
        Shape (n,).

    Returns
    -------
    bad_approved, good_declined : ndarray of int, shape (99,)
    """
    y, score = np.asarray(y), np.asarray(score, dtype=float)
    bad_score, good_score = np.sort(score[y == 0]), np.sort(score[y == 1])
    bad_approved = len(bad_score) - np.searchsorted(bad_score, CUTOFFS)
    return bad_approved, np.searchsorted(good_score, CUTOFFS)


def figures_at(
    y: np.ndarray,
    score: np.ndarray,
    groups: dict[str, pd.Series],
    cutoff: float,
    prices: tuple[float, float],
    bad_rate: float | None = None,
) -> Json:
    """What a decision rule leads to among these applicants: approve from the cut-off on.

    Parameters
    ----------
    groups
        Name of a grouping -> the group of each applicant, from ``fairness.groupings``.
    prices
        Cost of approving a bad and of declining a good applicant.
    bad_rate
        The share of bad applicants to count with, above 0 and below 1; None for the share among
        these.

    Returns
    -------
    dict
        Counts of these applicants: applicants, good, bad, good_approved, bad_approved,
        good_declined, bad_declined. Shares at the bad rate: approved, bad_among_approved, cost per
        applicant with cost_low and cost_high, cost_of_everybody and cost_of_nobody (if all or none
        were approved); good_share_approved and bad_share_approved, the point on the ROC curve.
        break_even, the probability from which on approving costs less, and break_even_score, the
        score that means it. lowest_cost and lowest_cutoff, of ``costs.CUTOFFS``. groups: a list of
        dicts with grouping, group, applicants, approvals, approved, ratio. What is not defined is
        None.

    Raises
    ------
    ValueError
        If the prices or the bad rate make no sense, or a bad rate is asked of applicants who are
        all good or all bad.

    Notes
    -----
    Another bad rate r weighs the applicants anew: each bad one counts as r n / B applicants, each
    good one as (1 - r) n / G, where B and G of the n are bad and good. That is right if good and
    bad applicants each look alike in both places, the assumption of
    :func:`creditrisk.metrics.calibration.correct_prior` (Saerens, Latinne and Decaestecker 2002;
    Elkan 2001, theorem 2). The shares of good and of bad approved do not change then, nor does
    the ROC curve.

    The interval of the cost is the normal one. With the bad rate of these applicants the number of
    bad ones is up to chance as well: the variance is that of one applicant's cost over n. A bad
    rate that is given is taken as known: the variance is (a r)² p (1 - p) / B +
    (b (1 - r))² q (1 - q) / G, where a and b are the prices, and p of the bad are approved and q of
    the good declined. There is none with fewer than :data:`LEAST` bad approved or good declined.
    """
    y, score, (a, b) = np.asarray(y), np.asarray(score, dtype=float), prices
    bad_score, good_score = np.sort(score[y == 0]), np.sort(score[y == 1])
    n, bad, good = len(y), len(bad_score), len(good_score)
    check_costs(a, b, 0.5 if bad_rate is None else bad_rate)
    if bad_rate is not None and not (bad and good):
        only = "good" if good else "bad"
        raise ValueError(f"all applicants are {only}: they cannot stand for another bad rate")
    of_bad = 1.0 if bad_rate is None else bad_rate * n / bad
    of_good = 1.0 if bad_rate is None else (1 - bad_rate) * n / good

    def cost(bad_approved: Any, good_declined: Any) -> Any:
        return a * (bad_approved * of_bad / n) + b * (good_declined * of_good / n)

    bad_approved = bad - int(np.searchsorted(bad_score, cutoff))
    good_declined = int(np.searchsorted(good_score, cutoff))
    good_approved = good - good_declined
    weight = good_approved * of_good + bad_approved * of_bad
    here = cost(bad_approved, good_declined)
    low, high = _cost_interval(here, (bad_approved, good_declined), (bad, good), prices, bad_rate)
    curve = cost(*wrong_decisions(y, score))
    even = even_score = break_even(a, b)
    if bad_rate is not None:
        even_score = float(correct_prior(np.array(even), bad_rate, bad / n))
    return {
        "applicants": n,
        "good": good,
        "bad": bad,
        "good_approved": good_approved,
        "bad_approved": bad_approved,
        "good_declined": good_declined,
        "bad_declined": bad - bad_approved,
        "approved": weight / n,
        "bad_among_approved": bad_approved * of_bad / weight if weight else None,
        "cost": here,
        "cost_low": low,
        "cost_high": high,
        "cost_of_everybody": cost(bad, 0),
        "cost_of_nobody": cost(0, good),
        "good_share_approved": good_approved / good if good else None,
        "bad_share_approved": bad_approved / bad if bad else None,
        "break_even": even,
        "break_even_score": even_score,
        "lowest_cost": float(curve.min()),
        "lowest_cutoff": float(CUTOFFS[curve.argmin()]),
        "groups": [
            row
            for name, group in groups.items()
            for row in _group_rates(name, group, y, score >= cutoff, of_good, of_bad)
        ],
    }


def _cost_interval(
    cost: float,
    wrong: tuple[int, int],
    of: tuple[int, int],
    prices: tuple[float, float],
    bad_rate: float | None,
) -> tuple[float | None, float | None]:
    """The normal 95% interval of a cost, from the numbers of bad approved and good declined."""
    if min(wrong) < LEAST:
        return None, None
    (a, b), (bad_approved, good_declined), (bad, good) = prices, wrong, of
    if bad_rate is None:
        n = bad + good
        variance = ((a * a * bad_approved + b * b * good_declined) / n - cost * cost) / n
    else:
        p, q = bad_approved / bad, good_declined / good
        by_bad, by_good = a * bad_rate, b * (1 - bad_rate)
        variance = by_bad * by_bad * (p * (1 - p) / bad) + by_good * by_good * (q * (1 - q) / good)
    half = WITHIN * math.sqrt(max(0.0, variance))
    return max(0.0, cost - half), cost + half


def _group_rates(
    name: str, group: pd.Series, y: np.ndarray, approve: np.ndarray, of_good: float, of_bad: float
) -> list[Json]:
    """Approval rate of each group, the largest first, over that of the group approved most.

    A group of fewer than :data:`~creditrisk.metrics.ranking.FEW` applicants has neither.
    """
    rows = []
    for level, applicants in group.value_counts().items():
        inside = (group == level).to_numpy()
        good, bad = inside & (y == 1), inside & (y == 0)
        row: Json = {
            "grouping": name,
            "group": level,
            "applicants": int(applicants),
            "approvals": int((approve & inside).sum()),
            "approved": None,
            "ratio": None,
        }
        if applicants >= FEW:
            weight = int((approve & good).sum()) * of_good + int((approve & bad).sum()) * of_bad
            row["approved"] = weight / (int(good.sum()) * of_good + int(bad.sum()) * of_bad)
        rows.append(row)
    judged = [row for row in rows if row["approved"] is not None]
    best = max((row["approved"] for row in judged), default=0.0)
    for row in judged:
        row["ratio"] = row["approved"] / best if best and len(judged) > 1 else None
    return rows
