"""The values that a column may be changed to, as the model's tables tell them apart.

Between two cuts of the tables every member of a model that is constant by piece, such as a forest,
answers alike. Of a quantity that only such members see, the highest and the lowest value of each
piece are enough: one of them is the nearest. Of a quantity under a curve, a straight line or a
spline, every value that can be stated is there.

What can be stated: whole numbers of a whole column, and otherwise decimals of so many places that
the range in training has at least :data:`STEPS` steps. A piece too narrow for any of them has the
next finer decimal that falls into it. A whole column under a curve whose range is over ten times
:data:`STEPS` is stated in tens, hundreds and so on by the same rule.

Of a model without tables, such as boosted trees, nothing is known between two values, and each
mixture has to be scored. Its quantities have a grid of 20 to 50 round steps, and between the grid's
values a smaller change may do.
"""

import math
from dataclasses import dataclass

import numpy as np

from creditrisk.data.applications.domain import Domain
from creditrisk.data.fields import Field
from creditrisk.scoring.lookup_tables import Forest, Linear, LookupTables

#: The fewest steps over its range in which a quantity is stated, and those of a grid.
STEPS, GRID_STEPS = 10_000, 20

#: By how many units of a power of ten a grid goes on.
ROUND = (1, 2, 5)

#: Values under a curve that are bounded together.
TOGETHER = 64

#: Whole numbers up to this are exact as floats.
EXACT = 2.0**53


@dataclass(frozen=True)
class Column:
    """The values of one column, in groups.

    In a group all values lie in one piece of each member's tables.
    """

    number: int
    codes: np.ndarray  # (n,), of a quantity ascending
    groups: np.ndarray  # (n,): the number of each value's group, ascending
    curved: bool  # whether the model's answer varies within a group
    unit: float  # of the effort: the range of a quantity, the steps between ordered levels; 0: none
    rows: tuple[np.ndarray, ...]  # by forest, (n,): the row in its tables
    shares: tuple[np.ndarray, ...]  # by regression, (n,): what it adds to the log-odds

    def efforts(self, code: float) -> np.ndarray:
        """The effort of a change from one value to each, (n,)."""
        if not self.unit:
            return np.ones(len(self.codes))
        return np.abs(self.codes - code) / self.unit


def columns_of(
    domain: Domain, tables: LookupTables | None, ranges: dict[str, tuple[float, float]]
) -> list[Column]:
    """The columns that may be changed, with the values that some applicant may change them to.

    Parameters
    ----------
    ranges
        By quantity, the lowest and the highest value of training; one without is left out.
    """
    found = []
    for number, field in enumerate(domain.contract.fields):
        if field.immutable or field.protected:
            continue
        if field.levels is not None:
            levels = enumerate(field.levels)
            codes = np.array([place for place, level in levels if level != field.unlisted], float)
            groups, unit = np.arange(len(codes)), float(len(field.levels) - 1) * field.ordered
        elif field.name in ranges:
            low = max(ranges[field.name][0], field.limits[0])
            high = min(ranges[field.name][1], field.limits[1])
            if not low < high:
                continue
            if tables is None:
                codes = _off_states(_grid(low, high, field.whole), low, high, field)
                groups = np.arange(len(codes))
            else:
                codes, groups = _quantity(number, field, tables, low, high)
            unit = high - low
        else:
            continue
        members = () if tables is None else tables.members
        rows = (each.pieces[number].many(codes) for each in members if isinstance(each, Forest))
        shares = (each.shares(number, codes) for each in members if isinstance(each, Linear))
        curved = field.levels is None and _is_curved(number, members)
        found.append(Column(number, codes, groups, curved, unit, tuple(rows), tuple(shares)))
    return found


def _is_curved(number: int, members: tuple[Linear | Forest, ...]) -> bool:
    """Whether a model's answer may vary within a piece of a quantity."""
    return any(isinstance(each, Linear) and each.curved[number] for each in members)


def _quantity(
    number: int, field: Field, tables: LookupTables, low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """The values of a quantity, ascending, and the number of each one's group."""
    curved, coarsest = _is_curved(number, tables.members), _exponent(high - low, STEPS)
    if field.whole:
        coarsest = max(coarsest, 0) if curved else 0
    cuts = _cuts(number, field, tables, low, high)
    parts = [_ends_of_pieces(np.append(cuts, high), low, coarsest, field.whole)]
    if curved:
        steps = np.arange(float(_step(low, coarsest)), float(_step(high, coarsest)) + 1)
        parts += [_decimals(steps, coarsest), np.array([low, high])]
    codes = _off_states(np.concatenate(parts), low, high, field)
    pieces = np.searchsorted(cuts, codes)
    begin = np.searchsorted(pieces, pieces)  # where each value's piece begins
    new = (np.arange(len(codes)) - begin) % TOGETHER == 0
    return codes, np.cumsum(new) - 1


def _grid(low: float, high: float, whole: bool) -> np.ndarray:
    """Round values of equal steps, and both ends."""
    exponent = _exponent(high - low, GRID_STEPS)
    exponent = max(exponent, 0) if whole else exponent
    steps = np.arange(float(_step(low, exponent)), float(_step(high, exponent)) + 1)
    wide = [each for each in ROUND if len(steps) > each * GRID_STEPS]
    steps = steps[steps % max(wide, default=1) == 0]
    return np.concatenate([[low], _decimals(steps, exponent), [high]])


def _off_states(codes: np.ndarray, low: float, high: float, field: Field) -> np.ndarray:
    """Those values within bounds that are no special codes, ascending, each once."""
    inside = (codes >= low) & (codes <= high) & ~np.isin(codes, field.special_values)
    return np.unique(codes[inside])


def _cuts(number: int, field: Field, tables: LookupTables, low: float, high: float) -> np.ndarray:
    """The highest value of each piece but the last; a special code is a piece of its own."""
    special = np.array(field.special_values, float)
    below = special - 1 if field.whole else np.nextafter(special, -np.inf)
    found = np.concatenate([special, below, tables.cuts(number)])
    return np.unique(found[(found >= low) & (found < high)])


def _exponent(width: float, steps: int) -> int:
    """The power of ten of which a width has at least so many steps."""
    return math.floor(math.log10(width / steps) + 1e-9)


def _ends_of_pieces(last: np.ndarray, low: float, coarsest: int, whole: bool) -> np.ndarray:
    """The lowest and the highest value of each piece, in the coarsest decimals that it has.

    Parameters
    ----------
    last
        The highest number of each piece, ascending. Whole numbers may have none in a piece.
    low
        The lowest number of the first piece.
    """
    after = np.append(np.nextafter(low, -np.inf), last[:-1])
    found = []
    for exponent in range(coarsest, coarsest - 18, -1):
        lowest = _decimals(_step(after, exponent), exponent)
        lowest = np.where(lowest > after, lowest, _decimals(_step(after, exponent) + 1, exponent))
        highest = _decimals(_step(last, exponent), exponent)
        inside = (lowest > after) & (lowest <= last) & (highest > after) & (highest <= last)
        found += [lowest[inside], highest[inside]]
        after, last = after[~inside], last[~inside]
        if not len(last) or (whole and exponent <= 0):
            return np.concatenate(found)
    return np.concatenate([*found, last])  # so narrow that no short decimal lies in it


def _step(bound: np.ndarray | float, exponent: int) -> np.ndarray:
    """The last step of a power of ten that is not above a bound."""
    near = np.clip(np.floor(np.divide(bound, 10.0**exponent)), -EXACT, EXACT)
    step = np.where(_decimals(near, exponent) > bound, near - 1, near)
    found: np.ndarray = np.where(_decimals(step + 1, exponent) <= bound, step + 1, step)
    return found


def _decimals(steps: np.ndarray, exponent: int) -> np.ndarray:
    """So many steps of a power of ten, to the last bit what one would write."""
    power = 10.0 ** abs(exponent)
    return steps * power if exponent >= 0 else steps / power
