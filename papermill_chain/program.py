"""A chain as its program hands it over."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from papermill_chain.actions.comparison import Comparer
from papermill_chain.actions.run import ExitCodes
from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.plan import Plan, plan_of
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.manifest import Run
from papermill_chain.runs.pruning import Protected
from papermill_chain.started import command


@dataclass(frozen=True)
class Program:
    """The table of stages, and what the program does around a run; see `papermill_chain.cli.main`.

    The root is absolute.
    """

    chain: Sequence[Stage]
    root: Path
    title: str
    experiments_path: str
    before: Callable[[], object] | None
    after: Callable[[Run], None] | None
    next_steps: Iterable[str]
    compare: Comparer | None
    shared: Sequence[str]
    refusals: frozenset[str]
    columns: tuple[str, ...]
    exit_codes: ExitCodes
    protected: Protected

    @property
    def experiments(self) -> Path:
        """The folder that keeps all runs."""
        return self.root / self.experiments_path

    @property
    def comparing(self) -> str | None:
        """The command that compares the runs {a} and {b}, if the program can."""
        return f"{command()} --compare {{a}} {{b}}" if self.compare else None

    def plan(self, stages: list[Stage], notebooks: dict[str, Notebook], asked: Namespace) -> Plan:
        """The plan that a command line asks for; ChainError if it cannot be meant."""
        plan = plan_of(
            asked, stages, notebooks, self.root, self.title, command(), self.after, self.comparing
        )
        return replace(
            plan,
            refusals=self.refusals,
            columns=self.columns,
            experiments_path=self.experiments_path,
        )
