"""Which row of a table a value has: a category's level, a quantity's piece, or a state."""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Pieces:
    """The rows of one field in a table that holds a row for each value or range of values.

    A category has a row for each code. A quantity has one for each of its states, and one for each
    of the pieces into which the cuts divide it. Codes are those of
    :class:`creditrisk.data.applications.domain.Domain`.
    """

    start: int  # the field's first row
    count: int  # its rows
    states: tuple[float, ...]  # the codes that have a row of their own, in the order of the rows
    cuts: np.ndarray | None = None  # the highest value of each piece but the last; None: a category
    _cuts: list[float] = field(init=False, repr=False, compare=False)  # a list is faster for one
    _rows: dict[float, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cuts", [] if self.cuts is None else self.cuts.tolist())
        rows = {code: self.start + number for number, code in enumerate(self.states)}
        object.__setattr__(self, "_rows", rows)

    def one(self, code: float) -> int:
        """The row of one code."""
        row = self._rows.get(code)
        if row is not None:
            return row
        return self.start + len(self.states) + bisect_left(self._cuts, code)

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The rows (n,) of codes (n,)."""
        if self.cuts is None:
            return self.start + codes.astype(np.int64)
        rows: np.ndarray = self.start + len(self.states) + np.searchsorted(self.cuts, codes)
        for number, code in enumerate(self.states):
            rows[codes == code] = self.start + number
        return rows


def float32_cuts(thresholds: np.ndarray) -> np.ndarray:
    """The largest numbers that are not above thresholds once they are rounded to 32 bits.

    scikit-learn's trees compare a value as float32 with a threshold as float64. Comparing the value
    itself with these numbers comes to the same.

    Parameters
    ----------
    thresholds
        Shape (n,), float64.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    below = thresholds.astype(np.float32)
    over = below > thresholds
    below[over] = np.nextafter(below[over], np.float32(-np.inf))
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(float) + above.astype(float)) / 2  # exact: 25 bits
    # Rounding to even: the middle goes down only if the last bit of the lower neighbour is 0.
    even = below.view(np.uint32) & 1 == 0
    cuts: np.ndarray = np.where(even, middle, np.nextafter(middle, -np.inf))
    return cuts
