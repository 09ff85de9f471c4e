"""The rows of a CSV file as text, in batches of columns."""

import csv
import io
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.csv as pa_csv

from creditrisk.data.contract import Contract
from creditrisk.data.raw_files.limits import LONGEST_LINE
from creditrisk.portfolio.job import Unreadable

BLOCK = 8 * 2**20  # bytes of a CSV file read at once


def header_of(content: pa.NativeFile, contract: Contract) -> list[str]:
    """The column names of a CSV file."""
    begin = content.read(LONGEST_LINE)
    content.seek(0)
    if not begin.strip():
        raise Unreadable(["the file is empty"])
    text = begin.decode(contract.encoding, errors="replace").removeprefix("\ufeff")
    return next(
        csv.reader(
            text.splitlines()[:1],
            delimiter=contract.delimiter,
            quotechar=contract.quote_char,
            skipinitialspace=contract.skip_initial_space,
        ),
        [],
    )


def csv_batches(
    content: pa.NativeFile, contract: Contract, wanted: list[str], size: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file as text; empty lines at its end are no rows.

    Raises
    ------
    Unreadable
        If a row is longer or shorter than the header, or longer than what is read at once.
    """
    torn = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        torn.append(row)
        return "error"

    empty, held = _empty_lines(content), None
    try:
        reader = pa_csv.open_csv(
            content,
            pa_csv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=contract.encoding),
            pa_csv.ParseOptions(
                delimiter=contract.delimiter,
                quote_char=contract.quote_char,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=wanted,
                strings_can_be_null=False,
            ),
        )
        for block in reader:
            if held is not None:
                yield from _slices(held, size)
            held = block
    except pa.ArrowInvalid as error:
        if not torn:
            if "straddling object" in str(error):  # a row that is longer than a block
                raise Unreadable([_too_long(content)]) from None
            raise
        row = torn[0]  # Arrow's own words would quote it
        where = "a row" if row.number is None else f"row {row.number - 1} (line {row.number})"
        raise Unreadable(
            [f"{where} has {row.actual_columns} cells, the header {row.expected_columns}"]
        ) from None
    if held is not None:
        yield from _slices(held.slice(0, max(0, len(held) - empty)), size)


def spaced_batches(
    content: pa.NativeFile, contract: Contract, wanted: list[str], size: int
) -> Iterator[pa.RecordBatch]:
    """As :func:`csv_batches`, where blanks after a delimiter are no part of the cell.

    A quotation mark may follow them, which Arrow does not know: the parser of training reads.
    """
    encoding = "utf-8-sig" if contract.encoding == "utf-8" else contract.encoding
    rows = csv.reader(
        io.TextIOWrapper(content, encoding, newline=""),
        delimiter=contract.delimiter,
        quotechar=contract.quote_char,
        skipinitialspace=True,
        strict=True,
    )
    try:
        header = next(rows)
        places = [header.index(name) for name in wanted]
        whole = _whole_rows(rows, len(header))
        while found := list(islice(whole, size)):
            cells = [[row[place] for row in found] for place in places]
            yield pa.record_batch([pa.array(each, pa.string()) for each in cells], wanted)
    except csv.Error as error:
        raise Unreadable([f"line {rows.line_num} is no CSV ({error})"]) from error


def _whole_rows(rows: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    """Rows of that many cells; an empty line between others is one of empty cells.

    Raises
    ------
    Unreadable
        If a row is longer or shorter.
    """
    number = empty = 0
    for row in rows:
        if not row:
            empty += 1
            continue
        for _ in range(empty):
            yield [""] * width
        number, empty = number + empty + 1, 0
        if len(row) != width:
            raise Unreadable([f"row {number} has {len(row)} cells, the header {width}"])
        yield row


def _too_long(content: pa.NativeFile) -> str:
    """Which line is too long, or that rows run into one another."""
    content.seek(0)
    line, begun = 1, 0
    while piece := content.read(LONGEST_LINE):
        first, *others = piece.split(b"\n")
        if begun + len(first) > LONGEST_LINE:
            return f"line {line}: more than {LONGEST_LINE:,} bytes; mend it, or leave it out"
        line += len(others)
        begun = len(others[-1]) if others else begun + len(first)
    return f"a row of more than {BLOCK:,} bytes; mend a quotation mark that is not closed again"


def _slices(block: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(block), size):
        yield block.slice(start, size)


def _empty_lines(content: pa.NativeFile) -> int:
    """How many lines at the end of a file are empty."""
    size = content.size()
    content.seek(max(0, size - 2**16))
    end: bytes = content.read()
    content.seek(0)
    line_ends = end[len(end.rstrip(b"\r\n")) :]
    return max(0, max(line_ends.count(b"\n"), line_ends.count(b"\r")) - 1)
