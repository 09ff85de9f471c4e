"""The command line of a chain: what to run, with which parameters, and what the exit code says."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from papermill_chain.actions.comparison import Comparer, compare_runs
from papermill_chain.actions.copies import make_debug_copy, put_back
from papermill_chain.actions.grid import run_combinations
from papermill_chain.actions.looks import show_chain, show_origin, show_what_would_run
from papermill_chain.actions.old_runs import remove_old_runs
from papermill_chain.actions.pages import open_index, open_page
from papermill_chain.actions.run import ExitCodes, run_stale
from papermill_chain.arguments import SCHEDULER, argument_parser, refuse_for_runs_only
from papermill_chain.cache.store import absolute
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import Stage, in_order, read_notebooks
from papermill_chain.execution.events import end_with_input
from papermill_chain.openlineage.target import Target, target_of
from papermill_chain.program import Program
from papermill_chain.refusal import REFUSED, refuse, word_for
from papermill_chain.reports.listing import show_stages
from papermill_chain.runs.files import os_error_text
from papermill_chain.runs.lock import Busy, only_run
from papermill_chain.runs.lookup import NoRun
from papermill_chain.runs.manifest import Run
from papermill_chain.runs.pruning import Protected
from papermill_chain.started import refuse_incomplete_python, refuse_without_server, repeat
from work_units.errors import NoCluster

if TYPE_CHECKING:  # a run that sends no word need not load what does
    from papermill_chain.notices.sending import Word

BUSY = 75  # "try again later" of sysexits.h
SIGNALLED = 128  # and the number of the signal, as shells have it


def main(
    chain: Sequence[Stage],
    root: Path,
    title: str,
    after: Callable[[Run], None] | None = None,
    next_steps: Iterable[str] = (),
    compare: Comparer | None = None,
    shared: Sequence[str] = (),
    refusals: Iterable[str] = (),
    columns: Iterable[str] = (),
    exit_codes: ExitCodes | None = None,
    argv: Sequence[str] | None = None,
    experiments: str = "experiments",
    before: Callable[[], object] | None = None,
    own_options: ArgumentParser | None = None,
    repeated: Iterable[str] = (),
    protected: Protected = tuple,
) -> int:
    """Run a chain of notebooks as the command line asks.

    Parameters
    ----------
    chain : the stages; a stage comes after those whose files it reads.
    root : the folder that holds notebooks/, and below which all paths of the chain are.
    title : what the chain is called in its reports.
    after : called once with the run when its last stage has succeeded; if it raises, the run fails.
        If another process can import it by name, it is called where the imports are done already.
    next_steps : commands to suggest after a success.
    compare : writes a page on what differs between two runs, the earlier one first, to
        comparisons/A_B.html below `experiments`, which the index of runs links to; returns the
        page, and lines of what it comes to. With it the chain has the option --compare.
    shared : variables of the environment that point to stores which others share, such as a
        registry's address; the runs of a grid, which only explore, do not see them.
    refusals : names of exceptions that say themselves what is wrong and what to do, as for a broken
        file; they are printed once a run, however many stages raise them, without a traceback.
    columns : the key figures that have a column in the index of runs; all, if none is named.
    exit_codes : of some stages, the exit code that a good run ends with after a verdict of theirs,
        so that a scheduler can act on it; of several the highest. A stage that is up to date counts
        with the verdict that it gave.
    argv : the arguments, if not those of the process.
    experiments : the folder that keeps all runs, below the root; two chains in one root need two.
    before : called when a request is sound, before a run begins with its first stage.
    own_options : a parser, made without --help, of options that the program has read itself.
    repeated : those of its arguments that every command has to begin with that is suggested.
    protected : the ids of runs that --keep does not remove, however old they are, such as the one
        that a model in use comes from; called if there are older ones. If it raises, none goes.

    Returns
    -------
    int
        0 success or as in `exit_codes`, 1 a stage failed, 2 nothing run because the request or the
        table is wrong, 75 another run is going on, 128 + n ended by signal n.
    """
    repeat(repeated)
    program = Program(
        chain=chain,
        root=Path(root).resolve(),
        title=title,
        experiments_path=experiments,
        before=before,
        after=after,
        next_steps=next_steps,
        compare=compare,
        shared=shared,
        refusals=frozenset(refusals),
        columns=tuple(columns),
        exit_codes=exit_codes or {},
        protected=protected,
    )
    arguments = sys.argv[1:] if argv is None else argv
    parser = argument_parser(title, chain, compare is not None, own_options)
    asked = parser.parse_args(arguments)
    word = None
    if asked.cache:
        asked.cache = absolute(asked.cache)
    if asked.scheduler:
        os.environ[SCHEDULER] = asked.scheduler
    try:
        refuse_for_runs_only(asked)
        if not asked.ui:  # its runs take what is secret out of their own environment
            word = word_for(asked, title, program.experiments)
        code = _done(program, asked, parser, arguments, word)
        if _only_shows(asked):
            sys.stdout.flush()
        return code
    except (ChainError, NoRun) as refusal:
        return refuse(str(refusal), REFUSED, word)
    except NoCluster as absent:
        return refuse(f"nothing was run: {absent}", REFUSED, word)
    except Busy as busy:
        busy_with = f"{busy}, is going on in this checkout; wait for it or stop it"
        return refuse(busy_with, BUSY, word)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _only_shows(asked):
            # whoever read the output, such as head, has gone; nothing may be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return SIGNALLED + 13  # SIGPIPE, which Windows does not have
        why = os_error_text(error, program.experiments)
        return refuse(f"the run cannot be stored: {why}", 1, word)
    except KeyboardInterrupt:
        return 130


def _only_shows(asked: Namespace) -> bool:
    """Whether a command line asks to see something and to run nothing."""
    return bool(asked.list or asked.dry_run or asked.graph or asked.lineage)


def _done(
    program: Program,
    asked: Namespace,
    parser: ArgumentParser,
    arguments: Sequence[str],
    word: "Word | None",
) -> int:
    """Do the one thing that a command line asks for; the exit code.

    What needs less of the chain comes first: two runs can be compared although the table is wrong,
    and a copy can be put back although its notebook cannot be read.
    """
    target = None if asked.ui else target_of(asked.openlineage, os.environ)
    if program.compare and asked.compare:
        return compare_runs(asked, program.compare, program.experiments)
    stages = in_order(program.chain)
    if asked.lineage:
        return show_origin(asked, stages, program.root, program.experiments)
    if asked.fixed or asked.debug:
        refuse_incomplete_python()
    if asked.fixed:
        put_back(asked, stages, program.root, program.experiments)
    notebooks = read_notebooks(stages, program.root)
    if asked.list:
        show_stages(stages, notebooks)
        return 0
    end_with_input()
    if asked.ui:
        return _serve(program, asked, parser, arguments, stages)
    plan_for = partial(program.plan, stages, notebooks)
    if asked.grid:
        return run_combinations(asked, plan_for, program.shared, partial(_index, program), word)
    if asked.debug:
        return make_debug_copy(asked, plan_for)
    plan = plan_for(asked)
    if asked.graph:
        return show_chain(asked, plan)
    if asked.dry_run:
        return show_what_would_run(asked, plan, program.protected)
    return _run(program, asked, plan, target, word)


def _run(
    program: Program, asked: Namespace, plan: Plan, target: Target | None, word: "Word | None"
) -> int:
    """Run what is not up to date, alone in the checkout, and what is to be done after it."""
    with only_run(plan.experiments):
        if program.before:
            program.before()
        run, code = run_stale(plan, asked, target, program.next_steps, program.exit_codes)
        if asked.keep and (run is None or run.status == "succeeded"):
            remove_old_runs(plan, asked, program.protected)
    if word:
        word.ended(run)
    if asked.open and code < SIGNALLED:
        open_index(plan)
    return code


def _serve(
    program: Program,
    asked: Namespace,
    parser: ArgumentParser,
    arguments: Sequence[str],
    stages: list[Stage],
) -> int:
    """Serve the page on which runs are chosen and followed, until Ctrl-C."""
    refuse_incomplete_python()
    refuse_without_server()
    from papermill_chain.ui.desk import Chain
    from papermill_chain.ui.server import passed_on, serve_page

    rest = passed_on(arguments)
    read = partial(read_notebooks, stages, program.root)

    def plan(chosen: Sequence[str]) -> Plan:
        return program.plan(stages, read(), parser.parse_args([*rest, *chosen]))

    chain = Chain(program.title, stages, program.root, program.experiments, read, plan)
    return serve_page(asked, rest, chain, open_page)


def _index(program: Program) -> Path:
    """Write the page of all runs anew; its place."""
    from papermill_chain.reports.index import write_index

    return write_index(program.experiments, program.title, program.comparing, program.columns)
