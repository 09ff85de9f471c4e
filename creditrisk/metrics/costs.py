"""What decisions cost, from which score on to approve, and what another bad rate would change.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import numpy as np
import pandas as pd


def expected_cost(
    y: np.ndarray, score: np.ndarray, cutoffs: np.ndarray, bad_accepted: float, good_rejected: float
) -> np.ndarray:
    """Cost per applicant at each cut-off, when a score at or above it is approved.

    Parameters
    ----------
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant, in the same unit.

    Returns
    -------
    ndarray, shape (cutoffs,)
    """
    y, approved = np.asarray(y), np.asarray(score)[None, :] >= np.asarray(cutoffs)[:, None]
    bad = (approved & (y == 0)).mean(axis=1)
    good = (~approved & (y == 1)).mean(axis=1)
    return bad_accepted * bad + good_rejected * good


def cost_samples(
    y: np.ndarray,
    score: np.ndarray,
    cutoffs: np.ndarray,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
) -> np.ndarray:
    """Cost curves of bootstrap samples of the applicants, shape (draws, cutoffs)."""
    y, score, generator = np.asarray(y), np.asarray(score), np.random.default_rng(seed)
    samples = generator.integers(0, len(y), (draws, len(y)))
    return np.array(
        [expected_cost(y[s], score[s], cutoffs, bad_accepted, good_rejected) for s in samples]
    )


def decisions_by_cutoff(y: np.ndarray, score: np.ndarray, cutoffs: np.ndarray) -> pd.DataFrame:
    """What approving from each cut-off on leads to.

    Returns
    -------
    DataFrame
        Indexed by cut-off: approved, the share of applicants; bad_among_approved, the share of
        those that goes bad, NaN if nobody is approved; bad_caught, the share of all bad declined.
    """
    y, approved = np.asarray(y), np.asarray(score)[None, :] >= np.asarray(cutoffs)[:, None]
    bad = (approved & (y == 0)).sum(axis=1)
    count = approved.sum(axis=1)
    among = np.divide(bad, count, out=np.full(len(count), np.nan), where=count > 0)
    caught = 1 - bad / max(1, (y == 0).sum())
    columns = {"approved": approved.mean(axis=1), "bad_among_approved": among, "bad_caught": caught}
    return pd.DataFrame(columns, pd.Index(cutoffs, name="cutoff"))


def check_costs(bad_accepted: float, good_rejected: float, bad_rate: float) -> None:
    """Refuse costs and a bad rate with which nothing can be decided.

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


def correct_prior(score: np.ndarray, here: float, there: float) -> np.ndarray:
    """Probabilities of good as they would be where another share of applicants is bad.

    Parameters
    ----------
    score
        Probabilities of good where the bad rate is ``here``, shape (n,).
    here, there
        Bad rates, above 0 and below 1.

    Notes
    -----
    Saerens, Latinne and Decaestecker (2002), Neural Computation 14: the odds of good are
    multiplied by ((1 - there) / there) / ((1 - here) / here). It holds if good and bad applicants
    each look alike in both places.
    """
    factor = ((1 - there) / there) / ((1 - here) / here)
    good = np.asarray(score, dtype=float) * factor
    return good / (good + 1 - np.asarray(score, dtype=float))
