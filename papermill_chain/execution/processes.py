"""Where the notebooks of a run are executed: their environment, the warm process, and its end."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage, upstream
from papermill_chain.execution.fork_server import (
    MARK_OF_RUN,
    MARK_OF_STAGE,
    POSSIBLE,
    ForkServer,
    NoFork,
    kill_family,
    named,
)
from papermill_chain.runs.manifest import Failure, Run


@dataclass
class Workplace:
    """The processes of a run."""

    plan: Plan
    run: Run
    warm: ForkServer | None = None
    tidy: bool | None = None  # once it is closed: whether nothing is left for the next run to mend

    def open(self) -> None:
        """Start the process that does the imports, where there can be one."""
        with suppress(OSError):  # then each kernel does its own imports
            if POSSIBLE:
                self.warm = ForkServer(self.plan.root / "notebooks", self.environment())

    def prepare(self, to_run: Iterable[str]) -> None:
        """Have the imports done for some stages, and for those after them: they may have to run."""
        expected = set(to_run)
        for stage in self.plan.stages:
            if upstream(stage, self.plan.stages) & expected:
                expected.add(stage.name)
        groups = [
            (
                stage.name,
                [*self.plan.notebooks[stage.name].imports, *stage.imports],
                named(stage.external.prepare),
            )
            for stage in self.plan.stages
            if stage.name in expected
        ]
        if self.warm:
            self.warm.prepare(groups)

    def environment(self, stage: Stage | None = None) -> dict[str, str]:
        """What a process finds in its environment: this checkout's packages first, and the run.

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

    def call(self, function: Callable, argument: Any) -> Failure | None:
        """Call a function where its imports are done, else here; what went wrong in the process."""
        if not (self.warm and (name := named(function))):
            return function(argument)
        with tempfile.TemporaryFile() as told:
            if self.warm.call(name, argument, told).wait() == 0:
                return None
            told.seek(0)
            *_, last = told.read().decode().splitlines() or [""]
            return Failure(*json.loads(last)) if last else Failure("Killed", "it was stopped")

    def close(self, stages_cut: Iterable[str], patience: float) -> None:
        """Leave no process of the run, after a last service for the stages that were cut short."""
        if self.tidy is None:
            cut = [stage for stage in self.plan.stages if stage.name in stages_cut]
            left_open = [stage.external.release for stage in cut if stage.external.release]
            self.tidy = all(self._ended(close, patience) for close in left_open)
            if self.warm:
                self.warm.close()
            else:
                kill_family({MARK_OF_RUN: str(self.run.folder)})

    def _ended(self, close: Callable, patience: float) -> bool:
        """Whether what stages have left open elsewhere is ended; else the next run will do it."""
        if not (self.warm and (name := named(close))):
            return False
        with tempfile.TemporaryFile() as told, suppress(NoFork):
            return self.warm.call(name, [self.run.id], told, patience).wait(patience) == 0
        return False
