"""The runs kept on disk, as their manifests tell them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from urllib.parse import quote


@dataclass
class Stage:
    """One notebook of a run."""

    name: str
    title: str
    status: str
    seconds: float | None
    headline: str
    error: str
    link: str | None  # to the report, from the folder that holds runs/


@dataclass
class Run:
    """One run of the chain; of an unreadable one only the id, the time and the reason are known."""

    id: str
    started: datetime
    status: str = "unreadable"
    unreadable: str = ""
    title: str = ""
    seconds: float | None = None
    commit: str = ""
    machine: str = ""
    after: str = ""
    parameters: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)


def read_runs(experiments: Path) -> list[Run]:
    """All runs under `experiments`, newest first."""
    runs = [_read_run(manifest) for manifest in experiments.glob("runs/*/manifest.json")]
    return sorted(runs, key=lambda run: (run.started, run.id), reverse=True)


def _read_run(manifest: Path) -> Run:
    """The run a manifest tells of; a broken manifest makes an unreadable run, not an error."""
    folder = manifest.parent
    try:
        told = json.loads(manifest.read_text(encoding="utf-8"))
        return Run(
            id=str(told["id"]),
            started=datetime.fromisoformat(told["started"]).astimezone(UTC),
            status=str(told["status"]),
            title=str(told["title"]),
            seconds=_seconds(told),
            commit=_commit(told.get("git")),
            machine=_machine(told),
            after=_sentence(told.get("after")),
            parameters=dict(told.get("parameters") or {}),
            figures=dict(told.get("figures") or {}),
            stages=[_read_stage(stage, folder) for stage in told["stages"]],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as broken:
        written = datetime.fromtimestamp(manifest.lstat().st_mtime, UTC)
        reason = f"manifest.json: {type(broken).__name__}: {broken}"
        return Run(folder.name, written, unreadable=reason)


def _read_stage(told: dict, folder: Path) -> Stage:
    """A stage as its manifest tells it, linked if its report is there."""
    report = Path(told.get("report") or "").name
    there = report and (folder / report).is_file()
    return Stage(
        name=str(told["name"]),
        title=str(told.get("title") or told["name"]),
        status=str(told["status"]),
        seconds=_seconds(told),
        headline=str(told.get("headline") or ""),
        error=_sentence(told.get("error")),
        link=f"runs/{quote(folder.name, safe='')}/{quote(report, safe='')}" if there else None,
    )


def _seconds(told: dict) -> float | None:
    """How long something took, if it has ended."""
    if told.get("seconds") is None:
        return None
    seconds = float(told["seconds"])
    if not isfinite(seconds):
        raise ValueError(f"{seconds} seconds")
    return seconds


def _commit(git: dict | None) -> str:
    """The commit a run was made from, and whether files differed from it."""
    if not git:
        return ""
    return str(git["commit"])[:10] + (" with local changes" if git.get("dirty") else "")


def _machine(told: dict) -> str:
    """The Python and the system a run was made on."""
    python = f"Python {told['python']}" if told.get("python") else ""
    return ", ".join(filter(None, [python, str(told.get("platform") or "")]))


def _sentence(error: dict | str | None) -> str:
    """An error as one line."""
    if isinstance(error, dict):
        place = f"Stopped in “{error['heading']}”. " if error.get("heading") else ""
        return f"{place}{error.get('ename', 'error')}: {error.get('evalue', '')}"
    return str(error or "")
