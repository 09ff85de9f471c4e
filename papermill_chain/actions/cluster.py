"""The Dask cluster that a command line names."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from papermill_chain.arguments import SCHEDULER
from papermill_chain.reports.views import print_event


@contextmanager
def cluster_of(asked: Namespace) -> Iterator[Any]:
    """A client of the cluster that is named, once it has answered; prints where to watch it."""
    from work_units.dask_client import connected, cores_of

    address = os.environ[SCHEDULER]
    with connected(address) as client:
        cores, dashboard = cores_of(client), client.dashboard_link
        if asked.json:
            print_event("cluster", address=address, cores=cores, dashboard=dashboard)
        elif not asked.quiet:
            count = "1 core" if cores == 1 else f"{cores or 'no'} cores"
            print(f"cluster at {address}: {count}; dashboard: {dashboard}", flush=True)
        yield client
