"""Rows drawn from a Parquet file of any size, as text like that of a CSV file."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Broken = pa.ArrowInvalid  # raised for a file that is cut short or is no Parquet file


def opened(path: Path) -> pq.ParquetFile:
    """Open a file, which the caller closes; Broken if it is no Parquet file."""
    return pq.ParquetFile(path)


def columns(file: pq.ParquetFile) -> list[str]:
    """The names of its columns, without those that are a data frame's index."""
    index = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    return [name for name in file.schema_arrow.names if name not in index]


def text(file: pq.ParquetFile, names: list[str], rows: np.ndarray, missing: str) -> pd.DataFrame:
    """Some rows of some columns; memory is taken for these and for one batch.

    Parameters
    ----------
    rows
        Positions of the rows from 0, in rising order; they become the index of the result.
    missing
        The text for a missing value.
    """
    begin, pieces = 0, []
    for batch in file.iter_batches(columns=names):
        first, last = np.searchsorted(rows, [begin, begin + len(batch)])
        pieces.append(batch.take(pa.array(rows[first:last] - begin)))
        begin += len(batch)
    table = pa.Table.from_batches(pieces)
    cells = {name: _as_text(table[name]).fill_null(missing).to_pylist() for name in names}
    return pd.DataFrame(cells, index=rows, dtype=object)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        # pandas makes floats of whole numbers if one is missing
        with suppress(pa.ArrowInvalid):  # not all are whole; the contract's check names those
            column = column.cast(pa.int64())
    return column.cast(pa.string())
