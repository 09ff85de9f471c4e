"""A Dask cluster of real processes on this machine, to be killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from conftest import ROOT
from toy import wait_for

from work_units.dask_client import connected
from work_units.units import ADDRESS


def fatal(folder: Path, number: int, victim: int | None) -> int:
    """The square of a number; 4, once two are kept, first kills the victim or who works at it."""
    with (folder / f"{number}").open("a") as calls:
        calls.write("x")
    if number == 4 and not (folder / "killed").exists():
        (folder / "killed").touch()
        wait_for(lambda: len(list(folder.glob("kept/*.unit"))) >= 2)
        os.kill(victim or os.getpid(), signal.SIGKILL)
    return number**2


class Cluster:
    """A scheduler and some workers of one thread each, on loopback; all are ended with it."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "scheduler.json"
        self.scheduler, self.workers, self.address = None, [], ""

    def ready(self, workers: int = 2, **environment: str) -> str:
        """Have a scheduler and so many workers; the address."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self.close()
            self.file.unlink(missing_ok=True)
            self.scheduler = self._start(
                "scheduler",
                "--port",
                "0",
                "--dashboard-address",
                "127.0.0.1:0",
                "--scheduler-file",
                str(self.file),
                **environment,
            )
            wait_for(lambda: self.file.exists() and self.file.read_text().endswith("}"))
            self.address = json.loads(self.file.read_text())["address"]
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < workers:
            self.workers.append(
                self._start(
                    "worker",
                    self.address,
                    "--nthreads",
                    "1",
                    "--no-nanny",
                    "--no-dashboard",
                    "--local-directory",
                    str(self.folder),
                    **environment,
                )
            )
        if workers:
            with connected(self.address) as client:
                client.wait_for_workers(workers, timeout=60)
        return self.address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        for process in [*self.workers, *filter(None, [self.scheduler])]:
            process.kill()
            process.wait()

    def _start(self, kind: str, *options: str, **environment: str) -> subprocess.Popen:
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    f"distributed.cli.dask_{kind}",
                    "--host",
                    "127.0.0.1",
                    *options,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={k: v for k, v in os.environ.items() if k != ADDRESS} | environment,
            )
