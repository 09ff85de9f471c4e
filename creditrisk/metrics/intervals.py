"""Estimates with their confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats
from scipy.special import ndtri


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    p: float | None = None  # two-sided, for a difference from zero

    def __str__(self) -> str:
        return f"{self.estimate:z.3f} ({self.low:z.3f} to {self.high:z.3f})"  # z: no -0.000


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
    return _wilson(successes / n, n, level)


def share_of(counted: np.ndarray, weight: np.ndarray | None = None) -> Interval:
    """The share of rows in which something is true, with its 95% interval.

    Parameters
    ----------
    counted
        Shape (n,), true or false; n is at least 1.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Notes
    -----
    Wilson's interval, with weights for the effective number of rows (:func:`effective_rows`), as
    Korn and Graubard (1998), Survey Methodology 24, do it with that of Clopper and Pearson.
    """
    counted = np.asarray(counted, dtype=bool)
    if weight is None:
        return share_interval(int(counted.sum()), len(counted))
    return _wilson(float(np.average(counted, weights=weight)), effective_rows(weight), 0.95)


def _wilson(share: float, n: float, level: float) -> Interval:
    """Wilson's score interval of a share of n rows; it ends at 0 for none and at 1 for all."""
    z = float(ndtri((1 + level) / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = float(middle - half) if share > 0 else 0.0
    high = float(middle + half) if share < 1 else 1.0
    return Interval(share, max(0.0, low), min(1.0, high))


def weight_of(weight: np.ndarray | None, rows: np.ndarray | slice) -> np.ndarray | None:
    """The weights of some rows, as an index or a mask; None if each row counts once."""
    return None if weight is None else weight[rows]


def counts_of(weight: np.ndarray | None, n: int) -> np.ndarray:
    """How often each of n rows counts, shape (n,): as it weighs, or once."""
    return np.ones(n) if weight is None else weight


def effective_rows(weight: np.ndarray) -> float:
    """How many equally weighted rows are as uncertain as these, (sum w)² / sum w² (Kish 1965)."""
    weight = np.asarray(weight, dtype=float)
    squares = float((weight**2).sum())
    return float(weight.sum() ** 2 / squares) if squares else 0.0


def weight_figures(weight: np.ndarray | None) -> dict[str, float]:
    """How many applications weighted rows (n,) stand for, and are worth; empty without weights."""
    if weight is None:
        return {}
    return {"applications": float(weight.sum()), "effective_rows": effective_rows(weight)}


def representative(weight: np.ndarray, seed: int) -> np.ndarray:
    """Rows that stand for the same applications as weighted ones, each of them once.

    For methods without a weighted form. As many are drawn as the weighted rows are worth, a row
    about as often as it weighs.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for.

    Returns
    -------
    ndarray of int, shape (effective rows,)
        Positions in rising order; a heavy row is there several times.

    Notes
    -----
    Systematic resampling (Kitagawa 1996, Journal of Computational and Graphical Statistics 5), of
    the rows in random order: next to the weights themselves it adds little chance.
    """
    generator, n = np.random.default_rng(seed), max(1, round(effective_rows(weight)))
    order = generator.permutation(len(weight))
    upto = np.cumsum(weight[order])
    places = (np.arange(n) + generator.random()) / n * upto[-1]
    return np.sort(order[np.searchsorted(upto, places, side="right")])


def quantiles(values: np.ndarray, shares: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """NumPy's quantiles of some values, each as often as it weighs beside the lightest.

    With whole weights, one of them 1, they are those of the values repeated so often.

    Parameters
    ----------
    values, weight
        Shape (n,), no NaN; a weight of None: each value counts once.
    shares
        Shape (quantiles,), from 0 to 1.
    """
    if weight is None:
        plain: np.ndarray = np.quantile(values, shares)
        return plain
    order = np.argsort(values, kind="stable")
    upto, ranked = np.cumsum(weight[order] / weight.min()), np.asarray(values)[order]
    place = np.asarray(shares) * (upto[-1] - 1)
    below = np.floor(place + 1e-9)
    first, second = (
        ranked[np.minimum(np.searchsorted(upto, at + 1e-9, side="right"), len(ranked) - 1)]
        for at in (below, below + 1)
    )
    found: np.ndarray = first + np.maximum(place - below, 0) * (second - first)
    return found


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
    weight: np.ndarray | None = None,
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
    weight
        Shape (n,), how many applications each row stands for: a last argument of ``statistic``,
        drawn along with the rows. None: each row counts once, and there is no such argument.
    """
    if weight is not None:
        scores = (*scores, weight)
    y, generator = np.asarray(y), np.random.default_rng(seed)
    classes = [np.flatnonzero(y == label) for label in (0, 1)]
    drawn = np.empty(draws)
    for number in range(draws):
        rows = np.concatenate([generator.choice(rows, len(rows)) for rows in classes])
        drawn[number] = statistic(y[rows], *(score[rows] for score in scores))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(y, *scores)), float(low), float(high))
