"""Rows drawn from a Parquet file of any size."""

import os
from collections.abc import Callable
from functools import wraps
from typing import BinaryIO, ParamSpec, TypeVar

import numpy as np
import pyarrow as pa
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


def opened(name: str, content: BinaryIO) -> pq.ParquetFile:
    """Open a file whose lists of columns and of groups of rows are within the limits.

    Raises
    ------
    Broken
        If it is no Parquet file.
    ContractError
        If it is larger than a limit, or a column holds bytes, lists or the like. It has ``name``.
    """
    check_bytes(name, footer_size(content), MOST_FOOTER, "its list of columns and groups of rows")
    file = _opened(content)
    check_table(name, 0, file.metadata.num_columns)
    if problems := _without_cells(file):
        remedy = "write bytes as text, and a column of its own for each part of lists and records"
        raise ContractError(name, problems, remedy)
    for size in _group_sizes(file):
        check_bytes(name, size, MOST_BYTES, "a group of its rows")
    return file


@_broken_if_it_fails
def footer_size(content: BinaryIO | pa.NativeFile) -> int:
    """Bytes of its list of columns and groups of rows, as the end of the file has them.

    Raises
    ------
    Broken
        If it is no Parquet file.
    """
    content.seek(-_ENDING, os.SEEK_END)
    ending = content.read(_ENDING)
    if not ending.endswith(b"PAR1"):
        raise ValueError("it does not end as one does")
    return int.from_bytes(ending[:4], "little")


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
def cells(
    file: pq.ParquetFile, names: list[str], rows: np.ndarray | None = None
) -> dict[str, pa.ChunkedArray]:
    """Some columns; memory is taken for the rows that are drawn, and for one batch.

    Parameters
    ----------
    rows
        Positions of the rows to draw, from 0, in rising order; None for all.
    """
    begin = 0
    pieces: dict[str, list[pa.Array]] = {name: [] for name in names}
    for batch in file.iter_batches(columns=names):
        batch.validate(full=True)
        drawn = batch
        if rows is not None:
            first, last = np.searchsorted(rows, [begin, begin + len(batch)])
            drawn = batch.take(pa.array(rows[first:last] - begin))
        for name in names:
            pieces[name].append(drawn.column(name))
        begin += len(batch)
    if begin != file.metadata.num_rows:
        raise ValueError(f"it counts {file.metadata.num_rows} rows and holds {begin}")
    types = file.schema_arrow
    return {
        name: pa.chunked_array(arrays, arrays[0].type if arrays else types.field(name).type)
        for name, arrays in pieces.items()
    }


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
def _without_cells(file: pq.ParquetFile) -> list[str]:
    """One sentence for each column that holds neither numbers nor text."""
    return [
        f"column {field.name!r} is of type {field.type}; a cell is a number or a text"
        for field in file.schema_arrow
        if holds_no_cells(field.type)
    ]


def holds_no_cells(kind: pa.DataType) -> bool:
    """Whether a column's values are neither numbers nor text, but lists, records or bytes."""
    are = pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view
    return any(each(kind) for each in (*are, pa.types.is_fixed_size_binary))


@_broken_if_it_fails
def _group_sizes(file: pq.ParquetFile) -> list[int]:
    metadata = file.metadata
    return [metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)]
