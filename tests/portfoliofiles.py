"""Portfolios in Parquet files, and what scoring has made of them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def write(frame: pd.DataFrame, path: Path, rows_a_group: int = 100) -> Path:
    """Write applications to a file, in row groups of this size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, path, row_group_size=rows_a_group)
    return path


def content(out: Path) -> dict[str, bytes]:
    """All decisions and rejections by name."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.parquet")}
