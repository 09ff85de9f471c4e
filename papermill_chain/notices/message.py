"""What word of a run says: how it ended, what each stage found, and where it stopped."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from papermill_chain.reports.screen import duration
from papermill_chain.reports.views import place_of
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.manifest import Run, StageRun

LONGEST_SENTENCE = 500  # characters; an error may repeat a whole file
MOST_FIGURES = 30


class NotSent(Exception):
    """Why word did not get through, in a sentence without secrets."""


@dataclass(frozen=True)
class Notice:
    """What is to be said of a run, of a grid, or of a request that was refused."""

    title: str  # of the chain
    summary: str  # in a few words
    status: str  # of the run; or "refused", "up to date"
    index: Path  # the page of all runs
    run: str | None = None
    verdict: str = ""
    reason: str = ""  # why it did not end well
    failure: dict[str, object] = field(default_factory=dict)  # stage, cell, heading and error
    stages: list[StageRun] = field(default_factory=list)
    figures: dict[str, Figure] = field(default_factory=dict)
    report: Path | None = None  # the one to read first
    seconds: float | None = None
    lines: list[str] = field(default_factory=list)  # what else there is to say
    grid: dict[str, object] = field(default_factory=dict)  # id, combinations, good and failed

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look."""
        return self.status not in ("succeeded", "up to date") or self.verdict == "stop"

    @property
    def text(self) -> str:
        """All of it, in paragraphs with a blank line between them."""
        return "\n\n".join(self.paragraphs())

    def paragraphs(self) -> Iterator[str]:
        """The parts of the text."""
        yield f"{self.title}: {self.summary}"
        if self.reason:
            yield self.reason
        if self.stages:
            yield "\n".join(map(_line_of, self.stages))
        if self.lines:
            yield "\n".join(self.lines)
        if self.figures:
            shown = list(self.figures.items())[:MOST_FIGURES]
            yield "\n".join(f"{name}: {short(str(figure))}" for name, figure in shown)
        took = f" after {duration(self.seconds)}" if self.seconds is not None else ""
        ended = [f"Run {self.run}: {self.status}{took}"] if self.run else []
        ended += [f"Report: {self.report}"] if self.report else []
        yield "\n".join([*ended, f"All runs: {self.index}", f"Machine: {platform.node()}"])


def notice_of(run: Run) -> Notice:
    """What is to be said of a run that has ended."""
    stopped = run.stopped
    error = stopped.error if stopped else None
    reasons = [_failure_of(stopped)] if stopped and error else []
    reasons += [f"What follows the last stage failed: {run.after}"] if run.after else []
    failure: dict[str, object] = {}
    if stopped and error:
        failure = {"stage": stopped.name, "cell": error.number, "heading": error.heading}
        failure["error"] = short(str(error))
    return Notice(
        run.title,
        _summary_of(run),
        run.status,
        run.folder.parent.parent / "index.html",
        run.id,
        run.verdict,
        "\n".join(map(short, [*reasons, *run.troubles])),
        failure,
        run.stages,
        run.figures,
        _report_of(run),
        run.seconds,
    )


def short(text: str) -> str:
    """A text on one line, and no longer than somebody reads; nothing that a terminal obeys."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= LONGEST_SENTENCE else f"{line[: LONGEST_SENTENCE - 1]}…"


def _summary_of(run: Run) -> str:
    """How a run has ended, in a few words."""
    if run.stopped and run.status == "failed":
        return f"{run.stopped.name} failed"
    stops = [stage.name for stage in run.stages if stage.verdict == "stop"]
    if run.status == "succeeded" and stops:
        return f"{' and '.join(stops)} {'says' if len(stops) == 1 else 'say'} stop"
    warned = run.status == "succeeded" and run.verdict == "warning"
    return f"run {run.status}{' with warnings' if warned else ''}"


def _failure_of(stage: StageRun) -> str:
    """Where and why a stage has stopped."""
    error = stage.error
    if error is None:
        return ""
    if stage.status == "interrupted":
        return f"{stage.name} was {error.evalue}"  # stopped by a signal
    said = f": {error.evalue}" if error.is_refusal else f"{place_of(error)}: {error}"
    return f"{stage.name} {stage.status}{said}"


def _line_of(stage: StageRun) -> str:
    verdict = f", {stage.verdict}" if stage.verdict else ""
    headline = f": {short(stage.headline)}" if stage.headline else ""
    return f"{stage.name} {stage.status}{verdict}{headline}"


def _report_of(run: Run) -> Path | None:
    """The report of the stage that stopped, else of the last with the gravest verdict."""
    gravest = [stage for stage in run.stages if stage.verdict == run.verdict and stage.report]
    stage = run.stopped or (gravest[-1] if gravest else None)
    return run.folder / stage.report if stage and stage.report else None
