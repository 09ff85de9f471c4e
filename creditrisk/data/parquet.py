"""Rows drawn from a Parquet file of any size, as the text that CSV would have of them."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Broken = pa.ArrowInvalid  # what a file raises that is not whole, or no such file


def opened(path: Path) -> pq.ParquetFile:
    """The file, to be closed; Broken if it is none."""
    return pq.ParquetFile(path)


def columns(file: pq.ParquetFile) -> list[str]:
    """Its columns, without those that are a data frame's index."""
    index = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    return [name for name in file.schema_arrow.names if name not in index]


def text(file: pq.ParquetFile, names: list[str], rows: np.ndarray, missing: str) -> pd.DataFrame:
    """Some rows of some columns; memory is taken for these and for one batch.

    Parameters
    ----------
    rows : the places of the rows in rising order, from 0; the index of the result.
    missing : stands where there is no value.
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
