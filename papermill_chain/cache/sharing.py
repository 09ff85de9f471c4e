"""What a run has to do with the cache: take results of other runs, and put its own there."""

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from papermill_chain.cache.entries import Entry, Refused, Stored, picture_name
from papermill_chain.cache.key import key_of, why_not_shared
from papermill_chain.cache.results import Cache
from papermill_chain.cache.store import Unreachable
from papermill_chain.chain.notebooks import notebook_path, read_notebook
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.chain.staleness import basis_of
from papermill_chain.runs.files import os_error_text, sha256, sha256_and_size
from papermill_chain.runs.manifest import Run, StageRun


@dataclass
class Sharing:
    """The cache as one run uses it; its notes are sentences for the user."""

    cache: Cache
    plan: Plan
    run: Run
    noted: Callable[[str], object]
    looked_for: set[str] = field(default_factory=set)  # names of stages
    lost: threading.Event = field(default_factory=threading.Event)  # it has stopped to answer

    def is_to_look_for(self, stage: Stage) -> bool:
        """Whether a result of a stage is to be looked for before its notebook is started."""
        left_out = self.lost.is_set() or stage.name in (*self.looked_for, *self.plan.asked_for)
        return not left_out and not self.why_never(stage)

    def why_not(self, stage: Stage) -> str:
        """Why a stage that nobody has asked for by name is not taken from the cache, if it is not.

        "" if there may be a result.
        """
        return "" if stage.name in self.plan.asked_for else self.why_never(stage)

    def why_never(self, stage: Stage) -> str:
        """Why a stage's results are not shared at all; "" if they are."""
        return why_not_shared(stage, self.plan.notebooks[stage.name])

    def take(
        self, stage: Stage, stage_run: StageRun, staged: Mapping[str, Path]
    ) -> StageRun | None:
        """In a thread: the record of a shared result, with its files staged; None if none is used.

        Parameters
        ----------
        staged : where each file that the stage writes waits for the others, by parameter.
        """
        self.looked_for.add(stage.name)
        try:
            files = self.plan.files_read(stage)
            found = {path: sha256_and_size(file) for path, file in files.items()}
            reads = {path: hash for path, (hash, _) in found.items()}
            record = replace(stage_run, reads=reads, sizes={k: n for k, (_, n) in found.items()})
            entry = self.cache.find(key_of(record), stage)
            if entry is None:
                return None
            self._fetch(entry, staged)
        except Refused as why:
            self.noted(f"{stage.name}: the result in the cache is not used: {why}; it runs")
        except Unreachable as why:
            self._lose(f"cannot be reached ({why})")
        except OSError as error:
            self.noted(f"{stage.name}: the cache is not used: {os_error_text(error)}; it runs")
        else:
            return _record_of(entry, record)
        return None

    def _fetch(self, entry: Entry, staged: Mapping[str, Path]) -> None:
        """Have the files of a result in their places in the run, all of them or none."""
        aside = self.run.staged / f"{entry.stage}.cached"
        files = {staged[name]: stored for name, stored in entry.outputs.items()}
        beside = [entry.notebook, *([entry.picture] if entry.picture else [])]
        try:
            self.cache.fetch(files | {aside / stored.path: stored for stored in beside})
        except BaseException:
            for file in files:
                file.unlink(missing_ok=True)
            raise
        for stored in beside:
            (aside / stored.path).replace(self.run.folder / stored.path)
        shutil.rmtree(aside, ignore_errors=True)

    def keep(self, stage: Stage, record: StageRun) -> None:
        """In a thread: put the result of a stage into the cache; a run is none the worse without.

        Not if its notebook, its code or its inputs were changed while it ran: nobody could say
        which of them made it.
        """
        if self.lost.is_set() or self.why_never(stage):
            return
        try:
            self._refuse_changed(stage, record)
            files = self._files(stage, record)
            self.cache.put(self._entry(stage, record, files), files)
        except Refused as why:
            self.noted(f"{stage.name}: its result does not go to the cache: {why}")
        except Unreachable as why:
            self._lose(f"cannot be written to ({why})")
        except OSError as error:
            self._lose(f"cannot be written to ({os_error_text(error)})")

    def _refuse_changed(self, stage: Stage, record: StageRun) -> None:
        root = self.plan.root
        try:
            notebook = read_notebook(notebook_path(root, stage.name))
            unchanged = basis_of(notebook, root) == record.basis
            unchanged = unchanged and _hashes(self.plan.files_read(stage)) == record.reads
        except (ChainError, OSError):
            unchanged = False
        if not unchanged:
            raise Refused("its notebook, code or inputs were changed while it ran")

    def _files(self, stage: Stage, record: StageRun) -> dict[Path, Stored]:
        """The files of a result where they are now."""
        folder, root = self.run.folder, self.plan.root
        paths = {folder / f"{stage.name}.ipynb": f"{stage.name}.ipynb"}
        paths |= {root / path: path for path in stage.writes.values()}
        if record.picture:
            paths[folder / record.picture["file"]] = picture_name(stage.name)
        hashes = {root / path: hash for path, hash in record.writes.items()}
        return {
            place: Stored(path, hashes.get(place) or sha256(place), place.stat().st_size)
            for place, path in paths.items()
        }

    def _entry(self, stage: Stage, record: StageRun, files: Mapping[Path, Stored]) -> Entry:
        folder, root = self.run.folder, self.plan.root
        return Entry(
            key=key_of(record),
            stage=stage.name,
            run=self.run.id,
            when=self.run.began.isoformat(timespec="seconds"),
            notebook=files[folder / f"{stage.name}.ipynb"],
            outputs={name: files[root / path] for name, path in stage.writes.items()},
            seconds=record.seconds or 0.0,
            headline=record.headline,
            verdict=record.verdict,
            figures=record.figures,
            cells=record.cells,
            picture=files[folder / record.picture["file"]] if record.picture else None,
            picture_alt=record.picture["alt"] if record.picture else "",
        )

    def _lose(self, why: str) -> None:
        """Say once that a cache does not work, and go without it from here on."""
        if not self.lost.is_set():
            self.lost.set()
            self.noted(f"the cache {self.cache.url} {why}; this run goes on without it")


class Shared(NamedTuple):
    """What a cache has for a stage: the result, or if there is none perhaps a remark on that."""

    entry: Entry | None = None
    remark: str = ""


def shared_result(cache: Cache, plan: Plan, stage: Stage) -> Shared:
    """What a run would take from the cache as things are now."""
    if why := why_not_shared(stage, plan.notebooks[stage.name]):
        return Shared(remark=f"; not cached: {why}")
    if stage.name in plan.asked_for:
        return Shared()
    record = plan.planned(stage)
    record.basis = basis_of(plan.notebooks[stage.name], plan.root)
    try:
        record.reads = _hashes(plan.files_read(stage))
        return Shared(cache.find(key_of(record), stage, to_use=False))
    except (Refused, Unreachable) as why_not:
        return Shared(remark=f"; the cache is not used: {why_not}")
    except OSError:  # what it reads is not there yet
        return Shared()


def _record_of(entry: Entry, planned: StageRun) -> StageRun:
    """The record of a stage whose result is taken from the cache."""
    picture = {"file": entry.picture.path, "alt": entry.picture_alt} if entry.picture else None
    return replace(
        planned,
        status="cached",
        why=[*planned.why, f"from the cache: {entry.origin}"],
        seconds=entry.seconds,
        headline=entry.headline,
        verdict=entry.verdict,
        figures=entry.figures,
        cells=entry.cells,
        picture=picture,
        notebook=entry.notebook.path,
        kept={},
        sizes=planned.sizes | {stored.path: stored.bytes for stored in entry.outputs.values()},
        origin={"run": entry.run, "when": entry.when},
    )


def _hashes(files: Mapping[str, Path]) -> dict[str, str]:
    return {path: sha256(file) for path, file in files.items()}
