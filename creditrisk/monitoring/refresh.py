"""The old data and matured outcomes as one raw file, to train on again.

Outcomes are mostly known of the approved alone, and of the declined never: what is learned from
both files leans towards those whom earlier versions liked (reject inference is not attempted; the
descriptor of the new file says so). The latest outcomes come last, so that they can be the test set
on which the gate compares a new version with production.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError, Json

#: Fewer good, or fewer bad, among the latest outcomes are no test set.
FEWEST = 30

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


def write_refreshed(
    old: pd.DataFrame, decisions: pd.DataFrame, contract: Contract, folder: str | Path, share: float
) -> Refreshed:
    """Write ``raw.csv`` and ``datapackage.json``, each whole or not at all.

    Parameters
    ----------
    old
        The raw file as :func:`creditrisk.data.raw_files.reading.read_raw` gives it.
    decisions
        ``frame`` of :class:`creditrisk.monitoring.records.Decisions`.
    share
        Of the matured outcomes: the part, the latest decisions, that is to be the test set.

    Raises
    ------
    ContractError
        If a column is not on record, or the latest outcomes are too few.
    """
    mature = decisions[decisions.outcome.notna()].sort_values("time", kind="stable")
    latest = int(np.ceil(share * len(mature)))
    _check(mature, latest, contract)
    (bad,) = set(contract.target.levels or ()) - {contract.positive}
    names = [field.name for field in contract.fields]
    target = pd.Series(np.where(mature.outcome == 1, contract.positive, bad), mature.index)
    added = mature[names].assign(**{contract.target.name: target})
    whole = [field.name for field in contract.fields if field.type == "integer" and field.required]
    added = added.astype(dict.fromkeys(whole, "int64"))
    joined = pd.concat([old[[*names, contract.target.name]], added], ignore_index=True)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    missing = next(iter(contract.missing_values), "")
    numbered = contract.row_number is not None
    text = joined.to_csv(
        index=numbered, index_label=contract.row_number, na_rep=missing, lineterminator="\n"
    ).encode()
    package = _described(contract, text, len(old), len(joined))
    raw, descriptor = folder / "raw.csv", folder / "datapackage.json"
    _write(raw, text)
    _write(descriptor, json.dumps(package, indent=2, ensure_ascii=False).encode() + b"\n")
    return Refreshed(raw, descriptor, len(joined), latest)


def _check(mature: pd.DataFrame, latest: int, contract: Contract) -> None:
    problems = [
        f"{field.name}: {int(mature[field.name].isna().sum())} of {len(mature)} decisions with an "
        "outcome have no value on record"
        for field in contract.fields
        if field.required and mature[field.name].isna().any()
    ]
    test = mature.outcome.tail(latest)
    good, bad = int((test == 1).sum()), int((test == 0).sum())
    if min(good, bad) < FEWEST:
        problems.append(
            f"the latest {latest} outcomes are {good} good and {bad} bad; {FEWEST} of each are "
            "needed to compare a new version with production"
        )
    if problems:
        remedy = "add outcomes (creditrisk outcomes add FILE), or take a larger share of them"
        raise ContractError("the decision log", problems, remedy)


def _described(contract: Contract, text: bytes, old: int, rows: int) -> Json:
    """The descriptor of the joined file."""
    package: Json = json.loads(json.dumps(contract.package))
    resource = package["resources"][0]
    lean = _LEAN.format(first=old + 1, last=rows)
    resource |= {
        "path": "raw.csv",
        "hash": f"sha256:{hashlib.sha256(text).hexdigest()}",
        "rows": rows,
        "caveats": [*resource.get("caveats", []), lean],
    }
    return package


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
