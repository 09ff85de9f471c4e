"""What a run of the chain has found out about its model, read from the files kept with the run.

The run itself, as its manifest has it, is handed over by whoever runs the chain.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.reports.test_scores import EFFECT, SCORE, read_scores

Read = TypeVar("Read")


class KeyFigure(Protocol):
    """A key figure that a notebook has put forward; as text it is as people read it."""

    @property
    def number(self) -> float | None: ...  # None for a text
    @property
    def decimals(self) -> int: ...  # that are shown of the number


class StageRecord(Protocol):
    """One notebook of a run; hashes are sha256, paths are below the project's folder."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def reads(self) -> Mapping[str, str]: ...
    @property
    def writes(self) -> Mapping[str, str]: ...
    @property
    def kept(self) -> Mapping[str, str]: ...  # parameter: file in the run's folder
    @property
    def basis(self) -> Mapping[str, Any]: ...  # the hash of its "notebook", and of its "code"
    @property
    def report(self) -> str | None: ...


class RunRecord(Protocol):
    """A run as its manifest has it."""

    @property
    def folder(self) -> Path: ...
    @property
    def id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def started(self) -> str: ...
    @property
    def figures(self) -> Mapping[str, KeyFigure]: ...
    @property
    def stages(self) -> Sequence[StageRecord]: ...
    @property
    def git(self) -> Mapping[str, Any] | None: ...
    @property
    def lock_sha256(self) -> str | None: ...
    @property
    def python(self) -> str: ...
    @property
    def platform(self) -> str: ...


@dataclass(frozen=True)
class Scores:
    """The test set of a run: applicants, outcomes, and the model's probabilities."""

    applicants: pd.DataFrame  # as text, as they are in the file; the target is the last column
    y: npt.NDArray[np.int64]  # 1 for a good risk
    probability: npt.NDArray[np.float64]  # of good
    effects: pd.DataFrame | None  # by field, on the log-odds; NaN or None: not worked out

    @property
    def target(self) -> str:
        """The column that holds the outcome of a loan."""
        return str(self.applicants.columns[-1])


@dataclass(frozen=True)
class RunResults:
    """A run with the results kept in its folder; what is not there is None, see ``missing``."""

    record: RunRecord
    contract: Contract | None = None
    registration: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    scores: Scores | None = None
    missing: list[str] = field(default_factory=list)  # what is not there and why, in sentences

    @property
    def id(self) -> str:
        """The id of the run."""
        return self.record.id

    @property
    def registered(self) -> dict[str, Any]:
        """What the registration has recorded; empty if there was none."""
        return self.registration or {}

    @property
    def tested(self) -> dict[str, Any]:
        """The figures of the validation on the test set; empty if there are none."""
        tested = (self.validation or {}).get("test")
        return tested if isinstance(tested, dict) else {}

    @property
    def cutoff(self) -> float | None:
        """The probability of good from which on the model approves."""
        return number(self.registered.get("cutoff"))


def number(value: object) -> float | None:
    """A value if it is a number, else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_results(record: RunRecord) -> RunResults:
    """A run with all results that are in its folder; the others are named in ``missing``."""
    contract, missing = _contract(record), list[str]()

    def read(name: str, reader: Callable[[Path], Read]) -> Read | None:
        try:
            return reader(_kept_file(record, name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            # in one line, and without the machine's own path: the page may travel
            why = " ".join(str(error).split())
            missing.append(why.replace(f"{record.folder}{os.sep}", f"run {record.id}, "))
            return None

    return RunResults(
        record,
        contract,
        registration=read("registration", _read_object),
        validation=read("validation", _read_object),
        scores=read("test_scores", lambda path: _read_scores(path, contract)),
        missing=missing,
    )


def _contract(record: RunRecord) -> Contract | None:
    """The contract that the run has read, if it is still in its place."""
    read = [path for stage in record.stages for path in stage.reads]
    for path in dict.fromkeys(path for path in read if path.endswith("datapackage.json")):
        try:
            return read_contract(record.folder.absolute().parents[2] / path)
        except (ContractError, IndexError):
            continue
    return None


def _kept_file(record: RunRecord, name: str) -> Path:
    for stage in record.stages:
        if file := stage.kept.get(f"{name}_path"):
            return record.folder / file
    older = record.status == "succeeded"
    why = "made before runs kept it" if older else f"it {record.status or 'did not end'}"
    raise ValueError(f"run {record.id} has no {name.replace('_', ' ')} of its own ({why})")


def _read_object(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error
    if isinstance(read, dict):
        return read
    raise ValueError(f"{path} holds no figures")


def _read_scores(path: Path, contract: Contract | None) -> Scores:
    table = read_scores(path)
    at, probability = list(table.columns).index(SCORE), table[SCORE].to_numpy()
    applicants = table.iloc[:, :at].apply(_as_text)
    outcome, good = applicants.iloc[:, -1], contract.positive if contract else "good"
    in_bounds = probability.dtype == float and ((probability >= 0) & (probability <= 1)).all()
    if not len(table) or not in_bounds:
        raise ValueError(f"{path} holds no applicants with probabilities from 0 to 1")
    if outcome.nunique() > 2 or (outcome.nunique() == 2 and not (outcome == good).any()):
        raise ValueError(f"{path}: none of the outcomes {sorted(set(outcome))[:3]} is {good!r}")
    effects = table.iloc[:, at + 1 :].rename(columns=lambda name: name.removeprefix(EFFECT))
    return Scores(
        applicants,
        (outcome == good).to_numpy().astype(int),
        probability,
        None if effects.isna().to_numpy().all() else effects,
    )


def _as_text(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """A whole number reads the same, even if a missing one has made its column fractional."""
    if pd.api.types.is_float_dtype(values):
        return values.map(lambda each: "" if pd.isna(each) else repr(each).removesuffix(".0"))
    return values.astype(object).where(values.notna(), "").map(str)
