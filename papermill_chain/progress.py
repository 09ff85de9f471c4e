"""What a run shows in the terminal: a line for each notebook that runs, and what came of it."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill, indent

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from papermill_chain.record import Run, StageRun

SECONDS_OF_SILENCE = 15
COLOURS = {"succeeded": "green", "failed": "bold red", "interrupted": "yellow"}


@dataclass
class Running:
    """A notebook that is running, and the cell it is at."""

    name: str
    began: float
    shown: float
    cell: str = "starting"

    def line(self) -> Text:
        """Where it is and since when, in one line however narrow the terminal."""
        seconds = duration(time.monotonic() - self.began)
        parts = (self.name, "bold"), "  ", self.cell, " · ", seconds
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


class View:
    """The progress of a run: lines that move on a terminal, a few lines anywhere else."""

    def __init__(self, quiet: bool = False):
        self.console = Console(quiet=quiet, highlight=False, markup=False, emoji=False)
        self.running: dict[str, Running] = {}
        self.live = Live(
            console=self.console, get_renderable=self._lines, transient=True,
            refresh_per_second=4, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def __enter__(self) -> "View":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_) -> None:
        with suppress(OSError, SystemExit):
            self.live.stop()

    def started(self, stage: str) -> None:
        """A notebook has been sent off."""
        now = time.monotonic()
        self.running[stage] = Running(stage, now, now)
        if not self.console.is_terminal:
            self.print(f"{stage}  started")

    def at_cell(self, stage: str, number: int, total: int, heading: str | None) -> None:
        """A notebook has come to a cell, counted among its code cells."""
        if stage in self.running:
            self.running[stage].cell = f"cell {number}/{total}" + (
                f" · {heading}" if heading else ""
            )

    def tick(self) -> None:
        """Time passes; where lines cannot move, say now and then that something still does."""
        for running in self.running.values():
            if time.monotonic() - running.shown >= SECONDS_OF_SILENCE:
                running.shown = time.monotonic()
                if not self.console.is_terminal:
                    self.print(running.line())

    def ended(self, stage: str, status: str, seconds: float) -> None:
        """A notebook has come to an end."""
        self.running.pop(stage, None)
        self.print(
            Text.assemble(
                (stage, "bold"), "  ", (status, COLOURS[status]), f" after {duration(seconds)}"
            )
        )

    def print(self, *what: object, **how: object) -> None:
        """Print, and run on in silence when nobody listens any more."""
        try:
            self.console.print(*what, **how)
        except (OSError, SystemExit):  # rich ends the program when a pipe is closed
            self.console.quiet = True

    def _lines(self) -> Group:
        return Group(*(running.line() for running in list(self.running.values())))


def show_closing(view: View, run: Run, next_steps: Iterable[str]) -> None:
    """Tell what came of each stage, where the reports are, and what to do next."""
    width = max(len(stage.name) for stage in run.stages)
    view.print()
    for stage in run.stages:
        seconds = "" if stage.seconds is None else duration(stage.seconds)
        status = (f"{stage.status:<11}", COLOURS.get(stage.status, "dim"))
        view.print(Text.assemble((f"{stage.name:<{width}}", "bold"), "  ", status, f"{seconds:>9}"))
        if stage.headline:
            view.print(indent(fill(stage.headline, view.console.width - 5), "    "))
        if stage.report and not stage.error:
            view.print(Text(f"    {shown_path(run.folder / stage.report)}", "cyan"), soft_wrap=True)
    view.print()
    outcome = Text.assemble(f"Run {run.id} ", (run.status, COLOURS[run.status]))
    view.print(outcome, f"after {duration(run.seconds)}; all runs: ", end="")
    view.print(Text(shown_path(run.folder.parent.parent / "index.html"), "cyan"), soft_wrap=True)
    if run.status == "succeeded":
        for number, step in enumerate(next_steps):
            view.print("Next:" if number == 0 else "     ", step, soft_wrap=True)


def show_failures(run: Run) -> None:
    """Tell on stderr what went wrong, also when all else is to be quiet."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with suppress(OSError, SystemExit):
        for stage in run.stages:
            if stage.error:
                console.print()
                console.print(Text(failure_sentence(stage), COLOURS["failed"]))
                for line in stage.error.traceback.splitlines():
                    console.print(f"    {line}", soft_wrap=True)
                if stage.report:
                    console.print(f"    {shown_path(run.folder / stage.report)}", soft_wrap=True)
        for trouble in run.troubles:
            console.print(Text(trouble, COLOURS["failed"]))
        if run.after:
            console.print(
                Text(f"what follows the last stage failed: {run.after}", COLOURS["failed"])
            )


def failure_sentence(stage: StageRun) -> str:
    """Where a stage failed and why."""
    error = stage.error
    cell = f" in cell {error.number}" if error.number else ""
    heading = f", under “{error.heading}”" if error.heading else ""
    return f"{stage.name} failed{cell}{heading}: {error}"


def shown_path(path: Path) -> str:
    """A path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def duration(seconds: float) -> str:
    """A span of time as short as it can be said."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
