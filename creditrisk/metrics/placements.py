"""Placements: how many of the other kind each good and each bad risk ranks ahead of.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good. A
weight is how many applications a row stands for.
"""

import numpy as np
from scipy import stats

from creditrisk.metrics.intervals import weight_of


def placements(
    y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """How many bad risks each good one outranks, and how many good ones each bad is outranked by.

    A tie counts half. It takes the time of a sort, so that a million applicants are possible.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    good, bad : ndarray, shapes (good risks,) and (bad risks,)
        In the order of the applicants. Either sum over the number of pairs is the ROC-AUC.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    y, score = np.asarray(y), np.asarray(score)
    good, bad = score[y == 1], score[y == 0]
    if min(good.size, bad.size) < 2:
        raise ValueError(f"ROC-AUC needs two good and two bad, not {good.size} and {bad.size}")
    of_good, of_bad = by_class(y, weight)
    outranked_by = total(good, of_good) - _below(bad, good, of_good)
    return _below(good, bad, of_bad), outranked_by


def placement_shares(
    y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`placements` as shares of all bad, and of all good; either mean is the ROC-AUC."""
    (good, bad), (of_good, of_bad) = placements(y, score, weight), by_class(y, weight)
    return good / total(bad, of_bad), bad / total(good, of_good)


def by_class(
    y: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The weights of the good and of the bad risks; None if each counts once."""
    y = np.asarray(y)
    return weight_of(weight, y == 1), weight_of(weight, y == 0)


def variance_of_mean(values: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The variance of the mean of at least two values; of a weighted one by linearisation."""
    n = len(values)
    if weight is None:
        return float(values.var(ddof=1) / n)
    apart = weight * (values - np.average(values, weights=weight))
    return float(n / (n - 1) * (apart**2).sum() / weight.sum() ** 2)


def total(values: np.ndarray, weight: np.ndarray | None) -> float:
    """The number of values, or their weight."""
    return len(values) if weight is None else float(weight.sum())


def _below(score: np.ndarray, others: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """How many others, or how much of their weight, lie below each score; ties count half."""
    order = np.argsort(others, kind="stable")
    below, up_to = (np.searchsorted(others[order], score, side) for side in ("left", "right"))
    if weight is not None:
        sums = np.concatenate([[0.0], np.cumsum(weight[order])])
        below, up_to = sums[below], sums[up_to]
    halves: np.ndarray = (below + up_to) / 2
    return halves


def fast_auc(y: np.ndarray, scores: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """ROC-AUC of many models on the same applicants at once, by the rank sum (Mann-Whitney).

    Parameters
    ----------
    y, weight
        Shape (n,); a weight of None: each applicant counts once.
    scores
        Shape (models, n).

    Returns
    -------
    ndarray, shape (models,)
    """
    if weight is not None:
        return np.array([weighted_auc(y, each, weight[None, :])[0] for each in scores])
    good = np.asarray(y) == 1
    n_good, n_bad = good.sum(), (~good).sum()
    ranks = stats.rankdata(scores, axis=1)[:, good].sum(axis=1)
    auc: np.ndarray = (ranks - n_good * (n_good + 1) / 2) / (n_good * n_bad)
    return auc


def weighted_auc(y: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """ROC-AUC of weighted applicants: of the weight of all pairs of a good and a bad, the part
    that is ranked rightly, ties by half.

    Parameters
    ----------
    y, score
        Shape (n,).
    weights
        Shape (samples, n), from 0 on; some good and some bad must weigh something.

    Returns
    -------
    ndarray, shape (samples,)
    """
    order = np.argsort(score, kind="stable")
    ranked = np.asarray(score)[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    weights, is_good = weights[:, order], np.asarray(y)[order] == 1
    good = np.add.reduceat(weights * is_good, starts, axis=1)
    bad = np.add.reduceat(weights * ~is_good, starts, axis=1)
    right = (good * (bad.cumsum(axis=1) - bad / 2)).sum(axis=1)
    auc: np.ndarray = right / (good.sum(axis=1) * bad.sum(axis=1))
    return auc
