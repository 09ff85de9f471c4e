"""The pages of a run: the report of each stage, and what its end adds to them."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path

from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.execution.events import Events
from papermill_chain.execution.publication import failure_from
from papermill_chain.lineage.drawing import form_of
from papermill_chain.lineage.record import write_lineage
from papermill_chain.reports.index import write_index_of
from papermill_chain.reports.links import mend_links
from papermill_chain.runs.files import browser_pages
from papermill_chain.runs.manifest import Run, StageRun
from papermill_chain.runs.records import last_good, sources


def import_report_libraries() -> None:
    """Import what reports need, in a thread while kernels start: else the first would be late."""
    # first, for what it keeps from being imported
    import papermill_chain.execution.kernels.execute  # noqa: F401

    with suppress(ImportError):  # the report will fail with it
        for module in "nbconvert", "bs4", "nh3", "jinja2":
            import_module(module)


@dataclass
class Reports:
    """The reports of a run, each written in a thread of its own."""

    plan: Plan
    run: Run
    last: Mapping[str, StageRun]  # the last success of each stage, whose files it may have read
    events: Events
    rendering: threading.Lock = field(default_factory=threading.Lock)

    def write(self, stage_run: StageRun) -> None:
        """Have the report of a stage written, if it has an executed notebook."""
        if (self.run.folder / f"{stage_run.name}.ipynb").is_file():
            stage_run.notebook = f"{stage_run.name}.ipynb"
            work = partial(self._render, stage_run)
            self.events.in_background(work, partial(self._rendered, stage_run))

    def _render(self, stage_run: StageRun) -> None:
        """In a thread: write the report of a stage; one at a time, since that is all processor."""
        with self.rendering:
            _write_report(self.plan, self.run, stage_run, self.last)

    def _rendered(self, stage_run: StageRun, error: BaseException | None) -> None:
        report = f"{stage_run.name}.html"
        if error is None:
            stage_run.report = report
        else:
            why = failure_from(error, self.run.folder / report)
            self.run.troubles.append(f"no report of {stage_run.name}: {why}")
        self.run.save()
        with suppress(Exception):  # readers need not wait for the end, when it is written anyway
            write_index_of(self.plan)


def write_last_pages(plan: Plan, run: Run) -> bool:
    """Write what follows the end of a run; whether all of it could be written.

    What could not is a trouble of the run, and no crash.
    """
    good = len(run.troubles)
    pages: dict[str, Callable[[], object]] = {
        "record of its files": partial(_write_lineage, plan, run),
        "index of all runs": partial(write_index_of, plan),
        "links between its pages": partial(mend_links, run),
    }
    for what, write in pages.items():
        try:
            write()
        except Exception as error:  # noqa: BLE001  whatever it is, the run has ended
            run.troubles.append(f"no {what}: {failure_from(error)}")
    return len(run.troubles) == good


def _write_report(plan: Plan, run: Run, stage_run: StageRun, last: Mapping[str, StageRun]) -> None:
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


def _write_lineage(plan: Plan, run: Run) -> None:
    if run.status == "succeeded":
        write_lineage(run, last_good(plan.experiments))


def _placed(plan: Plan, stage: Stage) -> set[str]:
    """The parameters whose values are the paths that the chain has for them."""
    wired = {*stage.reads, *stage.writes, *stage.in_place}
    return wired - plan.settings[stage.name].keys()
