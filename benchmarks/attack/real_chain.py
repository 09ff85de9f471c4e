"""Faults of the real chain, which need MLflow, and many first starts at once."""

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import toy
from chain import copy_project

from attack.kills import fault_at_start
from attack.results import Fault
from attack.small_chain import Ended, Started

LIGHT = ["--set", "repeats=1", "--set", "folds=2", "--set", "shuffles=2"]
PLAIN = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
RIVALS = 8
FAULTS = 5
LOOKS = 0.05  # seconds between two at MLflow's runs


class Rivals:
    """Eight first starts at once, of which one runs and seven are refused."""

    def __init__(self, patience: float):
        self.patience = patience

    @classmethod
    @contextmanager
    def place(cls, patience: float) -> Iterator["Rivals"]:
        yield cls(patience)

    def fault(self, number: int) -> Fault:
        with tempfile.TemporaryDirectory() as folder:
            root = toy.make(Path(folder) / "project")
            command = [sys.executable, toy.__file__, str(root)]
            began = time.monotonic()
            all_ended = [
                run.ended(self.patience) for run in [Started(command) for _ in range(RIVALS)]
            ]
            seconds = time.monotonic() - began
        codes = [ended.code for ended in all_ended]
        wrong = []
        if sorted(code or 0 for code in codes) != [0] + [75] * (RIVALS - 1) or None in codes:
            wrong = [f"exit codes {codes}: {[ended.errors for ended in all_ended]}"]
        refused = max((ended.seconds for ended in all_ended if ended.code == 75), default=0)
        note = f"the last was refused after {refused:.1f} s"
        return Fault("eight first starts", 0 if not wrong else 1, seconds, wrong, note=note)


class Real:
    """Two checkouts of the real chain that share nothing but, once, an MLflow store."""

    def __init__(self, folder: Path, patience: float):
        self.patience, self.store = patience, folder / "shared.db"
        self.one, self.other = (copy_project(folder / name) for name in ("one", "other"))

    @classmethod
    @contextmanager
    def place(cls, patience: float) -> Iterator["Real"]:
        with tempfile.TemporaryDirectory() as folder:
            yield cls(Path(folder), patience)

    @property
    def faults(self) -> list[Callable[[], Fault]]:
        """In this order: a later one needs what an earlier one has left."""
        return [
            self.shared_store,
            self.killed_while_registering,
            self.stopped_while_registering,
            self.alias_deleted,
            self.registry_locked,
        ]

    def fault(self, number: int) -> Fault:
        if number and not (self.one / "mlflow.db").exists():
            self.run()  # it was cut off, and goes on without the first
        return self.faults[number]()

    def run(self, *arguments: str) -> Ended:
        return self.start(*arguments).ended(self.patience)

    def start(self, *arguments: str, project: Path | None = None, **variables: str) -> Started:
        command = [sys.executable, "run_all.py", "--quiet", *(arguments or LIGHT)]
        return Started(command, project or self.one, PLAIN | variables)

    def shared_store(self) -> Fault:
        shared = {"MLFLOW_TRACKING_URI": f"sqlite:///{self.store}"}
        both = [self.start(project=project, **shared) for project in (self.one, self.other)]
        ended = [started.ended(self.patience) for started in both]
        wrong = [f"exit code {each.code}: {each.errors}" for each in ended if each.code != 0]
        first = self.run()
        if first.code != 0:
            wrong.append(f"another store has to be filled anew: {first.errors}")
        return self.judged("two checkouts, one MLflow store", ended[0], wrong)

    def while_registering(self) -> tuple[Started, list[str]]:
        """A run that is at the registration, and the MLflow runs that are open."""
        runner = self.start("--only", "04")
        while not self.statuses("RUNNING") and runner.process.poll() is None:
            time.sleep(LOOKS)
        return runner, self.statuses("RUNNING")

    def killed_while_registering(self) -> Fault:
        runner, opened = self.while_registering()
        runner.process.kill()
        ended = runner.ended(self.patience)
        return self.judged("killed while registering", ended, self.wrong_after_rerun(opened))

    def stopped_while_registering(self) -> Fault:
        runner, opened = self.while_registering()
        asked = time.monotonic()
        runner.process.terminate()
        ended, took = runner.ended(self.patience), time.monotonic() - asked
        wrong = [f"exit code {ended.code}: {ended.errors}"] if ended.code != 143 else []
        if took > 5:
            wrong.append(f"it took {took:.1f} s to end")
        if not set(opened) <= set(self.statuses("KILLED")):
            wrong.append(f"{opened} are not closed")
        note = f"ended after {took:.1f} s"
        what = "stopped while registering"
        return self.judged(what, ended, wrong + self.wrong_after_rerun(opened), note)

    def alias_deleted(self) -> Fault:
        with sqlite3.connect(self.one / "mlflow.db") as database:
            database.execute("delete from registered_model_aliases where alias = 'challenger'")
        ended = self.run(*LIGHT, "--dry-run")
        wrong = [] if "alias challenger is gone" in ended.out else [f"{ended.out}{ended.errors}"]
        return self.judged("a deleted alias is noticed", ended, wrong)

    def registry_locked(self) -> Fault:
        lock = sqlite3.connect(self.one / "mlflow.db", isolation_level=None)
        lock.execute("begin exclusive")
        ended = self.run("--only", "04")
        lock.close()
        wrong = []
        if ended.code != 1 or "database is locked" not in ended.errors:
            wrong.append(f"exit code {ended.code}: {ended.errors}")
        return self.judged("a locked registry is named", ended, wrong + self.wrong_after_rerun([]))

    def wrong_after_rerun(self, opened: list[str]) -> list[str]:
        again = self.run()
        wrong = [f"rerun: exit code {again.code}: {again.errors}"] if again.code else []
        if not set(opened) <= set(self.statuses("KILLED")):
            wrong.append(f"rerun: {opened} are not closed")
        return wrong

    def statuses(self, status: str) -> list[str]:
        """MLflow's runs that are in a state."""
        with (
            suppress(sqlite3.Error),
            sqlite3.connect(f"file:{self.one}/mlflow.db?mode=ro", uri=True) as database,
        ):
            asked = "select run_uuid from runs where status = ?"
            return [row[0] for row in database.execute(asked, [status])]
        return []

    def judged(self, what: str, ended: Ended, wrong: list[str], note: str = "") -> Fault:
        repaired = ended.code != 0 and not wrong
        return Fault(what, ended.code, ended.seconds, wrong, repaired, note)


class RealWarmKilled:
    """The real chain, from which the process that kernels are forked from is taken at its start."""

    def __init__(self, real: Real, step: float):
        self.real, self.step = real, step

    @classmethod
    @contextmanager
    def place(cls, step: float, patience: float) -> Iterator["RealWarmKilled"]:
        with Real.place(patience) as real:
            yield cls(real, step)

    def fault(self, number: int) -> Fault:
        def again() -> list[str]:
            ended = self.real.run()
            return [f"rerun: exit code {ended.code}: {ended.errors}"] if ended.code else []

        started = self.real.start("--force", *LIGHT)
        return fault_at_start(number * self.step, started, self.real.patience, again)
