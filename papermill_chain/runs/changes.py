"""The runs kept on disk, as their manifests tell them, and how each differs from the last."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from papermill_chain.runs.figures import Figure, difference, read_figures

PNG = b"\x89PNG\r\n\x1a\n"
PYTHON = "Python"
LARGEST_PICTURE = 1_000_000  # bytes; the index carries it inside


@dataclass
class Picture:
    """The picture of a stage's headline, to stand in the page itself."""

    png: str  # base64
    alt: str


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
    parameters: dict = field(default_factory=dict)
    basis: dict[str, str] = field(default_factory=dict)  # what else it rests on, and its version
    reads: dict[str, str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)  # name: link
    picture: tuple[Path, str] | None = None  # the file, and what it shows


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
    troubles: list[str] = field(default_factory=list)
    parameters: dict = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)

    @property
    def stopped(self) -> Stage | None:
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
    def pages(self) -> dict[str, str]:
        """The pages that are kept with the run beside its reports: name and link."""
        return {name: link for stage in self.stages for name, link in stage.pages.items()}

    @property
    def pictures(self) -> list[Picture]:
        """The pictures of the headlines, as far as they can be read."""
        found = []
        for stage in self.stages:
            with suppress(OSError, ValueError):
                if stage.picture and stage.picture[0].stat().st_size <= LARGEST_PICTURE:
                    png = stage.picture[0].read_bytes()
                    if png.startswith(PNG):
                        found.append(Picture(b64encode(png).decode(), stage.picture[1]))
        return found


@dataclass
class Moved:
    """A figure that is not what it was: the old value, and the difference if both are measures."""

    before: Figure
    by: str = ""


@dataclass
class Changes:
    """How a run differs from what the runs before it tell."""

    parameters: list[tuple[str, Any, Any]] = field(default_factory=list)  # name, old, new
    data: list[tuple[str, str, str]] = field(default_factory=list)  # path, old and new hash
    code: list[str] = field(default_factory=list)
    commit: tuple[str, str] | None = None
    figures: dict[str, Moved] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())


def read_runs(experiments: Path) -> list[Run]:
    """All runs under `experiments`, newest first."""
    manifests = experiments.glob("runs/*/manifest.json")
    runs = [_read_run(manifest, manifest.lstat().st_mtime_ns) for manifest in manifests]
    return sorted(runs, key=lambda run: (run.started, run.id), reverse=True)


def pages_among(kept: Mapping[str, str]) -> dict[str, str]:
    """Of the files that are kept with a run those a browser shows, by their names."""
    return {name: file for name, file in kept.items() if file.lower().endswith((".html", ".htm"))}


def changes_by_run(runs: Iterable[Run]) -> dict[str, Changes | None]:
    """How each of some runs, newest first, differs from the ones before it; None for the first.

    A run that failed, or that was told to run some stages only, does not tell all. What is compared
    with is therefore the last run before that tells of a stage, a file or a figure.
    """
    told: dict[str, Stage] = {}
    figures: dict[str, Figure] = {}
    reads: dict[str, dict[str, str]] = {}  # stage: path: hash
    commit, written, found = "", set(), {}
    for run in reversed([run for run in runs if not run.unreadable]):
        for stage in run.stages:
            written |= stage.writes.keys()
        changes = Changes(figures=_moved(figures, run.figures))
        for stage in run.stages:
            if before := told.get(stage.name):
                changes.parameters += _set_anew(before.parameters, stage.parameters)
                changes.code += _rewritten(before.basis, stage.basis)
            old = reads.get(stage.name, {})
            changes.data += [
                (path, old[path], hash)
                for path, hash in stage.reads.items()
                if path not in written and old.get(path, hash) != hash
            ]
            told[stage.name], reads[stage.name] = stage, stage.reads or old
        for several in changes.parameters, changes.data, changes.code:
            several[:] = _once(several)
        if _hash_of(commit) and _hash_of(run.commit) not in ("", _hash_of(commit)):
            changes.commit = _hash_of(commit), _hash_of(run.commit)
        found[run.id] = changes if found else None
        commit = run.commit or commit
        figures |= run.figures
    return found


def _set_anew(before: dict, now: dict) -> list[tuple[str, Any, Any]]:
    """The parameters that a stage is given another value of."""
    return [
        (name, before[name], value)
        for name, value in now.items()
        if name in before and before[name] != value
    ]


def _rewritten(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What of a stage's notebook, code and environment is not as it was."""
    if not before or not now:
        return []
    changed = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    return [
        f"Python {before.get(PYTHON)} → {now.get(PYTHON)}" if name == PYTHON else name
        for name in changed
    ]


def _moved(before: dict[str, Figure], now: dict[str, Figure]) -> dict[str, Moved]:
    """The figures that have another value than before."""
    return {
        name: Moved(before[name], difference(before[name], value))
        for name, value in now.items()
        if name in before and before[name] != value
    }


def _once(several: list) -> list:
    """The members of a list in their order, each once; values may be lists and cannot be hashed."""
    return list({repr(one): one for one in several}.values())


def _hash_of(commit: str) -> str:
    return commit.partition(" ")[0]


@lru_cache(maxsize=10_000)  # a run writes the index after each of its reports
def _read_run(manifest: Path, written: int) -> Run:
    """The run a manifest tells of; a broken manifest makes an unreadable run, not an error.

    `written` is when, in nanoseconds: what has been read once and was not written since is known.
    """
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
            troubles=[str(trouble) for trouble in told.get("troubles") or []],
            parameters=dict(told.get("parameters") or {}),
            figures=read_figures(told.get("figures")),
            stages=[_read_stage(stage, folder) for stage in told["stages"]],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as broken:
        reason = f"manifest.json: {type(broken).__name__}: {broken}"
        return Run(folder.name, datetime.fromtimestamp(written / 1e9, UTC), unreadable=reason)


def _read_stage(told: dict, folder: Path) -> Stage:
    """A stage as its manifest tells it, linked if its report is there."""
    pages = pages_among({str(k): str(v) for k, v in (told.get("kept") or {}).items()})
    links = {name: _link(folder, file) for name, file in pages.items()}
    picture = told.get("picture")
    return Stage(
        name=str(told["name"]),
        title=str(told.get("title") or told["name"]),
        status=str(told["status"]),
        seconds=_seconds(told),
        headline=str(told.get("headline") or ""),
        error=_sentence(told.get("error")),
        link=_link(folder, told.get("report")),
        parameters=dict(told.get("parameters") or {}),
        basis=_basis(told),
        reads=_hashes(told.get("reads")),
        writes=_hashes(told.get("writes")),
        pages={name: link for name, link in links.items() if link},
        picture=(folder / Path(picture["file"]).name, str(picture["alt"])) if picture else None,
    )


def _link(folder: Path, file: str | None) -> str | None:
    """The way to a file of a run from the folder that holds runs/, if it is there."""
    name = Path(file or "").name
    there = name and (folder / name).is_file()
    return f"runs/{quote(folder.name, safe='')}/{quote(name, safe='')}" if there else None


def _basis(stage: dict) -> dict[str, str]:
    """What a stage's result rests on beside its parameters and the files it reads: by name."""
    if not (told := stage.get("basis")):
        return {}
    code = dict(sorted(_hashes(told.get("code")).items()))
    other = {"uv.lock": told.get("lock"), PYTHON: told.get("python")}
    return _hashes({f"notebook {stage['name']}": told.get("notebook"), **code, **other})


def _hashes(told: dict | None) -> dict[str, str]:
    return {str(path): str(hash) for path, hash in (told or {}).items()}


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
