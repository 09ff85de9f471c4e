"""What --keep does after a good run, or would do: old runs are removed, and a line says so."""

import sys
from argparse import Namespace
from functools import partial

from papermill_chain.chain.plan import Plan
from papermill_chain.reports.screen import counted, shown_path
from papermill_chain.reports.views import print_event
from papermill_chain.runs.files import os_error_text
from papermill_chain.runs.pruning import Protected, bytes_freed, old_runs, prune
from papermill_chain.runs.records import last_good


def remove_old_runs(plan: Plan, asked: Namespace, protected: Protected) -> None:
    """Remove the runs beyond the newest that nothing rests on; a failure of that is a line only."""
    from papermill_chain.reports.index import write_index_of

    try:
        folders = old_runs(plan.experiments, asked.keep, protected)
        megabytes = bytes_freed(folders) / 1e6
        if folders:
            prune(plan.experiments, folders, partial(write_index_of, plan))
    except Exception as error:  # noqa: BLE001  the run is as good as it was, whatever it is
        trouble = f"--keep {asked.keep} has not removed all old runs: {_why(error)}"
        print(trouble, file=sys.stderr)
        if asked.json:
            print_event("runs removed", runs=[], megabytes=0.0, trouble=trouble)
        return
    if asked.json:
        ids = [folder.name for folder in folders]
        print_event("runs removed", runs=ids, megabytes=round(megabytes, 1), trouble=None)
    elif folders and not asked.quiet:
        print(f"Removed {counted(len(folders), 'old run')}, {megabytes:.1f} MB")


def show_old_runs(plan: Plan, asked: Namespace, protected: Protected) -> None:
    """Print what --keep would remove if the run that is asked for came to a good end.

    That run is then the newest. What the files of today come from is not among these, although
    that run may make them anew.
    """
    last = last_good(plan.experiments)
    comes = any(plan.why(stage, last.get(stage.name)) for stage in plan.stages)
    try:
        folders = old_runs(plan.experiments, asked.keep - comes, protected)
    except Exception as error:  # noqa: BLE001  whatever a registry may raise
        print(f"--keep {asked.keep} would remove no run: {_why(error)}")
        return
    for folder in folders:
        print(f"would remove {shown_path(folder)}")
    megabytes = bytes_freed(folders) / 1e6
    print(f"--keep {asked.keep} would remove {counted(len(folders), 'run')}, {megabytes:.1f} MB")


def _why(error: Exception) -> str:
    return os_error_text(error) if isinstance(error, OSError) else str(error)
