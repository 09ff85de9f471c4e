"""Kill the runner at random points, many times, and look at what is left.

    uv run --group dev python benchmarks/faults.py              # 200 kills, some 20 minutes
    uv run --group dev python benchmarks/faults.py --kills 20
    uv run --group dev python benchmarks/faults.py --kills 0 --real    # MLflow too, 10 minutes

A small chain is killed. After each kill the exit code has to be right, each stage's files have to
be the last good set or a complete new one, no process may be left after five seconds, and one plain
rerun has to succeed. With `--real`, the real chain: two checkouts that share one MLflow store, a
runner killed while a model is registered, a registry that is locked, and one from which the version
is deleted.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import toy
from chain import copy_project

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


def start(root: Path, seed: int) -> subprocess.Popen:
    """The chain as a program, in a process group of its own."""
    command = [sys.executable, __file__, "--run", str(root), "--set", f"seed={seed}", "--quiet"]
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


def wrong_after(kind: str, root: Path, runner: subprocess.Popen, seeds: set[str]) -> list[str]:
    """What is not as it has to be after a kill; `seeds` are those that good sets may be from."""
    wrong = []
    try:
        _, errors = runner.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        runner.kill()
        return ["it did not end"]
    if runner.returncode not in RIGHT[kind]:
        wrong.append(f"exit code {runner.returncode}: {errors[-500:]}")
    end = time.monotonic() + 5
    while (left := toy.family(root)) and time.monotonic() < end:
        time.sleep(0.05)
    if left:
        wrong.append(f"processes left: {left}")
    for paths in SETS:
        found = {(root / path).read_text() if (root / path).exists() else "none" for path in paths}
        if len(found) > 1 or not found <= seeds:
            wrong.append(f"a mixture: {paths} are of {sorted(found)}")
    return wrong


def kill_many(times: int) -> int:
    """Kill at random points; how often something was wrong."""
    bad, kinds, codes = 0, Counter(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        for name, cells in NOTEBOOKS.items():
            toy.write_notebook(root / "notebooks" / f"{name}.ipynb", *cells)
        toy.registry_of(root).mkdir()
        began = time.monotonic()
        if start(root, 0).wait():
            sys.exit("the chain does not even run undisturbed")
        usual, good = time.monotonic() - began, "0"
        for number in range(1, times + 1):
            kind = random.choices(list(RIGHT), weights=[3, 3, 2, 1, 1, 1])[0]
            runner, point = start(root, number), random.uniform(0, usual)
            time.sleep(point)
            strike(kind, runner)
            wrong = wrong_after(kind, root, runner, {good, str(number)})
            again = start(root, number)
            wrong += [
                f"rerun: {told}" for told in wrong_after("kernel", root, again, {str(number)})
            ]
            if again.returncode:
                wrong.append(f"rerun: exit code {again.returncode}")
            if left := list(toy.registry_of(root).iterdir()):
                wrong.append(f"left open: {left}")
            if left := [*root.glob("experiments/runs/*/staged"), *root.rglob(".*.old")]:
                wrong.append(f"left over: {left}")
            good, kinds[kind], bad = str(number), kinds[kind] + 1, bad + bool(wrong)
            codes[f"{kind} {runner.returncode}"] += 1
            print(
                f"{number:4}  {kind:<13} at {point:4.1f} s: {'; '.join(wrong) or 'well'}",
                flush=True,
            )
    print(
        f"\n{times - bad} of {times} kills left all well. Kills: {dict(kinds)};"
        f" exit codes: {dict(codes)}"
    )
    return bad


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


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        place = Path(sys.argv[2])
        os.environ["TOY_REGISTRY"] = str(toy.registry_of(place))
        sys.exit(main(CHAIN, place, "Toy", argv=sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7, help="of the points and kinds of kills")
    parser.add_argument("--real", action="store_true")
    asked = parser.parse_args()
    random.seed(asked.seed)
    failures = kill_many(asked.kills) if asked.kills else 0
    failures += real() if asked.real else rivals(5)
    sys.exit(bool(failures))
