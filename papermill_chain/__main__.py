"""`python -m papermill_chain`: `init` begins a chain of notebooks, `cache` cleans a cache."""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from papermill_chain.cache.command import add_arguments, clean
from papermill_chain.chain.parameters import ChainError
from papermill_chain.refusal import REFUSED
from papermill_chain.reports.screen import shown_path
from papermill_chain.starter import write_starter

EXAMPLES = """\
examples:
  python -m papermill_chain init numbers    a chain of two notebooks in the folder numbers
  python numbers/run_all.py                 runs it; --help has the rest
  python -m papermill_chain cache s3://bucket/results --max-size 5GB --max-age 30d --dry-run

exit code: 0 success, 2 request refused and nothing done"""


def begin(arguments: list[str]) -> int:
    """Do what the command line asks; the exit code."""
    parser = ArgumentParser(
        prog="python -m papermill_chain",
        description="Begin a chain of notebooks, or clean a cache that chains share.",
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, dest="command", metavar="init or cache")
    init = commands.add_parser("init", help="write a small chain to begin with")
    init.add_argument(
        "folder",
        nargs="?",
        default=".",
        metavar="FOLDER",
        help="where; it is made if it is not there (default: the current folder)",
    )
    about = "remove from a cache what was of no use for long, and files that no result names"
    add_arguments(commands.add_parser("cache", help=about, description=about))
    asked = parser.parse_args(arguments)
    try:
        lines = clean(asked) if asked.command == "cache" else _begun(Path(asked.folder))
    except ChainError as refusal:
        print(f"papermill_chain: {refusal}", file=sys.stderr)
        return REFUSED
    print("\n".join(lines))
    return 0


def _begun(folder: Path) -> list[str]:
    """Write a chain to begin with; what was written, in words."""
    files = [file.absolute() for file in write_starter(folder)]
    lines = [f"wrote {shown_path(file)}" for file in files]
    return [*lines, f"Next: python {shown_path(files[0])}    # runs it; --help has the rest"]


if __name__ == "__main__":
    sys.exit(begin(sys.argv[1:]))
