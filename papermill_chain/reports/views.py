"""What a run shows while it runs and when it has ended: lines for people, JSON for programs."""

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TextIO

from papermill_chain.reports.screen import Screen, duration, shown_path
from papermill_chain.runs.manifest import Failure, Run, StageRun
from papermill_chain.started import command


class View(Protocol):
    """What the runner calls as a run goes on; `began` is in seconds since 1970."""

    def opened(self, run: Run) -> None: ...
    def started(self, stage: StageRun, expected: float | None) -> None: ...
    def at_cell(
        self, stage: str, number: int, total: int, heading: str | None, began: float
    ) -> None: ...
    def ended(self, stage: StageRun) -> None: ...
    def noted(self, note: str) -> None: ...
    def tick(self) -> None: ...
    def closed(self, run: Run, next_steps: Iterable[str]) -> None: ...
    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None: ...


def screen_for(file: TextIO, quiet: bool = False) -> Screen:
    """The screen for a file: a terminal if it is one on which lines can move."""
    if not quiet and file.isatty() and os.environ.get("TERM") != "dumb":
        with suppress(ImportError):
            from papermill_chain.reports.terminal import Terminal

            return Terminal(file)
    return Screen(file, quiet)


@contextmanager
def view_for(quiet: bool, json: bool) -> Iterator[View]:
    """The view that a user has asked for; the terminal is left in order, whatever happens."""
    if json:
        yield Events()
        return
    screen = screen_for(sys.stdout, quiet)
    try:
        yield Lines(screen)
    finally:
        screen.close()


class Events:
    """A run as JSON, one object a line, for a program to read."""

    def opened(self, run: Run) -> None:
        """Nothing: each stage is an event of its own."""

    def started(self, stage: StageRun, expected: float | None) -> None:
        print_event("stage started", stage=stage.name, why=stage.why, expected_seconds=expected)

    def at_cell(
        self, stage: str, number: int, total: int, heading: str | None, began: float
    ) -> None:
        cell = {"stage": stage, "number": number, "of": total, "heading": heading}
        print_event("cell started", time=round(began, 3), **cell)

    def ended(self, stage: StageRun) -> None:
        record = asdict(stage)
        shown = "status", "why", "seconds", "headline", "verdict", "figures", "error", "run"
        print_event("stage ended", stage=stage.name, **{name: record[name] for name in shown})

    def noted(self, note: str) -> None:
        print_event("note", text=note)

    def tick(self) -> None:
        """Nothing: a program sees by itself that time passes."""

    def closed(self, run: Run, next_steps: Iterable[str]) -> None:
        print_event(
            "run ended",
            run=run.id,
            manifest=str(run.folder / "manifest.json"),
            after=run.after,
            status=run.status,
            seconds=run.seconds,
            troubles=run.troubles,
        )

    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None:
        for stage in stages:
            self.ended(_up_to_date(stage))
        print_event("run ended", run=None, status="up to date")


class Lines:
    """A run as lines: what is running, what has ended, and at last a summary."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def opened(self, run: Run) -> None:
        self.screen.expect([stage.name for stage in run.stages])

    def started(self, stage: StageRun, expected: float | None) -> None:
        self.screen.start(stage.name, ", ".join(stage.why), expected)

    def at_cell(
        self, stage: str, number: int, total: int, heading: str | None, began: float
    ) -> None:
        below = f" · {heading}" if heading else ""
        self.screen.step(stage, f"cell {number}/{total}{below}", number, total)

    def ended(self, stage: StageRun) -> None:
        took = stage.executed and stage.seconds is not None
        seconds = f"after {duration(stage.seconds or 0)}" if took else ""
        self.screen.end(stage.name, stage.status, seconds)

    def noted(self, note: str) -> None:
        self.screen.paragraph(note)

    def tick(self) -> None:
        self.screen.tick()

    def closed(self, run: Run, next_steps: Iterable[str]) -> None:
        self.screen.close()
        self.screen.line()
        self._summary([(stage, run.folder) for stage in run.stages])
        self.screen.sentence(
            f"Run {run.id} ",
            (run.status, run.status),
            f" after {duration(run.seconds or 0)}; all runs: ",
            (shown_path(run.folder.parent.parent / "index.html"), "path"),
        )
        stops = [stage for stage in run.stages if stage.verdict == "stop"]
        for stage in stops if run.status == "succeeded" else ():
            report = shown_path(run.folder / (stage.report or ""))
            found = f"{stage.name}: {_first_sentence(stage.headline) or 'stop'}"
            self.screen.sentence((found, "stop"), "; why: ", (report, "path"))
        for number, step in enumerate(next_steps if run.status == "succeeded" else ()):
            self.screen.command("      " if number else "Next: ", step)

    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None:
        folders = experiments / "runs"
        self._summary([(_up_to_date(stage), folders / str(stage.run)) for stage in stages])
        index = shown_path(experiments / "index.html")
        self.screen.line("Nothing to do; all runs: ", (index, "path"))

    def _summary(self, stages: Sequence[tuple[StageRun, Path]]) -> None:
        """Of each stage its status, time and reason, what it found, and where to read it."""
        width = max(len(stage.name) for stage, _ in stages)
        for stage, folder in stages:
            took = stage.seconds if stage.executed else None
            seconds = "" if took is None else f" {duration(took)}"  # apart from the status
            self.screen.sentence(
                (f"{stage.name:<{width}}", "name"),
                "  ",
                (f"{stage.status:<11}", stage.status),
                f"{seconds:>9}   {', '.join(stage.why)}",
            )
            if stage.headline:
                self.screen.paragraph(stage.headline, stage.verdict)
            if stage.report and not stage.error:
                self.screen.line("    ", (shown_path(folder / stage.report), "path"))
        self.screen.line()


def _first_sentence(headline: str) -> str:
    """What a notebook has found, as far as its first sentence goes, without the full stop."""
    return re.split(r"(?<=[.!?])\s", headline, maxsplit=1)[0].removesuffix(".")


def print_event(event: str, **facts: Any) -> None:
    """Print an event as one line of JSON; its time is now, unless `time` is among the facts."""
    line = json.dumps({"event": event, "time": round(time.time(), 3)} | facts, default=str)
    with suppress(OSError):  # nobody reads any more
        print(line, flush=True)


def show_failures(run: Run, languages: Mapping[str, str]) -> None:
    """Print on stderr what went wrong, also when all else is to be quiet.

    Parameters
    ----------
    languages : what the notebook of each stage is written in.
    """
    screen = screen_for(sys.stderr)
    failed: dict[str, list[StageRun]] = {}
    for stage in run.stages:
        if stage.error and stage.status == "failed":
            same = str(stage.error) if stage.error.is_refusal else stage.name
            failed.setdefault(same, []).append(stage)
    for stages in failed.values():
        screen.line()
        _show_failure(screen, run, stages, languages[stages[0].name])
    for trouble in run.troubles:
        screen.line(trouble)
    if run.after:
        screen.line(f"what follows the last stage failed: {run.after}")


def _show_failure(screen: Screen, run: Run, stages: Sequence[StageRun], language: str) -> None:
    """Print why a stage has failed, or several for one reason, and where to read more."""
    names, error = " and ".join(stage.name for stage in stages), stages[0].error
    if error is None:
        return
    said = f": {error.evalue}" if error.is_refusal else f"{place_of(error)}: {error}"
    screen.sentence((f"{names} failed", "failed"), said)
    for line in _without_last(error.traceback, str(error)).splitlines():
        screen.line("    ", (line, "detail"))
    for report in filter(None, (stage.report for stage in stages)):
        screen.line("    ", (shown_path(run.folder / report), "path"))
    if not error.is_refusal and language == "python":  # for others --debug makes no copy
        screen.command("    to look into it: ", command("--debug", stages[0].name))


def _without_last(traceback: str, error: str) -> str:
    """A traceback without the error at its end, which has been printed."""
    return traceback.removesuffix(error).rstrip()


def place_of(error: Failure) -> str:
    """Where in a notebook it stopped, as far as that is known, to stand in a sentence."""
    cell = f" in cell {error.number}" if error.number else ""
    heading = f", under “{error.heading}”" if error.heading else ""
    return f"{cell}{heading}"


def _up_to_date(stage: StageRun) -> StageRun:
    """A stage's last success as what this run has made of it: nothing."""
    stage.status, stage.why = "up to date", []
    return stage
