"""The chain that the page runs, and the run that was started last."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.files import os_error_text
from papermill_chain.runs.lookup import read_runs
from papermill_chain.ui.child import Child
from papermill_chain.ui.form import Filled
from papermill_chain.ui.progress import Progress, StageProgress, progress_of


@dataclass(frozen=True)
class Chain:
    """The chain that the page runs."""

    title: str
    stages: Sequence[Stage]
    root: Path
    experiments: Path
    notebooks: Callable[[], dict[str, Notebook]]  # as they are now
    plan: Callable[[Sequence[str]], Plan]  # what these arguments of the command line ask for


class Desk:
    """The chain, and the run that was started last."""

    def __init__(self, chain: Chain, command: Sequence[str]) -> None:
        self.chain = chain
        self.command = command  # what runs the chain, and takes further arguments
        self.child: Child | None = None
        self.filled = Filled()  # the form as it was when the last run was started
        self._lock = threading.Lock()

    def start(self, arguments: list[str], form: Filled) -> None:
        """Start a run; ChainError if one that was started here is going on, or nothing fits."""
        with self._lock:
            if self.child and self.child.is_running:
                raise ChainError("a run that was started here is going on; wait for it or stop it")
            plan = self.chain.plan(arguments)
            stages = {
                stage.name: StageProgress(stage.name, plan.notebooks[stage.name].title)
                for stage in plan.stages
            }
            try:
                self.child = Child([*self.command, *arguments], Progress(stages))
            except OSError as error:  # such as values that are too long for a command
                raise ChainError(f"the run cannot be started: {os_error_text(error)}") from None
            self.filled = form

    @property
    def is_running(self) -> bool:
        """Whether a run that was started here is going on."""
        return self.child is not None and self.child.is_running

    @property
    def progress(self) -> Progress | None:
        """How far the run has come that was started here last, or else the last on record."""
        if self.child:
            return self.child.progress
        runs = read_runs(self.chain.experiments)
        return progress_of(runs[0]) if runs else None
