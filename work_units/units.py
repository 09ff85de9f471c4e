"""Independent units of work, done side by side: by processes of this machine, or by a Dask cluster.

A unit is one call of an importable function, and has to be safe to do twice: whoever does it may be
killed at any moment, and then it is done again by somebody else. Each has one thread to itself, so
that its result does not depend on where it is done or on how many run side by side.
"""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from work_units.checkpoints import Checkpoints
from work_units.local import Function, Units, run_local

#: Names the scheduler of the cluster that work goes to; Dask itself knows it by this name too.
ADDRESS = "DASK_SCHEDULER_ADDRESS"


def run_units(
    function: Function, units: Units, workers: int = -1, keep: str | Path | None = None
) -> list[Any]:
    """What a function returns for each unit of work, in the order of the units.

    The work goes to the cluster that the environment names, if it names one.

    Parameters
    ----------
    function
        Of a module, so that another process finds it by name.
    units
        The arguments of each call.
    workers
        Processes, -1 for one a core; one means this process. A cluster has its own.
    keep
        A folder that results are kept in as they come, and taken from if they are there already:
        work that was cut short goes on. :func:`work_units.checkpoints.forget` it when all is done.

    Raises
    ------
    WorkersDied
        If workers have died again and again at one unit.
    NoCluster
        If there is no such cluster, or it is lost.
    OSError
        If there can be no such folder.
    """
    checkpoints = Checkpoints(keep, function, units) if keep else None
    results = checkpoints.read() if checkpoints else {}
    left = [number for number in range(len(units)) if number not in results]
    rest = [units[number] for number in left]
    if rest and (address := os.environ.get(ADDRESS)):
        from work_units.dask_cluster import on_cluster

        done = on_cluster(function, rest, address, print)
    else:
        done = run_local(function, rest, workers, forked=True)
    with closing(done):
        for place, result in done:
            results[left[place]] = result
            if checkpoints:
                checkpoints.write(left[place], result)
    return [results[number] for number in range(len(units))]
