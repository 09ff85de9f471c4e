"""Many independent units of work, done in processes that are replaced when they are killed.

A unit is one call of an importable function, has to be small to send and safe to do twice: whoever
does it may be killed at any moment, and then it is done again by somebody else.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from threadpoolctl import threadpool_limits

#: How a process begins. A fork of this one would inherit the locks of Arrow's threads; of a server
#: that has imported the same and done nothing yet, a fork is safe, and imports nothing anew.
START = "forkserver" if sys.platform == "linux" else "spawn"

#: So often a unit may see a process die before it is given up.
DEATHS = 5


class ProcessesDied(Exception):
    """Processes have died again and again; ``numbers`` are the units that were under way."""

    def __init__(self, numbers: list[int]):
        self.numbers = numbers
        super().__init__(f"processes died {DEATHS} times")


def in_processes(
    function: Callable, units: Sequence, workers: int
) -> Iterator[tuple[int, object]]:  # fmt: skip
    """Do units in processes of this machine, yielding each one's number and result as it is done.

    A process that is killed is replaced, and what it was doing is done again.

    Raises
    ------
    ProcessesDied
        If that has helped a unit again and again to no end.
    """
    context = multiprocessing.get_context(START)
    if START == "forkserver":
        context.set_forkserver_preload([function.__module__])
    waiting, deaths = list(range(len(units)))[::-1], Counter()
    pool, running = None, {}
    try:
        while waiting or running:
            if pool is None:
                pool = ProcessPoolExecutor(workers, context, initializer=_begin)
            broken = False
            try:
                while waiting and len(running) < 2 * workers:
                    running[pool.submit(function, units[waiting[-1]])] = waiting[-1]
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
                if any(deaths[number] >= DEATHS for number in lost):
                    raise ProcessesDied(lost[::-1])
                waiting += lost
    finally:
        if pool is not None:
            _end(pool, abruptly=bool(running))


def _begin() -> None:
    """In a new process: one thread, no interrupts, and an end with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for the results ends this one
    threadpool_limits(1)  # there are other processes for the other cores

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end(pool: ProcessPoolExecutor, abruptly: bool) -> None:
    """End a pool's processes, if need be in the middle of what they do."""
    if abruptly:
        for process in list((pool._processes or {}).values()):
            process.terminate()
    pool.shutdown(cancel_futures=True)
