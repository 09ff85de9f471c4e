"""A Dask cluster of real processes on this machine, to be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


@dataclass
class Cluster:
    """A scheduler and its workers."""

    folder: Path
    scheduler: subprocess.Popen
    address: str
    stack: ExitStack
    count: int = 0

    def start(self, workers: int) -> list[subprocess.Popen]:
        """Workers of one thread, side by side; they are there when this returns."""
        begin = "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny"
        logs = [self.folder / f"worker{self.count + number}.log" for number in range(workers)]
        self.count += workers
        found = [self.stack.enter_context(process(log, *begin, "--no-dashboard")) for log in logs]
        for worker, log in zip(found, logs):
            wait_for("Registered to", log, worker)
        return found


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A scheduler; all is ended with it."""
    begin = "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
    log = folder / "scheduler.log"
    with ExitStack() as stack:
        scheduler = stack.enter_context(process(log, *begin))
        address = wait_for("Scheduler at:", log, scheduler).split()[0]
        yield Cluster(folder, scheduler, address, stack)


@contextmanager
def process(log: Path, *command: str) -> Iterator[subprocess.Popen]:
    """A Python module run as a process, and killed in the end."""
    with log.open("wb") as file:
        begun = subprocess.Popen([sys.executable, "-m", *command], stdout=file, stderr=file,
                                 cwd=ROOT, env=ENVIRONMENT)  # fmt: skip
    try:
        yield begun
    finally:
        begun.kill()
        begun.wait()


def wait_for(words: str, log: Path, begun: subprocess.Popen) -> str:
    """What a log says after some words, once it says them."""
    deadline = time.monotonic() + 60
    while not (said := log.read_text().partition(words)[2]):
        assert begun.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return said
