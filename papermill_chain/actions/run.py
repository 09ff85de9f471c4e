"""A run of what is not up to date, from its repair to the exit code."""

import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from papermill_chain.actions.cluster import cluster_of
from papermill_chain.actions.repair import repair
from papermill_chain.arguments import SCHEDULER
from papermill_chain.chain.plan import Plan
from papermill_chain.openlineage.target import Target
from papermill_chain.reports.views import View, show_failures, view_for
from papermill_chain.runs.manifest import Run, StageRun
from papermill_chain.runs.records import last_good
from papermill_chain.started import refuse_incomplete_python

if TYPE_CHECKING:  # a run without a cache need not load one
    from papermill_chain.cache.results import Cache

#: Of a stage: the exit code of each verdict.
ExitCodes = Mapping[str, Mapping[str, int]]


def run_stale(
    plan: Plan,
    asked: Namespace,
    target: Target | None,
    next_steps: Iterable[str],
    exit_codes: ExitCodes,
) -> tuple[Run | None, int]:
    """Repair what a killed run has left, then run what is not up to date; the run, if there is any.

    And the exit code.
    """
    repair(plan)
    last = last_good(plan.experiments, clear=True)
    to_run = [stage.name for stage in plan.stages if plan.why(stage, last.get(stage.name))]
    if to_run:
        refuse_incomplete_python()
    if to_run and os.environ.get(SCHEDULER):
        with cluster_of(asked):  # it is only asked whether it is there; a notebook goes by itself
            pass
    with (
        cache_of(asked) as cache,
        view_for(quiet=asked.quiet, json=asked.json) as shown,
        _also_sending(shown, plan, target) as view,
    ):
        if not to_run:
            done = [last[stage.name] for stage in plan.stages]
            view.nothing_to_do(done, plan.experiments)
            return None, _code_of(done, exit_codes)
        from papermill_chain.execution.runner import run_chain

        run, code = run_chain(plan, last, to_run, view, cache)
        view.closed(run, next_steps)
    show_failures(run, {name: notebook.language for name, notebook in plan.notebooks.items()})
    return run, code or _code_of(run.stages, exit_codes)


@contextmanager
def cache_of(asked: Namespace) -> Iterator["Cache | None"]:
    """The cache that is named, if one is; its key is out of the environment meanwhile."""
    if not asked.cache:
        yield None
        return
    from papermill_chain.cache.results import cache_at, key_from_environment

    with key_from_environment() as key:
        yield cache_at(asked.cache, key)


def _also_sending(view: View, plan: Plan, target: Target | None) -> AbstractContextManager[View]:
    """A view that also sends OpenLineage events, if they have a target."""
    if target is None:
        return nullcontext(view)
    from papermill_chain.openlineage.view import sending_events

    return sending_events(view, plan, target)


def _code_of(stages: Iterable[StageRun], exit_codes: ExitCodes) -> int:
    """The highest exit code that the verdicts of some stages ask for."""
    codes = (exit_codes.get(stage.name, {}).get(stage.verdict, 0) for stage in stages)
    return max(codes, default=0)
