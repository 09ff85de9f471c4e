"""Estimates with their confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    p: float | None = None  # two-sided, for a difference from zero

    def __str__(self) -> str:
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


def percent(share: float) -> str:
    """A share in whole percent, with a decimal where that would be 0 or 1."""
    return f"{share:.1%}" if 0 < share < 0.015 else f"{share:.0%}"


def as_figures(intervals: dict[str, Interval | None]) -> dict[str, float | None]:
    """Estimates and bounds by name: ``name``, ``name_low``, ``name_high``; None if not defined."""
    ends = {"": "estimate", "_low": "low", "_high": "high"}
    return {
        f"{name}{end}": getattr(interval, which, None)
        for name, interval in intervals.items()
        for end, which in ends.items()
    }


def share_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """A share with Wilson's score interval (Wilson 1927, JASA 22)."""
    bounds = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(successes / n, bounds.low, bounds.high)


def paired_difference(first: int, second: int, pairs: int, level: float = 0.95) -> Interval:
    """The difference of two shares that are counted on pairs, with Tango's score interval.

    Parameters
    ----------
    first, second
        Pairs in which only the first, and only the second, counts.
    pairs
        All pairs; at least one.

    Notes
    -----
    Tango (1998), Statistics in Medicine 17: the differences d that the score test does not reject.
    With q the likelihood's estimate of the second kind's share, given d, its statistic is
    (first - second - n d) / √(n (2 q + d (1 - d))); at d = 0 it is McNemar's. Without a pair
    in which one alone counts the interval is still as wide as so few pairs leave it.
    """
    limit = float(stats.norm.ppf((1 + level) / 2))
    estimate = (first - second) / pairs

    def statistic(d: float) -> float:
        linear = -first - second + (2 * pairs - first + second) * d
        root = np.sqrt(max(0.0, linear**2 + 8 * pairs * second * d * (1 - d)))
        share = (root - linear) / (4 * pairs)
        variance = pairs * (2 * share + d * (1 - d))
        gap = first - second - pairs * d
        return float(gap / np.sqrt(variance)) if variance > 1e-12 else float(np.sign(gap) * 1e6)

    def end(outermost: float, wanted: float) -> float:
        if abs(estimate - outermost) < 1e-9:
            return outermost
        inner = estimate + 1e-9 * np.sign(outermost - estimate)
        return float(optimize.brentq(lambda d: statistic(d) - wanted, outermost, inner))

    return Interval(estimate, end(-1.0, limit), end(1.0, -limit))


def mean_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """A mean with Student's interval; its ends are NaN if there are fewer than two values.

    Parameters
    ----------
    values
        Shape (n,), at least one.
    """
    mean, n, half = float(np.mean(values)), len(values), np.nan
    if n > 1:
        error = float(np.std(values, ddof=1)) / np.sqrt(n)
        half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(
    statistic: Callable[..., float],
    y: np.ndarray,
    *scores: np.ndarray,
    draws: int,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of ``statistic(y, *scores)`` over applicants, drawn class by class.

    Parameters
    ----------
    statistic
        Function of arrays of shape (n,) to a float.
    y, scores
        Shape (n,); ``y`` is 1 for good and 0 for bad.
    draws
        Bootstrap samples; each has as many good and bad applicants as ``y``.
    """
    y, generator = np.asarray(y), np.random.default_rng(seed)
    classes = [np.flatnonzero(y == label) for label in (0, 1)]
    drawn = np.empty(draws)
    for number in range(draws):
        rows = np.concatenate([generator.choice(rows, len(rows)) for rows in classes])
        drawn[number] = statistic(y[rows], *(score[rows] for score in scores))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(y, *scores)), float(low), float(high))
