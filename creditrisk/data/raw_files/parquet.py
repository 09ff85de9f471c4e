"""Rows drawn from a Parquet file of any size, as text like that of a CSV file."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from creditrisk.data.contract import ContractError
from creditrisk.data.raw_files.limits import MOST_BYTES, MOST_FOOTER, check_bytes, check_table

#: What Arrow and the reading of its metadata raise for a file in which a single bit is another.
_FAULTS = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
_ENDING = 8  # bytes at the end: the length of the footer, and PAR1
_EXACT = 2**53  # up to here each whole number is a float

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Broken(Exception):
    """Why a file cannot be read as a table, in a sentence."""


def _broken_if_it_fails(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A function that raises Broken where Arrow fails on the file."""

    @wraps(function)
    def reading(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            return function(*arguments, **named)
        except _FAULTS as error:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise Broken(f"is no Parquet file, or a damaged one ({why})") from error

    return reading


def opened(path: Path, content: BinaryIO) -> pq.ParquetFile:
    """Open a file whose lists of columns and of groups of rows are within the limits.

    Raises
    ------
    Broken
        If it is no Parquet file.
    ContractError
        If it is larger than a limit, or a column holds lists or the like; ``path`` names it there.
    """
    check_bytes(path, _footer(content), MOST_FOOTER, "its list of columns and groups of rows")
    file = _opened(content)
    check_table(path, 0, file.metadata.num_columns)
    if nested := _nested(file):
        raise ContractError(str(path), nested, "write a column of its own for each of their parts")
    for size in _group_sizes(file):
        check_bytes(path, size, MOST_BYTES, "a group of its rows")
    return file


@_broken_if_it_fails
def columns(file: pq.ParquetFile) -> list[str]:
    """The names of its columns, without those that are a data frame's index."""
    index = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    return [name for name in file.schema_arrow.names if name not in index]


@_broken_if_it_fails
def rows(file: pq.ParquetFile) -> int:
    """How many rows it has, by its footer."""
    count = int(file.metadata.num_rows)
    if count < 0:
        raise ValueError(f"it counts {count} rows")
    return count


@_broken_if_it_fails
def text(file: pq.ParquetFile, names: list[str], rows: np.ndarray, missing: str) -> pd.DataFrame:
    """Some rows of some columns; memory is taken for these and for one batch.

    Parameters
    ----------
    rows
        Positions of the rows from 0, in rising order; they become the index of the result.
    missing
        The text for a missing value.
    """
    begin = 0
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for batch in file.iter_batches(columns=names):
        first, last = np.searchsorted(rows, [begin, begin + len(batch)])
        drawn = batch.take(pa.array(rows[first:last] - begin))
        for name in names:
            pieces[name].append(_as_text(drawn.column(name), missing))
        begin += len(batch)
    if begin != file.metadata.num_rows:
        raise ValueError(f"it counts {file.metadata.num_rows} rows and holds {begin}")
    cells = {name: np.concatenate(pieces[name]) for name in names}
    return pd.DataFrame(cells, index=rows, dtype=object)


@_broken_if_it_fails
def _footer(content: BinaryIO) -> int:
    """The bytes of the footer, as the end of the file has it."""
    content.seek(-_ENDING, os.SEEK_END)
    ending = content.read(_ENDING)
    if not ending.endswith(b"PAR1"):
        raise ValueError("it does not end as one does")
    return int.from_bytes(ending[:4], "little")


@_broken_if_it_fails
def _opened(content: BinaryIO) -> pq.ParquetFile:
    content.seek(0)
    # Checksums of pages are optional; where a writer has added them, they are looked at.
    file = pq.ParquetFile(content, page_checksum_verification=True)
    # Text as numbers of a list, as Parquet has it: each value becomes an object once.
    repeated = [
        field.name
        for field in file.schema_arrow
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    return pq.ParquetFile(
        content,
        metadata=file.metadata,
        read_dictionary=repeated,
        page_checksum_verification=True,
    )


@_broken_if_it_fails
def _nested(file: pq.ParquetFile) -> list[str]:
    """One sentence for each column that holds neither numbers nor text."""
    return [
        f"column {field.name!r} is of type {field.type}; a cell is a number or a text"
        for field in file.schema_arrow
        if pa.types.is_nested(field.type)
    ]


@_broken_if_it_fails
def _group_sizes(file: pq.ParquetFile) -> list[int]:
    metadata = file.metadata
    return [metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)]


def _as_text(column: pa.Array, missing: str) -> np.ndarray:
    """A column's cells as text; each of its values becomes an object once."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    values = column.dictionary
    if pa.types.is_floating(values.type):
        words = [_number(value) for value in values.to_pylist()]
    else:
        words = values.cast(pa.string()).to_pylist()
    known = np.array([*(missing if word is None else word for word in words), missing], object)
    numbers = pc.fill_null(column.indices.cast(pa.int64()), len(words)).to_numpy()
    cells: np.ndarray = known[numbers]
    return cells


def _number(value: float | None) -> str | None:
    """A float as text; pandas makes floats of whole numbers if one of a column is missing."""
    if value is not None and abs(value) < _EXACT and value == int(value):
        return str(int(value))
    return None if value is None else repr(value)
