"""Kill, fill, damage and feed the chain, many times, and look at what is left.

    uv run --group dev python benchmarks/faults.py                  # all but --real, 50 minutes
    uv run --group dev python benchmarks/faults.py --kills 20       # one part of it, shorter
    uv run --group dev python benchmarks/faults.py --records 100 --outputs
    uv run --group dev python benchmarks/faults.py --real           # MLflow too

Of the parts that are named only those are tried, and without a name all but `--real`:

- `--kills`, `--early`: a small chain is killed at random points, or within its first four seconds.
  After each kill the exit code has to be right, each stage's files have to be the last good set or
  a complete new one, no process may be left after five seconds, and a plain rerun has to succeed.
- `--records`: what the runner keeps for itself is damaged; a plain run has to get over it.
- `--steps`: a run, `--keep`, a cache, `outcomes add` and `override` are killed, interrupted or out
  of disk before one of their changes to files.
- `--warm`: the process that kernels are forked from is killed at each tenth of a second of its
  start.
- `--outputs`: cells show, print and raise more than anybody reads. A cell has two seconds to end
  when its time is up, which a machine with other work to do may not keep.
- `--rivals`: eight first starts at once.
- `--raw`: raw files that nobody means to give, through each command that reads one.
- `--real`: two checkouts of the real chain that share one MLflow store, a runner killed and stopped
  while a model is registered, an alias that is deleted, a registry that is locked, and the process
  that kernels are forked from killed during its much longer start.

Reruns after a kill and runs on damaged records are forked from a process that has everything
imported, but for some which are programs of their own. Each fault follows from seed, part and
number. All of them stand in a file; a second call goes on where the first was cut off.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from attack import kills, outputs, raw_files, real_chain, records, struck
from attack.results import Results
from attack.small_chain import start

SECONDS_EARLY = 4.0
KILLS, EARLY, RECORDS, STEPS, RIVALS = 200, 100, 2_000, 200, 5
FACTOR_REAL = 10  # of the patience with the small chain
STEPS_LATER = 3  # that the warm process is killed after it has begun to fork


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, nargs="?", const=KILLS)
    parser.add_argument("--early", type=int, nargs="?", const=EARLY, help="kills in the first 4 s")
    parser.add_argument("--records", type=int, nargs="?", const=RECORDS)
    parser.add_argument("--steps", type=int, nargs="?", const=STEPS)
    parser.add_argument("--rivals", type=int, nargs="?", const=RIVALS)
    for part in "warm", "outputs", "raw", "real":
        parser.add_argument(f"--{part}", action="store_true")
    parser.add_argument("--seed", type=int, default=7, help="of all that is left to luck")
    parser.add_argument("--step", type=float, default=0.1, help="seconds between kills of a start")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="faults at one time")
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds after which a run counts as hung"
    )
    parser.add_argument("--results", type=Path, help="the file of all faults")
    parser.add_argument("--anew", action="store_true", help="forget what is in that file")
    chosen = parser.parse_args()
    named = [chosen.kills, chosen.early, chosen.records, chosen.steps, chosen.rivals]
    named += [chosen.warm, chosen.outputs, chosen.raw, chosen.real]
    if not any(named):
        chosen.kills, chosen.early, chosen.records = KILLS, EARLY, RECORDS
        chosen.steps, chosen.rivals = STEPS, RIVALS
        chosen.warm = chosen.outputs = chosen.raw = True
    return chosen


def code_of_checkout() -> str:
    """The commit, and the files that differ from it."""
    git = ["git", "-C", str(ROOT)]
    calls = [["rev-parse", "HEAD"], ["status", "--porcelain"]]
    answers = [subprocess.run([*git, *call], capture_output=True, check=False) for call in calls]
    return "".join(each.stdout.decode() for each in answers)


def numbers_of_start(started, step: float, patience: float) -> range:
    """One number for each step of the start of the process that kernels are forked from."""
    seconds = kills.seconds_to_first_fork(started)
    started.ended(patience)
    return range(int(seconds / step) + STEPS_LATER + 1)


def try_small(chosen: argparse.Namespace, results: Results) -> None:
    """The parts that need the small chains alone."""
    seed, patience, jobs = chosen.seed, chosen.patience, chosen.jobs
    killed = partial(kills.Killed.place, seed, patience)
    if chosen.kills:
        place = partial(killed, "killed", None)
        results.fill("killed", range(1, chosen.kills + 1), jobs, place)
    if chosen.early:
        place = partial(killed, "killed early", SECONDS_EARLY)
        results.fill("killed early", range(1, chosen.early + 1), jobs, place)
    if chosen.records:
        place = partial(records.Damaged.place, seed, patience)
        results.fill("records", range(1, chosen.records + 1), jobs, place)
    if chosen.steps:
        place = partial(struck.Struck.place, seed, patience)
        results.fill("struck at a step", range(1, chosen.steps + 1), jobs, place)
    if chosen.warm:
        with killed("warm", SECONDS_EARLY) as here:
            numbers = numbers_of_start(start(here.root, 0, "--force"), chosen.step, patience)
        place = partial(kills.WarmKilled.place, chosen.step, seed, patience, "warm", SECONDS_EARLY)
        results.fill("warm process", numbers, 1, place)
    if chosen.outputs:
        place = partial(outputs.Shown.place, patience)
        results.fill("outputs", range(len(outputs.OUTPUTS)), 1, place)
    if chosen.rivals:
        place = partial(real_chain.Rivals.place, patience)
        results.fill("rivals", range(1, chosen.rivals + 1), 1, place)


def try_real(chosen: argparse.Namespace, results: Results) -> None:
    """The parts that need the real chain."""
    patience = chosen.patience * FACTOR_REAL
    place = partial(real_chain.Real.place, patience)
    results.fill("real chain", range(real_chain.FAULTS), 1, place)
    with real_chain.Real.place(patience) as here:
        numbers = numbers_of_start(here.start("--force", *real_chain.LIGHT), chosen.step, patience)
    place = partial(real_chain.RealWarmKilled.place, chosen.step, patience)
    results.fill("real warm process", numbers, 1, place)


def main() -> int:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # else programs in the background heed none
    chosen = asked()
    file = chosen.results or Path(tempfile.gettempdir()) / f"faults-{chosen.seed}.jsonl"
    results = Results(file, {"seed": chosen.seed, "code": code_of_checkout()}, chosen.anew)
    print(f"Results: {file}", flush=True)
    began = time.monotonic()
    try:
        try_small(chosen, results)
        if chosen.raw:
            place = partial(raw_files.Fed.place, chosen.patience)
            results.fill("raw files", range(len(raw_files.TRIES)), 1, place)
        if chosen.real:
            try_real(chosen, results)
    except KeyboardInterrupt:
        print(f"cut off; the same command goes on with what is in {file}")
        return 130
    finally:
        bad = results.print_table()
        print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
