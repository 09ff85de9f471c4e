"""The program behind `fork_server`: it does the heavy imports once, and forks kernels on request.

It is run as this very file, in an environment that is not the runner's, which is why it imports
nothing of the package. It imports what all kernels need, then what the first notebook needs, and
what another one needs when its kernel is asked for: nobody waits for what only a later notebook
needs. It starts no thread, and a fork of it is like a process of its own but for the time the
imports take: it has its own random state, environment, folder and session.

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
import shutil
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

RUN_VARIABLE, STAGE_VARIABLE = "CHAIN_RUN_FOLDER", "CHAIN_STAGE"  # in each process's environment
NICE_SOON = 10  # niceness of what is needed soon: a fifth of a processor if others want it
NICE_LAST = 19  # of what nobody waits for: what the others leave
NO_PROCESS = -1
MAX_NEWS = 1000  # bytes of what the runner is told of a fork
KERNEL_MODULES = [  # what every kernel imports when it starts
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


def lower_priority(pid: int, niceness: int) -> bool:
    """Have a process leave the processor to other sessions, if it leads one, or soon will.

    Where Linux shares the processor out by sessions, a niceness counts within a session only.

    Returns
    -------
    bool
        Whether that is settled; if not, try again: on a busy machine it may take its time.
    """
    with suppress(OSError, AttributeError):  # other systems have no sessions to weigh
        for _ in range(50):  # a second: of all processes, the system takes one change in 0.1 s
            with suppress(BlockingIOError):
                if os.getsid(pid) == pid:
                    Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
                    return True
            time.sleep(0.02)
        return False
    return True


def kill_family(variables: Mapping[str, str], session: int | None = None) -> int:
    """Kill all processes with these variables in their environment, and all of a session.

    Of a fork the system shows the environment of the process that forked it, whatever it sets
    itself, so that the stage of a forked kernel shows in its session alone.

    Returns
    -------
    int
        How many processes were killed.
    """
    import psutil

    killed = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            marked = all(environment.get(name) == value for name, value in variables.items())
            in_session = session and hasattr(os, "getsid") and os.getsid(process.pid) == session
            if process.pid != os.getpid() and (marked or in_session):
                process.kill()
                killed += 1
    return killed


def serve(channel: socket.socket, life: socket.socket) -> Callable[[], None]:
    """Import and fork until the runner is gone; in a fork, return what the fork is to do.

    Parameters
    ----------
    channel : carries the runner's requests, and back which forks are born and have died.
    life : both ends see when the other one is gone.
    """
    if not os.fork():
        channel.close()
        return partial(_watch, life)
    life.close()
    exit_codes: list[int] = []  # of this process, once it is a fork that has come to its end
    atexit.register(_exit_at_once, exit_codes)  # first, so as to be called last
    requests: list[tuple[dict[str, Any], int]] = []  # what is to be forked, where its output goes
    imported: list[str] = []  # the stages whose modules are there
    children: dict[int, int] = {}  # the numbers of the forks that live, by process id
    signal.signal(signal.SIGCHLD, lambda *_: _report_ended(children, channel))
    gc.disable()  # imports make hardly any garbage, and to look for it takes a tenth of their time
    _import_for_kernels()
    content, _ = _asked(channel)
    groups, has_forked = content["groups"], False
    while True:
        at_work = bool(requests) or not imported
        if select.select([channel], [], [], 0 if at_work else None)[0]:
            content, [output] = _asked(channel)
            requests.append((content, output))
        for request, output in list(requests):
            if request.get("stage") in [None, *imported]:
                if not (pid := _fork(children, request["number"])):
                    return partial(_begin, request, channel, output, exit_codes)
                requests.remove((request, output))
                os.close(output)
                _notify(channel, number=request["number"], pid=pid)
                if not has_forked:  # what is imported from now on is for later
                    lower_priority(os.getpid(), NICE_SOON)
                    has_forked = True
        if at_work and len(imported) < len(groups):
            stage, modules, call = groups[len(imported)]
            _import(modules)
            imported.append(stage)
            if call and not _fork(children, NO_PROCESS):
                output = os.open(os.devnull, os.O_WRONLY)
                request = {"call": call, "ahead": True}
                return partial(_begin, request, channel, output, exit_codes)


def _asked(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What the runner asks for next, and the files that it hands over; if it is gone, the end.

    What it asks for stands in a file, the first one, and not in the message: a call carries a whole
    run as its argument, and a message has a largest size.
    """
    files: list[int] = []
    with suppress(OSError):
        _, files, _, _ = socket.recv_fds(channel, 1, 2)
    if not files:
        sys.exit()
    content, *others = files
    with open(content, "rb") as file:
        file.seek(0)
        asked: dict[str, Any] = json.load(file)
    return asked, others


def received(channel: socket.socket) -> bytes:
    """The next news of a fork; nothing if the other end is gone."""
    try:
        return channel.recv(MAX_NEWS)
    except OSError:
        return b""


def _notify(channel: socket.socket, **message: int) -> None:
    with suppress(OSError):  # that the runner is gone shows at the next look
        channel.send(json.dumps(message).encode())


def _fork(children: dict[int, int], number: int) -> int:
    """A fork's process id, 0 in the fork itself; NO_PROCESS if a library has started a thread.

    A fork has one thread only, and what others were at would stay half done in it for ever.
    """
    if threading.active_count() > 1:
        return NO_PROCESS
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until the child is known
    if pid := os.fork():
        children[pid] = number
    else:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    return pid


def _report_ended(children: dict[int, int], channel: socket.socket) -> None:
    """On a signal, whatever is going on: report which forks have ended, and how."""
    for pid in list(children):
        with suppress(ChildProcessError):  # the next signal has come meanwhile, and reported it
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended and (number := children.pop(pid)) != NO_PROCESS:
                _notify(channel, number=number, code=os.waitstatus_to_exitcode(status))


def _import_for_kernels() -> None:
    """Import what all kernels need, but for the debugger: nobody debugs a kernel of a chain."""
    modules = cast(dict[str, object], sys.modules)
    modules["debugpy"] = None  # its import fails at once, rather than take long
    _import(KERNEL_MODULES)
    del modules["debugpy"]


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        with suppress(Exception):  # a module that is not there is for the notebook to report
            import_module(module)
    gc.freeze()  # what is there now is never looked at again, and its memory stays shared


def _begin(
    request: dict[str, Any], channel: socket.socket, output: int, exit_codes: list[int]
) -> None:
    """In a fork: cut the ties to the server, and become a kernel or call a function."""
    gc.enable()
    # Matplotlib may have made a folder for all forks: the first that ends must not remove it.
    atexit.unregister(shutil.rmtree)
    channel.close()
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all kernels would draw the same "random" numbers
    if "ahead" in request:
        lower_priority(os.getpid(), NICE_SOON)
    if "call" in request:
        sys.path += [folder for folder in request.get("path", []) if folder not in sys.path]
        exit_codes.append(_call(request["call"], request.get("argument")))
        return
    os.environ.update(request["environment"])
    parent = "--IPKernelApp.parent_handle=0"  # the server may end before it; the watcher looks
    sys.argv = ["ipykernel_launcher.py", *request["arguments"], parent]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
    exit_codes.append(0)


def _call(function: tuple[str, str], argument: str | None) -> int:
    """Call a function (module, name) with a pickled argument; the exit code.

    The last line printed is what it has raised, [name, message], or null.
    """
    raised = None
    try:
        call = getattr(import_module(function[0]), function[1])
        call(*([pickle.loads(bytes.fromhex(argument))] if argument else []))
    except BaseException as error:  # noqa: BLE001  the runner reports it, whatever it is
        raised = [type(error).__name__, str(error)]
    os.write(1, b"\n" + json.dumps(raised).encode())
    for output in (1, 2):  # nothing follows, whatever is left in a buffer or said at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return int(raised is not None)


def _exit_at_once(exit_codes: Sequence[int]) -> None:
    """Let a fork go when all it has to do at its end is done, threads and namespace included.

    What is left are the modules of the server. Python would take them apart one by one, which takes
    longer than most cells; only the files that a notebook has left open need an orderly end.
    """
    if exit_codes:
        gc.collect()
        for file in gc.get_objects():
            if type(file) in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom):
                with suppress(ValueError, OSError):
                    file.flush()
        os._exit(exit_codes[-1])


def _watch(life: socket.socket) -> None:
    """Wait until the runner is gone, then kill what it has left, until there is nothing more."""
    import psutil  # noqa: F401  now, while all is well

    life.recv(1)
    variables = {RUN_VARIABLE: os.environ[RUN_VARIABLE]}
    while kill_family(variables):
        time.sleep(0.02)
    with suppress(OSError):
        life.send(b".")  # the runner, if it lives, waits for that
    os._exit(0)


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules are the package's own
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    work = serve(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
    work()
