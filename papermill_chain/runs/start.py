"""A run that starts: its folder, named after the time, and what it is made from."""

import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from papermill_chain.runs.files import sha256
from papermill_chain.runs.lock import note_holder
from papermill_chain.runs.manifest import Run, StageRun


def new_run(
    root: Path, experiments: Path, title: str, parameters: dict[str, Any], stages: list[StageRun]
) -> Run:
    """A run with a folder of its own below `experiments`, named after the time in UTC."""
    now = datetime.now(UTC)
    runs = experiments / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    for attempt in count(1):
        id = f"{now:%Y%m%d-%H%M%S}" + (f"-{attempt}" if attempt > 1 else "")
        folder = runs / id
        with suppress(FileExistsError):
            folder.mkdir()
            break
    (folder / "staged").mkdir()
    lock = root / "uv.lock"
    note_holder(experiments, f"run {id}")
    return Run(
        folder,
        id,
        title,
        now.isoformat(timespec="seconds"),
        parameters,
        stages,
        git=_git_state(root),
        lock_sha256=sha256(lock) if lock.is_file() else None,
    )


def _git_state(root: Path) -> dict[str, Any] | None:
    """The commit of a checkout and whether files differ from it; None outside of git."""
    git = ["git", "--no-optional-locks", "-C", str(root)]
    try:
        commit, changes = (
            subprocess.run([*git, *asked], capture_output=True, text=True, check=True, timeout=20)
            for asked in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "dirty": bool(changes.stdout.strip())}
