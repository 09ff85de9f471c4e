"""How far the scoring of a portfolio is, and what became of it, in lines of text."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from creditrisk.portfolio.job import FailedPart, Part, ScoredPart, Summary
from creditrisk.portfolio.scoring import Notify

EVERY = 10  # seconds between lines where no terminal shows a bar


@dataclass
class Pace:
    """Counts what is done, from the first file on."""

    sizes: dict[str, int] = field(default_factory=dict)  # bytes by file
    began: float = 0.0
    said: float = 0.0
    files: int = 0
    rows: int = 0
    read: int = 0  # bytes

    def begin(self, parts: list[Part]) -> None:
        """Note what has to be done."""
        self.sizes = {part.name: part.size or 1 for part in parts}
        self.began = self.said = time.monotonic()

    def add(self, result: ScoredPart | FailedPart) -> None:
        """Count a file."""
        self.files += 1
        self.rows += result.rows if isinstance(result, ScoredPart) else 0
        self.read += self.sizes[result.name]

    def words(self) -> str:
        """Files, rows and rows a second."""
        rate = self.rows / max(time.monotonic() - self.began, 1e-3)
        files = f"{self.files:,} of {len(self.sizes):,} files"
        return f"{files}, {self.rows:,} rows, {rate:,.0f} rows/s"

    def remaining(self) -> str:
        """How long the rest takes if its bytes take as long as those that were read."""
        whole = sum(self.sizes.values()) / self.read
        return f"about {(time.monotonic() - self.began) * (whole - 1):,.0f} s remain"


@contextmanager
def progress_bar() -> Iterator[Notify]:
    """Show progress on standard error; yields what ``scoring.score`` notifies."""
    console, pace = Console(stderr=True), Pace()
    bar = Progress(
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    task = bar.add_task("", total=None)

    def notify(what: str, about: Any) -> None:
        if what == "plan":
            summary, rest = about
            if summary.kept:
                print(
                    f"{summary.kept:,} of {summary.parts:,} files were scored before and are kept",
                    file=sys.stderr,
                )
            pace.begin(rest)
            bar.update(task, total=sum(pace.sizes.values()))
            return
        if what == "cluster":
            print(about, file=sys.stderr)
            return
        pace.add(about)
        bar.update(task, description=pace.words(), completed=pace.read)
        if not console.is_terminal and time.monotonic() - pace.said > EVERY:
            pace.said = time.monotonic()
            print(f"{pace.words()}, {pace.remaining()}", file=sys.stderr)

    with bar:
        yield notify


def lines(summary: Summary, out: str) -> Iterator[str]:
    """What became of a portfolio."""
    rows, scored, rejected = (summary.total(figure) for figure in ("rows", "scored", "rejected"))
    share = f", {summary.total('approved') / scored:.1%} of them approved" if scored else ""
    files = f"{len(summary.done):,} file{'s' * (len(summary.done) != 1)}"
    yield f"{rows:,} rows in {files} = {scored:,} scored + {rejected:,} rejected{share}"
    if rejected:
        yield f"rejected, see {out.rstrip('/')}/_rejected:"
        for reason, count in summary.why.most_common(5):
            yield f"{count:>12,}  {reason}"
    unused = sorted({column for part in summary.done for column in part.unused})
    if unused:
        names = ", ".join(map(repr, unused[:20]))
        yield f"columns the contract does not know, passed over: {names}"
    if now := sum(part.rows for part in summary.done[summary.kept :]):
        rate = now / max(summary.seconds, 1e-3)
        yield f"{summary.seconds:.1f} s with the model loaded, {rate:,.0f} rows/s"
    if summary.manifest:
        model = summary.manifest["model"]
        version = f" version {model['version']}" if model["version"] else ""
        yield f"model {model['name']}{version}, sha256 {model['sha256'][:12]}"
    if summary.recorded is not None:
        yield f"{summary.recorded:,} decisions recorded"
