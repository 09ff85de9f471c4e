"""A chained log opened for writing: entries are on the disk before the writer goes on.

See :mod:`creditrisk.records.chain` for what a log looks like.
"""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from creditrisk.data.contract import Json
from creditrisk.records.chain import (
    Head,
    LogError,
    chained,
    head_line,
    head_or_set_aside,
    head_path,
    sealed,
)
from work_units.regular_files import kind_of, open_regular

_BEGINNING = b'{"number":'


@dataclass
class _Batch:
    entries: list[Json]
    written: bool = False
    error: OSError | None = None


@dataclass
class ChainedLog:
    """A log opened for writing, by this process alone."""

    path: Path
    file: int  # descriptor of the log
    head_file: int
    head: Head
    size: int  # bytes up to the end of the last whole line
    torn: int = 0  # bytes of an unfinished line that were cut off when it was opened
    broken: str | None = None
    _waiting: list[_Batch] = field(default_factory=list)
    _queue: threading.Lock = field(default_factory=threading.Lock)
    _pen: threading.Lock = field(default_factory=threading.Lock)

    def append(self, entries: list[Json]) -> None:
        """Write decisions and return once they are on the disk.

        Raises
        ------
        LogError
            If they could not be written; then none of them is in the log.
        """
        batch = _Batch(entries)
        with self._queue:
            self._waiting.append(batch)
        # Whoever gets the pen writes for all who have come meanwhile: one fsync serves them all.
        with self._pen:
            if not batch.written and batch.error is None:
                with self._queue:
                    group, self._waiting = self._waiting, []
                self._write(group)
        if batch.error is not None:
            raise LogError(f"{self.path}: not written ({batch.error.strerror})") from batch.error

    def close(self) -> None:
        """Give the log up to another process."""
        os.close(self.file)
        os.close(self.head_file)

    def _write(self, group: list[_Batch]) -> None:
        head, lines = self.head, []
        for batch in group:
            for entry in batch.entries:
                line, head = chained(entry, head)
                lines.append(line)
        content = b"".join(lines)
        try:
            if self.broken:
                raise OSError(0, self.broken)
            _write_all(self.file, content)
            os.fsync(self.file)
        except OSError as error:
            self._undo(error)
            for batch in group:
                batch.error = error
            return
        self.head, self.size = head, self.size + len(content)
        with suppress(OSError):  # a note that is behind the log is made anew from it
            os.pwrite(self.head_file, head_line(head), 0)
        for batch in group:
            batch.written = True

    def _undo(self, error: OSError) -> None:
        """Drop what was half written, so that no decision is logged that nobody was given."""
        try:
            os.ftruncate(self.file, self.size)
            os.fsync(self.file)
        except OSError:
            self.broken = f"{error.strerror}; the log could not be restored, restart the server"


def open_log(path: str | Path) -> ChainedLog:
    """Open a log for writing, making it if need be, and cut off a line that was never finished.

    Raises
    ------
    LogError
        If it is no file, another process has it, or its last line is not one of ours.
    """
    path = Path(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    if kind := kind_of(path, links=True):
        raise LogError(f"{path}: is {kind}, not a file; name another for the decision log")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags, 0o600)  # applicant data: for nobody else to read
    except OSError as error:
        raise LogError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        _lock(file, path)
        end, last = _last_line(path)
        torn = os.fstat(file).st_size - end
        if torn:
            _check_torn(os.pread(file, len(_BEGINNING), end), path)
        head = _head_of(last, path) if last else Head()
        noted = head_or_set_aside(path)
        if noted is not None and noted != head and noted.number >= head.number:
            raise LogError(
                f"{path}: does not end where it did when last written; see `verify-log`, keep it "
                "for whoever looks into that, start another"
            )
        if torn:
            os.ftruncate(file, end)
            os.fsync(file)
        head_file = os.open(head_path(path), os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(head_file, head_line(head), 0)
        _sync_folder(path.parent)
    except OSError as error:
        os.close(file)
        raise LogError(f"{path}: cannot be opened ({error})") from error
    except BaseException:
        os.close(file)
        raise
    return ChainedLog(path, file, head_file, head, end, torn)


def _last_line(path: Path) -> tuple[int, bytes]:
    """Where the last finished line ends, and that line."""
    with open_regular(path) as file:
        end = file.seek(0, os.SEEK_END)
        tail, start = b"", end
        # Backwards, block by block: a log may be far larger than memory.
        while start > 0 and tail[: tail.rfind(b"\n") + 1].count(b"\n") < 2:
            step = min(65536, start)
            start = file.seek(start - step)
            tail = file.read(step) + tail
        whole = tail[: tail.rfind(b"\n") + 1]
        return start + len(whole), whole[:-1].rpartition(b"\n")[2] + b"\n" if whole else b""


def _check_torn(begin: bytes, path: Path) -> None:
    """Make sure that what is cut off began as a decision, or is what a power cut left of one."""
    if begin.strip(b"\0") and not _BEGINNING.startswith(begin):
        raise LogError(f"{path}: its last line is no entry; name another for the log")


def _head_of(last: bytes, path: Path) -> Head:
    found = sealed(last)
    if found is None:
        raise LogError(f"{path}: its last line was edited or is no entry; see `verify-log`")
    return found[0]


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _lock(file: int, path: Path) -> None:
    try:
        import fcntl  # not everywhere, and only needed where a log is written
    except ImportError as error:
        raise LogError("a decision log needs a system with file locks (POSIX)") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise LogError(f"{path}: another process is writing it; one server a log") from error


def _sync_folder(folder: Path) -> None:
    """Make a file's name as lasting as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
