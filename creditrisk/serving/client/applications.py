"""The applications in a file, and the contract to read them by."""

import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from creditrisk.data.contract import Contract, Json
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.fields import Field
from creditrisk.serving.api.strict_json import NoJson, parse

#: Where the contract is looked for: beside a model, then beside the raw data.
CONTRACTS = ("models/manifest.json", "data/raw/datapackage.json")


class Unreadable(Exception):
    """A file that holds no applications, or no contract to read them by."""


def read(path: str, contract: str | None) -> list[Any]:
    """The applications of a JSON or CSV file; what they hold is for the server to judge.

    Raises
    ------
    Unreadable
        If the file cannot be read or holds neither.
    """
    if path == "-" and sys.stdin is None:  # as a service or `<&-` has it
        raise Unreadable("-: there is no standard input; name a file")
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror})") from error
    unmarked = content.removeprefix(b"\xef\xbb\xbf")
    if unmarked.lstrip()[:1] not in (b"{", b"["):
        described = find_contract(contract)
        return _csv_records(_text(content, path, described.encoding), path, described)
    try:
        found = parse(unmarked)
    except NoJson as error:
        raise Unreadable(f"{path}: {error}") from error
    records = found if isinstance(found, list) else [found]
    if not records:
        raise Unreadable(f"{path}: holds no applications")
    return records


def find_contract(path: str | None) -> Contract:
    """The contract in a file, by default in the first of :data:`CONTRACTS` that is there.

    Raises
    ------
    Unreadable
        If there is none.
    """
    chosen = path or next((each for each in CONTRACTS if Path(each).exists()), None)
    if chosen is None:
        raise Unreadable(f"no contract here ({', '.join(CONTRACTS)}); name one with --contract")
    try:
        if Path(chosen).name == "manifest.json":
            manifest = json.loads(Path(chosen).read_text("utf-8"))
            return parse_contract(manifest["contract"], chosen)
        return read_contract(chosen)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{chosen}: holds no contract ({error})") from error


def labelled(records: list[Any], contract: Contract) -> list[Any]:
    """Applications in which blanks have the label that the contract gives them."""
    labels = {f.name: f.missing_label for f in contract.fields if f.missing_label is not None}
    return [
        {k: labels.get(k) if value is None else value for k, value in record.items()}
        if isinstance(record, dict)
        else record
        for record in records
    ]


def _text(content: bytes, path: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise Unreadable(f"{path}: is not {name} (byte {error.start + 1})") from error


def _rows(text: str, path: str, contract: Contract) -> list[list[str]]:
    """The lines that hold anything, cut into cells."""
    table = csv.reader(
        io.StringIO(text, newline=""),  # a line may end as on any system
        delimiter=contract.delimiter,
        quotechar=contract.quote_char,
        skipinitialspace=contract.skip_initial_space,
    )
    try:
        return [row for row in table if row]
    except csv.Error as error:
        raise Unreadable(f"{path}: is no CSV, line {table.line_num} ({error})") from error


def _csv_records(text: str, path: str, contract: Contract) -> list[Json]:
    """Rows as applications; whatever else the raw file has, as row numbers, is left out."""
    header, *rows = _rows(text, path, contract) or [[]]
    header = [name.strip() for name in header]
    if len(set(header)) < len(header):
        raise Unreadable(f"{path}: a column stands in the header twice")
    if not rows:
        raise Unreadable(f"{path}: holds no applications")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise Unreadable(f"{path}: row {number} has {len(row)} cells, the header {len(header)}")
    others = {field.name for field in (*contract.others, contract.target)}
    fields = {field.name: field for field in contract.fields}
    columns = {
        name: _values(cells, fields[name], contract) if name in fields else cells
        for name, cells in zip(header, zip(*rows))
        if name not in others and name != contract.row_number
    }
    return [{name: cells[row] for name, cells in columns.items()} for row in range(len(rows))]


def _values(texts: Sequence[str], field: Field, contract: Contract) -> list[object]:
    """A column's cells as JSON has their values.

    A cell that is not allowed stays as it is: the server has the words for what it should be.
    """
    import pyarrow as pa  # like pandas, which cells need, not for applications in JSON

    from creditrisk.data.cells import read_cells
    from creditrisk.data.notation.values import BLANK, FINE

    cells = read_cells(pa.array(texts), field, contract.missing_values, of_applicant=True)
    values: list[object] = []
    for text, value, fault in zip(texts, cells.values.tolist(), cells.faults.tolist()):
        missing = isinstance(value, float) and math.isnan(value)
        if fault == BLANK or (missing and fault == FINE):  # a blank, or the label for one
            values.append(text if text == field.missing_label else None)
        elif fault != FINE:
            values.append(text)
        elif field.is_dated:
            values.append(field.shown(value))
        else:
            values.append(int(value) if field.type == "integer" else value)
    return values
