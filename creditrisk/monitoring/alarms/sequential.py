"""Alarm limits by month that a quiet year passes with a chosen probability, and no more often.

Each month many statistics are looked at, and the same ones again the next month. A limit made for
one look at one of them is therefore passed by chance far more often than it says. Here all that is
looked at in a month counts as one statistic, the largest of them, and a year's probability of a
false alarm is spent in equal parts on its months: the alpha spending of Lan and DeMets (1983),
Biometrika 70. What chance does to the largest is simulated, as in the maximum statistics of
Westfall and Young (1993), Resampling-Based Multiple Testing: the rows of the reference sample are
drawn anew, once as a reference sample and once for each month. Rows stay whole, so that columns
that move together do so in the simulation, and every month is compared with the same drawn
reference, so that a reference of few rows is allowed for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]

#: Months whose false alarms are counted together.
YEAR = 12

#: So many past months are judged together, besides each month alone: slow changes add up.
WINDOWS = (1, 3, 6)

#: Rows below which a window is not judged.
FEWEST = 30

#: Rows of a large reference sample that are enough to draw from.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Paths:
    """Sums of features over drawn samples in which nothing has changed."""

    reference: Floats  # shape (draws, features)
    months: Floats  # shape (draws, months, features)


def quiet_paths(
    features: Floats, sizes: Sequence[int], draws: int, seed: int | Sequence[int]
) -> Paths:
    """Draw reference samples and months from the rows of one reference sample.

    Parameters
    ----------
    features
        Shape (rows, features).
    sizes
        Rows of each month.
    draws
        How many times reference and months are drawn.
    """
    generator, rows = np.random.default_rng(seed), len(features)
    pool = np.asarray(features, dtype=np.float32)
    if rows > MOST_ROWS:
        pool = pool[generator.choice(rows, MOST_ROWS, replace=False)]
    reference, *months = (
        _weights(len(pool), size, draws, generator) @ pool for size in (rows, *sizes)
    )
    shape = draws, 0, pool.shape[1]
    return Paths(reference, np.stack(months, axis=1) if months else np.empty(shape, np.float32))


def _weights(rows: int, size: int, draws: int, generator: np.random.Generator) -> Floats:
    """How often each row is drawn, shape (draws, rows), when ``size`` are drawn at random."""
    if size > rows:
        drawn = generator.multinomial(size, np.full(rows, 1 / rows), draws)
        return drawn.astype(np.float32)
    chosen = generator.integers(0, rows, (draws, size)) + rows * np.arange(draws)[:, None]
    counted = np.bincount(chosen.ravel(), minlength=draws * rows)
    return counted.reshape(draws, rows).astype(np.float32)


def windowed(by_month: Floats | Counts, window: int) -> Floats:
    """Sums over each month and those before it, ``window`` in all, along the last axis but one."""
    so_far = np.cumsum(by_month, axis=-2, dtype=np.float64)
    before = np.zeros_like(so_far)
    before[..., window:, :] = so_far[..., :-window, :]
    difference: Floats = so_far - before
    return difference


def judged(sizes: Counts, windows: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Whether each month has rows of its own and some window that ends with it has enough."""
    longest: Floats = windowed(sizes[:, None], max(windows))[:, 0]
    return (sizes > 0) & (longest >= FEWEST)


def spending_limits(peaks: Floats, spend: Floats, year: int = YEAR) -> Floats:
    """The limit of each month's largest statistic.

    Parameters
    ----------
    peaks
        Shape (draws, months): the largest statistic of each month if nothing has changed.
    spend
        Of each month: the probability that it is the first of its year to pass its limit.
    year
        Months after which the count begins anew.

    Returns
    -------
    ndarray, shape (months,)
        Infinite where nothing is spent.
    """
    draws, months = peaks.shape
    limits = np.full(months, np.inf)
    for start in range(0, months, year):
        quiet = np.ones(draws, dtype=bool)  # draws without an alarm so far this year
        budget = 0.0
        for month in range(start, min(start + year, months)):
            budget += spend[month]
            passing = round(budget * draws) - int((~quiet).sum())
            if spend[month] <= 0 or passing <= 0 or passing > quiet.sum():
                continue
            # A new draw lies beyond the k-th largest of n with probability k / (n + 1).
            limits[month] = np.sort(peaks[quiet, month])[-passing]
            quiet &= peaks[:, month] < limits[month]
    return limits


def shares(are_judged: npt.NDArray[np.bool_], alpha: float, year: int = YEAR) -> Floats:
    """What each family of statistics may spend in each month.

    Parameters
    ----------
    are_judged
        Of each family and month: whether there is enough to judge by; shape (families, months).
    alpha
        Probability of an alarm in a year in which nothing changes.

    Returns
    -------
    ndarray, shape (families, months)
        The month's part of ``alpha``, divided equally among the families that are judged.
    """
    counted = are_judged.astype(float)
    families = np.maximum(counted.sum(axis=0), 1)
    divided: Floats = alpha / year * counted / families
    return divided


def normal_score(statistic: Floats, degrees: Floats | float) -> Floats:
    """Chi-squared statistics of any degrees of freedom on one scale, about standard normal.

    Notes
    -----
    Wilson and Hilferty (1931), PNAS 17. It only has to make statistics comparable: the limits are
    simulated on this scale.
    """
    spread = 2 / (9 * np.asarray(degrees, dtype=float))
    score: Floats = (np.cbrt(statistic / degrees) - (1 - spread)) / np.sqrt(spread)
    return score


def statistic_at(score: Floats | float, degrees: Floats | float) -> Floats:
    """The chi-squared statistic that has a :func:`normal_score`."""
    spread = 2 / (9 * np.asarray(degrees, dtype=float))
    root = np.maximum(score * np.sqrt(spread) + (1 - spread), 0)
    statistic: Floats = degrees * root**3
    return statistic
