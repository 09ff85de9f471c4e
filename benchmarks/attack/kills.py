"""Kills of the runner, its kernels, its group, and the process that kernels are forked from."""

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import toy

from attack.forked_runs import ForkedRuns
from attack.results import HUNG, Fault
from attack.small_chain import SETS, Ended, Started, make, start

#: The exit codes that a run may end with.
RIGHT = {
    "kernel": {0, 1},
    "runner": {-9, 0},
    "process group": {-9, 0},
    "SIGTERM": {143, -15, 0},
    "SIGINT": {130, -2, 0},
    "SIGHUP": {129, -1, 0},
}
WEIGHTS = [3, 3, 2, 1, 1, 1]
REAL = 10  # of as many reruns, one is a program of its own
GOING = 1 / 12  # of the patience with a run, that with its processes once it has ended


def strike(kind: str, runner: subprocess.Popen, luck: random.Random) -> None:
    """Kill what is to be killed; a kernel as soon as there is one."""
    if kind == "kernel":
        _kill_kernel(runner, luck)
        return
    with suppress(ProcessLookupError):
        match kind:
            case "runner":
                runner.kill()
            case "process group":
                os.killpg(runner.pid, signal.SIGKILL)
            case _:
                runner.send_signal(getattr(signal, kind))


def _kill_kernel(runner: subprocess.Popen, luck: random.Random) -> None:
    while runner.poll() is None:
        with suppress(psutil.Error, ProcessLookupError):
            below = psutil.Process(runner.pid).children(recursive=True)
            forked = [p for p in below if p.ppid() != runner.pid]
            if kernels := [p for p in forked if os.getsid(p.pid) == p.pid != p.ppid()]:
                luck.choice(kernels).kill()
                return
        time.sleep(0.02)


def wrong_after(
    root: Path,
    ended: Ended,
    right: set[int],
    seeds: set[str],
    patience: float,
    chain: str = "whole",
) -> list[str]:
    """What is not as it has to be after a run; `seeds` are those that good sets may be from."""
    if ended.code is None:
        return [f"{HUNG}: {ended.errors}"]
    wrong = []
    if "Traceback (most recent" in ended.errors:
        wrong.append("it ended in a traceback")
    if ended.code not in right:
        wrong.append(f"exit code {ended.code}")
    if left := left_after(root, patience):
        wrong.append(f"processes left: {left}")
    for paths in SETS[chain]:
        found = {(root / path).read_text() if (root / path).exists() else "none" for path in paths}
        if len(found) > 1 or not found <= seeds:
            wrong.append(f"a mixture: {paths} are of {sorted(found)}")
    if wrong:
        wrong.append(f"it said: {ended.errors}")
    return wrong


def left_after(root: Path, patience: float) -> list[int]:
    """The processes of a run that are left when they have had some seconds to go: 5 of 60."""
    end = time.monotonic() + GOING * patience
    while (left := toy.family(root)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


class Killed:
    """A small chain that is killed again and again."""

    def __init__(self, root: Path, seed: int, patience: float, part: str, within: float | None):
        self.root, self.seed, self.patience, self.part = root, seed, patience, part
        make(root)
        self.within = within or start(root, -1).ended(patience).seconds
        self.good = "-1" if within is None else "0"  # the seed that its files are of
        self.forked = ForkedRuns()

    @classmethod
    @contextmanager
    def place(cls, *how: object) -> Iterator["Killed"]:
        with tempfile.TemporaryDirectory() as folder:
            here = cls(Path(folder) / "project", *how)
            try:
                yield here
            finally:
                here.forked.close()

    def fault(self, number: int) -> Fault:
        luck = random.Random(f"{self.seed} {self.part} {number}")
        kind = luck.choices(list(RIGHT), WEIGHTS)[0]
        point = luck.uniform(0, self.within)
        runner = start(self.root, number)
        time.sleep(point)
        strike(kind, runner.process, luck)
        ended = runner.ended(self.patience)
        wrong = wrong_after(self.root, ended, RIGHT[kind], {self.good, str(number)}, self.patience)
        left = self.rerun(number)
        self.good = str(number)
        what = f"{kind} at {point:.1f} s"
        return Fault(what, ended.code, ended.seconds, wrong + left, ended.code != 0 and not left)

    def rerun(self, number: int) -> list[str]:
        """Run the chain again after a fault; what is not as it has to be then."""
        if number % REAL:
            again = self.forked.run(self.root, number, self.patience)
        else:
            again = start(self.root, number).ended(self.patience)
        wrong = wrong_after(self.root, again, {0}, {str(number)}, self.patience)
        if left := list(toy.registry_of(self.root).iterdir()):
            wrong.append(f"left open: {left}")
        if left := [*self.root.glob("experiments/runs/*/staged"), *self.root.rglob(".*.old")]:
            wrong.append(f"left over: {left}")
        return [f"rerun: {each}" for each in wrong]


def warm_process(runner: subprocess.Popen) -> psutil.Process | None:
    """The process that kernels are forked from, as soon as it is there."""
    while runner.poll() is None:
        with suppress(psutil.Error):
            for process in psutil.Process(runner.pid).children():
                if "fork_process" in " ".join(process.cmdline()):
                    return process
        time.sleep(0.005)
    return None


def seconds_to_first_fork(started: Started) -> float:
    """How long the start of that process takes: until it has a child beside the watcher."""
    warm, began = warm_process(started.process), time.monotonic()
    with suppress(psutil.Error):
        while warm and len(warm.children()) < 2:
            time.sleep(0.02)
    return time.monotonic() - began


class WarmKilled:
    """A chain from which the process that kernels are forked from is taken during its start."""

    def __init__(self, killed: Killed, step: float):
        self.killed, self.step = killed, step

    @classmethod
    @contextmanager
    def place(cls, step: float, *how: object) -> Iterator["WarmKilled"]:
        with Killed.place(*how) as killed:
            yield cls(killed, step)

    def fault(self, number: int) -> Fault:
        return fault_at_start(
            number * self.step,
            start(self.killed.root, number),
            self.killed.patience,
            lambda: self.killed.rerun(number),
        )


def fault_at_start(seconds: float, started: Started, patience: float, again) -> Fault:
    """Kill the process that kernels are forked from some seconds after its own start.

    Parameters
    ----------
    again : runs once more after a run that failed; what is wrong then.
    """
    warm = warm_process(started.process)
    time.sleep(seconds)
    with suppress(psutil.Error):
        if warm:
            warm.kill()
    ended = started.ended(patience)
    wrong = [f"{HUNG}: {ended.errors}"] if ended.code is None else []
    if "Traceback" in ended.errors or "NoFork" in ended.errors:
        wrong.append(f"it said: {ended.errors}")
    left = again() if ended.code else []
    what = f"warm process at {seconds:.1f} s"
    return Fault(what, ended.code, ended.seconds, wrong + left, bool(ended.code) and not left)
