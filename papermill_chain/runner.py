"""Run the stages of a chain side by side where they can be, and publish what they write."""

import json
import logging
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from shutil import rmtree
from typing import Any

from papermill_chain.files import link, publish, relative, saying, sha256
from papermill_chain.freshness import basis_of, report_of
from papermill_chain.plan import Plan
from papermill_chain.progress import View
from papermill_chain.record import CUT, GOOD, Failure, Run, StageRun, new_run, remember
from papermill_chain.session import Outcome, Session
from papermill_chain.stages import Stage, notebook_path, upstream
from papermill_chain.warm import MARK_OF_RUN, MARK_OF_STAGE, POSSIBLE, NoFork, Warm, kill_family, named

SECONDS_TO_STOP = 3.5  # for threads to tell what became of their notebooks, and for their reports
SECONDS_TO_CLOSE = 1.0  # for what killed stages have left open elsewhere; else the next run does it


class Interrupted(Exception):
    """A signal asks the run to end."""


def run_chain(
    plan: Plan, last: dict[str, StageRun], why: dict[str, list[str]], view: View
) -> tuple[Run, int]:
    """Run the stages of a plan; the run as recorded, and the exit code.

    Parameters
    ----------
    last : the record of each stage's last success.
    why : the reasons known by now for which stages have to run.
    """
    events: SimpleQueue[Callable[[], None]] = SimpleQueue()
    with _signals_put_into(events), _quiet_libraries():
        stages = [plan.planned(stage) for stage in plan.stages]
        for told in stages:
            told.basis = basis_of(plan.notebooks[told.name], plan.root)
        run = new_run(plan.root, plan.title, plan.given, stages)
        return run, Conductor(plan, run, last, why, view, events).run_all()


@contextmanager
def _signals_put_into(events: SimpleQueue) -> Iterator[None]:
    """Have the signals that ask a program to end wait in line with all other events."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                handler = lambda number, _: events.put(partial(_interrupt, number))  # noqa: E731
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int) -> None:
    raise Interrupted(number)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the tools' own chatter off the terminal; what a notebook says is in its report."""
    names = ("papermill", "nbclient", "traitlets", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@dataclass
class Conductor:
    """A run in progress.

    Notebooks, reports and what follows the last stage work in threads of their own, which put what
    is to be done next into `events`. The main thread takes one event after the other; it alone
    changes the record and the files in their places, so a signal never meets a half-made change.
    """

    plan: Plan
    run: Run
    last: dict[str, StageRun]
    why: dict[str, list[str]]
    view: View
    events: SimpleQueue[Callable[[], None]]
    warm: Warm | None = None
    sessions: dict[str, Session] = field(default_factory=dict)  # of the stages that are running
    began: dict[str, float] = field(default_factory=dict)
    busy: int = 0  # threads that have not reported back
    stopped_by: str = ""  # the name of a signal
    tidy: bool | None = None  # whether nothing is left to be repaired, once that is known
    rendering: threading.Lock = field(default_factory=threading.Lock)

    def run_all(self) -> int:
        """Run the chain to its end, good or bad, and leave a true record; the exit code."""
        began, run = time.monotonic(), self.run
        code = 1
        try:
            run.save()
            self.warm = self._warm()
            self._take_events(starting=True)
            if all(stage.status in GOOD for stage in run.stages) and not run.troubles:
                run.status = "succeeded"
                if self.plan.after:
                    self._in_background(partial(self._call, self.plan.after, run), self._followed)
                    self._take_events()
                code = int(run.status != "succeeded")
        except Interrupted as asked:
            run.status, code = "interrupted", 128 + asked.args[0]
            self._stop(signal.Signals(asked.args[0]).name)
        finally:
            self._end(round(time.monotonic() - began, 1))
        try:
            self._write_index()
        except Exception as error:
            run.troubles.append(f"no index of all runs: {_failure(error)}")
            code = code or 1
        return code

    def _warm(self) -> Warm | None:
        """The process that does the imports of the stages to come, where there can be one."""
        if not POSSIBLE:
            return None
        to_run = {name for name, reasons in self.why.items() if reasons}
        for stage in self.plan.stages:
            if upstream(stage, self.plan.stages) & to_run:
                to_run.add(stage.name)
        imports = {name: notebook.imports for name, notebook in self.plan.notebooks.items()}
        groups = [
            (stage.name, [*imports[stage.name], *stage.imports], named(stage.elsewhere.ready))
            for stage in self.plan.stages
            if stage.name in to_run
        ]
        with suppress(OSError):
            return Warm(groups, self.plan.root / "notebooks", self._environment())

    def _take_events(self, starting: bool = False) -> None:
        """Take events, and if asked start whatever can start, until nothing goes on any more."""
        while True:
            while starting and (stage := self._ready()):
                self._start_or_skip(stage)
            if not self.busy:
                return
            with suppress(Empty):
                self.events.get(timeout=0.5)()
            self.view.tick()

    def _ready(self) -> Stage | None:
        """A stage that can start now; none after a failure."""
        status = {stage.name: stage.status for stage in self.run.stages}
        if "failed" in status.values() or len(self.sessions) == self.plan.jobs:
            return None
        for stage in self.plan.stages:
            before = upstream(stage, self.plan.stages)
            if status[stage.name] == "not run" and all(status[name] in GOOD for name in before):
                return stage
        return None

    def _start_or_skip(self, stage: Stage) -> None:
        """Send a notebook off, or take over what it made the last time if that still stands."""
        told, last = self._told(stage.name), self.last.get(stage.name)
        told.why = self.why[stage.name] or self.plan.why(stage, last)
        if told.why:
            self._start(stage, told)
        else:
            self._take_over(told, last)
        self.run.save()

    def _take_over(self, told: StageRun, last: StageRun) -> None:
        """Have the last success of a stage in this run as well, with its report."""
        for shown in last.notebook, last.report:
            if (file := report_of(last, self.plan.root).with_name(shown)).is_file():
                link(file, self.run.folder / shown)
        kept = {**vars(last), "status": "up to date", "why": []}
        vars(told).update(kept)
        self.view.ended(told)

    def _start(self, stage: Stage, told: StageRun) -> None:
        told.status, told.run = "running", self.run.id
        self.began[stage.name] = time.monotonic()
        last = self.last.get(stage.name)
        self.view.started(told, last and last.seconds)
        session = self.sessions[stage.name] = Session(
            stage.name,
            folder=self.plan.root / "notebooks",
            environment=self._environment(stage),
            follow=lambda *cell: self.events.put(partial(self.view.at_cell, stage.name, *cell)),
            secrets=stage.secrets,
            timeout=self.plan.cell_timeout,
            warm=self.warm,
        )
        work = partial(self._execute, stage, told, session)
        self._in_background(work, partial(self._executed, stage, told))

    def _execute(self, stage: Stage, told: StageRun, session: Session) -> tuple[dict, Outcome]:
        """In a thread: run a notebook; the hashes of what it has read, and what came of it."""
        from papermill_chain.kernels import execute  # imports papermill; the main thread is free

        reads = {path: sha256(file) for path, file in self.plan.files_read(stage).items()}
        staged = self._staged(stage)
        for file in staged.values():
            file.parent.mkdir(parents=True, exist_ok=True)
        taken = {*stage.reads, *self.plan.settings[stage.name]}
        outcome = execute(
            notebook_path(self.plan.root, stage.name),
            self.run.folder / f"{stage.name}.ipynb",
            {name: told.parameters[name] for name in sorted(taken)}
            | {name: relative(file, session.folder) for name, file in staged.items()},
            self.plan.notebooks[stage.name].kernel,
            session,
        )
        return reads, outcome

    def _executed(
        self, stage: Stage, told: StageRun, result: tuple[dict, Outcome] | BaseException
    ) -> None:
        """Publish what a notebook has written, or record why there is nothing to publish."""
        del self.sessions[stage.name]
        if isinstance(result, BaseException):
            result = {}, Outcome(_failure(result))
        told.reads, outcome = result
        told.headline, told.figures = outcome.headline, outcome.figures
        told.cells = outcome.cells
        told.seconds = self._seconds_since(stage.name)
        if self.stopped_by:
            stopped = {"ename": "Interrupted", "evalue": f"stopped by {self.stopped_by}"}
            told.error = outcome.error and replace(outcome.error, traceback="", **stopped)
            told.status = "interrupted"
        else:
            told.error = outcome.error or self._publish(stage, told)
            told.status = "failed" if told.error else "succeeded"
        if (self.run.folder / f"{stage.name}.ipynb").is_file():
            told.notebook = f"{stage.name}.ipynb"
            self._in_background(partial(self._render, told), partial(self._rendered, told))
        self.view.ended(told)
        self.run.save()

    def _publish(self, stage: Stage, told: StageRun) -> Failure | None:
        """Put the files of a stage in their places, all or none."""
        staged = self._staged(stage)
        absent = [file.name for file in staged.values() if not file.is_file() or _is_empty(file)]
        if absent:
            files = " and ".join(absent)
            return Failure("MissingOutput", f"{stage.name} finished but did not write {files}")
        try:
            told.writes = {stage.writes[name]: sha256(file) for name, file in staged.items()}
            places = {file: self.plan.root / stage.writes[name] for name, file in staged.items()}
            publish(places, self.plan.experiments / ".publishing.json")
            # its report is still to come; should that fail, the next run finds none and runs it again
            files = {"notebook": f"{stage.name}.ipynb", "report": f"{stage.name}.html"}
            remember(self.plan.experiments, replace(told, status="succeeded", **files))
        except OSError as error:
            return _failure(error)
        return None

    def _render(self, told: StageRun) -> None:
        """In a thread: make the report of a stage; one at a time, since that is all processor."""
        from papermill_chain.report import render

        names = [stage.name for stage in self.run.stages]
        at = names.index(told.name)
        with self.rendering:
            render(
                self.run.folder / f"{told.name}.ipynb",
                self.run.folder / f"{told.name}.html",
                title_of_run=self.run.title,
                run_id=self.run.id,
                previous=names[at - 1] if at else None,
                next=names[at + 1] if at + 1 < len(names) else None,
                changed=self._changed(told),
                error=told.error and asdict(told.error),
            )

    def _rendered(self, told: StageRun, result: BaseException | None) -> None:
        if result is None:
            told.report = f"{told.name}.html"
        else:
            why = _failure(result, self.run.folder / f"{told.name}.html")
            self.run.troubles.append(f"no report of {told.name}: {why}")
        self.run.save()
        with suppress(Exception):  # who waits can begin to read; at the end it is written anyway
            self._write_index()

    def _write_index(self) -> None:
        from papermill_chain.report import write_index

        write_index(self.plan.experiments, self.plan.title)

    def _followed(self, result: BaseException | Failure | None) -> None:
        if isinstance(result, BaseException):
            result = _failure(result)
        if result:
            self.run.after, self.run.status = str(result), "failed"

    def _call(self, function: Callable, argument: Any) -> Failure | None:
        """In a thread: call a function where its imports are done, else here; what it has raised."""
        if not (self.warm and (name := named(function))):
            return function(argument)
        with tempfile.TemporaryFile() as told:
            if self.warm.call(name, argument, told).wait() == 0:
                return None
            told.seek(0)
            *_, last = told.read().decode().splitlines() or [""]
            return Failure(*json.loads(last)) if last else Failure("Killed", "it was stopped")

    def _in_background(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do some work in a thread; what it returns or raises is then given to the main thread."""

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # whatever it is, the run must hear of it
                result = error
            self.events.put(partial(self._finish, then, result))

        self.busy += 1
        threading.Thread(target=job, daemon=True).start()

    def _finish(self, then: Callable[[Any], None], result: Any) -> None:
        self.busy -= 1
        then(result)

    def _stop(self, signal_name: str) -> None:
        """Kill the kernels, and give their threads the time to tell how far they have come."""
        self.stopped_by = signal_name
        for session in self.sessions.values():
            session.kill()
        self._kill_all(patience=SECONDS_TO_CLOSE)
        deadline = time.monotonic() + SECONDS_TO_STOP
        while self.busy and time.monotonic() < deadline:
            with suppress(Empty, Interrupted):
                self.events.get(timeout=0.1)()

    def _kill_all(self, patience: float) -> None:
        """End the warm process and all that belongs to the run, after a last service of it."""
        if self.tidy is not None:
            return
        cut = {stage.name for stage in self.run.stages if stage.status in CUT}
        left_open = [s.elsewhere.close for s in self.plan.stages if s.name in cut and s.elsewhere.close]
        self.tidy = all(self._closed(close, patience) for close in left_open)
        if self.warm:
            self.warm.close()
        else:
            kill_family({MARK_OF_RUN: str(self.run.folder)})

    def _closed(self, close: Callable, patience: float) -> bool:
        """Whether what stages have left open elsewhere is ended; else the next run will do it."""
        if not (self.warm and (name := named(close))):
            return False
        with tempfile.TemporaryFile() as told, suppress(NoFork):
            return self.warm.call(name, [self.run.id], told, patience).wait(patience) == 0
        return False

    def _end(self, seconds: float) -> None:
        """Leave nothing running, and a record that says how it ended."""
        self._kill_all(patience=10)
        for stage in self.run.stages:
            if stage.status == "running":
                stage.status, stage.seconds = "interrupted", self._seconds_since(stage.name)
        self.run.status = "failed" if self.run.status == "running" else self.run.status
        self.run.finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.run.seconds = seconds
        self.run.save()
        if self.tidy:  # as long as the folder is there, the next run has something to repair
            rmtree(self.run.staged, ignore_errors=True)

    def _staged(self, stage: Stage) -> dict[str, Path]:
        """Where a stage writes to until all it writes is there."""
        folder = self.run.staged / stage.name
        return {name: folder / path for name, path in stage.writes.items()}

    def _changed(self, told: StageRun) -> dict[str, Any]:
        """The parameters of a stage that are not as its notebook has them."""
        parameters = self.plan.notebooks[told.name].parameters
        return {k: v for k, v in told.parameters.items() if v != parameters[k].default}

    def _told(self, name: str) -> StageRun:
        return next(stage for stage in self.run.stages if stage.name == name)

    def _seconds_since(self, stage: str) -> float:
        return round(time.monotonic() - self.began[stage], 1)

    def _environment(self, stage: Stage | None = None) -> dict[str, str]:
        """What a kernel finds in its environment: this checkout's packages first, and the run.

        Secrets are for the stage that lists them, and for no other.
        """
        secret = {name for other in self.plan.stages for name in other.secrets.values()}
        secret -= set(stage.secrets.values()) if stage else set()
        path = os.pathsep.join(filter(None, [str(self.plan.root), os.environ.get("PYTHONPATH")]))
        return {name: value for name, value in os.environ.items() if name not in secret} | {
            "PYTHONPATH": path,
            "CHAIN_RUN_ID": self.run.id,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else a kernel may warn of frozen modules
            MARK_OF_RUN: str(self.run.folder),
            **({MARK_OF_STAGE: stage.name} if stage else {}),
        }


def _failure(error: BaseException, file: Path | None = None) -> Failure:
    said = saying(error, file) if isinstance(error, OSError) else str(error)
    return Failure(type(error).__name__, said)


def _is_empty(file: Path) -> bool:
    return file.stat().st_size == 0
