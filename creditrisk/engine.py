"""Where many independent units of work are done: processes of this machine, or a Dask cluster.

A unit is one call of an importable function, has to be small to send and safe to do twice: whoever
does it may be killed at any moment, and then it is done again by somebody else.
"""

import logging
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice

from threadpoolctl import threadpool_limits

#: Environment variable that names a scheduler; Dask itself knows it by this name too.
ADDRESS = "DASK_SCHEDULER_ADDRESS"

#: Seconds after which a scheduler that does not answer counts as gone.
PATIENCE = 8

#: So often a unit may see its process die before it is taken for the cause.
DEATHS = 5


class NoEngine(Exception):
    """Why work cannot go where it was sent, in one sentence."""


def address_from_environment() -> str | None:
    """The scheduler to send work to, if one is named."""
    return os.environ.get(ADDRESS) or None


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_processes(
    function: Callable, units: Sequence, workers: int
) -> Iterator[tuple[int, object]]:  # fmt: skip
    """Do units in processes of this machine, yielding each one's number and result as it is done.

    A process that is killed is replaced, and what it was doing is done again.

    Raises
    ------
    NoEngine
        If a unit's process has died again and again.
    """
    waiting, deaths = list(range(len(units)))[::-1], Counter()
    # Spawned, as a fork would inherit the locks of Arrow's threads.
    context, pool = multiprocessing.get_context("spawn"), None
    running = {}
    try:
        while waiting or running:
            if pool is None:
                pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
            try:
                while waiting and len(running) < 2 * workers:
                    number = waiting.pop()
                    running[pool.submit(function, units[number])] = number
            except BrokenProcessPool:
                waiting.append(number)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = []
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    broken.append(future)
                else:
                    yield running.pop(future), future.result()
            if broken:
                pool.shutdown(cancel_futures=True)
                pool = None
                for number in sorted(running.values(), reverse=True):
                    deaths[number] += 1
                    if deaths[number] == DEATHS:
                        raise NoEngine(f"the process of unit {number + 1} died {DEATHS} times; "
                                       "does it have enough memory?")  # fmt: skip
                    waiting.append(number)
                running = {}
    finally:
        if pool is not None:
            _end(pool)


@contextmanager
def cluster(address: str) -> Iterator:
    """A client of the scheduler at an address such as ``tcp://host:8786``.

    Raises
    ------
    NoEngine
        If Dask is not installed or no scheduler answers.
    """
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise NoEngine("a scheduler was named, and Dask is not installed; "
                       "install the extra: uv sync --extra scale") from None  # fmt: skip
    # Once it is lost, its return is not waited for: its workers have lost it as well.
    dask.config.set({"distributed.comm.timeouts.connect": f"{PATIENCE}s"})
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we have the words
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:  # whatever answers there may answer anything
        raise NoEngine(f"no scheduler answers at {address} ({_words(error)}); start one with "
                       "`dask scheduler`, and `dask worker` for each worker") from None  # fmt: skip
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=2)


def on_cluster(client, function: Callable, units: Sequence) -> Iterator[tuple[int, object]]:
    """Do units on a cluster, yielding each one's number and result as it is done.

    Dask gives the units of a worker that dies to the others. Few are sent ahead, so that a
    hundred thousand of them do not wait in the scheduler's memory.

    Raises
    ------
    NoEngine
        If the scheduler is lost, or a unit's workers have died again and again.
    """
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    ahead = max(100, 4 * sum(client.nthreads().values()))
    rest, numbers = iter(range(len(units))), {}

    def send(count: int) -> list:
        chosen = list(islice(rest, count))
        sent = client.map(function, [units[number] for number in chosen], pure=False)
        numbers.update(zip((future.key for future in sent), chosen))
        return sent

    done = as_completed(send(ahead), loop=client.loop)
    for future in done:
        try:
            result = future.result()
        except KilledWorker as error:
            raise NoEngine(f"the workers of unit {numbers[future.key] + 1} died again and again; "
                           "do they have enough memory?") from error  # fmt: skip
        except FutureCancelledError as error:
            raise NoEngine("the scheduler was lost") from error
        yield numbers.pop(future.key), result
        future.release()
        done.update(send(1))


def spread(function: Callable, units: Sequence[tuple], address: str) -> list:
    """What a function returns for each unit of work, in the order of the units, from a cluster.

    Each unit has one thread to itself, as on one machine, or its last digits might differ.

    Parameters
    ----------
    units
        The arguments of each call; what several calls share is sent once.

    Raises
    ------
    NoEngine
        As :func:`on_cluster`.
    """
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    with cluster(address) as client:
        print(f"{len(units)} fits on {address}; dashboard: {client.dashboard_link}")
        uses = Counter(id(argument) for unit in units for argument in unit)
        sent = {}

        def once(argument: object) -> object:
            if uses[id(argument)] == 1 or isinstance(argument, int | float | str):
                return argument
            if id(argument) not in sent:
                # Made by a task, and so made again if the worker that holds it dies.
                sent[id(argument)] = client.submit(_itself, argument, pure=False)
            return sent[id(argument)]

        columns = [[once(argument) for argument in column] for column in zip(*units, strict=True)]
        futures = client.map(_alone, [function] * len(units), *columns, pure=False)
        try:
            done = {each.key: each.result() for each in as_completed(futures, loop=client.loop)}
            return [done[future.key] for future in futures]
        except KilledWorker as error:
            raise NoEngine("the workers of one fit died again and again; do they have enough "
                           "memory?") from error  # fmt: skip
        except (FutureCancelledError, CancelledError) as error:
            raise NoEngine("the scheduler was lost; start one and run this again") from error


def _itself(argument: object) -> object:
    return argument


def _alone(function: Callable, *arguments: object) -> object:
    with threadpool_limits(1):
        return function(*arguments)


def _end_with_parent() -> None:
    """Have a process end with the one that started it, even if that is killed."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end(pool: ProcessPoolExecutor) -> None:
    """End a pool's processes in whatever they do."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
