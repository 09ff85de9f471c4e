"""Units of work on a Dask cluster; see :mod:`creditrisk.workers`. Needs the extra `scale`."""

import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice
from typing import Any

from threadpoolctl import threadpool_limits

from creditrisk.workers import DEATHS, WorkersDied

#: Seconds after which a scheduler that does not answer counts as gone.
PATIENCE = 8

#: Bytes from which an argument that several units share is sent once and not with each.
LARGE = 10_000


class NoCluster(RuntimeError):
    """Why work cannot be done on a cluster, in one sentence."""


def on_cluster(
    function: Callable, units: Sequence[tuple], address: str,
    tell: Callable[[str], object] = lambda words: None,
) -> Iterator[tuple[int, Any]]:  # fmt: skip
    """Do units on a cluster, yielding each one's number and result as it is done.

    The units of a worker that dies are done by the others. Few are sent ahead, so that a hundred
    thousand of them do not wait in the scheduler's memory.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``.
    tell
        Is told where the work goes and where one can watch it.

    Raises
    ------
    NoCluster
        If Dask is not installed, no scheduler answers, it is lost, or workers cannot do the work.
    WorkersDied
        If workers have died again and again at one unit.
    """
    with _client(address) as client:
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError

        cores = sum(client.nthreads().values())
        tell(f"{len(units):,} units of work for {cores} cores at {address}; "
             f"dashboard: {client.dashboard_link}")  # fmt: skip
        share, rest = _Shared(client, units), iter(range(len(units)))
        numbers, deaths = {}, Counter()
        order = count()  # what was sent first is done first

        def send(chosen: Sequence[int]) -> list:
            sent = []
            for number in chosen:
                arguments = [share(argument) for argument in units[number]]
                future = client.submit(
                    _alone, function, *arguments, pure=False, priority=-next(order)
                )
                numbers[future.key] = number
                sent.append(future)
            return sent

        done = as_completed(send(list(islice(rest, max(100, 4 * cores)))), loop=client.loop)
        for future in done:
            number = numbers.pop(future.key)
            try:
                result = future.result()
            except KilledWorker as error:
                deaths[number] += 1
                if deaths[number] >= DEATHS:
                    raise WorkersDied([number], len(units)) from error
                done.update(send([number]))
                continue
            except FutureCancelledError as error:
                raise NoCluster("the scheduler was lost; start one and run this again") from error
            except ModuleNotFoundError as error:
                raise NoCluster(f"a worker has {_words(error)}; install on the workers what is "
                                "installed here") from error  # fmt: skip
            yield number, result
            future.release()
            done.update(send(list(islice(rest, 1))))


class _Shared:
    """Large arguments of several units, on the cluster."""

    def __init__(self, client, units: Sequence[tuple]):
        self.client, self.sent = client, {}
        self.uses = Counter(id(argument) for unit in units for argument in unit)

    def __call__(self, argument: Any) -> Any:
        if self.uses[id(argument)] == 1:
            return argument
        if id(argument) not in self.sent:
            large = len(pickle.dumps(argument)) >= LARGE
            # Made by a task, and so made again if the worker that holds it dies.
            self.sent[id(argument)] = (
                self.client.submit(_itself, argument, pure=False) if large else argument
            )
        return self.sent[id(argument)]


def _itself(argument: Any) -> Any:
    return argument


def _alone(function: Callable, *arguments: Any) -> Any:
    threadpool_limits(1)  # for good: other units of the same process count on it
    return function(*arguments)


@contextmanager
def _client(address: str) -> Iterator:
    """A client of the scheduler at an address."""
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise NoCluster("a scheduler is named, and Dask is not installed; "
                        "install the extra: uv sync --extra scale") from None  # fmt: skip
    # Once it is lost, its return is not waited for: its workers have lost it as well.
    dask.config.set({"distributed.comm.timeouts.connect": f"{PATIENCE}s"})
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we have the words
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:  # whatever answers there may answer anything
        raise NoCluster(f"no scheduler answers at {address} ({_words(error)}); start one with "
                        "`dask scheduler`, and `dask worker` for each worker") from None  # fmt: skip
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=2)


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
