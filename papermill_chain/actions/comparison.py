"""Two runs compared on a page."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from papermill_chain.actions.pages import open_page
from papermill_chain.refusal import REFUSED, refuse
from papermill_chain.reports.screen import shown_path
from papermill_chain.reports.views import print_event
from papermill_chain.runs.lookup import NoRun, named_run
from papermill_chain.runs.manifest import Run

#: Compares two runs: the page that it has written, and some lines for the terminal.
Comparer = Callable[[Run, Run], tuple[Path, Sequence[str]]]


def compare_runs(asked: Namespace, compare: Comparer, experiments: Path) -> int:
    """Compare two runs on a page, and print where it is and what it comes to."""
    a, b = (named_run(name, experiments) for name in asked.compare)
    if a.folder.resolve() == b.folder.resolve():
        raise NoRun(f"both are the same run, {a.folder.name}: name two")
    try:
        page, lines = compare(a, b)
    except OSError as error:
        return refuse(f"the page cannot be written ({error})", REFUSED)
    if asked.json:
        print_event("runs compared", page=str(page), summary=lines)
    elif not asked.quiet:
        for line in [shown_path(page), *lines]:
            print(_on_one_line(line))
    if asked.open:
        open_page(page.absolute())
    return 0


def _on_one_line(text: str) -> str:
    """A text from the files of runs: what could pass for another line is shown as its code."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
