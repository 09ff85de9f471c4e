"""A program that meets its fate at one of its steps: at its n-th change to files below a folder."""

import errno
import os
import signal
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

KILLED, INTERRUPTED, COUNTED = "killed", "interrupted", "counted"
FULL, BROKEN = "disk full from there on", "input/output error"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: What Python says of a change to a file before it makes it, and which argument is the path.
CHANGES = {"os.mkdir": 0, "os.rmdir": 0, "os.remove": 0, "os.rename": 1, "os.link": 1}
CHANGES |= {"os.truncate": 0, "os.chmod": 0, "os.utime": 0, "os.symlink": 1}
FROM_A_FOLDER = ("os.mkdir", "os.rmdir", "os.remove")  # perhaps an opened one, which comes last
TAKE_SPACE = ("open", "os.mkdir", "os.link", "os.symlink")


@dataclass
class Stroke:
    """What befalls a program before its n-th change to what lies below a folder.

    With COUNTED nothing does; how many there were stands in the file `counted` at the end.
    """

    kind: str
    below: str
    number: int = 0
    counted: str = ""

    def lie_in_wait(self) -> None:
        """From here on, in this process alone; a program that it starts is left in peace."""
        self.numbers, self.last, self.process = count(1), 0, os.getpid()
        sys.addaudithook(self._heard)

    def over(self) -> None:
        """The program has come to its end."""
        self.number = -1
        if self.counted:
            Path(self.counted).write_text(str(self.last))

    def _heard(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITING:
                return
        elif event in CHANGES:
            path = arguments[CHANGES[event]]
        else:
            return
        if not isinstance(path, str | bytes | os.PathLike):
            return
        if not self._is_below(os.fsdecode(path), arguments[-1] if event in FROM_A_FOLDER else -1):
            return
        if self.number < 0 or os.getpid() != self.process:
            return
        self.last = next(self.numbers)
        if self.kind == FULL and self.last >= self.number and event in TAKE_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(path))
        if self.last == self.number:
            self._strike(os.fsdecode(path))

    def _is_below(self, path: str, within: int) -> bool:
        """Whether a path lies below the folder; it may be one from an opened folder on."""
        if not os.path.isabs(path) and within >= 0:
            path = os.path.join(os.readlink(f"/proc/self/fd/{within}"), path)
        return os.path.abspath(path).startswith(self.below)

    def _strike(self, path: str) -> None:
        if self.kind == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.kind == INTERRUPTED:
            os.kill(os.getpid(), signal.SIGINT)
        elif self.kind == BROKEN:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
