"""The runs that there are, and which is meant by an id, its beginning, `latest`, or a folder."""

import difflib
import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from papermill_chain.runs.manifest import Run, UnreadableManifest, read_run


class NoRun(ValueError):
    """Why there is no run under a name, or why it cannot be read."""


def named_run(wanted: str, experiments: Path) -> Run:
    """The run that is meant.

    Parameters
    ----------
    wanted
        An id or the beginning of one, `latest`, `previous` (the one before it), or a folder.

    Raises
    ------
    NoRun
        If there is none or more than one, with the nearest, or if its manifest cannot be read.
    """
    folder = find_run(wanted, experiments)
    try:
        return read_run(folder)
    except UnreadableManifest as error:
        raise NoRun(
            f"{folder / 'manifest.json'} cannot be read ({error}); "
            "run the chain again to have a whole run"
        ) from error


def find_run(wanted: str, experiments: Path) -> Path:
    """The folder of the run that is meant; as :func:`named_run`."""
    folder, ids = Path(wanted), run_ids(experiments)
    if (folder / "manifest.json").is_file():
        return folder
    meant = [wanted] if wanted in ids else [id for id in ids if wanted and id.startswith(wanted)]
    if wanted and not meant and folder.is_dir():
        raise NoRun(f"{folder} is not the folder of a run: it has no manifest.json")
    runs = experiments / "runs"
    if not ids:
        raise NoRun(f"{runs} has no run yet: run the chain first")
    from_the_end = {"latest": -1, "previous": -2}
    if wanted in from_the_end:
        if len(ids) < -from_the_end[wanted]:
            raise NoRun(f"there is no run before {ids[-1]}: run the chain once more to compare")
        return runs / ids[from_the_end[wanted]]
    if not meant:
        near = difflib.get_close_matches(wanted, ids, 3, 0.3) or ids[-3:]
        raise NoRun(f"no run {wanted!r} in {runs}; nearest: {', '.join(near)}")
    if len(meant) > 1:
        more = f" and {len(meant) - 5} more" if len(meant) > 5 else ""
        raise NoRun(
            f"{wanted!r} is the beginning of {', '.join(meant[-5:])}{more}: give more of it"
        )
    return runs / meant[0]


def run_ids(experiments: Path) -> list[str]:
    """The names of all runs that have a manifest, the oldest first."""
    found = [manifest.parent.name for manifest in experiments.glob("runs/*/manifest.json")]
    return sorted(found, key=lambda id: ([int(part) for part in re.findall(r"\d+", id)], id))


def read_runs(experiments: Path) -> list[Run]:
    """All runs under `experiments`, newest first, also those that cannot be read."""
    manifests = experiments.glob("runs/*/manifest.json")
    runs = [_known_run(manifest.parent, manifest.lstat().st_mtime_ns) for manifest in manifests]
    return sorted(runs, key=lambda run: (run.began, run.id), reverse=True)


def has_failed(stage: str, experiments: Path) -> bool:
    """Whether a stage has failed, or was cut short, in any run."""
    records = (run.records.get(stage) for run in read_runs(experiments))
    return any(record.status in ("failed", "interrupted") for record in records if record)


@lru_cache(maxsize=10_000)  # a run writes the index after each of its reports
def _known_run(folder: Path, written: int) -> Run:
    """A run as its manifest has it since `written`, in nanoseconds; read once."""
    try:
        return read_run(folder)
    except UnreadableManifest as error:
        began = datetime.fromtimestamp(written / 1e9, UTC).isoformat()
        why = f"manifest.json: {error}"
        return Run(folder, folder.name, "", began, {}, [], status="unreadable", unreadable=why)
