"""What is only shown: the chain and its state, what would run, and where a file comes from."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from papermill_chain.actions.old_runs import show_old_runs
from papermill_chain.actions.run import cache_of
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.reports.listing import show_plan
from papermill_chain.runs.pruning import Protected


def show_origin(asked: Namespace, stages: Sequence[Stage], root: Path, experiments: Path) -> int:
    """Show which stages of which runs made a file, and from what."""
    from papermill_chain.lineage.origin import origin_of
    from papermill_chain.reports.lineage_text import show_lineage

    show_lineage(origin_of(asked.lineage, root, experiments, stages), asked.json)
    return 0


def show_chain(asked: Namespace, plan: Plan) -> int:
    """Show the chain in layers, how the last run left it and what would run next."""
    from papermill_chain.reports.chain_text import show_graph

    with cache_of(asked) as cache:
        show_graph(plan, asked.json, cache)
    return 0


def show_what_would_run(asked: Namespace, plan: Plan, protected: Protected) -> int:
    """Show which stages would run and why, and which old runs would be removed."""
    with cache_of(asked) as cache:
        show_plan(plan, cache)
    if asked.keep:
        show_old_runs(plan, asked, protected)
    return 0
