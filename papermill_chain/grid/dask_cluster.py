"""A Dask cluster: whether one answers, and the chains of a grid run by its workers.

A worker needs what is installed here, and must see the grid's folder under the same path: a
workspace is a folder, wherever the chain in it runs.
"""

import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from papermill_chain.chain.notebooks import ChainError
from papermill_chain.grid.combinations import Combination, Grid, Result
from papermill_chain.grid.run import SECONDS_TO_STOP, ExecutorLost, run_one
from papermill_chain.runs.files import write_whole

PATIENCE = 8  # seconds for a scheduler to answer; it is asked before anything runs
SILENCE = 11  # seconds after which a silent connection is broken, the least that Dask can do with
ONE_CORE = {"LOKY_MAX_CPU_COUNT": "1"}  # for what a chain does side by side: a thread is a core


@contextmanager
def connected(address: str) -> Iterator:
    """A client of the scheduler at an address; ChainError if none answers."""
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise ChainError(
            "a scheduler is named, and Dask is not installed; install the packages "
            "dask and distributed, or run without it"
        ) from None
    timeouts = {"connect": f"{PATIENCE}s", "tcp": f"{SILENCE}s"}
    dask.config.set({f"distributed.comm.timeouts.{name}": time for name, time in timeouts.items()})
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # we have the words
    try:
        _refuse_strangers(address)
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:  # whatever answers there may answer anything
        raise ChainError(
            f"no scheduler answers at {address} ({_words(error)}); nothing was run. "
            "Start one with `dask scheduler`, and some `dask worker ADDRESS`, or run "
            "without it"
        ) from None
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=2)


def cores_of(client) -> int:
    """The threads of all workers that a cluster has now."""
    return sum(client.nthreads().values())


@dataclass
class Workers:
    """The place where chains run: the workers of a cluster, one chain a thread."""

    client: Any
    grid: Grid
    topic: str = field(default_factory=lambda: f"chain-{secrets.token_hex(8)}")
    futures: dict[int, Any] = field(default_factory=dict)
    followers: dict[int, Callable[[dict], None]] = field(default_factory=dict)
    seen: tuple[float, int] = (0.0, 1)  # when the cores were counted, and how many there were

    def __post_init__(self) -> None:
        self._refuse_who_sees_nothing()
        self.client.subscribe_topic(self.topic, self._hear)

    def jobs(self) -> int:
        """As many chains side by side as there are threads; workers come and go."""
        when, cores = self.seen
        if time.monotonic() - when > 2:
            with suppress(Exception):  # that the scheduler is lost, the chains tell
                cores = cores_of(self.client)
            self.seen = time.monotonic(), cores
        return max(1, cores)

    def run(self, one: Combination, follow: Callable[[dict[str, Any]], None]) -> Result:
        """Have a worker run a combination; if the worker dies, another one."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

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
                pure=False,
                priority=-one.number,
            )
            return future.result()
        except KilledWorker as error:
            return Result(
                "failed",
                error=f"{error.allowed_failures + 1} workers died while they "
                "ran it, as they do when memory runs out",
            )
        except FutureCancelledError:
            raise ExecutorLost(
                "the scheduler was lost; start one, and the same command goes on "
                "where this has stopped"
            ) from None

    def stop(self) -> None:
        """Let go of all chains: whoever runs one for nobody ends it in good order."""
        with suppress(Exception):  # without a scheduler the workers end as well
            self.client.cancel(list(self.futures.values()), force=True)

    def kill(self) -> None:
        """Nothing: the workers see to it themselves."""

    def _hear(self, event: tuple[float, dict]) -> None:
        told = event[1]
        self.followers[told["number"]](json.loads(told["event"]))

    def _refuse_who_sees_nothing(self) -> None:
        """Raise ChainError if a worker does not see the grid's folder, or cannot run a chain."""
        folder, mark = self.grid.folder, secrets.token_hex(8)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ".seen", mark)
        try:
            answers = self.client.run(sees, folder / ".seen", mark, on_error="return")
        finally:
            (folder / ".seen").unlink(missing_ok=True)
        if not answers:
            raise ChainError(
                "the cluster has no worker; nothing was run. Start some with "
                f"`dask worker {self.grid.scheduler}`"
            )
        for worker, answer in answers.items():
            if isinstance(answer, BaseException):
                raise ChainError(
                    f"the worker {worker} cannot run a chain ({_words(answer)}); "
                    "nothing was run. Install there what is installed here"
                )
            if not answer:
                raise ChainError(
                    f"the worker {worker} does not see {folder}; nothing was run. "
                    "A grid on a cluster needs a disk that all its machines have "
                    "under the same path"
                )


def sees(file: Path, mark: str) -> bool:
    """Whether a file can be read here and says what it should."""
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
) -> Result:
    """On a worker: run a chain, tell of it, and end it when nobody waits for it any more.

    The chain does not know of the cluster: it would wait for the very thread that it is run by.
    """
    from distributed import get_worker

    if not source.is_dir():
        return Result("failed", error=f"its worker does not see {source}")
    worker, ended, chains = get_worker(), threading.Event(), []
    key = worker.get_current_task()

    def is_unwanted() -> bool:
        task = worker.state.tasks.get(key)
        gone = worker.status.name in ("closing", "closed", "failed")
        return gone or task is None or task.state == "cancelled"

    def watch() -> None:
        while not ended.wait(0.3):
            if is_unwanted():
                break
        deadline = time.monotonic() + SECONDS_TO_STOP
        while not ended.wait(0.1):
            for chain in chains:
                chain.terminate() if time.monotonic() < deadline else chain.kill()

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
        )
    finally:
        ended.set()


def _refuse_strangers(address: str) -> None:
    """Raise an error if nobody is there or somebody else is: Dask would wait for him for ever."""
    from distributed.comm import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme == "tcp":  # in all others the client has the first word
        with socket.create_connection(parse_host_port(place), PATIENCE / 2) as line:
            if not line.recv(1):
                raise ConnectionError("whoever is there hangs up")


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
