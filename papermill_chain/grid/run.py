"""A chain run for each combination of some parameters, each in a workspace of its own.

A grid explores. It works on copies under experiments/grids/<id>/, and of the checkout's own data,
models and registry it changes nothing; so a plain run may go on beside it. Its id comes from what
is asked for: the same request goes on where the last one has stopped.
"""

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from papermill_chain.execution.events import Interrupted, signals_put_into
from papermill_chain.grid.combinations import Combination, Grid, Result
from papermill_chain.grid.results import as_json, results_before, write_results
from papermill_chain.grid.workspace import Follow, copy_source, run_one
from papermill_chain.runs.manifest import GOOD

SECONDS_TO_STOP = 4.7  # for chains to end in good order before they are killed


class ExecutorLost(Exception):
    """What runs the chains is gone, in a sentence."""


class Executor(Protocol):
    """What runs chains: this machine, or a cluster."""

    def jobs(self) -> int: ...  # side by side
    def run(self, one: Combination, follow: Follow) -> Result: ...
    def stop(self) -> None: ...  # in good order
    def kill(self) -> None: ...


class GridView(Protocol):
    """What shows a grid while it runs; called for each thing that happens."""

    def started(self, combination: Combination, expected: float | None) -> None: ...
    def progressed(self, combination: Combination, event: dict[str, Any]) -> None: ...
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


@dataclass
class LocalExecutor:
    """Runs chains on this machine."""

    grid: Grid
    processes: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    stopped: bool = False

    def jobs(self) -> int:
        """Chains side by side, as asked for."""
        return self.grid.jobs

    def run(self, one: Combination, follow: Follow) -> Result:
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
            experiments=grid.experiments,
            started=partial(self._add, one.number),
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

    def _add(self, number: int, process: "subprocess.Popen[bytes]") -> None:
        self.processes[number] = process
        if self.stopped:  # it was on its way when all the others were asked to end
            process.terminate()


@dataclass
class GridRun:
    """A grid in progress: threads wait for chains, the main one takes events and records them."""

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
        self.written = ""  # the last page has how it ended, whether or not more is known
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
                one, lambda event: self.events.put(partial(self._progressed, one, event))
            )
        except ExecutorLost as lost:
            self.events.put(partial(self._lost, lost))
            return
        except BaseException as error:  # noqa: BLE001  whatever it is, the grid has to record it
            result = Result("failed", error=f"{type(error).__name__}: {error}")
        self.events.put(partial(self._ended, one, result))

    def _lost(self, lost: ExecutorLost) -> None:
        self.busy -= 1
        if not self.stopped:  # else it was lost on purpose
            raise lost

    def _progressed(self, one: Combination, event: dict[str, Any]) -> None:
        """Show what a combination is doing; one that is up to date does nothing."""
        if event["event"] == "stage started" and one.number not in self.announced:
            self.announced.add(one.number)
            self.view.started(one, self._seconds())
        self.view.progressed(one, event)

    def _ended(self, one: Combination, result: Result) -> None:
        """Record what became of a combination."""
        self.busy -= 1
        self.ended += result.status != "interrupted"
        if result.status == "up to date":
            before = self.before.get(one.folder, result)
            result = replace(result, seconds=before.seconds, run=before.run)
        elif result.status == "succeeded" and result.seconds is not None:
            self.took.append(result.seconds)
        one.result = result
        self.view.ended(one, self.ended, len(self.grid.combinations), self._left())

    def _seconds(self) -> float | None:
        """How long a combination takes, as far as is known."""
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
        """Write the results, if there is anything new in them."""
        if (results := as_json(self.grid)) != self.written:
            write_results(self.grid, status)
            self.written = results
