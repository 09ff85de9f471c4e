"""How each run differs from the runs before it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from papermill_chain.runs.figures import Figure, difference
from papermill_chain.runs.manifest import Run, StageRun

PYTHON = "Python"
Item = TypeVar("Item")


@dataclass
class Moved:
    """A figure that is not what it was: the old value, and the difference if both are measures."""

    before: Figure
    by: str = ""


@dataclass
class Changes:
    """How a run differs from what is known of the runs before it."""

    parameters: list[tuple[str, Any, Any]] = field(default_factory=list)  # name, old, new
    data: list[tuple[str, str, str]] = field(default_factory=list)  # path, old and new hash
    code: list[str] = field(default_factory=list)
    commit: tuple[str, str] | None = None
    figures: dict[str, Moved] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())


@dataclass
class Known:
    """What some runs have recorded, the last of each stage, file and figure."""

    stages: dict[str, StageRun] = field(default_factory=dict)
    reads: dict[str, dict[str, str]] = field(default_factory=dict)  # stage: path: hash
    written: set[str] = field(default_factory=set)  # paths
    figures: dict[str, Figure] = field(default_factory=dict)
    commit: str = ""

    def add(self, run: Run) -> None:
        """Add a later run, which may have run some stages only."""
        for stage in run.stages:
            self.stages[stage.name] = stage
            self.reads[stage.name] = stage.reads or self.reads.get(stage.name, {})
            self.written |= stage.writes.keys()
        self.figures |= run.figures
        self.commit = _commit(run) or self.commit


def changes_by_run(runs: Iterable[Run]) -> dict[str, Changes | None]:
    """How each of some runs, newest first, differs from the ones before it; None for the first.

    A run that failed, or that was asked for some stages only, does not record everything. It is
    therefore compared with the last run before it that has recorded a stage, a file or a figure.
    """
    known, found = Known(), dict[str, Changes | None]()
    for run in reversed([run for run in runs if not run.unreadable]):
        found[run.id] = _changes(known, run) if found else None
        known.add(run)
    return found


def _changes(known: Known, run: Run) -> Changes:
    """How a run differs from those known."""
    changes = Changes(figures=_moved(known.figures, run.figures))
    written = known.written.union(*(stage.writes for stage in run.stages))
    for stage in run.stages:
        if before := known.stages.get(stage.name):
            changes.parameters += _set_anew(before.parameters, stage.parameters)
            changes.code += _rewritten(_basis(before), _basis(stage))
        old = known.reads.get(stage.name, {})
        changes.data += [
            (path, old[path], hash)
            for path, hash in stage.reads.items()
            if path not in written and old.get(path, hash) != hash
        ]
    changes.parameters = _once(changes.parameters)
    changes.data, changes.code = _once(changes.data), _once(changes.code)
    commit = _commit(run)
    if known.commit and commit and known.commit != commit:
        changes.commit = known.commit, commit
    return changes


def _set_anew(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The parameters that a stage is given another value of."""
    return [
        (name, before[name], value)
        for name, value in now.items()
        if name in before and before[name] != value
    ]


def _rewritten(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What of a stage's notebook, code and environment is not as it was."""
    if not before or not now:
        return []
    changed = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return [
        f"Python {before.get(PYTHON)} → {now.get(PYTHON)}" if name == PYTHON else name
        for name in changed
    ]


def _moved(before: dict[str, Figure], now: dict[str, Figure]) -> dict[str, Moved]:
    """The figures that have another value than before."""
    return {
        name: Moved(before[name], difference(before[name], figure))
        for name, figure in now.items()
        if name in before and before[name] != figure
    }


def _once(several: list[Item]) -> list[Item]:
    """The members of a list in their order, each once; values may be lists and cannot be hashed."""
    return list({repr(one): one for one in several}.values())


def _commit(run: Run) -> str:
    """The commit that a run was made from, as short as it is shown."""
    return str(run.git["commit"])[:10] if run.git else ""


def _basis(stage: StageRun) -> dict[str, str]:
    """What a stage's result rests on beside its parameters and the files it reads: by name."""
    if not stage.basis:
        return {}
    code = dict(sorted(stage.basis["code"].items()))
    other = {"uv.lock": stage.basis.get("lock"), PYTHON: stage.basis.get("python")}
    basis = {f"notebook {stage.name}": stage.basis.get("notebook"), **code, **other}
    return {name: str(version) for name, version in basis.items()}
