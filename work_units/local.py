"""Units of work in processes of this machine; see :mod:`work_units.units`."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from joblib import cpu_count
from threadpoolctl import threadpool_limits

from work_units.errors import MAX_WORKER_DEATHS, WorkersDied

#: A function that another process finds by name, the arguments of each call, and what is yielded:
#: the number of a unit, and its result.
Function = Callable[..., Any]
Units = Sequence[tuple[Any, ...]]
Numbered = tuple[int, Any]

P = ParamSpec("P")
R = TypeVar("R")

LINUX = sys.platform == "linux"  # macOS has fork, but its own libraries do not survive it


def run_local(
    function: Function, units: Units, workers: int = -1, *, forked: bool = False
) -> Generator[Numbered]:
    """Do units in processes of this machine, yielding each one's number and result as it is done.

    Parameters
    ----------
    function, units, workers
        As :func:`run_units` takes them.
    forked
        Whether the processes may be forks of this one, where there are such. A fork has all that is
        imported, while another process takes seconds to import it anew; but it also has the locks
        of all threads of this process, which must be none that it needs.

    Raises
    ------
    WorkersDied
        As :func:`run_units`.
    """
    count = min(cpu_count() if workers == -1 else workers, len(units))
    if count < 2:
        with threadpool_limits(1):
            for number, unit in enumerate(units):
                yield number, function(*unit)
        return
    waiting, deaths = list(range(len(units)))[::-1], Counter[int]()
    pool: ProcessPoolExecutor | None = None
    running: dict[Future[Any], int] = {}
    try:
        while waiting or running:
            pool = pool or _pool(count, function, forked)
            broken = False
            try:
                while waiting and len(running) < 2 * count:
                    running[pool.submit(function, *units[waiting[-1]])] = waiting[-1]
                    waiting.pop()
            except BrokenProcessPool:
                broken = True
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = True
                else:
                    yield running.pop(future), future.result()
            if broken:
                pool.shutdown(cancel_futures=True)
                lost, pool, running = sorted(running.values(), reverse=True), None, {}
                deaths.update(lost)
                if any(deaths[number] >= MAX_WORKER_DEATHS for number in lost):
                    raise WorkersDied(lost[::-1], len(units))
                waiting += lost
    finally:
        if pool is not None:
            _end(pool, abruptly=bool(running))


def _pool(count: int, function: Function, forked: bool) -> ProcessPoolExecutor:
    """Processes to work in: forks of this one, of a fresh one, or fresh ones."""
    # A server that has imported the same and done nothing yet can be forked from at any time.
    start = "spawn" if not LINUX else "fork" if forked else "forkserver"
    context = multiprocessing.get_context(start)
    if start == "forkserver":
        context.set_forkserver_preload([function.__module__])
    return _Processes(count, context, _begin)


class _Processes(ProcessPoolExecutor):
    """Of the standard library, without its warning where a fork is safe."""

    def submit(
        self, function: Callable[P, R], /, *arguments: P.args, **named: P.kwargs
    ) -> Future[R]:
        with warnings.catch_warnings():
            # Only this thread goes on in a fork, and it touches nothing that another may hold.
            warnings.filterwarnings("ignore", "This process .* multi-threaded", DeprecationWarning)
            return super().submit(function, *arguments, **named)


def _begin() -> None:
    """In a new process: one thread, no interrupts, and an end with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for the results ends this one
    threadpool_limits(1)
    gc.freeze()  # what it was born with is never looked at again, and its memory stays shared

    def watch() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end(pool: ProcessPoolExecutor, abruptly: bool) -> None:
    """End a pool's processes, if need be in the middle of what they do."""
    if abruptly:
        for process in list((pool._processes or {}).values()):  # public only from Python 3.14 on
            process.terminate()
    pool.shutdown(cancel_futures=True)
