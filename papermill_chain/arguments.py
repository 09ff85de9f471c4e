"""The arguments of a chain's command line, and its help."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import NoReturn

from papermill_chain.chain.output_limits import MB, Limits
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.stages import Stage
from papermill_chain.started import command, without_paths

CACHE = "PAPERMILL_CHAIN_CACHE"  # the environment variable that names a cache of results
SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # the environment variable by which processes find the cluster


class _Parser(ArgumentParser):
    """A parser whose errors do not repeat addresses that are secrets."""

    def error(self, message: str) -> NoReturn:
        super().error(without_paths(message))


def argument_parser(
    title: str, chain: Sequence[Stage], can_compare: bool, own: ArgumentParser | None = None
) -> ArgumentParser:
    """The parser of a chain's arguments; --compare is among them if runs can be compared.

    Parameters
    ----------
    own : a parser, made without --help, of what the program itself takes beside them.
    """
    parser = _Parser(
        description=f"{title}: run the notebooks in order and keep what they find.",
        epilog=f"examples:\n{_examples(chain, can_compare)}\n\n"
        "exit code: 0 success, 1 a stage failed, 2 request refused and nothing run,\n"
        "75 another run is going on here, 128 + n ended by signal n; others as the verdict of a\n"
        "stage asks for.",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[own] if own else [],
    )
    # in the order in which --help has them
    _add_settings(parser)
    _add_choice_of_stages(parser)
    _add_other_things_to_do(parser, can_compare)
    _add_means(parser)
    _add_messages(parser)
    return parser


def _add_settings(parser: ArgumentParser) -> None:
    """What is only shown, and which parameters are set."""
    add = parser.add_argument
    add("--list", action="store_true", help="show stages and parameters, run nothing")
    add("--dry-run", action="store_true", help="show what would run and why, run nothing")
    add(
        "--set",
        action="append",
        default=[],
        metavar="[STAGE.]NAME=VALUE",
        help="set a parameter, of one stage alone if one is named (repeatable)",
    )
    add(
        "-f",
        "--params",
        action="append",
        default=[],
        metavar="FILE",
        help="set the parameters that a YAML or JSON file holds, or again those of a run by its "
        "manifest.json; --set counts more (repeatable; the last counts most)",
    )
    add(
        "-y",
        "--params-yaml",
        action="append",
        default=[],
        metavar="TEXT",
        help="set the parameters in a text of YAML or JSON; it counts more than files (repeatable)",
    )


def _add_choice_of_stages(parser: ArgumentParser) -> None:
    """Which stages run, how, and how much of their outputs is stored."""
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--only", action="append", metavar="STAGE", help="run this stage alone (repeatable)"
    )
    which.add_argument(
        "--from", dest="start", metavar="STAGE", help="run this stage and all after it"
    )
    which.add_argument("--force", action="store_true", help="run all stages, changed or not")
    add("--jobs", type=_count, default=2, metavar="N", help="notebooks side by side (default: 2)")
    add(
        "--open",
        action="store_true",
        help="then open the index of all runs in a browser; with "
        "--grid, --compare or --ui its page; with --debug the copy, in JupyterLab",
    )
    add("--cell-timeout", type=_count, metavar="SECONDS", help="longest a cell may take")
    for name, most in vars(Limits()).items():
        what = {"output": "one output", "notebook": "a notebook's outputs", "page": "a report"}
        add(
            f"--max-{name}",
            type=_count,
            metavar="MB",
            help=f"most of {what[name]} that is stored; the rest is cut off, with a note"
            f" (default: {most // MB})",
        )


def _add_other_things_to_do(parser: ArgumentParser, can_compare: bool) -> None:
    """What may be done instead of a run, or in another way."""
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--graph",
        action="store_true",
        help="show the chain in layers, how the last run left it and what would run next, run"
        " nothing; with --json as JSON",
    )
    way.add_argument(
        "--lineage",
        metavar="FILE",
        help="show which stages of which runs made a file, from what, and whether it is still as it"
        " was recorded; run nothing; with --json as JSON",
    )
    way.add_argument(
        "--debug",
        metavar="STAGE",
        help="make a copy of its notebook in debug/, as it failed and with what it was handed",
    )
    way.add_argument(
        "--fixed",
        metavar="STAGE",
        help="take the changes of that copy over into the notebook, then run",
    )
    way.add_argument(
        "--ui",
        action="store_true",
        help="serve a page, to this machine alone, on which parameters are set, a run is started"
        " and followed, and reports are read; with --open, show it",
    )
    way.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="run the chain in a workspace of its own for each of A,B,C or 1..10 or 0..100..25, and"
        " with a second --grid (repeatable) for each combination",
    )
    if can_compare:
        way.add_argument(
            "--compare",
            nargs=2,
            metavar=("A", "B"),
            help="write a page on what differs between two runs: parameters, data, code, figures"
            " and decisions. A run is an id, the beginning of one, latest, previous (the run before"
            " it) or a folder",
        )


def _add_means(parser: ArgumentParser) -> None:
    """What the page, a grid and a run use: ports, cores, clusters, caches, the disk."""
    add = parser.add_argument
    add(
        "--port",
        type=_port,
        default=8010,
        metavar="N",
        help="where --ui listens, 0 for any port that is free (default: %(default)s)",
    )
    add(
        "--grid-jobs",
        type=_count,
        default=max(1, _cores() // 2),
        metavar="N",
        help="chains of a grid side by side (default: half the cores, %(default)s)",
    )
    add(
        "--scheduler",
        metavar="ADDRESS",
        help=f"have the workers of a Dask cluster do what notebooks "
        f"do side by side, and the chains of a grid (default: the variable {SCHEDULER})",
    )
    add(
        "--cache",
        metavar="URL",
        default=os.environ.get(CACHE) or None,
        help="take results that other runs have put there, also on other machines, and put new ones"
        f" there: a folder, s3://... or what else fsspec knows (default: the variable {CACHE})",
    )
    add("--yes", action="store_true", help="do so for more than 200 combinations, too")
    add(
        "--keep",
        type=_count,
        metavar="N",
        help="after a good run remove all runs but the newest N, and those that files in use or"
        " protected models come from; with --dry-run only list them; with --grid so do the runs of"
        " each combination",
    )


def _add_messages(parser: ArgumentParser) -> None:
    """Who gets word of a run, and what the terminal shows."""
    add = parser.add_argument
    add(
        "--notify",
        action="append",
        default=[],
        metavar="TARGET",
        help="send word when the run or the grid has ended: mailto:ADDRESS, https://… or env:NAME,"
        " a variable of the environment that holds one of these (repeatable); the mail server is in"
        " SMTP_HOST, SMTP_PORT, SMTP_TLS, SMTP_USER, SMTP_PASSWORD and SMTP_FROM",
    )
    add(
        "--notify-on",
        choices=["run", "failure", "always"],
        default="run",
        help="when: after a run or a refusal (default), only after a failure, a refusal or the"
        " verdict stop, or always, also if there was nothing to do",
    )
    add(
        "--openlineage",
        metavar="FILE|URL",
        help="also send what starts and ends as OpenLineage events: add them to a file, one a line,"
        " or post them to a server (default: the variable OPENLINEAGE_URL, with the key in"
        " OPENLINEAGE_API_KEY)",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print nothing unless something fails")
    shown.add_argument("--json", action="store_true", help="print one JSON object a line")


def refuse_for_runs_only(asked: Namespace) -> None:
    """Raise ChainError for an option that goes with a run, beside one that runs no chain here."""
    others = ("list", "graph", "lineage", "debug", "compare")
    other = next((each for each in others if vars(asked).get(each)), "")
    for option in ("keep", "notify"):
        if other and vars(asked)[option]:
            raise ChainError(
                f"--{option} goes with a run of the chain, not with --{other}: leave one out"
            )


def _examples(chain: Sequence[Stage], can_compare: bool) -> str:
    """Commands to begin with, with names of this chain's stages."""
    typed = command()
    middle, last = chain[len(chain) // 2].name, chain[-1].name
    word, number = middle.partition("_")[2] or middle, last.partition("_")[0]
    examples = {
        typed: "all that is not up to date",
        f"{typed} --dry-run": "what that would be, and why",
        f"{typed} --graph": "the chain as a picture: who reads what, and how the last run ended",
        f"{typed} --lineage FILE": "who made a file, from what, and whether it is still that",
        f"{typed} --list": "the stages and the parameters that can be set",
        f"{typed} --set NAME=VALUE": "another value wherever a notebook has that parameter",
        f"{typed} --set {number}.NAME=VALUE": f"in {last} alone",
        f"{typed} --params FILE.yaml": "values from a file: NAME: VALUE, or below a stage's name",
        f"{typed} --from {word}": f"{middle} and all stages after it, changed or not",
        f"{typed} --only {number}": f"{last} alone, changed or not",
        f"{typed} --open": "then read the index of all runs in a browser",
        f"{typed} --ui": "a page on which all this is chosen and followed",
        f"{typed} --debug {word}": f"a copy of {middle} where it failed, to find out why",
        f"{typed} --fixed {word}": "take the changes of that copy over, and run on from there",
        f"{typed} --grid NAME=1..10": "the chain for each value, apart from all else; compared",
        f"{typed} --grid A=1..3 --grid B=.2,.3": "for each of the six combinations",
        f"{typed} --scheduler tcp://host:8786": "with the workers of a Dask cluster",
        f"{typed} --cache s3://bucket/folder": "with the results of others, for others",
    }
    if can_compare:
        examples[f"{typed} --compare previous latest"] = "what differs between two runs, on a page"
    width = max(map(len, examples))
    return "\n".join(f"  {example:<{width}}  {meaning}" for example, meaning in examples.items())


def _cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count(text: str) -> int:
    """A number of notebooks or seconds, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _port(text: str) -> int:
    """A port, for argparse."""
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"{text} is not a port, a whole number from 0 to 65535")
    return int(text)
