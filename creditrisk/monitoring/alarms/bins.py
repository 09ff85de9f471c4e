"""The bins in which a column's values, or the scores, are counted."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity, places, state_names
from creditrisk.monitoring.alarms.sequential import Counts, Floats

#: Bins of a quantity, and the smallest share and number of reference rows that make up a bin.
BINS, SMALLEST_SHARE, SMALLEST = 10, 0.02, 5


@dataclass(frozen=True)
class Bins:
    """How the values of one column are put into bins, as the reference sample has them."""

    title: str
    field: Field | None  # None for the score
    edges: Floats  # of a quantity; empty for a category
    bin_of: Counts  # of each interval between edges, or of each level
    ordered: bool
    names: tuple[str, ...]  # of the bins

    def codes(self, values: pd.Series) -> Counts:
        """The bin of each value; one that is unknown is put into the last."""
        codes: Counts = self.bin_of[_places(values, self.field, self.edges)]
        return codes


def bins_of(values: pd.Series, title: str, field: Field | None) -> Bins:
    """The bins of a column: tenths of the reference sample, or levels; rare ones are joined."""
    if field is not None and field.levels is not None:
        edges, ordered = np.empty(0), field.ordered
        names = [str(level) for level in field.all_levels]
    else:
        numbers = values.astype(float) if field is None else as_quantity(values, field)
        edges = np.unique(numbers.quantile(np.linspace(0, 1, BINS + 1)[1:-1]).dropna())
        states = [] if field is None else state_names(field)
        ordered = not states  # a state has no place among the quantities
        names = [*_ranges(edges, field), *states]
    counts = np.bincount(_places(values, field, edges), minlength=len(names))
    least = max(SMALLEST, SMALLEST_SHARE * len(values))
    bin_of = _joined(counts, least) if ordered else _others(counts, least)
    joined = [
        " or ".join(name for name, bin in zip(names, bin_of) if bin == number)
        for number in range(bin_of.max() + 1)
    ]
    return Bins(title, field, edges, bin_of, ordered, tuple(joined))


def _places(values: pd.Series, field: Field | None, edges: Floats) -> Counts:
    """The number of each value's range or level; a value at an edge is above it."""
    if field is None:
        found: Counts = np.searchsorted(edges, values.to_numpy(dtype=float), side="right")
    elif field.levels is None:
        found = places(values, field, np.nextafter(edges, -np.inf))
    else:
        found = levels_with_missing(values, field).cat.codes.to_numpy()
    return found


def _ranges(edges: Floats, field: Field | None) -> list[str]:
    """Names of the ranges between edges."""
    if field is None:
        ends = [f"{edge:.2f}" for edge in edges]
    elif field.is_dated:
        ends = [field.rounded(edge) for edge in edges]
    else:
        ends = [f"{edge:,.10g}" for edge in edges]
    if not ends:
        return ["any"]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    return [f"under {ends[0]}", *between, f"{ends[-1]} and more"]


def _joined(counts: Counts, least: float) -> Counts:
    """Neighbours joined until each bin has enough rows; the last may have to join the one below."""
    bin_of, number, so_far = np.zeros(len(counts), dtype=np.int64), 0, 0
    for place, count in enumerate(counts):
        bin_of[place], so_far = number, so_far + count
        if so_far >= least:
            number, so_far = number + 1, 0
    bin_of[bin_of == number] = max(0, number - 1)
    return bin_of


def _others(counts: Counts, least: float) -> Counts:
    """Rare levels joined with each other, and if that is still rare with the next larger."""
    order = np.argsort(counts, kind="stable")
    enough = int(np.searchsorted(np.cumsum(counts[order]), least)) + 1
    joined = max(enough, int((counts < least).sum())) if (counts < least).any() else 0
    bin_of = np.empty(len(counts), dtype=np.int64)
    rare = order[:joined]
    kept = np.sort(order[joined:])
    bin_of[kept] = np.arange(len(kept))
    bin_of[rare] = len(kept)
    return bin_of
