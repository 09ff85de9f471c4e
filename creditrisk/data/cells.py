"""The cells of a column, read into the typed form of its field.

There is one rule for training, portfolios and files of applications. Blanks around a number, a date
and a boolean are no part of it; a text is compared with the levels as it stands. Missing is what
the descriptor says stands for a missing value, or a null.

The typed form: an integer and a number are themselves, special codes too; a date is the days since
1 January 1970, a year and month the months since; a string is a str and a boolean a bool. A missing
value is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from creditrisk.data import dates
from creditrisk.data.fields import Field
from creditrisk.data.notation.numbers import hint
from creditrisk.data.notation.values import (
    BLANK,
    FINE,
    INFINITE,
    OTHER,
    is_numeric,
    is_text,
    texts,
    typed_values,
)

_LONGEST = 60  # characters of a cell in a message
_LONGEST_READ = 1_000  # of one that a message says more of, as how a number is written


@dataclass(frozen=True)
class Cells:
    """A column that has been read."""

    field: Field
    #: Shape (n,), the typed values: float64 for what is a number or a date, else object. NaN where
    #: a value is missing or not allowed.
    values: np.ndarray
    #: Shape (n,), int8: FINE, BLANK (missing, and that is not allowed), INFINITE, OTHER (of
    #: another type) or OUTSIDE (of the type, and not allowed).
    faults: np.ndarray
    _numbers: np.ndarray  # of each cell's text among the distinct ones
    _distinct: pa.Array  # null is the last
    _allowed: str
    _messages: dict[tuple[int, int], str] = dataclass_field(default_factory=dict)  # of a text, once

    def spelt(self, row: int) -> str:
        """The text of a cell; a null is an empty one."""
        return str(texts(self._distinct.slice(int(self._numbers[row]), 1))[0])

    def fault(self, row: int) -> str:
        """Why the cell of a row (counted from 0) is not allowed, without the column's name."""
        number, kind = int(self._numbers[row]), int(self.faults[row])
        if (number, kind) not in self._messages:
            self._messages[number, kind] = self._fault(row, number, kind)
        return self._messages[number, kind]

    def _fault(self, row: int, number: int, kind: int) -> str:
        text = self.spelt(row)
        if kind == BLANK:
            empty = not text.strip() and number < len(self._distinct) - 1
            word = "empty" if empty else "missing"
            return f"is {word}; allowed {self._allowed}"
        cell = repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")
        text = text[:_LONGEST_READ]
        numeric = is_numeric(self.field)
        if kind == INFINITE:
            return f"is {cell}, not a finite number; allowed {self._allowed}"
        if kind == OTHER:
            more = hint(text, self.field.written, self.field.whole) if numeric else ""
            return f"is {cell}, not {_kind(self.field)}{more}; allowed {self._allowed}"
        if numeric or self.field.is_dated:
            return f"is {text.strip()[:_LONGEST]}; allowed {self._allowed}"
        blanks = " (blanks around it)" if text.strip() in (self.field.levels or ()) else ""
        return f"is {cell}{blanks}; allowed {self._allowed}"


def read_cells(
    column: pa.Array | pa.ChunkedArray | np.ndarray | pd.Series,
    field: Field,
    missing_values: Sequence[str] = ("",),
    *,
    of_applicant: bool = False,
) -> Cells:
    """Read a column of a file.

    Parameters
    ----------
    column
        Shape (n,), texts as a CSV file has them, or values of any type that a Parquet file holds;
        a null is a missing value.
    field
        What the column may hold.
    missing_values
        The texts that stand for a missing value, where the field does not have its own.
    of_applicant
        Whether a blank is an applicant's: then an empty cell is one too, the field's meaning of a
        blank decides whether it is allowed, and its label for a missing value is accepted.
    """
    missing = tuple(missing_values if field.missing_values is None else field.missing_values)
    values_of, numbers = distinct(column)
    values, faults, absent = typed_values(values_of, field, missing)
    if of_applicant:
        absent |= faults == BLANK
        labelled = _same(values_of, field.missing_label)
        may_miss = np.where(labelled, True, field.takes_blank)
        absent |= labelled
    else:
        may_miss = np.full(len(values_of), not field.required)
    values[absent] = np.nan
    faults[absent] = np.where(may_miss, FINE, BLANK)[absent]
    values[faults != FINE] = np.nan
    allowed = field.accepted if of_applicant else field.allowed + _mark(field, missing)
    return Cells(field, values[numbers], faults[numbers], numbers, values_of, allowed)


def dtype(field: Field) -> str:
    """The pandas dtype of a field's typed values."""
    if field.type == "string":
        return "str"
    if field.type == "boolean":
        return "object"
    return "int64" if field.required and field.whole and not field.special else "float64"


def typed(cells: Cells) -> Any:
    """The values of a column without faults, as an array of the field's :func:`dtype`."""
    return (
        pd.array(cells.values, dtype="str")
        if dtype(cells.field) == "str"
        else (cells.values.astype(dtype(cells.field)))
    )


def distinct(
    column: pa.Array | pa.ChunkedArray | np.ndarray | pd.Series,
) -> tuple[pa.Array, np.ndarray]:
    """The distinct values of a column, null as the last, and for each cell the number of its own.

    Parameters
    ----------
    column
        Shape (n,), as :func:`read_cells` takes it.

    Returns
    -------
    values, numbers
        Shapes (k,) and (n,).
    """
    if not isinstance(column, pa.Array | pa.ChunkedArray):
        column = _to_arrow(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # as some versions of Arrow leave it
        column = pa.concat_arrays(column.chunks)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    elif isinstance(column.type, pa.BaseExtensionType):  # such as pandas' periods
        column = _to_arrow(column.to_pandas().astype(object).map(str, na_action="ignore"))
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    values = column.dictionary
    numbers = column.indices
    if numbers.null_count:
        numbers = pc.fill_null(numbers.cast(pa.int64()), len(values))
    numbers = numbers.to_numpy()
    return pa.concat_arrays([values, pa.nulls(1, values.type)]), numbers


def _to_arrow(column: np.ndarray | pd.Series) -> pa.Array:
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError):  # values of several types
        plain = pd.Series(column, dtype=object)
        return pa.array([None if pd.isna(each) else str(each) for each in plain], pa.string())


def _same(distinct: pa.Array, label: str | None) -> np.ndarray:
    """Which values are the label by which an applicant states what is missing in the data."""
    if label is None or not is_text(distinct.type):
        return np.zeros(len(distinct), bool)
    found: np.ndarray = pc.fill_null(pc.equal(texts(distinct), label), False).to_numpy(False)
    return found


def _mark(field: Field, missing: tuple[str, ...]) -> str:
    """How a missing value is written, if one may be missing and an empty cell is none."""
    if field.required or not missing or "" in missing:
        return ""
    return f", or missing, written {' or '.join(map(repr, missing))}"


def _kind(field: Field) -> str:
    """The field's type in a message."""
    if field.is_dated:
        return f"a date such as {dates.written(field.type, field.written.pattern)}"
    if field.type == "boolean":
        written = field.written
        return f"one of {', '.join([*written.true_values, *written.false_values])}"
    return "a whole number" if field.whole else "a number"
