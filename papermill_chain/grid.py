"""A chain run for each combination of some parameters, each in a workspace of its own.

A grid explores. It works on copies under experiments/grids/<id>/, and of the checkout's own data,
models and registry it changes nothing; so a plain run may go on beside it. Its id comes from what
is asked for: the same request goes on where the last one has stopped.
"""

import csv
import filecmp
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from posixpath import normpath
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from papermill_chain.files import link, relative, write_whole
from papermill_chain.notebooks import ChainError
from papermill_chain.plan import Plan
from papermill_chain.record import GOOD, last_good
from papermill_chain.signals import ENDS_WITH_INPUT, Interrupted, signals_put_into
from papermill_chain.stages import notebook_path, writers

MANY = 200  # combinations; for more of them somebody has to say yes
MOST = 100_000  # values of one range
RANGE = re.compile(r"([-+]?\d+)\.\.([-+]?\d+)(?:\.\.(\d+))?")
SECONDS_TO_STOP = 4.7  # for chains to end in good order before they are killed
SECONDS_TO_WAIT = 10.0  # for a chain that a killed grid has left, and that is about to end
ENDED_BY_SIGNAL = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
OF_A_RUN = ("CHAIN_RUN_FOLDER", "CHAIN_RUN_ID", "CHAIN_STAGE")


@dataclass
class Result:
    """What became of one combination; `report` and `index` are paths below its workspace."""

    status: str = "not run"
    seconds: float | None = None
    run: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    report: str | None = None
    index: str | None = None


@dataclass
class Combination:
    """One of the grid's runs: its parameters as typed, and what became of it."""

    number: int
    folder: str  # its workspace, below that of the grid
    parameters: dict[str, str]  # those that differ between combinations
    settings: dict[str, str]  # all that are set
    result: Result = field(default_factory=Result)

    @property
    def label(self) -> str:
        """How it is called where it is shown."""
        return " ".join(f"{name}={value}" for name, value in self.parameters.items())


@dataclass
class Grid:
    """What is to be run, and how."""

    root: Path
    id: str
    title: str
    script: str  # the program that runs the chain, below the root
    files: dict[str, Path]  # what a workspace holds, by paths below it
    combinations: list[Combination]
    fixed: dict[str, str]  # what is set alike for all
    command: str  # that goes on with it
    jobs: int  # chains side by side
    options: list[str]  # for each chain
    shared: Sequence[str]  # variables that point to stores which are not for a grid
    expected: float | None  # seconds of one combination, from the checkout's last results
    scheduler: str | None = None  # of the cluster whose workers run the chains, if not this machine
    trouble: str = ""  # why the whole of it came to no end

    @property
    def folder(self) -> Path:
        """Where all of it is kept."""
        return self.root / "experiments" / "grids" / self.id

    @property
    def page(self) -> Path:
        """The page that compares the combinations."""
        return self.folder / "index.html"

    @property
    def source(self) -> Path:
        """The copy of the chain that all workspaces share."""
        return self.folder / "source"


class PlaceLost(Exception):
    """The place where chains run is gone, in a sentence."""


class Place(Protocol):
    """Where chains run."""

    def jobs(self) -> int: ...  # side by side
    def run(self, one: Combination, follow: Callable[[dict[str, Any]], None]) -> Result: ...
    def stop(self) -> None: ...  # in good order
    def kill(self) -> None: ...


class GridView(Protocol):
    """Whoever shows a grid is told of it by these."""

    def started(self, combination: Combination, expected: float | None) -> None: ...
    def told(self, combination: Combination, event: dict[str, Any]) -> None: ...
    def ended(self, combination: Combination, done: int, of: int, left: float | None) -> None: ...
    def tick(self) -> None: ...
    def closed(self, grid: Grid, status: str) -> None: ...


def grid_of(
    asked: Namespace,
    plan_for: Callable[[Namespace], Plan],
    shared: Sequence[str],
    scheduler: str | None = None,
) -> Grid:
    """The grid that a command line asks for; ChainError if it cannot be meant."""
    if asked.only or asked.start:
        raise ChainError("a grid runs the whole chain; --only and --from do not go with --grid")
    values = _values(asked.grid)
    total = 1
    for texts in values.values():
        total *= len(texts)
    if total > MANY and not asked.yes:
        raise ChainError(f"{total} combinations are more than {MANY}; add --yes to run them all")
    fixed = dict(pair.partition("=")[::2] for pair in asked.set)
    if both := sorted(values.keys() & fixed.keys()):
        raise ChainError(f"{both[0]} is in --set as well as in --grid")
    combinations, seen = [], {}
    for number, texts in enumerate(product(*values.values()), start=1):
        parameters = dict(zip(values, texts, strict=True))
        pairs = [*asked.set, *(f"{name}={text}" for name, text in parameters.items())]
        plan = plan_for(Namespace(**vars(asked) | {"set": pairs}))
        same = json.dumps([(name, plan.given[name]) for name in values], default=str)
        if same in seen:
            raise ChainError(f"--grid asks twice for {seen[same]}")
        settings = _from_anywhere(plan, fixed | parameters)
        one = Combination(number, str(number).zfill(len(str(total))), parameters, settings)
        combinations.append(one)
        seen[same] = one.label
    return Grid(
        plan.root,
        _id_of(values, fixed),
        plan.title,
        script := _script(plan.root),
        _files(plan, script),
        combinations,
        fixed,
        _command(asked),
        asked.grid_jobs,
        _options(asked),
        shared,
        _expected(plan),
        scheduler,
    )


def run_grid(grid: Grid, place: Place, view: GridView) -> int:
    """Run what is not up to date in a grid and keep its page; the exit code."""
    events: SimpleQueue[Callable[[], None]] = SimpleQueue()
    with signals_put_into(events):
        before, changed = results_before(grid), copy_source(grid.files, grid.source)
        for one in grid.combinations:  # what still stands is shown from the start
            one.result = one.result if changed else before.get(one.folder, one.result)
        return Explorer(grid, place, view, events, before).run_all()


def run_one(
    workspace: Path,
    source: Path,
    script: str,
    settings: Mapping[str, str],
    options: Sequence[str] = (),
    unset: Sequence[str] = (),
    given: Mapping[str, str] | None = None,
    follow: Callable[[dict[str, Any]], None] | None = None,
    started: Callable[[subprocess.Popen], None] | None = None,
) -> Result:
    """Run a chain in a workspace and wait for its end.

    It needs nothing but what it is given, so that another process, or another machine that sees the
    same folders, can be sent it.

    Parameters
    ----------
    workspace, source : the folder to run it in, and the copy of the chain to run.
    script : the program that runs the chain, below them.
    settings, options : the parameters to set, and other arguments of the program.
    unset, given : variables of the environment that the chain is not to see, and others that it is.
    follow, started : told each event of the run, and the process itself.
    """
    began = time.monotonic()
    fill(workspace, source)
    pairs = [part for name, text in settings.items() for part in ("--set", f"{name}={text}")]
    hidden = {*unset, *OF_A_RUN}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {**(given or {}), ENDS_WITH_INPUT: "1"}
    while True:
        result = Result("failed")
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                [sys.executable, workspace / script, "--json", *options, *pairs],
                cwd=workspace,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # a signal from the terminal is for the grid
            ) as chain,
        ):
            if started:
                started(chain)
            for line in chain.stdout:
                with suppress(ValueError):
                    _take_in(event := json.loads(line), result)
                    if follow:
                        follow(event)
            code = chain.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        if code != 75 or time.monotonic() - began > SECONDS_TO_WAIT:
            break
        time.sleep(0.5)
    result.seconds = round(time.monotonic() - began, 1)
    if code in ENDED_BY_SIGNAL:
        result.status = "interrupted"
    elif code:
        result.status = "failed"
        last = said.splitlines() or [f"it ended with exit code {code}"]
        result.error = result.error or last[-1]
    if (workspace / "experiments/index.html").is_file():
        result.index = "experiments/index.html"
    if result.report and not (workspace / result.report).is_file():
        result.report = None
    return result


def copy_source(files: Mapping[str, Path], source: Path) -> bool:
    """Have in `source` the files of a chain as they are now, and no others; whether any is new.

    A file that has changed becomes a new one, so that links to the old one stay as they are.
    """
    gone, changed = _below(source) - files.keys(), False
    for path, file in files.items():
        there = source / path
        if not (there.is_file() and filecmp.cmp(file, there, shallow=False)):
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            shutil.copy2(file, there)
            changed = True
    for path in gone:
        (source / path).unlink()
    return changed or bool(gone)


def fill(workspace: Path, source: Path) -> None:
    """Have in a workspace the files of the chain; what the chain has made there stays."""
    files, listed = _below(source), workspace / ".source"
    if listed.is_file():
        for gone in set(listed.read_text(encoding="utf-8").splitlines()) - files:
            (workspace / gone).unlink(missing_ok=True)
    for path in files:
        there = workspace / path
        if not (there.is_file() and os.path.samefile(source / path, there)):
            there.parent.mkdir(parents=True, exist_ok=True)
            there.unlink(missing_ok=True)
            link(source / path, there)
    write_whole(listed, "\n".join(sorted(files)))


@dataclass
class Here:
    """The place where chains run: this machine."""

    grid: Grid
    processes: dict[int, subprocess.Popen] = field(default_factory=dict)
    stopped: bool = False

    def jobs(self) -> int:
        """Chains side by side, as asked for."""
        return self.grid.jobs

    def run(self, one: Combination, follow: Callable[[dict[str, Any]], None]) -> Result:
        """Run a combination and wait for its end."""
        grid = self.grid
        return run_one(
            grid.folder / one.folder,
            grid.source,
            grid.script,
            one.settings,
            grid.options,
            grid.shared,
            follow=follow,
            started=partial(self._know, one.number),
        )

    def stop(self) -> None:
        """Ask all chains to end in good order."""
        self.stopped = True
        for process in list(self.processes.values()):
            process.terminate()

    def kill(self) -> None:
        """End all chains; the watcher of each ends what it has started."""
        for process in list(self.processes.values()):
            process.kill()

    def _know(self, number: int, process: subprocess.Popen) -> None:
        self.processes[number] = process
        if self.stopped:  # it was on its way when all the others were asked to end
            process.terminate()


@dataclass
class Explorer:
    """A grid in progress: threads wait for chains, the main one takes events and keeps record."""

    grid: Grid
    place: Place
    view: GridView
    events: SimpleQueue[Callable[[], None]]
    before: dict[str, Result]  # of an earlier go at it, by folder
    busy: int = 0
    ended: int = 0
    stopped: bool = False
    took: list[float] = field(default_factory=list)  # seconds of those that had something to do
    announced: set[int] = field(default_factory=set)
    written: str = ""

    def run_all(self) -> int:
        """Run all combinations to their end, good or bad; the exit code."""
        waiting = list(self.grid.combinations)
        code = 1
        try:
            while waiting or self.busy:
                while waiting and self.busy < self.place.jobs():
                    self._start(waiting.pop(0))
                self._write("running")
                with suppress(Empty):
                    self.events.get(timeout=0.5)()
                    while True:
                        self.events.get_nowait()()
                self.view.tick()
            good = all(one.result.status in GOOD for one in self.grid.combinations)
            code = 0 if good else 1
        except Interrupted as asked:
            code = 128 + asked.args[0]
        except PlaceLost as lost:
            self.grid.trouble = str(lost)
        finally:
            self._stop()
        self.written = ""  # the last page says how it ended, whether or not more is known
        ended = {0: "succeeded", 1: "failed"}.get(code, "interrupted")
        self._write(status := "interrupted" if self.grid.trouble else ended)
        self.view.closed(self.grid, status)
        return code

    def _start(self, one: Combination) -> None:
        """Send a combination off in a thread of its own."""
        one.result = Result("running")
        self.busy += 1
        threading.Thread(target=self._work, args=(one,), daemon=True).start()

    def _work(self, one: Combination) -> None:
        try:
            result = self.place.run(
                one, lambda event: self.events.put(partial(self._told, one, event))
            )
        except PlaceLost as lost:
            self.events.put(partial(self._lost, lost))
            return
        except BaseException as error:  # whatever it is, the grid must hear of it
            result = Result("failed", error=f"{type(error).__name__}: {error}")
        self.events.put(partial(self._ended, one, result))

    def _lost(self, lost: PlaceLost) -> None:
        self.busy -= 1
        if not self.stopped:  # else it was let go
            raise lost

    def _told(self, one: Combination, event: dict[str, Any]) -> None:
        """Show what a combination is at; one that is up to date is at nothing."""
        if event["event"] == "stage started" and one.number not in self.announced:
            self.announced.add(one.number)
            self.view.started(one, self._seconds())
        self.view.told(one, event)

    def _ended(self, one: Combination, result: Result) -> None:
        """Record what became of a combination."""
        self.busy -= 1
        self.ended += result.status != "interrupted"
        if result.status == "up to date":
            before = self.before.get(one.folder, result)
            result = replace(result, seconds=before.seconds, run=before.run)
        elif result.status == "succeeded":
            self.took.append(result.seconds)
        one.result = result
        self.view.ended(one, self.ended, len(self.grid.combinations), self._left())

    def _seconds(self) -> float | None:
        """How long a combination takes, as far as one knows."""
        return sum(self.took) / len(self.took) if self.took else self.grid.expected

    def _left(self) -> float | None:
        """How long the rest of the grid will take."""
        results = [one.result.status for one in self.grid.combinations]
        rest, each = results.count("not run") + results.count("running"), self._seconds()
        return each * rest / min(self.place.jobs(), rest) if each and rest else None

    def _stop(self) -> None:
        """End all chains that are running, in good order if there is the time for it."""
        self.stopped, deadline = True, time.monotonic() + SECONDS_TO_STOP
        self.place.stop()
        while self.busy and time.monotonic() < deadline:
            with suppress(Empty, Interrupted):
                self.events.get(timeout=0.1)()
        self.place.kill()
        for one in self.grid.combinations:
            if one.result.status == "running":
                one.result = Result("interrupted")

    def _write(self, status: str) -> None:
        """Keep what is known, for readers and for the next go at it."""
        told = json.dumps([asdict(one) for one in self.grid.combinations], indent=1, default=str)
        if told != self.written:
            write_whole(self.grid.folder / "grid.json", told)
            write_whole(self.grid.folder / "grid.csv", _table(self.grid.combinations))
            write_page(self.grid, status)
            self.written = told


def write_page(grid: Grid, status: str) -> None:
    """Write the page that compares the combinations."""
    from papermill_chain.gridpage import page_of  # imports jinja2; a refusal needs it not

    write_whole(grid.page, page_of(grid, status))


def _values(specifications: Iterable[str]) -> dict[str, list[str]]:
    """The values that each parameter takes in turn, as typed."""
    values = {}
    for specification in specifications:
        name, equals, texts = specification.partition("=")
        if not equals:
            raise ChainError(f"--grid takes NAME=1..10 or NAME=A,B,C, not {specification}")
        if name in values:
            raise ChainError(f"{name} is twice in --grid; list all its values once")
        values[name] = [value for text in texts.split(",") for value in _spread(name, text.strip())]
    return values


def _spread(name: str, text: str) -> list[str]:
    """The whole numbers of a range, such as 1..10 or 0..100..25, with both ends; else the text."""
    if not (match := RANGE.fullmatch(text)):
        return [text]
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if first > last or step == 0:
        raise ChainError(f"{name}={text} is an empty range; it goes up, as in 1..10 or 0..100..25")
    if (last - first) // step >= MOST:
        raise ChainError(f"{name}={text} has more than {MOST:,} values")
    return [str(number) for number in range(first, last + 1, step)]


def _from_anywhere(plan: Plan, settings: Mapping[str, str]) -> dict[str, str]:
    """The same settings, understood in any folder: files are named by their whole paths."""
    files = {name for stage in plan.stages for name in stage.reads}
    return {
        name: str(Path(text).absolute()) if name in files else text
        for name, text in settings.items()
    }


def _id_of(values: Mapping[str, Sequence[str]], fixed: Mapping[str, str]) -> str:
    """A name for a request that it alone has: its parameters, and a few digits of its hash."""
    asked = json.dumps([list(values.items()), sorted(fixed.items())])
    names = re.sub(r"\W+", "-", "-".join(values))[:40]
    return f"{names}-{sha256(asked.encode()).hexdigest()[:8]}"


def _script(root: Path) -> str:
    """The program that is running, which each workspace gets a copy of."""
    program = Path(sys.argv[0]).resolve()
    if not (program.is_file() and program.is_relative_to(root)):
        raise ChainError(
            f"a grid copies the program that runs the chain; {program.name} is not a file in {root}"
        )
    return relative(program, root)


def _files(plan: Plan, script: str) -> dict[str, Path]:
    """What a chain needs: its program and packages, notebooks, and files that no stage writes."""
    root, writer = plan.root, writers(plan.stages)
    home = (root / script).parent
    packages = [init.parent for init in home.glob("*/__init__.py")]
    files = [*home.glob("*.py"), root / "uv.lock", root / "pyproject.toml"]
    files += [file for package in packages for file in package.rglob("*")]
    files += [notebook_path(root, stage.name) for stage in plan.stages]
    for stage in plan.stages:
        for path in map(normpath, stage.reads.values()):
            if path not in writer and path.startswith(".."):
                raise ChainError(f"{stage.name} reads {path}, which a grid cannot copy")
            files += [root / path] if path not in writer else []
    return {
        relative(file, root): file
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


def _command(asked: Namespace) -> str:
    """The command that asks for the same grid."""
    words = [part for each in asked.grid for part in ("--grid", each)]
    words += [part for each in asked.set for part in ("--set", each)]
    words += ["--scheduler", asked.scheduler] if asked.scheduler else []
    return shlex.join(["python", Path(sys.argv[0]).name, *words])


def _options(asked: Namespace) -> list[str]:
    """What each chain is told besides its parameters."""
    limit = ["--cell-timeout", str(asked.cell_timeout)] if asked.cell_timeout else []
    return ["--jobs", str(asked.jobs), *limit, *(["--force"] if asked.force else [])]


def _expected(plan: Plan) -> float | None:
    """How long the stages took when they last succeeded in the checkout, if all have."""
    last = last_good(plan.experiments)
    seconds = [last[stage.name].seconds for stage in plan.stages if stage.name in last]
    return sum(seconds) if len(seconds) == len(plan.stages) else None


def results_before(grid: Grid) -> dict[str, Result]:
    """What became of each combination that has succeeded already, by its folder."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((grid.folder / "grid.json").read_text(encoding="utf-8"))
        results = {one["folder"]: Result(**one["result"]) for one in told}
        return {folder: result for folder, result in results.items() if result.status in GOOD}
    return {}


def _below(folder: Path) -> set[str]:
    """The paths of all files below a folder."""
    return {relative(file, folder) for file in folder.rglob("*") if file.is_file()}


def _take_in(event: dict[str, Any], result: Result) -> None:
    """Learn from an event of a chain what is to be told of it."""
    match event:
        case {"event": "stage ended", "stage": stage, "run": run, "figures": figures}:
            result.figures |= figures
            if error := event["status"] == "failed" and event["error"]:
                under = f", under “{error['heading']}”" if error.get("heading") else ""
                result.error = f"{stage}{under}: {error['ename']}: {error['evalue']}"
                result.report = f"experiments/runs/{run}/{stage}.html"
        case {"event": "run ended"}:
            result.status, result.run = event["status"], event["run"]
            troubles = filter(None, [event.get("after"), *event.get("troubles", [])])
            result.error = result.error or "; ".join(map(str, troubles))


def _table(combinations: Sequence[Combination]) -> str:
    """The combinations as CSV: number, status, parameters, figures, seconds, error."""
    parameters = list(combinations[0].parameters)
    figures = list(dict.fromkeys(name for one in combinations for name in one.result.figures))
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(["combination", "status", *parameters, *figures, "seconds", "error"])
    for one in combinations:
        result = one.result
        table.writerow(
            [one.number, result.status, *one.parameters.values()]
            + [result.figures.get(name, "") for name in figures]
            + [result.seconds if result.seconds is not None else "", result.error]
        )
    return lines.getvalue()
