"""Run the stages of a chain side by side where they can be, and publish what they write."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from papermill_chain import record, report
from papermill_chain.kernels import (
    Outcome,
    Session,
    dismiss,
    execute,
    own_loop,
    start_ahead,
)  # fmt: skip
from papermill_chain.notebooks import Notebook
from papermill_chain.progress import View
from papermill_chain.record import Failure, Run, StageRun
from papermill_chain.stages import Stage, notebook_path, upstream

SECONDS_TO_STOP = 3.0


class Interrupted(Exception):
    """A signal asks the run to end."""


@dataclass(frozen=True)
class Plan:
    """What to run and how."""

    root: Path
    title: str
    stages: Sequence[Stage]  # in order
    notebooks: dict[str, Notebook]
    settings: dict[str, dict[str, Any]]  # stage: parameter: value, as the user wants it
    given: dict[str, Any]  # the same, whatever the stage
    jobs: int = 2
    cell_timeout: int | None = None
    prepare: Callable[[Run], None] | None = None
    after: Callable[[Run], None] | None = None


def run_chain(plan: Plan, view: View) -> tuple[Run, int]:
    """Run the stages of a plan; the run as recorded, and the exit code."""
    experiments = plan.root / "experiments"
    record.close_abandoned(experiments)
    stages = [_not_yet_run(plan, stage) for stage in plan.stages]
    run = record.new_run(plan.root, plan.title, plan.given, stages)
    record.note_run(run)
    conductor = Conductor(plan, run, view)
    with signals_put_into(conductor.events), view:
        code = conductor.run_all()
    try:
        report.write_index(experiments, plan.title)
    except Exception as error:
        run.troubles.append(f"no index of all runs: {_failure(error)}")
        code = code or 1
    return run, code


@contextmanager
def signals_put_into(events: SimpleQueue) -> Iterator[None]:
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


@dataclass
class Conductor:
    """A run in progress.

    Notebooks, reports and what follows the last stage work in threads of their own, which put what
    is to be done next into `events`. The main thread takes one event after the other; it alone
    changes the record and the files in their places, so a signal never meets a half-made change.
    """

    plan: Plan
    run: Run
    view: View
    events: SimpleQueue[Callable[[], None]] = field(default_factory=SimpleQueue)
    sessions: dict[str, Session] = field(default_factory=dict)  # of the stages that are running
    ahead: dict[str, Session] = field(default_factory=dict)  # of the one that waits for its turn
    began: dict[str, float] = field(default_factory=dict)
    busy: int = 0  # threads that have not reported back
    rendering: threading.Lock = field(default_factory=threading.Lock)

    def run_all(self) -> int:
        """Run the chain to its end, good or bad, and leave a true record; the exit code."""
        began, run = time.monotonic(), self.run
        code = 1
        try:
            run.save()
            self._prepare()
            self._take_events(starting=True)
            if all(stage.status == "succeeded" for stage in run.stages) and not run.troubles:
                run.status = "succeeded"
                if self.plan.after:
                    self._in_background(partial(self.plan.after, run), self._followed)
                    self._take_events()
                code = int(run.status != "succeeded")
        except Interrupted as asked:
            run.status, code = "interrupted", 128 + asked.args[0]
        finally:
            self._stop_kernels()
            for stage in run.stages:
                if stage.status == "running":
                    stage.status, stage.seconds = "interrupted", self._seconds_since(stage.name)
            run.status = "failed" if run.status == "running" else run.status
            run.finished = datetime.now(UTC).isoformat(timespec="seconds")
            run.seconds = round(time.monotonic() - began, 1)
            record.remove_empty_folders(run.folder / "staged")
            run.save()
        return code

    def _prepare(self) -> None:
        """Have the work done that `after` would have to wait for; nobody waits for this thread."""

        def job() -> None:
            with suppress(Exception):  # what is wrong shows when `after` needs it
                self.plan.prepare(self.run)

        if self.plan.prepare:
            threading.Thread(target=job, daemon=True).start()

    def _take_events(self, starting: bool = False) -> None:
        """Take events, and if asked start whatever can start, until nothing goes on any more."""
        while True:
            if starting:
                for stage in self._ready():
                    self._start(stage)
                self._look_ahead()
            if not self.busy:
                return
            with suppress(Empty):
                self.events.get(timeout=1)()
            self.view.tick()

    def _ready(self) -> list[Stage]:
        """The stages that can start now; none after a failure."""
        status = {stage.name: stage.status for stage in self.run.stages}
        if "failed" in status.values():
            return []
        ready = [
            stage
            for stage in self.plan.stages
            if status[stage.name] == "not run"
            and all(status[name] == "succeeded" for name in upstream(stage, self.plan.stages))
        ]
        return ready[: self.plan.jobs - len(self.sessions)]

    def _start(self, stage: Stage) -> None:
        """Send a notebook off."""
        told = self._told(stage.name)
        told.status = "running"
        self.began[stage.name] = time.monotonic()
        self.view.started(stage.name)
        self.run.save()
        session = self.ahead.pop(stage.name, None) or self._session(stage, started_ahead=False)
        self.sessions[stage.name] = session
        session.may_begin.set()

    def _look_ahead(self) -> None:
        """Keep one kernel warm for the stage that comes next; after a failure, none."""
        status = {stage.name: stage.status for stage in self.run.stages}
        if "failed" in status.values():
            for session in self.ahead.values():
                session.kill()
            self.ahead.clear()
        elif not self.ahead:
            waiting = (stage for stage in self.plan.stages if status[stage.name] == "not run")
            if stage := next(waiting, None):
                self.ahead[stage.name] = self._session(stage, started_ahead=True)

    def _session(self, stage: Stage, started_ahead: bool) -> Session:
        """A thread with a kernel that runs a notebook as soon as it may begin."""
        session = Session(
            folder=self.plan.root / "notebooks",
            environment=self._environment(stage),
            follow=lambda *cell: self.events.put(partial(self.view.at_cell, stage.name, *cell)),
            timeout=self.plan.cell_timeout,
        )
        told = self._told(stage.name)

        def work() -> tuple[dict, Outcome] | None:
            with own_loop():
                if started_ahead:
                    notebook = self.plan.notebooks[stage.name]
                    start_ahead(notebook.kernel, notebook.imports, session)
                if session.wait():
                    return self._execute(stage, told, session)
                dismiss(session)

        self._in_background(work, partial(self._executed, stage, told))
        return session

    def _execute(self, stage: Stage, told: StageRun, session: Session) -> tuple[dict, Outcome]:
        """In a thread: run a notebook; the hashes of what it has read, and what came of it."""
        root = self.plan.root
        files = [session.folder / told.parameters[name] for name in stage.reads]
        reads = {_relative(file, root): record.sha256(file) for file in files}
        staged = self._staged(stage)
        for file in staged.values():
            file.parent.mkdir(parents=True, exist_ok=True)
        taken = {*stage.reads, *self.plan.settings[stage.name]}
        outcome = execute(
            notebook_path(root, stage.name),
            self.run.folder / f"{stage.name}.ipynb",
            {name: told.parameters[name] for name in sorted(taken)}
            | {name: _relative(file, session.folder) for name, file in staged.items()},
            self.plan.notebooks[stage.name].kernel,
            session,
        )
        return reads, outcome

    def _executed(
        self, stage: Stage, told: StageRun, result: tuple[dict, Outcome] | BaseException | None
    ) -> None:
        """Publish what a notebook has written, or record why there is nothing to publish."""
        if result is None:  # it never began
            return
        del self.sessions[stage.name]
        if isinstance(result, BaseException):
            result = {}, Outcome(_failure(result))
        told.reads, outcome = result
        told.headline, told.figures = outcome.headline, outcome.figures
        told.error = outcome.error or self._publish(stage, told)
        told.status = "failed" if told.error else "succeeded"
        told.seconds = self._seconds_since(stage.name)
        self.view.ended(stage.name, told.status, told.seconds)
        if (self.run.folder / f"{stage.name}.ipynb").is_file():
            told.notebook = f"{stage.name}.ipynb"
            self._in_background(partial(self._render, told), partial(self._rendered, told))
        self.run.save()

    def _publish(self, stage: Stage, told: StageRun) -> Failure | None:
        """Put the files of a stage in their places, all or none."""
        staged = self._staged(stage)
        absent = [file.name for file in staged.values() if not file.is_file() or _is_empty(file)]
        if absent:
            files = " and ".join(absent)
            return Failure("MissingOutput", f"{stage.name} finished but did not write {files}")
        try:
            hashes = {stage.writes[name]: record.sha256(file) for name, file in staged.items()}
            places = {file: self.plan.root / stage.writes[name] for name, file in staged.items()}
            record.publish(places)
        except OSError as error:
            return _failure(error)
        told.writes = hashes
        return None

    def _render(self, told: StageRun) -> None:
        """In a thread: make the report of a stage; one at a time, since that is all processor."""
        names = [stage.name for stage in self.run.stages]
        at = names.index(told.name)
        with self.rendering:
            report.render(
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
        with suppress(OSError):  # who waits can begin to read; at the end it is written in any case
            report.write_index(self.run.folder.parent.parent, self.plan.title)

    def _followed(self, result: BaseException | None) -> None:
        if result is not None:
            self.run.after, self.run.status = str(_failure(result)), "failed"

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

    def _stop_kernels(self) -> None:
        """Kill the kernels that still run, and those that are just about to."""
        deadline = time.monotonic() + SECONDS_TO_STOP
        while time.monotonic() < deadline:
            sessions = [*self.sessions.values(), *self.ahead.values()]
            alive = [session for session in sessions if not session.ended]
            for session in alive:
                session.kill()
            if not alive:
                return
            time.sleep(0.2)

    def _staged(self, stage: Stage) -> dict[str, Path]:
        """Where a stage writes to until all it writes is there."""
        folder = self.run.folder / "staged" / stage.name
        return {name: folder / path for name, path in stage.writes.items()}

    def _changed(self, told: StageRun) -> dict[str, Any]:
        """The parameters of a stage that are not as its notebook has them."""
        parameters = self.plan.notebooks[told.name].parameters
        return {k: v for k, v in told.parameters.items() if v != parameters[k].default}

    def _told(self, name: str) -> StageRun:
        return next(stage for stage in self.run.stages if stage.name == name)

    def _seconds_since(self, stage: str) -> float:
        return round(time.monotonic() - self.began[stage], 1)

    def _environment(self, stage: Stage) -> dict[str, str]:
        """What a kernel finds in its environment: this checkout's packages first, and the run."""
        path = os.pathsep.join(filter(None, [str(self.plan.root), os.environ.get("PYTHONPATH")]))
        return os.environ | {
            "PYTHONPATH": path,
            "CHAIN_RUN_ID": self.run.id,
            "CHAIN_RUN_FOLDER": str(self.run.folder),
            "CHAIN_STAGE": stage.name,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else a kernel may warn of frozen modules
        }


def _not_yet_run(plan: Plan, stage: Stage) -> StageRun:
    """A stage with the parameters it will have; of what it writes, the places it ends up in."""
    notebook = plan.notebooks[stage.name]
    defaults = {name: parameter.default for name, parameter in notebook.parameters.items()}
    wired = {
        name: _relative(plan.root / path, plan.root / "notebooks")
        for name, path in {**stage.reads, **stage.writes}.items()
    }
    parameters = defaults | wired | plan.settings[stage.name]
    return StageRun(stage.name, notebook.title, parameters)


def _relative(file: Path, folder: Path) -> str:
    """A path as seen from a folder, written the same on all systems."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return file.as_posix()


def _failure(error: BaseException, file: Path | None = None) -> Failure:
    said = record.saying(error, file) if isinstance(error, OSError) else str(error)
    return Failure(type(error).__name__, said)


def _is_empty(file: Path) -> bool:
    return file.stat().st_size == 0
