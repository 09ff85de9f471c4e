"""Numbers of a column that look like codes of a state: -999, 9999999, or 98 where most are below 9.

A code lies far from all other values and repeats, as a value that happens to be large does not.
"""

import re

import numpy as np

#: A code is met at least so often.
LEAST_ROWS = 3
#: Different values besides the codes, at least.
LEAST_OTHERS = 3
#: More codes than this at one end of a column are none.
MOST_CODES = 4
#: The least gap between a code and the rest, in widths of the rest; and that of nines in a row.
GAP, GAP_OF_NINES = 1.0, 0.2
#: A gap so wide parts codes from counts of which most are small, however seldom they occur.
GAP_OF_COUNTS = 10.0
#: How often codes occur together, in times of how often the other values do; and nines nearer by.
OFTEN, OFTEN_OF_NINES = 2, 5

_NINES = re.compile(r"9{2,}[0-9]?")


def suspects(values: np.ndarray) -> tuple[float, ...]:
    """Numbers that may be codes, in ascending order; empty if none is suspect.

    Parameters
    ----------
    values
        The quantity, NaN where missing.
    """
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(found) < 5:
        return ()
    largest = _largest(found, counts)
    smallest = [-code for code in _largest(-found[::-1], counts[::-1])]
    return tuple(sorted({*smallest, *_negative(found, counts), *largest}))


def _negative(found: np.ndarray, counts: np.ndarray) -> list[float]:
    """A few negative whole numbers that repeat, in a column that is not negative otherwise."""
    negative = found < 0
    whole = bool(np.all(found[negative] == np.round(found[negative])))
    few = negative.sum() <= MOST_CODES and len(found) >= 5 * negative.sum()
    repeated = bool(np.all(counts[negative] >= LEAST_ROWS))
    return [float(value) for value in found[negative]] if whole and few and repeated else []


def _largest(found: np.ndarray, counts: np.ndarray) -> list[float]:
    """The largest values, if a wide gap parts them from the rest and each of them repeats."""
    for size in range(1, min(MOST_CODES, len(found) - LEAST_OTHERS) + 1):
        rest, end = found[:-size], found[-size:]
        usual = float(np.median(counts[:-size]))
        gap = (end[0] - rest[-1]) / max(rest[-1] - rest[0], 1.0)
        nines = all(_NINES.fullmatch(f"{abs(value):.15g}") for value in end)
        often = counts[-size:].sum()
        if counts[-size:].min() >= LEAST_ROWS and (
            gap > GAP_OF_COUNTS
            or (gap > GAP and (nines or often >= OFTEN * usual))
            or (gap > GAP_OF_NINES and nines and often >= OFTEN_OF_NINES * usual)
        ):
            return [float(value) for value in end]
    return []
