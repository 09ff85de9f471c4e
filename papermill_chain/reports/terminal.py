"""A terminal that rich draws on: what runs, waits and is done at the foot, all else above it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from papermill_chain.reports.screen import Part, Running, Screen, duration

STYLES = {
    "succeeded": "green",
    "up to date": "green",
    "cached": "green",
    "failed": "bold red",
    "interrupted": "yellow",
    "warning": "yellow",
    "stop": "bold red",
    "not run": "dim",
    "waiting": "dim",
    "name": "bold",
    "path": "cyan",
    "detail": "dim",
}
BAR, SHORTEST_STEP = 16, 16  # characters
HANGING = 4  # blanks before what does not fit the first line


class Terminal(Screen):
    """What is running as one line each, with a bar of its steps; what is expected, from the start.

    A line is never longer than the terminal is wide: the step gives way first, then the bar.
    """

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.steps: dict[str, float] = {}  # the share that is done of what is running
        self.expected: list[str] = []
        self.done: dict[str, tuple[str, str]] = {}  # of what was expected: status and time
        self.began = time.monotonic()
        self.console = Console(
            file=file, force_terminal=True, highlight=False, markup=False, emoji=False
        )
        self.live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            get_renderable=self._foot,
        )

    def expect(self, names: Sequence[str]) -> None:
        """All of this is to run."""
        self.expected, self.began = list(names), time.monotonic()
        self._refresh()

    def start(self, name: str, why: str, expected: float | None) -> None:
        """Something starts that is expected to take so many seconds."""
        self.running[name] = Running(expected)
        self._refresh()

    def step(self, name: str, step: str, number: int = 0, total: int | None = None) -> None:
        """What is running is at a step, which is the `number`-th of `total`."""
        super().step(name, step)
        if name in self.running:
            self.steps[name] = max(number - 1, 0) / total if total else 0
            self._refresh()

    def end(self, name: str, status: str = "", seconds: str = "") -> None:
        """Something runs no more; what was expected goes on to be shown at the foot."""
        self.steps.pop(name, None)
        if name not in self.expected:
            super().end(name, status, seconds)
            return
        super().end(name)
        self.done[name] = status, seconds
        self._refresh()

    def tick(self) -> None:
        """Time passes."""
        if self.running or self.expected:
            self._refresh()

    def line(self, *parts: Part) -> None:
        """Print a line above what is running."""
        self._print(_text(parts))

    def sentence(self, *parts: Part) -> None:
        """Print a line; what does not fit follows below, broken between words."""
        text, width = _text(parts), self.console.width
        for number, whole in enumerate(text.split("\n")):
            fits = cell_len(whole.plain) <= width
            lines = [whole] if fits else _between_words(whole, width - HANGING)
            for at, each in enumerate(lines):
                self._print(Text(" " * HANGING) + each if at and number == 0 else each)

    def command(self, before: str, command: str) -> None:
        """Print a command on one line, and below it a remark that does not fit."""
        typed, _, remark = command.partition("    # ")
        if not remark or cell_len(before + command) <= self.console.width:
            self.line(before, command)
            return
        self.line(before, typed)
        self.sentence(" " * len(before), (f"# {remark}", "detail"))

    def paragraph(self, text: str, style: str = "") -> None:
        """Print a longer text, indented and in lines that fit, in the colour of a status."""
        with self._until_it_is_gone():
            self.console.print(Padding(Text(text, STYLES.get(style, "")), (0, 1, 0, 4)))

    def close(self) -> None:
        """Nothing is running any more."""
        super().close()
        self.expected = []
        with self._until_it_is_gone():
            self.live.stop()

    def _print(self, text: Text) -> None:
        with self._until_it_is_gone():
            self.console.print(text, soft_wrap=True)

    def _refresh(self) -> None:
        with self._until_it_is_gone():
            self.live.start()
            self.live.refresh()

    def _foot(self) -> Group:
        """What is running; and of what is expected also what is done, what waits, and the sum."""
        names = list(dict.fromkeys([*self.expected, *self.running]))
        longest = max(map(cell_len, names), default=0)
        lines = [self._foot_line(name, longest) for name in names]
        if self.expected:
            passed = duration(time.monotonic() - self.began)
            total = f"{len(self.done)} of {len(self.expected)} done · {passed}"
            room = max(self.console.height - 2, 1)
            if len(lines) > room:  # what runs is shown before what waits or is done
                running = [self._foot_line(name, longest) for name in self.running]
                lines = running[: room - 1] + [Text("…", style="dim")]
            lines.append(Text(total, style="dim"))
        return Group(*lines)

    def _foot_line(self, name: str, longest: int) -> Text:
        label = Text(name + " " * (longest - cell_len(name) + 2), style="bold")
        if name in self.running:
            room = self.console.width - label.cell_len
            return label + self._progress(name, room)
        status, seconds = self.done.get(name, ("waiting", ""))
        line = label + Text(status, style=STYLES.get(status, "")) + Text(f" {seconds}")
        line.truncate(self.console.width, overflow="ellipsis")
        return line

    def _progress(self, name: str, room: int) -> Text:
        """Bar, step and time of what is running, within a number of characters."""
        running = self.running[name]
        elapsed = Text(running.elapsed, style="dim")
        rest = room - elapsed.cell_len - 1
        bar = self._bar(self.steps.get(name, 0)) if rest >= BAR + SHORTEST_STEP else Text()
        step = Text(running.step)
        step.truncate(max(rest - bar.cell_len - 1, 0), overflow="ellipsis", pad=True)
        return bar + step + Text("  ") + elapsed

    def _bar(self, share: float) -> Text:
        filled = round(share * BAR)
        whole, rest = "#-" if self.console.options.ascii_only else "━╌"
        return Text.assemble((whole * filled, "magenta"), (rest * (BAR - filled), "dim"), (" ", ""))

    @contextmanager
    def _until_it_is_gone(self) -> Iterator[None]:
        """Go on in silence when the terminal is closed."""
        try:
            yield
        except OSError:
            self.console.quiet = True


def _text(parts: Sequence[Part]) -> Text:
    styled = [
        part if isinstance(part, str) else (part[0], STYLES.get(part[1], "")) for part in parts
    ]
    return Text.assemble(*styled)


def _between_words(text: Text, width: int) -> list[Text]:
    """A text as lines; a word that is longer than a line, such as a path, stays whole."""
    lines = text.wrap(Console(width=width), width, overflow="ignore", no_wrap=False)
    for line in lines:
        line.rstrip()
    return list(lines)
