"""How far the scoring of a portfolio is, and what became of it, in lines of text."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from creditrisk.batch import Done, Part, Summary

EVERY = 10  # seconds between lines where no terminal shows a bar


@dataclass
class Pace:
    """Counts what has been done since the beginning."""

    began: float
    files: int = 0
    done: int = 0
    rows: int = 0
    said: float = 0.0

    def words(self) -> str:
        """Files, rows and rows a second."""
        rate = self.rows / max(time.monotonic() - self.began, 1e-3)
        return f"{self.done:,} of {self.files:,} files, {self.rows:,} rows, {rate:,.0f} rows/s"


@contextmanager
def shown() -> Iterator[Callable[[str, object], None]]:
    """Show progress on standard error; yields what :func:`creditrisk.batch.score` tells it to.

    What remains is judged by the bytes that are still to be read.
    """
    console = Console(stderr=True)
    bar = Progress(
        BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn(), console=console,
        disable=not console.is_terminal, transient=True,
    )  # fmt: skip
    pace, sizes = Pace(time.monotonic()), {}
    task = bar.add_task("", total=None)

    def tell(what: str, about: object) -> None:
        if what == "link":
            print(f"dashboard: {about}", file=sys.stderr)
        elif what == "plan":
            summary, rest = about
            _begin(pace, sizes, summary, rest)
            bar.update(task, total=sum(sizes.values()))
        elif what == "part":
            pace.done += 1
            pace.rows += about.rows if isinstance(about, Done) else 0
            bar.update(task, description=pace.words(), advance=sizes[about.name])
            if not console.is_terminal and time.monotonic() - pace.said > EVERY:
                pace.said = time.monotonic()
                print(f"{pace.words()}, {_remaining(pace, sizes)}", file=sys.stderr)

    with bar:
        yield tell


def _begin(pace: Pace, sizes: dict[str, int], summary: Summary, rest: list[Part]) -> None:
    pace.began = pace.said = time.monotonic()
    pace.files = len(rest)
    sizes.update({part.name: part.size or 1 for part in rest})
    if summary.kept:
        print(f"{summary.kept:,} of {summary.parts:,} files were scored before and are kept",
              file=sys.stderr)  # fmt: skip


def _remaining(pace: Pace, sizes: dict[str, int]) -> str:
    seconds = (time.monotonic() - pace.began) * (pace.files / pace.done - 1)
    return f"about {seconds:,.0f} s remain"


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
    if summary.manifest:
        model = summary.manifest["model"]
        version = f" version {model['version']}" if model["version"] else ""
        yield f"model {model['name']}{version}, sha256 {model['sha256'][:12]}"
