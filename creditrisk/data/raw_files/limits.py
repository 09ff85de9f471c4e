"""How large a raw file may be, and a CSV file read in pieces, so that a larger one is refused.

The limits hold before anything is parsed: text is cheap to count and costs many times its size once
each cell is an object. They leave room for the public loan files (30,000 rows of 24 columns,
100,000 of 150), and what is refused takes less than half a gigabyte.
"""

import codecs
import hashlib
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creditrisk.data.contract import ContractError
from work_units.regular_files import open_regular

#: Rows that are read: ten times what a notebook trains on in some minutes. Of more, draw a sample.
MOST_ROWS = 1_000_000
#: Columns. Each has to be described by hand in datapackage.json and becomes a field of the form.
MOST_COLUMNS = 1_000
#: Cells: a million rows of 30 columns. A cell takes 60 to 100 bytes of memory as text.
MOST_CELLS = 30_000_000
#: Bytes of one line: a kilobyte for each of a thousand cells.
LONGEST_LINE = 2**20
#: Bytes of a CSV file, or of what a Parquet file holds of a group of rows: 256 for each row.
MOST_BYTES = 2**28
#: Bytes of the list of columns and groups of rows that a Parquet file ends with, which is read as a
#: whole: 250 for each of a thousand columns in 60 groups.
MOST_FOOTER = 2**24

SMALLER = "read less of it: draw rows into a smaller file, or leave columns out"

_LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True)
class Content:
    """A CSV file within all limits, in UTF-8."""

    bytes: io.BytesIO
    lines: int
    sha256: str


def read_content(path: Path) -> Content:
    """Read a CSV file in pieces, and no further than it is found to be too large or no text.

    Raises
    ------
    ContractError
        If it is empty, larger than a limit, or not in UTF-8.
    OSError
        If there is no such file, or something that is none.
    """
    content, counts = io.BytesIO(), _Counts(path)
    with open_regular(path) as file:
        while piece := file.read(LONGEST_LINE):
            counts.add(piece)
            content.write(piece)
    counts.end()
    content.seek(0)
    return Content(content, counts.lines + (counts.open_line > 0), counts.hash.hexdigest())


def check_table(path: Path, rows: int, columns: int) -> None:
    """Refuse a table that is too large to be read.

    Raises
    ------
    ContractError
        Naming the limit.
    """
    if columns > MOST_COLUMNS:
        raise _too_large(path, f"{columns:,} columns; at most {MOST_COLUMNS:,} are read")
    if rows > MOST_ROWS:
        raise _too_large(path, f"{rows:,} rows; at most {MOST_ROWS:,} are read")
    if rows * columns > MOST_CELLS:
        raise _too_large(path, f"{rows * columns:,} cells; at most {MOST_CELLS:,} are read")


def check_bytes(path: Path, size: int, most: int, what: str) -> None:
    """Refuse a file of which a part is too large; ``what`` names the part.

    Raises
    ------
    ContractError
        Naming the limit.
    """
    if size > most:
        raise _too_large(path, f"{what} has {size:,} bytes; at most {most:,} are read")


@dataclass
class _Counts:
    """What has been counted of a CSV file so far."""

    path: Path
    lines: int = 0
    separators: int = 0
    size: int = 0
    open_line: int = 0  # bytes since the last line end
    blank: bool = True
    hash: Any = field(default_factory=hashlib.sha256)
    decoder: Any = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def add(self, piece: bytes) -> None:
        """Count a piece, which is no longer than the longest line."""
        if not self.size:
            columns = _LINE_END.split(piece, maxsplit=1)[0].count(b",") + 1
            if columns > MOST_COLUMNS:
                problem = f"line 1: more than {MOST_COLUMNS:,} columns; no more are read"
                raise _too_large(self.path, problem)
        self._decode(piece)
        self.hash.update(piece)
        self.size += len(piece)
        self.blank = self.blank and piece.isspace()
        begin = _LINE_END.search(piece)
        if self.open_line + (begin.start() if begin else len(piece)) > LONGEST_LINE:
            problem = f"line {self.lines + 1}: more than {LONGEST_LINE:,} bytes; no more are read"
            raise _too_large(self.path, problem)
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        self.open_line = len(piece) - end if begin else self.open_line + len(piece)
        self.lines += max(piece.count(b"\n"), piece.count(b"\r"))
        self.separators += piece.count(b",")
        if self.lines > MOST_ROWS + 1:
            raise _too_large(self.path, f"more than {MOST_ROWS:,} rows; no more are read")
        if self.lines + self.separators > MOST_CELLS:
            raise _too_large(self.path, f"more than {MOST_CELLS:,} cells; no more are read")
        if self.size > MOST_BYTES:
            raise _too_large(self.path, f"more than {MOST_BYTES:,} bytes; no more are read")

    def end(self) -> None:
        """Check the file as a whole."""
        self._decode(b"", final=True)
        if self.blank:
            raise ContractError(str(self.path), ["the file is empty"], "give one with a table")

    def _decode(self, piece: bytes, final: bool = False) -> None:
        try:
            self.decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            line = self.lines + error.object[: error.start].count(b"\n") + 1
            raise ContractError(
                str(self.path),
                [f"line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8"],
                "save the file as UTF-8 (for latin-1: `iconv -f latin1 -t utf-8`)",
            ) from error


def _too_large(path: Path, problem: str) -> ContractError:
    return ContractError(str(path), [problem], SMALLER)
