"""What --list and --dry-run print: the stages, and what would run."""

from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import isabs, relpath

from papermill_chain.cache.results import Cache
from papermill_chain.cache.sharing import Shared, shared_result
from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.settings import settable
from papermill_chain.chain.stages import Stage, upstream
from papermill_chain.reports.screen import duration, in_words
from papermill_chain.runs.records import last_good


@dataclass(frozen=True)
class Outlook:
    """Whether a stage would run: why it would, and else the stages whose new files it may need."""

    why: list[str]
    after: list[str]
    seconds: float | None  # how long its last success took
    shared: Shared  # what a cache has of it

    @property
    def text(self) -> str:
        reasons = ", ".join(self.why)
        if self.shared.entry:
            return f"would be taken from the cache ({reasons}): {self.shared.entry.origin}"
        if self.why:
            about = f" (about {duration(self.seconds)})" if self.seconds else ""
            return f"would run: {reasons}{about}{self.shared.remark}"
        if self.after:
            return f"would run if {' or '.join(self.after)} changes its files"
        return "up to date"


def outlooks(plan: Plan, cache: Cache | None = None) -> dict[str, Outlook]:
    """Of each stage whether it would run, or be taken from a cache, as things are now."""
    last, found = last_good(plan.experiments), dict[str, Outlook]()
    for stage in plan.stages:
        good = last.get(stage.name)
        would_run = {name for name, outlook in found.items() if outlook.why or outlook.after}
        after = sorted(would_run & upstream(stage, plan.stages))
        why, seconds = plan.why(stage, good), good.seconds if good else None
        shared = shared_result(cache, plan, stage) if cache and why else Shared()
        found[stage.name] = Outlook(why, after, seconds, shared)
    return found


def show_plan(plan: Plan, cache: Cache | None = None) -> None:
    """Print of each stage whether it would run or be taken from the cache, and why."""
    width = max(len(stage.name) for stage in plan.stages)
    for name, outlook in outlooks(plan, cache).items():
        print(in_words(f"{name:<{width}}  {outlook.text}", width + 2))


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
