"""A request that is refused: why is printed, and sent to whoever wants word of runs."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from papermill_chain.arguments import argument_parser, refuse_for_runs_only
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.stages import Stage

if TYPE_CHECKING:  # a run that sends no word need not load what does
    from papermill_chain.notices.sending import Word

REFUSED = 2  # the exit code of a wrong request, as argparse has it


def word_for(asked: Namespace, title: str, experiments: Path) -> "Word | None":
    """Who gets word of the run, if anybody; ChainError if that cannot be."""
    if not asked.notify:
        return None
    from papermill_chain.notices.sending import word_of

    return word_of(asked, title, experiments)


def refuse(sentence: str, code: int, word: "Word | None" = None) -> int:
    """Print on stderr why nothing is done, and send word of it; the exit code."""
    print(f"{Path(sys.argv[0]).name}: {sentence}", file=sys.stderr)
    if word:
        word.refused(sentence)
    return code


def refuse_request(
    sentence: str,
    chain: Sequence[Stage],
    experiments: Path,
    title: str,
    argv: Sequence[str],
    own_options: ArgumentParser,
) -> int:
    """Refuse what a program itself finds wrong, before it knows its chain; the exit code.

    Parameters
    ----------
    sentence : what is wrong, and the remedy.
    chain : one that it may have, whose stages --help names.
    experiments : the folder of its runs.
    title, argv, own_options : as `main` has them.
    """
    asked = argument_parser(title, chain, True, own_options).parse_args(argv)
    word = None
    try:
        refuse_for_runs_only(asked)
        word = word_for(asked, title, experiments)
    except ChainError as also:
        sentence = f"{sentence}; {also}"
    return refuse(f"nothing was run: {sentence}", REFUSED, word)
