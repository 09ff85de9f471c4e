"""Inspection of a model: importance, dependence, sensitivity and extrapolation by field.

Everything is computed from a scorer's answers to raw applications, so it applies to any model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.cells import dtype
from creditrisk.data.fields import Field, Value
from creditrisk.data.missing_values import MISSING
from creditrisk.metrics.placements import by_class, placement_shares, variance_of_mean
from creditrisk.scoring.scorer import Scorer

#: Values at which the dependence on a quantity is shown.
POINTS = 50


def importance(
    scorer: Scorer,
    applications: pd.DataFrame,
    y: np.ndarray,
    *,
    repeats: int = 20,
    seed: int = 7,
    level: float = 0.95,
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """Permutation importance: the ROC-AUC lost if a field's values are shuffled.

    Parameters
    ----------
    applications, y
        Raw applications the model was not trained on and their outcomes, 1 = good.
    repeats
        How often each field is shuffled; the losses are averaged.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    DataFrame
        One row a field, largest loss first: field, loss, low, high. The interval allows for the
        choice of the applicants and for the shuffles.

    Notes
    -----
    Breiman (2001), Machine Learning 45, over raw fields instead of encoded columns. The variance
    over applicants is DeLong's for the difference of two areas, the second being the mean over
    the repeats; that of the shuffles is the variance of this mean.
    """
    y, generator = np.asarray(y), np.random.default_rng(seed)
    whole, rows = placement_shares(y, scorer.probabilities(applications), weight), []
    counts = by_class(y, weight)
    for field in scorer.contract.fields:
        column = applications[field.name]
        shuffled = [generator.permutation(len(column)) for _ in range(repeats)]
        lost = [
            [before - after for before, after in zip(whole, placement_shares(y, scores, weight))]
            for scores in (
                _with(scorer, applications, field, column.take(each)) for each in shuffled
            )
        ]
        losses = np.array([np.average(good, weights=counts[0]) for good, _ in lost])
        by_good, by_bad = (np.mean(part, axis=0) for part in zip(*lost))
        variance = variance_of_mean(by_good, counts[0]) + variance_of_mean(by_bad, counts[1])
        error = np.sqrt(variance + losses.var(ddof=1) / repeats)
        bounds = losses.mean() + stats.norm.ppf((1 + level) / 2) * error * np.array([0, -1, 1])
        rows.append((field.name, *bounds))
    table = pd.DataFrame(rows, columns=["field", "loss", "low", "high"])
    return table.sort_values("loss", ascending=False, kind="stable", ignore_index=True)


def dependence(scorer: Scorer, applications: pd.DataFrame, name: str) -> pd.DataFrame:
    """Partial dependence: the probability of a good risk if all had the same value in one field.

    Returns
    -------
    DataFrame
        One row a value over the contract's range (None for missing): value, the applicants' mean
        probability, and their 10% and 90% quantiles low and high.
    """
    field = scorer.contract[name]
    values = _grid(field, applications[field.name])
    scores = [_with(scorer, applications, field, [value] * len(applications)) for value in values]
    low, high = np.quantile(scores, [0.1, 0.9], axis=1)
    kind = None if field.levels is None else object  # None is a level
    return pd.DataFrame(
        {
            "value": pd.Series(values, dtype=kind),
            "probability": np.mean(scores, axis=1),
            "low": low,
            "high": high,
        }
    )


def sensitivity(scorer: Scorer, applications: pd.DataFrame, share: float = 0.1) -> pd.DataFrame:
    """The effect of small errors in the input: quantities off by a share, ordered levels by one.

    Where a value may be missing, that is tried as well. Values stay within the contract; an
    applicant whose value cannot move is not counted.

    Returns
    -------
    DataFrame
        One row a field and direction, or missing: field, change, applicants, mean_change and
        largest_change of the probability, and flipped, the share of decisions that change.
    """
    rows = []
    for field in scorer.contract.fields:
        values = applications[field.name]
        if not field.required:
            none = pd.Series(np.nan, values.index, dtype=object)
            stated = values.notna().to_numpy()
            rows.append((field.name, MISSING, *_moved(scorer, applications, field, none, stated)))
        if field.levels is not None and not field.ordered:
            continue
        for step in (-1, 1):
            change = f"{step * share:+.0%}" if field.levels is None else f"{step:+d} level"
            moved = pd.Series([_near(v, field, step, share) for v in values], values.index)
            inside = (moved != values) & values.notna()
            rows.append((field.name, change, *_moved(scorer, applications, field, moved, inside)))
    return pd.DataFrame(rows, columns=["field", "change", *_MOVED])


def extrapolation(
    scorer: Scorer, applications: pd.DataFrame, training: pd.DataFrame
) -> pd.DataFrame:
    """The model beyond its training data: quantities at the contract's limits, where it has some.

    Parameters
    ----------
    applications
        Raw applications, whose quantities are set to the limits one at a time.
    training
        The raw applications the model was trained on.

    Returns
    -------
    DataFrame
        One row a quantity and limit: field, limit, seen (the nearest value in training), and how
        the applicants' probabilities at the limit differ from those at ``seen``: applicants,
        mean_change, largest_change and flipped.
    """
    rows = []
    for field in scorer.contract.numbers:
        known = _quantities(training[field.name], field)
        for limit, near in ((field.minimum, known.min()), (field.maximum, known.max())):
            if limit is None or pd.isna(near):
                continue
            at_known = applications.assign(**{field.name: near})
            at_limit, all_rows = at_known[field.name] * 0 + limit, np.ones(len(at_known), bool)
            moved = _moved(scorer, at_known, field, at_limit, all_rows)
            rows.append((field.name, limit, near, *moved))
    return pd.DataFrame(rows, columns=["field", "limit", "seen", *_MOVED])


_MOVED = ["applicants", "mean_change", "largest_change", "flipped"]


def _moved(
    scorer: Scorer, before: pd.DataFrame, field: Field, values: pd.Series, inside: np.ndarray
) -> tuple[int, float, float, float]:
    """The change if the applicants ``inside`` had another value; NaN if there are none."""
    if not inside.any():
        return 0, np.nan, np.nan, np.nan
    scores = scorer.probabilities(before[inside])
    changed = _with(scorer, before[inside], field, values[inside])
    change = changed - scores
    flipped = (changed >= scorer.cutoff) != (scores >= scorer.cutoff)
    return int(inside.sum()), change.mean(), change[np.abs(change).argmax()], flipped.mean()


def _with(
    scorer: Scorer, applications: pd.DataFrame, field: Field, values: Sequence[Any] | pd.Series
) -> np.ndarray:
    """The probabilities (n,) if one field had other values."""
    column = pd.Series(np.asarray(values, dtype=object), applications.index).astype(dtype(field))
    return scorer.probabilities(applications.assign(**{field.name: column}))


def _grid(field: Field, known: pd.Series) -> list[Value]:
    """Every level, or points over a quantity's range: the contract's, or else that of the data."""
    if field.levels is not None:
        return [*field.levels, *([] if field.required else [None])]
    quantities = _quantities(known, field)
    low = quantities.min() if field.minimum is None else field.minimum
    high = quantities.max() if field.maximum is None else field.maximum
    space = np.geomspace if field.scale == "log" else np.linspace
    points = space(float(low), float(high), POINTS)
    found: list[Value] = np.unique(points.round().astype(int) if field.whole else points).tolist()
    return found


def _quantities(values: pd.Series, field: Field) -> pd.Series:
    """The values of a column that are quantities: neither missing nor special codes."""
    return values[values.notna() & ~values.isin(field.special_values)]


def _near(value: Any, field: Field, step: int, share: float) -> Any:
    """A quantity changed by a share, or the next level; the value itself if there is none."""
    if field.levels is None:
        if pd.isna(value) or value in field.special_values:
            return value
        (low, high), moved = field.limits, value * (1 + step * share)
        return min(max(round(moved) if field.whole else moved, low), high)
    if pd.isna(value):
        return value
    number = field.levels.index(value) + step
    return field.levels[number] if 0 <= number < len(field.levels) else value
