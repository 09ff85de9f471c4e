"""What is kept of a run: its folder, its manifest and the files it puts in their places."""

import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any


class Busy(Exception):
    """Another run is going on in the same checkout."""


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
    seconds: float | None = None
    reads: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    headline: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
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
    def figures(self) -> dict[str, Any]:
        """The key figures of all stages; of two by one name, the later stage's."""
        return {name: value for stage in self.stages for name, value in stage.figures.items()}

    @property
    def reports(self) -> list[Path]:
        """The HTML reports that have been made so far."""
        return [self.folder / stage.report for stage in self.stages if stage.report]

    def save(self) -> None:
        """Write the manifest, whole or not at all."""
        told = asdict(self) | {"figures": self.figures}
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
    lock = root / "uv.lock"
    return Run(
        folder, id, title, now.isoformat(timespec="seconds"), parameters, stages,
        git=_git_state(root), lock_sha256=sha256(lock) if lock.is_file() else None,
    )  # fmt: skip


def close_abandoned(experiments: Path) -> None:
    """Mark runs that a killed runner has left at "running" as interrupted."""
    for manifest in experiments.glob("runs/*/manifest.json"):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            told = json.loads(manifest.read_text(encoding="utf-8"))
            for record in [told, *told["stages"]]:
                if record["status"] == "running":
                    record["status"] = "interrupted"
            if told["status"] == "interrupted" and told["finished"] is None:
                ended = datetime.fromtimestamp(manifest.stat().st_mtime, UTC)
                told["finished"] = ended.isoformat(timespec="seconds")
                _write_json(manifest, told)


@contextmanager
def only_run(experiments: Path) -> Iterator[None]:
    """Hold the checkout for one run; Busy tells who holds it already."""
    try:
        import fcntl
    except ImportError:  # Windows: nothing keeps two runs apart there
        yield
        return
    experiments.mkdir(parents=True, exist_ok=True)
    with open(experiments / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system drops it with the process
        except BlockingIOError:
            lock.seek(0)
            raise Busy(lock.read().strip() or "another run") from None
        _note_holder(experiments, "a run that is starting")
        try:
            yield
        finally:
            lock.truncate(0)


def note_run(run: Run) -> None:
    """Let others who find the checkout busy know with which run."""
    _note_holder(run.folder.parent.parent, f"run {run.id}")


def _note_holder(experiments: Path, what: str) -> None:
    (experiments / ".lock").write_text(f"{what}, process {os.getpid()}", encoding="utf-8")


def sha256(path: Path) -> str:
    """The hash of what is in a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(outputs: dict[Path, Path]) -> None:
    """Put new files in their places as one set: if one cannot be, the old ones are put back."""
    kept: dict[Path, Path | None] = {}
    try:
        for new, place in outputs.items():
            _flush(new)
            place.parent.mkdir(parents=True, exist_ok=True)
            kept[place] = _kept_aside(place)
            _move(new, place)
    except OSError:
        for place, old in kept.items():
            if old:
                os.replace(old, place)
            else:
                place.unlink(missing_ok=True)
        raise
    finally:
        for old in filter(None, kept.values()):
            old.unlink(missing_ok=True)


def remove_empty_folders(folder: Path) -> None:
    """Remove a folder and those below it, as far as they hold no file."""
    for below in [*sorted(folder.rglob("*/"), reverse=True), folder]:
        with suppress(OSError):
            below.rmdir()


def saying(error: OSError, file: Path | None = None) -> str:
    """An error of the file system with the path it is about, which a full disk leaves out."""
    path = error.filename2 or error.filename or file
    reason = error.strerror or str(error)
    return f"{reason}: {path}" if path else reason


def _kept_aside(place: Path) -> Path | None:
    """A second name for the file in a place, if there is one; the place never stands empty."""
    old = place.with_name(f".{place.name}.old")
    old.unlink(missing_ok=True)
    if not place.exists():
        return None
    try:
        os.link(place, old)
    except OSError:  # a file system without hard links, or no file
        shutil.copy2(place, old)
    return old


def _move(new: Path, place: Path) -> None:
    """Move a file to its place in one step, also to another disk."""
    try:
        os.replace(new, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = place.with_name(f".{place.name}.new")
        shutil.copy2(new, near)
        _flush(near)
        os.replace(near, place)
        new.unlink()


def _flush(path: Path) -> None:
    """Have a file on the disk before its name is, so that a power cut leaves no empty one."""
    if os.name != "nt":  # Windows flushes only what is open for writing
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _write_json(path: Path, told: dict[str, Any]) -> None:
    """Write a file so that readers find either the old one or all of the new one."""
    half = path.with_name(f".{path.name}.new")
    text = json.dumps(told, indent=2, ensure_ascii=False, default=str)
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


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
