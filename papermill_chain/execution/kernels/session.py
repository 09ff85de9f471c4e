"""A notebook being executed: its kernel, its progress, its secrets, and its end."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from papermill_chain.chain.output_limits import Limits
from papermill_chain.execution.kernels.fork_process import (
    NICE_LAST,
    NICE_SOON,
    RUN_VARIABLE,
    STAGE_VARIABLE,
    kill_family,
    lower_priority,
)
from papermill_chain.execution.kernels.fork_server import SECONDS_BETWEEN_LOOKS, Fork, ForkServer
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.manifest import Failure


@dataclass(frozen=True)
class Picture:
    """The small picture that goes with a headline, for the index of runs."""

    png: bytes
    alt: str  # what it shows, for those who cannot see it


@dataclass
class Outcome:
    """What an executed notebook leaves behind."""

    error: Failure | None
    headline: str = ""
    verdict: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    picture: Picture | None = None
    cells: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Session:
    """A notebook being executed: where, with what, and how far it is."""

    stage: str
    folder: Path
    environment: dict[str, str]
    at_cell: Callable[[int, int, str | None], None]  # called with number, total and heading
    secrets: Mapping[str, str] = field(default_factory=dict)  # parameter: environment variable
    timeout: int | None = None  # seconds for one cell
    limits: Limits = field(default_factory=Limits)
    fork_server: ForkServer | None = None
    log: IO[bytes] = field(default_factory=tempfile.TemporaryFile)  # what the kernel itself prints
    sockets: Path = Path()  # the folder of those that its kernel listens on
    turn: threading.Event = field(default_factory=threading.Event)  # it can begin with the cells
    yields: bool = False  # it is to leave the processor to others of the run
    yielding: bool = False  # it does
    kernel: Any = None  # its process, a Popen or a Fork, once there is one
    began: float | None = None  # when the cell that is running began
    timed_out: bool = False  # a cell, whose kernel was killed for it
    done: dict[int, dict[str, float | None]] = field(default_factory=dict)  # cell: seconds, memory
    stopped: bool = False
    let_go: Callable[[], object] = lambda: None  # ends the wait for a kernel that is killed

    def begin(self, yields: bool) -> None:
        """Its turn has come."""
        self.yields = yields
        self.share_processor()
        self.turn.set()

    def dismiss(self) -> None:
        """Its turn will not come."""
        self.stopped = True
        self.turn.set()

    def share_processor(self) -> None:
        """Leave the processor to others of the run as long as it is to yield, and no longer.

        A plain kernel, which has yet to do its imports, might not even start on a busy machine.
        """
        if isinstance(self.kernel, Fork) and self.yielding != (yields := self.yields):
            with suppress(OSError, AttributeError):  # not everybody may take it back
                niceness = NICE_SOON if yields else 0
                os.setpriority(os.PRIO_PROCESS, self.kernel.pid, niceness)
            if lower_priority(self.kernel.pid, NICE_LAST if yields else 0):
                self.yielding = yields

    def kill(self) -> None:
        """Kill the kernel and all that was started in it, also what has been orphaned since.

        They are known by their environment and their session: a kernel that died leaves no other
        trace of its family. The kernel goes first: while a thread is busy with what it prints, the
        search for the others takes seconds.
        """
        self.stopped = True
        if self.kernel:
            self.kernel.kill()
        self.let_go()
        variables = {name: self.environment[name] for name in (RUN_VARIABLE, STAGE_VARIABLE)}
        kill_family(variables, self.kernel and self.kernel.pid)

    def cell_begins(self) -> None:
        """A cell is sent to the kernel: count its time and its peak of memory from here."""
        self.began = time.monotonic()
        with suppress(OSError):  # Linux alone can start the count of the peak anew
            Path(f"/proc/{self.kernel.pid}/clear_refs").write_text("5")

    def cell_ends(self, index: int) -> None:
        """The kernel has answered for a cell."""
        seconds = round(time.monotonic() - (self.began or 0.0), 3)
        self.began = None
        self.done[index] = {"seconds": seconds, "peak_mb": self._peak()}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have a thread look, whatever the kernel is at, that it keeps to time and size."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(self._seconds_to_next_look()):
                self._kill_if_late()
                self.share_processor()
                with suppress(OSError):
                    if os.fstat(self.log.fileno()).st_size > self.limits.output:
                        os.lseek(self.log.fileno(), 0, os.SEEK_SET)  # the kernel writes on there
                        os.ftruncate(self.log.fileno(), 0)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _seconds_left(self) -> float | None:
        """What the cell that is running has left of its time, if there is one, and a limit."""
        began = self.began
        return self.timeout - (time.monotonic() - began) if self.timeout and began else None

    def _seconds_to_next_look(self) -> float:
        left = self._seconds_left()
        return SECONDS_BETWEEN_LOOKS if left is None else max(0, min(left, SECONDS_BETWEEN_LOOKS))

    def _kill_if_late(self) -> None:
        """Kill the kernel if a cell has had its time; stopped or swamped, it heeds nothing else."""
        left = self._seconds_left()
        if left is not None and left <= 0:
            self.began, self.timed_out = None, True
            self.kill()

    def masked(self, text: str) -> str:
        """A text without the secrets, however they are spelt in it."""
        for name, variable in self.secrets.items():
            for spelling in _spellings(self.environment[variable]):
                text = text.replace(spelling, f"[secret {name}]")
        return text

    def masked_in(self, value: Any) -> Any:
        """A part of a notebook with the secrets masked in all its texts."""
        match value:
            case str():
                return self.masked(value)
            case list():
                return [self.masked_in(item) for item in value]
            case dict():
                return type(value)({key: self.masked_in(item) for key, item in value.items()})
        return value

    def fetch_secrets_in(self, cells: Sequence[Any]) -> None:
        """Have the notebook itself fetch its secrets, so that their values are in no file."""
        tagged = [c for c in cells if {"parameters", "injected-parameters"} & set(c.metadata.tags)]
        for name, variable in self.secrets.items():
            tagged[-1].source += f'\n{name} = __import__("os").environ["{variable}"]'

    def _peak(self) -> float | None:
        """The most memory that the kernel has had at one time during a cell, in MB."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.kernel.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    return round(int(line.split()[1]) / 1000, 1)
        return None


def _spellings(secret: str) -> list[str]:
    """A secret as it is, and as Python, JSON, HTML and URLs would have it; the longest first."""
    forms = {
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        escape(secret),
        quote(secret, ""),
    }
    return sorted(forms, key=len, reverse=True)
