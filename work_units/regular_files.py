"""Files that somebody may have damaged, read without waiting, and set aside if they are.

A folder, a named pipe, a socket or a device may lie in the place of a file. Reading a pipe waits
for ever and ``/dev/zero`` has no end, so only regular files are opened, and only so much of them is
read as they may hold.
"""

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

_READ = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes to would be waited for
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Damaged(ValueError):
    """Why a file that a program keeps for itself cannot be used."""


class NotRegular(OSError):
    """What lies in the place of a file, which is none that can be read to an end."""


def open_regular(path: str | Path, *, links: bool = True) -> io.BufferedReader:
    """Open a file for reading, at once whatever lies there.

    Parameters
    ----------
    links
        Whether the path itself may be a link to a file.

    Raises
    ------
    NotRegular
        If something else lies there: a folder, a pipe, a socket, a device, or a link where none
        may be; or if no file can have such a name.
    OSError
        If there is nothing, or it may not be read.
    """
    try:
        descriptor = os.open(path, _READ | (0 if links else _NO_LINK))
    except ValueError:
        why = "its name holds a character that no file's name can have"
        raise NotRegular(errno.EINVAL, why, ascii(str(path))) from None
    except OSError as error:
        if kind := kind_of(path, links=links):
            raise NotRegular(errno.EINVAL, f"is {kind}, not a file", str(path)) from error
        raise
    if kind := _kind(os.fstat(descriptor)):
        os.close(descriptor)
        raise NotRegular(errno.EINVAL, f"is {kind}, not a file", str(path))
    return os.fdopen(descriptor, "rb")


def kind_of(path: str | Path, *, links: bool = False) -> str:
    """What lies in a place, in words; empty if it is a regular file or nothing."""
    try:
        return _kind(os.stat(path, follow_symlinks=links))
    except OSError:
        return ""


def read_record(path: str | Path, most: int) -> bytes:
    """The content of a file that a program keeps for itself.

    Parameters
    ----------
    most
        Bytes that it can have at most, if the program has written it.

    Raises
    ------
    Damaged
        If it is no regular file, larger than that, or cannot be read.
    FileNotFoundError
        If there is none.
    """
    try:
        with open_regular(path, links=False) as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from error
    if len(content) > most:
        raise Damaged(f"has more than {most:,} bytes")
    return content


def set_aside(path: Path, why: object) -> Path:
    """Give what is damaged another name and say so in a line on standard error; the name.

    Raises
    ------
    OSError
        If it cannot be renamed.
    """
    for number in count(1):
        place = path.with_name(f"{path.name}.damaged-{number}")
        if not os.path.lexists(place):
            os.rename(path, place)
            break
    line = f"{path} is damaged ({why}); it is set aside as {place.name} and made anew"
    print(" ".join(line.split()), file=sys.stderr)
    return place


def make_way(path: Path) -> None:
    """Have nothing in a place where a file is to come: a folder is set aside, all else removed."""
    if os.path.isdir(path) and not os.path.islink(path):
        set_aside(path, "is a folder, not a file")
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _kind(status: os.stat_result) -> str:
    form = stat.S_IFMT(status.st_mode)
    return "" if form == stat.S_IFREG else _KINDS.get(form, "something else")
