"""A table of which nothing is known yet: its encoding and delimiter are found, its cells are text.

:mod:`creditrisk.data.raw_files` reads a file that a contract describes; here there is none.
"""

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from creditrisk.data.contract import ContractError
from creditrisk.data.raw_files.limits import LONGEST_LINE, MOST_BYTES, SMALLER, check_table
from work_units.regular_files import open_regular

#: Between the cells of a line, the likeliest first.
DELIMITERS = (",", ";", "\t", "|")

#: First bytes of files that look like a table in an office program and are none here.
_OTHER_KINDS = {
    b"PK\x03\x04": "a zip file or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}

#: Lines on which the delimiter is tried.
_TRIED = 200


@dataclass(frozen=True)
class Table:
    """A loan file as it lies there."""

    path: Path
    cells: pd.DataFrame  # text; None where a Parquet file has no value
    kind: str  # "csv" or "parquet"
    encoding: str
    delimiter: str
    sha256: str
    size: int  # bytes


def read_table(path: Path) -> Table:
    """Read a CSV file, compressed or not, or a Parquet file without knowing what is in it.

    Raises
    ------
    ContractError
        If it is no such table, has no header, or is larger than what is read.
    OSError
        If there is no such file, or it may not be read.
    """
    with open_regular(path) as file:
        start = file.read(16)
        file.seek(0)
        if kind := next((k for magic, k in _OTHER_KINDS.items() if start.startswith(magic)), ""):
            raise _refused(path, f"is {kind}", "save it as CSV in UTF-8, or as Parquet")
        sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        file.seek(0)
        if start.startswith(b"PAR1"):
            return Table(path, _parquet(path, file), "parquet", "utf-8", ",", sha256, size)
        content = _content(path, file, start.startswith(b"\x1f\x8b"))
    text, encoding = _decoded(path, content)
    delimiter = _delimiter(text)
    cells = _cells(path, text, delimiter)
    return Table(path, cells, "csv", encoding, delimiter, sha256, size)


def _content(path: Path, file: BinaryIO, compressed: bool) -> bytes:
    """The bytes of a CSV file; no more than the limit is unpacked."""
    if not compressed:
        content = file.read(MOST_BYTES + 1)
    else:
        try:
            with gzip.open(file) as unpacked:
                content = unpacked.read(MOST_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _refused(path, f"is no whole gzip file ({error})", "compress it again") from error
    if len(content) > MOST_BYTES:
        raise _refused(path, f"more than {MOST_BYTES:,} bytes; no more are read", SMALLER)
    if b"\0" in content:
        raise _refused(path, "is no text: it holds zero bytes", "save it as CSV in UTF-8")
    if not content.strip():
        raise _refused(path, "the file is empty", "give one with a table")
    return content


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """Text and encoding: UTF-8 if it can be, else what Windows writes in western Europe."""
    content = content.removeprefix(codecs.BOM_UTF8)
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError as error:
            fault = error
    problem = f"byte {fault.start + 1} is text neither in UTF-8 nor in cp1252"
    raise _refused(path, problem, "save it as CSV in UTF-8")


def _delimiter(text: str) -> str:
    """The mark that cuts the first lines into the most columns, and all into as many."""

    def columns(mark: str) -> tuple[int, int]:
        try:
            rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=mark), _TRIED))
        except csv.Error:
            return 0, 0
        widths = {len(row) for row in rows if row}
        alike = len(widths) == 1 and min(widths) > 1
        return (min(widths) if alike else 0), len(rows[0])

    return max(DELIMITERS, key=columns)


def _cells(path: Path, text: str, delimiter: str) -> pd.DataFrame:
    csv.field_size_limit(LONGEST_LINE)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = list(lines)
    except csv.Error as error:
        problem = f"line {lines.line_num}: is no CSV ({error})"
        raise _refused(path, problem, "mend the line that is named") from error
    while rows and not rows[-1]:  # empty lines at the end
        rows.pop()
    header, rows = rows[0], rows[1:]
    check_table(path, len(rows), len(header))
    if problems := [*_header_faults(header), *_row_faults(header, rows)]:
        remedy = "line 1 has to name each column once, and every other line has as many cells"
        raise ContractError(str(path), problems, remedy)
    return pd.DataFrame(rows, columns=header, dtype=object)


def _header_faults(header: list[str]) -> list[str]:
    """What is wrong with the names of the columns; the first may have none: it numbers rows."""
    numbers = [name for name in header if name.strip().lstrip("-").replace(".", "", 1).isdigit()]
    if len(numbers) > len(header) / 2 or len(header) == 1:
        kind = "only one column" if len(header) == 1 else f"numbers, such as {numbers[0]}"
        return [f"line 1: has {kind}, and no names of columns"]
    problems = [
        f"line 1: column {name!r} occurs {header.count(name)} times"
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    return problems + [
        f"line 1: column {place} has no name"
        for place, name in enumerate(header[1:], 2)
        if not name.strip()
    ]


def _row_faults(header: list[str], rows: list[list[str]]) -> list[str]:
    problems = [] if rows else ["there is a header but no row"]
    return problems + [
        f"row {number} (line {number + 1}): {len(row)} cells, the header has {len(header)}"
        for number, row in enumerate(rows, 1)
        if len(row) != len(header)
    ]


def _parquet(path: Path, file: BinaryIO) -> pd.DataFrame:
    from creditrisk.data.raw_files import parquet

    try:
        table = parquet.opened(path, file)
        names, rows = parquet.columns(table), parquet.rows(table)
        check_table(path, rows, len(names))
        if not rows:
            raise _refused(path, "there is no row", "give one with a table")
        return parquet.text(table, names, np.arange(rows), "")
    except parquet.Broken as error:
        raise _refused(path, str(error), "write it again") from error


def _refused(path: Path, problem: str, remedy: str) -> ContractError:
    return ContractError(str(path), [problem], remedy)
