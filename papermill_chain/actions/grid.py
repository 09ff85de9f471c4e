"""The chain for each combination of some parameters."""

import os
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from papermill_chain.actions.cluster import cluster_of
from papermill_chain.actions.pages import open_page
from papermill_chain.arguments import SCHEDULER
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.openlineage.target import URL as OPENLINEAGE_URL
from papermill_chain.runs.lock import only_run
from papermill_chain.started import refuse_incomplete_python

if TYPE_CHECKING:  # a grid that sends no word need not load what does
    from papermill_chain.notices.sending import Word


def run_combinations(
    asked: Namespace,
    plan_for: Callable[[Namespace], Plan],
    shared: Sequence[str],
    index: Callable[[], Path],
    word: "Word | None",
) -> int:
    """Run the chain for each combination of some parameters, or show what that would be.

    Parameters
    ----------
    index : writes the page of all runs anew, and returns it.
    word : who gets word of the grid, if anybody.
    """
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
        if asked.keep:
            print(f"--keep {asked.keep} would be for the runs of each combination in its folder")
        return 0
    refuse_incomplete_python()
    began = time.monotonic()
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
    runs = index()
    show_failed_combinations(grid)
    if word:
        from papermill_chain.grid.notice import notice_of_grid

        word.of(notice_of_grid(grid, code, time.monotonic() - began, runs))
    if asked.open and code <= 1:
        open_page(grid.page)
    return code
