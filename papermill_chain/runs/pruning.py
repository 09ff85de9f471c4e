"""Old runs that go: which ones may, and how they do, so that a kill leaves no half run."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from papermill_chain.runs.lookup import read_runs
from papermill_chain.runs.manifest import GOOD, Run
from papermill_chain.runs.records import last_good
from work_units.regular_files import make_way

#: The ids of runs that stay however old they are.
Protected = Callable[[], Iterable[str]]

#: Below the folder that keeps all runs: what is being deleted, and is a run no more.
PRUNED = ".pruned"


def old_runs(experiments: Path, keep: int, protected: Protected = tuple) -> list[Path]:
    """The folders of the runs that may go, newest first.

    A run stays that is among the newest, that a stage's last success comes from, that is going on,
    or whose manifest cannot be read; and what is a link and not a folder.

    Parameters
    ----------
    keep : how many of the newest stay.
    protected : the ids of others that stay; it is only called if there are any beyond the newest.
    """
    if (experiments / "runs").is_symlink():
        return []
    runs = [run for run in read_runs(experiments) if _has_ended(run)]
    older = runs[keep:]
    needed = {*protected(), *_makers(experiments, runs)} if older else set()
    return [run.folder for run in older if not {run.id, run.folder.name} & needed]


def bytes_freed(folders: Iterable[Path]) -> int:
    """What deleting some folders gives back; a file that has a name in others too gives nothing.

    A stage that is up to date has its report in the new run's folder as well, as a hard link.
    """
    names, sizes = Counter[tuple[int, int]](), dict[tuple[int, int], tuple[int, int]]()
    for folder in folders:
        for place, _, files in os.walk(folder):
            for file in files:
                status = os.lstat(os.path.join(place, file))
                known = status.st_dev, status.st_ino
                names[known] += 1
                sizes[known] = status.st_size, status.st_nlink
    return sum(size for known, (size, links) in sizes.items() if names[known] >= links)


def prune(experiments: Path, folders: Iterable[Path], write_index: Callable[[], object]) -> None:
    """Delete the folders of runs, and the pages that compare them with others.

    Each is first renamed out of the way, which is done whole or not at all. Whoever holds the lock
    of the folder may do this, and nobody else.

    Parameters
    ----------
    write_index : writes the page that lists all runs anew.

    Raises
    ------
    OSError
        If one cannot be renamed or deleted; what has been renamed by then is a run no more.
    """
    finish_pruning(experiments, write_index)
    place = experiments / PRUNED
    place.mkdir()
    try:
        for folder in folders:
            os.rename(folder, place / folder.name)
    finally:
        finish_pruning(experiments, write_index)


def finish_pruning(experiments: Path, write_index: Callable[[], object]) -> None:
    """Delete what was renamed in order to be deleted, also by a process that was killed then."""
    place = experiments / PRUNED
    if not os.path.lexists(place):
        return
    if place.is_symlink() or not place.is_dir():
        make_way(place)
        return
    for page in _comparisons_with(set(os.listdir(place)), experiments):
        page.unlink()
    write_index()
    shutil.rmtree(place)


def _has_ended(run: Run) -> bool:
    """Whether this is a run that is over, in a folder of its own."""
    known = not run.unreadable and not run.folder.is_symlink()
    return known and run.status != "running" and not run.staged.exists()


def _makers(experiments: Path, runs: Iterable[Run]) -> set[str | None]:
    """The ids of the runs that have made the newest good files of each stage.

    By the record of last successes, and by the manifests, should that record be damaged.
    """
    makers = {
        stage.name: stage.run
        for run in reversed(list(runs))
        for stage in run.stages
        if stage.status in GOOD
    }
    return {*makers.values(), *(stage.run for stage in last_good(experiments).values())}


def _comparisons_with(gone: set[str], experiments: Path) -> list[Path]:
    """The pages that compare one of some runs with another."""
    return [
        page
        for page in experiments.glob("comparisons/*_*.html")
        if any(page.stem.startswith(f"{id}_") or page.stem.endswith(f"_{id}") for id in gone)
    ]
