"""Programs forked from a process that has everything imported, as quick as many need to be.

    python benchmarks/attack/forked_runs.py

takes requests from its standard input, one in a line, and answers each with a line once it ended.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from attack.small_chain import SECONDS_FOR_STACKS, Ended, request, run
from attack.steps import Stroke

#: What a run imports only once it knows that it has something to do.
LATE = [
    "papermill_chain.actions.run",
    "papermill_chain.cache.sharing",
    "papermill_chain.execution.kernels.execute",
    "papermill_chain.execution.runner",
    "papermill_chain.reports.index",
    "papermill_chain.reports.notebook_report",
    *("nbconvert", "bs4", "nh3", "jinja2"),
    "creditrisk.cli",
    "creditrisk.records.outcomes",
    "creditrisk.records.overrides",
    "creditrisk.serving.client",
]


@dataclass
class Program:
    """What is run: a chain in a folder, by its name, or a command of creditrisk."""

    folder: str
    arguments: list[str]
    chain: str = ""
    stroke: Stroke | None = None


class ForkedRuns:
    """A process that has everything imported, and runs programs in forks of its own."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, __file__], start_new_session=True, **pipes)

    def run(self, root: Path, seed: int, patience: float, chain: str = "whole") -> Ended:
        """Run a chain in a fork; what became of it."""
        _, *arguments = request(seed, chain)
        return self.ended(Program(str(root), arguments, chain), patience)

    def ended(self, program: Program, patience: float) -> Ended:
        """Run a program in a fork; what became of it."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("out", "errors")]
            asked = {"files": list(map(str, files)), "patience": patience, **asdict(program)}
            began = time.monotonic()
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
            code = json.loads(self.process.stdout.readline())
            texts = [file.read_text(errors="replace") for file in files]
        return Ended(code, *texts, time.monotonic() - began)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    """Fork a program for each request; one that does not end shows its stacks, and is killed."""
    for module in LATE:
        import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        if not (child := os.fork()):
            _become(asked)
        end = time.monotonic() + asked["patience"]
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended and time.monotonic() < end:
            time.sleep(0.005)
            ended, status = os.waitpid(child, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if ended else None
        if not ended:
            os.kill(child, signal.SIGUSR1)
            time.sleep(SECONDS_FOR_STACKS)
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        print(json.dumps(code), flush=True)


def _become(asked: dict) -> None:
    """In a fork: run a program, and go."""
    os.setsid()
    for number, file in enumerate(asked["files"], start=1):
        os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    stroke = Stroke(**asked["stroke"]) if asked["stroke"] else None
    code = 1
    try:
        if stroke:
            stroke.lie_in_wait()
        code = _run(asked)
        for thread in threading.enumerate():  # as Python does at its end
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
    except SystemExit as refused:
        code = refused.code if isinstance(refused.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001  as Python does at its end
        traceback.print_exc()
    if stroke:
        stroke.over()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(asked: dict) -> int:
    if asked["chain"]:
        return run(Path(asked["folder"]), asked["chain"], asked["arguments"])
    from creditrisk import cli

    os.chdir(asked["folder"])
    return cli.main(asked["arguments"])


if __name__ == "__main__":
    serve()
