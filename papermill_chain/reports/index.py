"""The page that lists all runs."""

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from papermill_chain.chain.plan import Plan
from papermill_chain.lineage.drawing import picture_of
from papermill_chain.lineage.graph import graph_of
from papermill_chain.lineage.status import look_of
from papermill_chain.reports.pages import filled
from papermill_chain.reports.screen import duration
from papermill_chain.runs.changes import changes_by_run
from papermill_chain.runs.files import PNG, browser_pages, write_whole
from papermill_chain.runs.lookup import read_runs
from papermill_chain.runs.manifest import Run
from work_units.regular_files import read_record

LARGEST_PICTURE = 1_000_000  # bytes; the index carries it inside


@dataclass(frozen=True)
class Picture:
    """The picture of a stage's headline, to stand in the page itself."""

    png: str  # base64
    alt: str


def write_index(
    experiments: Path, title: str, compare: str | None = None, columns: Sequence[str] = ()
) -> Path:
    """Write the page that lists the runs kept under `experiments`, newest first.

    `compare` is the command that compares the runs {a} and {b}; the page offers it, or the page
    that it has made before. `columns` are the figures that have a column in the table of all runs;
    all of them, if none is named.
    """
    runs = read_runs(experiments)
    known = dict.fromkeys(name for run in runs for name in run.figures)
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
        figures=[name for name in columns or known if name in known],
        pictures=pictures_of,
        link=link_to,
        pages=pages_of,
        compare=compare,
        comparisons=json.dumps(comparisons),
        compared=partial(comparisons_of, comparisons=comparisons),
        grids=grids,
        others=others_of(experiments),
        **(chain_in(latest) if latest else {}),
    )
    index = experiments / "index.html"
    write_whole(index, page)
    return index


def chain_in(run: Run) -> dict[str, object]:
    """What the picture of a run's chain is made of: the picture, the looks and links of stages."""
    graph = graph_of(run.stages)
    if not graph.stages:
        return {}
    looks = {stage.name: look_of(stage, run.status == "running") for stage in run.stages}
    took = {
        stage.name: f" · {duration(stage.seconds)}"
        for stage in run.stages
        if stage.run == run.id and stage.seconds is not None
    }
    lines = {
        stage.name: [looks[stage.name].text + took.get(stage.name, ""), ", ".join(stage.why)]
        for stage in run.stages
    }
    links = {stage.name: link_to(run, stage.report) for stage in run.stages}
    return {
        "picture": picture_of(graph, lines),
        "looks": looks,
        "links": {name: link for name, link in links.items() if link},
    }


def write_index_of(plan: Plan) -> Path:
    """Write that page for the runs of a chain, as its plan has title, command and columns."""
    return write_index(plan.experiments, plan.title, plan.compare, plan.columns)


def others_of(experiments: Path) -> dict[str, str]:
    """The pages of runs that are kept below these, or above them: the folder's name and a link."""
    others = {
        page.parent.name: f"{quote(page.parent.name, safe='')}/index.html"
        for page in sorted(experiments.glob("*/index.html"))
    }
    above = experiments.resolve().parent
    if (above / "runs").is_dir() and (above / "index.html").is_file():
        others[above.name] = "../index.html"
    return others


def link_to(run: Run, file: str | None) -> str | None:
    """The way to a file of a run from the folder that holds runs/; None if it is not there."""
    if not file or not (run.folder / file).is_file():
        return None
    return f"runs/{quote(run.folder.name, safe='')}/{quote(file, safe='')}"


def pages_of(run: Run) -> dict[str, str]:
    """The pages that are kept with a run beside its reports: name and link."""
    kept = {name: file for stage in run.stages for name, file in stage.kept.items()}
    links = {name: link_to(run, file) for name, file in browser_pages(kept).items()}
    return {name: link for name, link in links.items() if link}


def comparisons_of(run: Run, comparisons: Iterable[str]) -> dict[str, str]:
    """The pages that compare a run with one before it: link, and the id of the other."""
    return {
        f"comparisons/{quote(name, safe='')}.html": name.removesuffix(f"_{run.id}")
        for name in comparisons
        if name.endswith(f"_{run.id}")
    }


def pictures_of(run: Run) -> list[Picture]:
    """The pictures of a run's headlines, as far as they can be read."""
    found = []
    for picture in filter(None, (stage.picture for stage in run.stages)):
        file = run.folder / picture["file"]
        with suppress(OSError, ValueError):
            png = read_record(file, LARGEST_PICTURE)
            if png.startswith(PNG):
                found.append(Picture(b64encode(png).decode(), picture["alt"]))
    return found
