"""The connection to a Dask cluster; needs the extra `scale`."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from work_units.errors import NoCluster

#: Seconds after which a scheduler that does not answer counts as gone; the second, for one whose
#: machine is silent, is the least that Dask can do with.
PATIENCE, SILENCE = 8, 11


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    NoCluster
        If Dask is not installed or no scheduler answers.
    """
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
        logging.getLogger(name).setLevel(logging.CRITICAL)  # our errors are enough
    client: Any
    try:
        _check_for_scheduler(address)
        # Dask has types, but not for this.
        client = Client(address, timeout=PATIENCE, set_as_default=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  what answers there may answer anything
        raise NoCluster(
            f"no scheduler answers at {address} ({one_line(error)}); start one with "
            "`dask scheduler`, and `dask worker` for each worker"
        ) from None
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=2)


def cores_of(client: Any) -> int:
    """The threads of all workers that a cluster has now."""
    return sum(client.nthreads().values())


def cores_once_there_is_a_worker(client: Any, address: str) -> int:
    """The threads of all workers, as soon as there is one; NoCluster if none comes."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except Exception as error:
        raise NoCluster(
            f"no worker has come to the scheduler at {address}; start some with "
            f"`dask worker {address}`"
        ) from error
    return cores_of(client)


def one_line(error: BaseException) -> str:
    """The text of an error, short and on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _check_for_scheduler(address: str) -> None:
    """Raise an error if nothing or something else answers: Dask would wait for it for ever."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme == "tcp":  # in all others the client speaks first
        with socket.create_connection(parse_host_port(place), PATIENCE / 2) as line:
            if not line.recv(1):
                raise ConnectionError("it hangs up")
