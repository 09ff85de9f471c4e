"""One run at a time in a checkout."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another run is going on in the same checkout."""


@contextmanager
def only_run(experiments: Path, what: str = "a run that is starting") -> Iterator[None]:
    """Hold a folder for one run or grid; the text of Busy is who holds it already."""
    try:
        import fcntl
    except ImportError:  # Windows: nothing keeps two runs apart there
        yield
        return
    experiments.mkdir(parents=True, exist_ok=True)
    with open(experiments / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it with the process
        except BlockingIOError:
            raise Busy(_holder(experiments)) from None
        note_holder(experiments, what)
        try:
            yield
        finally:
            lock.truncate(0)


def _holder(experiments: Path) -> str:
    """Who holds the checkout; whoever has just taken it needs a moment to write it down."""
    for _ in range(20):
        if holder := (experiments / ".lock").read_text(encoding="utf-8").strip():
            return holder
        time.sleep(0.02)
    return "another run"


def note_holder(experiments: Path, what: str) -> None:
    """Let others who find the checkout busy know with what."""
    (experiments / ".lock").write_text(f"{what}, process {os.getpid()}", encoding="utf-8")
