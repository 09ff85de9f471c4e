"""What a run does with what a stage has made: publish its files, render its report, reuse it."""

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.chain.staleness import report_of
from papermill_chain.execution.kernels.session import Picture
from papermill_chain.lineage.drawing import form_of
from papermill_chain.reports.screen import shown_path
from papermill_chain.runs.files import (
    browser_pages,
    link,
    os_error_text,
    publish,
    relative,
    sha256_and_size,
)
from papermill_chain.runs.manifest import Failure, Run, StageRun
from papermill_chain.runs.records import remember, sources


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


def reuse_last(plan: Plan, run: Run, stage_run: StageRun, last: StageRun) -> None:
    """Have the last success of a stage in this run as well, with its report."""
    picture = last.picture["file"] if last.picture else None
    names = [last.notebook, last.report, picture, *last.kept.values()]
    for name in dict.fromkeys(filter(None, names)):
        if (file := report_of(last, plan.experiments).with_name(name)).is_file():
            link(file, run.folder / name)
    wired = {"inputs": stage_run.inputs, "outputs": stage_run.outputs}
    vars(stage_run).update(vars(last) | wired | {"status": "up to date", "why": []})


def save_picture(run: Run, stage: str, picture: Picture | None) -> dict[str, str] | None:
    """Write the picture of a headline to the run's folder; a run is none the worse without."""
    if picture:
        with suppress(OSError):
            file = run.folder / f"{stage}.headline.png"
            file.write_bytes(picture.png)
            return {"file": file.name, "alt": picture.alt}
    return None


def write_report(plan: Plan, run: Run, stage_run: StageRun, last: Mapping[str, StageRun]) -> None:
    """Render the report of a stage.

    Parameters
    ----------
    last : the last success of each stage, whose files the stage may have read.
    """
    from papermill_chain.reports.notebook_report import render

    name = stage_run.name
    (stage,) = [each for each in plan.stages if each.name == name]
    defaults = {k: parameter.default for k, parameter in plan.notebooks[name].parameters.items()}
    # where its files are follows from the chain, unless somebody has named another
    defaults |= {k: v for k, v in stage_run.parameters.items() if k in _placed(plan, stage)}
    written = {**last, **{other.name: other for other in run.stages if other.writes}}
    kept = {key: Path(stage.writes[key]).name for stage in plan.stages for key in stage.kept}
    render(
        run.folder / f"{name}.ipynb",
        run.folder / f"{name}.html",
        title_of_run=run.title,
        run_id=run.id,
        reports={stage.name: stage.title for stage in run.stages},
        changed={
            k: v for k, v in stage_run.parameters.items() if k not in defaults or v != defaults[k]
        },
        data=sources(stage_run, written.values()),
        reads=stage_run.reads,
        pages=browser_pages(kept),
        figures=stage_run.figures,
        verdict=stage_run.verdict,
        error=asdict(stage_run.error) if stage_run.error else None,
        chain=form_of(run.stages),
        origin=stage_run.origin,
        limit=plan.limits.page,
    )


def import_report_libraries() -> None:
    """Import what reports need, in a thread while kernels start: else the first would be late."""
    # first, for what it keeps from being imported
    import papermill_chain.execution.kernels.execute  # noqa: F401

    with suppress(ImportError):  # the report will fail with it
        for module in "nbconvert", "bs4", "nh3", "jinja2":
            import_module(module)


def failure_from(error: BaseException, file: Path | None = None) -> Failure:
    """An exception as it is recorded; of the file system with its path, or else with `file`."""
    text = os_error_text(error, file) if isinstance(error, OSError) else str(error)
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


def _placed(plan: Plan, stage: Stage) -> set[str]:
    """The parameters whose values are the paths that the chain has for them."""
    wired = {*stage.reads, *stage.writes, *stage.in_place}
    return wired - plan.settings[stage.name].keys()


def _is_missing_or_empty(file: Path) -> bool:
    return not file.is_file() or file.stat().st_size == 0
