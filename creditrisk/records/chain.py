"""The chained log: one line an entry, each carrying the hash of the line before it.

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from creditrisk.data.contract import Json
from work_units.regular_files import Damaged, kind_of, open_regular, read_record, set_aside

#: What the first line follows.
BEGIN = "0" * 64

_SEAL = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
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


def chained(entry: Json, head: Head) -> tuple[bytes, Head]:
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


def read_head(path: str | Path) -> Head | None:
    """The end of the chain as noted beside a log, None if nothing readable is there."""
    try:
        return noted_end(Path(path))
    except (OSError, Damaged):
        return None


def noted_end(path: Path) -> Head | None:
    """The end of the chain as noted beside a log, None if none was noted yet.

    Raises
    ------
    Damaged
        If what is there is no such note.
    FileNotFoundError
        If there is nothing.
    """
    content = read_record(head_path(path), len(head_line(Head())))
    if not content:  # the server ended between making the file and writing to it
        return None
    if not (noted := _NOTE.fullmatch(content)):
        raise Damaged("it holds no number and hash of a last line")
    return Head(int(noted[1]), noted[2].decode())


def is_only_begun(path: Path) -> bool:
    """Whether a log is empty and no end was ever noted: its writer ended before its first entry."""
    there = [each for each in (path, head_path(path)) if os.path.lexists(each)]
    return path in there and not any(
        kind_of(each, links=True) or each.stat().st_size for each in there
    )


def head_or_set_aside(path: Path) -> Head | None:
    """The noted end of a log; one that is damaged is set aside, to be made anew from the log."""
    try:
        return noted_end(path)
    except FileNotFoundError as absent:
        if kind_of(head_path(path)):  # a link that leads nowhere
            set_aside(head_path(path), absent.strerror)
    except Damaged as damage:
        set_aside(head_path(path), damage)
    return None


def head_path(path: Path) -> Path:
    """The file beside a log that holds the end of its chain."""
    return path.with_name(path.name + ".head")


def head_line(head: Head) -> bytes:
    """The note of a chain's end as it stands in its file."""
    # One fixed length, one write: it is never seen half old, half new.
    return f"{head.number:020d} {head.sha256}\n".encode()
