"""The runner's end of a process that has done the heavy imports, and forks kernels on request."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from papermill_chain.execution.kernels import fork_process
from papermill_chain.execution.kernels.fork_process import RUN_VARIABLE, kill_family, received

HAS_FORK = sys.platform == "linux"  # macOS has it, but its own libraries do not survive it
SECONDS_TO_FORK = 120.0  # for the imports of a notebook; a plain kernel is quicker then
SECONDS_IF_BUSY = 600.0  # while it works at them, as a plain kernel would have to
SECONDS_TO_CALL = 1800.0  # for what follows the last stage
SECONDS_TO_CLEAN = 10.0  # for the watcher to kill what is left
SECONDS_BETWEEN_LOOKS = 0.5

Function = tuple[str, str]  # the module and the name of a function


class NoFork(Exception):
    """The server is gone or cannot fork: start a process, or call the function, the plain way."""


def happens(event: threading.Event, seconds: float, lives: Callable[[], bool]) -> bool:
    """Wait for what another process is to do, with a limit, and look whether it lives.

    Parameters
    ----------
    event : set when the process has done it.
    seconds : the longest to wait.
    lives : whether the process still lives; it is asked twice a second.

    Returns
    -------
    bool
        Whether it has happened; if not, the process is dead or takes too long.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if event.wait(min(left, SECONDS_BETWEEN_LOOKS)):
            return True
        if not lives():
            break
    return event.is_set()


def _statistics(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on: the 12th and 13th are its ticks of work."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class Fork:
    """A process that the server has forked, with the methods of a Popen that Jupyter uses."""

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self.unwanted = False  # nobody waits for it any more: it is killed as soon as it is born
        self.born, self.dead = threading.Event(), threading.Event()

    def poll(self) -> int | None:
        if self.pid and self.returncode is None and not self._lives():
            self._take_for_killed()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        happens(self.dead, SECONDS_TO_CALL if timeout is None else timeout, self._lives)
        return self.poll()

    def _take_for_killed(self) -> None:
        """It is gone; the server has a moment to report how, if it lives and is not stopped."""
        if not self.dead.wait(SECONDS_BETWEEN_LOOKS) and self.returncode is None:
            self.returncode = -signal.SIGKILL

    def _lives(self) -> bool:
        with suppress(OSError):
            return _statistics(self.pid)[0] not in "ZX"
        return False

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # dead, which is yet to be reported
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def kill_if_born(self) -> None:
        if self.pid > 0:
            self.kill()

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """A process that forks others once it has imported what they need.

    Parameters
    ----------
    folder, environment : of the process and of all that is forked from it.
    lost : called once if the process ends before it is closed; with True if it was given up.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        lost: Callable[[bool], object] = lambda given_up: None,
    ) -> None:
        self.environment = {
            **environment,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        self.lost, self.given_up, self.closing = lost, False, False
        self.forks: dict[int, Fork] = {}
        self.sending = threading.Lock()
        self.channel, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.life, life = socket.socketpair()  # both ends see when the other one is gone
        self.process = subprocess.Popen(
            [sys.executable, fork_process.__file__, str(channel.fileno()), str(life.fileno())],
            cwd=folder,
            env=self.environment,
            pass_fds=[channel.fileno(), life.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal from the terminal is for the runner
        )
        channel.close()
        life.close()
        threading.Thread(target=self._listen, daemon=True).start()

    def prepare(self, groups: Sequence[tuple[str, Sequence[str], Function | None]]) -> None:
        """Have it import for stages; until then it imports what all kernels need, and waits.

        Parameters
        ----------
        groups : of each stage, in order: its name, the modules that its notebook imports, and the
            function to call in a process of its own once they are imported, if any.
        """
        with suppress(OSError):  # it is dead, which shows when a kernel is asked for
            self._send({"groups": groups})

    def kernel(
        self,
        stage: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: IO[bytes],
    ) -> Fork:
        """A kernel for the notebook of a stage, as soon as its modules are imported."""
        own = {k: v for k, v in environment.items() if self.environment.get(k) != v}
        return self._fork({"stage": stage, "arguments": arguments, "environment": own}, output)

    def call(
        self,
        function: Function,
        argument: Any,
        output: IO[bytes],
        patience: float | None = None,
    ) -> Fork:
        """A process that calls a function; the last line of `output` is null at a good end.

        It is [name, message] if the function raises, and there is none if the process is killed.

        Raises
        ------
        NoFork
            There is none within `patience` seconds, or if None SECONDS_TO_FORK in which the server
            has done nothing, or the server is dead.
        """
        request = {"call": function, "argument": pickle.dumps(argument).hex(), "path": sys.path}
        return self._fork(request, output, patience)

    @property
    def is_dead(self) -> bool:
        """Whether it has ended; what it has forked lives on."""
        return self.process.poll() is not None

    def close(self) -> None:
        """End the server and all other processes of the run; on return none is left."""
        self.closing = True
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS_TO_CLEAN)
        cleaned = b""
        with suppress(OSError):
            self.life.shutdown(socket.SHUT_WR)
            self.life.settimeout(SECONDS_TO_CLEAN)
            cleaned = self.life.recv(1)  # the watcher's word that it is through
            self.life.recv(1)  # and its end
        self.life.close()
        if not cleaned:  # it has been killed as well, or stopped
            kill_family({RUN_VARIABLE: self.environment[RUN_VARIABLE]})

    def _fork(
        self, request: dict[str, Any], output: IO[bytes], patience: float | None = None
    ) -> Fork:
        fork = Fork()
        self.forks[id(fork)] = fork
        try:
            self._send({"number": id(fork), **request}, output.fileno())
        except OSError:
            raise NoFork from None
        if not self._bears(fork, patience):
            fork.unwanted = True
            if patience is None:  # it hangs; nobody else is to wait for it so long
                self.given_up = not self.is_dead
                self.process.kill()
        if fork.pid <= 0 or fork.unwanted:
            fork.kill_if_born()
            raise NoFork
        return fork

    def _bears(self, fork: Fork, patience: float | None) -> bool:
        """Whether a fork is born in time, of which a server that works at imports gets more."""
        end = time.monotonic() + SECONDS_IF_BUSY
        limit = SECONDS_TO_FORK if patience is None else patience
        while True:
            worked = self._ticks()
            if happens(fork.born, limit, lambda: not self.is_dead):
                return True
            late = patience is not None or time.monotonic() > end
            if late or self.is_dead or self._ticks() == worked:
                return False

    def _ticks(self) -> int:
        """How much the process has worked, in the system's unit."""
        with suppress(OSError):
            return sum(map(int, _statistics(self.process.pid)[11:13]))
        return 0

    def _send(self, message: dict[str, Any], *files: int) -> None:
        with self.sending, tempfile.TemporaryFile() as content:
            content.write(json.dumps(message).encode())
            content.flush()
            socket.send_fds(self.channel, [b"."], [content.fileno(), *files])

    def _listen(self) -> None:
        """In a thread: record which forks are born and which have died."""
        with self.channel:
            while message := received(self.channel):
                news = json.loads(message)
                fork = self.forks[news["number"]]
                if "pid" in news:
                    fork.pid = news["pid"]
                    fork.born.set()
                    if fork.unwanted:
                        fork.kill_if_born()
                else:
                    fork.returncode = news["code"]
                    fork.dead.set()
        for fork in list(self.forks.values()):  # the server is dead; what is born lives on
            fork.born.set()
        if not self.closing:
            self.lost(self.given_up)


def importable_name(function: Callable[..., object] | None) -> Function | None:
    """The module and the name by which another process can import a function, if it can."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "").stem
    return (module, name) if module and name.isidentifier() else None
