"""A copy of a notebook to work on, and its changes put back."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.lock import only_run


def make_debug_copy(asked: Namespace, plan_for: Callable[[Namespace], Plan]) -> int:
    """Make a copy of a notebook to work on, print how, and open it if asked."""
    from papermill_chain.debug_copy import make_copy, open_in_jupyter, show_copy

    alone = {"only": [asked.debug], "start": None, "force": False}
    copy = make_copy(plan_for(Namespace(**vars(asked) | alone)))
    show_copy(copy)
    return open_in_jupyter(copy) if asked.open else 0


def put_back(asked: Namespace, stages: list[Stage], root: Path, experiments: Path) -> None:
    """Put the changes of a copy into its notebook, while no run reads it."""
    from papermill_chain.debug_copy import take_over

    if asked.dry_run:
        raise ChainError("--fixed changes a notebook; --dry-run, which changes nothing, forbids it")
    with only_run(experiments):
        done = take_over(asked.fixed, stages, root)
    if not (asked.quiet or asked.json):
        print(done)
