"""A terminal that rich draws on: what is running moves at the foot, all else is printed above."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from papermill_chain.reports.screen import Part, Running, Screen

STYLES = {
    "succeeded": "green",
    "up to date": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "warning": "yellow",
    "stop": "bold red",
    "not run": "dim",
    "name": "bold",
    "path": "cyan",
    "detail": "dim",
}


class Elapsed(ProgressColumn):
    """Since when something runs, of how long it took the last time."""

    def render(self, task: Task) -> Text:
        running: Running = task.fields["running"]
        return Text(running.elapsed, style="dim", no_wrap=True)


class Terminal(Screen):
    """What is running as one line each, with a bar of its steps."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.console = Console(
            file=file, force_terminal=True, highlight=False, markup=False, emoji=False
        )
        self.progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=16),
            TextColumn(
                "{task.fields[running].step}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            Elapsed(table_column=Column(no_wrap=True, justify="right")),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )
        self.tasks: dict[str, TaskID] = {}

    def start(self, name: str, why: str, expected: float | None) -> None:
        """Something starts that is expected to take so many seconds."""
        running = self.running[name] = Running(expected)
        with self._until_it_is_gone():
            self.progress.start()
            self.tasks[name] = self.progress.add_task(name, total=None, running=running)

    def step(self, name: str, step: str, number: int = 0, total: int | None = None) -> None:
        """What is running is at a step, which is the `number`-th of `total`."""
        super().step(name, step)
        if name in self.tasks:
            with self._until_it_is_gone():
                done = max(number - 1, 0)
                self.progress.update(self.tasks[name], completed=done, total=total, refresh=True)

    def end(self, name: str) -> None:
        """Something runs no more."""
        super().end(name)
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))

    def tick(self) -> None:
        """Time passes."""
        with self._until_it_is_gone():
            self.progress.refresh()

    def line(self, *parts: Part) -> None:
        """Print a line above what is running."""
        styled = [p if isinstance(p, str) else (p[0], STYLES.get(p[1], "")) for p in parts]
        with self._until_it_is_gone():
            self.console.print(Text.assemble(*styled), soft_wrap=True)

    def paragraph(self, text: str, style: str = "") -> None:
        """Print a longer text, indented and in lines that fit, in the colour of a status."""
        with self._until_it_is_gone():
            self.console.print(Padding(Text(text, STYLES.get(style, "")), (0, 1, 0, 4)))

    def close(self) -> None:
        """Nothing is running any more."""
        super().close()
        with self._until_it_is_gone():
            self.progress.stop()

    @contextmanager
    def _until_it_is_gone(self) -> Iterator[None]:
        """Go on in silence when the terminal is closed."""
        try:
            yield
        except OSError:
            self.console.quiet = True
