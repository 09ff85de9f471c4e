"""A data frame of raw applications as the codes of their values."""

from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.applications.domain import Domain, Reader
from creditrisk.data.applications.record_checks import (
    InvalidRecords,
    RecordProblem,
    record_problems,
)
from creditrisk.data.cells import dtype
from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field
from creditrisk.data.quantities import within


def frame_codes(frame: pd.DataFrame, allowed: Domain) -> np.ndarray:
    """The codes of each row's values; NaN and None are blanks, which the contract may refuse.

    Parameters
    ----------
    frame
        Raw applications, shape (n, columns of an application), in any order of the columns.

    Returns
    -------
    ndarray of float, shape (n, fields)

    Raises
    ------
    InvalidRecords
        If the contract does not allow a row, with the messages of
        :func:`creditrisk.data.applications.record_checks.record_problems`.
    """
    if not frame.columns.is_unique:
        doubled = frame.columns[frame.columns.duplicated()][0]
        problem = RecordProblem(1, str(doubled)[:40], "stands in more than one column")
        raise InvalidRecords([problem])
    fields = allowed.contract.fields
    found = np.full((len(frame), len(fields)), np.nan)
    for number, (name, read) in enumerate(allowed.readers):
        if name in frame:
            blank = allowed.missing(number)
            found[:, number] = _column_codes(frame[name], fields[number], read, blank)
    unknown = len(frame.columns) > sum(each.name in frame for each in fields)
    bad = np.arange(len(frame)) if unknown else np.flatnonzero(np.isnan(found).any(axis=1))
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


def _column_codes(column: pd.Series, field: Field, read: Reader, blank: float) -> np.ndarray:
    """The code of each value of a column, NaN for one that is not allowed."""
    if field.levels is None and column.dtype.kind in "iuf" and _is_typed(column, field):
        return _quantity_codes(column.to_numpy().astype(float), field, blank)
    if pd.api.types.is_integer_dtype(column) or isinstance(column.dtype, pd.StringDtype):
        # One type throughout: ask once for each distinct value.
        numbers, distinct = pd.factorize(column)
        distinct = distinct.tolist()
    else:
        numbers, distinct = np.arange(len(column)), _plain(column)
        if field.type == "integer" and not field.required:  # then pandas holds them as floats
            distinct = [int(v) if isinstance(v, float) and v.is_integer() else v for v in distinct]

    def code(value: Any) -> float:
        if value is None:
            return blank if field.takes_blank else np.nan
        try:
            return read(value)
        except (LookupError, TypeError, ValueError):
            return np.nan

    found = [code(value) for value in (*distinct, None)]  # code -1, the last, is a missing value
    return np.asarray(np.array(found)[numbers])


def _is_typed(column: pd.Series, field: Field) -> bool:
    """Whether a column of numbers is one of whole numbers, or the field's are held as floats."""
    return column.dtype.kind in "iu" or dtype(field) == "float64"


def _quantity_codes(values: np.ndarray, field: Field, blank: float) -> np.ndarray:
    """The codes of a quantity's values, which are numbers; NaN for one that is not allowed."""
    allowed = within(values, field)
    if field.whole:
        allowed &= values == np.floor(values)
    codes = np.where(allowed, values, np.nan)
    codes[np.isnan(values)] = blank if field.takes_blank else np.nan
    return codes


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
