"""A data frame of raw applications as the codes of their values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.domain import Domain
from creditrisk.data.fields import Field, Level
from creditrisk.data.record_checks import InvalidRecords, RecordProblem, record_problems


def frame_codes(frame: pd.DataFrame, allowed: Domain) -> np.ndarray:
    """The codes of each row's values; NaN and None are blanks, which the contract may refuse.

    Parameters
    ----------
    frame
        Raw applications, shape (n, columns of an application), in any order of the columns.

    Returns
    -------
    ndarray of int, shape (n, fields)

    Raises
    ------
    InvalidRecords
        If the contract does not allow a row, with the messages of
        :func:`creditrisk.data.record_checks.record_problems`.
    """
    if not frame.columns.is_unique:
        doubled = frame.columns[frame.columns.duplicated()][0]
        problem = RecordProblem(1, str(doubled)[:40], "stands in more than one column")
        raise InvalidRecords([problem])
    found = np.full((len(frame), len(allowed.values)), -1)
    fields = allowed.contract.fields
    for number, (each, start, values) in enumerate(zip(fields, allowed.starts, allowed.values)):
        if each.name in frame:
            found[:, number] = _column_codes(frame[each.name], each, start, values)
    unknown = len(frame.columns) > sum(each.name in frame for each in fields)
    bad = np.arange(len(frame)) if unknown else np.flatnonzero((found < 0).any(axis=1))
    if len(bad):
        plain = {name: _plain(frame[name]) for name in frame.columns}
        rows = [{name: column[row] for name, column in plain.items()} for row in bad]
        raise InvalidRecords(
            [
                RecordProblem(int(row) + 1, *problem)
                for row, record in zip(bad, rows)
                for problem in record_problems(record, allowed.contract)
            ]
        )
    return found


def as_stated(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Raw applications as their applicants state them: a missing value by its label.

    Where the contract has no label for it, a missing value stays as it is.
    """
    columns = {
        field.name: frame[field.name].astype(object).where(frame[field.name].notna(), label)
        for field in contract.fields
        if (label := field.missing_label) is not None and field.name in frame
    }
    return frame.assign(**columns)


def _column_codes(
    column: pd.Series, each: Field, start: int, values: Sequence[Level | None]
) -> np.ndarray:
    """The code of each value of a column, -1 for one that is not allowed."""
    if each.levels is None and column.dtype.kind in "iu":
        low, high = each.bounds
        inside = column.between(low, high).to_numpy()
        return np.where(inside, column.to_numpy().astype(np.int64) - low + start, -1)
    if pd.api.types.is_integer_dtype(column) or isinstance(column.dtype, pd.StringDtype):
        # One type throughout: ask once for each distinct value.
        numbers, distinct = pd.factorize(column)
        distinct = distinct.tolist()
    else:
        numbers, distinct = np.arange(len(column)), _plain(column)
    wanted = int if each.type == "integer" else str
    blank = start + len(values) - 1  # the code of a missing value, where there is one

    def code(value: Any) -> int:
        if type(value) is wanted and value in values:
            return start + values.index(value)
        if value is None:
            return blank if each.takes_blank else -1
        return blank if type(value) is str and value == each.missing_label else -1

    found = [code(value) for value in (*distinct, None)]  # code -1, the last, is a missing value
    return np.asarray(np.array(found)[numbers])


def _plain(column: pd.Series) -> list[Any]:
    """A column's values as JSON would give them; a missing one is None.

    pandas turns whole numbers into floats if another value of the column is missing or a
    fraction. Only that other value is wrong then, so the whole numbers become int again.
    """
    values = [
        None if pd.api.types.is_scalar(value) and pd.isna(value) else value
        for value in column.astype(object).tolist()
    ]
    if pd.api.types.is_float_dtype(column):
        whole = [value is not None and float(value).is_integer() for value in values]
        if not all(whole):
            values = [int(v or 0) if w else v for v, w in zip(values, whole)]
    return values
