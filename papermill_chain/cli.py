"""The command line of a chain: what to run, with which parameters, and what the exit code says."""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from posixpath import normpath

from papermill_chain.chain.notebooks import ChainError, Notebook
from papermill_chain.chain.plan import Plan, plan_of
from papermill_chain.chain.stages import Stage, in_order, read_notebooks, upstream, writers
from papermill_chain.execution.repair import mark_interrupted, repair, stages_cut, unfinished
from papermill_chain.execution.signals import end_with_input
from papermill_chain.reports.screen import duration, shown_path
from papermill_chain.reports.views import print_event, show_failures, view_for
from papermill_chain.runs.files import os_error_text
from papermill_chain.runs.lock import Busy, only_run
from papermill_chain.runs.lookup import NoRun, named_run
from papermill_chain.runs.manifest import Run
from papermill_chain.runs.records import last_good

#: Compares two runs: the page that it has written, and some lines for the terminal.
Comparer = Callable[[Run, Run], tuple[Path, Sequence[str]]]

SCHEDULER = "DASK_SCHEDULER_ADDRESS"  # all that is started here finds the cluster by it
REFUSED, BUSY = 2, 75  # a wrong request, as argparse has it; "try again later" of sysexits.h


def main(
    chain: Sequence[Stage],
    root: Path,
    title: str,
    after: Callable[[Run], None] | None = None,
    next_steps: Iterable[str] = (),
    compare: Comparer | None = None,
    shared: Sequence[str] = (),
    argv: Sequence[str] | None = None,
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
        experiments/comparisons/A_B.html, which the index of runs links to; returns the page, and
        lines of what it comes to. With it the chain has the option --compare.
    shared : variables of the environment that point to stores which others share, such as a
        registry's address; the runs of a grid, which only explore, do not see them.
    argv : the arguments, if not those of the process.

    Returns
    -------
    int
        0 success, 1 a stage failed, 2 nothing run because the request or the table is wrong,
        75 another run is going on, 128 + n ended by signal n.
    """
    asked = _parser(title, chain, can_compare=compare is not None).parse_args(argv)
    root = Path(root).resolve()
    if asked.scheduler:
        os.environ[SCHEDULER] = asked.scheduler
    try:
        if compare and asked.compare:
            return _compare(asked, compare, root / "experiments")
        stages = in_order(chain)
        if asked.fixed:
            _take_over(asked, stages, root)
        notebooks = read_notebooks(stages, root)
        if asked.list:
            _show_list(stages, notebooks)
            return 0
        end_with_input()

        def plan_for(asked: Namespace) -> Plan:
            command = f"python {sys.argv[0]}"
            offered = f"python {Path(sys.argv[0]).name} --compare {{a}} {{b}}" if compare else None
            return plan_of(asked, stages, notebooks, root, title, command, after, offered)

        if asked.grid:
            return _grid(asked, plan_for, shared)
        if asked.debug:
            return _debug(asked, plan_for)
        plan = plan_for(asked)
        if asked.dry_run:
            _show_plan(plan)
            return 0
        with only_run(plan.experiments):
            code = _run(plan, asked, next_steps)
        if asked.open and code <= 1:
            _open_index(plan)
        return code
    except (ChainError, NoRun) as refusal:
        return _say(str(refusal), REFUSED)
    except Busy as busy:
        return _say(f"{busy}, is going on in this checkout; wait for it or stop it", BUSY)
    except OSError as error:
        return _say(f"the run cannot be kept: {os_error_text(error, root / 'experiments')}", 1)
    except KeyboardInterrupt:
        return 130


def _run(plan: Plan, asked: Namespace, next_steps: Iterable[str]) -> int:
    """Repair what a killed run has left, then run what is not up to date, if anything."""
    repair(plan.experiments, plan.places)
    for folder in unfinished(plan.experiments):
        _release_external(plan, folder)
        mark_interrupted(folder)
    last = last_good(plan.experiments)
    to_run = [stage.name for stage in plan.stages if plan.why(stage, last.get(stage.name))]
    if to_run and os.environ.get(SCHEDULER):
        with _cluster(asked):  # it is only asked whether it is there; a notebook goes by itself
            pass
    with view_for(quiet=asked.quiet, json=asked.json) as view:
        if not to_run:
            view.nothing_to_do([last[stage.name] for stage in plan.stages], plan.experiments)
            return 0
        from papermill_chain.execution.runner import run_chain

        run, code = run_chain(plan, last, to_run, view)
        view.closed(run, next_steps)
    show_failures(run)
    return code


def _compare(asked: Namespace, compare: Comparer, experiments: Path) -> int:
    """Compare two runs on a page, and print where it is and what it comes to."""
    a, b = (named_run(name, experiments) for name in asked.compare)
    if a.folder.resolve() == b.folder.resolve():
        raise NoRun(f"both are the same run, {a.folder.name}: name two")
    try:
        page, lines = compare(a, b)
    except OSError as error:
        return _say(f"the page cannot be written ({error})", REFUSED)
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
    from papermill_chain.reports.index import write_index

    # once more: comparisons may have been made since it was written
    _open(write_index(plan.experiments, plan.title, plan.compare))


def _open(page: Path) -> None:
    """Show a page in a browser, or tell where it is."""
    import webbrowser

    if not webbrowser.open(page.as_uri()):
        print(f"no browser to open {page} with", file=sys.stderr)


def _grid(asked: Namespace, plan_for: Callable[[Namespace], Plan], shared: Sequence[str]) -> int:
    """Run the chain for each combination of some parameters, or show what that would be."""
    from papermill_chain.grid.combinations import grid_of
    from papermill_chain.grid.run import LocalExecutor, run_grid
    from papermill_chain.grid.terminal import grid_view_for, show_failed_combinations, show_grid

    # A chain that a worker runs would wait for that very worker if its notebooks knew the cluster.
    grid = grid_of(asked, plan_for, [*shared, SCHEDULER], os.environ.get(SCHEDULER))
    if asked.dry_run:
        show_grid(grid)
        return 0
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
    show_failed_combinations(grid)
    if asked.open and code <= 1:
        _open(grid.page)
    return code


@contextmanager
def _cluster(asked: Namespace) -> Iterator:
    """A client of the cluster that is named, once it has answered, and say where to watch it."""
    from papermill_chain.grid.dask_cluster import connected, cores_of

    address = os.environ[SCHEDULER]
    with connected(address) as client:
        cores, dashboard = cores_of(client), client.dashboard_link
        if asked.json:
            print_event("cluster", address=address, cores=cores, dashboard=dashboard)
        elif not asked.quiet:
            count = "1 core" if cores == 1 else f"{cores or 'no'} cores"
            print(f"cluster at {address}: {count}; dashboard: {dashboard}", flush=True)
        yield client


def _debug(asked: Namespace, plan_for: Callable[[Namespace], Plan]) -> int:
    """Make a copy of a notebook to work on, say how, and open it if asked."""
    from papermill_chain.debug_copy import make_copy, open_in_jupyter, show_copy

    alone = {"only": [asked.debug], "start": None, "force": False}
    copy = make_copy(plan_for(Namespace(**vars(asked) | alone)))
    show_copy(copy)
    return open_in_jupyter(copy) if asked.open else 0


def _take_over(asked: Namespace, stages: list[Stage], root: Path) -> None:
    """Take the changes of a copy over into its notebook, while no run reads it."""
    from papermill_chain.debug_copy import take_over

    if asked.dry_run:
        raise ChainError("--fixed changes a notebook; --dry-run, which changes nothing, forbids it")
    with only_run(root / "experiments"):
        done = take_over(asked.fixed, stages, root)
    if not (asked.quiet or asked.json):
        print(done)


def _release_external(plan: Plan, folder: Path) -> None:
    """End what the stages of a killed run have left open outside of the project's files."""
    cut = stages_cut(folder)
    for stage in plan.stages:
        if stage.external.release and stage.name in cut:
            stage.external.release([folder.name])


def _parser(title: str, chain: Sequence[Stage], can_compare: bool) -> ArgumentParser:
    command = f"python {Path(sys.argv[0]).name}"
    middle, last = chain[len(chain) // 2].name, chain[-1].name
    word, number = middle.partition("_")[2] or middle, last.partition("_")[0]
    examples = {
        command: "all that is not up to date",
        f"{command} --dry-run": "what that would be, and why",
        f"{command} --list": "the stages and the parameters that can be set",
        f"{command} --set NAME=VALUE": "another value wherever a notebook has that parameter",
        f"{command} --from {word}": f"{middle} and all stages after it, changed or not",
        f"{command} --only {number}": f"{last} alone, changed or not",
        f"{command} --open": "then read the index of all runs in a browser",
        f"{command} --debug {word}": f"a copy of {middle} where it failed, to find out why",
        f"{command} --fixed {word}": "take the changes of that copy over, and run on from there",
        f"{command} --grid NAME=1..10": "the chain for each value, apart from all else; compared",
        f"{command} --grid A=1..3 --grid B=.2,.3": "for each of the six combinations",
        f"{command} --scheduler tcp://host:8786": "with the workers of a Dask cluster",
    }
    if can_compare:
        examples[f"{command} --compare previous latest"] = (
            "what differs between two runs, on a page"
        )
    width = max(map(len, examples))
    parser = ArgumentParser(
        description=f"{title}: run the notebooks in order and keep what they find.",
        epilog="examples:\n"
        + "\n".join(f"  {example:<{width}}  {what}" for example, what in examples.items())
        + "\n\nexit code: 0 success, 1 a stage failed, 2 request refused and nothing run,"
        "\n75 another run is going on here, 128 + n ended by signal n.",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--list", action="store_true", help="show stages and parameters, run nothing")
    add("--dry-run", action="store_true", help="show what would run and why, run nothing")
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
    which.add_argument("--force", action="store_true", help="run all stages, changed or not")
    add("--jobs", type=_count, default=2, metavar="N", help="notebooks side by side (default: 2)")
    add(
        "--open",
        action="store_true",
        help="then open the index of all runs in a browser; with "
        "--grid or --compare its page; with --debug the copy, in JupyterLab",
    )
    add("--cell-timeout", type=_count, metavar="SECONDS", help="longest a cell may take")
    way = parser.add_mutually_exclusive_group()
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
    add("--yes", action="store_true", help="do so for more than 200 combinations, too")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print nothing unless something fails")
    shown.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser


def _show_plan(plan: Plan) -> None:
    """Print of each stage whether it would run, and why."""
    last = last_good(plan.experiments)
    width = max(len(stage.name) for stage in plan.stages)
    would = set()
    for stage in plan.stages:
        good = last.get(stage.name)
        why = plan.why(stage, good)
        before = sorted(would & upstream(stage, plan.stages))
        if why:
            about = f" (about {duration(good.seconds)})" if good else ""
            told = f"would run: {', '.join(why)}{about}"
        elif before:
            told = f"would run if {' or '.join(before)} changes its files"
        else:
            told = "up to date"
        print(f"{stage.name:<{width}}  {told}")
        if why or before:
            would.add(stage.name)


def _show_list(stages: list[Stage], notebooks: dict[str, Notebook]) -> None:
    """Print the stages: what they read, write and let be set."""
    writer = writers(stages)
    for stage in stages:
        print(f"{stage.name}  {notebooks[stage.name].title}")
        wired = {**stage.reads, **stage.writes}
        lines = [("reads", path) for path in stage.reads.values()]
        lines += [("writes", path) for path in stage.writes.values()]
        for parameter in notebooks[stage.name].parameters.values():
            if variable := stage.secrets.get(parameter.name):
                lines.append(("secret", f"{parameter.name}, from the environment: {variable}"))
            elif normpath(wired.get(parameter.name, "")) not in writer:
                comment = f"  # {parameter.help}" if parameter.help else ""
                told = f"{parameter.name}: {parameter.type} = {parameter.default!r}{comment}"
                lines.append(("set", told))
        for label, told in lines:
            print(f"  {label:<6}  {told}")
        print()


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


def _say(sentence: str, code: int) -> int:
    print(f"{Path(sys.argv[0]).name}: {sentence}", file=sys.stderr)
    return code
