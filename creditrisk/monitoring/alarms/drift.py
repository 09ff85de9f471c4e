"""Drift of the applicants: how far each month's columns and score are from the training sample.

Two statistics a column: the population stability index, which finds any change of the spread, and
where the values have an order the mean rank, which finds a move in one direction that is spread
over many bins. Limits allow for the number of columns, windows and months; see
:mod:`creditrisk.monitoring.alarms.sequential`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.metrics.stability import score_title
from creditrisk.monitoring.alarms.bins import Bins, bins_of
from creditrisk.monitoring.alarms.sequential import (
    FEWEST,
    WINDOWS,
    Counts,
    Floats,
    normal_score,
    quiet_paths,
    spending_limits,
    statistic_at,
    windowed,
)


@dataclass(frozen=True)
class Reference:
    """The sample that months are compared with: its bins, and each row's place in them."""

    bins: tuple[Bins, ...]  # of columns in which something can change, the score last
    features: Floats  # shape (rows, bins of all columns): 1 where the row lies in the bin
    starts: Counts  # where each column's bins begin
    ranks: Floats  # of each bin: the mean rank of its reference rows, between 0 and 1

    @property
    def degrees(self) -> Floats:
        """Bins of each column, less one."""
        return np.diff([*self.starts, self.features.shape[1]]) - 1.0

    @property
    def ordered(self) -> npt.NDArray[np.bool_]:
        """Of which columns the values have an order."""
        return np.array([bins.ordered for bins in self.bins])

    def placed(self, applications: pd.DataFrame, score: Floats) -> Floats:
        """The features of other applications, shape (n, bins of all columns)."""
        parts = []
        for bins in self.bins:
            values = pd.Series(score) if bins.field is None else applications[bins.field.name]
            parts.append(np.eye(len(bins.names), dtype=np.float32)[bins.codes(values)])
        return np.concatenate(parts, axis=1)


def reference_of(applications: pd.DataFrame, score: Floats, contract: Contract) -> Reference:
    """Bins and features of the sample that months are compared with.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application).
    score
        Shape (n,): probabilities of good by a model that has not learned from these rows.
    """
    found = [bins_of(applications[field.name], field.title, field) for field in contract.fields]
    found.append(bins_of(pd.Series(score), score_title(contract), None))
    bins = tuple(each for each in found if len(each.names) > 1)
    sizes = [len(each.names) for each in bins]
    starts = np.cumsum([0, *sizes[:-1]])
    draft = Reference(bins, np.empty((0, sum(sizes))), starts, np.empty(0))
    features = draft.placed(applications, score)
    shares = features.mean(axis=0, dtype=np.float64)
    ranks = np.concatenate(
        [np.cumsum(part) - part / 2 for part in np.split(shares, starts[1:])],
    )
    return Reference(bins, features, starts, ranks)


@dataclass(frozen=True)
class Distances:
    """How far windows of months are from the reference, over the last axis by column."""

    index: Floats  # population stability index
    move: Floats  # mean rank less that of the reference; 0 where values have no order
    score: Floats  # the more surprising of the two, on the scale of sequential.normal_score


def distances(
    reference: Reference,
    before: Floats,
    after: Floats,
    n: Floats | Counts | int,
    m: Floats | Counts,
) -> Distances:
    """Compare counts with those of the reference.

    Parameters
    ----------
    before, after
        Counts in the bins of all columns, shapes (..., bins), of ``n`` and ``m`` applicants.

    Notes
    -----
    PSI · n m / (n + m) is about chi-squared with one degree of freedom fewer than bins (Yurdakul
    and Naranjo 2020, Journal of Risk Model Validation 14). Where a bin is empty on one side, half
    an applicant is added on both.
    """
    n, m = (np.maximum(np.asarray(each, dtype=float), 1)[..., None] for each in (n, m))
    padding = 0.5 * ((before == 0) | (after == 0))
    b, a = (before + padding) / n, (after + padding) / m
    index = np.add.reduceat((a - b) * np.log(a / b), reference.starts, axis=-1)
    size = n * m / (n + m)
    score = normal_score(size * index, reference.degrees)

    means, squares = [], []
    for counts, total in ((before, n), (after, m)):
        weighted = counts * reference.ranks
        means.append(np.add.reduceat(weighted, reference.starts, axis=-1) / total)
        weighted = weighted * reference.ranks
        squares.append(np.add.reduceat(weighted, reference.starts, axis=-1) / total)
    variance = np.maximum(
        (n * (squares[0] - means[0] ** 2) + m * (squares[1] - means[1] ** 2)) / (n + m), 1e-12
    )
    move = np.where(reference.ordered, means[1] - means[0], 0.0)
    one_way = normal_score(size * move**2 / variance, 1.0)
    return Distances(index, move, np.where(reference.ordered, np.maximum(score, one_way), score))


def drift_table(
    reference: Reference,
    counts: Floats,
    sizes: Counts,
    spend: Floats,
    *,
    draws: int,
    seed: int | Sequence[int],
) -> pd.DataFrame:
    """Every column in every month and window, with the limit that allows for all of them.

    Parameters
    ----------
    counts
        Shape (months, bins of all columns).
    sizes
        Applicants of each month.
    spend
        Of each month: the probability that a false alarm comes then, see ``sequential.shares``.

    Returns
    -------
    DataFrame
        One row a month (numbered from 0), window (months judged together) and column (number in
        ``reference.bins``): applicants, psi and psi_limit, move (of the mean rank, between -1 and
        1; its sign is the direction), score and limit (on one scale for all), alarm, moved (what
        has changed most, where there is an alarm) and jump, the index between the last month and
        the one before it, or the reference if there is none.
    """
    n = len(reference.features)
    paths = quiet_paths(reference.features, sizes.tolist(), draws, seed)
    peaks = np.full((draws, len(sizes)), -np.inf)
    parts = []
    base = reference.features.sum(axis=0, dtype=np.float64)
    for window in WINDOWS:
        m = windowed(sizes[:, None], window)[:, 0]
        enough = (m >= FEWEST) & (sizes > 0)
        drawn = distances(
            reference, paths.reference[:, None, :], windowed(paths.months, window), n, m
        )
        peaks = np.maximum(peaks, np.where(enough, drawn.score.max(axis=-1), -np.inf))
        after = windowed(counts, window)
        parts.append((window, m, enough, after, distances(reference, base, after, n, m)))
    limits = spending_limits(peaks, spend)
    tables = [_rows(reference, *part, limits) for part in parts]
    jump = _jumps(reference, counts, sizes)
    for table in tables:
        table["jump"] = jump[table.month, table.column]
    return pd.concat(tables, ignore_index=True).sort_values(["month", "window", "column"])


def _jumps(reference: Reference, counts: Floats, sizes: Counts) -> Floats:
    """The index of each month against the one before it, shape (months, columns)."""
    base = reference.features.sum(axis=0, dtype=np.float64)
    before = np.concatenate([base[None], counts[:-1]])[: len(counts)]
    n = np.array([len(reference.features), *sizes[:-1]])[: len(counts)]
    return distances(reference, before, counts, np.maximum(n, 1), sizes).index


def _rows(
    reference: Reference,
    window: int,
    m: Floats,
    enough: npt.NDArray[np.bool_],
    after: Floats,
    found: Distances,
    limits: Floats,
) -> pd.DataFrame:
    """One window's rows of the table, those of months with too few applicants left out."""
    months, columns = np.nonzero(np.broadcast_to(enough[:, None], found.index.shape))
    n, limit = len(reference.features), limits[months]
    size = n * m[months] / (n + m[months])
    table = pd.DataFrame(
        {
            "month": months,
            "window": window,
            "column": columns,
            "applicants": m[months].astype(int),
            "psi": found.index[months, columns],
            "psi_limit": statistic_at(limit, reference.degrees[columns]) / size,
            "move": found.move[months, columns],
            "score": found.score[months, columns],
            "limit": limit,
        }
    )
    table["alarm"] = table.score > table.limit
    table["moved"] = [
        moved(reference, int(column), after[month] / m[month]) if alarm else ""
        for month, column, alarm in zip(months, columns, table.alarm, strict=True)
    ]
    return table


def moved(reference: Reference, column: int, shares: Floats) -> str:
    """The bin of a column that has changed most, with its shares in the reference and now.

    Parameters
    ----------
    column
        Number in ``reference.bins``.
    shares
        Of the bins of all columns, now.
    """
    bins, start = reference.bins[column], reference.starts[column]
    chosen = slice(start, start + len(bins.names))
    before, now = reference.features[:, chosen].mean(axis=0), shares[chosen]
    least = 0.5 / len(reference.features)
    parts = (now - before) * np.log((now + least) / (before + least))
    most = int(parts.argmax())
    return f"“{bins.names[most]}” from {before[most]:.0%} to {now[most]:.0%}"
