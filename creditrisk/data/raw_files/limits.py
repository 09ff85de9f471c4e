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
from typing import Any, BinaryIO

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.raw_files.files import RawFile, Unpacked

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
    sha256: tuple[str, ...]  # of the file, and of its content if it is packed


def read_content(file: RawFile, stored: BinaryIO, contract: Contract) -> Content:
    """Read a CSV file in pieces, and no further than it is found to be too large or no text.

    Raises
    ------
    ContractError
        If it is empty, larger than a limit, damaged, or not in the contract's encoding.
    """
    unpacked = Unpacked(stored)
    content, counts = io.BytesIO(), _Counts(file.name, contract.encoding, contract.delimiter)
    try:
        while piece := unpacked.piece(LONGEST_LINE):
            content.write(counts.add(piece))
    except ValueError as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(file.name, [str(error)], file.remedy) from error
    counts.end()
    content.seek(0)
    sha256 = {unpacked.sha256: None, counts.hash.hexdigest(): None}
    lines = counts.lines.count + (counts.lines.open > 0)
    return Content(content, lines, tuple(sha256))


def check_table(name: str, rows: int, columns: int) -> None:
    """Refuse a table that is too large to be read.

    Raises
    ------
    ContractError
        Naming the limit.
    """
    if columns > MOST_COLUMNS:
        raise _too_large(name, f"{columns:,} columns; at most {MOST_COLUMNS:,} are read")
    if rows > MOST_ROWS:
        raise _too_large(name, f"{rows:,} rows; at most {MOST_ROWS:,} are read")
    if rows * columns > MOST_CELLS:
        raise _too_large(name, f"{rows * columns:,} cells; at most {MOST_CELLS:,} are read")


def check_bytes(name: str, size: int, most: int, what: str) -> None:
    """Refuse a file of which a part is too large; ``what`` names the part.

    Raises
    ------
    ContractError
        Naming the limit.
    """
    if size > most:
        raise _too_large(name, f"{what} has {size:,} bytes; at most {most:,} are read")


@dataclass
class Lines:
    """The lines of a CSV file that have been read so far, within the limits."""

    name: str
    count: int = 0  # that have ended
    size: int = 0  # bytes of all
    open: int = 0  # bytes since the last line end

    def add(self, piece: bytes) -> None:
        """Count a piece, which is no longer than the longest line.

        Raises
        ------
        ContractError
            If a line is too long, or there are too many, or too many bytes.
        """
        self.size += len(piece)
        begin = _LINE_END.search(piece)
        if self.open + (begin.start() if begin else len(piece)) > LONGEST_LINE:
            problem = f"line {self.count + 1}: more than {LONGEST_LINE:,} bytes; no more are read"
            raise _too_large(self.name, problem)
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        self.open = len(piece) - end if begin else self.open + len(piece)
        self.count += max(piece.count(b"\n"), piece.count(b"\r"))
        if self.count > MOST_ROWS + 1:
            raise _too_large(self.name, f"more than {MOST_ROWS:,} rows; no more are read")
        if self.size > MOST_BYTES:
            raise _too_large(self.name, f"more than {MOST_BYTES:,} bytes; no more are read")


@dataclass
class _Counts:
    """What has been counted of a CSV file so far."""

    name: str
    encoding: str
    delimiter: str
    separators: int = 0
    blank: bool = True
    hash: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.lines = Lines(self.name)
        self.decoder = codecs.getincrementaldecoder(self.encoding)()
        self.is_utf8 = codecs.lookup(self.encoding).name == "utf-8"
        self.separator = self.delimiter.encode()

    def add(self, stored: bytes) -> bytes:
        """Count a piece, which is no longer than the longest line; the piece in UTF-8."""
        text = self._decoded(stored)
        piece = stored if self.is_utf8 else text.encode()
        if not self.lines.size:
            columns = _LINE_END.split(piece, maxsplit=1)[0].count(self.separator) + 1
            if columns > MOST_COLUMNS:
                problem = f"line 1: more than {MOST_COLUMNS:,} columns; no more are read"
                raise _too_large(self.name, problem)
        self.hash.update(stored)
        self.blank = self.blank and not piece.removeprefix(codecs.BOM_UTF8).strip()
        self.lines.add(piece)
        self.separators += piece.count(self.separator)
        if self.lines.count + self.separators > MOST_CELLS:
            raise _too_large(self.name, f"more than {MOST_CELLS:,} cells; no more are read")
        return piece

    def end(self) -> None:
        """Check the file as a whole."""
        self._decoded(b"", final=True)
        if self.blank:
            raise ContractError(self.name, ["the file is empty"], "give one with a table")

    def _decoded(self, stored: bytes, final: bool = False) -> str:
        try:
            return self.decoder.decode(stored, final)
        except UnicodeDecodeError as error:
            line = self.lines.count + error.object[: error.start].count(b"\n") + 1
            byte = f"byte 0x{error.object[error.start]:02x}"
            kind = "UTF-8" if self.is_utf8 else self.encoding
            raise ContractError(
                self.name, [f"line {line}: {byte} is not {kind}"], _other_encoding(error.object)
            ) from error
        except UnicodeError as error:
            problem = f"is not {self.encoding} ({error})"
            raise ContractError(self.name, [problem], _other_encoding(stored)) from error


def _other_encoding(piece: bytes) -> str:
    """What to do about a file that is in another encoding than is said."""
    is_utf16 = piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    other, to_iconv = ("utf-16", "utf-16") if is_utf16 else ("latin-1", "latin1")
    return (
        f"save the file as UTF-8 (for {other}: `iconv -f {to_iconv} -t utf-8`), or name its"
        f' encoding in datapackage.json: "encoding": "{other}"'
    )


def _too_large(name: str, problem: str) -> ContractError:
    return ContractError(name, [problem], SMALLER)
