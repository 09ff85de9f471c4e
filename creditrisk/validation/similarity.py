"""How alike applications are: Gower's distance, and each one's nearest among others."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity, places

#: Distances that are held in memory at once.
AT_ONCE = 2_000_000


def nearest(
    applications: pd.DataFrame, others: pd.DataFrame, contract: Contract, count: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Each application's nearest among others, and how far away they are.

    The distance of two applications is the mean over the contract's columns: of a category 0 if
    both have the same level and else 1; of a quantity the difference over the range in ``others``,
    in logarithms if the contract says that it spreads over orders of magnitude, and at most 1. A
    missing value or special code is at 0 from the same and at 1 from anything else.

    Parameters
    ----------
    applications, others
        Raw, shapes (n, columns of an application) and (m, columns of an application).
    count
        How many of the others, at most m.

    Returns
    -------
    distances : ndarray, shape (n, count)
        From 0 to 1, the nearest first.
    positions : ndarray of int, shape (n, count)
        In ``others``.

    Notes
    -----
    Gower (1971), Biometrics 27, with equal weights. It takes time in proportion to n · m.
    """
    distances = np.empty((len(applications), count))
    positions = np.empty((len(applications), count), dtype=int)
    parts = [list(_parts(frame, others, contract)) for frame in (applications, others)]
    step = max(1, AT_ONCE // len(others))
    for start in range(0, len(applications), step):
        rows = slice(start, start + step)
        apart = np.zeros((len(applications.iloc[rows]), len(others)), dtype=np.float32)
        for (state, value), (other_state, other_value) in zip(*parts, strict=True):
            alike = state[rows, None] == other_state
            gap = np.abs(value[rows, None] - other_value)
            apart += np.where(alike, np.minimum(gap, 1), 1)
        found = np.argpartition(apart, count - 1, axis=1)[:, :count]
        of_found = np.take_along_axis(apart, found, axis=1)
        order = of_found.argsort(axis=1, kind="stable")
        positions[rows] = np.take_along_axis(found, order, axis=1)
        distances[rows] = np.take_along_axis(of_found, order, axis=1) / len(contract.fields)
    return distances, positions


def _parts(
    frame: pd.DataFrame, scale: pd.DataFrame, contract: Contract
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each column the level or state (n,), and the quantity over its range (n,), 0 if none."""
    for field in contract.fields:
        column = frame[field.name]
        if field.levels is not None:
            yield (
                levels_with_missing(column, field).cat.codes.to_numpy(),
                np.zeros(len(frame), "f4"),
            )
            continue
        within = _scaled(scale[field.name], field)
        span = float(within.max() - within.min()) or 1.0
        value = (_scaled(column, field) / span).fillna(0).to_numpy(dtype=np.float32)
        yield places(column, field, np.array([])), value


def _scaled(values: pd.Series, field: Field) -> "pd.Series[float]":
    """A quantity as it is compared, NaN where there is none."""
    quantity = as_quantity(values, field)
    return np.log(quantity) if field.scale == "log" else quantity
