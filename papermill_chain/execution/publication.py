"""What a run does with what a stage has made: publish its files, record its end, reuse it."""

import re
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.chain.staleness import report_of
from papermill_chain.execution.kernels.session import Outcome, Picture
from papermill_chain.reports.screen import shown_path
from papermill_chain.runs.files import (
    link,
    os_error_text,
    publish,
    relative,
    sha256_and_size,
)
from papermill_chain.runs.manifest import Failure, Run, StageRun
from papermill_chain.runs.records import remember

Read: TypeAlias = dict[str, tuple[str, int]]  # path: hash and bytes


def staged_files(run: Run, stage: Stage) -> dict[str, Path]:
    """Where a stage writes each of its files until all are there."""
    return {name: run.staged / stage.name / path for name, path in stage.writes.items()}


def publish_stage(plan: Plan, run: Run, stage: Stage, stage_run: StageRun) -> Failure | None:
    """Put the files of a stage in their places, all or none, and record its success."""
    staged = staged_files(run, stage)
    missing = [file.name for file in staged.values() if _is_missing_or_empty(file)]
    if missing:
        files = " and ".join(missing)
        return Failure("MissingOutput", f"{stage.name} finished but did not write {files}")
    try:
        written = {stage.writes[name]: sha256_and_size(file) for name, file in staged.items()}
        stage_run.writes = {path: hash for path, (hash, _) in written.items()}
        stage_run.sizes |= {path: size for path, (_, size) in written.items()}
        places = {file: plan.root / stage.writes[name] for name, file in staged.items()}
        publish(places, plan.experiments / ".publishing.json")
        for name in stage.kept:
            place = plan.root / stage.writes[name]
            shutil.copy2(place, run.folder / place.name)
            stage_run.kept[name] = place.name
        # The report is still to come; should it fail, the next run finds none and runs it again.
        success = replace(
            stage_run,
            status="succeeded",
            notebook=f"{stage.name}.ipynb",
            report=f"{stage.name}.html",
        )
        remember(plan.experiments, success)
    except OSError as error:
        return failure_from(error)
    return None


def record_outcome(run: Run, stage_run: StageRun, read: Read, outcome: Outcome) -> None:
    """Enter in the record of a stage what its notebook has read, and what it has left behind."""
    stage_run.reads = {path: hash for path, (hash, _) in read.items()}
    stage_run.sizes = {path: size for path, (_, size) in read.items()}
    stage_run.headline, stage_run.figures = outcome.headline, outcome.figures
    stage_run.verdict, stage_run.cells = outcome.verdict, outcome.cells
    stage_run.picture = _save_picture(run, stage_run.name, outcome.picture)


def reuse_last(plan: Plan, run: Run, stage_run: StageRun, last: StageRun) -> None:
    """Have the last success of a stage in this run as well, with its report."""
    picture = last.picture["file"] if last.picture else None
    names = [last.notebook, last.report, picture, *last.kept.values()]
    for name in dict.fromkeys(filter(None, names)):
        if (file := report_of(last, plan.experiments).with_name(name)).is_file():
            link(file, run.folder / name)
    wired = {"inputs": stage_run.inputs, "outputs": stage_run.outputs}
    vars(stage_run).update(vars(last) | wired | {"status": "up to date", "why": []})


def failure_from(error: BaseException, file: Path | None = None) -> Failure:
    """An exception as it is recorded; of the file system with its path, or else with `file`."""
    text = os_error_text(error, file) if isinstance(error, OSError) else str(error)
    if isinstance(error, PermissionError):
        text += "; give whoever runs this the right to it"
    return Failure(type(error).__name__, text)


def as_user_sees(plan: Plan, stage: Stage, failure: Failure) -> Failure:
    """A failure that names files as the user has, without a traceback if it says all itself."""
    text, traceback = failure.evalue, failure.traceback
    parameters, notebooks = plan.planned(stage).parameters, plan.root / "notebooks"
    named = [(str(parameters[name]), path, name) for name, path in stage.reads.items()]
    named += [(relative(plan.root / path, notebooks), path, "") for path in stage.files]
    for handed, path, name in named:
        typed = plan.typed.get(name, shown_path((plan.root / path).absolute()))
        whole = rf"(?<![\w./-]){re.escape(handed)}(?![\w/])"
        shown = typed.replace("\\", r"\\")
        text, traceback = (re.sub(whole, shown, each) for each in (text, traceback))
    if failure.ename in plan.refusals:
        return replace(failure, evalue=text, traceback="", is_refusal=True)
    return replace(failure, evalue=text, traceback=traceback)


def _save_picture(run: Run, stage: str, picture: Picture | None) -> dict[str, str] | None:
    """Write the picture of a headline to the run's folder; a run is none the worse without."""
    if picture:
        with suppress(OSError):
            file = run.folder / f"{stage}.headline.png"
            file.write_bytes(picture.png)
            return {"file": file.name, "alt": picture.alt}
    return None


def _is_missing_or_empty(file: Path) -> bool:
    return not file.is_file() or file.stat().st_size == 0
