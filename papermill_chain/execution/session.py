"""A notebook being executed, and what can be told of it from outside while it is."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from papermill_chain.execution.fork_server import (
    LAST,
    MARK_OF_RUN,
    MARK_OF_STAGE,
    ForkServer,
    kill_family,
    step_back,
)
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
    figures: dict[str, Figure] = field(default_factory=dict)
    picture: Picture | None = None
    cells: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Session:
    """A notebook being executed: where, with what, and how far it is."""

    stage: str
    folder: Path
    environment: dict[str, str]
    follow: Callable[[int, int, str | None], None]  # told the code cell, how many, the heading
    secrets: Mapping[str, str] = field(default_factory=dict)  # parameter: environment variable
    timeout: int | None = None  # seconds for one cell
    warm: ForkServer | None = None  # where kernels are forked
    log: IO[bytes] = field(default_factory=tempfile.TemporaryFile)  # what the kernel itself prints
    turn: threading.Event = field(default_factory=threading.Event)  # it can begin with the cells
    yields: bool = False  # the processor, to others of the run
    kernel: Any = None  # its process, once there is one
    began: float = 0.0  # when the cell that is running began
    done: dict[int, dict[str, float | None]] = field(default_factory=dict)  # time, memory of a cell
    stopped: bool = False

    def begin(self, yields: bool) -> None:
        """Its turn has come."""
        self.yields = yields
        self.step_back()
        self.turn.set()

    def dismiss(self) -> None:
        """Its turn will not come."""
        self.stopped = True
        self.turn.set()

    def step_back(self) -> None:
        """Leave the processor to others, if it is to yield and there is a kernel that can."""
        if self.yields and self.kernel:
            with suppress(OSError, AttributeError):  # Windows has no such call
                os.setpriority(os.PRIO_PROCESS, self.kernel.pid, LAST)
            step_back(self.kernel.pid, LAST)

    def kill(self) -> None:
        """Kill the kernel and all that was started in it, also what has been orphaned since.

        They are known by their environment and their session: a kernel that died leaves no other
        trace of its family.
        """
        self.stopped = True
        marks = {name: self.environment[name] for name in (MARK_OF_RUN, MARK_OF_STAGE)}
        kill_family(marks, self.kernel and self.kernel.pid)

    def cell_begins(self) -> None:
        """A cell is sent to the kernel: count its time and its peak of memory from here."""
        self.began = time.monotonic()
        with suppress(OSError):  # Linux alone can start the count of the peak anew
            Path(f"/proc/{self.kernel.pid}/clear_refs").write_text("5")

    def cell_ends(self, index: int) -> None:
        """The kernel has answered for a cell."""
        seconds = round(time.monotonic() - self.began, 3)
        self.done[index] = {"seconds": seconds, "peak_mb": self._peak()}

    def masked(self, text: str) -> str:
        """A text without the secrets, however they are spelt in it."""
        for name, variable in self.secrets.items():
            for spelling in _spellings(self.environment[variable]):
                text = text.replace(spelling, f"[secret {name}]")
        return text

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
