"""What a killed run has left half done is undone before the next one."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from papermill_chain.chain.plan import Plan
from papermill_chain.reports.links import mend_links
from papermill_chain.runs.files import take_back
from papermill_chain.runs.lookup import run_ids
from papermill_chain.runs.manifest import CUT, UnreadableManifest, read_run
from papermill_chain.runs.pruning import finish_pruning
from work_units.regular_files import open_regular
from work_units.whole_files import remove_halves


def repair(plan: Plan) -> None:
    """Undo what killed runners have left half done, and kill what they have left running."""
    folders = [staged.parent for staged in sorted(plan.experiments.glob("runs/*/staged"))]
    for folder in folders:
        from papermill_chain.execution.kernels.fork_process import RUN_VARIABLE, kill_family

        kill_family({RUN_VARIABLE: str(folder)})
    take_back(plan.experiments / ".publishing.json", plan.places)
    for folder in folders:
        _release_external(plan, folder)
        _mark_interrupted(folder)
        remove_halves(folder)
    remove_halves(plan.experiments)
    with suppress(Exception):  # a page, which the next run writes anyway
        if folders or _lacks_newest(plan.experiments):
            _write_index(plan)
    with suppress(Exception):  # what is left of it is no run any more, and in nobody's way
        finish_pruning(plan.experiments, partial(_write_index, plan))


def _lacks_newest(experiments: Path) -> bool:
    """Whether the index does not have the newest run, as after a disk that was full at its end."""
    ids = run_ids(experiments)
    try:
        with open_regular(experiments / "index.html") as page:
            return bool(ids) and ids[-1].encode() not in page.read()
    except OSError:
        return bool(ids)


def _write_index(plan: Plan) -> None:
    from papermill_chain.reports.index import write_index_of  # late: most runs repair nothing

    write_index_of(plan)


def _release_external(plan: Plan, folder: Path) -> None:
    """End what the stages of a killed run have left open outside of the project's files."""
    cut: list[str] = []
    with suppress(UnreadableManifest):
        cut = [stage.name for stage in read_run(folder).stages if stage.status in CUT]
    for stage in plan.stages:
        if stage.external.release and stage.name in cut:
            stage.external.release([folder.name])


def _mark_interrupted(folder: Path) -> None:
    """Record of a run that its runner was killed, and remove what it has staged."""
    with suppress(OSError, UnreadableManifest):
        run = read_run(folder)
        run.status = _ended(run.status)
        for stage in run.stages:
            stage.status = _ended(stage.status)
        if run.finished is None:
            ended = datetime.fromtimestamp((folder / "manifest.json").stat().st_mtime, UTC)
            run.finished = ended.isoformat(timespec="seconds")
        run.save()
        mend_links(run)
    shutil.rmtree(folder / "staged", ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()  # it was killed before there was anything to record


def _ended(status: str) -> str:
    """What was running when the runner was killed is interrupted."""
    return "interrupted" if status == "running" else status
