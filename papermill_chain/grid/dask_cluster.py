"""The chains of a grid, run by the workers of a Dask cluster.

A worker needs the same installation, and the grid's folder under the same path: a
workspace is a folder, wherever the chain in it runs.
"""

import json
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from papermill_chain.chain.parameters import ChainError
from papermill_chain.grid.combinations import Combination, Grid, Result
from papermill_chain.grid.run import SECONDS_TO_STOP, ExecutorLost
from papermill_chain.grid.workspace import Follow, run_one
from papermill_chain.runs.files import write_whole
from work_units.dask_client import cores_of, one_line

ONE_CORE = {"LOKY_MAX_CPU_COUNT": "1"}  # for what a chain does side by side: a thread is a core


@dataclass
class Workers:
    """Runs chains on the workers of a cluster, one chain a thread."""

    client: Any
    grid: Grid
    topic: str = field(default_factory=lambda: f"chain-{secrets.token_hex(8)}")
    futures: dict[int, Any] = field(default_factory=dict)
    followers: dict[int, Follow] = field(default_factory=dict)
    counted: tuple[float, int] = (0.0, 1)  # when the cores were counted, and how many there were

    def __post_init__(self) -> None:
        self._check_workers()
        self.client.subscribe_topic(self.topic, self._follow)

    def jobs(self) -> int:
        """As many chains side by side as there are threads; workers come and go."""
        when, cores = self.counted
        if time.monotonic() - when > 2:
            with suppress(Exception):  # that the scheduler is lost is known from the chains, too
                cores = cores_of(self.client)
            self.counted = time.monotonic(), cores
        return max(1, cores)

    def run(self, one: Combination, follow: Follow) -> Result:
        """Have a worker run a combination; if the worker dies, another one."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError

        grid = self.grid
        self.followers[one.number] = follow
        try:
            future = self.futures[one.number] = self.client.submit(
                run_on_worker,
                grid.folder / one.folder,
                grid.source,
                grid.script,
                one.settings,
                grid.options,
                grid.shared,
                self.topic,
                one.number,
                grid.experiments,
                pure=False,
                priority=-one.number,
            )
            result: Result = future.result()
            return result
        except KilledWorker as error:
            return Result(
                "failed",
                error=f"{error.allowed_failures + 1} workers died while they "
                "ran it, as they do when memory runs out",
            )
        except (FutureCancelledError, CommClosedError):
            raise ExecutorLost(
                "the scheduler was lost; start one, and the same command goes on "
                "where this has stopped"
            ) from None

    def stop(self) -> None:
        """Cancel all chains: a worker whose chain nobody waits for ends it in good order."""
        with suppress(Exception):  # without a scheduler the workers end as well
            self.client.cancel(list(self.futures.values()), force=True)

    def kill(self) -> None:
        """Do nothing: the workers end the chains themselves."""

    def _follow(self, logged: tuple[float, dict[str, Any]]) -> None:
        """Hand an event of a chain to whoever follows its combination."""
        _, entry = logged
        self.followers[entry["number"]](json.loads(entry["event"]))

    def _check_workers(self) -> None:
        """Raise ChainError if a worker does not see the grid's folder, or cannot run a chain."""
        folder, mark = self.grid.folder, secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ".mark", mark)
        try:
            answers = self.client.run(can_read, folder / ".mark", mark, on_error="return")
        finally:
            (folder / ".mark").unlink(missing_ok=True)
        if not answers:
            raise ChainError(
                "the cluster has no worker; nothing was run. Start some with "
                f"`dask worker {self.grid.scheduler}`"
            )
        for worker, answer in answers.items():
            if isinstance(answer, BaseException):
                raise ChainError(
                    f"the worker {worker} cannot run a chain ({one_line(answer)}); "
                    "nothing was run. Install there what is installed here"
                )
            if not answer:
                raise ChainError(
                    f"the worker {worker} does not see {folder}; nothing was run. "
                    "A grid on a cluster needs a disk that all its machines have "
                    "under the same path"
                )


def can_read(file: Path, mark: str) -> bool:
    """On a worker: whether a file can be read and holds a mark."""
    with suppress(OSError):
        return file.read_text(encoding="utf-8") == mark
    return False


def run_on_worker(
    workspace: Path,
    source: Path,
    script: str,
    settings: dict[str, str],
    options: list[str],
    unset: list[str],
    topic: str,
    number: int,
    experiments: str,
) -> Result:
    """On a worker: run a chain, send its events, and end it when nobody waits for it any more.

    The chain does not know of the cluster: it would wait for the very thread that it is run by.
    """
    from distributed import get_worker

    if not source.is_dir():
        return Result("failed", error=f"its worker does not see {source}")
    worker: Any = get_worker()
    ended, chains = threading.Event(), list[Popen[bytes]]()
    key = worker.get_current_task()

    def is_unwanted() -> bool:
        task = worker.state.tasks.get(key)
        is_closing = worker.status.name in ("closing", "closed", "failed")
        return is_closing or task is None or bool(task.state == "cancelled")

    def watch() -> None:
        while not ended.wait(0.3):
            if is_unwanted():
                break
        deadline = time.monotonic() + SECONDS_TO_STOP
        while not ended.wait(0.1):
            for chain in chains:
                if time.monotonic() < deadline:
                    chain.terminate()
                else:
                    chain.kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        return run_one(
            workspace,
            source,
            script,
            settings,
            options,
            unset,
            ONE_CORE,
            follow=lambda event: worker.log_event(
                topic, {"number": number, "event": json.dumps(event)}
            ),
            started=chains.append,
            experiments=experiments,
        )
    finally:
        ended.set()
