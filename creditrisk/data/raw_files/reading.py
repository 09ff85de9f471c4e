"""The raw file, checked against the contract cell by cell."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.raw_files.checks import typed_frame
from creditrisk.data.raw_files.csv_text import read_csv
from creditrisk.data.raw_files.files import RawFile, raw_files
from creditrisk.data.raw_files.limits import check_table
from creditrisk.data.raw_files.recorded import check_recorded
from creditrisk.data.raw_files.tables import RawTable, check_header


def read_raw(
    path: str | Path | Sequence[str | Path], contract: Contract, sample: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Read a raw file, refusing whatever the contract does not describe.

    A byte order mark, other line ends, empty lines at the end and another order of the columns
    are accepted; they give the same frame. A file beyond the limits in
    :mod:`creditrisk.data.raw_files.limits` is refused before it is parsed.

    Parameters
    ----------
    path
        A CSV file in the contract's dialect and encoding with a header, perhaps packed with gzip;
        a Parquet file; a link to one, or a URL (http or https). A pattern such as
        ``loans-*.csv`` or a list stands for several files with the same columns, and a
        ``datapackage.json`` for those that it names. What could be read without end, as a pipe or
        a device, is no file.
    sample, seed
        How many rows to draw at random, the same ones for the same seed; 0 takes all. Of a single
        Parquet file only these are loaded, and only these are checked cell by cell.

    Returns
    -------
    DataFrame, shape (rows, columns of the contract)
        In the contract's column order (with the columns that are carried along, the target last)
        and in the typed form of :mod:`creditrisk.data.cells`, indexed by row number. Rows whose
        target is one that the contract excludes are left out; ``attrs["excluded"]`` has the number
        of these by the target's spelling.

    Raises
    ------
    ContractError
        Naming file, row (counted from 1, with the line in the file), column and remedy.
    ValueError
        If ``sample`` is negative.
    """
    if sample < 0:
        raise ValueError(f"sample is {sample}; give the number of rows to draw, or 0 for all")
    files = raw_files(path, contract)
    name = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
    remedy = files[0].remedy if len(files) == 1 else "give other files"
    tables: list[RawTable] = []
    for file in files:
        tables.append(_table(file, contract, (sample, seed) if len(files) == 1 else (0, 0)))
        check_table(name, sum(table.read for table in tables), len(tables[0].columns))
    frame = typed_frame(tables, contract, name, remedy)
    check_recorded(tables, contract, name, remedy)
    if sample and len(frame) > sample:
        frame = frame.iloc[_drawn(len(frame), sample, seed)]
    return _without_excluded(frame, contract, name)


def _table(file: RawFile, contract: Contract, drawn: tuple[int, int]) -> RawTable:
    with file.opened() as content:
        if not file.is_parquet(content):
            return read_csv(file, content, contract)
        return _parquet(file, content, contract, *drawn)


def _parquet(
    file: RawFile, content: BinaryIO, contract: Contract, sample: int, seed: int
) -> RawTable:
    from creditrisk.data.raw_files import parquet

    try:
        opened = parquet.opened(file.name, content)
        header = parquet.columns(opened)
        check_header(file, header, contract)
        rows = parquet.rows(opened)
        if not rows:
            raise ContractError(file.name, ["there is no row"], file.remedy)
        wanted = [field.name for field in contract.columns]
        wanted += [contract.row_number] if contract.row_number in header else []
        check_table(file.name, min(sample or rows, rows), len(wanted))
        positions = _drawn(rows, sample, seed) if sample else None
        cells = parquet.cells(opened, wanted, positions)
    except parquet.Broken as error:
        raise ContractError(file.name, [str(error)], file.remedy) from error
    content.seek(0)
    sha256 = hashlib.file_digest(cast(io.BufferedReader, content), "sha256").hexdigest()
    return RawTable(file, cells, rows, (sha256,), positions, is_text=False)


def _drawn(rows: int, sample: int, seed: int) -> np.ndarray:
    """The positions of the rows that are drawn, in the order of the file."""
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(rows, min(sample, rows), replace=False, shuffle=False))


def _without_excluded(frame: pd.DataFrame, contract: Contract, name: str) -> pd.DataFrame:
    """The rows whose outcome is good or bad, with the number of the others by their spelling."""
    outcome = frame[contract.target.name]
    left_out = {
        contract.target.worded(level): int((outcome == level).sum()) for level in contract.excluded
    }
    if contract.excluded:
        frame = frame[~outcome.isin(contract.excluded)].copy()
        if frame.empty:
            problem = f"no row is left: {contract.target.name} is one that is excluded in each"
            raise ContractError(name, [problem], "give a file with good and bad outcomes")
    frame.attrs["excluded"] = left_out
    return frame
