"""What is read of a raw file before its cells are looked at: its columns, and where each row is."""

from array import array
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from creditrisk.data.contract import Contract, ContractError, did_you_mean
from creditrisk.data.raw_files.files import RawFile


@dataclass(frozen=True)
class RawTable:
    """The rows of a file, or those that were drawn."""

    file: RawFile
    columns: dict[str, pa.ChunkedArray]  # each of shape (rows,), texts or values of Parquet
    rows: int  # that the file has
    sha256: tuple[str, ...]  # of the file, and of its content if it is packed
    positions: np.ndarray | None = None  # of the rows that were drawn, from 0; None for all
    lines: "array[int] | None" = None  # in which each row ends, if a row has several lines
    is_text: bool = True  # and not Parquet

    @property
    def read(self) -> int:
        """How many of its rows have been read."""
        return self.rows if self.positions is None else len(self.positions)

    def row(self, number: int) -> str:
        """Where a row (of those that were drawn, from 0) is in the file."""
        position = number if self.positions is None else int(self.positions[number])
        line = position + 2 if self.lines is None else self.lines[position]
        return f"row {position + 1} (line {line})"


def check_header(file: RawFile, header: list[str], contract: Contract, where: str = "") -> None:
    """Every column of the contract once, and nothing that it does not describe.

    The row number and columns that are not read may be there or not.

    Raises
    ------
    ContractError
        Naming the columns.
    """
    expected = [field.name for field in contract.columns]
    known = [*expected, *(field.name for field in contract.others), contract.row_number]
    problems = [f"{where}column {name!r} is missing" for name in expected if name not in header]
    for name in dict.fromkeys(header):
        if header.count(name) > 1:
            problems.append(f"{where}column {name!r} occurs {header.count(name)} times")
        if name not in known:
            hint = did_you_mean(name.strip(), expected)
            problems.append(f"{where}column {name!r} is not in the contract{hint}")
    if problems:
        remedy = (
            "name the columns as datapackage.json does, or describe them there (with the role"
            " ignore if no model is to use them)"
        )
        raise ContractError(file.name, problems, remedy)
