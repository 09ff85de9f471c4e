"""Run the stages of a chain side by side where they can be, and publish what they write."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage, notebook_path, upstream
from papermill_chain.chain.staleness import basis_of, report_of
from papermill_chain.execution.processes import Workplace
from papermill_chain.execution.session import Outcome, Picture, Session
from papermill_chain.execution.signals import Interrupted, quiet_libraries, signals_put_into
from papermill_chain.reports.views import View
from papermill_chain.runs.files import browser_pages, link, os_error_text, publish, relative, sha256
from papermill_chain.runs.manifest import CUT, GOOD, Failure, Run, StageRun
from papermill_chain.runs.records import remember, sources
from papermill_chain.runs.start import new_run

SECONDS_TO_STOP = 3.5  # for threads to tell what became of their notebooks, and for their reports
SECONDS_TO_CLOSE = 1.0  # for what killed stages have left open elsewhere; else the next run does it


def run_chain(
    plan: Plan, last: dict[str, StageRun], to_run: list[str], view: View
) -> tuple[Run, int]:
    """Run the stages of a plan; the run as recorded, and the exit code.

    Parameters
    ----------
    last : the record of each stage's last success.
    to_run : the stages that have a reason to run as things are now.
    """
    events: SimpleQueue[Callable[[], None]] = SimpleQueue()
    with signals_put_into(events), quiet_libraries():
        stages = [plan.planned(stage) for stage in plan.stages]
        run = new_run(plan.root, plan.title, plan.given, stages)
        chain_run = ChainRun(plan, run, last, view, events, Workplace(plan, run))
        return run, chain_run.run_all(to_run)


@dataclass
class ChainRun:
    """A run in progress.

    Notebooks, reports and what follows the last stage work in threads of their own, which put what
    is to be done next into `events`. The main thread takes one event after the other; it alone
    changes the record and the files in their places, so a signal never meets a half-made change.
    """

    plan: Plan
    run: Run
    last: dict[str, StageRun]
    view: View
    events: SimpleQueue[Callable[[], None]]
    workplace: Workplace
    sessions: dict[str, Session] = field(default_factory=dict)  # of the stages that are running
    ahead: dict[str, Session] = field(default_factory=dict)  # of those whose turn is yet to come
    began: dict[str, float] = field(default_factory=dict)
    busy: int = 0  # threads that have not reported back
    stopped_by: str = ""  # the name of a signal
    rendering: threading.Lock = field(default_factory=threading.Lock)

    def run_all(self, to_run: list[str]) -> int:
        """Run the chain to its end, good or bad, and leave a true record; the exit code."""
        began, run = time.monotonic(), self.run
        code = 1
        try:
            run.save()
            self.workplace.open()
            for told in run.stages:  # before the code that it tells of is imported
                told.basis = basis_of(self.plan.notebooks[told.name], self.plan.root)
            self.workplace.prepare(to_run)
            threading.Thread(target=_import_what_reports_need, daemon=True).start()
            self._take_events(starting=True)
            if all(stage.status in GOOD for stage in run.stages) and not run.troubles:
                run.status = "succeeded"
                if self.plan.after:
                    after = partial(self.workplace.call, self.plan.after, run)
                    self._in_background(after, self._followed)
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

    def _take_events(self, starting: bool = False) -> None:
        """Take events, and if asked start whatever can start, until nothing goes on any more."""
        while True:
            while starting and (stage := self._ready()):
                self._start_or_skip(stage)
            while starting and (stage := self._next()):
                self._prepare(stage)
            if not self.busy:
                return
            with suppress(Empty):
                self.events.get(timeout=0.5)()
            self.view.tick()

    def _ready(self) -> Stage | None:
        """A stage that can start now; none after a failure."""
        if len(self.sessions) == self.plan.jobs:
            return None
        return next((stage for stage in self._waiting_for(GOOD)), None)

    def _next(self) -> Stage | None:
        """A stage that may start when one that is running has ended, and has no kernel yet."""
        if len(self.ahead) == self.plan.jobs:
            return None
        waiting = self._waiting_for([*GOOD, "running"])
        return next((stage for stage in waiting if stage.name not in self.ahead), None)

    def _waiting_for(self, states: Container[str]) -> list[Stage]:
        """The stages that have not run and come after none but such; none after a failure."""
        status = {stage.name: stage.status for stage in self.run.stages}
        if "failed" in status.values():
            return []
        return [
            stage
            for stage in self.plan.stages
            if status[stage.name] == "not run"
            and all(status[name] in states for name in upstream(stage, self.plan.stages))
        ]

    def _start_or_skip(self, stage: Stage) -> None:
        """Send a notebook off, or take over what it made the last time if that still stands."""
        told, last = self._told(stage.name), self.last.get(stage.name)
        told.why = self.plan.why(stage, last)  # once more: what came before it may have changed all
        if told.why:
            self._start(stage, told)
        else:
            self._take_over(told, last)
            self._dismiss(stage.name)
        self.run.save()

    def _take_over(self, told: StageRun, last: StageRun) -> None:
        """Have the last success of a stage in this run as well, with its report."""
        picture = [last.picture["file"]] if last.picture else []
        for shown in last.notebook, last.report, *picture, *last.kept.values():
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
        if stage.name not in self.ahead:
            self._prepare(stage)
        self.sessions[stage.name] = session = self.ahead.pop(stage.name)
        session.begin(yields=self._can_wait(stage))

    def _prepare(self, stage: Stage) -> None:
        """Have the kernel of a stage started, to wait for its turn."""
        session = self.ahead[stage.name] = Session(
            stage.name,
            folder=self.plan.root / "notebooks",
            environment=self.workplace.environment(stage),
            follow=lambda *cell: self.events.put(partial(self.view.at_cell, stage.name, *cell)),
            secrets=stage.secrets,
            timeout=self.plan.cell_timeout,
            warm=self.workplace.warm,
        )
        told = self._told(stage.name)
        work = partial(self._execute, stage, told, session)
        self._in_background(work, partial(self._executed, stage, told))

    def _dismiss(self, *stages: str) -> None:
        """Let the kernels of stages go whose turn will not come."""
        for name in stages:
            if session := self.ahead.pop(name, None):
                session.dismiss()

    def _can_wait(self, stage: Stage) -> bool:
        """Whether nobody waits for a stage while there are some for whom others do."""
        waited_for = set().union(*(upstream(other, self.plan.stages) for other in self.plan.stages))
        still = [told.name for told in self.run.stages if told.status in ("running", "not run")]
        return stage.name not in waited_for and bool(waited_for & set(still))

    def _execute(
        self, stage: Stage, told: StageRun, session: Session
    ) -> tuple[dict, Outcome] | None:
        """In a thread: run a notebook at its turn, if it comes; what it has read, what came of it."""
        # imports papermill; the main thread is free
        from papermill_chain.execution.kernels import at_its_turn, execute

        kernel = self.plan.notebooks[stage.name].kernel
        with at_its_turn(kernel, session) as ahead:
            if told.status != "running":
                return None
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
                kernel,
                session,
                ahead,
            )
            return reads, outcome

    def _executed(
        self, stage: Stage, told: StageRun, result: tuple[dict, Outcome] | BaseException | None
    ) -> None:
        """Publish what a notebook has written, or record why there is nothing to publish."""
        if told.status != "running":  # its turn has not come
            return
        del self.sessions[stage.name]
        if isinstance(result, BaseException):
            result = {}, Outcome(_failure(result))
        told.reads, outcome = result
        told.headline, told.figures = outcome.headline, outcome.figures
        told.cells = outcome.cells
        told.picture = self._keep(outcome.picture, f"{stage.name}.headline.png")
        told.seconds = self._seconds_since(stage.name)
        if self.stopped_by:
            stopped = {"ename": "Interrupted", "evalue": f"stopped by {self.stopped_by}"}
            told.error = outcome.error and replace(outcome.error, traceback="", **stopped)
            told.status = "interrupted"
        else:
            told.error = outcome.error or self._publish(stage, told)
            told.status = "failed" if told.error else "succeeded"
        if told.status == "failed":  # then nothing more is started
            self._dismiss(*self.ahead)
        if (self.run.folder / f"{stage.name}.ipynb").is_file():
            told.notebook = f"{stage.name}.ipynb"
            self._in_background(partial(self._render, told), partial(self._rendered, told))
        self.view.ended(told)
        self.run.save()

    def _keep(self, picture: Picture | None, file: str) -> dict[str, str] | None:
        """Keep the picture of a headline with the run; a run is none the worse without."""
        if picture:
            with suppress(OSError):
                (self.run.folder / file).write_bytes(picture.png)
                return {"file": file, "alt": picture.alt}
        return None

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
            for name in stage.kept:
                told.kept[name] = (place := self.plan.root / stage.writes[name]).name
                shutil.copy2(place, self.run.folder / place.name)
            # its report is still to come; should that fail, the next run finds none and runs it again
            files = {"notebook": f"{stage.name}.ipynb", "report": f"{stage.name}.html"}
            remember(self.plan.experiments, replace(told, status="succeeded", **files))
        except OSError as error:
            return _failure(error)
        return None

    def _render(self, told: StageRun) -> None:
        """In a thread: make the report of a stage; one at a time, since that is all processor."""
        from papermill_chain.reports.notebook_report import render

        names = [stage.name for stage in self.run.stages]
        at = names.index(told.name)
        records = self.last | {n: r for n, r in self.run.records.items() if r.writes}
        kept = {
            name: Path(stage.writes[name]).name for stage in self.plan.stages for name in stage.kept
        }
        with self.rendering:
            render(
                self.run.folder / f"{told.name}.ipynb",
                self.run.folder / f"{told.name}.html",
                title_of_run=self.run.title,
                run_id=self.run.id,
                previous=names[at - 1] if at else None,
                next=names[at + 1] if at + 1 < len(names) else None,
                changed=self._changed(told),
                data=sources(told, records.values()),
                reads=told.reads,
                pages=browser_pages(kept),
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
        from papermill_chain.reports.index import write_index

        write_index(self.plan.experiments, self.plan.title, self.plan.compare)

    def _followed(self, result: BaseException | Failure | None) -> None:
        if isinstance(result, BaseException):
            result = _failure(result)
        if result:
            self.run.after, self.run.status = str(result), "failed"

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
        self.stopped_by, deadline = signal_name, time.monotonic() + SECONDS_TO_STOP
        self._dismiss(*self.ahead)
        for session in self.sessions.values():
            session.kill()
        self._leave(SECONDS_TO_CLOSE)
        while self.busy and time.monotonic() < deadline:
            with suppress(Empty, Interrupted):
                self.events.get(timeout=0.1)()

    def _leave(self, patience: float) -> None:
        """Leave no process of the run."""
        cut = [stage.name for stage in self.run.stages if stage.status in CUT]
        self.workplace.close(cut, patience)

    def _end(self, seconds: float) -> None:
        """Leave nothing running, and a record that says how it ended."""
        self._leave(patience=10)
        for stage in self.run.stages:
            if stage.status == "running":
                stage.status, stage.seconds = "interrupted", self._seconds_since(stage.name)
        self.run.status = "failed" if self.run.status == "running" else self.run.status
        self.run.finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.run.seconds = seconds
        self.run.save()
        if self.workplace.tidy:  # else the folder stays and tells the next run to repair
            shutil.rmtree(self.run.staged, ignore_errors=True)

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


def _import_what_reports_need() -> None:
    """In a thread, while the warm process is at its imports: else the first report would be late."""
    import papermill_chain.execution.kernels  # noqa: F401  first, for what it keeps from being imported

    with suppress(ImportError):  # the report shall complain
        for module in "nbconvert", "bs4", "nh3", "jinja2":
            import_module(module)


def _failure(error: BaseException, file: Path | None = None) -> Failure:
    said = os_error_text(error, file) if isinstance(error, OSError) else str(error)
    return Failure(type(error).__name__, said)


def _is_empty(file: Path) -> bool:
    return file.stat().st_size == 0
