"""The notebooks of a run that have a kernel: those at their turn, and those that wait for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from papermill_chain.chain.notebooks import notebook_path
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.execution.kernels.session import Outcome, Session
from papermill_chain.execution.processes import Processes
from papermill_chain.execution.publication import Read, staged_files
from papermill_chain.runs.files import sha256_and_size
from papermill_chain.runs.manifest import Run, StageRun


@dataclass
class Sessions:
    """The sessions of a run, by the name of their stage; only the main thread changes which."""

    plan: Plan
    run: Run
    processes: Processes
    at_cell: Callable[..., None]  # called with the stage, and number, total and heading of a cell
    running: dict[str, Session] = field(default_factory=dict)
    ahead: dict[str, Session] = field(default_factory=dict)  # of those whose turn is yet to come

    def open(self, stage: Stage) -> Session:
        """A session for a stage, to wait for its turn."""
        at_cell = partial(self.at_cell, stage.name)
        session = self.ahead[stage.name] = self.processes.session(stage, at_cell)
        return session

    def begin(self, stage: str, yields: bool) -> None:
        """The turn of a stage has come."""
        session = self.running[stage] = self.ahead.pop(stage)
        session.begin(yields)

    def dismiss(self, *stages: str) -> None:
        """Let the kernels of stages go whose turn will not come."""
        for name in stages:
            if session := self.ahead.pop(name, None):
                session.dismiss()

    def stop(self) -> None:
        """Kill the kernels that run, and let go those that wait."""
        self.dismiss(*self.ahead)
        for session in self.running.values():
            session.kill()

    def execute(
        self, stage: Stage, stage_run: StageRun, session: Session
    ) -> tuple[Read, Outcome] | None:
        """In a thread: run a notebook at its turn, if it comes; what it has read, its outcome."""
        # imports papermill; the main thread is free
        from papermill_chain.execution.kernels.execute import execute
        from papermill_chain.execution.kernels.start import at_its_turn

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
