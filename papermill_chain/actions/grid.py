"""The chain for each combination of some parameters."""

import os
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from papermill_chain.actions.cluster import cluster_of
from papermill_chain.actions.pages import open_page
from papermill_chain.arguments import SCHEDULER
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.openlineage.target import URL as OPENLINEAGE_URL
from papermill_chain.runs.lock import only_run
from papermill_chain.started import refuse_incomplete_python


def run_combinations(
    asked: Namespace,
    plan_for: Callable[[Namespace], Plan],
    shared: Sequence[str],
    index: Callable[[], Path],
) -> int:
    """Run the chain for each combination of some parameters, or show what that would be."""
    from papermill_chain.grid.combinations import grid_of
    from papermill_chain.grid.run import LocalExecutor, run_grid
    from papermill_chain.grid.terminal import grid_view_for, show_failed_combinations, show_grid

    if asked.openlineage:
        raise ChainError("--openlineage goes with a run; the chains of a --grid only explore")
    # A chain that a worker runs would wait for that very worker if its notebooks knew the cluster.
    unset = [*shared, SCHEDULER, OPENLINEAGE_URL]
    grid = grid_of(asked, plan_for, unset, os.environ.get(SCHEDULER))
    if asked.dry_run:
        show_grid(grid)
        return 0
    refuse_incomplete_python()
    with (
        only_run(grid.folder.parent, f"grid {grid.id}"),
        grid_view_for(quiet=asked.quiet, json=asked.json) as view,
    ):
        if grid.scheduler:
            from papermill_chain.grid.dask_cluster import Workers

            with cluster_of(asked) as client:
                code = run_grid(grid, Workers(client, grid), view)
        else:
            code = run_grid(grid, LocalExecutor(grid), view)
    index()
    show_failed_combinations(grid)
    if asked.open and code <= 1:
        open_page(grid.page)
    return code
