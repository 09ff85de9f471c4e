"""What was decided and what became of it, as one table for whoever watches the model.

The logs are verified on the way: what was edited, moved or cut off is refused by file and line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.cells import dtype
from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import Field
from creditrisk.records.chain import LogError, head_path
from creditrisk.records.log_files import LogFiles, log_files
from creditrisk.records.reading import read_entries

#: What the log itself has of a decision, and what the monitoring adds.
_OWN = frozenset(
    ("id", "caller_id", "time", "model_version", "probability", "cutoff", "approved", "final")
    + ("shadow_version", "shadow_probability", "simulated", "overridden")
    + ("outcome", "outcome_time", "score", "known_since")
)


@dataclass(frozen=True)
class Decisions:
    """The decisions of a log in order of time, and the requests that were refused.

    ``frame`` has one row a decision:

    ``id``, ``caller_id`` : str, the second None if the caller gave none
    ``time`` : datetime64 in UTC
    ``model_version`` : str, the registered number or, without one, the start of the model's hash
    a column for each of the contract's applicant fields, see :func:`inputs`
        In the coding of the raw data, as :func:`creditrisk.data.raw_files.reading.read_raw` has it:
        what an applicant states by a label and what was left blank are NaN. A field that was not
        recorded is NaN throughout.
    ``probability`` : float, of a good risk
    ``cutoff`` : float, approved from this probability on
    ``approved``, ``overridden``, ``final`` : bool
        What the model decided, whether a person changed it, and what holds.
    ``outcome`` : float, 1 good, 0 bad, NaN unknown
    ``outcome_time`` : datetime64 in UTC
        Of the outcome, or when it was recorded if no date was given; NaT if unknown.
    ``shadow_version``, ``shadow_probability``
        Of the model in the shadow; None and NaN if there was none or it failed.
    ``simulated`` : bool

    ``rejected`` has one row for each reason of each refused request: ``time``, ``reason`` (column
    and kind of problem, never a value), ``request``.
    """

    frame: pd.DataFrame
    rejected: pd.DataFrame


def inputs(decisions: pd.DataFrame, fields: Sequence[Field]) -> pd.DataFrame:
    """The applications that were decided on: columns of the frame of decisions by their own names.

    A column of the data may be called score, time or outcome, as the log's own are.
    """
    names = [field.name for field in fields]
    return decisions[[input_name(name) for name in names]].set_axis(names, axis=1)


def input_name(name: str) -> str:
    """What a column of an application is called among the columns of a decision."""
    return f"input {name}" if name in _OWN else name


def read_decisions(
    place: str | Path, contract: Contract, outcomes_path: str | Path | None = None
) -> Decisions:
    """Read and verify the records of decisions.

    Parameters
    ----------
    place
        A folder of logs, see :mod:`creditrisk.records.log_files`, or one log of decisions.
    contract
        Whose applicant fields are the columns.
    outcomes_path
        The log of outcomes, by default ``outcomes.jsonl`` in the same folder.

    Raises
    ------
    LogError
        Naming file and line, if a log is missing, cut short, edited or holds something else.
    """
    files = log_files(place, outcomes_path)
    columns = _Columns(contract)
    for path in files.decisions:
        for number, entry in enumerate(read_entries(path), 1):
            try:
                columns.add(entry)
            except (KeyError, TypeError, AttributeError) as error:
                raise LogError(f"{path}: line {number} is no decision (no {error})") from error
    frame = columns.frame()
    _check_ids(frame, files)
    _add_overrides(frame, files)
    _add_outcomes(frame, files)
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    return Decisions(frame, _rejected(files))


def read_if_any(place: str | Path, contract: Contract) -> Decisions:
    """As :func:`read_decisions`; without a folder, or with no log in it, there are no decisions."""
    place = Path(place)
    if place.is_dir() and any(place.glob("*.jsonl*")) or place.is_file():
        return read_decisions(place, contract)
    columns = _Columns(contract).frame()
    nothing = columns.assign(
        overridden=pd.Series(dtype=bool),
        final=pd.Series(dtype=bool),
        outcome=pd.Series(dtype=float),
        outcome_time=_times([]),
    )
    return Decisions(nothing, pd.DataFrame({"time": _times([]), "reason": [], "request": []}))


class _Columns:
    """The columns of the frame, as lists that grow with each entry."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.plain: list[tuple[Any, ...]] = []
        self.inputs: dict[str, list[Any]] = {field.name: [] for field in contract.fields}

    def add(self, entry: Json) -> None:
        """Take in a decision.

        Raises
        ------
        KeyError, TypeError, AttributeError
            If the entry is none.
        """
        model, shadow = entry["model"], entry.get("shadow") or {}
        self.plain.append(
            (
                entry["id"],
                entry.get("caller_id"),
                entry["time"],
                _version(model),
                entry["probability"],
                entry["cutoff"],
                entry["decision"] == "approve",
                _version(shadow["model"]) if "probability" in shadow else None,
                shadow.get("probability", np.nan),
                bool(entry.get("simulated", False)),
            )
        )
        stated = entry["input"]
        for name, values in self.inputs.items():
            values.append(stated.get(name))

    def frame(self) -> pd.DataFrame:
        """All that was taken in."""
        names = ["id", "caller_id", "time", "model_version", "probability", "cutoff", "approved"]
        names += ["shadow_version", "shadow_probability", "simulated"]
        columns = list(zip(*self.plain)) if self.plain else [()] * len(names)
        plain = dict(zip(names, columns))
        types = {"probability": float, "cutoff": float, "shadow_probability": float}
        types |= {"approved": bool, "simulated": bool}
        found = {
            name: pd.Series(list(values), dtype=types.get(name, object))
            for name, values in plain.items()
        }
        found["time"] = _times(plain["time"])
        fields = {
            input_name(name): _raw_coding(values, self.contract, name)
            for name, values in self.inputs.items()
        }
        order = ["id", "caller_id", "time", "model_version"]
        rest = [name for name in names if name not in order]
        return pd.DataFrame(
            {name: found[name] for name in order} | fields | {name: found[name] for name in rest}
        )


def version_text(version: int | None, sha256: str) -> str:
    """A model by its registered number, or without one by the start of its hash."""
    return sha256[:12] if version is None else str(version)


def _version(model: Json) -> str:
    return version_text(model["version"], model["sha256"])


def _times(texts: Any) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts), format="ISO8601", utc=True)).dt.as_unit("us")


def _raw_coding(stated: list[Any], contract: Contract, name: str) -> pd.Series:
    """Values as the raw data have them: what is stated by a label, or not at all, is NaN."""
    field = contract[name]
    label, kind = field.missing_label, dtype(field)
    values = [None if value == label else value for value in stated] if label else stated
    if field.is_dated:
        values = [field.number_of(value) if isinstance(value, str) else value for value in values]
    if kind == "str":
        return pd.Series([None if value is None else str(value) for value in values], dtype="str")
    if kind == "int64" and None in values:
        kind = "float64"
    return pd.Series(values, dtype=kind)


def _check_ids(frame: pd.DataFrame, files: LogFiles) -> None:
    doubled = frame["id"][frame["id"].duplicated()]
    if len(doubled):
        names = ", ".join(str(path) for path in files.decisions)
        raise LogError(f"{names}: decision {doubled.iloc[0]} is there twice; remove the copied log")


def _entries(path: Path) -> Iterator[tuple[int, Json]]:
    """The numbered entries of a log that need not be there."""
    if path.exists() or head_path(path).exists():
        yield from enumerate(read_entries(path), 1)


def _add_overrides(frame: pd.DataFrame, files: LogFiles) -> None:
    """What holds after overrides, of which the last one counts."""
    final = frame["approved"].to_numpy().copy()
    rows = {id: row for row, id in enumerate(frame["id"])}
    for number, entry in _entries(files.overrides):
        row = _row_of(entry, rows, files, files.overrides, number)
        if row is not None:
            final[row] = entry["to"] == "approve"
    frame["overridden"] = final != frame["approved"].to_numpy()
    frame["final"] = final


def _add_outcomes(frame: pd.DataFrame, files: LogFiles) -> None:
    outcome = np.full(len(frame), np.nan)
    times: list[str | None] = [None] * len(frame)
    rows = {id: row for row, id in enumerate(frame["id"])}
    for number, entry in _entries(files.outcomes):
        row = _row_of(entry, rows, files, files.outcomes, number)
        if row is not None:
            outcome[row] = entry["outcome"]
            times[row] = entry.get("date") or entry["time"]
    frame["outcome"], frame["outcome_time"] = outcome, _times(times)


def _row_of(
    entry: Json, rows: dict[str, int], files: LogFiles, path: Path, number: int
) -> int | None:
    """The decision that an entry is about, None if it is in a log that was not asked for."""
    row = rows.get(entry.get("id", ""))
    if row is None and files.whole:
        raise LogError(
            f"{path}: line {number} is about decision {entry.get('id')}, which is in no log of "
            f"{path.parent}; a log is missing there"
        )
    return row


def _rejected(files: LogFiles) -> pd.DataFrame:
    found = [
        (entry["time"], reason, entry["request"], entry.get("count", 1))
        for path in files.rejections
        for entry in read_entries(path)
        for reason in entry["reasons"]
    ]
    times, reasons, requests, counts = zip(*found) if found else [()] * 4
    table = pd.DataFrame(
        {
            "time": _times(times),
            "reason": pd.Series(reasons, dtype=object),
            "request": pd.Series(requests, dtype=object),
        }
    )
    repeated = table.loc[np.repeat(table.index, np.array(counts, dtype=int))]
    return repeated.sort_values("time", kind="stable", ignore_index=True)
