"""How well a score ranks good risks above bad ones.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as sk

from creditrisk.metrics.calibration import equal_bins
from creditrisk.metrics.intervals import Interval, bootstrap_interval, share_interval

#: Fewer applicants of a kind than this are not judged.
FEW = 10


def auc_interval(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> Interval:
    """ROC-AUC with DeLong's confidence interval.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: with V10 the share of bad each
    good outranks (ties half) and V01 the share of good each bad is outranked by, the
    variance is var(V10)/m + var(V01)/n. The bounds are cut at 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    return _delong(*placements(y, score), level, (0.0, 1.0))


def auc_difference(
    y: np.ndarray, score: np.ndarray, other: np.ndarray, level: float = 0.95
) -> Interval:
    """ROC-AUC of one score less that of another on the same applicants, with DeLong's interval.

    The p-value is that of no difference. Both scores share the chance in which applicants were
    drawn, which the interval of a difference takes into account.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    (good, bad), (other_good, other_bad) = placements(y, score), placements(y, other)
    return _delong(good - other_good, bad - other_bad, level, (-1.0, 1.0))


def placements(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many bad risks each good one outranks, and how many good ones each bad is outranked by.

    A tie counts half. It takes the time of a sort, so that a million applicants are possible.

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
    below, up_to = (np.searchsorted(np.sort(bad), good, side) for side in ("left", "right"))
    under, up_to_good = (np.searchsorted(np.sort(good), bad, side) for side in ("left", "right"))
    return (below + up_to) / 2, good.size - (under + up_to_good) / 2


def _delong(
    good: np.ndarray, bad: np.ndarray, level: float, bounds: tuple[float, float]
) -> Interval:
    by_good, by_bad = good / bad.size, bad / good.size
    error = np.sqrt(by_good.var(ddof=1) / len(by_good) + by_bad.var(ddof=1) / len(by_bad))
    estimate = float(good.sum() / (good.size * bad.size))
    half = float(stats.norm.ppf((1 + level) / 2) * error)
    low, high = max(bounds[0], estimate - half), min(bounds[1], estimate + half)
    p = float(2 * stats.norm.sf(abs(estimate) / error)) if error > 0 else float(estimate == 0)
    return Interval(estimate, low, high, p)


def ks(y: np.ndarray, score: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance: the largest between the score distributions of good and bad."""
    y, score = np.asarray(y), np.asarray(score)
    grid = np.sort(score)
    shares = [
        np.searchsorted(np.sort(score[y == kind]), grid, side="right") / (y == kind).sum()
        for kind in (0, 1)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def intervals_of_rates(
    y: np.ndarray, score: np.ndarray, approve: np.ndarray, *, draws: int, seed: int
) -> dict[str, Interval | None]:
    """KS and Brier score with bootstrap intervals, shares approved and bad with Wilson's.

    The last is None if nobody is approved.
    """
    y, approve = np.asarray(y), np.asarray(approve)
    brier = bootstrap_interval(
        lambda y, s: float(((s - y) ** 2).mean()), y, score, draws=draws, seed=seed
    )
    bad = share_interval((approve & (y == 0)).sum(), approve.sum()) if approve.any() else None
    return {
        "ks": bootstrap_interval(ks, y, score, draws=draws, seed=seed),
        "brier": brier,
        "approved": share_interval(approve.sum(), len(y)),
        "bad_among_approved": bad,
    }


def score_bands(y: np.ndarray, score: np.ndarray, bands: int = 10) -> pd.DataFrame:
    """The sample in bands of equal size by score, the riskiest first.

    Returns
    -------
    DataFrame
        One row a band: score_from, score_to, applicants, bad, bad_rate with Wilson bounds low and
        high, and bad_so_far and good_so_far, the shares of all bad and of all good up to and with
        this band; their largest distance is the bands' KS.
    """
    y, score, rows = np.asarray(y), np.asarray(score), []
    band_of = equal_bins(score, bands)
    for number in range(band_of.max() + 1):
        inside = band_of == number
        bad = int((y[inside] == 0).sum())
        rate = share_interval(bad, inside.sum())
        ends = score[inside].min(), score[inside].max()
        rows.append((*ends, int(inside.sum()), bad, rate.estimate, rate.low, rate.high))
    names = ["score_from", "score_to", "applicants", "bad", "bad_rate", "low", "high"]
    table = pd.DataFrame(rows, columns=names)
    table["bad_so_far"] = table.bad.cumsum() / max(1, (y == 0).sum())
    table["good_so_far"] = (table.applicants - table.bad).cumsum() / max(1, (y == 1).sum())
    return table


def by_segment(y: np.ndarray, score: np.ndarray, segment: pd.Series) -> pd.DataFrame:
    """Ranking and calibration in each segment of the sample.

    Returns
    -------
    DataFrame
        Indexed by segment: applicants, bad, roc_auc with DeLong bounds low and high, implied, the
        ROC-AUC to expect there if the scores are right (:func:`implied_auc`), predicted and
        observed share of good, and note, the reason if a segment is not judged: fewer than
        :data:`FEW` good or bad applicants.
    """
    y, score, rows = np.asarray(y), np.asarray(score), {}
    for name, inside in segment.groupby(segment, observed=True).indices.items():
        good, bad = int((y[inside] == 1).sum()), int((y[inside] == 0).sum())
        figures = (np.nan, np.nan, np.nan)
        note = too_few_to_judge(good, bad)
        if not note:
            auc = auc_interval(y[inside], score[inside])
            figures = (auc.estimate, auc.low, auc.high)
        shares = (float(score[inside].mean()), float(y[inside].mean()))
        rows[name] = (len(inside), bad, *figures, implied_auc(score[inside]), *shares, note)
    names = ["applicants", "bad", "roc_auc", "low", "high", "implied", "predicted", "observed"]
    names.append("note")
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def implied_auc(score: np.ndarray) -> float:
    """The ROC-AUC to expect of applicants with these probabilities of good, if those are right.

    Where applicants are alike, as in a segment, even the right probabilities rank them less well
    than a mixed sample. NaN if all are 0 or all are 1.

    Parameters
    ----------
    score
        Shape (n,).

    Notes
    -----
    The share of ordered pairs, each weighted by the probability that its first is good and its
    second bad, that the scores rank rightly: the model-based concordance of van Klaveren and others
    (2016), Statistics in Medicine 35, with two outcomes.
    """
    score = np.sort(np.asarray(score, dtype=float))
    bad_up_to = np.cumsum(1 - score)
    below = np.searchsorted(score, score, side="left")
    up_to = np.searchsorted(score, score, side="right")
    padded = np.concatenate([[0.0], bad_up_to])
    right = score * (padded[below] + (padded[up_to] - padded[below] - (1 - score)) / 2)
    pairs = score.sum() * (1 - score).sum() - (score * (1 - score)).sum()
    return float(right.sum() / pairs) if pairs > 0 else np.nan


def too_few_to_judge(good: int, bad: int) -> str:
    """The reason why applicants are too few to be judged; empty if there are enough."""
    if good and bad:
        return f"too few: {good} good, {bad} bad" if min(good, bad) < FEW else ""
    return f"only {'good' if good else 'bad'} risks"


#: The measures of the comparison, in the order of ``experiments/results.csv``.
MEASURES = [
    "accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "gini",
    "ks",
    "brier",
    "log_loss",
]


def measures(y: np.ndarray, score: np.ndarray, cutoff: float = 0.5) -> dict[str, float]:
    """The usual measures of a classifier; precision, recall and F1 are those of good risks.

    Parameters
    ----------
    y, score
        Shape (n,); both classes must occur in ``y``.
    cutoff
        A score at or above it counts as predicted good.

    Returns
    -------
    dict
        Keys as :data:`MEASURES`. Gini is 2 ROC-AUC - 1; KS is the largest distance between
        the score distributions of good and bad, that is max(TPR - FPR).
    """
    y, predicted = np.asarray(y), np.asarray(score) >= cutoff
    fpr, tpr, _ = sk.roc_curve(y, score)
    auc = sk.roc_auc_score(y, score)
    return {
        "accuracy": float((predicted == y).mean()),
        "precision": sk.precision_score(y, predicted, zero_division=0.0),
        "recall": sk.recall_score(y, predicted),
        "f1": sk.f1_score(y, predicted, zero_division=0.0),
        "roc_auc": float(auc),
        "gini": float(2 * auc - 1),
        "ks": float((tpr - fpr).max()),
        "brier": sk.brier_score_loss(y, score),
        "log_loss": sk.log_loss(y, score),
    }


def fast_auc(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """ROC-AUC of many models on the same applicants at once, by the rank sum (Mann-Whitney).

    Parameters
    ----------
    y
        Shape (n,).
    scores
        Shape (models, n).

    Returns
    -------
    ndarray, shape (models,)
    """
    good = np.asarray(y) == 1
    n_good, n_bad = good.sum(), (~good).sum()
    ranks = stats.rankdata(scores, axis=1)[:, good].sum(axis=1)
    auc: np.ndarray = (ranks - n_good * (n_good + 1) / 2) / (n_good * n_bad)
    return auc
