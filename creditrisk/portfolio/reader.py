"""Files of applications, read in batches of columns and checked against the contract.

A CSV file is written as the contract says of the raw file, and a cell is read by the rule by which
it is read for training, see :mod:`creditrisk.data.cells`. What is said of a row that is not allowed
are the API's words. No row becomes a Python object unless it is refused.
"""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from creditrisk.data.applications.domain import Domain
from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.cells import Cells, distinct, read_cells
from creditrisk.data.contract import Contract
from creditrisk.data.fields import ID, Field
from creditrisk.data.notation.values import BLANK, FINE, INFINITE, OTHER, OUTSIDE

BLOCK = 8 * 2**20  # bytes of a CSV file read at once


class Unreadable(Exception):
    """What is wrong with a whole part; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Batch:
    """Some rows of a file."""

    columns: dict[str, pa.Array]  # the contract's
    ids: pa.Array
    no_id: np.ndarray  # where the id is null
    first: int  # number of the first row in the file, from 1


@dataclass(frozen=True)
class Table:
    """A file, opened: what its columns are, and its rows in batches."""

    id: str | None
    id_type: pa.DataType
    unused: tuple[str, ...]
    batches: Iterator[Batch]


def open_table(
    content: pa.NativeFile, path: str, contract: Contract, *, id: str | None, name: str, size: int
) -> Table:
    """Open a file and make sure that its columns are those of an application.

    Parameters
    ----------
    id
        The column that names a row; None for the one that the contract names, else ``id``,
        whichever the file has, else ``name`` and the row.
    size
        Rows a batch, at most.

    Raises
    ------
    Unreadable
        If one is missing, stands there twice or is of a type that holds no cells.
    """
    text = path.endswith(".csv")
    if text:
        schema = pa.schema([(name, pa.string()) for name in _header(content, contract)])
    else:
        reader = pq.ParquetFile(content)
        schema = reader.schema_arrow
    named = contract.of_role(ID)
    usual = ("id",) if named is None else (named.name, "id")
    id = id or next((each for each in usual if each in schema.names), None)
    _check_columns(schema, contract, id)
    wanted = [each.name for each in contract.fields]
    if id is not None and id not in wanted:
        wanted.append(id)
    if text:
        batches = _spaced_batches if contract.skip_initial_space else _csv_batches
        stream = batches(content, contract, wanted, size)
    else:
        # Text as numbers in a dictionary, as Parquet has it: then each value is looked up once.
        levels = [each.name for each in contract.categories if each.name != id]
        reader = pq.ParquetFile(content, metadata=reader.metadata, read_dictionary=levels)
        stream = reader.iter_batches(size, columns=wanted, use_threads=False)
    others = [each.name for each in (*contract.others, contract.target)]
    unused = {*schema.names} - {*wanted, *others, contract.row_number}
    id_type = schema.field(id).type if id else pa.string()
    return Table(id, id_type, tuple(sorted(unused)), _batches(stream, name, id, text))


def _batches(
    stream: Iterator[pa.RecordBatch], name: str, id: str | None, text: bool
) -> Iterator[Batch]:
    first = 1
    for found in stream:
        if id is None:
            numbers = pa.array(np.arange(first, first + len(found))).cast(pa.string())
            ids = pc.binary_join_element_wise(name, numbers, ":")
        else:
            ids = found.column(id)
            if text:
                ids = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
        columns = dict(zip(found.schema.names, found.columns))
        yield Batch(columns, ids, ids.is_null().to_numpy(zero_copy_only=False), first)
        first += len(found)


def _check_columns(schema: pa.Schema, contract: Contract, id: str | None) -> None:
    absent = {problem.field: problem.message for problem in record_problems({}, contract)}
    problems = []
    for each in contract.fields:
        count = schema.names.count(each.name)
        if count == 0:
            problems.append(f"{each.name} {absent[each.name]}")
        elif count > 1:
            problems.append(f"{each.name} stands in more than one column")
        elif pa.types.is_nested(kind := schema.field(each.name).type):
            problems.append(f"{each.name} is of type {kind}; a cell is a number or a text")
    if id is not None and schema.names.count(id) != 1:
        problems.append(f"{id}, which names the rows, is not one of its columns")
    if problems:
        raise Unreadable(problems)


def _header(content: pa.NativeFile, contract: Contract) -> list[str]:
    """The column names of a CSV file."""
    begin = content.read(2**16)
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


def _csv_batches(
    content: pa.NativeFile, contract: Contract, wanted: list[str], size: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file as text; empty lines at its end are no rows.

    Raises
    ------
    Unreadable
        If a row is longer or shorter than the header.
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
    except pa.ArrowInvalid:
        if not torn:
            raise
        row = torn[0]  # Arrow's own words would quote it
        where = "a row" if row.number is None else f"row {row.number - 1} (line {row.number})"
        raise Unreadable(
            [f"{where} has {row.actual_columns} cells, the header {row.expected_columns}"]
        ) from None
    if held is not None:
        yield from _slices(held.slice(0, max(0, len(held) - empty)), size)


def _spaced_batches(
    content: pa.NativeFile, contract: Contract, wanted: list[str], size: int
) -> Iterator[pa.RecordBatch]:
    """As :func:`_csv_batches`, where blanks after a delimiter are no part of the cell.

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


def numbered_values(batch: Batch, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """The codes of each row's values and what is wrong with each, both (n, fields)."""
    contract, size = domain.contract, len(batch.ids)
    codes = np.zeros((size, len(contract.fields)))
    faults = np.zeros(codes.shape, np.int8)
    for number, each in enumerate(contract.fields):
        values, numbers = distinct(batch.columns[each.name])
        cells = read_cells(values, each, contract.missing_values, of_applicant=True)
        codes[:, number] = _codes(cells, domain.missing(number)).take(numbers)
        if cells.faults.any():
            faults[:, number] = cells.faults.take(numbers)
    return codes, faults


def _codes(cells: Cells, missing: float) -> np.ndarray:
    """The codes of cells, 0 for those that are not allowed."""
    values, levels = cells.values, cells.field.levels
    if levels is None:
        codes = values.astype(float)
    else:
        order = {level: float(number) for number, level in enumerate(levels)}
        codes = np.array([order.get(value, 0.0) for value in values.tolist()])
    codes[pd.isna(values)] = missing
    codes[cells.faults != FINE] = 0
    return codes


def complaints(contract: Contract) -> list[dict[int, str]]:
    """By field and kind of fault, what the API says of it."""
    found = []
    for each in contract.fields:
        # A date out of range need not be one of Python's.
        words = {OUTSIDE: f"is out of range; allowed {each.accepted}"}
        for kind, value in _faulty(each).items():
            for problem in record_problems({each.name: value}, contract):
                if problem.field == each.name:
                    words[kind] = problem.message
        found.append(words)
    return found


def _faulty(field: Field) -> dict[int, object]:
    """By kind of fault, a value that has it."""
    values: dict[int, object] = {BLANK: None, INFINITE: math.inf, OTHER: []}
    if field.levels is not None:
        texts = [str(level) for level in field.levels]
        # Where any other text is allowed, blanks around a level are not.
        other = "?".join(texts) + "?" if field.unlisted is None else f" {texts[0]}"
        values[OUTSIDE] = int(max(field.levels)) + 1 if field.type == "integer" else other
        return values
    if not field.is_dated:
        values[OUTSIDE] = max(field.limits[1], *field.special_values, 0) + 1
    return values
