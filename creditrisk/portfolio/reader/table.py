"""A file of applications, opened: its columns checked, its rows in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.contract import Contract
from creditrisk.data.fields import ID
from creditrisk.data.raw_files.limits import MOST_COLUMNS, MOST_FOOTER
from creditrisk.data.raw_files.parquet import Broken, footer_size, holds_no_cells
from creditrisk.portfolio.job import Unreadable
from creditrisk.portfolio.reader.csv_rows import csv_batches, header_of, spaced_batches


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
        If one is missing, stands there twice or is of a type that holds no cells, or if there are
        more than a file may have.
    """
    text = path.endswith(".csv")
    if text:
        schema = pa.schema([(name, pa.string()) for name in header_of(content, contract)])
    else:
        reader = _opened(content)
        schema = reader.schema_arrow
    named = contract.of_role(ID)
    usual = ("id",) if named is None else (named.name, "id")
    id = id or next((each for each in usual if each in schema.names), None)
    _check_columns(schema, contract, id)
    wanted = [each.name for each in contract.fields]
    if id is not None and id not in wanted:
        wanted.append(id)
    if text:
        batches = spaced_batches if contract.skip_initial_space else csv_batches
        stream = batches(content, contract, wanted, size)
    else:
        # Text as numbers in a dictionary, as Parquet has it: then each value is looked up once.
        levels = [each.name for each in contract.categories if each.name != id]
        reader = pq.ParquetFile(
            content,
            metadata=reader.metadata,
            read_dictionary=levels,
            page_checksum_verification=True,
        )
        stream = reader.iter_batches(size, columns=wanted, use_threads=False)
    others = [each.name for each in (*contract.others, contract.target)]
    unused = {*schema.names} - {*wanted, *others, contract.row_number}
    id_type = schema.field(id).type if id else pa.string()
    return Table(id, id_type, tuple(sorted(unused)), _batches(stream, name, id, text))


def _opened(content: pa.NativeFile) -> pq.ParquetFile:
    """A Parquet file; its footer, which is read as a whole, may not be of any size."""
    try:
        size = footer_size(content)
    except Broken as error:
        raise Unreadable([f"cannot be read: it {error}"]) from error
    if size > MOST_FOOTER:
        what = f"its list of columns and groups of rows has {size:,} bytes"
        raise Unreadable([f"{what}; at most {MOST_FOOTER:,} are read; write larger groups"])
    return pq.ParquetFile(content, page_checksum_verification=True)


def _batches(
    stream: Iterator[pa.RecordBatch], name: str, id: str | None, text: bool
) -> Iterator[Batch]:
    first = 1
    for found in stream:
        if not text:  # in a damaged file a value may be one that its dictionary does not have
            found.validate(full=True)
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
    if len(schema) > MOST_COLUMNS:
        raise Unreadable([f"more than {MOST_COLUMNS:,} columns; leave columns out"])
    absent = {problem.field: problem.message for problem in record_problems({}, contract)}
    problems = []
    for each in contract.fields:
        count = schema.names.count(each.name)
        if count == 0:
            problems.append(f"{each.name} {absent[each.name]}")
        elif count > 1:
            problems.append(f"{each.name} stands in more than one column")
        elif holds_no_cells(kind := schema.field(each.name).type):
            problems.append(f"{each.name} is of type {kind}; a cell is a number or a text")
    if id is not None and schema.names.count(id) != 1:
        problems.append(f"{id}, which names the rows, is not one of its columns")
    if problems:
        raise Unreadable(problems)
