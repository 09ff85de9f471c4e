"""The command line of a chain: what to run, with which parameters, and what the exit code says."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from papermill_chain.arguments import SCHEDULER, argument_parser, refuse_for_runs_only
from papermill_chain.cache.results import Cache, cache_at, key_from_environment
from papermill_chain.cache.store import absolute
from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan, plan_of
from papermill_chain.chain.stages import Stage, in_order, read_notebooks
from papermill_chain.execution.events import end_with_input
from papermill_chain.execution.repair import repair
from papermill_chain.old_runs import remove_old_runs, show_old_runs
from papermill_chain.openlineage.target import URL as OPENLINEAGE_URL
from papermill_chain.openlineage.target import Target, target_of
from papermill_chain.refusal import REFUSED, refuse, word_for
from papermill_chain.reports.listing import show_plan, show_stages
from papermill_chain.reports.screen import shown_path
from papermill_chain.reports.views import View, print_event, show_failures, view_for
from papermill_chain.runs.files import os_error_text
from papermill_chain.runs.lock import Busy, only_run
from papermill_chain.runs.lookup import NoRun, named_run
from papermill_chain.runs.manifest import Run, StageRun
from papermill_chain.runs.pruning import Protected
from papermill_chain.runs.records import last_good
from papermill_chain.started import (
    command,
    refuse_incomplete_python,
    refuse_without_server,
    repeat,
)
from work_units.errors import NoCluster

#: Compares two runs: the page that it has written, and some lines for the terminal.
Comparer = Callable[[Run, Run], tuple[Path, Sequence[str]]]

#: Of a stage: the exit code of each verdict.
ExitCodes = Mapping[str, Mapping[str, int]]

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
    word = None
    if asked.cache:
        asked.cache = absolute(asked.cache)
    if asked.scheduler:
        os.environ[SCHEDULER] = asked.scheduler
    try:
        refuse_for_runs_only(asked)
        word = word_for(asked, title, folder)
        target = target_of(asked.openlineage, os.environ)
        if compare and asked.compare:
            return _compare(asked, compare, folder)
        stages = in_order(chain)
        if asked.lineage:
            from papermill_chain.lineage.origin import origin_of
            from papermill_chain.reports.lineage_text import show_lineage

            show_lineage(origin_of(asked.lineage, root, folder, stages), asked.json)
            return 0
        if asked.fixed or asked.debug:
            refuse_incomplete_python()
        if asked.fixed:
            _take_over(asked, stages, root, folder)
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

            return serve_page(asked, rest, Chain(title, stages, root, folder, read, ask), _open)
        if asked.grid:
            index = partial(_write_index, folder, title, offered, columns)
            return _run_grid(asked, plan_for, shared, index)
        if asked.debug:
            return _make_debug_copy(asked, plan_for)
        plan = plan_for(asked)
        if asked.graph:
            from papermill_chain.reports.chain_text import show_graph

            show_graph(plan, asked.json)
            return 0
        if asked.dry_run:
            with _cache(asked) as cache:
                show_plan(plan, cache)
            if asked.keep:
                show_old_runs(plan, asked, protected)
            return 0
        with only_run(plan.experiments):
            if before:
                before()
            run, code = _run(plan, asked, target, next_steps, exit_codes or {})
            if asked.keep and (run is None or run.status == "succeeded"):
                remove_old_runs(plan, asked, protected)
        if word:
            word.ended(run)
        if asked.open and code < SIGNALLED:
            _open_index(plan)
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


def _run(
    plan: Plan,
    asked: Namespace,
    target: Target | None,
    next_steps: Iterable[str],
    exit_codes: ExitCodes,
) -> tuple[Run | None, int]:
    """Repair what a killed run has left, then run what is not up to date; the run, if there is any.

    And the exit code.
    """
    repair(plan)
    last = last_good(plan.experiments, clear=True)
    to_run = [stage.name for stage in plan.stages if plan.why(stage, last.get(stage.name))]
    if to_run:
        refuse_incomplete_python()
    if to_run and os.environ.get(SCHEDULER):
        with _cluster(asked):  # it is only asked whether it is there; a notebook goes by itself
            pass
    with (
        _cache(asked) as cache,
        view_for(quiet=asked.quiet, json=asked.json) as shown,
        _also_sending(shown, plan, target) as view,
    ):
        if not to_run:
            done = [last[stage.name] for stage in plan.stages]
            view.nothing_to_do(done, plan.experiments)
            return None, _code_of(done, exit_codes)
        from papermill_chain.execution.runner import run_chain

        run, code = run_chain(plan, last, to_run, view, cache)
        view.closed(run, next_steps)
    show_failures(run)
    return run, code or _code_of(run.stages, exit_codes)


@contextmanager
def _cache(asked: Namespace) -> Iterator[Cache | None]:
    """The cache that is named, if one is; its key is out of the environment meanwhile."""
    if not asked.cache:
        yield None
        return
    with key_from_environment() as key:
        yield cache_at(asked.cache, key)


def _also_sending(view: View, plan: Plan, target: Target | None) -> AbstractContextManager[View]:
    """A view that also sends OpenLineage events, if they have a target."""
    if target is None:
        return nullcontext(view)
    from papermill_chain.openlineage.view import sending_events

    return sending_events(view, plan, target)


def _code_of(stages: Iterable[StageRun], exit_codes: ExitCodes) -> int:
    """The highest exit code that the verdicts of some stages ask for."""
    codes = (exit_codes.get(stage.name, {}).get(stage.verdict, 0) for stage in stages)
    return max(codes, default=0)


def _compare(asked: Namespace, compare: Comparer, experiments: Path) -> int:
    """Compare two runs on a page, and print where it is and what it comes to."""
    a, b = (named_run(name, experiments) for name in asked.compare)
    if a.folder.resolve() == b.folder.resolve():
        raise NoRun(f"both are the same run, {a.folder.name}: name two")
    try:
        page, lines = compare(a, b)
    except OSError as error:
        return refuse(f"the page cannot be written ({error})", REFUSED)
    if asked.json:
        print_event("runs compared", page=str(page), summary=lines)
    elif not asked.quiet:
        for line in [shown_path(page), *lines]:
            print(_on_one_line(line))
    if asked.open:
        _open(page.absolute())
    return 0


def _on_one_line(text: str) -> str:
    """A text from the files of runs: what could pass for another line is shown as its code."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _open_index(plan: Plan) -> None:
    """Show the index of runs in a browser."""
    # once more: comparisons may have been made since it was written
    _open(_write_index(plan.experiments, plan.title, plan.compare, plan.columns))


def _write_index(
    experiments: Path, title: str, compare: str | None, columns: Sequence[str]
) -> Path:
    from papermill_chain.reports.index import write_index

    return write_index(experiments, title, compare, columns)


def _open(page: Path) -> None:
    """Show a page in a browser, or print where it is."""
    import webbrowser

    if not webbrowser.open(page.as_uri()):
        print(f"no browser to open {page} with", file=sys.stderr)


def _run_grid(
    asked: Namespace,
    plan_for: Callable[[Namespace], Plan],
    shared: Sequence[str],
    index: Callable[[], Path],
) -> int:
    """Run the chain for each combination of some parameters, or show what that would be."""
    from papermill_chain.grid.combinations import grid_of
    from papermill_chain.grid.run import LocalExecutor, run_grid
    from papermill_chain.grid.terminal import grid_view_for, show_failed_combinations, show_grid

    # A chain that a worker runs would wait for that very worker if its notebooks knew the cluster.
    if asked.openlineage:
        raise ChainError("--openlineage goes with a run; the chains of a --grid only explore")
    unset = [*shared, SCHEDULER, OPENLINEAGE_URL]
    grid = grid_of(asked, plan_for, unset, os.environ.get(SCHEDULER))
    if asked.dry_run:
        show_grid(grid)
        return 0
    refuse_incomplete_python()
    with (
        only_run(grid.folder.parent, f"grid {grid.id}"),
        grid_view_for(quiet=asked.quiet, json=asked.json) as view,
    ):
        if grid.scheduler:
            from papermill_chain.grid.dask_cluster import Workers

            with _cluster(asked) as client:
                code = run_grid(grid, Workers(client, grid), view)
        else:
            code = run_grid(grid, LocalExecutor(grid), view)
    index()
    show_failed_combinations(grid)
    if asked.open and code <= 1:
        _open(grid.page)
    return code


@contextmanager
def _cluster(asked: Namespace) -> Iterator[Any]:
    """A client of the cluster that is named, once it has answered; prints where to watch it."""
    from work_units.dask_client import connected, cores_of

    address = os.environ[SCHEDULER]
    with connected(address) as client:
        cores, dashboard = cores_of(client), client.dashboard_link
        if asked.json:
            print_event("cluster", address=address, cores=cores, dashboard=dashboard)
        elif not asked.quiet:
            count = "1 core" if cores == 1 else f"{cores or 'no'} cores"
            print(f"cluster at {address}: {count}; dashboard: {dashboard}", flush=True)
        yield client


def _make_debug_copy(asked: Namespace, plan_for: Callable[[Namespace], Plan]) -> int:
    """Make a copy of a notebook to work on, print how, and open it if asked."""
    from papermill_chain.debug_copy import make_copy, open_in_jupyter, show_copy

    alone = {"only": [asked.debug], "start": None, "force": False}
    copy = make_copy(plan_for(Namespace(**vars(asked) | alone)))
    show_copy(copy)
    return open_in_jupyter(copy) if asked.open else 0


def _take_over(asked: Namespace, stages: list[Stage], root: Path, experiments: Path) -> None:
    """Put the changes of a copy into its notebook, while no run reads it."""
    from papermill_chain.debug_copy import take_over

    if asked.dry_run:
        raise ChainError("--fixed changes a notebook; --dry-run, which changes nothing, forbids it")
    with only_run(experiments):
        done = take_over(asked.fixed, stages, root)
    if not (asked.quiet or asked.json):
        print(done)
