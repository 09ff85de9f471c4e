"""What a grid shows while it runs and when it has ended: lines for people, JSON for programs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from papermill_chain.grid.combinations import Combination, Grid
from papermill_chain.grid.results import results_before
from papermill_chain.grid.run import GridView
from papermill_chain.reports.screen import Screen, counted, duration, shown_path
from papermill_chain.reports.views import print_event, screen_for
from papermill_chain.runs.manifest import GOOD


@contextmanager
def grid_view_for(quiet: bool, json: bool) -> Iterator[GridView]:
    """The view of a grid that a user has asked for; the terminal is left in order in any case."""
    if json:
        yield GridEvents()
        return
    screen = screen_for(sys.stdout, quiet)
    try:
        yield GridLines(screen)
    finally:
        screen.close()


class GridLines:
    """A grid as lines: one a combination that is running, one or two of each that has ended."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.removed = 0  # old runs of all combinations
        self.megabytes = 0.0

    def started(self, combination: Combination, expected: float | None) -> None:
        self.screen.start(combination.label, "", expected)

    def progressed(self, combination: Combination, event: dict[str, Any]) -> None:
        if event["event"] == "runs removed":
            self.removed += len(event["runs"])
            self.megabytes += event["megabytes"]
            if event["trouble"]:
                self.screen.paragraph(f"{combination.label}: {event['trouble']}")
        if event["event"] in ("stage started", "cell started"):
            number, total = event.get("number", 0), event.get("of")
            cell = f" cell {number}/{total}" if total else ""
            self.screen.step(combination.label, f"{event['stage']}{cell}", number, total)

    def ended(self, combination: Combination, done: int, of: int, left: float | None) -> None:
        screen, result = self.screen, combination.result
        screen.end(combination.label)
        took = result.seconds if result.status != "up to date" else None
        screen.line(
            f"{done} of {of}  ",
            (combination.label, "name"),
            ": ",
            (result.status, result.status),
            f", {duration(took)}" if took is not None else "",
            f", about {duration(left)} left" if left else "",
        )
        figures = (f"{name} {figure}" for name, figure in result.figures.items())
        if text := result.error or ", ".join(figures):
            screen.paragraph(text)

    def tick(self) -> None:
        self.screen.tick()

    def closed(self, grid: Grid, status: str) -> None:
        results = [one.result for one in grid.combinations]
        count = sum(result.status in GOOD for result in results)
        self.screen.close()
        self.screen.line()
        self.screen.line(
            f"Grid {grid.id} ",
            (status, status),
            f": {count} of {len(results)} combinations have results, compared in ",
            (shown_path(grid.page), "path"),
        )
        if self.removed:
            runs = counted(self.removed, "old run")
            self.screen.line(f"Removed {runs} of the combinations, {self.megabytes:.1f} MB")
        if status == "interrupted":
            self.screen.line(f"Next: {grid.command}    # goes on where it has stopped")


class GridEvents:
    """A grid as JSON, one object a line."""

    def started(self, combination: Combination, expected: float | None) -> None:
        self._print("combination started", combination, expected_seconds=expected)

    def progressed(self, combination: Combination, event: dict[str, Any]) -> None:
        shown = {
            "stage ended": ("stage", "status", "seconds"),
            "runs removed": ("runs", "megabytes", "trouble"),
        }.get(event["event"])
        if shown:
            self._print(event["event"], combination, **{name: event[name] for name in shown})

    def ended(self, combination: Combination, done: int, of: int, left: float | None) -> None:
        facts = {"done": done, "of": of, "seconds_left": left}
        self._print("combination ended", combination, **asdict(combination.result), **facts)

    def tick(self) -> None:
        """Do nothing: a program has its own clock."""

    def closed(self, grid: Grid, status: str) -> None:
        print_event("grid ended", grid=grid.id, status=status, page=str(grid.page))

    def _print(self, event: str, combination: Combination, **facts: Any) -> None:
        print_event(
            event, combination=combination.number, parameters=combination.parameters, **facts
        )


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
    """Print on stderr which combinations have failed, why, and where to read more."""
    screen = screen_for(sys.stderr)
    if grid.trouble:
        screen.line(grid.trouble)
    for one in grid.combinations:
        if one.result.status == "failed":
            screen.line((f"{one.label} failed", "failed"), f": {one.result.error}")
            if one.result.report:
                report = grid.folder / one.folder / one.result.report
                screen.line("    ", (shown_path(report), "path"))
