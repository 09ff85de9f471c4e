"""The decision log: one line a decision, each carrying the hash of the line before it.

A line is JSON. Its last member, ``sha256``, is the hash of everything before it, ``previous``
included, so that no line can be changed, dropped or moved without breaking the chain. Beside the
log, ``<log>.head`` holds the number and hash of the last line: it shows that lines are missing
at the end, where no later line would show it.

Whoever may write both files can forge both. Keep the head elsewhere (the server reports it under
``/ready``) if that matters.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from creditrisk.data.contract import Json
from work_units.regular_files import Damaged, kind_of, open_regular, read_record, set_aside

#: What the first line follows.
BEGIN = "0" * 64

_SEAL = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_BEGINNING = b'{"number":'
_NOTE = re.compile(rb"([0-9]{20}) ([0-9a-f]{64})\n")
#: Bytes at the end of a line that hold its hash, the line's end among them.
SEAL_LENGTH = len(b',"sha256":""}\n') + 64


class LogError(Exception):
    """The log cannot be opened, read or written; the message says what to do."""


@dataclass(frozen=True)
class Head:
    """The end of a chain: the number of its last line and that line's hash."""

    number: int = 0
    sha256: str = BEGIN


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
                line, head = _line(entry, head)
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
        os.pwrite(self.head_file, _head_line(head), 0)
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
        noted = _head_or_set_aside(path)
        if noted is not None and noted != head and noted.number >= head.number:
            raise LogError(
                f"{path}: does not end where it did when last written; see `verify-log`, keep it "
                "for whoever looks into that, start another"
            )
        if torn:
            os.ftruncate(file, end)
            os.fsync(file)
        head_file = os.open(head_path(path), os.O_RDWR | os.O_CREAT, 0o600)
        os.pwrite(head_file, _head_line(head), 0)
        _sync_folder(path.parent)
    except OSError as error:
        os.close(file)
        raise LogError(f"{path}: cannot be opened ({error})") from error
    except BaseException:
        os.close(file)
        raise
    return ChainedLog(path, file, head_file, head, end, torn)


def read_head(path: str | Path) -> Head | None:
    """The end of the chain as noted beside a log, None if nothing readable is there."""
    try:
        return _noted(Path(path))
    except (OSError, Damaged):
        return None


def _noted(path: Path) -> Head | None:
    """The end of the chain as noted beside a log, None if none was noted yet.

    Raises
    ------
    Damaged
        If what is there is no such note.
    FileNotFoundError
        If there is nothing.
    """
    content = read_record(head_path(path), len(_head_line(Head())))
    if not content:  # the server ended between making the file and writing to it
        return None
    if not (noted := _NOTE.fullmatch(content)):
        raise Damaged("it holds no number and hash of a last line")
    return Head(int(noted[1]), noted[2].decode())


def _head_or_set_aside(path: Path) -> Head | None:
    """The noted end of a log; one that is damaged is set aside, to be made anew from the log."""
    try:
        return _noted(path)
    except FileNotFoundError as absent:
        if kind_of(head_path(path)):  # a link that leads nowhere
            set_aside(head_path(path), absent.strerror)
    except Damaged as damage:
        set_aside(head_path(path), damage)
    return None


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a log, as they stand there.

    Raises
    ------
    LogError
        If it cannot be read.
    """
    try:
        with open_regular(path) as file:
            yield from file
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error


def _line(entry: Json, head: Head) -> tuple[bytes, Head]:
    """The line that continues a chain, and the chain's new end."""
    content = {"number": head.number + 1, "previous": head.sha256, **entry}
    text = json.dumps(content, separators=(",", ":")).encode()[:-1]
    sha256 = hashlib.sha256(text).hexdigest()
    return text + b',"sha256":"' + sha256.encode() + b'"}\n', Head(head.number + 1, sha256)


def sealed(line: bytes) -> tuple[Head, str] | None:
    """A line's number, its hash and that of the line before, None if the hash does not fit."""
    text, seal = line[:-SEAL_LENGTH], _SEAL.fullmatch(line[-SEAL_LENGTH:-1])
    if seal is None or hashlib.sha256(text).hexdigest().encode() != seal[1]:
        return None
    try:
        content = json.loads(line)
        return Head(int(content["number"]), seal[1].decode()), str(content["previous"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


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
        raise LogError(f"{path}: its last line is no decision; name another for the decision log")


def _head_of(last: bytes, path: Path) -> Head:
    found = sealed(last)
    if found is None:
        raise LogError(f"{path}: its last line was edited or is no decision; see `verify-log`")
    return found[0]


def head_path(path: Path) -> Path:
    """The file beside a log that holds the end of its chain."""
    return path.with_name(path.name + ".head")


def _head_line(head: Head) -> bytes:
    # One fixed length, one write: it is never seen half old, half new.
    return f"{head.number:020d} {head.sha256}\n".encode()


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
