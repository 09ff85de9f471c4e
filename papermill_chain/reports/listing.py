"""What --list and --dry-run print: the stages, and what would run."""

from collections.abc import Sequence
from posixpath import isabs, relpath

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.settings import settable
from papermill_chain.chain.stages import Stage, upstream
from papermill_chain.reports.screen import duration, in_words
from papermill_chain.runs.records import last_good


def outlooks(plan: Plan) -> dict[str, str]:
    """Of each stage of a plan whether it would run, and why."""
    last = last_good(plan.experiments)
    would_run: set[str] = set()
    found: dict[str, str] = {}
    for stage in plan.stages:
        good = last.get(stage.name)
        why = plan.why(stage, good)
        before = sorted(would_run & upstream(stage, plan.stages))
        if why:
            about = f" (about {duration(good.seconds)})" if good and good.seconds else ""
            outlook = f"would run: {', '.join(why)}{about}"
        elif before:
            outlook = f"would run if {' or '.join(before)} changes its files"
        else:
            outlook = "up to date"
        found[stage.name] = outlook
        if why or before:
            would_run.add(stage.name)
    return found


def show_plan(plan: Plan) -> None:
    """Print of each stage whether it would run, and why."""
    width = max(len(stage.name) for stage in plan.stages)
    for stage, outlook in outlooks(plan).items():
        print(in_words(f"{stage:<{width}}  {outlook}", width + 2))


def show_stages(stages: Sequence[Stage], notebooks: dict[str, Notebook]) -> None:
    """Print the stages: what they read, write and let be set."""
    for stage in stages:
        notebook = notebooks[stage.name]
        print(f"{stage.name}  {notebook.title}")
        lines = [("reads", path) for path in stage.reads.values()]
        lines += [("writes", path) for path in stage.writes.values()]
        lines += [
            ("secret", f"{name}, from the environment: {variable}")
            for name, variable in stage.secrets.items()
            if name in notebook.parameters
        ]
        for parameter, path in settable(stage, notebook, stages):
            value = repr(from_notebooks(path)) if path else parameter.shown
            comment = f"  # {parameter.help}" if parameter.help else ""
            lines.append(("set", f"{parameter.name}: {parameter.type} = {value}{comment}"))
        if notebook.takes_any:
            lines.append(
                ("set", "any NAME=VALUE: no cell is tagged `parameters`, or not in Python")
            )
        for label, text in lines:
            print(in_words(f"  {label:<6}  {text}", 12))
        print()


def from_notebooks(path: str) -> str:
    """A path below the root as a notebook names it."""
    return path if isabs(path) else relpath(path, "notebooks")
