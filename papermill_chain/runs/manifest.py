"""What is kept of a run: its folder, its manifest, and of each stage the last good record."""

import json
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from papermill_chain.runs.figures import Figure, read_figures
from papermill_chain.runs.files import sha256, write_whole
from papermill_chain.runs.lock import _note_holder

GOOD = ("succeeded", "up to date")
CUT = ("running", "interrupted", "failed")


@dataclass
class Failure:
    """Where and why a notebook stopped; `cell` counts from 0, `number` counts code cells from 1."""

    ename: str
    evalue: str
    cell: int | None = None
    number: int | None = None
    heading: str | None = None
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.ename}: {self.evalue}" if self.evalue else self.ename


@dataclass
class StageRun:
    """What became of one stage; hashes are sha256, paths of reads and writes are below the root."""

    name: str
    title: str
    parameters: dict[str, Any]
    status: str = "not run"
    why: list[str] = field(default_factory=list)  # it ran, rather than be taken as it was
    run: str | None = None  # the id of the run that executed it
    seconds: float | None = None
    basis: dict[str, Any] = field(default_factory=dict)  # notebook, code, lock and Python
    reads: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)  # parameter: file in the run's folder
    headline: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    picture: dict[str, str] | None = None  # "file" in the run's folder, and "alt"
    cells: list[dict[str, Any]] = field(default_factory=list)  # time and peak memory of each
    error: Failure | None = None
    notebook: str | None = None
    report: str | None = None


@dataclass
class Run:
    """One run of a chain, kept as the manifest in its folder."""

    folder: Path
    id: str
    title: str
    started: str
    parameters: dict[str, Any]
    stages: list[StageRun]
    git: dict[str, Any] | None = None
    lock_sha256: str | None = None
    python: str = field(default_factory=platform.python_version)
    platform: str = field(default_factory=platform.platform)
    status: str = "running"
    finished: str | None = None
    seconds: float | None = None
    after: str | None = None  # why what was to follow the last stage has failed
    troubles: list[str] = field(default_factory=list)  # what else went wrong, beside the stages

    @property
    def headlines(self) -> dict[str, str]:
        """The sentence to remember of each stage that has one."""
        return {stage.name: stage.headline for stage in self.stages if stage.headline}

    @property
    def figures(self) -> dict[str, Figure]:
        """The key figures of all stages; of two by one name, the later stage's."""
        return {name: value for stage in self.stages for name, value in stage.figures.items()}

    @property
    def reports(self) -> list[Path]:
        """The HTML reports that have been made so far."""
        return [self.folder / stage.report for stage in self.stages if stage.report]

    @property
    def records(self) -> dict[str, StageRun]:
        """What is told of each stage."""
        return {stage.name: stage for stage in self.stages}

    @property
    def staged(self) -> Path:
        """Where stages write until all they write is there; it is gone when a run has ended well."""
        return self.folder / "staged"

    def save(self) -> None:
        """Write the manifest, whole or not at all."""
        told = asdict(self)
        told["figures"] = {name: asdict(figure) for name, figure in self.figures.items()}
        del told["folder"]
        told["stages"] = told.pop("stages")  # last, below the facts about the run
        _write_json(self.folder / "manifest.json", told)


def new_run(root: Path, title: str, parameters: dict[str, Any], stages: list[StageRun]) -> Run:
    """A run with a folder of its own, named after the time in UTC."""
    now = datetime.now(UTC)
    for attempt in count(1):
        id = f"{now:%Y%m%d-%H%M%S}" + (f"-{attempt}" if attempt > 1 else "")
        folder = root / "experiments" / "runs" / id
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    (folder / "staged").mkdir()
    lock = root / "uv.lock"
    _note_holder(root / "experiments", f"run {id}")
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


def last_good(experiments: Path) -> dict[str, StageRun]:
    """The record of each stage's last success; nothing of what cannot be read."""
    try:
        told = json.loads((experiments / "stages.json").read_text(encoding="utf-8"))
        return {
            name: StageRun(**record | {"figures": read_figures(record["figures"])})
            for name, record in told.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def sources(stage: StageRun, records: Iterable[StageRun]) -> dict[str, str]:
    """The files no stage writes from which all that a stage reads was made, with their hashes."""
    writer = {path: record for record in records for path in record.writes}
    found, waiting, seen = {}, [stage], {stage.name}
    while waiting:
        for path, hash in waiting.pop().reads.items():
            if path not in writer:
                found.setdefault(path, hash)
            elif writer[path].name not in seen:
                waiting.append(writer[path])
                seen.add(writer[path].name)
    return found


def remember(experiments: Path, stage: StageRun) -> None:
    """Keep a success as the stage's last."""
    good = last_good(experiments) | {stage.name: stage}
    _write_json(experiments / "stages.json", {name: asdict(good[name]) for name in sorted(good)})


def _write_json(path: Path, told: dict[str, Any]) -> None:
    write_whole(path, json.dumps(told, indent=2, ensure_ascii=False, default=str))


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
