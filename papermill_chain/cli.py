"""The command line of a chain: what to run, with which parameters, and what the exit code says."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from papermill_chain.actions.comparison import Comparer, compare_runs
from papermill_chain.actions.copies import make_debug_copy, put_back
from papermill_chain.actions.grid import run_combinations
from papermill_chain.actions.old_runs import remove_old_runs, show_old_runs
from papermill_chain.actions.pages import open_index, open_page
from papermill_chain.actions.run import ExitCodes, cache_of, run_stale
from papermill_chain.arguments import SCHEDULER, argument_parser, refuse_for_runs_only
from papermill_chain.cache.store import absolute
from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan, plan_of
from papermill_chain.chain.stages import Stage, in_order, read_notebooks
from papermill_chain.execution.events import end_with_input
from papermill_chain.openlineage.target import target_of
from papermill_chain.refusal import REFUSED, refuse, word_for
from papermill_chain.reports.listing import show_plan, show_stages
from papermill_chain.runs.files import os_error_text
from papermill_chain.runs.lock import Busy, only_run
from papermill_chain.runs.lookup import NoRun
from papermill_chain.runs.manifest import Run
from papermill_chain.runs.pruning import Protected
from papermill_chain.started import (
    command,
    refuse_incomplete_python,
    refuse_without_server,
    repeat,
)
from work_units.errors import NoCluster

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
    parser = argument_parser(title, chain, compare is not None, own_options)
    asked = parser.parse_args(argv)
    root = Path(root).resolve()
    folder = root / experiments
    word, target = None, None
    if asked.cache:
        asked.cache = absolute(asked.cache)
    if asked.scheduler:
        os.environ[SCHEDULER] = asked.scheduler
    try:
        refuse_for_runs_only(asked)
        if not asked.ui:  # its runs take what is secret out of their own environment
            word = word_for(asked, title, folder)
            target = target_of(asked.openlineage, os.environ)
        if compare and asked.compare:
            return compare_runs(asked, compare, folder)
        stages = in_order(chain)
        if asked.lineage:
            from papermill_chain.lineage.origin import origin_of
            from papermill_chain.reports.lineage_text import show_lineage

            show_lineage(origin_of(asked.lineage, root, folder, stages), asked.json)
            return 0
        if asked.fixed or asked.debug:
            refuse_incomplete_python()
        if asked.fixed:
            put_back(asked, stages, root, folder)
        notebooks = read_notebooks(stages, root)
        if asked.list:
            show_stages(stages, notebooks)
            return 0
        end_with_input()

        offered = f"{command()} --compare {{a}} {{b}}" if compare else None
        columns = tuple(columns)

        def plan_for(asked: Namespace, notebooks: dict[str, Notebook] = notebooks) -> Plan:
            plan = plan_of(asked, stages, notebooks, root, title, command(), after, offered)
            plan = replace(plan, refusals=frozenset(refusals), columns=columns)
            return replace(plan, experiments_path=experiments)

        if asked.ui:
            refuse_incomplete_python()
            refuse_without_server()
            from papermill_chain.ui.desk import Chain
            from papermill_chain.ui.server import passed_on, serve_page

            rest = passed_on(sys.argv[1:] if argv is None else argv)
            read = partial(read_notebooks, stages, root)

            def ask(arguments: Sequence[str]) -> Plan:
                return plan_for(parser.parse_args([*rest, *arguments]), read())

            return serve_page(asked, rest, Chain(title, stages, root, folder, read, ask), open_page)
        if asked.grid:
            from papermill_chain.reports.index import write_index

            index = partial(write_index, folder, title, offered, columns)
            return run_combinations(asked, plan_for, shared, index, word)
        if asked.debug:
            return make_debug_copy(asked, plan_for)
        plan = plan_for(asked)
        if asked.graph:
            from papermill_chain.reports.chain_text import show_graph

            with cache_of(asked) as cache:
                show_graph(plan, asked.json, cache)
            return 0
        if asked.dry_run:
            with cache_of(asked) as cache:
                show_plan(plan, cache)
            if asked.keep:
                show_old_runs(plan, asked, protected)
            return 0
        with only_run(plan.experiments):
            if before:
                before()
            run, code = run_stale(plan, asked, target, next_steps, exit_codes or {})
            if asked.keep and (run is None or run.status == "succeeded"):
                remove_old_runs(plan, asked, protected)
        if word:
            word.ended(run)
        if asked.open and code < SIGNALLED:
            open_index(plan)
        return code
    except (ChainError, NoRun) as refusal:
        return refuse(str(refusal), REFUSED, word)
    except NoCluster as absent:
        return refuse(f"nothing was run: {absent}", REFUSED, word)
    except Busy as busy:
        busy_with = f"{busy}, is going on in this checkout; wait for it or stop it"
        return refuse(busy_with, BUSY, word)
    except OSError as error:
        return refuse(f"the run cannot be stored: {os_error_text(error, folder)}", 1, word)
    except KeyboardInterrupt:
        return 130
