"""How well a score ranks good risks above bad ones.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as sk

from creditrisk.metrics.calibration import equal_bins
from creditrisk.metrics.intervals import Interval, bootstrap_interval, share_of, weight_of
from creditrisk.metrics.placements import by_class, placements, total, variance_of_mean

#: Fewer applicants of a kind than this are not judged.
FEW = 10


def auc_interval(
    y: np.ndarray, score: np.ndarray, level: float = 0.95, weight: np.ndarray | None = None
) -> Interval:
    """ROC-AUC with DeLong's confidence interval.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: with V10 the share of bad each
    good outranks (ties half) and V01 the share of good each bad is outranked by, the
    variance is var(V10)/m + var(V01)/n. The bounds are cut at 0 and 1. With weights the shares
    are of weight, and either variance is that of a weighted mean by linearisation,
    m/(m - 1) · sum (w (V10 - mean))² / (sum w)², which with equal weights is the same.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    return _delong(*placements(y, score, weight), by_class(y, weight), level, (0.0, 1.0))


def auc_difference(
    y: np.ndarray,
    score: np.ndarray,
    other: np.ndarray,
    level: float = 0.95,
    weight: np.ndarray | None = None,
) -> Interval:
    """ROC-AUC of one score less that of another on the same applicants, with DeLong's interval.

    The p-value is that of no difference. Both scores share the chance in which applicants were
    drawn, which the interval of a difference takes into account.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    (good, bad), (other_good, other_bad) = (placements(y, each, weight) for each in (score, other))
    gaps = good - other_good, bad - other_bad
    return _delong(*gaps, by_class(y, weight), level, (-1.0, 1.0))


def _delong(
    good: np.ndarray,
    bad: np.ndarray,
    weights: tuple[np.ndarray | None, np.ndarray | None],
    level: float,
    bounds: tuple[float, float],
) -> Interval:
    n_good, n_bad = (total(each, of) for each, of in zip((good, bad), weights, strict=True))
    error = np.sqrt(
        variance_of_mean(good / n_bad, weights[0]) + variance_of_mean(bad / n_good, weights[1])
    )
    outranked = good.sum() if weights[0] is None else weights[0] @ good
    estimate = float(outranked / (n_good * n_bad))
    half = float(stats.norm.ppf((1 + level) / 2) * error)
    low, high = max(bounds[0], estimate - half), min(bounds[1], estimate + half)
    p = float(2 * stats.norm.sf(abs(estimate) / error)) if error > 0 else float(estimate == 0)
    return Interval(estimate, low, high, p)


def ks(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Kolmogorov-Smirnov distance: the largest between the score distributions of good and bad."""
    y, score = np.asarray(y), np.asarray(score)
    if weight is not None:
        fpr, tpr, _ = sk.roc_curve(y, score, sample_weight=weight)
        return float(np.abs(tpr - fpr).max())
    grid = np.sort(score)
    shares = [
        np.searchsorted(np.sort(score[y == kind]), grid, side="right") / (y == kind).sum()
        for kind in (0, 1)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def intervals_of_rates(
    y: np.ndarray,
    score: np.ndarray,
    approve: np.ndarray,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> dict[str, Interval | None]:
    """KS and Brier score with bootstrap intervals, shares approved and bad with Wilson's.

    The last is None if nobody is approved.
    """
    y, approve = np.asarray(y), np.asarray(approve)

    def brier(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
        return float(np.average((score - y) ** 2, weights=weight))

    among = weight_of(weight, approve)
    bad = share_of(y[approve] == 0, among) if approve.any() else None
    return {
        "ks": bootstrap_interval(ks, y, score, draws=draws, seed=seed, weight=weight),
        "brier": bootstrap_interval(brier, y, score, draws=draws, seed=seed, weight=weight),
        "approved": share_of(approve, weight),
        "bad_among_approved": bad,
    }


def score_bands(
    y: np.ndarray, score: np.ndarray, bands: int = 10, weight: np.ndarray | None = None
) -> pd.DataFrame:
    """The sample in bands of equal size by score, the riskiest first.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for: bands are of equal weight, and
        rates are weighted. None: each row counts once.

    Returns
    -------
    DataFrame
        One row a band: score_from, score_to, applicants and bad (of both the rows), bad_rate with
        Wilson bounds low and high, and bad_so_far and good_so_far, the shares of all bad and of
        all good up to and with this band; their largest distance is the bands' KS.
    """
    y, score, rows = np.asarray(y), np.asarray(score), []
    band_of, counts = equal_bins(score, bands, weight), np.ones(len(y))
    counts = counts if weight is None else weight
    for number in range(band_of.max() + 1):
        inside = band_of == number
        bad = int((y[inside] == 0).sum())
        rate = share_of(y[inside] == 0, weight_of(weight, inside))
        ends = score[inside].min(), score[inside].max()
        rows.append((*ends, int(inside.sum()), bad, rate.estimate, rate.low, rate.high))
    names = ["score_from", "score_to", "applicants", "bad", "bad_rate", "low", "high"]
    table = pd.DataFrame(rows, columns=names)
    for name, kind in (("bad_so_far", 0), ("good_so_far", 1)):
        so_far = np.bincount(band_of, counts * (y == kind)).cumsum()
        table[name] = so_far / (counts[y == kind].sum() or 1)
    return table


def by_segment(
    y: np.ndarray, score: np.ndarray, segment: pd.Series, weight: np.ndarray | None = None
) -> pd.DataFrame:
    """Ranking and calibration in each segment of the sample.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

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
        counted = weight_of(weight, inside)
        figures = (np.nan, np.nan, np.nan)
        note = too_few_to_judge(good, bad)
        if not note:
            auc = auc_interval(y[inside], score[inside], weight=counted)
            figures = (auc.estimate, auc.low, auc.high)
        shares = [float(np.average(each[inside], weights=counted)) for each in (score, y)]
        implied = implied_auc(score[inside], counted)
        rows[name] = (len(inside), bad, *figures, implied, *shares, note)
    names = ["applicants", "bad", "roc_auc", "low", "high", "implied", "predicted", "observed"]
    names.append("note")
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def implied_auc(score: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The ROC-AUC to expect of applicants with these probabilities of good, if those are right.

    Where applicants are alike, as in a segment, even the right probabilities rank them less well
    than a mixed sample. NaN if all are 0 or all are 1.

    Parameters
    ----------
    score, weight
        Shape (n,); a weight of None: each applicant counts once.

    Notes
    -----
    The share of ordered pairs, each weighted by the probability that its first is good and its
    second bad, that the scores rank rightly: the model-based concordance of van Klaveren and others
    (2016), Statistics in Medicine 35, with two outcomes. An applicant is not paired with itself,
    nor is one that stands for w with any of the w.
    """
    score = np.asarray(score, dtype=float)
    if weight is not None:
        return _weighted_implied(score, weight)
    score = np.sort(score)
    bad_up_to = np.cumsum(1 - score)
    below = np.searchsorted(score, score, side="left")
    up_to = np.searchsorted(score, score, side="right")
    padded = np.concatenate([[0.0], bad_up_to])
    right = score * (padded[below] + (padded[up_to] - padded[below] - (1 - score)) / 2)
    pairs = score.sum() * (1 - score).sum() - (score * (1 - score)).sum()
    return float(right.sum() / pairs) if pairs > 0 else np.nan


def _weighted_implied(score: np.ndarray, weight: np.ndarray) -> float:
    """:func:`implied_auc`, where a pair counts as the product of two weights."""
    order = np.argsort(score, kind="stable")
    score, weight = score[order], weight[order]
    bad, good = weight * (1 - score), weight * score
    padded = np.r_[0.0, np.cumsum(bad)]
    below, up_to = (np.searchsorted(score, score, side) for side in ("left", "right"))
    right = good * (padded[below] + (padded[up_to] - padded[below] - bad) / 2)
    pairs = good.sum() * bad.sum() - (good * bad).sum()
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


def measures(
    y: np.ndarray, score: np.ndarray, cutoff: float = 0.5, weight: np.ndarray | None = None
) -> dict[str, float]:
    """The usual measures of a classifier; precision, recall and F1 are those of good risks.

    Parameters
    ----------
    y, score
        Shape (n,); both classes must occur in ``y``.
    cutoff
        A score at or above it counts as predicted good.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    dict
        Keys as :data:`MEASURES`. Gini is 2 ROC-AUC - 1; KS is the largest distance between
        the score distributions of good and bad, that is max(TPR - FPR).
    """
    y, predicted, counted = np.asarray(y), np.asarray(score) >= cutoff, {"sample_weight": weight}
    fpr, tpr, _ = sk.roc_curve(y, score, **counted)
    auc = float(sk.auc(fpr, tpr))
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        y, predicted, average="binary", zero_division=0.0, **counted
    )
    return {
        "accuracy": float(np.average(predicted == y, weights=weight)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "roc_auc": auc,
        "gini": 2 * auc - 1,
        "ks": float((tpr - fpr).max()),
        "brier": sk.brier_score_loss(y, score, **counted),
        "log_loss": sk.log_loss(y, score, **counted),
    }
