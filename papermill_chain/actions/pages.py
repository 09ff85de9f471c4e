"""The index of runs and other pages, shown in a browser."""

import sys
from pathlib import Path

from papermill_chain.chain.plan import Plan


def open_index(plan: Plan) -> None:
    """Show the index of runs in a browser."""
    from papermill_chain.reports.index import write_index_of

    # once more: comparisons may have been made since it was written
    open_page(write_index_of(plan))


def open_page(page: Path) -> None:
    """Show a page in a browser, or print where it is."""
    import webbrowser

    if not webbrowser.open(page.as_uri()):
        print(f"no browser to open {page} with", file=sys.stderr)
