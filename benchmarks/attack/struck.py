"""Programs that are killed, interrupted or out of disk at one of their steps, and run again."""

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import toy
from published import CONTRACT, ONE

from attack.forked_runs import ForkedRuns, Program
from attack.kills import left_after
from attack.results import HUNG, Fault
from attack.small_chain import ROOT, SPLIT, run
from attack.steps import BROKEN, COUNTED, FULL, INTERRUPTED, KILLED, Stroke
from creditrisk.monitoring.records import read_decisions
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import entry
from creditrisk.records.verification import problems

#: The exit codes that a program may end with, beside 0: it may have been at its end, or not heed.
RIGHT = {KILLED: {-9}, INTERRUPTED: {130}, FULL: {1, 2}, BROKEN: {1, 2}}
CONTRACT_FILE = ROOT / "data/raw/datapackage.json"
OUTCOMES = "id,outcome\nid-1,1\nid-2,0\n"
SOON = {
    "1_look": ["seed: int = 0", "1"],
    "2_split": [
        'seed: int = 0\ntrain: str = "../a"\ntest: str = "../b"',
        "for path in train, test:\n    open(path, 'w').write(str(seed))",
    ],
}


@dataclass(frozen=True)
class Work:
    """Something that a program does."""

    prepare: Callable[[Path], None]  # has a folder be as it is before
    program: Callable[[str], Program]  # does the work there
    again: Callable[[str], Program]  # does it, or says that it is done
    wrong: Callable[[Path], list[str]]  # what is not as it has to be after `again`
    below: str = ""  # the part of the folder whose changes count


def project(folder: Path) -> None:
    """A chain of two notebooks that has run."""
    for name, cells in SOON.items():
        toy.write_notebook(folder / "project/notebooks" / f"{name}.ipynb", *cells)
    (folder / "project registry").mkdir()
    _ran(folder, "--quiet")


def old_runs(folder: Path) -> None:
    """The same, with three runs that may go."""
    project(folder)
    for seed in "123":
        _ran(folder, "--quiet", "--set", f"seed={seed}")


def filled_cache(folder: Path) -> None:
    """A project that has not run, and a cache that has its results."""
    project(folder)
    _ran(folder, "--quiet", "--force", "--cache", str(folder / "cache"))
    for part in "data", "experiments":
        shutil.rmtree(folder / "project" / part)


def _ran(folder: Path, *arguments: str) -> None:
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, arguments
        return
    os._exit(run(folder / "project", "light", list(arguments)))


def log(folder: Path) -> None:
    """A log of two decisions, and a file of what became of them."""
    model = {"name": "M", "version": 2, "alias": None, "sha256": "ab" * 32}
    opened = open_log(folder / "log" / "server.jsonl")
    answer = {"decision": "approve", "probability": 0.5, "cutoff": 0.5}
    for number in 1, 2:
        opened.append([entry(f"id-{number}", "2026-05-04T12:00:00+00:00", model, ONE, answer)])
    opened.close()
    (folder / "outcomes.csv").write_text(OUTCOMES)


def chain(*arguments: str) -> Callable[[str], Program]:
    def program(folder: str) -> Program:
        filled = [each.replace("FOLDER", folder) for each in arguments]
        return Program(f"{folder}/project", ["--quiet", *filled], "light")

    return program


def command(*arguments: str) -> Callable[[str], Program]:
    filled = [each.replace("CONTRACT", str(CONTRACT_FILE)) for each in arguments]
    return lambda folder: Program(folder, filled)


def wrong_project(folder: Path) -> list[str]:
    root = folder / "project"
    wrong = []
    if {(root / path).read_text() for path in SPLIT.values()} - {"0", "3", "5"}:
        wrong.append("the files of a stage are not whole")
    if left := [*root.glob("experiments/runs/*/staged"), *root.rglob(".*.old")]:
        wrong.append(f"left over: {left}")
    if left := [*root.rglob(".*.????????"), *root.glob("experiments/.pruned")]:
        wrong.append(f"left over: {left}")
    page = (root / "experiments/index.html").read_text()
    ids = [run.name for run in root.glob("experiments/runs/*") if (run / "manifest.json").exists()]
    return wrong + [f"{id} is not in the index" for id in ids if id not in page]


def wrong_records(folder: Path) -> list[str]:
    """Each outcome and override stands there once, and each log is whole."""
    logs = sorted((folder / "log").glob("*.jsonl"))
    return [f"{path.name}: {problem}" for path in logs for problem in problems(path)]


def wrong_outcomes(folder: Path) -> list[str]:
    known = read_decisions(folder / "log", CONTRACT).frame["outcome"].tolist()
    return wrong_records(folder) + ([] if known == [1, 0] else [f"outcomes {known}"])


WORKS = {
    "a run": Work(
        project, chain("--set", "seed=5"), chain("--set", "seed=5"), wrong_project, "project"
    ),
    "--keep 1": Work(
        old_runs,
        chain("--set", "seed=3", "--keep", "1"),
        chain("--set", "seed=3", "--keep", "1"),
        wrong_project,
        "project",
    ),
    "fills a cache": Work(
        project,
        chain("--set", "seed=5", "--cache", "FOLDER/cache"),
        chain("--set", "seed=5", "--cache", "FOLDER/cache"),
        wrong_project,
        "cache",
    ),
    "takes from a cache": Work(
        filled_cache,
        chain("--cache", "FOLDER/cache"),
        chain("--cache", "FOLDER/cache"),
        wrong_project,
    ),
    "outcomes add": Work(
        log,
        command("outcomes", "add", "outcomes.csv", "--log", "log", "--contract", "CONTRACT"),
        command("outcomes", "add", "outcomes.csv", "--log", "log", "--contract", "CONTRACT"),
        wrong_outcomes,
    ),
    "override": Work(
        log,
        command("override", "id-1", "--by", "A", "--reason", "r", "--log", "log"),
        command("override", "id-2", "--by", "A", "--reason", "r", "--log", "log"),
        wrong_records,
    ),
}


class Struck:
    """Works that meet their fate at one of their steps, one after the other."""

    def __init__(self, folder: Path, seed: int, patience: float):
        self.folder, self.seed, self.patience = folder, seed, patience
        self.forked = ForkedRuns()
        self.steps: dict[str, int] = {}

    @classmethod
    @contextmanager
    def place(cls, *how: object) -> Iterator["Struck"]:
        with tempfile.TemporaryDirectory() as folder:
            here = cls(Path(folder), *how)
            try:
                yield here
            finally:
                here.forked.close()

    def begun(self, name: str) -> Path:
        """A folder as it is before a work."""
        good, place = self.folder / f"good {name}", self.folder / "place"
        if place.exists():
            shutil.rmtree(place)
        if not good.exists():
            place.mkdir()  # links between pages and manifests are to hold for this place
            WORKS[name].prepare(place)
            shutil.copytree(place, good, symlinks=True)
            return place
        shutil.copytree(good, place, symlinks=True)
        return place

    def counted(self, name: str) -> int:
        """How many steps a work has."""
        if name not in self.steps:
            place, work = self.begun(name), WORKS[name]
            file = self.folder / "steps"
            stroke = Stroke(COUNTED, str(place / work.below), counted=str(file))
            ended = self.forked.ended(
                replace(work.program(str(place)), stroke=stroke), self.patience
            )
            assert ended.code == 0, ended
            self.steps[name] = int(file.read_text())
        return self.steps[name]

    def fault(self, number: int) -> Fault:
        luck = random.Random(f"{self.seed} struck {number}")
        name = list(WORKS)[number % len(WORKS)]
        work, kind = WORKS[name], luck.choice(list(RIGHT))
        of, place = self.counted(name), self.begun(name)
        stroke = Stroke(kind, str(place / work.below), luck.randint(1, of))
        program = replace(work.program(str(place)), stroke=stroke)
        ended = self.forked.ended(program, self.patience)
        wrong = self.wrong(ended, {0, *RIGHT[kind]})
        if left := left_after(place / "project", self.patience):
            wrong.append(f"processes left: {left}")
        again = self.forked.ended(work.again(str(place)), self.patience)
        after = self.wrong(again, {0})
        after += work.wrong(place) if not after else []
        what = f"{name} {kind} at step {stroke.number} of {of}"
        wrong += [f"rerun: {each}" for each in after]
        return Fault(what, ended.code, ended.seconds, wrong, ended.code != 0 and not after)

    def wrong(self, ended, right: set[int]) -> list[str]:
        if ended.code is None:
            return [f"{HUNG}: {ended.errors}"]
        wrong = []
        if "Traceback (most recent" in ended.errors:
            wrong.append("it ended in a traceback")
        if ended.code not in right:
            wrong.append(f"exit code {ended.code}")
        return [*wrong, f"it said: {ended.errors}"] if wrong else []
