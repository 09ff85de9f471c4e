"""A CSV file as columns of texts."""

import csv
import io
import json
from array import array
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.raw_files.files import RawFile
from creditrisk.data.raw_files.limits import Content, read_content
from creditrisk.data.raw_files.tables import RawTable, check_header

#: Rows that are Python objects at the same time.
_AT_ONCE = 10_000
#: Sentences on rows; of more, only the number is given.
_MOST_PROBLEMS = 1_000
#: A file of so many times the rows that are recorded is another file, whatever its cells hold.
_MANY_TIMES = 10
_OTHER_DELIMITERS = ",;\t|"


def read_csv(file: RawFile, content: BinaryIO, contract: Contract) -> RawTable:
    """Read all rows; empty lines at the end are none.

    Raises
    ------
    ContractError
        If the file is larger than a limit, no CSV, has other columns than the contract or rows of
        another length; or has many times the rows that are recorded.
    """
    text = read_content(file, content, contract)
    lines = _Lines(file, text, contract)
    header = next(lines.rows, [])
    _check_delimiter(file, header, contract.delimiter)
    check_header(file, header, contract, "line 1: ")
    _check_recorded(file, text, contract)
    return lines.table(header)


def _check_recorded(file: RawFile, text: Content, contract: Contract) -> None:
    """Refuse at once, and not only after the parsing, what is plainly another file."""
    rows = text.lines - 1
    if contract.rows and rows + 1 > _MANY_TIMES * contract.rows:
        problem = f"{rows} rows; datapackage.json records {contract.rows}"
        raise ContractError(file.name, [problem], f'give another file, or record "rows": {rows}')


class _Lines:
    """The rows of a file, read one after the other."""

    def __init__(self, file: RawFile, content: Content, contract: Contract):
        self.file, self.content = file, content
        text = io.TextIOWrapper(content.bytes, encoding="utf-8-sig", newline="")
        self._reader = csv.reader(
            text,
            delimiter=contract.delimiter,
            quotechar=contract.quote_char,
            skipinitialspace=contract.skip_initial_space,
            strict=True,
        )
        self.rows = self._read()
        self.problems: list[str] = []
        self.faulty = 0
        self.ends = array("q")

    def _read(self) -> Iterator[list[str]]:
        try:
            yield from self._reader
        except csv.Error as error:
            problem = f"line {self._reader.line_num}: is no CSV ({error})"
            raise ContractError(self.file.name, [problem], self.file.remedy) from error

    def table(self, header: list[str]) -> RawTable:
        """All rows, as columns; the longer and shorter ones, blank ones and headers are refused."""
        pieces: list[list[pa.Array]] = [[] for _ in header]
        kept: list[list[str]] = []
        empty: list[int] = []  # lines that are empty, and blank rows if another row follows
        for row in self.rows:
            if not row:
                empty.append(self._reader.line_num)
                continue
            for line in empty:
                self._refuse("the row is blank", line)
            empty.clear()
            self.ends.append(self._reader.line_num)
            if len(row) != len(header):
                self._refuse(f"{len(row)} cells, the header has {len(header)}")
            elif row == header:
                self._refuse("the header is repeated")
            elif not "".join(row).strip():
                self._refuse("the row is blank")
            else:
                kept.append(row)
            if len(kept) == _AT_ONCE:
                _add(pieces, kept)
        if kept:
            _add(pieces, kept)
        if not self.ends:
            self._refuse("there is a header but no row", 0)
        if self.problems:
            remedy = f"remove or mend these rows, or {self.file.remedy}"
            raise ContractError(self.file.name, self.problems, remedy, count=self.faulty)
        columns = {
            name: pa.chunked_array(arrays, pa.string()) for name, arrays in zip(header, pieces)
        }
        rows = len(self.ends)
        lines = self.ends if self.ends[-1] != rows + 1 else None
        return RawTable(self.file, columns, rows, self.content.sha256, lines=lines)

    def _refuse(self, problem: str, line: int | None = None) -> None:
        """Note a problem of the row that was read last, or of an empty line."""
        self.faulty += 1
        if len(self.problems) < _MOST_PROBLEMS:
            if line is None:
                problem = f"row {len(self.ends)} (line {self.ends[-1]}): {problem}"
            elif line:
                self.ends.append(line)
                problem = f"row {len(self.ends)} (line {line}): {problem}"
            self.problems.append(problem)


def _add(pieces: list[list[pa.Array]], rows: list[list[str]]) -> None:
    """Move rows to the columns."""
    for arrays, cells in zip(pieces, zip(*rows)):
        arrays.append(pa.array(cells, pa.string()))
    rows.clear()


def _check_delimiter(file: RawFile, header: list[str], delimiter: str) -> None:
    """Refuse a file whose cells are separated by something else."""
    marks = [mark for mark in _OTHER_DELIMITERS if mark != delimiter and mark in "".join(header)]
    if len(header) == 1 and marks:
        wanted = "commas" if delimiter == "," else f"{delimiter!r}"
        raise ContractError(
            file.name,
            [f"line 1: columns are separated by {marks[0]!r}, expected {delimiter!r}"],
            f"save the file with {wanted} between the columns, or describe it in datapackage.json:"
            f' "dialect": {json.dumps({"delimiter": marks[0]})}',
        )
