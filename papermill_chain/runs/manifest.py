"""A run and its stages, and the manifest that keeps them: written and read in this module alone."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from pathlib import Path
from platform import platform, python_version
from typing import Any

from papermill_chain.runs.figures import Figure, read_figures
from papermill_chain.runs.files import write_whole
from papermill_chain.runs.record_files import file_name, read_json
from work_units.regular_files import Damaged

GOOD = ("succeeded", "up to date", "cached")
CUT = ("running", "interrupted", "failed")
#: What a notebook may say of its result beside its headline, the gravest last.
VERDICTS = ("", "passed", "warning", "stop")


class UnreadableManifest(ValueError):
    """Why a manifest cannot be read."""


@dataclass
class Failure:
    """Where and why a notebook stopped; `cell` counts from 0, `number` counts code cells from 1."""

    ename: str
    evalue: str
    cell: int | None = None
    number: int | None = None
    heading: str | None = None
    traceback: str = ""
    is_refusal: bool = False  # it says itself what is wrong and what to do
    went_on: bool = False  # the cells below did run, as the tag of this one asks for

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
    inputs: list[str] = field(default_factory=list)  # the paths it reads, whether it has or not
    outputs: list[str] = field(default_factory=list)  # and those it is to write
    reads: dict[str, str] = field(default_factory=dict)  # path: hash
    writes: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # path: bytes, of what it read and wrote
    kept: dict[str, str] = field(default_factory=dict)  # parameter: file in the run's folder
    headline: str = ""
    verdict: str = ""  # one of VERDICTS
    figures: dict[str, Figure] = field(default_factory=dict)
    picture: dict[str, str] | None = None  # "file" in the run's folder, and "alt"
    cells: list[dict[str, Any]] = field(default_factory=list)  # time and peak memory of each
    error: Failure | None = None
    notebook: str | None = None
    report: str | None = None
    origin: dict[str, str] | None = None  # of a cached result: the "run" that made it, and "when"

    @property
    def executed(self) -> bool:
        """Whether this run has executed its notebook, rather than take a result as it was."""
        return self.status not in ("up to date", "cached")


@dataclass
class Run:
    """One run of a chain; of one that cannot be read only id, start and the reason are known."""

    folder: Path
    id: str
    title: str
    started: str  # as ISO 8601 has it
    parameters: dict[str, Any]
    stages: list[StageRun]
    git: dict[str, Any] | None = None  # "commit", and whether files were "dirty"
    lock_sha256: str | None = None
    python: str = field(default_factory=python_version)
    platform: str = field(default_factory=platform)
    status: str = "running"
    finished: str | None = None
    seconds: float | None = None
    after: str | None = None  # why what was to follow the last stage has failed
    troubles: list[str] = field(default_factory=list)  # what else went wrong, beside the stages
    unreadable: str = ""  # why its manifest cannot be read; never written

    @property
    def began(self) -> datetime:
        """When it started, in UTC."""
        return datetime.fromisoformat(self.started).astimezone(UTC)

    @property
    def headlines(self) -> dict[str, str]:
        """The sentence to remember of each stage that has one."""
        return {stage.name: stage.headline for stage in self.stages if stage.headline}

    @property
    def verdict(self) -> str:
        """The gravest verdict of a stage; empty if none has given one."""
        return max((stage.verdict for stage in self.stages), key=VERDICTS.index, default="")

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
        """The record of each stage, by its name."""
        return {stage.name: stage for stage in self.stages}

    @property
    def stopped(self) -> StageRun | None:
        """The first stage that did not end well."""
        ends = "failed", "interrupted"
        return next((stage for stage in self.stages if stage.status in ends), None)

    @property
    def data(self) -> dict[str, str]:
        """The files that the run has read and not made, with their hashes."""
        read = {path: hash for stage in self.stages for path, hash in stage.reads.items()}
        made = {path for stage in self.stages for path in stage.writes}
        return {path: hash for path, hash in read.items() if path not in made}

    @property
    def staged(self) -> Path:
        """Where stages write until all of it is there; gone when a run has ended well."""
        return self.folder / "staged"

    def save(self) -> None:
        """Write the manifest, whole or not at all."""
        recorded = asdict(self)
        del recorded["folder"], recorded["unreadable"]
        recorded["figures"] = {name: asdict(figure) for name, figure in self.figures.items()}
        recorded["stages"] = recorded.pop("stages")  # last, below the facts about the run
        write_json(self.folder / "manifest.json", recorded)


def read_run(folder: Path) -> Run:
    """The run whose folder this is.

    Raises
    ------
    UnreadableManifest
        If its manifest is not there or broken.
    """
    try:
        return read_json(folder / "manifest.json", partial(_run_of, folder))
    except Damaged as damage:
        raise UnreadableManifest(str(damage)) from damage
    except OSError as error:
        raise UnreadableManifest(error.strerror or str(error)) from error


def _run_of(folder: Path, recorded: Any) -> Run:
    """A run as its manifest has it."""
    return Run(
        folder,
        id=str(recorded["id"]),
        title=str(recorded.get("title") or ""),
        started=_read_time(recorded["started"]),
        parameters=dict(recorded.get("parameters") or {}),
        stages=[read_stage(each) for each in recorded["stages"]],
        git=_read_git(recorded.get("git")),
        lock_sha256=_text(recorded.get("lock_sha256")),
        python=str(recorded.get("python") or ""),
        platform=str(recorded.get("platform") or ""),
        status=str(recorded["status"]),
        finished=_text(recorded.get("finished")),
        seconds=_read_seconds(recorded.get("seconds")),
        after=_text(recorded.get("after")),
        troubles=[str(trouble) for trouble in recorded.get("troubles") or []],
    )


def read_stage(recorded: Mapping[str, Any]) -> StageRun:
    """A stage as a manifest has it; files are in the run's own folder, whatever is written."""
    picture = recorded.get("picture")
    return StageRun(
        name=str(recorded["name"]),
        title=str(recorded.get("title") or recorded["name"]),
        parameters=dict(recorded.get("parameters") or {}),
        status=str(recorded["status"]),
        why=[str(reason) for reason in recorded.get("why") or []],
        run=_text(recorded.get("run")),
        seconds=_read_seconds(recorded.get("seconds")),
        basis=_read_basis(recorded.get("basis")),
        inputs=[str(path) for path in recorded.get("inputs") or []],
        outputs=[str(path) for path in recorded.get("outputs") or []],
        reads=_texts(recorded.get("reads")),
        writes=_texts(recorded.get("writes")),
        sizes={str(path): int(size) for path, size in (recorded.get("sizes") or {}).items()},
        kept={
            name: file_name(Path(file).name) for name, file in _texts(recorded.get("kept")).items()
        },
        headline=str(recorded.get("headline") or ""),
        verdict=read_verdict(recorded.get("verdict")),
        figures=read_figures(recorded.get("figures")),
        picture=picture and {"file": Path(picture["file"]).name, "alt": str(picture["alt"])},
        cells=[dict(cell) for cell in recorded.get("cells") or []],
        error=_read_failure(recorded.get("error")),
        notebook=_file_name(recorded.get("notebook")),
        report=_file_name(recorded.get("report")),
        origin=_texts(recorded.get("origin")) or None,
    )


def read_verdict(recorded: object) -> str:
    """A verdict as a notebook or a manifest has it; empty if it is none."""
    return recorded if isinstance(recorded, str) and recorded in VERDICTS else ""


def write_json(path: Path, recorded: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all."""
    write_whole(path, json.dumps(recorded, indent=2, ensure_ascii=False, default=str))


def _read_failure(recorded: Any) -> Failure | None:
    if not recorded:
        return None
    if not isinstance(recorded, Mapping):
        return Failure(str(recorded), "")
    return Failure(
        str(recorded.get("ename") or "error"),
        str(recorded.get("evalue") or ""),
        cell=recorded.get("cell"),
        number=recorded.get("number"),
        heading=_text(recorded.get("heading")),
        traceback=str(recorded.get("traceback") or ""),
        is_refusal=bool(recorded.get("is_refusal")),
        went_on=bool(recorded.get("went_on")),
    )


def _read_git(recorded: Any) -> dict[str, Any] | None:
    if not recorded:
        return None
    return {"commit": str(recorded["commit"]), "dirty": bool(recorded.get("dirty"))}


def _read_basis(recorded: Any) -> dict[str, Any]:
    return dict(recorded) | {"code": _texts(recorded.get("code"))} if recorded else {}


def _read_time(recorded: str) -> str:
    """A time as it is written, once it is known to be one."""
    datetime.fromisoformat(recorded).astimezone(UTC)
    return recorded


def _read_seconds(recorded: Any) -> float | None:
    """How long something took, if it has ended."""
    if recorded is None:
        return None
    if not isfinite(seconds := float(recorded)):
        raise ValueError(f"{seconds} seconds")
    return seconds


def _texts(recorded: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in dict(recorded or {}).items()}


def _text(recorded: Any) -> str | None:
    return None if recorded is None else str(recorded)


def _file_name(recorded: Any) -> str | None:
    return Path(recorded).name or None if recorded else None
