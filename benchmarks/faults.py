"""Kill the runner at random points, many times, and look at what is left.

    uv run --group dev python benchmarks/faults.py              # 200 kills, some 25 minutes
    uv run --group dev python benchmarks/faults.py --kills 20
    uv run --group dev python benchmarks/faults.py --kills 0 --real    # MLflow too, 30 minutes
    uv run --group dev python benchmarks/faults.py --kills 0 --step 0.5    # outputs, and 3 kills
    uv run --group dev python benchmarks/faults.py --early 100 --records 2000    # hours

A small chain is killed. After each kill the exit code has to be right, each stage's files have to
be the last good set or a complete new one, no process may be left after five seconds, and one plain
rerun has to succeed. If asked, as many more are killed within the first four seconds, and what the
runner keeps for itself is damaged, after which a plain run has to succeed. Then the process that
kernels are forked from is killed at each tenth of a second of its start, and cells show, print and
raise more than anybody reads. With `--real`, the real chain: two checkouts that share one MLflow
store, a runner killed while a model is registered, a registry that is locked, one from which the
version is deleted, and the process that kernels are forked from killed during its much longer
start. A cell has two seconds to end when its time is up, which a machine with other work to do may
not keep.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import toy
from chain import copy_project
from damage import damage, remove

from papermill_chain.chain.stages import External, Stage
from papermill_chain.cli import main

SPLIT = {"train": "data/train.txt", "test": "data/test.txt"}
MODEL = {"model": "models/model.txt", "card": "models/card.txt", "manifest": "models/manifest.txt"}
CHAIN = [
    Stage("1_look"),
    Stage("2_split", writes=SPLIT),
    Stage(
        "3_model",
        reads={"train": SPLIT["train"]},
        writes=MODEL,
        external=External(release=toy.close_registry),
    ),
    Stage(
        "4_judge",
        reads={"model": MODEL["model"], "test": SPLIT["test"]},
        writes={"verdict": "models/verdict.txt"},
    ),
]
SETS = [list(SPLIT.values()), list(MODEL.values()), ["models/verdict.txt"]]
WAIT = "import time\ntime.sleep(0.2)"
NOTEBOOKS = {
    "1_look": ["seed: int = 0", WAIT, WAIT, WAIT],
    "2_split": [
        'seed: int = 0\ntrain: str = "../a"\ntest: str = "../b"',
        WAIT,
        "for path in train, test:\n    open(path, 'w').write(str(seed))\n    time.sleep(0.1)",
    ],
    "3_model": [
        'train: str = "../a"\nmodel: str = "../b"\ncard: str = "../c"\nmanifest: str = "../d"',
        """
        import os, pathlib, subprocess, time
        from joblib import Parallel, delayed
        open_run = pathlib.Path(os.environ["TOY_REGISTRY"]) / f"{os.environ['CHAIN_RUN_ID']} open"
        open_run.touch()
        """,
        "daemon = subprocess.Popen(['sleep', '600'], start_new_session=True)",
        "Parallel(2)(delayed(time.sleep)(0.2) for _ in range(4));",
        """
        for path in model, card, manifest:
            pathlib.Path(path).write_text(pathlib.Path(train).read_text())
            time.sleep(0.05)
        """,
        "open_run.unlink()\ndaemon.kill()",
    ],
    "4_judge": [
        'model: str = "../a"\ntest: str = "../b"\nverdict: str = "../c"',
        WAIT,
        "open(verdict, 'w').write(open(model).read())",
    ],
}


HUNG = "it did not end"
SECONDS_TO_END = 60


def start(root: Path, seed: int, *arguments: str, alone: bool = False) -> subprocess.Popen:
    """The chain, or its first notebook alone, as a program in a process group of its own."""
    command = [sys.executable, __file__, "--look" if alone else "--run", str(root)]
    command += ["--set", f"seed={seed}", "--json" if alone else "--quiet", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes)


def strike(kind: str, runner: subprocess.Popen) -> None:
    """Kill what is to be killed; a kernel as soon as there is one."""
    if kind == "kernel":
        while runner.poll() is None:
            with suppress(psutil.Error):
                below = psutil.Process(runner.pid).children(recursive=True)
                kernels = [
                    p
                    for p in below
                    if os.getsid(p.pid) == p.pid != p.ppid() and p.ppid() != runner.pid
                ]
                if kernels:
                    return random.choice(kernels).kill()
            time.sleep(0.01)
        return None
    with suppress(ProcessLookupError):
        match kind:
            case "runner":
                runner.kill()
            case "process group":
                os.killpg(runner.pid, signal.SIGKILL)
            case _:
                runner.send_signal(getattr(signal, kind))


RIGHT = {
    "kernel": {0, 1},
    "runner": {-9, 0},
    "process group": {-9, 0},
    "SIGTERM": {143, -15, 0},
    "SIGINT": {130, -2, 0},
    "SIGHUP": {129, -1, 0},
}


@dataclass
class Tally:
    """What became of some faults of one kind."""

    faults: int = 0
    hung: int = 0  # it had to be ended
    survived: int = 0  # the run came to a good end all the same
    repaired: int = 0  # by a plain rerun, of those that did not
    bad: int = 0  # something was not as it has to be

    def count(self, code: int | None, repaired: bool, wrong: list[str]) -> None:
        """One more; `code` is the exit code, None if the run had to be ended."""
        self.faults += 1
        self.hung += code is None
        self.survived += code == 0
        self.repaired += code != 0 and repaired
        self.bad += bool(wrong)


def print_table(tallies: dict[str, Tally]) -> None:
    """One line for each kind of fault."""
    names = ["faults", "hung", "survived", "repaired", "bad"]
    width = max(map(len, tallies))
    print(f"\n{'':{width}}" + "".join(f"{name:>10}" for name in names))
    for kind, tally in tallies.items():
        print(f"{kind:{width}}" + "".join(f"{vars(tally)[name]:>10}" for name in names))


def wrong_after(kind: str, root: Path, runner: subprocess.Popen, seeds: set[str]) -> list[str]:
    """What is not as it has to be after a kill; `seeds` are those that good sets may be from."""
    wrong = []
    try:
        _, errors = runner.communicate(timeout=SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        runner.kill()
        return [HUNG]
    if "Traceback (most recent" in errors:
        wrong.append(errors[-500:])
    if runner.returncode not in RIGHT[kind]:
        wrong.append(f"exit code {runner.returncode}: {errors[-500:]}")
    if left := left_after(root):
        wrong.append(f"processes left: {left}")
    for paths in SETS:
        found = {(root / path).read_text() if (root / path).exists() else "none" for path in paths}
        if len(found) > 1 or not found <= seeds:
            wrong.append(f"a mixture: {paths} are of {sorted(found)}")
    return wrong


def left_after(root: Path, seconds: float = 5) -> list[int]:
    """The processes of a run that are left when they have had some seconds to go."""
    end = time.monotonic() + seconds
    while (left := toy.family(root)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def make(root: Path) -> None:
    """The small chain's notebooks, and one undisturbed run."""
    for name, cells in NOTEBOOKS.items():
        toy.write_notebook(root / "notebooks" / f"{name}.ipynb", *cells)
    toy.registry_of(root).mkdir()
    if start(root, 0).wait():
        sys.exit("the chain does not even run undisturbed")


def rerun(root: Path, seed: int) -> list[str]:
    """Run the small chain again after a fault; what is not as it has to be then."""
    again = start(root, seed)
    wrong = [f"rerun: {told}" for told in wrong_after("kernel", root, again, {str(seed)})]
    if again.returncode:
        wrong.append(f"rerun: exit code {again.returncode}")
    if left := list(toy.registry_of(root).iterdir()):
        wrong.append(f"left open: {left}")
    if left := [*root.glob("experiments/runs/*/staged"), *root.rglob(".*.old")]:
        wrong.append(f"left over: {left}")
    return wrong


def kill_many(times: int, within: float | None = None) -> Tally:
    """Kill at random points of a run, or of its first seconds."""
    tally, kinds, codes = Tally(), Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        make(root)
        began = time.monotonic()
        start(root, -1).wait()
        usual, good = within or time.monotonic() - began, "-1"
        for number in range(1, times + 1):
            kind = random.choices(list(RIGHT), weights=[3, 3, 2, 1, 1, 1])[0]
            runner, point = start(root, number), random.uniform(0, usual)
            time.sleep(point)
            strike(kind, runner)
            wrong = wrong_after(kind, root, runner, {good, str(number)})
            code = None if HUNG in wrong else runner.returncode
            left = rerun(root, number)
            tally.count(code, not left, wrong + left)
            good, kinds[kind] = str(number), kinds[kind] + 1
            codes[f"{kind} {runner.returncode}"] += 1
            told = "; ".join(wrong + left) or "well"
            print(f"{number:4}  {kind:<13} at {point:4.1f} s: {told}", flush=True)
    print(f"\nKills: {dict(kinds)}; exit codes: {dict(codes)}")
    return tally


def damage_records(times: int, luck: random.Random) -> Tally:
    """Damage what the runner keeps for itself, one file at a time; a plain run has to get over it.

    Its stages run anew where the record of their success is gone, and are up to date where not.
    """
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        root, outside = Path(folder) / "project", Path(folder) / "outside"
        make(root)
        for number in range(times):
            outside.write_text("outside")
            newest = max((root / "experiments/runs").iterdir())
            records = ["stages.json", ".publishing.json", ".lock", "index.html"]
            places = [root / "experiments" / name for name in records]
            places += [newest / "manifest.json", root / "models/.model.txt.old"]
            what = damage(places[number % len(places)], luck, outside)
            runner = start(root, 0)
            wrong = wrong_after("kernel", root, runner, {"0"})
            code = None if HUNG in wrong else runner.returncode
            if code or outside.read_text() != "outside":
                wrong.append(f"exit code {code}, outside: {outside.read_text()!r}")
            for left in root.rglob("*.damaged-*"):
                remove(left)
            tally.count(code, False, wrong)
            if wrong:
                print(f"{what}\n    {'; '.join(wrong)}", flush=True)
    return tally


def warm_process(runner: subprocess.Popen) -> psutil.Process | None:
    """The process that kernels are forked from, as soon as it is there."""
    while runner.poll() is None:
        with suppress(psutil.Error):
            for process in psutil.Process(runner.pid).children():
                if "fork_process" in " ".join(process.cmdline()):
                    return process
        time.sleep(0.005)
    return None


def seconds_to_first_fork(runner: subprocess.Popen) -> float:
    """How long the start of that process takes: until it has a child beside the watcher."""
    warm, began = warm_process(runner), time.monotonic()
    with suppress(psutil.Error):
        while warm and len(warm.children()) < 2:
            time.sleep(0.02)
    return time.monotonic() - began


def kill_warm(
    step: float,
    begin: Callable[[int], subprocess.Popen],
    again: Callable[[int], list[str]],
    patience: float = SECONDS_TO_END,
) -> Tally:
    """Kill the process that kernels are forked from at each step of its start, and a bit later.

    Parameters
    ----------
    begin : starts a run with a seed.
    again : runs once more after a run that failed; what is wrong then.
    patience : seconds after which a run counts as hung.
    """
    tally = Tally()
    runner = begin(1000)
    end = seconds_to_first_fork(runner) + 3 * step
    runner.communicate()
    for number in range(int(end / step) + 1):
        runner = begin(number)
        warm = warm_process(runner)
        time.sleep(number * step)
        with suppress(psutil.Error):
            if warm:
                warm.kill()
        code, wrong, errors = None, [], ""
        try:
            _, errors = runner.communicate(timeout=patience)
            code = runner.returncode
        except subprocess.TimeoutExpired:
            runner.kill()
            wrong = [HUNG]
        if "Traceback" in errors or "NoFork" in errors:
            wrong.append(errors[-500:])
        left = again(number) if code else []
        tally.count(code, not left, wrong + left)
        told = "; ".join(wrong + left) or f"well, exit code {code}"
        print(f"      warm process  at {number * step:4.1f} s: {told}", flush=True)
    return tally


# What a cell does, and the options of the run.
SHOW = "from IPython.display import HTML, display\n"
OUTPUTS = {
    "33 MB of HTML": (f"{SHOW}display(HTML('<p>some row</p>' * 2_200_000))", []),
    "100 MB of text": ("print('a line of text\\n' * 6_250_000)", []),
    "a table of 6 MB": (f"{SHOW}display(HTML('<table>' + '<tr><td>1</td></tr>' * 300_000))", []),
    "an error of 5 MB": ("raise ValueError('v' * 5_000_000)", []),
    "prints for ever": ("while True: print('for ever ' * 1000)", ["--cell-timeout", "10"]),
    "prints strings of 1 MB": (
        "text = 'a' * 1_000_000\nwhile True: print(text)",
        ["--cell-timeout", "10"],
    ),
    "displays for ever": (f"{SHOW}while True: display(HTML('x'))", ["--cell-timeout", "10"]),
    "a process that prints": ("import os; os.system('yes')", ["--cell-timeout", "10"]),
    "keeps Python's lock": (
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
        ["--cell-timeout", "5"],
    ),
    "ignores interrupts": (
        """
        import time
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass
        """,
        ["--cell-timeout", "5"],
    ),
    "flushes for ever": ("while True: print('x', flush=True)", ["--cell-timeout", "10"]),
    "stops itself": (
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        ["--cell-timeout", "5"],
    ),
}


def seconds_of_last_cell(events: str) -> float:
    """From the start of the last cell to the end of its notebook."""
    told = [json.loads(line) for line in events.splitlines()]
    times = {event["event"]: event["time"] for event in told}  # the last of each kind
    return times.get("stage ended", 0.0) - times.get("cell started", 0.0)


def show_too_much() -> Tally:
    """Cells that show, print and raise too much, or never end: time, sizes, and what is said."""
    tally = Tally()
    print(f"\n{'':23}{'seconds':>8}{'cell':>7}{'notebook':>10}{'page':>9}  exit code")
    for name, (cell, arguments) in OUTPUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            toy.write_notebook(root / "notebooks/1_look.ipynb", "seed: int = 0", cell)
            began, code, wrong, events, errors = time.monotonic(), None, [], "", ""
            runner = start(root, 0, "--only", "1", *arguments, alone=True)
            try:
                events, errors = runner.communicate(timeout=2 * SECONDS_TO_END)
                code = runner.returncode
            except subprocess.TimeoutExpired:
                runner.kill()
                runner.communicate()
                wrong = [HUNG]
            took = time.monotonic() - began
            sizes = {
                path.suffix: path.stat().st_size / 1e6
                for path in root.glob("experiments/runs/*/1_look.*")
            }
            seconds = seconds_of_last_cell(events)
            limit = int(arguments[1]) if arguments else None
            if limit and seconds > limit + 2:
                wrong.append(f"ended {seconds - limit:.1f} s after its time was up")
            if max(sizes.values(), default=0) > 33:
                wrong.append("a file is too large")
            if any(word in errors for word in ("Task ", "asyncio", "Exception ignored")):
                wrong.append(f"noise: {errors[-300:]}")
            tally.count(code, False, wrong)
            page, notebook = sizes.get(".html", 0.0), sizes.get(".ipynb", 0.0)
            print(
                f"{name:23}{took:8.1f}{seconds:7.1f}{notebook:7.1f} MB{page:6.1f} MB  {code}"
                f" {'; '.join(wrong)}",
                flush=True,
            )
    return tally


def rivals(rounds: int) -> int:
    """Eight first starts at once, several times; how often not one ran and seven refused."""
    bad, slowest = 0, 0.0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            root = toy.make(Path(folder) / "project")
            began = time.monotonic()
            eight = [toy.start(root) for _ in range(8)]
            running = list(eight)
            while len(running) > 1 and time.monotonic() - began < 60:
                running = [process for process in running if process.poll() is None]
                time.sleep(0.01)
            slowest = max(slowest, time.monotonic() - began)
            codes = sorted(process.wait() for process in eight)
            bad += codes != [0] + [75] * 7
    print(
        f"eight first starts: {rounds - bad} of {rounds} times one ran and seven refused with 75, "
        f"all of them within {slowest:.1f} s"
    )
    return bad


def real() -> int:
    """Faults that need MLflow; how many are not borne."""
    light = ["--set", "repeats=1", "--set", "folds=2"]
    bad = 0

    def told(what: str, well: bool, more: object = "") -> None:
        nonlocal bad
        bad += not well
        print(f"{what}: {'well' if well else f'NOT WELL {more}'}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "shared.db"
        one, other = (copy_project(Path(folder) / name) for name in ("one", "other"))
        plain = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
        shared = plain | {"MLFLOW_TRACKING_URI": f"sqlite:///{store}"}

        def begin(project: Path, *arguments: str, environment=plain) -> subprocess.Popen:
            command = [sys.executable, "run_all.py", "--quiet", *(arguments or light)]
            return subprocess.Popen(
                command, cwd=project, env=environment, stderr=subprocess.PIPE, text=True
            )

        both = [begin(project, environment=shared) for project in (one, other)]
        errors = [process.communicate()[1] for process in both]
        told("two checkouts, one MLflow store", not any(p.returncode for p in both), errors)

        first = begin(one)
        first.communicate()
        told("another store has to be filled anew", first.returncode == 0)
        runner = begin(one, "--only", "04")
        while not _statuses(one, "RUNNING") and runner.poll() is None:
            time.sleep(0.05)
        runner.kill()
        runner.communicate()
        stale = _statuses(one, "RUNNING")
        again = begin(one)
        again.communicate()
        closed = _statuses(one, "KILLED")
        told(
            "killed while registering: the next run closes MLflow's runs and repairs",
            again.returncode == 0 and set(stale) and set(stale) <= set(closed),
            (stale, closed),
        )
        runner = begin(one, "--only", "04")
        while not _statuses(one, "RUNNING") and runner.poll() is None:
            time.sleep(0.05)
        stale, asked = _statuses(one, "RUNNING"), time.monotonic()
        runner.terminate()
        runner.communicate()
        took = time.monotonic() - asked
        told(
            f"stopped while registering, {took:.1f} s: MLflow's runs are KILLED, exit 143",
            runner.returncode == 143 and took < 5 and set(stale) <= set(_statuses(one, "KILLED")),
        )
        begin(one).communicate()

        with sqlite3.connect(one / "mlflow.db") as database:
            database.execute("delete from registered_model_aliases where alias = 'challenger'")
        dry = subprocess.run(
            [sys.executable, "run_all.py", *light, "--dry-run"],
            cwd=one,
            env=plain,
            capture_output=True,
            text=True,
            check=False,
        )
        told("a deleted alias is noticed", "alias challenger is gone" in dry.stdout, dry.stdout)
        lock = sqlite3.connect(one / "mlflow.db", isolation_level=None)
        lock.execute("begin exclusive")
        locked = begin(one, "--only", "04")
        _, errors = locked.communicate()
        lock.close()
        told(
            "a locked registry is named",
            locked.returncode == 1 and "database is locked" in errors,
            errors,
        )
        again = begin(one)
        again.communicate()
        told("and a plain rerun repairs", again.returncode == 0)
    return bad


def _statuses(project: Path, status: str) -> list[str]:
    """MLflow's runs that are in a state."""
    with suppress(sqlite3.Error), sqlite3.connect(project / "mlflow.db") as database:
        return [
            row[0]
            for row in database.execute("select run_uuid from runs where status = ?", [status])
        ]
    return []


def kill_real_warm(step: float) -> Tally:
    """The real chain, from which the process that kernels are forked from is taken at its start."""
    plain = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    light = ["--set", "repeats=1", "--set", "folds=2", "--set", "shuffles=2"]
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")

        def begin(number: int) -> subprocess.Popen:
            command = [sys.executable, "run_all.py", "--quiet", "--force", *light]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            return subprocess.Popen(command, cwd=project, env=plain, **pipes)

        def again(number: int) -> list[str]:
            command = [sys.executable, "run_all.py", "--quiet", *light]
            code = subprocess.run(command, cwd=project, env=plain, check=False).returncode
            return [f"rerun: exit code {code}"] if code else []

        return kill_warm(step, begin, again, patience=5 * SECONDS_TO_END)


def kill_small_warm(step: float) -> Tally:
    """The small chain, likewise."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        make(root)
        return kill_warm(step, lambda number: start(root, number), lambda n: rerun(root, n))


if __name__ == "__main__":
    if sys.argv[1:2] in (["--run"], ["--look"]):
        place = Path(sys.argv[2])
        os.environ["TOY_REGISTRY"] = str(toy.registry_of(place))
        chain = CHAIN[:1] if sys.argv[1] == "--look" else CHAIN
        sys.exit(main(chain, place, "Toy", argv=sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--early", type=int, default=0, help="kills within the first 4 s")
    parser.add_argument("--records", type=int, default=0, help="records of the runner to damage")
    parser.add_argument("--seed", type=int, default=7, help="of the points and kinds of kills")
    parser.add_argument("--step", type=float, default=0.1, help="seconds between kills of a start")
    parser.add_argument("--real", action="store_true")
    asked = parser.parse_args()
    random.seed(asked.seed)
    tallies = {"runner, kernels, signals": kill_many(asked.kills)} if asked.kills else {}
    if asked.early:
        tallies["within the first 4 s"] = kill_many(asked.early, within=4)
    if asked.records:
        luck = random.Random(asked.seed)
        tallies["records damaged"] = damage_records(asked.records, luck)
    tallies["warm process at its start"] = kill_small_warm(asked.step)
    tallies["cells without end or measure"] = show_too_much()
    if asked.real:
        tallies["warm process, real chain"] = kill_real_warm(asked.step)
    failures = real() if asked.real else rivals(5)
    print_table(tallies)
    sys.exit(bool(failures or any(tally.bad or tally.hung for tally in tallies.values())))
