"""What a grid shows while it runs and when it has ended: lines for people, JSON for programs."""

import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from textwrap import fill, indent
from typing import Any

from papermill_chain.grid.combinations import Combination, Grid
from papermill_chain.grid.run import GridView, results_before
from papermill_chain.reports.terminal import COLOURS, Lines, Running, duration, shown_path, tell
from papermill_chain.runs.manifest import GOOD


def grid_view_for(quiet: bool, json: bool) -> GridView:
    """The view of a grid that a user has asked for."""
    return GridEvents() if json else GridLines(Lines(quiet))


@dataclass
class GridLines:
    """A grid as lines: one a combination that is running, one or two of each that has ended."""

    lines: Lines

    def started(self, combination: Combination, expected: float | None) -> None:
        label = combination.label
        self.lines.running[label] = Running(label, expected)
        if not self.lines.moving:
            about = f" (about {duration(expected)})" if expected else ""
            self.lines.say(f"{label}  started{about}")
        self.lines.redraw()

    def told(self, combination: Combination, event: dict[str, Any]) -> None:
        running = self.lines.running.get(combination.label)
        if running and event["event"] in ("stage started", "cell started"):
            cell = f" cell {event['number']}/{event['of']}" if "of" in event else ""
            running.cell = f"{event['stage']}{cell}"
            self.lines.redraw()

    def ended(self, combination: Combination, done: int, of: int, left: float | None) -> None:
        lines, result = self.lines, combination.result
        lines.running.pop(combination.label, None)
        status = lines.paint(COLOURS[result.status], result.status)
        took = result.seconds is not None and result.status != "up to date"
        seconds = f", {duration(result.seconds)}" if took else ""
        rest = f", about {duration(left)} left" if left else ""
        label = lines.paint(COLOURS["bold"], combination.label)
        lines.say(f"{done} of {of}  {label}: {status}{seconds}{rest}")
        told = result.error or ", ".join(f"{k} {v}" for k, v in result.figures.items())
        if told:
            columns = shutil.get_terminal_size().columns
            lines.say(indent(fill(told, max(columns, 40) - 5), "    "))

    def tick(self) -> None:
        self.lines.tick()

    def closed(self, grid: Grid, status: str) -> None:
        lines, results = self.lines, [one.result for one in grid.combinations]
        lines.running.clear()
        count = sum(result.status in GOOD for result in results)
        lines.say()
        lines.say(
            f"Grid {grid.id} {lines.paint(COLOURS[status], status)}: {count} of {len(results)} "
            "combinations have results, compared in "
            + lines.paint(COLOURS["link"], shown_path(grid.page))
        )
        if status == "interrupted":
            lines.say(f"Next: {grid.command}    # goes on where it has stopped")


@dataclass
class GridEvents:
    """A grid as JSON, one object a line."""

    def started(self, combination: Combination, expected: float | None) -> None:
        self._tell("combination started", combination, expected_seconds=expected)

    def told(self, combination: Combination, event: dict[str, Any]) -> None:
        if event["event"] == "stage ended":
            shown = {name: event[name] for name in ("stage", "status", "seconds")}
            self._tell("stage ended", combination, **shown)

    def ended(self, combination: Combination, done: int, of: int, left: float | None) -> None:
        facts = {"done": done, "of": of, "seconds_left": left}
        self._tell("combination ended", combination, **asdict(combination.result), **facts)

    def tick(self) -> None:
        """Nothing: a program sees by itself that time passes."""

    def closed(self, grid: Grid, status: str) -> None:
        tell("grid ended", grid=grid.id, status=status, page=str(grid.page))

    def _tell(self, event: str, combination: Combination, **facts: Any) -> None:
        tell(event, combination=combination.number, parameters=combination.parameters, **facts)


def show_grid(grid: Grid) -> None:
    """Print the combinations, and how long those that are not done may take."""
    done = results_before(grid)
    for one in grid.combinations:
        print(f"{one.label}  {'done' if one.folder in done else 'would run'}")
    left = len(grid.combinations) - len(done)
    each = grid.expected
    about = f": about {duration(each * left / min(grid.jobs, left))}" if each and left else ""
    how = (
        f"on the cluster at {grid.scheduler}" if grid.scheduler else f"{grid.jobs} at a time{about}"
    )
    print(f"{left} of {len(grid.combinations)} to run, {how}; page: {shown_path(grid.page)}")


def show_failed_combinations(grid: Grid) -> None:
    """Tell on stderr which combinations have failed, why, and where to read more."""
    with suppress(OSError, AttributeError):
        sys.stderr.reconfigure(errors="replace")
    if grid.trouble:
        with suppress(OSError):
            print(grid.trouble, file=sys.stderr)
    for one in grid.combinations:
        if one.result.status == "failed":
            with suppress(OSError):
                print(f"{one.label} failed: {one.result.error}", file=sys.stderr)
                if one.result.report:
                    report = grid.folder / one.folder / one.result.report
                    print(f"    {shown_path(report)}", file=sys.stderr)
