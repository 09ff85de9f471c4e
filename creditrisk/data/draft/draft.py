"""A draft of ``datapackage.json`` for a file: what it shows, and questions on what it cannot."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from creditrisk.data.contract import ContractError, Json, did_you_mean
from creditrisk.data.draft import names, suspects
from creditrisk.data.draft.inference import Column, infer, missing_spellings
from creditrisk.data.draft.outcome import Outcome, outcome
from creditrisk.data.draft.questions import NOT_STATED, about_the_data
from creditrisk.data.draft.sniffing import Table, read_tables
from creditrisk.data.draft.spelling import needs_comma
from creditrisk.data.fields import DATE, ID
from work_units.whole_files import replacing

DESCRIPTOR = "datapackage.json"

_ROW_NUMBER = re.compile(r"(?i)|unnamed: 0|index|row|row.?(number|nr|id)|nr|no|zeile")


@dataclass(frozen=True)
class Draft:
    """A drafted descriptor, and how each column was read."""

    package: Json
    table: Table
    columns: list[Column]  # in the order of the file, without the target
    outcome: Outcome
    row_number: str | None


def draft(
    path: str | Path | Sequence[str | Path],
    target: str,
    good: Sequence[str] = (),
    bad: Sequence[str] = (),
    folder: str | Path | None = None,
) -> Draft:
    """Read a file of which nothing is known, and describe it as far as it shows.

    Parameters
    ----------
    path
        A CSV file with a header, compressed by gzip or not, or a Parquet file; a pattern such as
        ``loans-*.csv``, or a list, stands for several files with the same columns.
    target
        The column that says how each loan ended.
    good, bad
        Its spellings that are good and bad; what is not given is guessed, and asked about.
    folder
        Where the descriptor is to be; by default beside the first file.

    Raises
    ------
    ContractError
        If it cannot be read, is no table, or has no such column; with file, place and remedy.
    """
    paths = [Path(each) for each in ([path] if isinstance(path, str | Path) else path)]
    path, table = paths[0], read_tables(paths)
    cells = table.cells
    if target not in cells:
        problem = f"has no column {target!r}{did_you_mean(target, list(cells))}"
        raise ContractError(str(path), [problem], f"--target is one of {', '.join(cells)}")
    markers = missing_spellings(cells)
    ending = outcome(str(path), target, cells[target], markers, good, bad)
    row_number = next((name for name in cells if _numbers_rows(name, cells[name])), None)
    inputs = [name for name in cells if name not in (target, row_number)]
    decimal = "," if any(_shows_comma(cells[name], markers) for name in inputs) else "."
    columns = [infer(name, cells[name], markers, decimal) for name in inputs]
    _one_id(columns)
    _date_of_decision(columns)
    if not any(column.is_input for column in columns):
        found = [f"column {each.name!r}: {each.taken_for} ({each.why})" for each in columns]
        remedy = "a model needs a column that is known of each application, beside the target"
        raise ContractError(str(path), ["there is no column to learn from", *found], remedy)
    suspects.ask_about(columns, ending.is_bad)
    package = _package(table, columns, ending, row_number, markers, Path(folder or path.parent))
    return Draft(package, table, columns, ending, row_number)


def write(drafted: Draft, folder: str | Path, force: bool = False) -> Path:
    """Write a descriptor, whole or not at all, and return its path.

    Raises
    ------
    FileExistsError
        If there is one and ``force`` does not allow to replace it.
    OSError
        If it cannot be written.
    """
    path = Path(folder) / DESCRIPTOR
    if os.path.lexists(path) and not force:
        raise FileExistsError(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(drafted.package, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as half:
        half.write_text(text, "utf-8")
    return path


def _numbers_rows(name: str, cells: pd.Series) -> bool:
    """Whether a column counts the rows from 0 or from 1."""
    if not _ROW_NUMBER.fullmatch(name.strip()):
        return False
    return any(
        list(cells) == [str(number) for number in range(start, start + len(cells))]
        for start in (0, 1)
    )


def _shows_comma(cells: pd.Series, markers: Sequence[str]) -> bool:
    return needs_comma([text for text in cells.unique() if text not in markers])


def _one_id(columns: Sequence[Column]) -> None:
    """One column identifies an application; another that could is left out."""
    ids = [column for column in columns if column.entry.get("role") == ID]
    for column in ids[1:]:
        column.leave_out(f"identifies rows as {ids[0].name!r} does")


def _date_of_decision(columns: Sequence[Column]) -> None:
    """The date of an application, by its name; or the only one that no earlier life explains."""
    dates = [
        column
        for column in columns
        if column.entry["type"] in ("date", "yearmonth")
        and not names.hints_at(column.name, names.EARLIER)
    ]
    named = [column for column in dates if names.hints_at(column.name, names.DECISION)]
    chosen = next(iter(named or (dates if len(dates) == 1 else [])), None)
    if chosen is None:
        return
    chosen.entry["role"] = DATE
    chosen.taken_for = f"{chosen.taken_for} of application"
    chosen.checks.append("the day of application? It orders training and test")
    chosen.review.append(
        "Is it the date of the application or of the decision? If so, nothing is to "
        'be set; if not, remove "role" here and "split" of the resource.'
    )


def _orders_rows(column: Column) -> bool:
    """Whether every row has a date of application, so that the last ones can be the test set."""
    entry = column.entry
    return entry.get("role") == DATE and bool(entry["constraints"]["required"])


def _package(
    table: Table,
    columns: Sequence[Column],
    ending: Outcome,
    row_number: str | None,
    markers: Sequence[str],
    folder: Path,
) -> Json:
    by_name = {column.name: _entry(column) for column in columns} | {ending.name: ending.entry}
    stem = re.sub(r"[*?\[\]]", "", table.paths[0].name.split(".")[0]) or "loans"
    paths = [Path(os.path.relpath(path, folder)).as_posix() for path in table.paths]
    resource: dict[str, Any] = {
        "name": _slug(stem),
        "path": paths[0] if len(paths) == 1 else paths,
        "profile": "tabular-data-resource",
        "format": table.kind,
        "encoding": table.encoding,
        "bytes": table.size,
        "hash": f"sha256:{table.sha256}",
        "rows": len(table.cells),
        "dialect": {"delimiter": table.delimiter},
        "rowNumber": row_number,
        "target": ending.target,
        "split": {"by": "date"} if any(map(_orders_rows, columns)) else None,
        "review": [*ending.review, *about_the_data(columns, ending)],
        "schema": {
            "missingValues": list(markers),
            "fields": [by_name[name] for name in table.cells if name != row_number],
        },
    }
    if table.delimiter == ",":
        del resource["dialect"]
    return {
        "name": _slug(stem),
        "title": stem,
        "sources": [{"title": NOT_STATED}],
        "licenses": [{"title": NOT_STATED}],
        "resources": [{key: value for key, value in resource.items() if value is not None}],
    }


def _entry(column: Column) -> Json:
    """The descriptor's entry: the title first, the questions last."""
    name, *rest = column.entry.items()
    entry = dict([name, ("title", column.name.strip() or column.name), *rest])
    return entry | ({"review": column.review} if column.review else {})


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "loans"
