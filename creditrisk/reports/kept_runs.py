"""The runs kept under ``experiments/runs``: which one is meant, and what its folder tells."""

import difflib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError, read_contract
from creditrisk.reports.test_scores import EFFECT, SCORE, read_scores

_REMEDY = "run the chain again to have a whole run"


class NoRun(ValueError):
    """Why no run can be found under a name, or why the one found cannot be read."""


@dataclass(frozen=True)
class Stage:
    """One notebook of a run; hashes are sha256, paths are below the project's folder."""

    name: str
    status: str
    parameters: dict
    reads: dict[str, str]
    writes: dict[str, str]
    kept: dict[str, str]
    basis: dict
    report: str


@dataclass(frozen=True)
class KeyFigure:
    """A key figure of a run: a number, with its interval where it has one, or a text."""

    value: float | str
    low: float | None = None
    high: float | None = None
    unit: str = ""

    @property
    def number(self) -> float | None:
        """The value if it is a number, else None."""
        return None if isinstance(self.value, str) else self.value

    def __str__(self) -> str:
        value = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        if self.low is not None:
            value = f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"
        return f"{value} {self.unit}".rstrip()


@dataclass(frozen=True)
class Scores:
    """The test set of a run: who applied, what came of it, and what the model said."""

    applicants: pd.DataFrame  # as text, as they stand in the file; the target is the last column
    y: np.ndarray  # 1 for a good risk
    probability: np.ndarray  # of good
    effects: pd.DataFrame | None  # by field, on the log-odds; None if the model has no reference

    @property
    def target(self) -> str:
        """The column that tells what came of a loan."""
        return self.applicants.columns[-1]


@dataclass(frozen=True)
class KeptRun:
    """One run as its folder tells it; what it has not kept is None, and ``missing`` says why."""

    folder: Path
    id: str
    status: str
    started: str
    figures: dict[str, KeyFigure]
    stages: list[Stage]
    environment: dict[str, str]
    contract: Contract | None = None
    registration: dict | None = None
    validation: dict | None = None
    scores: Scores | None = None
    missing: list[str] = field(default_factory=list)


def run_ids(experiments: str | Path) -> list[str]:
    """The names of all runs that have a manifest, the oldest first."""
    found = [manifest.parent.name for manifest in Path(experiments).glob("runs/*/manifest.json")]
    return sorted(found, key=lambda id: ([int(part) for part in re.findall(r"\d+", id)], id))


def find_run(wanted: str | Path, experiments: str | Path = "experiments") -> Path:
    """The folder of the run that is meant.

    Parameters
    ----------
    wanted
        An id or the beginning of one, ``latest``, ``previous`` (the one before it), or a folder.

    Raises
    ------
    NoRun
        If there is none or more than one; the words name the nearest.
    """
    folder, name, ids = Path(wanted), str(wanted), run_ids(experiments)
    if (folder / "manifest.json").is_file():
        return folder
    meant = [name] if name in ids else [id for id in ids if name and id.startswith(name)]
    if name and not meant and folder.is_dir():
        raise NoRun(f"{folder} is not the folder of a run: it has no manifest.json")
    runs = Path(experiments, "runs")
    if not ids:
        raise NoRun(f"{runs} has no run yet: `python run_all.py` makes one")
    places = {"latest": -1, "previous": -2}
    if name in places:
        if len(ids) < -places[name]:
            raise NoRun(f"there is no run before {ids[-1]}: run the chain once more to compare")
        return runs / ids[places[name]]
    if not meant:
        near = difflib.get_close_matches(name, ids, 3, 0.3) or ids[-3:]
        raise NoRun(f"no run {name!r} in {runs}; nearest: {', '.join(near)}")
    if len(meant) > 1:
        more = f" and {len(meant) - 5} more" if len(meant) > 5 else ""
        raise NoRun(f"{name!r} is the beginning of {', '.join(meant[-5:])}{more}: give more of it")
    return runs / meant[0]


def scored_before(id: str, experiments: str | Path = "experiments") -> KeptRun | None:
    """The newest good run before another that has kept its test scores."""
    ids = run_ids(experiments)
    for earlier in reversed(ids[: ids.index(id)]):
        with suppress(NoRun):
            run = read_run(Path(experiments, "runs", earlier))
            if run.status == "succeeded" and run.scores:
                return run
    return None


def read_run(folder: str | Path) -> KeptRun:
    """Everything that a run's folder tells.

    Raises
    ------
    NoRun
        If its manifest cannot be read; whatever else is not there is named in ``missing``.
    """
    folder = Path(folder)
    try:
        told = json.loads((folder / "manifest.json").read_text("utf-8"))
        stages = [_stage(each) for each in told["stages"]]
        run = KeptRun(
            folder,
            str(told["id"]),
            _status(str(told["status"]), stages),
            str(told["started"]),
            _figures(told.get("figures") or {}),
            stages,
            _environment(told),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise NoRun(f"{folder / 'manifest.json'} cannot be read ({why}); {_REMEDY}") from error
    contract = _contract(run)
    found = {"contract": contract}
    for name, read in (("registration", _json), ("validation", _json), ("test_scores", _scores)):
        try:
            found[name.removeprefix("test_")] = read(_kept(run, name), contract)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            # in one line, and without the machine's own path: the page may travel
            words = " ".join(str(error).split())
            run.missing.append(words.replace(f"{folder}{os.sep}", f"run {run.id}, "))
    return KeptRun(**(vars(run) | found))


def _figures(told: dict) -> dict[str, KeyFigure]:
    """Figures by name; older runs have bare values."""
    return {
        name: KeyFigure(**each) if isinstance(each, dict) else KeyFigure(each)
        for name, each in told.items()
    }


def _stage(told: dict) -> Stage:
    parts = ("parameters", "reads", "writes", "kept", "basis")
    return Stage(
        name=str(told["name"]),
        status=str(told["status"]),
        report=Path(told.get("report") or "").name,
        **{part: dict(told.get(part) or {}) for part in parts},
    )


def _status(told: str, stages: list[Stage]) -> str:
    """A run is still going on while it attaches its reports, but all that is compared is there."""
    done = all(stage.status in ("succeeded", "up to date") for stage in stages)
    return "succeeded" if told == "running" and done else told


def _environment(told: dict) -> dict[str, str]:
    git = told.get("git") or {}
    commit = str(git.get("commit") or "not in a git checkout")[: 12 if git.get("commit") else None]
    return {
        "Python": str(told.get("python") or ""),
        "platform": str(told.get("platform") or ""),
        "locked packages": str(told.get("lock_sha256") or ""),
        "commit": commit + (", with local changes" if git.get("dirty") else ""),
    }


def _contract(run: KeptRun) -> Contract | None:
    """The contract that the run has read, if it still lies where it lay."""
    read = [path for stage in run.stages for path in stage.reads]
    for path in dict.fromkeys(path for path in read if path.endswith("datapackage.json")):
        try:
            return read_contract(run.folder.absolute().parents[2] / path)
        except (ContractError, IndexError):
            continue
    return None


def _kept(run: KeptRun, name: str) -> Path:
    for stage in run.stages:
        if kept := stage.kept.get(f"{name}_path"):
            return run.folder / Path(str(kept)).name
    older = run.status == "succeeded"
    why = "made before runs kept it" if older else f"it {run.status or 'did not end'}"
    raise ValueError(f"run {run.id} has no {name.replace('_', ' ')} of its own ({why})")


def _json(path: Path, _) -> dict:
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error
    if not isinstance(told, dict):
        raise ValueError(f"{path} holds no figures")
    return told


def _scores(path: Path, contract: Contract | None) -> Scores:
    table = read_scores(path)
    place, probability = table.columns.get_loc(SCORE), table[SCORE].to_numpy()
    applicants = table.iloc[:, :place].apply(_as_text)
    outcome, good = applicants.iloc[:, -1], contract.positive if contract else "good"
    sound = probability.dtype == float and ((probability >= 0) & (probability <= 1)).all()
    if not len(table) or not sound:
        raise ValueError(f"{path} holds no applicants with probabilities from 0 to 1")
    if outcome.nunique() > 2 or (outcome.nunique() == 2 and not (outcome == good).any()):
        raise ValueError(f"{path}: none of the outcomes {sorted(set(outcome))[:3]} is {good!r}")
    shares = table.iloc[:, place + 1 :].rename(columns=lambda name: name.removeprefix(EFFECT))
    return Scores(
        applicants,
        (outcome == good).to_numpy().astype(int),
        probability,
        None if shares.isna().to_numpy().any() else shares,
    )


def _as_text(values: pd.Series) -> pd.Series:
    """A whole number reads the same, even if a missing one has made its column fractional."""
    if pd.api.types.is_float_dtype(values):
        return values.map(lambda each: "" if each != each else repr(each).removesuffix(".0"))
    return values.astype(object).where(values.notna(), "").map(str)
