"""What a killed run has left half done is undone before the next one."""

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from papermill_chain.runs.files import take_back
from papermill_chain.runs.manifest import CUT, _write_json


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
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return [stage["name"] for stage in told["stages"] if stage["status"] in CUT]
    return []


def mark_interrupted(folder: Path) -> None:
    """Say of a run that its runner was killed, and take away what it has staged."""
    manifest = folder / "manifest.json"
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        told = json.loads(manifest.read_text(encoding="utf-8"))
        for record in [told, *told["stages"]]:
            if record["status"] == "running":
                record["status"] = "interrupted"
        if told["finished"] is None:
            ended = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
            told["finished"] = ended.isoformat(timespec="seconds")
        _write_json(manifest, told)
    shutil.rmtree(folder / "staged", ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()  # it was killed before there was anything to tell
