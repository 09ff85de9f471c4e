"""Calibration: how close predicted probabilities are to observed shares, at another bad rate too.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from creditrisk.metrics.intervals import Interval, as_figures, bootstrap_interval, share_interval


def brier_gain(
    y: np.ndarray, score: np.ndarray, base_rate: float, *, draws: int, seed: int
) -> Interval:
    """How much lower the Brier score is than that of giving everybody the base rate.

    The Brier score is the mean squared distance between probability and outcome; the interval is
    that of a bootstrap over the applicants.
    """

    def gain(y: np.ndarray, score: np.ndarray) -> float:
        return float(((base_rate - y) ** 2 - (score - y) ** 2).mean())

    return bootstrap_interval(gain, y, score, draws=draws, seed=seed)


def brier_parts(y: np.ndarray, score: np.ndarray, bins: int = 10) -> dict[str, float]:
    """The decomposition of the Brier score.

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
    bin_of = equal_bins(score, bins)
    size = np.bincount(bin_of)
    good, predicted = np.bincount(bin_of, y) / size, np.bincount(bin_of, score) / size
    base, brier = y.mean(), float(((score - y) ** 2).mean())
    reliability = float((size * (predicted - good) ** 2).sum() / len(y))
    resolution = float((size * (good - base) ** 2).sum() / len(y))
    uncertainty = float(base * (1 - base))
    within = brier - (reliability - resolution + uncertainty)
    return {
        "brier": brier,
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": uncertainty,
        "within": within,
    }


def equal_bins(score: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each score, numbered from 0 in rising order, of bins of equal size.

    Equal scores are in the same bin, so there may be fewer bins.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, score, side="left"), return_inverse=True)[1]


def calibration_table(y: np.ndarray, score: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Predicted and observed share of good in bins of equal size.

    Returns
    -------
    DataFrame
        One row a bin, lowest scores first: applicants, predicted (the mean score), and observed
        with its Wilson bounds low and high.
    """
    y, score, rows = np.asarray(y), np.asarray(score), []
    bin_of = equal_bins(score, bins)
    for number in range(bin_of.max() + 1):
        inside = bin_of == number
        observed = share_interval(y[inside].sum(), inside.sum())
        predicted = float(score[inside].mean())
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


def calibration_line(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> CalibrationLine:
    """Slope and intercept of the logistic recalibration of the scores; 1 and 0 are ideal.

    Notes
    -----
    Cox (1958): logit P(y = 1) = intercept + slope · logit(score), by maximum likelihood, with
    Wald's intervals from the observed information. With a slope under 1 the scores are too
    extreme. The line is not defined if all scores are equal or if they separate good from bad.
    """
    y, odds = np.asarray(y), logit(np.clip(score, 1e-6, 1 - 1e-6))
    good, bad = odds[y == 1], odds[y == 0]
    if np.ptp(odds) == 0:
        return CalibrationLine(None, None, "not defined, all scores are equal")
    if good.min() >= bad.max() or good.max() <= bad.min():
        return CalibrationLine(None, None, "not defined, the scores separate good from bad")
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], y)
    slope, intercept = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    p = expit(intercept + slope * odds)
    design = np.column_stack([np.ones(len(odds)), odds])
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))))
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
