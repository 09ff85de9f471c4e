"""The command line of a chain: what to run, with which parameters, and what the exit code says."""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from posixpath import normpath
from typing import Any

from papermill_chain.notebooks import ChainError, Notebook, Parameter, value_of
from papermill_chain.record import Busy, Run, only_run, saying
from papermill_chain.stages import (
    Stage,
    find_stage,
    in_order,
    read_notebooks,
    refuse_missing,
    writers,
)

REFUSED, BUSY = 2, 75  # a wrong request, as argparse has it; "try again later" of sysexits.h


def main(
    chain: Sequence[Stage],
    root: Path,
    title: str,
    prepare: Callable[[Run], None] | None = None,
    after: Callable[[Run], None] | None = None,
    next_steps: Iterable[str] = (),
    argv: Sequence[str] | None = None,
) -> int:
    """Run a chain of notebooks as the command line asks.

    Parameters
    ----------
    chain : the stages; a stage comes after those whose files it reads.
    root : the folder that holds notebooks/, and below which all paths of the chain are.
    title : what the chain is called in its reports.
    prepare : called with the run in a thread of its own while the first stages run, to have done
        what `after` would have to wait for; what it raises is left to `after` to find.
    after : called once with the run when its last stage has succeeded; if it raises, the run fails.
    next_steps : commands to suggest after a success.
    argv : the arguments, if not those of the process.

    Returns
    -------
    int
        0 success, 1 a stage failed, 2 nothing run because the request or the table is wrong,
        75 another run is going on, 128 + n ended by signal n.
    """
    asked = _parser(title, chain).parse_args(argv)
    root = Path(root).resolve()
    try:
        stages = in_order(chain)
        notebooks = read_notebooks(stages, root)
        if asked.list:
            _show_list(stages, notebooks)
            return 0
        selected = _selected(asked, stages)
        given = _given(asked.set, stages, notebooks)
        settings = {
            stage.name: _settings(given, stage, notebooks[stage.name], root) for stage in selected
        }
        _refuse_idle(given, settings, notebooks)
        wired = [
            replace(stage, reads={k: v for k, v in stage.reads.items() if k not in given})
            for stage in selected
        ]
        refuse_missing(wired, stages, root, f"python {sys.argv[0]}")
        hooks = {"prepare": prepare, "after": after}
        return _run(asked, root, title, selected, notebooks, settings, hooks, next_steps)
    except ChainError as refusal:
        return _say(str(refusal), REFUSED)
    except Busy as busy:
        return _say(f"{busy}, is going on in this checkout; wait for it or stop it", BUSY)
    except OSError as error:
        return _say(f"the run cannot be kept: {saying(error, root / 'experiments')}", 1)
    except KeyboardInterrupt:
        return 130


def _run(asked, root, title, stages, notebooks, settings, hooks, next_steps) -> int:
    """Run the stages and tell how it went; only here are papermill and its like imported."""
    given = {name: value for taken in settings.values() for name, value in taken.items()}
    with only_run(root / "experiments"), _quiet_libraries():
        from papermill_chain.progress import View, show_closing, show_failures
        from papermill_chain.runner import Plan, run_chain

        view = View(quiet=asked.quiet)
        plan = Plan(
            root, title, stages, notebooks, settings, given,
            jobs=asked.jobs, cell_timeout=asked.cell_timeout, **hooks,
        )  # fmt: skip
        run, code = run_chain(plan, view)
    show_closing(view, run, next_steps)
    show_failures(run)
    return code


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the tools' own chatter off the terminal; what a notebook says is in its report."""
    loggers = [
        logging.getLogger(name) for name in ("papermill", "nbclient", "traitlets", "asyncio")
    ]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _parser(title: str, chain: Sequence[Stage]) -> argparse.ArgumentParser:
    command = f"python {Path(sys.argv[0]).name}"
    middle, last = chain[len(chain) // 2].name, chain[-1].name
    word, number = middle.partition("_")[2] or middle, last.partition("_")[0]
    examples = {
        command: "the whole chain",
        f"{command} --list": "the stages and the parameters that can be set",
        f"{command} --set NAME=VALUE": "another value wherever a notebook has that parameter",
        f"{command} --from {word}": f"{middle} and all stages after it",
        f"{command} --only {number}": f"{last} alone",
    }
    width = max(map(len, examples))
    parser = argparse.ArgumentParser(
        description=f"{title}: run the notebooks in order and keep what they find.",
        epilog="examples:\n"
        + "\n".join(f"  {example:<{width}}  {what}" for example, what in examples.items())
        + "\n\nexit code: 0 success, 1 a stage failed, 2 request refused and nothing run,"
        "\n75 another run is going on here, 128 + n ended by signal n.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--list", action="store_true", help="show stages and parameters, run nothing")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a parameter (repeatable)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--only", action="append", metavar="STAGE", help="run this stage alone (repeatable)"
    )
    which.add_argument(
        "--from", dest="start", metavar="STAGE", help="run this stage and all after it"
    )
    add("--jobs", type=_count, default=2, metavar="N", help="notebooks side by side (default: 2)")
    add("--cell-timeout", type=_count, metavar="SECONDS", help="longest a cell may take")
    add("--quiet", action="store_true", help="print nothing unless something fails")
    return parser


def _selected(asked: argparse.Namespace, stages: list[Stage]) -> list[Stage]:
    """The stages to run, in order."""
    if asked.only:
        chosen = {find_stage(name, stages).name for name in asked.only}
        return [stage for stage in stages if stage.name in chosen]
    if asked.start:
        return stages[stages.index(find_stage(asked.start, stages)) :]
    return stages


def _given(
    assignments: Iterable[str], stages: list[Stage], notebooks: dict[str, Notebook]
) -> dict[str, str]:
    """What the user has set, name by name; ChainError for what nobody can set."""
    given = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ChainError(f"--set takes NAME=VALUE, not {assignment}")
        if name in given:
            raise ChainError(f"{name} is set twice")
        _refuse_unknown(name, notebooks)
        _refuse_wired(name, stages)
        given[name] = text
    return given


def _settings(
    given: dict[str, str], stage: Stage, notebook: Notebook, root: Path
) -> dict[str, Any]:
    """The values that a stage is given; those of its input files as its notebook sees them."""
    settings = {}
    for name, text in given.items():
        if parameter := notebook.parameters.get(name):
            try:
                settings[name] = value_of(text, parameter.type)
            except ValueError:
                kind = parameter.type
                raise ChainError(
                    f"{name}={text}: {name} is of type {kind} in {stage.name}"
                ) from None
            if name in stage.reads:
                settings[name] = _input_file(name, text, root)
    return settings


def _input_file(name: str, text: str, root: Path) -> str:
    """The path of a file the user names from the current folder, as a notebook names it."""
    file = Path(text).absolute()
    if not file.is_file():
        raise ChainError(f"{name}={text}: there is no such file")
    try:
        return Path(os.path.relpath(file, root / "notebooks")).as_posix()
    except ValueError:  # on another drive of Windows
        return file.as_posix()


def _refuse_unknown(name: str, notebooks: dict[str, Notebook]) -> None:
    homes: dict[str, list[str]] = {}
    for stage, notebook in notebooks.items():
        for known in notebook.parameters:
            homes.setdefault(known, []).append(stage)
    if name not in homes:
        near = get_close_matches(name, homes, n=1)
        hint = (
            f"did you mean {near[0]}, of {' and '.join(homes[near[0]])}?" if near else "see --list"
        )
        raise ChainError(f"no notebook has a parameter {name}; {hint}")


def _refuse_wired(name: str, stages: list[Stage]) -> None:
    """Raise ChainError for a path that the chain itself hands on from stage to stage."""
    writer = writers(stages)
    for stage in stages:
        path = normpath({**stage.reads, **stage.writes}.get(name, ""))
        if path in writer:
            raise ChainError(f"{name} cannot be set: it is {path}, which {writer[path]} writes")


def _refuse_idle(
    given: dict[str, str], settings: dict[str, dict[str, Any]], notebooks: dict[str, Notebook]
) -> None:
    """Raise ChainError for a setting that no stage of this run would take up."""
    for name in given:
        if not any(name in taken for taken in settings.values()):
            homes = [stage for stage, notebook in notebooks.items() if name in notebook.parameters]
            raise ChainError(f"{name} is of {' and '.join(homes)}, which this run leaves out")


def _show_list(stages: list[Stage], notebooks: dict[str, Notebook]) -> None:
    """Print the stages: what they read, write and let be set."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    writer = writers(stages)
    for stage in stages:
        console.print(Text.assemble((stage.name, "bold"), "  ", notebooks[stage.name].title))
        table = Table.grid(padding=(0, 2))
        for label, paths in ("reads", stage.reads), ("writes", stage.writes):
            if paths:
                table.add_row(f"  {label}", Text("\n".join(paths.values()), overflow="fold"))
        for parameter in notebooks[stage.name].parameters.values():
            path = {**stage.reads, **stage.writes}.get(parameter.name)
            if path is None or normpath(path) not in writer:
                table.add_row("  set", _parameter_line(parameter))
        console.print(table)
        console.print()


def _parameter_line(parameter: Parameter):
    from rich.text import Text

    told = f"{parameter.name}: {parameter.type} = {parameter.default!r}"
    return Text.assemble(told, (f"  {parameter.help}", "dim") if parameter.help else "")


def _count(text: str) -> int:
    """A number of notebooks or seconds, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def _say(sentence: str, code: int) -> int:
    print(f"{Path(sys.argv[0]).name}: {sentence}", file=sys.stderr)
    return code
