"""What --graph prints: the chain in layers, how the last run left it, and what would run next."""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from papermill_chain.cache.results import Cache
from papermill_chain.chain.plan import Plan
from papermill_chain.lineage.graph import Graph, graph_of
from papermill_chain.lineage.status import look_of
from papermill_chain.reports.listing import Outlook, outlooks
from papermill_chain.reports.screen import duration
from papermill_chain.reports.views import print_event
from papermill_chain.runs.lookup import read_runs
from papermill_chain.runs.manifest import Run, StageRun

NARROWEST = 36  # characters of a box
PLAIN = str.maketrans(
    {"✓": "+", "✕": "x", "●": "*", "○": "o", "▼": "v", "·": "-", "…": "~", "→": ">"}
)
STYLES = {
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "running": "magenta",
    "waiting": "dim",
}


def show_graph(plan: Plan, json: bool, cache: Cache | None) -> None:
    """Print the chain, for people or as one JSON object; nothing is run.

    Parameters
    ----------
    cache : the results of other runs that the next run would look at, if it does.
    """
    next_steps = outlooks(plan, cache)
    graph = graph_of(plan.planned(stage) for stage in plan.stages)
    last = next((run for run in read_runs(plan.experiments) if not run.unreadable), None)
    if json:
        _print_json(plan, graph, last, next_steps)
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, emoji=False)
    plain = console.options.ascii_only
    for part in _parts(plan, graph, last, next_steps, console.width, plain):
        console.print(part)


def _print_json(
    plan: Plan, graph: Graph, last: Run | None, next_steps: Mapping[str, Outlook]
) -> None:
    layer = {name: number for number, names in enumerate(graph.layers, 1) for name in names}
    stages = [
        {
            "name": name,
            "title": stage.title,
            "layer": layer[name],
            "after": graph.makers(name),
            "reads": {path: maker or None for path, maker in graph.reads[name].items()},
            "writes": graph.writes[name],
            "last": _as_it_ended(last, name),
            "next": {
                "would_run": bool(next_steps[name].why),
                "why": next_steps[name].why,
                "if_files_change_of": next_steps[name].after,
                "from_the_cache": next_steps[name].shared.entry is not None,
                "not_from_the_cache": next_steps[name].shared.remark.removeprefix("; "),
            },
        }
        for name, stage in graph.stages.items()
    ]
    run = last and {"run": last.id, "status": last.status}
    print_event("graph", chain=plan.title, last=run, stages=stages)


def _as_it_ended(last: Run | None, name: str) -> dict[str, object] | None:
    stage = last.records.get(name) if last else None
    if stage is None:
        return None
    kept = "status", "verdict", "run", "seconds", "why"
    return {key: vars(stage)[key] for key in kept}


def _parts(
    plan: Plan,
    graph: Graph,
    last: Run | None,
    next_steps: Mapping[str, Outlook],
    width: int,
    plain: bool,
) -> list[Text | Columns]:
    """The title, what comes from outside, and the layers with an arrow from each to the next."""
    state = f"last run {last.id} {last.status}" if last else "no run yet"
    parts = list[Text | Columns]()
    parts.append(_text(f"{plan.title}: {state}", "bold", plain))
    across = max(1, min(max(map(len, graph.layers)), width // NARROWEST))
    room = width // across - (1 if across > 1 else 0)
    edges = box.ASCII if plain else box.ROUNDED
    outside = [path for group in graph.inputs for path in group.paths]
    boxes = [[Panel(_text(", ".join(outside), "dim", plain), title="from outside", box=edges)]]
    boxes = boxes if outside else []
    for layer in graph.layers:
        boxes.append(
            [
                Panel(
                    _content(graph, name, last, next_steps[name], plain),
                    title=Text(name, style="bold"),
                    title_align="left",
                    box=edges,
                    width=room,
                )
                for name in layer
            ]
        )
    for number, row in enumerate(boxes):
        if number:
            parts.append(_text(" " * (room // 2) + "▼", "dim", plain))
        parts.append(Columns(row, padding=(0, 1, 0, 0)))
    return parts


def _content(graph: Graph, name: str, last: Run | None, outlook: Outlook, plain: bool) -> Text:
    """What stands in the box of a stage."""
    stage = last.records.get(name) if last else None
    lines = [_state(stage, last), (f"next: {outlook.text}", "bold" if outlook.why else "")]
    for maker, paths in _by_maker(graph.reads[name]).items():
        lines.append((f"reads {_named(paths)}{' of ' + maker if maker else ''}", "dim"))
    if graph.writes[name]:
        lines.append((f"writes {_named(graph.writes[name])}", "dim"))
    return Text("\n").join(_text(text, style, plain) for text, style in lines)


def _state(stage: StageRun | None, last: Run | None) -> tuple[str, str]:
    if stage is None or last is None:
        return "○ not in the last run" if last else "○ not run", STYLES["waiting"]
    look = look_of(stage, last.status == "running")
    ran = stage.run == last.id and stage.seconds is not None
    took = f" · {duration(stage.seconds or 0)}" if ran else ""
    return look.text + took, STYLES[look.kind]


def _by_maker(reads: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, maker in reads.items():
        found.setdefault(maker, []).append(path)
    return found


def _named(paths: Sequence[str]) -> str:
    """The first of some files by name, and how many more there are."""
    more = f" +{len(paths) - 1}" if len(paths) > 1 else ""
    return PurePosixPath(paths[0]).name + more


def _text(text: str, style: str, plain: bool) -> Text:
    return Text(text.translate(PLAIN) if plain else text, style=style)
