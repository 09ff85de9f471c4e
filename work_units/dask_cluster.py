"""Units of work on a Dask cluster; see :mod:`work_units.units`. Needs the extra `scale`.

A worker has to be started with the same installation as this machine: one with another Python,
other libraries or another source of the function is refused, since its results would be others.
"""

import pickle
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

from threadpoolctl import threadpool_limits

from work_units.checkpoints import basis
from work_units.dask_client import connected, cores_once_there_is_a_worker, one_line
from work_units.errors import MAX_WORKER_DEATHS, NoCluster, WorkersDied
from work_units.local import Function, Numbered, Units

#: Seconds after which no new worker is expected where none is left.
SECONDS_WITHOUT_WORKERS = 60

#: Seconds of work that are worth the way to a worker, and at the end, when workers may have to
#: wait for each other, the least that is; shorter units go there together.
SPAN, LEAST = 0.5, 0.1

#: Bytes from which an argument that several units share is sent once and not with each.
LARGE = 10_000


def on_cluster(
    function: Function,
    units: Units,
    address: str,
    notify: Callable[[str], object] = lambda line: None,
) -> Generator[Numbered]:
    """Do units on a cluster, yielding each one's number and result as it is done.

    The units of a worker that dies are done by the others. Few are sent ahead, so that a hundred
    thousand of them do not wait in the scheduler's memory. Those that take but milliseconds, less
    than it takes to send them, are sent several at a time, as joblib does.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``.
    notify
        Called with a line on where the work goes and where one can watch it.

    Raises
    ------
    NoCluster
        If Dask is not installed, no scheduler answers, it is lost, or workers cannot do the work.
    WorkersDied
        If workers have died again and again at one unit.
    """
    with connected(address) as client:
        cores = cores_once_there_is_a_worker(client, address)
        notify(
            f"{len(units):,} units of work for {cores} cores at {address}; "
            f"dashboard: {client.dashboard_link}"
        )
        yield from _Work(client, function, units, cores).results()


class _Work:
    """Units that a cluster does: which wait, which are under way, and how long they take."""

    def __init__(self, client: Any, function: Function, units: Units, cores: int):
        self.client, self.function, self.units, self.cores = client, function, units, cores
        self.shared = _Shared(client, units)
        self.basis = basis(function.__module__)
        self.waiting = deque(range(len(units)))
        self.under_way: dict[str, tuple[list[int], Any]] = {}  # by key: the units, their future
        self.deaths: Counter[int] = Counter()
        self.order = count()  # what was sent first is done first
        self.seconds, self.finished = 0.0, 0

    def results(self) -> Generator[Numbered]:
        """Send the units, and yield each one's number and result as it is done."""
        from distributed import KilledWorker, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError

        ahead = min(3 * self.cores, len(self.waiting))
        first = [self._send([self.waiting.popleft()]) for _ in range(ahead)]
        done: Any = as_completed(first, loop=self.client.loop)  # type: ignore[no-untyped-call]  # Dask has no types for it
        with _watching(self.client, self.under_way) as workers_gone:
            for future in done:
                numbers, _ = self.under_way.pop(future.key)
                try:
                    seconds, results = future.result()
                except KilledWorker as error:
                    for number in numbers:
                        self.deaths[number] += error.allowed_failures + 1
                        if self.deaths[number] >= MAX_WORKER_DEATHS:
                            raise WorkersDied([number], len(self.units)) from error
                        done.add(self._send([number]))
                    continue
                except (FutureCancelledError, CommClosedError) as error:
                    lost = "the scheduler was lost; start one"
                    if workers_gone.is_set():
                        lost = "all workers are gone; start some"
                    raise NoCluster(f"{lost} and run this again") from error
                except ModuleNotFoundError as error:
                    raise NoCluster(
                        f"a worker has {one_line(error)}; install on the workers what is "
                        "installed here"
                    ) from error
                future.release()
                self.seconds += seconds
                self.finished += len(numbers)
                if self.waiting:
                    done.add(self._send(self._next()))
                yield from zip(numbers, results, strict=True)

    def _send(self, numbers: list[int]) -> Any:
        """Have some units done by one worker; their future."""
        units = [
            tuple(self.shared(argument) for argument in self.units[number]) for number in numbers
        ]
        order = -next(self.order)
        future = self.client.submit(
            _done_by_worker, self.basis, self.function, units, pure=False, priority=order
        )
        self.under_way[future.key] = numbers, future
        return future

    def _next(self) -> list[int]:
        """The units to send next together; fewer of the last ones, so that workers end together."""
        a_second = self.finished / max(self.seconds, 1e-9)
        fair = max(len(self.waiting) / (2 * self.cores), LEAST * a_second)
        most = max(1, int(min(SPAN * a_second, fair, len(self.waiting))))
        return [self.waiting.popleft() for _ in range(most)]


@contextmanager
def _watching(
    client: Any, under_way: dict[str, tuple[list[int], Any]]
) -> Iterator[threading.Event]:
    """Cancel what is under way once there has been no worker for long; the event is then set."""
    over, gone = threading.Event(), threading.Event()

    def watch() -> None:
        last = time.monotonic()  # that there was a worker
        while not (over.wait(2) or gone.is_set()):
            with suppress(Exception):  # that the scheduler is lost is known from the futures, too
                if client.nthreads():
                    last = time.monotonic()
                elif time.monotonic() - last > SECONDS_WITHOUT_WORKERS:
                    gone.set()
                    client.cancel([future for _, future in list(under_way.values())])

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield gone
    finally:
        over.set()  # and it is not waited for: it may be asking a scheduler that is lost


class _Shared:
    """Large arguments of several units, on the cluster."""

    def __init__(self, client: Any, units: Units):
        self.client = client
        self.sent: dict[int, Any] = {}
        self.uses = Counter(id(argument) for unit in units for argument in unit)

    def __call__(self, argument: Any) -> Any:
        """An argument, or where the cluster has it."""
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


def _done_by_worker(
    asked: str, function: Function, units: list[tuple[Any, ...]]
) -> tuple[float, list[Any]]:
    """On a worker: do units if its basis is the one asked for; the seconds, and the results."""
    if (own := basis(function.__module__)) != asked:
        theirs, ours = set(own.split(", ")), set(asked.split(", "))
        raise NoCluster(
            f"a worker has {' and '.join(sorted(theirs - ours))} where "
            f"{' and '.join(sorted(ours - theirs))} is asked for; start the workers "
            "anew with what is installed here"
        )
    threadpool_limits(1)  # for good: other units of the same process count on it
    began = time.perf_counter()
    results = [function(*arguments) for arguments in units]
    return time.perf_counter() - began, results
