"""Units of work on a Dask cluster; see :mod:`work_units.units`. Needs the extra `scale`.

A worker has to be started with what is installed here: one with another Python, other libraries or
another source of the function is refused, since its results would not be those of this machine.
"""

import logging
import pickle
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from threadpoolctl import threadpool_limits

from work_units.checkpoints import basis
from work_units.errors import MAX_WORKER_DEATHS, NoCluster, WorkersDied

#: Seconds after which a scheduler that does not answer counts as gone; the second, for one whose
#: machine says nothing any more, is the least that Dask can do with.
PATIENCE, SILENCE = 8, 11

#: Seconds after which nobody is expected to come where no worker is left.
ALONE = 60

#: Seconds of work that are worth the way to a worker, and at the end, when workers may have to
#: wait for each other, the least that is; shorter units go there together.
SPAN, LEAST = 0.5, 0.1

#: Bytes from which an argument that several units share is sent once and not with each.
LARGE = 10_000


def on_cluster(
    function: Callable,
    units: Sequence[tuple],
    address: str,
    tell: Callable[[str], object] = lambda words: None,
) -> Iterator[tuple[int, Any]]:
    """Do units on a cluster, yielding each one's number and result as it is done.

    The units of a worker that dies are done by the others. Few are sent ahead, so that a hundred
    thousand of them do not wait in the scheduler's memory. Those that take but milliseconds, less
    than it takes to send them, are sent several at a time, as joblib does.

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

        cores = _cores(client, address)
        tell(
            f"{len(units):,} units of work for {cores} cores at {address}; "
            f"dashboard: {client.dashboard_link}"
        )
        share, left = _Shared(client, units), deque(range(len(units)))
        sent, deaths = {}, Counter()  # what is under way, by its key
        order = count()  # what was sent first is done first
        like = basis(function.__module__)

        def send(numbers: list[int]):
            parts = [tuple(share(argument) for argument in units[number]) for number in numbers]
            future = client.submit(_alone, like, function, parts, pure=False, priority=-next(order))
            sent[future.key] = numbers, future
            return future

        done = as_completed(
            [send([left.popleft()]) for _ in range(min(3 * cores, len(left)))], loop=client.loop
        )
        took = finished = 0
        with _watching(client, sent) as alone:
            for future in done:
                numbers, _ = sent.pop(future.key)
                try:
                    seconds, results = future.result()
                except KilledWorker as error:
                    for number in numbers:
                        deaths[number] += error.allowed_failures + 1
                        if deaths[number] >= MAX_WORKER_DEATHS:
                            raise WorkersDied([number], len(units)) from error
                        done.add(send([number]))
                    continue
                except FutureCancelledError as error:
                    lost = "all workers are gone; start some"
                    lost = lost if alone.is_set() else "the scheduler was lost; start one"
                    raise NoCluster(f"{lost} and run this again") from error
                except ModuleNotFoundError as error:
                    raise NoCluster(
                        f"a worker has {_words(error)}; install on the workers what is "
                        "installed here"
                    ) from error
                future.release()
                took, finished = took + seconds, finished + len(numbers)
                if left:  # fewer of the last ones: workers shall end together
                    a_second = finished / max(took, 1e-9)
                    fair = max(len(left) / (2 * cores), LEAST * a_second)
                    most = max(1, int(min(SPAN * a_second, fair, len(left))))
                    done.add(send([left.popleft() for _ in range(most)]))
                yield from zip(numbers, results, strict=True)


def _cores(client, address: str) -> int:
    """The threads of all workers, once there is one."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except Exception as error:
        raise NoCluster(
            f"no worker has come to the scheduler at {address}; start some with "
            f"`dask worker {address}`"
        ) from error
    return sum(client.nthreads().values())


@contextmanager
def _watching(client, sent: dict) -> Iterator[threading.Event]:
    """Cancel what is under way once there has been no worker for long; the event says so."""
    over, alone = threading.Event(), threading.Event()

    def watch() -> None:
        seen = time.monotonic()
        while not (over.wait(2) or alone.is_set()):
            with suppress(Exception):  # that the scheduler is lost, the futures tell as well
                if client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen > ALONE:
                    alone.set()
                    client.cancel([future for _, future in list(sent.values())])

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield alone
    finally:
        over.set()  # and it is not waited for: it may be asking a scheduler that is lost


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


def _alone(like: str, function: Callable, units: list[tuple]) -> tuple[float, list[Any]]:
    """On a worker: do units, if nothing there can make a result another than here; seconds, results."""
    if (found := basis(function.__module__)) != like:
        theirs, ours = set(found.split(", ")), set(like.split(", "))
        raise NoCluster(
            f"a worker has {' and '.join(sorted(theirs - ours))} where "
            f"{' and '.join(sorted(ours - theirs))} is asked for; start the workers "
            "anew with what is installed here"
        )
    threadpool_limits(1)  # for good: other units of the same process count on it
    began = time.perf_counter()
    results = [function(*arguments) for arguments in units]
    return time.perf_counter() - began, results


@contextmanager
def _client(address: str) -> Iterator:
    """A client of the scheduler at an address."""
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise NoCluster(
            "a scheduler is named, and Dask is not installed; "
            "install the extra: uv sync --extra scale"
        ) from None
    # Once it is lost, its return is not waited for: its workers have lost it as well.
    timeouts = {"connect": f"{PATIENCE}s", "tcp": f"{SILENCE}s"}
    dask.config.set({f"distributed.comm.timeouts.{name}": time for name, time in timeouts.items()})
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.batched"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # we have the words
    try:
        _refuse_strangers(address)
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except Exception as error:  # whatever answers there may answer anything
        raise NoCluster(
            f"no scheduler answers at {address} ({_words(error)}); start one with "
            "`dask scheduler`, and `dask worker` for each worker"
        ) from None
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=2)


def _refuse_strangers(address: str) -> None:
    """Raise an error if nobody is there or somebody else is: Dask would wait for him for ever."""
    from distributed.comm import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme == "tcp":  # in all others the client has the first word
        with socket.create_connection(parse_host_port(place), PATIENCE / 2) as line:
            if not line.recv(1):
                raise ConnectionError("whoever is there hangs up")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
