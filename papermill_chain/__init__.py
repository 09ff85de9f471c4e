"""Run a chain of parameterized notebooks: in order, side by side, and all or nothing."""

from papermill_chain.cli import main
from papermill_chain.record import Run
from papermill_chain.stages import ChainError, Elsewhere, Stage

__all__ = ["ChainError", "Elsewhere", "Run", "Stage", "main"]
