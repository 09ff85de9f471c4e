"""Run the stages of a chain side by side where they can be, and leave a true record of the run."""

import shutil
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from papermill_chain.cache.results import Cache
from papermill_chain.cache.sharing import Sharing
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.schedule import can_wait, stopped_stages, waiting_stages
from papermill_chain.chain.stages import Stage
from papermill_chain.chain.staleness import basis_of
from papermill_chain.execution.events import Events, Interrupted, quiet_libraries, signals_put_into
from papermill_chain.execution.kernels.session import Outcome
from papermill_chain.execution.processes import Processes
from papermill_chain.execution.publication import (
    Read,
    as_user_sees,
    failure_from,
    publish_stage,
    record_outcome,
    reuse_last,
    staged_files,
)
from papermill_chain.execution.reporting import (
    Reports,
    import_report_libraries,
    write_last_pages,
)
from papermill_chain.execution.sessions import Sessions
from papermill_chain.reports.links import mend_links
from papermill_chain.reports.views import View
from papermill_chain.runs.manifest import CUT, GOOD, Failure, Run, StageRun
from papermill_chain.runs.start import new_run

SECONDS_TO_STOP = 3.5  # for threads to end, with the outcomes and reports of their notebooks
SECONDS_TO_RELEASE = 1.0  # what stopped stages have left open outside; else the next run does it


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

        def at_cell(stage: str, number: int, total: int, heading: str | None) -> None:
            events.put(partial(view.at_cell, stage, number, total, heading, time.time()))

        processes = Processes(plan, run, noted)
        sharing = Sharing(cache, plan, run, noted) if cache else None
        sessions = Sessions(plan, run, processes, at_cell)
        reports = Reports(plan, run, last, events)
        chain_run = ChainRun(plan, run, last, view, events, processes, sessions, reports, sharing)
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
    sessions: Sessions
    reports: Reports
    sharing: Sharing | None = None  # of results with other runs
    began: dict[str, float] = field(default_factory=dict)
    stopped_by: str = ""  # the name of a signal

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
                mend_links(run)
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
        if not write_last_pages(self.plan, self.run):
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
        if len(self.sessions.running) == self.plan.jobs:
            return None
        return next(iter(waiting_stages(self.plan.stages, self._status, GOOD)), None)

    def _next(self) -> Stage | None:
        """A stage that may start when one that is running has ended, and has no kernel yet."""
        if len(self.sessions.ahead) == self.plan.jobs:
            return None
        waiting = waiting_stages(self.plan.stages, self._status, [*GOOD, "running"])
        free = (stage for stage in waiting if stage.name not in self.sessions.ahead)
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
            self.sessions.dismiss(stage.name)
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
            if stage.name not in self.sessions.ahead:
                self._start_kernel(stage)
            self.sessions.begin(stage.name, yields=self._can_wait(stage))
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
        session = self.sessions.open(stage)
        stage_run = self.run.records[stage.name]
        work = partial(self.sessions.execute, stage, stage_run, session)
        self.events.in_background(work, partial(self._executed, stage, stage_run))

    def _executed(
        self,
        stage: Stage,
        stage_run: StageRun,
        result: tuple[Read, Outcome] | BaseException | None,
    ) -> None:
        """Publish what a notebook has written, or record why there is nothing to publish."""
        if result is None or stage_run.status != "running":  # its turn has not come
            return
        del self.sessions.running[stage.name]
        if isinstance(result, BaseException):
            result = {}, Outcome(failure_from(result))
        read, outcome = result
        record_outcome(self.run, stage_run, read, outcome)
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
        self.sessions.dismiss(*stopped_stages(self.plan.stages, self._status))
        self.reports.write(stage_run)
        self.view.ended(stage_run)
        self.run.save()
        for other in self.plan.stages:
            if other.name in self.sessions.running and not self._can_wait(other):
                self.sessions.running[other.name].yields = False

    def _can_wait(self, stage: Stage) -> bool:
        return can_wait(stage, self.plan.stages, self._status)

    def _followed(self, result: Failure | BaseException | None) -> None:
        if result is not None:
            failure = result if isinstance(result, Failure) else failure_from(result)
            self.run.after, self.run.status = str(failure), "failed"

    def _stop(self, signal_name: str) -> None:
        """Kill the kernels, and give their threads the time to record how far they have come."""
        self.stopped_by, deadline = signal_name, time.monotonic() + SECONDS_TO_STOP
        self.sessions.stop()
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
