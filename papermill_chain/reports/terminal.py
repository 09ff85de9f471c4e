"""What a run shows: lines for people, or JSON for machines, while it runs and when it has ended."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import fill, indent
from typing import Any, Protocol

from papermill_chain.runs.manifest import Failure, Run, StageRun

SECONDS_OF_SILENCE = 15
COLOURS = {
    "succeeded": "32",
    "up to date": "32",
    "failed": "1;31",
    "interrupted": "33",
    "bold": "1",
    "dim": "2",
    "link": "36",
}


class View(Protocol):
    """Whoever shows a run is told of it by these."""

    def started(self, stage: StageRun, expected: float | None) -> None: ...
    def at_cell(self, stage: str, number: int, total: int, heading: str | None) -> None: ...
    def ended(self, stage: StageRun) -> None: ...
    def tick(self) -> None: ...
    def closed(self, run: Run, next_steps: Iterable[str]) -> None: ...
    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None: ...


def view_for(quiet: bool, json: bool) -> View:
    """The view that a user has asked for."""
    return Events() if json else Lines(quiet)


@dataclass
class Events:
    """A run as JSON, one object a line, for a program to read."""

    def started(self, stage: StageRun, expected: float | None) -> None:
        tell("stage started", stage=stage.name, why=stage.why, expected_seconds=expected)

    def at_cell(self, stage: str, number: int, total: int, heading: str | None) -> None:
        tell("cell started", stage=stage, number=number, of=total, heading=heading)

    def ended(self, stage: StageRun) -> None:
        told = asdict(stage)
        shown = "status", "why", "seconds", "headline", "figures", "error", "run"
        tell("stage ended", stage=stage.name, **{name: told[name] for name in shown})

    def tick(self) -> None:
        """Nothing: a program sees by itself that time passes."""

    def closed(self, run: Run, next_steps: Iterable[str]) -> None:
        manifest = str(run.folder / "manifest.json")
        told = {"status": run.status, "seconds": run.seconds, "troubles": run.troubles}
        tell("run ended", run=run.id, manifest=manifest, after=run.after, **told)

    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None:
        for stage in stages:
            self.ended(_taken_over(stage))
        tell("run ended", run=None, status="up to date")


def tell(event: str, **facts: Any) -> None:
    """Print an event as one line of JSON."""
    line = json.dumps({"event": event, "time": round(time.time(), 3)} | facts, default=str)
    with suppress(OSError):  # nobody reads any more
        print(line, flush=True)


@dataclass
class Running:
    """A notebook that is running, and the cell it is at."""

    name: str
    expected: float | None
    began: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)
    cell: str = "starting"

    def line(self) -> str:
        """Where it is, since when, and how long it took last time."""
        passed = duration(time.monotonic() - self.began)
        about = f" of about {duration(self.expected)}" if self.expected else ""
        return f"{self.name}  {self.cell} · {passed}{about}"


class Lines:
    """A run as lines: one a running notebook, kept up to date on a terminal, else now and then."""

    def __init__(self, quiet: bool = False) -> None:
        with suppress(AttributeError, OSError):  # a terminal that cannot show ± or → shows ?
            sys.stdout.reconfigure(errors="replace")
        self.quiet = quiet
        self.moving = not quiet and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.running: dict[str, Running] = {}
        self.drawn = 0  # lines that move, now on the screen

    def started(self, stage: StageRun, expected: float | None) -> None:
        self.running[stage.name] = Running(stage.name, expected)
        if not self.moving:
            about = f" (about {duration(expected)})" if expected else ""
            self.say(f"{stage.name}  started: {', '.join(stage.why)}{about}")
        self.redraw()

    def at_cell(self, stage: str, number: int, total: int, heading: str | None) -> None:
        if stage in self.running:
            below = f" · {heading}" if heading else ""
            self.running[stage].cell = f"cell {number}/{total}{below}"
        self.redraw()

    def ended(self, stage: StageRun) -> None:
        self.running.pop(stage.name, None)
        seconds = "" if stage.status == "up to date" else f" after {duration(stage.seconds)}"
        status = self.paint(COLOURS[stage.status], stage.status)
        self.say(f"{self.paint(COLOURS['bold'], stage.name)}  {status}{seconds}")

    def tick(self) -> None:
        """Time passes; where lines cannot move, say now and then that something still does."""
        for running in self.running.values():
            if not self.moving and time.monotonic() - running.shown >= SECONDS_OF_SILENCE:
                running.shown = time.monotonic()
                self.say(running.line())
        self.redraw()

    def closed(self, run: Run, next_steps: Iterable[str]) -> None:
        self.running.clear()
        self.say()
        self._table([(stage, run.folder) for stage in run.stages])
        index = shown_path(run.folder.parent.parent / "index.html")
        status = self.paint(COLOURS[run.status], run.status)
        self.say(
            f"Run {run.id} {status} after {duration(run.seconds)}; all runs: "
            + self.paint(COLOURS["link"], index)
        )
        for number, step in enumerate(next_steps if run.status == "succeeded" else ()):
            self.say("     " if number else "Next:", step)

    def nothing_to_do(self, stages: Sequence[StageRun], experiments: Path) -> None:
        self._table([(_taken_over(stage), experiments / "runs" / stage.run) for stage in stages])
        index = self.paint(COLOURS["link"], shown_path(experiments / "index.html"))
        self.say(f"Nothing to do; all runs: {index}")

    def _table(self, stages: Sequence[tuple[StageRun, Path]]) -> None:
        """Of each stage, what came of it, why it ran, what it found, and where to read it."""
        width = max(len(stage.name) for stage, _ in stages)
        for stage, folder in stages:
            seconds = "" if stage.seconds is None or not stage.why else duration(stage.seconds)
            status = self.paint(COLOURS.get(stage.status, COLOURS["dim"]), f"{stage.status:<11}")
            name = self.paint(COLOURS["bold"], f"{stage.name:<{width}}")
            why = f"   {', '.join(stage.why)}" if stage.why else ""
            self.say(f"{name}  {status}{seconds:>9}{why}".rstrip())
            if stage.headline:
                columns = shutil.get_terminal_size().columns
                self.say(indent(fill(stage.headline, max(columns, 40) - 5), "    "))
            if stage.report and not stage.error:
                self.say(f"    {self.paint(COLOURS['link'], shown_path(folder / stage.report))}")
        self.say()

    def say(self, *words: str) -> None:
        """Print above the lines that move, and run on in silence when nobody listens any more."""
        if not self.quiet:
            self.redraw(" ".join(words) + "\n")

    def redraw(self, above: str = "") -> None:
        """Put the lines of what is running below all else, in the place where they stood."""
        if not above and not self.moving:
            return
        columns = shutil.get_terminal_size().columns - 1
        lines = [running.line()[:columns] + "\n" for running in self.running.values()]
        lines = lines if self.moving else []
        back = f"\x1b[{self.drawn}F\x1b[J" if self.drawn else ""
        self.drawn = len(lines)
        try:
            print(back + above + "".join(lines), end="", flush=True)
        except OSError:
            self.quiet, self.moving = True, False

    def paint(self, colour: str, words: str) -> str:
        coloured = self.moving and "NO_COLOR" not in os.environ
        return f"\x1b[{colour}m{words}\x1b[0m" if coloured else words


def show_failures(run: Run) -> None:
    """Tell on stderr what went wrong, also when all else is to be quiet."""
    lines = []
    for stage in run.stages:
        if stage.error and stage.status == "failed":
            lines += ["", _failure_sentence(stage)]
            lines += [f"    {line}" for line in stage.error.traceback.splitlines()]
            lines += [f"    {shown_path(run.folder / stage.report)}"] if stage.report else []
            lines += [f"    to look into it: python {Path(sys.argv[0]).name} --debug {stage.name}"]
    lines += run.troubles
    lines += [f"what follows the last stage failed: {run.after}"] if run.after else []
    with suppress(OSError, AttributeError):
        sys.stderr.reconfigure(errors="replace")
    with suppress(OSError):
        for line in lines:
            print(line, file=sys.stderr)


def _failure_sentence(stage: StageRun) -> str:
    """Where a stage failed and why."""
    return f"{stage.name} failed{place_of(stage.error)}: {stage.error}"


def place_of(error: Failure) -> str:
    """Where in a notebook it stopped, as far as that is known, to stand in a sentence."""
    cell = f" in cell {error.number}" if error.number else ""
    heading = f", under “{error.heading}”" if error.heading else ""
    return f"{cell}{heading}"


def _taken_over(stage: StageRun) -> StageRun:
    """A stage's last success as what this run has made of it: nothing."""
    stage.status, stage.why = "up to date", []
    return stage


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
