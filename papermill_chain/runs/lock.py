"""One run at a time in a checkout."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from work_units.regular_files import Damaged, kind_of, read_record, set_aside

LONGEST_HOLDER = 1_000  # bytes of the words on who holds the lock

_WRITE = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


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
    _clear_place(experiments)
    lock = os.open(experiments / ".lock", _WRITE, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it with the process
        except BlockingIOError:
            raise Busy(_holder(experiments)) from None
        note_holder(experiments, what)
        try:
            yield
        finally:
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _clear_place(experiments: Path) -> None:
    """Set aside what lies in the lock's place and is no file; of several runs, one does."""
    import fcntl

    lock = experiments / ".lock"
    if not kind_of(lock):
        return
    folder = os.open(experiments, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # else the new lock of another run might be moved
        if kind := kind_of(lock):
            set_aside(lock, f"is {kind}, not a file")
    finally:
        os.close(folder)


def _holder(experiments: Path) -> str:
    """Who holds the checkout; whoever has just taken it needs a moment to write it down."""
    for _ in range(20):
        try:
            content = read_record(experiments / ".lock", LONGEST_HOLDER)
        except (Damaged, FileNotFoundError):
            break
        if holder := " ".join(content.decode("utf-8", errors="replace").split()):
            return holder if holder.isprintable() else ascii(holder)[1:-1]
        time.sleep(0.02)
    return "another run"


def note_holder(experiments: Path, what: str) -> None:
    """Let others who find the checkout busy know with what."""
    lock = os.open(experiments / ".lock", _WRITE | os.O_TRUNC, 0o666)
    try:
        os.write(lock, f"{what}, process {os.getpid()}".encode())
    finally:
        os.close(lock)
