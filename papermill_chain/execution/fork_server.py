"""A process that has done the heavy imports, and from which kernels are forked.

It runs this very file, which is why nothing here needs the rest of the package. It imports what all
kernels need, then what the first notebook needs, and what another one needs when its kernel is asked
for: nobody waits for what only a later notebook needs. It starts no thread, and a fork of it is like a
process of its own but for the time the imports take: it has its own random state, environment,
folder and session.

Beside it sits a watcher. It waits for the end of the runner, whatever kind of end that is, and then
kills all that the run has left behind.
"""

import atexit
import gc
import io
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO, Any

MARK_OF_RUN, MARK_OF_STAGE = "CHAIN_RUN_FOLDER", "CHAIN_STAGE"  # in the environment of a process
# Niceness: of what will be needed soon, a fifth of a processor if others want it; of what nobody
# waits for, what they leave.
SOON, LAST = 10, 19
POSSIBLE = sys.platform == "linux"  # macOS has fork, but its own libraries do not survive it
NONE = -1  # for a process id
LARGEST = 1 << 17  # bytes of a message; a call carries a whole run as its argument
KERNEL = [  # what every kernel imports when it starts
    "ipykernel.debugger",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "psutil",
    "pydoc",
    "sqlite3",
    "tornado.platform.asyncio",
]


class NoFork(Exception):
    """There is no warm process to fork from: what was asked for has to be had the plain way."""


class Fork:
    """A process forked from the warm one; it can be asked what a Popen can be asked."""

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
    """The runner's end of the warm process.

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
        self.life, life = socket.socketpair()  # either end sees when the other one is gone
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(channel.fileno()), str(life.fileno())],
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

    def prepare(self, groups: Sequence[tuple[str, Sequence[str], tuple[str, str] | None]]) -> None:
        """Have it import for stages; before that it has imported what kernels need, and waits.

        Parameters
        ----------
        groups : of each stage, in order: its name, the modules that its notebook imports, and the
            function (module, name) to call in a process of its own once they are, if any.
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
        function: tuple[str, str],
        argument: Any,
        output: IO[bytes],
        patience: float | None = None,
    ) -> Fork:
        """A process that calls a function; if that raises, `output` tells what, as JSON."""
        asked = {"call": function, "argument": pickle.dumps(argument).hex(), "path": sys.path}
        return self._fork(asked, output, patience)

    def close(self) -> None:
        """End the warm process and all else of the run; on return nothing of it is left."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self.life.shutdown(socket.SHUT_WR)
            self.life.recv(1)  # the watcher holds the other end until it is through
        self.life.close()

    def _fork(self, asked: dict, output: IO[bytes], patience: float | None = None) -> Fork:
        fork = Fork()
        self.forks[id(fork)] = fork
        try:
            self._send({"number": id(fork), **asked}, output.fileno())
        except OSError:
            raise NoFork from None
        if not (fork.born.wait(patience) and fork.pid > 0):
            raise NoFork
        return fork

    def _send(self, message: dict, *files: int) -> None:
        with self.sending:
            socket.send_fds(self.channel, [json.dumps(message).encode()], files)

    def _listen(self) -> None:
        """In a thread: take note of who is born and who has died."""
        with self.channel:
            while message := _received(self.channel):
                told = json.loads(message)
                fork = self.forks[told["number"]]
                if "pid" in told:
                    fork.pid = told["pid"]
                    fork.born.set()
                else:
                    fork.returncode = told["code"]
                    fork.dead.set()
        for fork in list(self.forks.values()):  # the warm process is dead, and they with it
            fork.returncode = -signal.SIGKILL if fork.returncode is None else fork.returncode
            fork.born.set()
            fork.dead.set()


def step_back(pid: int, niceness: int) -> None:
    """Leave the processor to other sessions, if a process leads one of its own, or soon will.

    Where Linux shares the processor out by sessions, a niceness counts within a session only.
    """
    with suppress(OSError, AttributeError):  # other systems have no sessions to weigh
        for _ in range(20):
            with suppress(BlockingIOError):  # it takes one such wish in a tenth of a second
                if os.getsid(pid) == pid:
                    Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
                    return
            time.sleep(0.02)


def named(function: Callable | None) -> tuple[str, str] | None:
    """The module and the name by which another process finds a function, if it can."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "").stem
    return (module, name) if module and name.isidentifier() else None


def kill_family(marks: Mapping[str, str], session: int | None = None) -> int:
    """Kill all processes with these marks in their environment, and all of a session; how many.

    A fork keeps the environment of the warm process, whatever it sets itself, so that the stage of
    a forked kernel shows in its session alone.
    """
    import psutil

    killed = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            marked = all(environment.get(name) == value for name, value in marks.items())
            of_session = session and hasattr(os, "getsid") and os.getsid(process.pid) == session
            if process.pid != os.getpid() and (marked or of_session):
                process.kill()
                killed += 1
    return killed


def serve(channel: socket.socket, life: socket.socket) -> Callable[[], None]:
    """Import and fork until the runner is gone; in a fork, return what the fork is to do."""
    if not os.fork():
        channel.close()
        return partial(_watch, life)
    life.close()
    codes: list[int] = []  # of a fork that has come to its end, the exit code
    atexit.register(_end_at_once, codes)  # first, so as to be called last
    waiting: list[tuple[dict, int]] = []  # what is to be forked, and where its output goes
    imported: list[str] = []  # the stages whose modules are there
    children: dict[int, int] = {}  # the numbers of the forks that live, by process id
    signal.signal(signal.SIGCHLD, lambda *_: _tell_of_ended(children, channel))
    gc.disable()  # imports make hardly any garbage, and to look for it takes a tenth of their time
    sys.modules["debugpy"] = None  # nobody debugs a kernel of a chain, and the import takes long
    _import(KERNEL)
    del sys.modules["debugpy"]
    if not (message := _received(channel)):
        sys.exit()
    groups, aside = json.loads(message)["groups"], False
    while True:
        at_work = bool(waiting) or not imported
        if select.select([channel], [], [], 0 if at_work else None)[0]:
            message, files, _, _ = socket.recv_fds(channel, LARGEST, 1)
            if not message:
                sys.exit()
            waiting.append((json.loads(message), files[0]))
        for asked, output in list(waiting):
            if asked.get("stage") in [None, *imported]:
                if not (pid := _fork(children, asked["number"])):
                    return partial(_begin, asked, channel, output, codes)
                waiting.remove((asked, output))
                os.close(output)
                _tell(channel, number=asked["number"], pid=pid)
                if not aside:  # what is imported from here on is for later
                    step_back(os.getpid(), SOON)
                    aside = True
        if at_work and len(imported) < len(groups):
            stage, modules, call = groups[len(imported)]
            _import(modules)
            imported.append(stage)
            if call and not _fork(children, NONE):
                output = os.open(os.devnull, os.O_WRONLY)
                return partial(_begin, {"call": call, "ahead": True}, channel, output, codes)


def _fork(children: dict[int, int], number: int) -> int:
    """A fork's process id, 0 in the fork itself; none if a library has started a thread.

    A fork has one thread only, and what others were at would stay half done in it for ever.
    """
    if threading.active_count() > 1:
        return NONE
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until the child is known
    if pid := os.fork():
        children[pid] = number
    else:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    return pid


def _tell_of_ended(children: dict[int, int], channel: socket.socket) -> None:
    """On a signal, whatever is going on: tell which forks have ended, and how."""
    for pid in list(children):
        with suppress(ChildProcessError):  # the next signal has come meanwhile, and taken note
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended and (number := children.pop(pid)) != NONE:
                _tell(channel, number=number, code=os.waitstatus_to_exitcode(status))


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        with suppress(
            Exception
        ):  # the notebook itself shall complain of a module that is not there
            import_module(module)
    gc.freeze()  # what is there now is never looked at again, and its memory stays shared


def _begin(asked: dict, channel: socket.socket, output: int, codes: list[int]) -> None:
    """In a fork: leave the warm process behind, and become a kernel or call a function."""
    warm = os.getppid()
    gc.enable()
    channel.close()
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all kernels would draw the same "random" numbers
    if "ahead" in asked:
        step_back(os.getpid(), SOON)
    if "call" in asked:
        sys.path += [folder for folder in asked.get("path", []) if folder not in sys.path]
        return codes.append(_call(asked["call"], asked.get("argument")))
    os.environ.update(asked["environment"])
    parent = f"--IPKernelApp.parent_handle={warm}"  # the kernel ends with it
    sys.argv = ["ipykernel_launcher.py", *asked["arguments"], parent]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
    codes.append(0)


def _call(function: tuple[str, str], argument: str | None) -> int:
    """Call a function; the exit code."""
    try:
        call = getattr(import_module(function[0]), function[1])
        call(*([pickle.loads(bytes.fromhex(argument))] if argument else []))
    except BaseException as error:
        os.write(1, b"\n" + json.dumps([type(error).__name__, str(error)]).encode())
        return 1
    return 0


def _end_at_once(codes: Sequence[int]) -> None:
    """Let a fork go when all it has to do at its end is done, threads and namespace included.

    What is left are the modules of the warm process. Python would take them apart one by one, which
    takes longer than most cells; only the files that a notebook has left open need an orderly end.
    """
    if codes:
        gc.collect()
        for file in gc.get_objects():
            if type(file) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
                with suppress(ValueError, OSError):
                    file.flush()
        os._exit(codes[-1])


def _watch(life: socket.socket) -> None:
    """Wait until the runner is gone, then kill what it has left, until there is nothing more."""
    import psutil  # noqa: F401  now, while all is well

    life.recv(1)
    marks = {MARK_OF_RUN: os.environ[MARK_OF_RUN]}
    while kill_family(marks):
        time.sleep(0.02)
    os._exit(0)  # at once: the runner goes on as soon as this end of the socket is closed


def _tell(channel: socket.socket, **message: int) -> None:
    with suppress(OSError):  # that the runner is gone shows at the next look
        channel.send(json.dumps(message).encode())


def _received(channel: socket.socket) -> bytes:
    """The next message; nothing if the other end is gone."""
    try:
        return channel.recv(LARGEST)
    except OSError:
        return b""


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules are the package's own
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    job = serve(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
    job()
