"""The page that lists all runs."""

import json
from pathlib import Path
from urllib.parse import quote

from papermill_chain.reports.pages import filled
from papermill_chain.runs.changes import changes_by_run, read_runs
from papermill_chain.runs.files import write_whole


def write_index(experiments: Path, title: str, compare: str | None = None) -> Path:
    """Write the page that lists the runs kept under `experiments`, newest first.

    `compare` is the command that compares the runs {a} and {b}; the page offers it, or the page
    that it has made before.
    """
    runs = read_runs(experiments)
    latest = next((run for run in runs if not run.unreadable), None)
    good = next((run for run in runs if run.status == "succeeded"), None)
    comparisons = [page.stem for page in sorted(experiments.glob("comparisons/*_*.html"))]
    grids = {
        page.parent.name: f"grids/{quote(page.parent.name, safe='')}/index.html"
        for page in sorted(experiments.glob("grids/*/index.html"), reverse=True)
    }
    page = filled(
        "runs.html.j2",
        title=title,
        runs=runs,
        latest=latest,
        good=good if good is not latest else None,
        changes=changes_by_run(runs),
        figures=list(dict.fromkeys(name for run in runs for name in run.figures)),
        compare=compare,
        comparisons=json.dumps(comparisons),
        grids=grids,
    )
    index = experiments / "index.html"
    write_whole(index, page)
    return index
