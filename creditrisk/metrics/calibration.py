"""Calibration: how close predicted probabilities are to observed shares, at another bad rate too.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from creditrisk.metrics.intervals import (
    Interval,
    as_figures,
    bootstrap_interval,
    counts_of,
    quantiles,
    share_of,
    weight_of,
)


def brier_gain(
    y: np.ndarray,
    score: np.ndarray,
    base_rate: float,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> Interval:
    """How much lower the Brier score is than that of giving everybody the base rate.

    The Brier score is the mean squared distance between probability and outcome; the interval is
    that of a bootstrap over the applicants.
    """

    def gain(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
        return float(np.average((base_rate - y) ** 2 - (score - y) ** 2, weights=weight))

    return bootstrap_interval(gain, y, score, draws=draws, seed=seed, weight=weight)


def brier_parts(
    y: np.ndarray, score: np.ndarray, bins: int = 10, weight: np.ndarray | None = None
) -> dict[str, float]:
    """The decomposition of the Brier score.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    dict
        brier = reliability - resolution + uncertainty + within. Reliability is the
        distance of a bin's mean score from its share of good (0 is ideal), resolution that of the
        bins' shares from the sample's (more is better), uncertainty the variance of the outcome,
        and within what scores differ inside the bins.

    Notes
    -----
    Murphy (1973), Journal of Applied Meteorology 12, over bins of equal size; the last part after
    Stephenson, Coelho and Jolliffe (2008), Weather and Forecasting 23.
    """
    y, score = np.asarray(y, dtype=float), np.asarray(score, dtype=float)
    bin_of = equal_bins(score, bins, weight)
    counts = counts_of(weight, len(y))
    size = np.bincount(bin_of, counts)
    good, predicted = (np.bincount(bin_of, counts * each) / size for each in (y, score))
    base = float(np.average(y, weights=weight))
    brier = float(np.average((score - y) ** 2, weights=weight))
    reliability = float((size * (predicted - good) ** 2).sum() / counts.sum())
    resolution = float((size * (good - base) ** 2).sum() / counts.sum())
    uncertainty = float(base * (1 - base))
    within = brier - (reliability - resolution + uncertainty)
    return {
        "brier": brier,
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": uncertainty,
        "within": within,
    }


def equal_bins(score: np.ndarray, bins: int, weight: np.ndarray | None = None) -> np.ndarray:
    """The bin of each score, numbered from 0 in rising order, of bins of equal size.

    Equal scores are in the same bin, so there may be fewer bins. With weights (n,) bins are of
    equal weight.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    edges = np.unique(quantiles(score, np.linspace(0, 1, bins + 1)[1:-1], weight))
    return np.unique(np.searchsorted(edges, score, side="left"), return_inverse=True)[1]


def calibration_table(
    y: np.ndarray, score: np.ndarray, bins: int = 10, weight: np.ndarray | None = None
) -> pd.DataFrame:
    """Predicted and observed share of good in bins of equal size.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    DataFrame
        One row a bin, lowest scores first: applicants (rows), predicted (the mean score), and
        observed with its Wilson bounds low and high.
    """
    y, score, rows = np.asarray(y), np.asarray(score), []
    bin_of = equal_bins(score, bins, weight)
    for number in range(bin_of.max() + 1):
        inside = bin_of == number
        counted = weight_of(weight, inside)
        observed = share_of(y[inside] == 1, counted)
        predicted = float(np.average(score[inside], weights=counted))
        rows.append((inside.sum(), predicted, observed.estimate, observed.low, observed.high))
    return pd.DataFrame(rows, columns=["applicants", "predicted", "observed", "low", "high"])


@dataclass(frozen=True)
class CalibrationLine:
    """Slope and intercept of the logistic recalibration; None, with the reason, if not defined."""

    slope: Interval | None
    intercept: Interval | None
    why_not: str = ""

    @property
    def figures(self) -> dict[str, float | None]:
        """Slope and intercept with their bounds, by name."""
        return as_figures(
            {f"calibration_{each}": getattr(self, each) for each in ("slope", "intercept")}
        )

    def __str__(self) -> str:
        if self.slope is None:
            return f"calibration slope {self.why_not}"
        return f"calibration slope {self.slope}, intercept {self.intercept}"


def calibration_line(
    y: np.ndarray, score: np.ndarray, level: float = 0.95, weight: np.ndarray | None = None
) -> CalibrationLine:
    """Slope and intercept of the logistic recalibration of the scores; 1 and 0 are ideal.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Notes
    -----
    Cox (1958): logit P(y = 1) = intercept + slope · logit(score), by maximum likelihood, with
    Wald's intervals from the observed information. With a slope under 1 the scores are too
    extreme. The line is not defined if all scores are equal or if they separate good from bad.
    With weights it is that of the weighted likelihood, with Wald's intervals from the sandwich of
    its rows' scores (Binder 1983, International Statistical Review 51).
    """
    y, odds = np.asarray(y), logit(np.clip(score, 1e-6, 1 - 1e-6))
    good, bad = odds[y == 1], odds[y == 0]
    if np.ptp(odds) == 0:
        return CalibrationLine(None, None, "not defined, all scores are equal")
    if good.min() >= bad.max() or good.max() <= bad.min():
        return CalibrationLine(None, None, "not defined, the scores separate good from bad")
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    fit.fit(odds[:, None], y, sample_weight=weight)
    slope, intercept = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    p = expit(intercept + slope * odds)
    design = np.column_stack([np.ones(len(odds)), odds])
    counts = counts_of(weight, len(y))
    variance = np.linalg.inv(design.T @ (design * (counts * p * (1 - p))[:, None]))
    if weight is not None:
        scores = design * (weight * (y - p))[:, None]
        variance = variance @ (scores.T @ scores) @ variance
    errors = np.sqrt(np.diag(variance))
    half = stats.norm.ppf((1 + level) / 2) * errors
    return CalibrationLine(
        Interval(slope, slope - half[1], slope + half[1]),
        Interval(intercept, intercept - half[0], intercept + half[0]),
    )


def correct_prior(score: np.ndarray, bad_rate: float, other: float) -> np.ndarray:
    """Probabilities of good in a population where another share of applicants is bad.

    Parameters
    ----------
    score
        Probabilities of good where the bad rate is ``bad_rate``, shape (n,).
    bad_rate, other
        The bad rate of the scores' population and of the other one, above 0 and below 1.

    Notes
    -----
    Saerens, Latinne and Decaestecker (2002), Neural Computation 14: the odds of good are
    multiplied by ((1 - other) / other) / ((1 - bad_rate) / bad_rate). It holds if good
    applicants are alike in both populations, and bad ones as well.
    """
    factor = ((1 - other) / other) / ((1 - bad_rate) / bad_rate)
    good = np.asarray(score, dtype=float) * factor
    corrected: np.ndarray = good / (good + 1 - np.asarray(score, dtype=float))
    return corrected
