"""Two runs line by line: parameters, data, environment, code, and the figures they recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

from creditrisk.reports.comparison.run_results import (
    KeyFigure,
    RunRecord,
    RunResults,
    StageRecord,
    number,
)


@dataclass(frozen=True)
class Fact:
    """One thing as both runs have it; None is what a run does not know."""

    name: str
    a: object
    b: object

    @property
    def same(self) -> bool:
        """Whether it is the same in both; 1 and 1.0 are, 1 and True are not."""
        return self.a == self.b and isinstance(self.a, bool) == isinstance(self.b, bool)


@dataclass(frozen=True)
class KeyFigureFact(Fact):
    """A key figure that notebooks have put forward."""

    a: KeyFigure | None
    b: KeyFigure | None

    @property
    def difference(self) -> float | None:
        """Second less first, if both are numbers, to the decimals that are shown of them."""
        if self.a is None or self.b is None or self.a.number is None or self.b.number is None:
            return None
        return round(self.b.number - self.a.number, max(self.a.decimals, self.b.decimals))


@dataclass(frozen=True)
class MeasureFact(Fact):
    """A figure of the validation, with its interval where the run has one."""

    ends_a: tuple[float, float] | None = None
    ends_b: tuple[float, float] | None = None

    @property
    def difference(self) -> float | None:
        """Second less first, if both are numbers."""
        a, b = number(self.a), number(self.b)
        return None if a is None or b is None else b - a


def stages(a: RunRecord, b: RunRecord) -> list[Fact]:
    """The stages that only one of the runs was asked for; of them nothing can be compared."""
    names = [{stage.name for stage in run.stages} for run in (a, b)]
    return [
        Fact(
            name,
            *(
                "run" if name in known else f"not run in {letter}"
                for known, letter in zip(names, "AB", strict=True)
            ),
        )
        for name in sorted(names[0] ^ names[1])
    ]


def parameters(a: RunRecord, b: RunRecord) -> list[Fact]:
    """What notebooks of both were given, less the files they are wired to; differences first."""
    wired = {path for stage in (*a.stages, *b.stages) for path in (*stage.reads, *stage.writes)}
    values: dict[str, dict[str, list[Any]]] = {}  # parameter: stage: value in a, value in b
    for place, run in enumerate(_stages_of_both(a, b)):
        for stage in run:
            for name, value in stage.parameters.items():
                if not (isinstance(value, str) and normpath(f"notebooks/{value}") in wired):
                    values.setdefault(name, {}).setdefault(stage.name, [None, None])[place] = value
    facts = []
    for name, given in values.items():
        if all(len(set(map(repr, column))) == 1 for column in zip(*given.values(), strict=True)):
            facts.append(Fact(name, *next(iter(given.values()))))
        else:
            facts += [Fact(f"{name} ({stage})", *pair) for stage, pair in given.items()]
    return sorted(facts, key=lambda fact: fact.same)


def rows(a: RunResults, b: RunResults) -> list[Fact]:
    """How many applicants the models have learnt from, and how many they were tested on."""
    return [
        Fact("training rows", a.registered.get("training_rows"), b.registered.get("training_rows")),
        Fact("test rows", a.tested.get("rows"), b.tested.get("rows")),
    ]


def files(a: RunRecord, b: RunRecord, *, made: bool) -> list[Fact]:
    """The files that stages read, by hash: those that other stages made, or those from outside."""
    written = {path for run in (a, b) for stage in run.stages for path in stage.writes}
    read = [
        {
            path: hash
            for stage in run
            for path, hash in stage.reads.items()
            if (path in written) is made
        }
        for run in _stages_of_both(a, b)
    ]
    return _side_by_side(*read)


def environment(a: RunRecord, b: RunRecord) -> list[Fact]:
    """Python, system, locked packages and commit."""
    return _side_by_side(_environment(a), _environment(b))


def code(a: RunRecord, b: RunRecord) -> list[Fact]:
    """The notebooks and modules that stages ran, by hash, those that differ."""
    known = (_code(stages) for stages in _stages_of_both(a, b))
    return [fact for fact in _side_by_side(*known) if not fact.same]


def key_figures(a: RunRecord, b: RunRecord) -> list[KeyFigureFact]:
    """The figures that notebooks have put forward."""
    names = dict.fromkeys([*a.figures, *b.figures])
    return [KeyFigureFact(name, a.figures.get(name), b.figures.get(name)) for name in names]


def measures(a: RunResults, b: RunResults) -> list[MeasureFact]:
    """Every figure of the validation on the test set; bounds go with what they bound."""
    names = list(dict.fromkeys([*a.tested, *b.tested]))
    bounds = {f"{name}{end}" for name in names for end in ("_low", "_high")}
    return [
        MeasureFact(
            name,
            a.tested.get(name),
            b.tested.get(name),
            _ends(a.tested, name),
            _ends(b.tested, name),
        )
        for name in names
        if name not in bounds
    ]


def _side_by_side(a: Mapping[str, object], b: Mapping[str, object]) -> list[Fact]:
    return [Fact(name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])]


def _environment(run: RunRecord) -> dict[str, str]:
    commit = "not in a git checkout"
    if run.git:
        changed = ", with local changes" if run.git.get("dirty") else ""
        commit = f"{str(run.git['commit'])[:12]}{changed}"
    return {
        "Python": run.python,
        "platform": run.platform,
        "locked packages": run.lock_sha256 or "",
        "commit": commit,
    }


def _stages_of_both(a: RunRecord, b: RunRecord) -> list[list[StageRecord]]:
    """The stages of each run that the other was asked for as well."""
    both = {stage.name for stage in a.stages} & {stage.name for stage in b.stages}
    return [[stage for stage in run.stages if stage.name in both] for run in (a, b)]


def _code(stages: list[StageRecord]) -> dict[str, object]:
    hashes = {f"notebooks/{stage.name}.ipynb": stage.basis.get("notebook") for stage in stages}
    for stage in stages:
        hashes |= dict(stage.basis.get("code") or {})
    return hashes


def _ends(tested: Mapping[str, object], name: str) -> tuple[float, float] | None:
    low, high = (number(tested.get(f"{name}{end}")) for end in ("_low", "_high"))
    return None if low is None or high is None else (low, high)
