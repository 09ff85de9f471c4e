"""Fits that do not depend on each other, spread over the cores of the machine."""

import gc
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from joblib import cpu_count
from threadpoolctl import threadpool_limits

# A fork has all that is imported here; another process would import it anew, which takes longer
# than most comparisons. macOS has fork, but its own libraries do not survive it.
START = "fork" if sys.platform == "linux" else "spawn"


def spread(function: Callable, units: Sequence[tuple], workers: int = -1) -> list[Any]:
    """What a function returns for each unit of work, in the order of the units.

    Each unit has one thread to itself, so that its result does not depend on how many run side by
    side, and small fits do not lose their time waiting for each other's threads.

    Parameters
    ----------
    function
        Of a module, so that another process finds it by name.
    units
        The arguments of each call.
    workers
        Processes, -1 for one a core. One works here, in this process.

    Raises
    ------
    RuntimeError
        If a process was killed, as the system does when memory runs out.
    """
    count = min(cpu_count() if workers == -1 else workers, len(units))
    if count < 2:
        with threadpool_limits(1):
            return [function(*unit) for unit in units]
    with warnings.catch_warnings():
        # Only this thread goes on in a fork, and it touches nothing that another one may hold.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        with ProcessPoolExecutor(count, get_context(START), _begin) as processes:
            try:
                return list(processes.map(function, *zip(*units, strict=True)))
            except BrokenProcessPool:
                raise RuntimeError(
                    "a process that was fitting a model was killed, as the system does when memory "
                    "runs out; free some, or let fewer work side by side (workers)"
                ) from None


def _begin() -> None:
    """In a new process: leave interrupts to the one that waits, and keep to one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    gc.freeze()  # what it was born with is never looked at again, and its memory stays shared
