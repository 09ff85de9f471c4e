"""What --list and --dry-run print: the stages, and what would run."""

from collections.abc import Sequence
from posixpath import isabs, normpath, relpath

from papermill_chain.cache.results import Cache
from papermill_chain.cache.sharing import shared_result
from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage, upstream, writers
from papermill_chain.reports.screen import duration, in_words
from papermill_chain.runs.records import last_good


def show_plan(plan: Plan, cache: Cache | None = None) -> None:
    """Print of each stage whether it would run or be taken from the cache, and why."""
    last = last_good(plan.experiments)
    width = max(len(stage.name) for stage in plan.stages)
    would_run: set[str] = set()
    for stage in plan.stages:
        good = last.get(stage.name)
        why = plan.why(stage, good)
        before = sorted(would_run & upstream(stage, plan.stages))
        if why:
            about = f" (about {duration(good.seconds)})" if good and good.seconds else ""
            entry, remark = shared_result(cache, plan, stage) if cache else (None, "")
            reasons = ", ".join(why)
            outlook = f"would run: {reasons}{about}{remark}"
            if entry:
                outlook = f"would be taken from the cache ({reasons}): {entry.origin}"
        elif before:
            outlook = f"would run if {' or '.join(before)} changes its files"
        else:
            outlook = "up to date"
        print(in_words(f"{stage.name:<{width}}  {outlook}", width + 2))
        if why or before:
            would_run.add(stage.name)


def show_stages(stages: Sequence[Stage], notebooks: dict[str, Notebook]) -> None:
    """Print the stages: what they read, write and let be set."""
    writer = writers(stages)
    for stage in stages:
        print(f"{stage.name}  {notebooks[stage.name].title}")
        wired = {**stage.reads, **stage.writes, **stage.in_place}
        lines = [("reads", path) for path in stage.reads.values()]
        lines += [("writes", path) for path in stage.writes.values()]
        for parameter in notebooks[stage.name].parameters.values():
            if variable := stage.secrets.get(parameter.name):
                lines.append(("secret", f"{parameter.name}, from the environment: {variable}"))
            elif normpath(wired.get(parameter.name, "")) not in writer:
                path = wired.get(parameter.name)
                value = repr(_from_notebooks(path)) if path else parameter.shown
                comment = f"  # {parameter.help}" if parameter.help else ""
                setting = f"{parameter.name}: {parameter.type} = {value}{comment}"
                lines.append(("set", setting))
        if notebooks[stage.name].takes_any:
            lines.append(
                ("set", "any NAME=VALUE: no cell is tagged `parameters`, or not in Python")
            )
        for label, text in lines:
            print(in_words(f"  {label:<6}  {text}", 12))
        print()


def _from_notebooks(path: str) -> str:
    """A path below the root as a notebook names it."""
    return path if isabs(path) else relpath(path, "notebooks")
