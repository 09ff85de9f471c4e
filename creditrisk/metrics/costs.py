"""What decisions cost, and what they save against rules that look at no applicant.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError
from creditrisk.metrics.intervals import (
    Interval,
    bootstrap_interval,
    counts_of,
    share_of,
    weight_of,
)

#: The cut-offs that are tried, on the probability of good.
CUTOFFS = np.round(np.arange(0.01, 1.0, 0.01), 2)

#: Of fewer wrong decisions of a kind than this a bootstrap, which repeats them, knows too little.
SELDOM = 5


def expected_cost(
    y: np.ndarray,
    score: np.ndarray,
    cutoffs: np.ndarray,
    bad_accepted: float,
    good_rejected: float,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Cost per applicant at each cut-off, when a score at or above it is approved.

    Parameters
    ----------
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant, in the same unit.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    ndarray, shape (cutoffs,)
    """
    y, approved = np.asarray(y), np.asarray(score)[None, :] >= np.asarray(cutoffs)[:, None]
    bad = np.average(approved & (y == 0), axis=1, weights=weight)
    good = np.average(~approved & (y == 1), axis=1, weights=weight)
    cost: np.ndarray = bad_accepted * bad + good_rejected * good
    return cost


def cost_interval(
    y: np.ndarray,
    score: np.ndarray,
    cutoff: float,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> Interval:
    """Cost per applicant at one cut-off, with the interval of a bootstrap over the applicants.

    Its upper end allows for errors that were hardly made, see :func:`_not_seen`.
    """

    def cost(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
        cutoffs = np.array([cutoff])
        return float(expected_cost(y, score, cutoffs, bad_accepted, good_rejected, weight)[0])

    found = bootstrap_interval(cost, y, score, draws=draws, seed=seed, weight=weight)
    more = _not_seen(y, score, cutoff, bad_accepted, good_rejected, weight)
    return replace(found, high=max(found.high, found.estimate + more))


def _not_seen(
    y: np.ndarray,
    score: np.ndarray,
    cutoff: float,
    bad_accepted: float,
    good_rejected: float,
    weight: np.ndarray | None,
) -> float:
    """How much more an applicant may cost by a kind of error that these applicants hardly show.

    Where fewer than :data:`SELDOM` bad ones are approved, or good ones declined, their share may
    be as high as the upper end of Wilson's interval.
    """
    y, approved, more = np.asarray(y), np.asarray(score) >= cutoff, [0.0]
    for price, kind, wrong in ((bad_accepted, 0, approved), (good_rejected, 1, ~approved)):
        rows = y == kind
        if rows.any() and (rows & wrong).sum() < SELDOM:
            share = share_of(wrong[rows], weight_of(weight, rows))
            of_all = float(np.average(rows, weights=weight))
            more.append(price * of_all * (share.high - share.estimate))
    return max(more)


def cost_samples(
    y: np.ndarray,
    score: np.ndarray,
    cutoffs: np.ndarray,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Cost curves of bootstrap samples of the applicants, shape (draws, cutoffs)."""
    y, score, generator = np.asarray(y), np.asarray(score), np.random.default_rng(seed)
    samples = generator.integers(0, len(y), (draws, len(y)))
    prices = bad_accepted, good_rejected
    weights = [weight_of(weight, rows) for rows in samples]
    return np.array(
        [
            expected_cost(y[rows], score[rows], cutoffs, *prices, counted)
            for rows, counted in zip(samples, weights, strict=True)
        ]
    )


def decisions_by_cutoff(
    y: np.ndarray, score: np.ndarray, cutoffs: np.ndarray, weight: np.ndarray | None = None
) -> pd.DataFrame:
    """Approval rate and errors at each cut-off, of weighted applicants if weights (n,) are given.

    Returns
    -------
    DataFrame
        Indexed by cut-off: approved, the share of applicants; bad_among_approved, the share of
        those that goes bad, NaN if nobody is approved; bad_caught, the share of all bad declined.
    """
    y, approved = np.asarray(y), np.asarray(score)[None, :] >= np.asarray(cutoffs)[:, None]
    counts = counts_of(weight, len(y))
    bad, count = (approved & (y == 0)) @ counts, approved @ counts
    among = np.divide(bad, count, out=np.full(len(count), np.nan), where=count > 0)
    caught = 1 - bad / (counts[y == 0].sum() or 1)
    share = np.average(approved, axis=1, weights=weight)
    columns = {"approved": share, "bad_among_approved": among, "bad_caught": caught}
    return pd.DataFrame(columns, pd.Index(cutoffs, name="cutoff"))


def assumed(
    contract: Contract, bad_accepted: float, good_rejected: float, bad_rate: float, of_sample: float
) -> tuple[float, float, float]:
    """The costs and the real bad rate to reckon with: those given, or else the contract's.

    Parameters
    ----------
    bad_accepted, good_rejected, bad_rate
        0 asks the contract.
    of_sample
        The share of bad loans in the sample; it stands in for a real bad rate nobody knows.

    Returns
    -------
    bad_accepted, good_rejected, bad_rate : float

    Raises
    ------
    ContractError
        If neither says what a wrong decision costs.
    ValueError
        As :func:`check_costs`.
    """
    if (not bad_accepted or not good_rejected) and contract.costs is None:
        raise ContractError(
            contract.title,
            ["nothing says what a wrong decision costs"],
            'add "costs": {"badAccepted": ..., "goodRejected": ...} to the resource in '
            "datapackage.json, or give --set cost_bad_accepted=... --set cost_good_rejected=...",
        )
    if contract.costs is not None:
        bad_accepted = bad_accepted or contract.costs.bad_accepted
        good_rejected = good_rejected or contract.costs.good_rejected
    rate = bad_rate or contract.real_bad_rate or of_sample
    check_costs(bad_accepted, good_rejected, rate)
    return bad_accepted, good_rejected, rate


def check_costs(bad_accepted: float, good_rejected: float, bad_rate: float) -> None:
    """Refuse costs and a bad rate for which no cut-off is defined.

    Raises
    ------
    ValueError
        If a cost is negative or both are 0, or the bad rate is not between 0 and 1.
    """
    if min(bad_accepted, good_rejected) < 0 or bad_accepted + good_rejected <= 0:
        raise ValueError(
            f"cost_bad_accepted is {bad_accepted:g}, cost_good_rejected {good_rejected:g}; "
            "neither may be negative, nor both 0"
        )
    if not 0 < bad_rate < 1:
        raise ValueError(f"real_bad_rate is {bad_rate:g}; it lies between 0 and 1")


def break_even(bad_accepted: float, good_rejected: float) -> float:
    """The probability of good from which on approving costs less, if probabilities are right.

    Elkan (2001), "The Foundations of Cost-Sensitive Learning": cost of a bad approved over the sum
    of both costs.
    """
    return bad_accepted / (bad_accepted + good_rejected)


@dataclass(frozen=True)
class Saving:
    """Cost per applicant saved against the cheaper of approving everybody and nobody."""

    per_applicant: Interval
    over: str  # the cheaper of the two rules


def flat_costs(
    y: np.ndarray, bad_accepted: float, good_rejected: float, weight: np.ndarray | None = None
) -> dict[str, float]:
    """Cost per applicant of approving everybody and of approving nobody, by name."""
    bad = float(np.average(np.asarray(y) == 0, weights=weight))
    return {
        "approving everybody": bad_accepted * bad,
        "approving nobody": good_rejected * (1 - bad),
    }


def saving_interval(
    y: np.ndarray,
    score: np.ndarray,
    cutoff: float,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> Saving:
    """What deciding at a cut-off saves, with the interval of a paired bootstrap over applicants.

    Model and rule meet the same applicants in every sample, and the cheaper rule is found anew in
    each. Samples have the share of bad applicants that ``y`` has. The lower end allows for errors
    that were hardly made, see :func:`_not_seen`.

    Parameters
    ----------
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant, in the same unit.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.
    """
    prices = bad_accepted, good_rejected

    def saved(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
        paid = expected_cost(y, score, np.array([cutoff]), *prices, weight)[0]
        return float(min(flat_costs(y, *prices, weight).values()) - paid)

    flat = flat_costs(y, *prices, weight)
    found = bootstrap_interval(saved, y, score, draws=draws, seed=seed, weight=weight)
    less = _not_seen(y, score, cutoff, *prices, weight)
    interval = replace(found, low=min(found.low, found.estimate - less))
    return Saving(interval, min(flat, key=lambda name: flat[name]))
