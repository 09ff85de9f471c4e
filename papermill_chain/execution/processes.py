"""The processes of a run: their environment, the server they are forked from, and their end."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage, upstream
from papermill_chain.execution.kernels.fork_process import RUN_VARIABLE, STAGE_VARIABLE, kill_family
from papermill_chain.execution.kernels.fork_server import (
    HAS_FORK,
    SECONDS_TO_CALL,
    ForkServer,
    NoFork,
    importable_name,
)
from papermill_chain.execution.kernels.session import Session
from papermill_chain.runs.manifest import Failure, Run

LOST = (
    "the process that forks kernels {}: notebooks, and what follows the last one, start"
    " without it from here on, which takes a few seconds longer each"
)


@dataclass
class Processes:
    """The processes of a run."""

    plan: Plan
    run: Run
    noted: Callable[[str], object] = lambda note: None  # called with what a reader is to know
    fork_server: ForkServer | None = None  # None where there is no fork
    all_released: bool | None = None  # once closed: nothing is left for the next run to release

    def open(self) -> None:
        """Start the server, which begins with its imports."""
        with suppress(OSError):  # then each kernel does its own imports
            if HAS_FORK:
                folder = self.plan.root / "notebooks"
                self.fork_server = ForkServer(folder, self.environment(), self._note_lost)

    def _note_lost(self, given_up: bool) -> None:
        why = "is given up, as it does not answer" if given_up else "has ended"
        self.noted(LOST.format(why))

    def prepare(self, to_run: Iterable[str]) -> None:
        """Have the imports done for some stages, and for those after them: they may have to run."""
        if not self.fork_server:
            return
        expected = set(to_run)
        for stage in self.plan.stages:
            if upstream(stage, self.plan.stages) & expected:
                expected.add(stage.name)
        self.fork_server.prepare(
            [
                (
                    stage.name,
                    [*self.plan.notebooks[stage.name].imports, *stage.imports],
                    importable_name(stage.external.prepare),
                )
                for stage in self.plan.stages
                if stage.name in expected
            ]
        )

    def environment(self, stage: Stage | None = None) -> dict[str, str]:
        """The environment of a process: this checkout's packages first, and which run it is of.

        Secrets are for the stage that lists them, and for no other.
        """
        secret = {name for other in self.plan.stages for name in other.secrets.values()}
        secret -= set(stage.secrets.values()) if stage else set()
        path = os.pathsep.join(filter(None, [str(self.plan.root), os.environ.get("PYTHONPATH")]))
        return {name: value for name, value in os.environ.items() if name not in secret} | {
            "PYTHONPATH": path,
            "CHAIN_RUN_ID": self.run.id,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else a kernel may warn of frozen modules
            RUN_VARIABLE: str(self.run.folder),
            **({STAGE_VARIABLE: stage.name} if stage else {}),
        }

    def session(self, stage: Stage, at_cell: Callable[[int, int, str | None], None]) -> Session:
        """A session for the notebook of a stage, which calls `at_cell` as it goes on."""
        return Session(
            stage.name,
            folder=self.plan.root / "notebooks",
            environment=self.environment(stage),
            at_cell=at_cell,
            secrets=stage.secrets,
            timeout=self.plan.cell_timeout,
            limits=self.plan.limits,
            fork_server=self.fork_server,
        )

    def call(self, function: Callable[[Any], object], argument: Any) -> Failure | None:
        """Call a function, in a fork if another process can import it and there is a server.

        Returns
        -------
        Failure, optional
            What it has raised in the fork. Called in this process, it raises.
        """
        name = importable_name(function)
        if self.fork_server and name:
            with tempfile.TemporaryFile() as output, suppress(NoFork):
                fork = self.fork_server.call(name, argument, output)
                if fork.wait() is None:
                    fork.kill()
                    return Failure("Timeout", f"it took longer than {SECONDS_TO_CALL:.0f} s")
                return _failure_of_call(output)
        function(argument)
        return None

    def close(self, stages_cut: Iterable[str], patience: float) -> None:
        """End all processes of the run, once what stages have left open outside is released.

        Parameters
        ----------
        stages_cut : the names of the stages that were cut short.
        patience : seconds to wait for each release.
        """
        if self.all_released is not None:
            return
        cut = [stage for stage in self.plan.stages if stage.name in stages_cut]
        releases = [stage.external.release for stage in cut if stage.external.release]
        self.all_released = all(self._released(release, patience) for release in releases)
        if self.fork_server:
            self.fork_server.close()
        else:
            kill_family({RUN_VARIABLE: str(self.run.folder)})

    def _released(self, release: Callable[[list[str]], object], patience: float) -> bool:
        """Whether a release has come to its end; else the next run will call it."""
        name = importable_name(release)
        if not self.fork_server or not name:
            return False
        with tempfile.TemporaryFile() as output, suppress(NoFork):
            fork = self.fork_server.call(name, [self.run.id], output, patience)
            return fork.wait(patience) == 0
        return False


def _failure_of_call(output: IO[bytes]) -> Failure | None:
    """What a function in a fork has raised, which it has printed last."""
    output.seek(0)
    *_, last = output.read().decode(errors="replace").splitlines() or [""]
    try:
        raised = json.loads(last)
    except ValueError:  # a line of its own, or none
        return Failure("Killed", "it was stopped")
    return Failure(*raised) if raised else None
