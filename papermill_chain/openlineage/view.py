"""A view that also sends what it is shown as OpenLineage events."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from papermill_chain.chain.plan import Plan
from papermill_chain.openlineage.delivery import Delivery
from papermill_chain.openlineage.events import JobRun, datasets, inputs_of, outputs_of
from papermill_chain.openlineage.target import Target
from papermill_chain.reports.views import View
from papermill_chain.runs.manifest import Run, StageRun

#: What a run or a stage has come to, in the words of the standard.
ENDS = {"succeeded": "COMPLETE", "failed": "FAIL", "interrupted": "ABORT"}


@contextmanager
def sending_events(view: View, plan: Plan, target: Target) -> Iterator[View]:
    """A view that also sends events to a target."""
    sending = EventView(view, plan, target.namespace, Delivery(target))
    try:
        yield sending
    finally:
        sending.end()


class EventView:
    """Shows everything in another view; stages and run are sent as they start and end.

    What is up to date does not run, so that nothing is sent of it.
    """

    def __init__(self, view: View, plan: Plan, namespace: str, delivery: Delivery) -> None:
        self.view, self.plan = view, plan
        self.namespace, self.delivery = namespace, delivery
        self.chain: JobRun | None = None  # while it runs
        self.stages: dict[str, JobRun] = {}  # those that run
        self.has_said_why = False

    def opened(self, run: Run) -> None:
        self.view.opened(run)
        self.chain = JobRun(run.title, self.namespace, run.title, "CHAIN", run.id)
        self.delivery.put(self.chain.event("START"))

    def started(self, stage: StageRun, expected: float | None) -> None:
        self.view.started(stage, expected)
        if self.chain:
            name, run = f"{self.chain.name}.{stage.name}", self.chain.chain_run
            job = JobRun(name, self.namespace, stage.title, "NOTEBOOK", run, self.chain)
            self.stages[stage.name] = job
            root = self.plan.root
            read, written = datasets(stage.inputs, root), datasets(stage.outputs, root)
            self.delivery.put(job.event("START", read, written))

    def at_cell(
        self, stage: str, number: int, total: int, heading: str | None, began: float
    ) -> None:
        self.view.at_cell(stage, number, total, heading, began)

    def ended(self, stage: StageRun) -> None:
        self.view.ended(stage)
        if job := self.stages.pop(stage.name, None):
            language = self.plan.notebooks[stage.name].language
            root, error = self.plan.root, str(stage.error) if stage.error else ""
            read = inputs_of(stage.reads, root) or datasets(stage.inputs, root)
            written = outputs_of(stage.writes, stage.sizes, root)
            state = ENDS.get(stage.status, "ABORT")
            self.delivery.put(job.event(state, read, written, error, language))

    def noted(self, note: str) -> None:
        self.view.noted(note)

    def tick(self) -> None:
        self._say_why()
        self.view.tick()

    def closed(self, run: Run, next_steps: Iterable[str]) -> None:
        troubles = [str(stage.error) for stage in run.stages if stage.error and stage.run == run.id]
        self.end(ENDS.get(run.status, "ABORT"), (run.after or next(iter(troubles), "")))
        self.view.closed(run, next_steps)

    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None:
        self.view.nothing_to_do(stages, experiments)

    def end(self, state: str = "ABORT", error: str = "") -> None:
        """Send how it ended, unless that has been, and what was cut off; say if that failed."""
        if self.chain:
            for job in self.stages.values():
                self.delivery.put(job.event("ABORT"))
            self.delivery.put(self.chain.event(state, error=error))
            self.stages, self.chain = {}, None
            self.delivery.close()
            self._say_why()

    def _say_why(self) -> None:
        """Say once why events are not delivered."""
        if self.delivery.failed and not self.has_said_why:
            self.has_said_why = True
            target, why = self.delivery.target.shown, self.delivery.failed
            self.view.noted(f"No OpenLineage events reach {target} from here on: {why}.")
