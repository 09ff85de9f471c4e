"""A table of which nothing is known yet: its encoding and delimiter are found, its cells are text.

:mod:`creditrisk.data.raw_files` reads a file that a contract describes; here there is none.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from creditrisk.data.contract import ContractError
from creditrisk.data.notation.values import texts
from creditrisk.data.raw_files.files import RawFile, Unpacked, matching
from creditrisk.data.raw_files.limits import (
    LONGEST_LINE,
    MOST_BYTES,
    Lines,
    check_bytes,
    check_table,
)

#: Between the cells of a line, the likeliest first.
DELIMITERS = (",", ";", "\t", "|")

#: How a file in UTF-16 begins.
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

#: Lines on which the delimiter is tried.
_TRIED = 200


@dataclass(frozen=True)
class Table:
    """A loan file as it lies there, or several with the same columns."""

    paths: tuple[Path, ...]  # as they were given; one may be a pattern
    cells: pd.DataFrame  # text; empty where a Parquet file has no value
    kind: str  # "csv" or "parquet"
    encoding: str
    delimiter: str
    sha256: str
    size: int  # bytes
    is_ascii: bool = False  # whether any encoding reads it alike
    files: int = 1


def read_tables(paths: Sequence[Path]) -> Table:
    """Read files, or those of a pattern, as one table.

    Raises
    ------
    ContractError
        As :func:`read_table`; and if one file is written in another way than the first, or has
        other columns.
    """
    places = [Path(file.place) for path in paths for file in matching(str(path))]
    tables = [read_table(place) for place in places]
    first = next((table for table in tables if not table.is_ascii), tables[0])
    for table in tables:
        if problem := _other_way(table, first):
            raise _refused(table.paths[0], problem, "give files of one kind, with the same columns")
    cells = pd.concat([table.cells[list(first.cells)] for table in tables], ignore_index=True)
    check_table(str(paths[0]), *cells.shape)
    if len(tables) == 1:
        return replace(first, paths=tuple(paths))
    # as creditrisk.data.raw_files.recorded has it
    hashes = hashlib.sha256("".join(table.sha256 for table in tables).encode()).hexdigest()
    size = sum(table.size for table in tables)
    return replace(
        first, paths=tuple(paths), cells=cells, sha256=hashes, size=size, files=len(tables)
    )


def _other_way(table: Table, first: Table) -> str:
    """In what a file differs from the first one, if no contract can describe both."""
    name = first.paths[0]
    if table.kind != first.kind:
        return f"is {table.kind}, and {name} {first.kind}"
    if other := sorted(set(table.cells) ^ set(first.cells)):
        return f"columns differ from those of {name}: {', '.join(other)}"
    if table.delimiter != first.delimiter:
        return f"has {table.delimiter!r} between the cells, and {name} {first.delimiter!r}"
    if table.encoding != first.encoding and not table.is_ascii:
        return f"is in {table.encoding}, and {name} in {first.encoding}"
    return ""


def read_table(path: Path) -> Table:
    """Read a CSV file, compressed or not, or a Parquet file without knowing what is in it.

    Raises
    ------
    ContractError
        If it cannot be read, is no such table, has no header, or is larger than what is read.
    """
    file = RawFile(str(path))
    with file.opened() as stored:
        sha256 = hashlib.file_digest(cast(io.BufferedReader, stored), "sha256").hexdigest()
        size = stored.tell()
        stored.seek(0)
        if file.is_parquet(stored):
            return Table((path,), _parquet(path, stored), "parquet", "utf-8", ",", sha256, size)
        content = _content(path, stored)
    text, encoding = _decoded(path, content)
    delimiter = _delimiter(text)
    cells = _cells(path, text, delimiter)
    return Table((path,), cells, "csv", encoding, delimiter, sha256, size, text.isascii())


def _content(path: Path, stored: BinaryIO) -> bytes:
    """The bytes of a CSV file; no more than the limits allow is unpacked."""
    pieces, lines, unpacked = [], Lines(str(path)), Unpacked(stored)
    try:
        while piece := unpacked.piece(LONGEST_LINE):
            lines.add(piece)
            pieces.append(piece)
    except ContractError:
        raise
    except ValueError as error:
        raise _refused(path, str(error), "compress it again") from error
    content = b"".join(pieces)
    if b"\0" in content and not content.startswith(_UTF16):
        raise _refused(path, "is no text: it holds bytes of zero", "save it as CSV in UTF-8")
    if not content.strip():
        raise _refused(path, "the file is empty", "give one with a table")
    return content


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """Text and encoding: UTF-8 if it can be, else what Windows writes in western Europe.

    Excel's "Unicode text" says by its first bytes that it is UTF-16.
    """
    is_utf16 = content.startswith(_UTF16)
    content = content.removeprefix(codecs.BOM_UTF8)
    for encoding in ("utf-16",) if is_utf16 else ("utf-8", "cp1252"):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError as error:
            fault = error
    tried = "not in UTF-16" if is_utf16 else "neither in UTF-8 nor in cp1252"
    problem = f"byte {fault.start + 1} is text {tried}"
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
    check_table(str(path), len(rows), len(header))
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
        table = parquet.opened(str(path), file)
        names, rows = parquet.columns(table), parquet.rows(table)
        check_table(str(path), rows, len(names))
        if not rows:
            raise _refused(path, "there is no row", "give one with a table")
        columns = parquet.cells(table, names)
    except parquet.Broken as error:
        raise _refused(path, str(error), "write it again") from error
    # A text that the file has once may stand in each of its rows.
    size = sum(map(_text_size, columns.values()))
    check_bytes(str(path), size, MOST_BYTES, "its text, written out for each row,")
    return pd.DataFrame({name: _as_text(column) for name, column in columns.items()}, dtype=object)


def _text_size(column: pa.ChunkedArray) -> int:
    """The bytes of a column's texts, each counted as often as it stands there."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return 0
    lengths = [
        pc.binary_length(chunk.dictionary).cast(pa.int64()).take(chunk.indices)
        for chunk in column.chunks
    ]
    return sum(pc.sum(each).as_py() or 0 for each in lengths)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _as_text(column: pa.ChunkedArray) -> np.ndarray:
    """A column's values as text; of a time, the day."""
    plain = column.unify_dictionaries().combine_chunks()
    found = pc.dictionary_encode(plain) if not pa.types.is_dictionary(plain.type) else plain
    values = found.dictionary
    if pa.types.is_timestamp(values.type):
        values = pc.strftime(values, format="%Y-%m-%d")
    words = np.array([*texts(values).to_pylist(), ""], object)
    cells: np.ndarray = words[pc.fill_null(found.indices.cast(pa.int64()), -1).to_numpy()]
    return cells


def _refused(path: Path, problem: str, remedy: str) -> ContractError:
    return ContractError(str(path), [problem], remedy)
