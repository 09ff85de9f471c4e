"""The distinct values of a column, read into the typed form of its field."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from creditrisk.data import dates
from creditrisk.data.fields import Field
from creditrisk.data.notation.numbers import numbers
from creditrisk.data.quantities import within

#: What is wrong with a value: nothing, it is missing where one is needed, no finite number, of
#: another type than the field, or not allowed.
FINE, BLANK, INFINITE, OTHER, OUTSIDE = range(5)

#: Bytes need not be text, and Arrow makes a bare number of a duration.
_NOT_CAST = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_duration)

_WHOLE = 2**53  # up to here each whole number is a float


def typed_values(
    column: pa.Array, field: Field, missing: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct values as the field's type has them.

    Parameters
    ----------
    column
        Shape (n,), texts as in a CSV file, or values of any type that a Parquet file holds.
    missing
        The texts that stand for a missing value, besides null.

    Returns
    -------
    values, faults, absent : ndarray, shape (n,)
        The typed values, what is wrong with each, and whether it is missing. Numbers and dates are
        float64, NaN where they are none; all else is object.
    """
    kind, types = column.type, pa.types
    null = column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    if is_numeric(field) and (types.is_integer(kind) or _is_fraction(kind)):
        values, faults = _checked(_floats(column), field)
        return values, faults, null | np.isin(values, _numeric(missing))
    if field.is_dated and (types.is_date(kind) or types.is_timestamp(kind)):
        values, faults = _checked(_date_numbers(column, field.type), field)
        return values, faults, null
    if field.type == "boolean" and types.is_boolean(kind):
        plain = np.array(column.to_pylist(), object)
        return plain, np.zeros(len(column), np.int8), null
    words = texts(column)
    stripped = pc.utf8_trim_whitespace(words)
    compared = words if field.type == "string" else stripped
    marked = pc.is_in(compared, pa.array(missing, pa.string())).to_numpy(False)
    values, faults = _from_text(words, field)
    faults[pc.equal(stripped, "").to_numpy(False)] = BLANK
    return values, faults, null | marked


def _from_text(cells: pa.Array, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Typed values and faults of distinct texts."""
    if is_numeric(field):
        return _checked(numbers(cells, field.written, field.whole), field)
    if field.is_dated:
        return _checked(_written_dates(cells, field), field)
    words = np.array(cells.to_pylist(), object)
    faults = np.zeros(len(words), np.int8)
    if field.type == "boolean":
        true, false = (
            np.isin(np.char.strip(words.astype(str)), spelt)
            for spelt in (field.written.true_values, field.written.false_values)
        )
        faults[~true & ~false] = OTHER
        return true.astype(object), faults
    if field.levels:
        known = np.isin(words, field.levels)
        if field.unlisted is None:
            faults[~known] = OUTSIDE
        else:
            levels = set(field.levels)
            stripped = np.array([word.strip() in levels for word in words], bool)
            faults[~known & stripped] = OUTSIDE
            words[~known] = field.unlisted
    return words, faults


def _checked(values: np.ndarray, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Numbers with what is wrong with each; NaN is a text that is no number."""
    faults = np.zeros(len(values), np.int8)
    if field.levels:
        allowed = np.isin(values, np.array(field.levels, float))
    else:
        allowed = within(values, field)
    faults[~allowed] = OUTSIDE
    faults[np.isinf(values)] = INFINITE
    with np.errstate(invalid="ignore"):
        other = np.isnan(values) | (field.whole & np.isfinite(values) & (values % 1 != 0))
    faults[other] = OTHER
    return values, faults


def texts(column: pa.Array) -> pa.Array:
    """The values as text; a null is an empty one."""
    kind = column.type
    if _is_fraction(kind):
        found = pa.array([_number(each) for each in column.to_pylist()], pa.string())
    elif not any(is_kind(kind) for is_kind in _NOT_CAST):
        found = column.cast(pa.string())
    else:
        words = [None if each is None else str(each) for each in column.to_pylist()]
        found = pa.array(words, pa.string())
    return pc.fill_null(found, "")


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of a type of Arrow holds texts."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _number(value: Any) -> str | None:
    """A fraction as text; pandas makes floats of whole numbers if one of a column is missing."""
    if value is None:
        return None
    if np.isfinite(float(value)) and abs(value) < _WHOLE and value == int(value):
        return str(int(value))
    return str(value)


def _is_fraction(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_numeric(field: Field) -> bool:
    """Whether a field holds numbers that are no dates."""
    return field.type in ("integer", "number")


def _numeric(missing: tuple[str, ...]) -> np.ndarray:
    """The numbers among what stands for a missing value."""
    found = pd.to_numeric(pd.Series(missing, dtype=object), errors="coerce")
    return np.array(found.dropna(), float)


def _date_numbers(column: pa.Array, type: str) -> np.ndarray:
    """The numbers of dates and times, NaN for null; a time of day is left out."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = pc.local_timestamp(column)
    if type == "date":
        day = pc.cast(pc.floor_temporal(column, unit="day"), pa.date32(), safe=False)
        return _floats(pc.cast(day, pa.int32()))
    years, months = _floats(pc.year(column)), _floats(pc.month(column))
    return np.asarray(12 * (years - 1970) + months - 1)


def _floats(column: pa.Array) -> np.ndarray:
    """Numbers as float64, NaN for null."""
    found = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan)
    return np.array(found.to_numpy(zero_copy_only=False))


def _written_dates(cells: pa.Array, field: Field) -> np.ndarray:
    found = np.full(len(cells), np.nan)
    for row, text in enumerate(cells.to_pylist()):
        try:
            found[row] = dates.number_of(text.strip(), field.type, field.written.pattern)
        except ValueError:
            continue
    return found
