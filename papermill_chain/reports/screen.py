"""What people read while something runs: lines that stay, and what is running at the moment.

A `Screen` prints plain lines, as a file or a pipe takes them. On a terminal a `Terminal` stands in
for it, which draws with rich.
"""

import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill, indent
from typing import TextIO, TypeAlias

SECONDS_OF_SILENCE = 15

Part: TypeAlias = str | tuple[str, str]  # a text, or a text and what it is: a status, a "path" ...


@dataclass
class Running:
    """Something that is running, and the step it is at."""

    expected: float | None  # seconds
    step: str = "starting"
    began: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> str:
        """Since when it runs, and how long it took the last time."""
        passed = duration(time.monotonic() - self.began)
        return f"{passed} of about {duration(self.expected)}" if self.expected else passed


class Screen:
    """Plain lines; of what is running, one when it starts and one now and then."""

    def __init__(self, file: TextIO, quiet: bool = False) -> None:
        if isinstance(file, io.TextIOWrapper):  # an encoding without ± or → gets ?
            file.reconfigure(errors="replace")
        self.file = file
        self.quiet = quiet
        self.running: dict[str, Running] = {}

    def expect(self, names: Sequence[str]) -> None:
        """All of this is to run; a terminal shows what waits and what is done, too."""

    def start(self, name: str, why: str, expected: float | None) -> None:
        """Something starts that is expected to take so many seconds."""
        self.running[name] = Running(expected)
        about = f" (about {duration(expected)})" if expected else ""
        self.line(f"{name}  started{why and ': '}{why}{about}")

    def step(self, name: str, step: str, number: int = 0, total: int | None = None) -> None:
        """What is running is at a step, which is the `number`-th of `total`."""
        if name in self.running:
            self.running[name].step = step

    def end(self, name: str, status: str = "", seconds: str = "") -> None:
        """Something runs no more; with a status it is printed how it ended."""
        self.running.pop(name, None)
        if status:
            self.line((name, "name"), "  ", (status, status), f" {seconds}")

    def tick(self) -> None:
        """Time passes."""
        for name, running in self.running.items():
            if time.monotonic() - running.shown >= SECONDS_OF_SILENCE:
                running.shown = time.monotonic()
                self.line(f"{name}  {running.step} · {running.elapsed}")

    def line(self, *parts: Part) -> None:
        """Print a line; in silence once nobody reads any more."""
        texts = [part if isinstance(part, str) else part[0] for part in parts]
        if not self.quiet:
            try:
                print("".join(texts).rstrip(), file=self.file, flush=True)
            except OSError:
                self.quiet = True

    def sentence(self, *parts: Part) -> None:
        """Print a line that a terminal may break between words."""
        self.line(*parts)

    def command(self, before: str, command: str) -> None:
        """Print a command, which is to be pasted; a remark after it may stand below."""
        self.line(before, command)

    def paragraph(self, text: str, style: str = "") -> None:
        """Print a longer text, indented and in lines that fit, in the colour of a status."""
        self.line(indent(fill(text, max(get_terminal_size().columns, 40) - 5), "    "))

    def close(self) -> None:
        """Nothing is running any more."""
        self.running.clear()


def in_words(text: str, hanging: int = 4) -> str:
    """A text for a terminal in lines that fit, broken between words; elsewhere as it is."""
    if not sys.stdout.isatty():
        return text
    return fill(
        text,
        max(get_terminal_size().columns, 40) - 1,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )


def shown_path(path: Path) -> str:
    """A path as one would type it in the current folder."""
    current = Path.cwd()
    return str(path.relative_to(current) if path.is_relative_to(current) else path)


def counted(number: int, what: str) -> str:
    """Some things with their number, such as 1 run or 2 runs."""
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"


def duration(seconds: float) -> str:
    """A span of time, as short as can be; the same in the terminal, on pages and in messages."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
