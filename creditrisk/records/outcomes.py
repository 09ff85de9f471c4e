"""What became of decisions, taken from a file, checked as a whole and never overwritten."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from creditrisk.data.contract import Contract, ContractError, Json, did_you_mean
from creditrisk.records.chain import Head, LogError, read_head
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import now
from creditrisk.records.log_files import LogFiles, log_files
from creditrisk.records.reading import read_entries
from work_units.regular_files import open_regular

_REMEDY = "correct what is named and add the file again; nothing was written"


@dataclass(frozen=True)
class Added:
    """How many outcomes were new, and how many known already."""

    new: int
    known: int


@dataclass(frozen=True)
class _Decision:
    day: date
    simulated: bool


@dataclass(frozen=True)
class _Outcome:
    outcome: int
    day: str | None
    where: str  # it was read


def add_outcomes(path: str | Path, place: str | Path, contract: Contract) -> Added:
    """Record the outcomes of decisions in ``outcomes.jsonl`` beside their log.

    That is a hash-chained log of its own. An outcome that is known already is counted and not
    written again; one that contradicts it is refused, and with it the whole file.

    Parameters
    ----------
    path
        CSV, or Parquet if its name ends in ``.parquet``. Columns: ``id`` (or ``decision_id``), the
        id of the decision; ``outcome`` or the name of the contract's target, one of the target's
        levels, or 1 for good and 0 for bad; if wanted ``date``, the day of the outcome.
    place
        The folder of logs, or one log.
    contract
        Its target says what good and bad are called.

    Raises
    ------
    ContractError
        Naming file, row and column of what is wrong; nothing was written.
    LogError
        If a log is missing, damaged or held by another process.
    """
    path, files = Path(path), log_files(place)
    rows = list(_rows(path, contract))
    decisions = dict(_decisions(files))
    head = read_head(files.outcomes)
    known = dict(_known(files.outcomes))
    problems: list[str] = []
    new: dict[str, _Outcome] = {}
    repeated = 0
    for where, row in rows:
        found = _checked(row, decisions, contract, where)
        if isinstance(found, list):
            problems += [f"{where}: {problem}" for problem in found]
            continue
        id, before = row["id"], known.get(row["id"]) or new.get(row["id"])
        if before is None:
            new[id] = found
        elif before.outcome != found.outcome:
            problems.append(
                f"{where}: outcome of {id} is {found.outcome}, and {before.where} has it as "
                f"{before.outcome}"
            )
        else:
            repeated += 1
    if problems:
        raise ContractError(str(path), problems, _REMEDY)
    if new:
        recorded = now()
        entries = [
            {"id": id, "time": recorded, "outcome": found.outcome, "date": found.day}
            for id, found in new.items()
        ]
        _append(files.outcomes, entries, head)
    return Added(len(new), repeated)


def _append(path: Path, entries: list[Json], head: Head | None) -> None:
    log = open_log(path)
    try:
        if log.head != (head or Head()):
            raise LogError(f"{path}: another process has added outcomes meanwhile; add them again")
        log.append(entries)
    finally:
        log.close()


def _decisions(files: LogFiles) -> Iterator[tuple[str, _Decision]]:
    for path in files.decisions:
        for entry in read_entries(path):
            day = datetime.fromisoformat(entry["time"]).date()
            yield entry["id"], _Decision(day, entry.get("simulated", False))


def _known(path: Path) -> Iterator[tuple[str, _Outcome]]:
    if path.exists():
        for number, entry in enumerate(read_entries(path), 1):
            where = f"line {number} of {path.name}"
            yield entry["id"], _Outcome(entry["outcome"], entry["date"], where)


def _checked(
    row: dict[str, str], decisions: dict[str, _Decision], contract: Contract, where: str
) -> _Outcome | list[str]:
    """The outcome that a row states, or what is wrong with it."""
    problems = []
    decision = decisions.get(row["id"])
    if decision is None:
        named = f"id {row['id']!r} is in none of the decision logs" if row["id"] else "id is empty"
        problems.append(f"{named}; give the id that was answered with the decision")
    results = _results(contract)
    outcome = results.get(row["outcome"])
    if outcome is None:
        problems.append(f"outcome is {row['outcome']!r}; allowed {', '.join(results)}")
    day = row.get("date") or None
    if day is not None:
        problems += _day_problems(day, decision)
    return problems or _Outcome(int(outcome or 0), day, where)


def _results(contract: Contract) -> dict[str, int]:
    """What may stand for an outcome, and the outcome: 1 good, 0 bad."""
    good = dict.fromkeys(map(str, contract.good), 1)
    bad = dict.fromkeys(map(str, contract.bad), 0)
    own = good | bad
    return own | {text: value for text, value in {"1": 1, "0": 0}.items() if text not in own}


def _day_problems(day: str, decision: _Decision | None) -> list[str]:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        return [f"date is {day!r}; give a day as YYYY-MM-DD"]
    if decision is None:
        return []
    if found < decision.day:
        return [f"date is {day}, before the decision of {decision.day}"]
    if found > datetime.now(UTC).date() and not decision.simulated:
        return [f"date is {day}, which is still to come"]
    return []


def _rows(path: Path, contract: Contract) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a file as text by column, each with where it stands."""
    try:
        with open_regular(path) as file:
            table = _parquet(file) if path.suffix == ".parquet" else _csv(file.read())
            header = next(table, [])
            names = _names(path, header, contract)
            for number, cells in enumerate(table, 1):
                if len(cells) != len(header):
                    problem = f"row {number} has {len(cells)} cells, the header {len(header)}"
                    raise ContractError(str(path), [problem], _REMEDY)
                values = dict(zip(names, (cell.strip() for cell in cells)))
                yield f"row {number}", values
    except OSError as error:
        reason = error.strerror or str(error)
        raise ContractError(str(path), [f"cannot be read ({reason})"], _REMEDY) from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        kind = "Parquet file" if path.suffix == ".parquet" else "CSV file in UTF-8"
        raise ContractError(str(path), [f"is no {kind}"], _REMEDY) from error


def _names(path: Path, header: list[str], contract: Contract) -> list[str]:
    """What each column is: id, outcome or date."""
    meant = {"id": "id", "decision_id": "id", "outcome": "outcome", "date": "date"}
    meant[contract.target.name] = "outcome"
    found = [meant.get(name, "") for name in header]
    allowed = f"allowed id, outcome (or {contract.target.name}), date"
    problems = [
        f"column {name!r} is not known{did_you_mean(name, list(meant))}; {allowed}"
        for name, meaning in zip(header, found)
        if not meaning
    ]
    for meaning in ("id", "outcome", "date"):
        count = found.count(meaning)
        if count > 1 or count == 0 and meaning != "date":
            what = "is missing" if count == 0 else "stands there more than once"
            problems.append(f"column {meaning!r} {what}; {allowed}")
    if problems:
        raise ContractError(str(path), problems, _REMEDY)
    return found


def _csv(content: bytes) -> Iterator[list[str]]:
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    return (row for row in csv.reader(text, strict=True) if row)


def _parquet(file: io.BufferedReader) -> Iterator[list[str]]:
    """Header and rows as text; a day or a moment is its date."""
    table = pq.read_table(pa.PythonFile(file, mode="r"))
    yield table.column_names
    for row in zip(*(column.to_pylist() for column in table.columns)):
        yield [_text(value) for value in row]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, bool) or isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
