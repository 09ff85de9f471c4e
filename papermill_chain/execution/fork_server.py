"""The runner's end of a process that has done the heavy imports, and forks kernels on request."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from papermill_chain.execution import fork_process
from papermill_chain.execution.fork_process import received

HAS_FORK = sys.platform == "linux"  # macOS has it, but its own libraries do not survive it

Function = tuple[str, str]  # the module and the name of a function


class NoFork(Exception):
    """The server is gone or cannot fork: start a process, or call the function, the plain way."""


class Fork:
    """A process that the server has forked, with the methods of a Popen that Jupyter uses."""

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self.born, self.dead = threading.Event(), threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self.dead.wait(timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """A process that forks others once it has imported what they need.

    Parameters
    ----------
    folder, environment : of the process and of all that is forked from it.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.environment = {
            **environment,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
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
        """A process that calls a function; if that raises, `output` ends with [name, message].

        Raises
        ------
        NoFork
            There is none within `patience` seconds.
        """
        request = {"call": function, "argument": pickle.dumps(argument).hex(), "path": sys.path}
        return self._fork(request, output, patience)

    def close(self) -> None:
        """End the server and all other processes of the run; on return none is left."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self.life.shutdown(socket.SHUT_WR)
            self.life.recv(1)  # the watcher holds the other end until it is through
        self.life.close()

    def _fork(
        self, request: dict[str, Any], output: IO[bytes], patience: float | None = None
    ) -> Fork:
        fork = Fork()
        self.forks[id(fork)] = fork
        try:
            self._send({"number": id(fork), **request}, output.fileno())
        except OSError:
            raise NoFork from None
        if not (fork.born.wait(patience) and fork.pid > 0):
            raise NoFork
        return fork

    def _send(self, message: dict[str, Any], *files: int) -> None:
        with self.sending:
            socket.send_fds(self.channel, [json.dumps(message).encode()], files)

    def _listen(self) -> None:
        """In a thread: record which forks are born and which have died."""
        with self.channel:
            while message := received(self.channel):
                news = json.loads(message)
                fork = self.forks[news["number"]]
                if "pid" in news:
                    fork.pid = news["pid"]
                    fork.born.set()
                else:
                    fork.returncode = news["code"]
                    fork.dead.set()
        for fork in list(self.forks.values()):  # the server is dead, and they with it
            fork.returncode = -signal.SIGKILL if fork.returncode is None else fork.returncode
            fork.born.set()
            fork.dead.set()


def importable_name(function: Callable[..., object] | None) -> Function | None:
    """The module and the name by which another process can import a function, if it can."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "").stem
    return (module, name) if module and name.isidentifier() else None
