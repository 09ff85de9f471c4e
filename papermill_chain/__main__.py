"""`python -m papermill_chain init [FOLDER]`: begin a chain of notebooks."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from papermill_chain.chain.parameters import ChainError
from papermill_chain.refusal import REFUSED
from papermill_chain.reports.screen import shown_path
from papermill_chain.starter import write_starter


def begin(arguments: list[str]) -> int:
    """Do what the command line asks; the exit code."""
    parser = ArgumentParser(prog="python -m papermill_chain", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="init")
    init = commands.add_parser("init", help="write a small chain to begin with")
    init.add_argument(
        "folder",
        nargs="?",
        default=".",
        metavar="FOLDER",
        help="where; it is made if it is not there (default: the current folder)",
    )
    asked = parser.parse_args(arguments)
    try:
        files = write_starter(Path(asked.folder))
    except ChainError as refusal:
        print(f"papermill_chain: {refusal}", file=sys.stderr)
        return REFUSED
    for file in files:
        print(f"wrote {shown_path(file.absolute())}")
    print(f"Next: python {shown_path(files[0].absolute())}    # runs it; --help has the rest")
    return 0


if __name__ == "__main__":
    sys.exit(begin(sys.argv[1:]))
