"""The results of a grid as files: for the next go at it, for programs, and as a page."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from papermill_chain.grid.combinations import Combination, Grid, Result
from papermill_chain.grid.page import page_of
from papermill_chain.runs.figures import read_figures
from papermill_chain.runs.files import write_whole
from papermill_chain.runs.manifest import GOOD
from papermill_chain.runs.record_files import file_name, read_or_absent, text_of


def as_json(grid: Grid) -> str:
    """All combinations with their results, as :func:`results_before` reads them."""
    return json.dumps([asdict(one) for one in grid.combinations], indent=1, default=str)


def write_results(grid: Grid, status: str) -> None:
    """Write grid.json, grid.csv and the page that compares the combinations."""
    write_whole(grid.folder / "grid.json", as_json(grid))
    write_whole(grid.folder / "grid.csv", _table(grid.combinations))
    write_whole(grid.page, page_of(grid, status))


def results_before(grid: Grid) -> dict[str, Result]:
    """What became of each combination that has succeeded already, by its folder.

    A file of results that is damaged is set aside, and all combinations run again.
    """
    return read_or_absent(grid.folder / "grid.json", _good_results, {}, clear=True)


def _good_results(recorded: Any) -> dict[str, Result]:
    results = {file_name(one["folder"]): _read_result(one["result"]) for one in recorded}
    return {folder: result for folder, result in results.items() if result.status in GOOD}


def _read_result(recorded: dict[str, Any]) -> Result:
    run, report, index = (
        None if recorded[name] is None else text_of(recorded[name])
        for name in ("run", "report", "index")
    )
    seconds = recorded["seconds"]
    if seconds is not None and not isfinite(seconds := float(seconds)):
        raise ValueError(f"{seconds} seconds")
    return Result(
        text_of(recorded["status"]),
        seconds,
        run,
        read_figures(recorded["figures"]),
        text_of(recorded["error"]),
        report,
        index,
    )


def _table(combinations: Sequence[Combination]) -> str:
    """The combinations as CSV: number, status, parameters, figures, seconds, error.

    A figure that has an interval somewhere has two more columns, for its ends.
    """
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    parameters, columns = list(combinations[0].parameters), _figure_columns(combinations)
    heads = [f"{name} {part}".removesuffix(" value") for name, part in columns]
    table.writerow(["combination", "status", *parameters, *heads, "seconds", "error"])
    for one in combinations:
        result = one.result
        figures = [getattr(result.figures.get(name), part, None) for name, part in columns]
        row = [one.number, result.status, *one.parameters.values(), *figures, result.seconds]
        table.writerow([*row, result.error])  # None is an empty cell
    return lines.getvalue()


def _figure_columns(combinations: Sequence[Combination]) -> list[tuple[str, str]]:
    """The name of each figure with what stands in a column of its own: value, low or high."""
    columns: dict[str, tuple[str, ...]] = {}
    for one in combinations:
        for name, figure in one.result.figures.items():
            has_ends = figure.low is not None or len(columns.get(name, ())) > 1
            columns[name] = ("value", "low", "high") if has_ends else ("value",)
    return [(name, part) for name, parts in columns.items() for part in parts]
