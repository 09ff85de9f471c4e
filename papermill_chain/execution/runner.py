"""Run the stages of a chain side by side where they can be, and leave a true record of the run."""

import shutil
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from papermill_chain.cache.results import Cache
from papermill_chain.cache.sharing import Sharing
from papermill_chain.chain.notebooks import notebook_path
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.schedule import can_wait, stopped_stages, waiting_stages
from papermill_chain.chain.stages import Stage
from papermill_chain.chain.staleness import basis_of
from papermill_chain.execution.events import Events, Interrupted, quiet_libraries, signals_put_into
from papermill_chain.execution.processes import Processes
from papermill_chain.execution.publication import (
    as_user_sees,
    failure_from,
    import_report_libraries,
    publish_stage,
    reuse_last,
    save_picture,
    staged_files,
    write_report,
)
from papermill_chain.execution.session import Outcome, Session
from papermill_chain.lineage.record import write_lineage
from papermill_chain.reports.views import View
from papermill_chain.runs.files import sha256_and_size
from papermill_chain.runs.manifest import CUT, GOOD, Failure, Run, StageRun
from papermill_chain.runs.records import last_good
from papermill_chain.runs.start import new_run

SECONDS_TO_STOP = 3.5  # for threads to end, with the outcomes and reports of their notebooks
SECONDS_TO_RELEASE = 1.0  # what stopped stages have left open outside; else the next run does it

Read: TypeAlias = dict[str, tuple[str, int]]  # path: hash and bytes


def run_chain(
    plan: Plan,
    last: dict[str, StageRun],
    to_run: list[str],
    view: View,
    cache: Cache | None = None,
) -> tuple[Run, int]:
    """Run the stages of a plan; the run as recorded, and the exit code.

    Parameters
    ----------
    last : the record of each stage's last success.
    to_run : the stages that have a reason to run as things are now.
    cache : the results that it shares with other runs, if it does.
    """
    events = Events()
    with signals_put_into(events), quiet_libraries():
        stages = [plan.planned(stage) for stage in plan.stages]
        run = new_run(plan.root, plan.experiments, plan.title, plan.given, stages)

        def noted(note: str) -> None:
            events.put(partial(view.noted, note))

        processes = Processes(plan, run, noted)
        sharing = Sharing(cache, plan, run, noted) if cache else None
        chain_run = ChainRun(plan, run, last, view, events, processes, sharing)
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
    events: Events
    processes: Processes
    sharing: Sharing | None = None  # of results with other runs
    sessions: dict[str, Session] = field(default_factory=dict)  # of the stages that are running
    ahead: dict[str, Session] = field(default_factory=dict)  # of those whose turn is yet to come
    began: dict[str, float] = field(default_factory=dict)
    stopped_by: str = ""  # the name of a signal
    rendering: threading.Lock = field(default_factory=threading.Lock)

    def run_all(self, to_run: list[str]) -> int:
        """Run the chain to its end, good or bad, and leave a true record; the exit code."""
        began, run = time.monotonic(), self.run
        code = 1
        try:
            run.save()
            self.view.opened(run)
            self.processes.open()
            for stage_run in run.stages:  # before the code that is recorded is imported
                stage_run.basis = basis_of(self.plan.notebooks[stage_run.name], self.plan.root)
            self.processes.prepare(to_run)
            threading.Thread(target=import_report_libraries, daemon=True).start()
            self._handle_events(starting=True)
            if all(stage.status in GOOD for stage in run.stages) and not run.troubles:
                run.status = "succeeded"
                self._mend_links()
                if self.plan.after:
                    after = partial(self.processes.call, self.plan.after, run)
                    self.events.in_background(after, self._followed)
                    self._handle_events()
                code = int(run.status != "succeeded")
        except Interrupted as interrupted:
            number = interrupted.args[0]
            run.status, code = "interrupted", 128 + number
            self._stop(signal.Signals(number).name)
        finally:
            self._end(round(time.monotonic() - began, 1))
        for what, write in {
            "record of its files": self._write_lineage,
            "index of all runs": self._write_index,
            "links between its pages": self._mend_links,
        }.items():
            try:
                write()
            except Exception as error:  # noqa: BLE001  a page that fails is a trouble, not a crash
                run.troubles.append(f"no {what}: {failure_from(error)}")
                code = code or 1
        return code

    def _handle_events(self, starting: bool = False) -> None:
        """Take events, and if asked start whatever can start, until nothing goes on any more."""
        while True:
            while starting and (stage := self._ready()):
                self._start_or_reuse(stage)
            while starting and (stage := self._next()):
                self._start_kernel(stage)
            if not self.events.busy:
                return
            self.events.handle_next(patience=0.5)
            self.view.tick()

    def _ready(self) -> Stage | None:
        """A stage that can start now."""
        if len(self.sessions) == self.plan.jobs:
            return None
        return next(iter(waiting_stages(self.plan.stages, self._status, GOOD)), None)

    def _next(self) -> Stage | None:
        """A stage that may start when one that is running has ended, and has no kernel yet."""
        if len(self.ahead) == self.plan.jobs:
            return None
        waiting = waiting_stages(self.plan.stages, self._status, [*GOOD, "running"])
        free = (stage for stage in waiting if stage.name not in self.ahead)
        return next((stage for stage in free if not self._may_be_shared(stage)), None)

    def _may_be_shared(self, stage: Stage) -> bool:
        """Whether another run may have shared the result of a stage, which is yet to be seen."""
        return self.sharing is not None and self.sharing.is_to_look_for(stage)

    def _start_or_reuse(self, stage: Stage) -> None:
        """Start a notebook, or reuse what it made the last time if that still stands."""
        stage_run, last = self.run.records[stage.name], self.last.get(stage.name)
        stage_run.why = self.plan.why(stage, last)  # once more: its inputs may be others by now
        if last and not stage_run.why:
            reuse_last(self.plan, self.run, stage_run, last)
            self.view.ended(stage_run)
            self._dismiss(stage.name)
        elif self.sharing and self.sharing.is_to_look_for(stage):
            stage_run.status, stage_run.run = "running", self.run.id
            self.began[stage.name] = time.monotonic()
            take = partial(self.sharing.take, stage, stage_run, staged_files(self.run, stage))
            self.events.in_background(take, partial(self._looked_for, stage, stage_run))
        else:
            if self.sharing and (why := self.sharing.why_not(stage)):
                stage_run.why.append(f"not from the cache: {why}")
            stage_run.status, stage_run.run = "running", self.run.id
            self.began[stage.name] = time.monotonic()
            self.view.started(stage_run, last.seconds if last else None)
            if note := self.plan.note_on_parameters(stage):
                self.view.noted(note)
            if stage.name not in self.ahead:
                self._start_kernel(stage)
            self.sessions[stage.name] = session = self.ahead.pop(stage.name)
            session.begin(yields=self._can_wait(stage))
        self.run.save()

    def _looked_for(
        self, stage: Stage, stage_run: StageRun, found: StageRun | BaseException | None
    ) -> None:
        """Publish a result of another run, if there is one; else the stage has to run itself."""
        stage_run.status = "not run"
        if found is None or self.stopped_by:
            return
        lost: Failure | None = None
        if isinstance(found, BaseException):
            lost = failure_from(found)
        elif not (lost := publish_stage(self.plan, self.run, stage, found)):
            vars(stage_run).update(vars(found))
            self._closed(stage_run)
        if lost:
            self.view.noted(f"{stage.name}: the result in the cache is not used: {lost}")

    def _start_kernel(self, stage: Stage) -> None:
        """Have the kernel of a stage started, to wait for its turn."""
        session = self.ahead[stage.name] = self.processes.session(
            stage, lambda *cell: self.events.put(partial(self.view.at_cell, stage.name, *cell))
        )
        stage_run = self.run.records[stage.name]
        work = partial(self._execute, stage, stage_run, session)
        self.events.in_background(work, partial(self._executed, stage, stage_run))

    def _dismiss(self, *stages: str) -> None:
        """Let the kernels of stages go whose turn will not come."""
        for name in stages:
            if session := self.ahead.pop(name, None):
                session.dismiss()

    def _execute(
        self, stage: Stage, stage_run: StageRun, session: Session
    ) -> tuple[Read, Outcome] | None:
        """In a thread: run a notebook at its turn, if it comes; what it has read, its outcome."""
        # imports papermill; the main thread is free
        from papermill_chain.execution.kernels import at_its_turn, execute

        notebook = self.plan.notebooks[stage.name]
        with at_its_turn(notebook.kernel, session) as ahead:
            if stage_run.status != "running":
                return None
            files = self.plan.files_read(stage)
            reads = {path: sha256_and_size(file) for path, file in files.items()}
            staged = staged_files(self.run, stage)
            for file in staged.values():
                file.parent.mkdir(parents=True, exist_ok=True)
            parameters = self.plan.handed(stage, staged)
            file = notebook_path(self.plan.root, stage.name)
            executed = self.run.folder / f"{stage.name}.ipynb"
            return reads, execute(file, executed, parameters, notebook, session, ahead)

    def _executed(
        self,
        stage: Stage,
        stage_run: StageRun,
        result: tuple[Read, Outcome] | BaseException | None,
    ) -> None:
        """Publish what a notebook has written, or record why there is nothing to publish."""
        if result is None or stage_run.status != "running":  # its turn has not come
            return
        del self.sessions[stage.name]
        if isinstance(result, BaseException):
            result = {}, Outcome(failure_from(result))
        read, outcome = result
        stage_run.reads = {path: hash for path, (hash, _) in read.items()}
        stage_run.sizes = {path: size for path, (_, size) in read.items()}
        stage_run.headline, stage_run.figures = outcome.headline, outcome.figures
        stage_run.verdict, stage_run.cells = outcome.verdict, outcome.cells
        stage_run.picture = save_picture(self.run, stage.name, outcome.picture)
        stage_run.seconds = self._seconds_since_start(stage.name)
        if self.stopped_by:
            stage_run.status = "interrupted"
            stage_run.error = outcome.error and replace(
                outcome.error,
                ename="Interrupted",
                evalue=f"stopped by {self.stopped_by}",
                traceback="",
            )
        else:
            failure = outcome.error or publish_stage(self.plan, self.run, stage, stage_run)
            failure = failure and as_user_sees(self.plan, stage, failure)
            stage_run.error, stage_run.status = failure, "failed" if failure else "succeeded"
        if self.sharing and stage_run.status == "succeeded":
            keep = partial(self.sharing.keep, stage, replace(stage_run))
            self.events.in_background(keep, lambda _: None)
        self._closed(stage_run)

    def _closed(self, stage_run: StageRun) -> None:
        """Have the report of a stage written that is at its end, and say how that was."""
        self._dismiss(*stopped_stages(self.plan.stages, self._status))
        if (self.run.folder / f"{stage_run.name}.ipynb").is_file():
            stage_run.notebook = f"{stage_run.name}.ipynb"
            self.events.in_background(
                partial(self._render, stage_run), partial(self._rendered, stage_run)
            )
        self.view.ended(stage_run)
        self.run.save()
        for other in self.plan.stages:
            if other.name in self.sessions and not self._can_wait(other):
                self.sessions[other.name].yields = False

    def _can_wait(self, stage: Stage) -> bool:
        return can_wait(stage, self.plan.stages, self._status)

    def _render(self, stage_run: StageRun) -> None:
        """In a thread: write the report of a stage; one at a time, since that is all processor."""
        with self.rendering:
            write_report(self.plan, self.run, stage_run, self.last)

    def _rendered(self, stage_run: StageRun, error: BaseException | None) -> None:
        report = f"{stage_run.name}.html"
        if error is None:
            stage_run.report = report
        else:
            why = failure_from(error, self.run.folder / report)
            self.run.troubles.append(f"no report of {stage_run.name}: {why}")
        self.run.save()
        with suppress(Exception):  # readers need not wait for the end, when it is written anyway
            self._write_index()

    def _mend_links(self) -> None:
        from papermill_chain.reports.links import mend_links

        mend_links(self.run)

    def _write_index(self) -> None:
        from papermill_chain.reports.index import write_index_of

        write_index_of(self.plan)

    def _write_lineage(self) -> None:
        if self.run.status == "succeeded":
            write_lineage(self.run, last_good(self.plan.experiments))

    def _followed(self, result: Failure | BaseException | None) -> None:
        if result is not None:
            failure = result if isinstance(result, Failure) else failure_from(result)
            self.run.after, self.run.status = str(failure), "failed"

    def _stop(self, signal_name: str) -> None:
        """Kill the kernels, and give their threads the time to record how far they have come."""
        self.stopped_by, deadline = signal_name, time.monotonic() + SECONDS_TO_STOP
        self._dismiss(*self.ahead)
        for session in self.sessions.values():
            session.kill()
        self._close_processes(SECONDS_TO_RELEASE)
        while self.events.busy and time.monotonic() < deadline:
            with suppress(Interrupted):
                self.events.handle_next(patience=0.1)

    def _close_processes(self, patience: float) -> None:
        cut = [stage.name for stage in self.run.stages if stage.status in CUT]
        self.processes.close(cut, patience)

    def _end(self, seconds: float) -> None:
        """Leave nothing running, and a record of how it ended."""
        self._close_processes(patience=10)
        for stage in self.run.stages:
            if stage.status == "running":
                stage.status, stage.seconds = "interrupted", self._seconds_since_start(stage.name)
            report = f"{stage.name}.html"
            if stage.run == self.run.id and (self.run.folder / report).is_file():
                stage.report = report  # perhaps written so late that nobody has said so
        self.run.status = "failed" if self.run.status == "running" else self.run.status
        self.run.finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.run.seconds = seconds
        self.run.save()
        if self.processes.all_released:  # else the folder stays, and the next run repairs
            shutil.rmtree(self.run.staged, ignore_errors=True)

    @property
    def _status(self) -> dict[str, str]:
        return {stage.name: stage.status for stage in self.run.stages}

    def _seconds_since_start(self, stage: str) -> float:
        return round(time.monotonic() - self.began[stage], 1)
