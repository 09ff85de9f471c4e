"""Files of applications, read in batches of columns and checked against the contract.

What a row may be is what the API takes, and what is said of one that it would not take are the
API's words. No row becomes a Python object unless it is refused.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from creditrisk.data.contract import Contract
from creditrisk.data.domain import Domain
from creditrisk.data.fields import Field
from creditrisk.data.record_checks import record_problems

BLOCK = 8 * 2**20  # bytes of a CSV file read at once

#: What is wrong with a cell, by number; :func:`complaints` has the words.
FINE, NULL, INFINITE, OTHER, OUTSIDE = range(5)


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
    text: bool  # whether all cells are text, as in CSV
    unused: tuple[str, ...]
    batches: Iterator[Batch]


def open_table(
    content: pa.NativeFile, path: str, contract: Contract, *, id: str | None, name: str, size: int
) -> Table:
    """Open a file and make sure that its columns are those of an application.

    Parameters
    ----------
    id
        The column that names a row; None for ``id`` if there is one, else ``name`` and the row.
    size
        Rows a batch, at most.

    Raises
    ------
    Unreadable
        If one is missing, stands there twice or is of a type that cannot hold its values.
    """
    text = path.endswith(".csv")
    if text:
        schema = pa.schema([(name, pa.string()) for name in _header(content)])
    else:
        reader = pq.ParquetFile(content)
        schema = reader.schema_arrow
    id = id or ("id" if "id" in schema.names else None)
    _check_columns(schema, contract, id, text)
    wanted = [each.name for each in contract.fields]
    if id is not None and id not in wanted:
        wanted.append(id)
    if text:
        stream = _csv_batches(content, wanted, size)
    else:
        # Text as numbers in a dictionary, as Parquet has it: then each value is looked up once.
        levels = [each.name for each in contract.categories if each.name != id]
        reader = pq.ParquetFile(content, metadata=reader.metadata, read_dictionary=levels)
        stream = reader.iter_batches(size, columns=wanted, use_threads=False)
    known = {*wanted, contract.target.name, contract.row_number}
    id_type = schema.field(id).type if id else pa.string()
    return Table(
        id, id_type, text, tuple(sorted({*schema.names} - known)), _batches(stream, name, id, text)
    )


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


def _check_columns(schema: pa.Schema, contract: Contract, id: str | None, text: bool) -> None:
    absent = {problem.field: problem.message for problem in record_problems({}, contract)}
    problems = []
    for each in contract.fields:
        count = schema.names.count(each.name)
        if count == 0:
            problems.append(f"{each.name} {absent[each.name]}")
        elif count > 1:
            problems.append(f"{each.name} stands in more than one column")
        elif not text and not _can_hold(schema.field(each.name).type, each):
            kind = "whole numbers" if each.type == "integer" else "text"
            problems.append(f"{each.name} is of type {schema.field(each.name).type}, not {kind}")
    if id is not None and schema.names.count(id) != 1:
        problems.append(f"{id}, which names the rows, is not one of its columns")
    if problems:
        raise Unreadable(problems)


def _can_hold(kind: pa.DataType, each: Field) -> bool:
    """Whether a column's type can hold a field's values."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    if types.is_null(kind):
        return True
    if each.type == "integer":
        return bool(types.is_integer(kind) or types.is_floating(kind))
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text)


def _header(content: pa.NativeFile) -> list[str]:
    """The column names of a CSV file."""
    begin = content.read(2**16)
    content.seek(0)
    if not begin.strip():
        raise Unreadable(["the file is empty"])
    lines = begin.decode("utf-8-sig", errors="replace").splitlines()
    return next(csv.reader(lines[:1]), [])


def _csv_batches(content: pa.NativeFile, wanted: list[str], size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file as text.

    Raises
    ------
    Unreadable
        If a row is longer or shorter than the header.
    """
    torn = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        torn.append(row)
        return "error"

    try:
        reader = pa_csv.open_csv(
            content,
            pa_csv.ReadOptions(use_threads=False, block_size=BLOCK),
            pa_csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse
            ),
            pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=wanted,
                strings_can_be_null=False,
            ),
        )
        for block in reader:
            for start in range(0, len(block), size):
                yield block.slice(start, size)
    except pa.ArrowInvalid:
        if not torn:
            raise
        row = torn[0]  # Arrow's own words would quote it
        where = "a row" if row.number is None else f"row {row.number - 1} (line {row.number})"
        raise Unreadable(
            [f"{where} has {row.actual_columns} cells, the header {row.expected_columns}"]
        ) from None


def numbered_values(batch: Batch, domain: Domain, text: bool) -> tuple[np.ndarray, np.ndarray]:
    """The codes of each row's values and what is wrong with each, both (n, fields)."""
    contract, size = domain.contract, len(batch.ids)
    codes = np.zeros((size, len(contract.fields)))
    faults = np.zeros(codes.shape, np.int8)
    for number, each in enumerate(contract.fields):
        column, numbers = batch.columns[each.name], None
        if pa.types.is_dictionary(column.type):  # each of its values once, and null as the last
            nothing = pa.nulls(1, column.type.value_type)
            numbers = pc.fill_null(
                column.indices.cast(pa.int64()), len(column.dictionary)
            ).to_numpy()
            column = pa.concat_arrays([column.dictionary, nothing])
        if text:
            column = _cells(column, contract.missing_values)
        found, fault = (_whole if each.type == "integer" else _levels)(column, each)
        null = column.is_null().to_numpy(zero_copy_only=False) | (fault == NULL)
        fault[null] = NULL
        missing = _labelled(column, each) | (null & each.takes_blank)
        found = found.astype(float)
        found[missing], fault[missing] = domain.missing(number), FINE
        if numbers is not None:
            found, fault = found[numbers], fault[numbers]
        codes[:, number], faults[:, number] = found, fault
    codes[faults > 0] = 0
    return codes, faults


def _cells(column: pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """A CSV file's cells without the blanks around them; null where nothing is given."""
    column = pc.utf8_trim_whitespace(column)
    absent = pc.is_in(column, pa.array(["", *missing]))
    return pc.if_else(absent, pa.scalar(None, pa.string()), column)


def _levels(column: pa.Array, each: Field) -> tuple[np.ndarray, np.ndarray]:
    """The number of each level in its field, and whether it is one."""
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    levels = pa.array(each.levels, column.type)
    found = pc.fill_null(pc.index_in(column, levels), -1).to_numpy().astype(np.int64)
    return found, np.where(found < 0, OUTSIDE, FINE).astype(np.int8)


def _labelled(column: pa.Array, each: Field) -> np.ndarray:
    """Which values are the label by which an applicant states what the data record as missing."""
    types = pa.types
    text = types.is_string(column.type) or types.is_large_string(column.type)
    if each.missing_label is None or not (text or types.is_string_view(column.type)):
        return np.zeros(len(column), bool)
    same = pc.equal(column, pa.scalar(each.missing_label, column.type))
    found: np.ndarray = pc.fill_null(same, False).to_numpy(zero_copy_only=False)
    return found


def _whole(column: pa.Array, each: Field) -> tuple[np.ndarray, np.ndarray]:
    """The number of each whole number in its field, and what is wrong with those that are none.

    In a column of floats whole numbers count as such: pandas makes floats of whole numbers as
    soon as one is missing, and only that one is to blame.
    """
    size, types = len(column), pa.types
    fault = np.zeros(size, np.int8)
    if types.is_null(column.type):
        values = np.zeros(size, np.int64)
    elif types.is_floating(column.type):
        found = pc.fill_null(column, np.nan).to_numpy(zero_copy_only=False).astype(float)
        fault[np.isnan(found)] = NULL
        fault[np.isinf(found)] = INFINITE
        fault[np.isfinite(found) & (found != np.floor(found))] = OTHER
        values = np.where(np.abs(found) < 2**53, found, 2**53).astype(np.int64)
    elif types.is_integer(column.type):
        if types.is_uint64(column.type):
            most = pa.scalar(2**63 - 1, pa.uint64())
            column = pc.min_element_wise(column, most, skip_nulls=False)
        values = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    else:
        whole = pc.fill_null(pc.match_substring_regex(column, "^-?[0-9]+$"), False)
        fault[~whole.to_numpy(zero_copy_only=False)] = OTHER
        digits = pc.replace_substring_regex(column, "^(-?)0+([0-9])", r"\1\2")
        fits = pc.and_(whole, pc.less_equal(pc.binary_length(digits), 18))
        values = pc.if_else(fits, digits, pa.scalar(str(2**53))).cast(pa.int64())
        values = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    if each.levels is None:
        low, high = each.limits
        inside, found = (values >= low) & (values <= high), values
    else:
        found = pc.fill_null(pc.index_in(pa.array(values), pa.array(each.levels, pa.int64())), -1)
        found = found.to_numpy().astype(np.int64)
        inside = found >= 0
    fault[(fault == FINE) & ~inside] = OUTSIDE
    return found, fault


def complaints(contract: Contract) -> list[dict[int, str]]:
    """By field and kind of fault, what the API says of it."""
    found = []
    for each in contract.fields:
        outside: int | str = "?".join(map(str, each.levels or ())) + "?"
        if each.type == "integer":
            outside = max(map(int, each.levels or each.limits)) + 1
        other = 0.5 if each.type == "integer" else 0
        values = {NULL: None, INFINITE: float("inf"), OTHER: other, OUTSIDE: outside}
        words: dict[int, str] = {}
        for kind, value in values.items():
            about = record_problems({each.name: value}, contract)
            for problem in about:
                if problem.field == each.name:
                    words[kind] = problem.message
        found.append(words)
    return found
