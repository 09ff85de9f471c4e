"""The old data and matured outcomes as one raw file, to train on again.

Outcomes are mostly known of the approved alone, and of the declined never: what is learned from
both files leans towards those whom earlier versions liked (reject inference is not attempted; the
descriptor of the new file says so). The latest outcomes come last, so that they can be the test set
on which the gate compares a new version with production.

The file is Parquet, whose values have types: it needs none of the spellings of numbers, dates and
booleans that the old file has.
"""

import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from creditrisk.data import dates
from creditrisk.data.contract import Contract, ContractError, Json
from creditrisk.data.fields import DATE, GROUP, ID, WEIGHT, Field
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.monitoring.records import inputs, read_decisions
from creditrisk.records.chain import LogError
from work_units.whole_files import replacing

#: Of the matured outcomes the latest fifth is the test set; up to half, if it takes more to have
#: enough good and enough bad ones.
SHARE, LARGEST_SHARE = 0.2, 0.5

#: Fewer good, or fewer bad, among the latest outcomes are no test set.
FEWEST = 30

#: Roles of columns that a decision on record has nothing for.
_NOT_ON_RECORD = (ID, GROUP)

#: Properties of a file that are those of the old one alone.
_OF_THE_OLD = ("dialect", "encoding", "format", "mediatype", "bytes")

_LEAN = (
    "Rows {first} to {last} are decisions of earlier versions with matured outcomes, almost all of "
    "approved applicants: declined ones have none, and no reject inference was attempted."
)


@dataclass(frozen=True)
class Refreshed:
    """A raw file of old data and matured outcomes."""

    raw: Path
    datapackage: Path
    rows: int
    latest: int  # rows at its end that are to be the test set


def refresh(
    descriptor: str | Path, contract: Contract, log: str | Path, folder: str | Path
) -> Refreshed:
    """Join the data of a contract and the matured outcomes of a log, as :func:`write_refreshed`.

    Parameters
    ----------
    descriptor
        Where the contract lies, beside its file.
    log
        A folder of logs of decisions, or one of them.

    Raises
    ------
    ValueError
        If a file is refused, or no log can be read.
    """
    old = read_raw(descriptor, contract)
    try:
        decisions = read_decisions(log, contract).frame
    except LogError as error:
        raise ValueError(str(error)) from error
    return write_refreshed(old, decisions, contract, folder)


def write_refreshed(
    old: pd.DataFrame, decisions: pd.DataFrame, contract: Contract, folder: str | Path
) -> Refreshed:
    """Write ``raw.parquet`` and ``datapackage.json``, each whole or not at all.

    In columns with the role id or group, which decisions have nothing for, theirs is missing: such
    columns stay, so that applications may still come with them. The date of application is that of
    the decision, and a decision has the weight 1.

    Parameters
    ----------
    old
        The raw file as :func:`creditrisk.data.raw_files.reading.read_raw` gives it.
    decisions
        ``frame`` of :class:`creditrisk.monitoring.records.Decisions`.

    Raises
    ------
    ContractError
        If a column is not on record, or the latest outcomes are too few.
    """
    mature = decisions[decisions.outcome.notna()].sort_values("time", kind="stable")
    latest = _latest(mature.outcome)
    _check(mature, latest, contract)
    columns = contract.columns
    names = [field.name for field in columns]
    joined = pd.concat([old[names], _added(mature, contract)[names]], ignore_index=True)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    cells = {field.name: _cells(joined[field.name], field) for field in columns}
    pq.write_table(pa.table(cells), content)
    package = _described(contract, content.getvalue(), len(old), len(joined))
    raw, descriptor = folder / "raw.parquet", folder / "datapackage.json"
    _write(raw, content.getvalue())
    _write(descriptor, json.dumps(package, indent=2, ensure_ascii=False).encode() + b"\n")
    return Refreshed(raw, descriptor, len(joined), latest)


def _latest(outcomes: pd.Series) -> int:
    """How many of the outcomes, in the order of their decisions, are to be the test set."""
    backwards = outcomes.to_numpy()[::-1]
    reached = (np.cumsum(backwards == 1) >= FEWEST) & (np.cumsum(backwards == 0) >= FEWEST)
    needed = int(np.argmax(reached)) + 1 if reached.any() else len(outcomes)
    return max(math.ceil(SHARE * len(outcomes)), needed)


def _check(mature: pd.DataFrame, latest: int, contract: Contract) -> None:
    given = inputs(mature, contract.fields)
    problems = [
        f"{field.name}: {int(given[field.name].isna().sum()):,} of {len(mature):,} decisions with "
        "an outcome have no value on record"
        for field in contract.fields
        if field.required and given[field.name].isna().any()
    ]
    most = int(LARGEST_SHARE * len(mature))
    test = mature.outcome.tail(min(latest, most))
    good, bad = int((test == 1).sum()), int((test == 0).sum())
    if min(good, bad) < FEWEST:
        problems.append(
            f"the later half of the {len(mature):,} outcomes are {good:,} good and {bad:,} bad; "
            f"{FEWEST} of each are needed to compare a new version with production"
        )
    if problems:
        remedy = "add outcomes as they become known: creditrisk outcomes add FILE"
        raise ContractError("the decision log", problems, remedy)


def _added(mature: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Decisions as rows of the raw data, in the typed form of all interfaces."""
    given = inputs(mature, contract.fields)
    whole = [field.name for field in contract.fields if field.type == "integer" and field.required]
    good = mature.outcome == 1
    outcome = np.where(good, contract.good[0], contract.bad[0])
    added = given.astype(dict.fromkeys(whole, "int64"))
    added[contract.target.name] = pd.Series(outcome, mature.index)
    if weight := contract.of_role(WEIGHT):
        added[weight.name] = 1 if weight.type == "integer" else 1.0
    if day := contract.of_role(DATE):
        number = dates.days if day.type == "date" else dates.months
        added[day.name] = [number(time.date()) for time in mature.time]
    for field in contract.carried:
        if field.role in _NOT_ON_RECORD:
            added[field.name] = pd.Series(None, mature.index, dtype=object)
    return added


def _cells(column: pd.Series, field: Field) -> pa.Array:
    """The values of a column as Parquet has them, null where one is missing."""
    if field.is_dated:
        numbers = [None if pd.isna(value) else int(value) for value in column]
        texts = [None if number is None else _day(number, field.type) for number in numbers]
        return pa.array(texts, pa.string()).cast(pa.date32())
    kinds: dict[str, Any] = {"boolean": pa.bool_(), "string": pa.string()}
    return pa.array(column, kinds.get(field.type), from_pandas=True)


def _day(number: int, type: str) -> str:
    """A day, or the first of a month, as ISO 8601 writes it."""
    text = dates.text_of(number, type)
    return text if type == "date" else f"{text}-01"


def _described(contract: Contract, content: bytes, old: int, rows: int) -> Json:
    """The descriptor of the joined file."""
    package: Json = json.loads(json.dumps(contract.package))
    resource = package["resources"][0]
    for name in _OF_THE_OLD:
        resource.pop(name, None)
    schema = resource["schema"]
    schema.pop("primaryKey", None)
    for field in schema["fields"]:
        if field.get("role") in _NOT_ON_RECORD:
            field["constraints"] = field.get("constraints", {}) | {"required": False}
        if field.get("role") == DATE:  # decisions are later than what the old file may hold
            field.get("constraints", {}).pop("maximum", None)
    if contract.split.by == GROUP:
        resource.pop("split")
    lean = _LEAN.format(first=old + 1, last=rows)
    resource |= {
        "path": "raw.parquet",
        "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "rows": rows,
        "caveats": [*resource.get("caveats", []), lean],
    }
    return package


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as half:
        half.write_bytes(content)
