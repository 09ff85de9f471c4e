"""Whether matured outcomes still follow the scores as they did when the model was validated.

Two statistics, both of residuals (outcome less probability of good) among applicants that the model
approves: their mean, which moves when all probabilities are too high or too low, and their mean
product with the log-odds, which moves when high scores are no longer as much better than low ones.
They are the score tests of intercept and slope of Cox's recalibration line (Cox 1958, Biometrika
45), each compared with the held-out scores of the training sample, so that a model whose
probabilities were never quite right is not called changed. Limits: see
:mod:`creditrisk.monitoring.alarms.sequential`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from creditrisk.monitoring.alarms.sequential import (
    FEWEST,
    Counts,
    Floats,
    judged,
    normal_score,
    quiet_paths,
    spending_limits,
    windowed,
)

#: Months of outcomes that are judged together.
OUTCOME_WINDOWS = (1, 3, 6, 12)

#: The two statistics.
LEVEL, SLOPE = "level", "slope"

#: Log-odds beyond this count as this.
FURTHEST = 6.0


@dataclass(frozen=True)
class HeldOut:
    """Approved applicants of the training sample, scored by models that had not learned of them."""

    features: Floats  # shape (n, 4): the two products and their squares
    middle: float  # the mean log-odds

    def products(self, y: Floats, score: Floats) -> Floats:
        """The features of other applicants, shape (n, 4)."""
        return _products(y, score, self.middle)


def held_out(y: Floats, score: Floats, cutoff: float) -> HeldOut:
    """What matured outcomes are compared with.

    Parameters
    ----------
    y, score
        Shape (n,): outcomes, 1 good and 0 bad, and held-out probabilities of good.
    cutoff
        Applicants below it are left out, since a lender learns nothing of theirs.
    """
    approved = np.asarray(score) >= cutoff
    y, score = np.asarray(y, dtype=float)[approved], np.asarray(score, dtype=float)[approved]
    middle = float(_odds(score).mean()) if len(score) else 0.0
    return HeldOut(_products(y, score, middle), middle)


def _odds(score: Floats) -> Floats:
    odds: Floats = np.clip(logit(np.clip(score, 1e-9, 1 - 1e-9)), -FURTHEST, FURTHEST)
    return odds


def _products(y: Floats, score: Floats, middle: float) -> Floats:
    residual = np.asarray(y, dtype=float) - score
    tilt = residual * (_odds(score) - middle)
    return np.column_stack([residual, tilt, residual**2, tilt**2])


def relation_table(
    reference: HeldOut,
    sums: Floats,
    sizes: Counts,
    spend: Floats,
    *,
    draws: int,
    seed: int | Sequence[int],
) -> pd.DataFrame:
    """Level and slope in every month and window, with the limit that allows for all of them.

    Parameters
    ----------
    sums
        Shape (months, 4): :meth:`HeldOut.products` summed over the outcomes known since a month.
    sizes
        Outcomes of each month.
    spend
        Of each month: the probability that a false alarm comes then, see ``sequential.shares``.

    Returns
    -------
    DataFrame
        One row a month (numbered from 0), window (months judged together) and what (level or
        slope): outcomes, difference (of the mean to that of the reference: below 0, more bad, or
        less well ranked, than expected) with its 95% interval low and high, score, limit, alarm.
    """
    n = len(reference.features)
    if n < FEWEST or not judged(sizes, OUTCOME_WINDOWS).any():
        names = ["month", "window", "what", "outcomes", "difference", "low", "high"]
        return pd.DataFrame(columns=[*names, "score", "limit", "alarm"])
    base = reference.features.sum(axis=0)
    paths = quiet_paths(reference.features, sizes.tolist(), draws, seed)
    peaks, parts = np.full((draws, len(sizes)), -np.inf), []
    for window in OUTCOME_WINDOWS:
        m = windowed(sizes[:, None], window)[:, 0]
        enough = (m >= FEWEST) & (sizes > 0)
        drawn = _change(paths.reference[:, None, :], windowed(paths.months, window), n, m)
        peaks = np.maximum(peaks, np.where(enough, _score(*drawn).max(axis=-1), -np.inf))
        parts.append((window, m, enough, *_change(base, windowed(sums, window), n, m)))
    limits = spending_limits(peaks, spend)
    tables = [_rows(*part, limits) for part in parts]
    return pd.concat(tables, ignore_index=True).sort_values(["month", "window", "what"])


def _change(before: Floats, after: Floats, n: int, m: Floats) -> tuple[Floats, Floats]:
    """Differences of the two means, and their variances (Welch 1938, Biometrika 29)."""
    m = np.maximum(m, 1.0)[..., None]
    means = [before[..., :2] / n, after[..., :2] / m]
    spreads = [before[..., 2:] / n - means[0] ** 2, after[..., 2:] / m - means[1] ** 2]
    return means[1] - means[0], np.maximum(spreads[0] / n + spreads[1] / m, 1e-12)


def _score(difference: Floats, variance: Floats) -> Floats:
    return normal_score(difference**2 / variance, 1.0)


def _rows(
    window: int,
    m: Floats,
    enough: npt.NDArray[np.bool_],
    difference: Floats,
    variance: Floats,
    limits: Floats,
) -> pd.DataFrame:
    """One window's rows of the table."""
    months, which = np.nonzero(np.broadcast_to(enough[:, None], difference.shape))
    found, half = difference[months, which], 1.96 * np.sqrt(variance[months, which])
    table = pd.DataFrame(
        {
            "month": months,
            "window": window,
            "what": np.array([LEVEL, SLOPE])[which],
            "outcomes": m[months].astype(int),
            "difference": found,
            "low": found - half,
            "high": found + half,
            "score": _score(difference, variance)[months, which],
            "limit": limits[months],
        }
    )
    table["alarm"] = table.score > table.limit
    return table
