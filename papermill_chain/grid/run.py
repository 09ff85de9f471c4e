"""A chain run for each combination of some parameters, each in a workspace of its own.

A grid explores. It works on copies under experiments/grids/<id>/, and of the checkout's own data,
models and registry it changes nothing; so a plain run may go on beside it. Its id comes from what
is asked for: the same request goes on where the last one has stopped.
"""

import csv
import filecmp
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from papermill_chain.execution.signals import ENDS_WITH_INPUT, Interrupted, signals_put_into
from papermill_chain.grid.combinations import Combination, Grid, Result
from papermill_chain.runs.figures import read_figures
from papermill_chain.runs.files import link, relative, write_whole
from papermill_chain.runs.manifest import GOOD

SECONDS_TO_STOP = 4.7  # for chains to end in good order before they are killed
SECONDS_TO_WAIT = 10.0  # for a chain that a killed grid has left, and that is about to end
ENDED_BY_SIGNAL = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
OF_A_RUN = ("CHAIN_RUN_FOLDER", "CHAIN_RUN_ID", "CHAIN_STAGE")


class ExecutorLost(Exception):
    """The place where chains run is gone, in a sentence."""


class Executor(Protocol):
    """Where chains run."""

    def jobs(self) -> int: ...  # side by side
    def run(self, one: Combination, follow: Callable[[dict[str, Any]], None]) -> Result: ...
    def stop(self) -> None: ...  # in good order
    def kill(self) -> None: ...


class GridView(Protocol):
    """Whoever shows a grid is told of it by these."""

    def started(self, combination: Combination, expected: float | None) -> None: ...
    def told(self, combination: Combination, event: dict[str, Any]) -> None: ...
    def ended(self, combination: Combination, done: int, of: int, left: float | None) -> None: ...
    def tick(self) -> None: ...
    def closed(self, grid: Grid, status: str) -> None: ...


def run_grid(grid: Grid, executor: Executor, view: GridView) -> int:
    """Run what is not up to date in a grid and keep its page; the exit code."""
    events: SimpleQueue[Callable[[], None]] = SimpleQueue()
    with signals_put_into(events):
        before, changed = results_before(grid), copy_source(grid.files, grid.source)
        for one in grid.combinations:  # what still stands is shown from the start
            one.result = one.result if changed else before.get(one.folder, one.result)
        return GridRun(grid, executor, view, events, before).run_all()


def run_one(
    workspace: Path,
    source: Path,
    script: str,
    settings: Mapping[str, str],
    options: Sequence[str] = (),
    unset: Sequence[str] = (),
    given: Mapping[str, str] | None = None,
    follow: Callable[[dict[str, Any]], None] | None = None,
    started: Callable[[subprocess.Popen], None] | None = None,
) -> Result:
    """Run a chain in a workspace and wait for its end.

    It needs nothing but what it is given, so that another process, or another machine that sees the
    same folders, can be sent it.

    Parameters
    ----------
    workspace, source : the folder to run it in, and the copy of the chain to run.
    script : the program that runs the chain, below them.
    settings, options : the parameters to set, and other arguments of the program.
    unset, given : variables of the environment that the chain is not to see, and others that it is.
    follow, started : told each event of the run, and the process itself.
    """
    began = time.monotonic()
    fill(workspace, source)
    pairs = [part for name, text in settings.items() for part in ("--set", f"{name}={text}")]
    hidden = {*unset, *OF_A_RUN}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {**(given or {}), ENDS_WITH_INPUT: "1"}
    while True:
        result = Result("failed")
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                [sys.executable, workspace / script, "--json", *options, *pairs],
                cwd=workspace,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # a signal from the terminal is for the grid
            ) as chain,
        ):
            if started:
                started(chain)
            for line in chain.stdout:
                with suppress(ValueError):
                    _take_in(event := json.loads(line), result)
                    if follow:
                        follow(event)
            code = chain.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        if code != 75 or time.monotonic() - began > SECONDS_TO_WAIT:
            break
        time.sleep(0.5)
    result.seconds = round(time.monotonic() - began, 1)
    if code in ENDED_BY_SIGNAL:
        result.status = "interrupted"
    elif code:
        result.status = "failed"
        last = said.splitlines() or [f"it ended with exit code {code}"]
        result.error = result.error or last[-1]
    if (workspace / "experiments/index.html").is_file():
        result.index = "experiments/index.html"
    if result.report and not (workspace / result.report).is_file():
        result.report = None
    return result


def copy_source(files: Mapping[str, Path], source: Path) -> bool:
    """Have in `source` the files of a chain as they are now, and no others; whether any is new.

    A file that has changed becomes a new one, so that links to the old one stay as they are.
    """
    gone, changed = _below(source) - files.keys(), False
    for path, file in files.items():
        there = source / path
        if not (there.is_file() and filecmp.cmp(file, there, shallow=False)):
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            shutil.copy2(file, there)
            changed = True
    for path in gone:
        (source / path).unlink()
    return changed or bool(gone)


def fill(workspace: Path, source: Path) -> None:
    """Have in a workspace the files of the chain; what the chain has made there stays."""
    files, listed = _below(source), workspace / ".source"
    if listed.is_file():
        for gone in set(listed.read_text(encoding="utf-8").splitlines()) - files:
            (workspace / gone).unlink(missing_ok=True)
    for path in files:
        there = workspace / path
        if not (there.is_file() and os.path.samefile(source / path, there)):
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            link(source / path, there)
    write_whole(listed, "\n".join(sorted(files)))


@dataclass
class LocalExecutor:
    """The place where chains run: this machine."""

    grid: Grid
    processes: dict[int, subprocess.Popen] = field(default_factory=dict)
    stopped: bool = False

    def jobs(self) -> int:
        """Chains side by side, as asked for."""
        return self.grid.jobs

    def run(self, one: Combination, follow: Callable[[dict[str, Any]], None]) -> Result:
        """Run a combination and wait for its end."""
        grid = self.grid
        return run_one(
            grid.folder / one.folder,
            grid.source,
            grid.script,
            one.settings,
            grid.options,
            grid.shared,
            follow=follow,
            started=partial(self._know, one.number),
        )

    def stop(self) -> None:
        """Ask all chains to end in good order."""
        self.stopped = True
        for process in list(self.processes.values()):
            process.terminate()

    def kill(self) -> None:
        """End all chains; the watcher of each ends what it has started."""
        for process in list(self.processes.values()):
            process.kill()

    def _know(self, number: int, process: subprocess.Popen) -> None:
        self.processes[number] = process
        if self.stopped:  # it was on its way when all the others were asked to end
            process.terminate()


@dataclass
class GridRun:
    """A grid in progress: threads wait for chains, the main one takes events and keeps record."""

    grid: Grid
    executor: Executor
    view: GridView
    events: SimpleQueue[Callable[[], None]]
    before: dict[str, Result]  # of an earlier go at it, by folder
    busy: int = 0
    ended: int = 0
    stopped: bool = False
    took: list[float] = field(default_factory=list)  # seconds of those that had something to do
    announced: set[int] = field(default_factory=set)
    written: str = ""

    def run_all(self) -> int:
        """Run all combinations to their end, good or bad; the exit code."""
        waiting = list(self.grid.combinations)
        code = 1
        try:
            while waiting or self.busy:
                while waiting and self.busy < self.executor.jobs():
                    self._start(waiting.pop(0))
                self._write("running")
                with suppress(Empty):
                    self.events.get(timeout=0.5)()
                    while True:
                        self.events.get_nowait()()
                self.view.tick()
            good = all(one.result.status in GOOD for one in self.grid.combinations)
            code = 0 if good else 1
        except Interrupted as asked:
            code = 128 + asked.args[0]
        except ExecutorLost as lost:
            self.grid.trouble = str(lost)
        finally:
            self._stop()
        self.written = ""  # the last page says how it ended, whether or not more is known
        ended = {0: "succeeded", 1: "failed"}.get(code, "interrupted")
        self._write(status := "interrupted" if self.grid.trouble else ended)
        self.view.closed(self.grid, status)
        return code

    def _start(self, one: Combination) -> None:
        """Send a combination off in a thread of its own."""
        one.result = Result("running")
        self.busy += 1
        threading.Thread(target=self._work, args=(one,), daemon=True).start()

    def _work(self, one: Combination) -> None:
        try:
            result = self.executor.run(
                one, lambda event: self.events.put(partial(self._told, one, event))
            )
        except ExecutorLost as lost:
            self.events.put(partial(self._lost, lost))
            return
        except BaseException as error:  # whatever it is, the grid must hear of it
            result = Result("failed", error=f"{type(error).__name__}: {error}")
        self.events.put(partial(self._ended, one, result))

    def _lost(self, lost: ExecutorLost) -> None:
        self.busy -= 1
        if not self.stopped:  # else it was let go
            raise lost

    def _told(self, one: Combination, event: dict[str, Any]) -> None:
        """Show what a combination is at; one that is up to date is at nothing."""
        if event["event"] == "stage started" and one.number not in self.announced:
            self.announced.add(one.number)
            self.view.started(one, self._seconds())
        self.view.told(one, event)

    def _ended(self, one: Combination, result: Result) -> None:
        """Record what became of a combination."""
        self.busy -= 1
        self.ended += result.status != "interrupted"
        if result.status == "up to date":
            before = self.before.get(one.folder, result)
            result = replace(result, seconds=before.seconds, run=before.run)
        elif result.status == "succeeded":
            self.took.append(result.seconds)
        one.result = result
        self.view.ended(one, self.ended, len(self.grid.combinations), self._left())

    def _seconds(self) -> float | None:
        """How long a combination takes, as far as one knows."""
        return sum(self.took) / len(self.took) if self.took else self.grid.expected

    def _left(self) -> float | None:
        """How long the rest of the grid will take."""
        results = [one.result.status for one in self.grid.combinations]
        rest, each = results.count("not run") + results.count("running"), self._seconds()
        return each * rest / min(self.executor.jobs(), rest) if each and rest else None

    def _stop(self) -> None:
        """End all chains that are running, in good order if there is the time for it."""
        self.stopped, deadline = True, time.monotonic() + SECONDS_TO_STOP
        self.executor.stop()
        while self.busy and time.monotonic() < deadline:
            with suppress(Empty, Interrupted):
                self.events.get(timeout=0.1)()
        self.executor.kill()
        for one in self.grid.combinations:
            if one.result.status == "running":
                one.result = Result("interrupted")

    def _write(self, status: str) -> None:
        """Keep what is known, for readers and for the next go at it."""
        told = json.dumps([asdict(one) for one in self.grid.combinations], indent=1, default=str)
        if told != self.written:
            write_whole(self.grid.folder / "grid.json", told)
            write_whole(self.grid.folder / "grid.csv", _table(self.grid.combinations))
            write_page(self.grid, status)
            self.written = told


def write_page(grid: Grid, status: str) -> None:
    """Write the page that compares the combinations."""
    from papermill_chain.grid.page import page_of

    write_whole(grid.page, page_of(grid, status))


def results_before(grid: Grid) -> dict[str, Result]:
    """What became of each combination that has succeeded already, by its folder."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((grid.folder / "grid.json").read_text(encoding="utf-8"))
        results = {one["folder"]: _read_result(one["result"]) for one in told}
        return {folder: result for folder, result in results.items() if result.status in GOOD}
    return {}


def _read_result(recorded: dict[str, Any]) -> Result:
    return Result(**recorded | {"figures": read_figures(recorded["figures"])})


def _below(folder: Path) -> set[str]:
    """The paths of all files below a folder."""
    return {relative(file, folder) for file in folder.rglob("*") if file.is_file()}


def _take_in(event: dict[str, Any], result: Result) -> None:
    """Learn from an event of a chain what is to be told of it."""
    match event:
        case {"event": "stage ended", "stage": stage, "run": run, "figures": figures}:
            result.figures |= read_figures(figures)
            if error := event["status"] == "failed" and event["error"]:
                under = f", under “{error['heading']}”" if error.get("heading") else ""
                result.error = f"{stage}{under}: {error['ename']}: {error['evalue']}"
                result.report = f"experiments/runs/{run}/{stage}.html"
        case {"event": "run ended"}:
            result.status, result.run = event["status"], event["run"]
            troubles = filter(None, [event.get("after"), *event.get("troubles", [])])
            result.error = result.error or "; ".join(map(str, troubles))


def _table(combinations: Sequence[Combination]) -> str:
    """The combinations as CSV: number, status, parameters, figures, seconds, error.

    A figure that has an interval somewhere has two more columns, for its ends.
    """
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    parameters, columns = list(combinations[0].parameters), _figure_columns(combinations)
    heads = [f"{name} {part}".removesuffix(" value") for name, part in columns]
    table.writerow(["combination", "status", *parameters, *heads, "seconds", "error"])
    for one in combinations:
        result = one.result
        figures = [getattr(result.figures.get(name), part, None) for name, part in columns]
        row = [one.number, result.status, *one.parameters.values(), *figures, result.seconds]
        table.writerow([*row, result.error])  # None is an empty cell
    return lines.getvalue()


def _figure_columns(combinations: Sequence[Combination]) -> list[tuple[str, str]]:
    """The name of each figure with what stands in a column of its own: value, low or high."""
    columns: dict[str, tuple[str, ...]] = {}
    for one in combinations:
        for name, figure in one.result.figures.items():
            has_ends = figure.low is not None or len(columns.get(name, ())) > 1
            columns[name] = ("value", "low", "high") if has_ends else ("value",)
    return [(name, part) for name, parts in columns.items() for part in parts]
