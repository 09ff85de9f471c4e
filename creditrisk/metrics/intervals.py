"""Estimates with their confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    p: float | None = None  # two-sided, for a difference from zero

    def __str__(self) -> str:
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


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
