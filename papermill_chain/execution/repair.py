"""What a killed run has left half done is undone before the next one."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from papermill_chain.runs.files import take_back
from papermill_chain.runs.manifest import CUT, UnreadableManifest, read_run


def unfinished(experiments: Path) -> list[Path]:
    """The folders of runs whose runner was killed before it could tidy up."""
    return [staged.parent for staged in sorted(experiments.glob("runs/*/staged"))]


def repair(experiments: Path, places: Iterable[Path]) -> None:
    """Undo what a killed runner has left half done, and kill what it has left running."""
    for folder in unfinished(experiments):
        from papermill_chain.execution.fork_server import MARK_OF_RUN, kill_family

        kill_family({MARK_OF_RUN: str(folder)})
    take_back(experiments / ".publishing.json", places)


def stages_cut(folder: Path) -> list[str]:
    """The stages that were running when the runner of a run was killed."""
    with suppress(UnreadableManifest):
        return [stage.name for stage in read_run(folder).stages if stage.status in CUT]
    return []


def mark_interrupted(folder: Path) -> None:
    """Record of a run that its runner was killed, and remove what it has staged."""
    with suppress(OSError, UnreadableManifest):
        run = read_run(folder)
        run.status = _ended(run.status)
        for stage in run.stages:
            stage.status = _ended(stage.status)
        if run.finished is None:
            ended = datetime.fromtimestamp((folder / "manifest.json").stat().st_mtime, UTC)
            run.finished = ended.isoformat(timespec="seconds")
        run.save()
    shutil.rmtree(folder / "staged", ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()  # it was killed before there was anything to record


def _ended(status: str) -> str:
    """What was running when the runner was killed is interrupted."""
    return "interrupted" if status == "running" else status
