"""What a cluster costs over joblib on one machine: many small fits, the same units both ways.

    uv run python benchmarks/fits.py                   # 1,000 fits, three rounds
    uv run python benchmarks/fits.py --fits 200 --rounds 1

A scheduler and two workers of one thread are started on loopback; joblib has two processes. Each
round does all fits both ways, in turn, and only ratios within a round are quoted: machines are not
equally fast all the time. The units are those of the comparison, a classic logistic regression and
a fold each; --trials makes each a search of so many settings.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import RepeatedStratifiedKFold

from creditrisk import models, workers
from creditrisk.contract import read_contract
from creditrisk.data import encoder, read_raw, target
from creditrisk.evaluation import _fold_scores

RAW = Path(__file__).resolve().parent.parent / "data" / "raw"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=1000, help="units of work (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--trials", type=int, default=0, help="settings a unit tries (default: 0)")
    asked = parser.parse_args()
    fits = fits_of(asked.fits, asked.trials)
    # joblib gives each of its processes its share of the cores, one thread here, once and for all
    alone = parallel_config("loky", inner_max_num_threads=1)
    with cluster(2) as address, alone, Parallel(2) as pool:
        os.environ[workers.ADDRESS] = address
        workers.spread(_fold_scores, fits[:20])  # imports are done once, and not counted
        pool(delayed(_fold_scores)(*fit) for fit in fits[:20])
        print(f"{asked.fits} fits, joblib and cluster in turn; seconds")
        ratios = [once(fits, pool) for _ in range(asked.rounds)]
    print(f"cluster / joblib: median {statistics.median(ratios):.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f})")  # fmt: skip


def once(fits: list[tuple], pool: Parallel) -> float:
    """One round: the time on the cluster as a share of that of joblib; the scores are the same."""
    began = time.perf_counter()
    here = pool(delayed(_fold_scores)(*fit) for fit in fits)
    turn = time.perf_counter()
    there = workers.spread(_fold_scores, fits)
    ended = time.perf_counter()
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(here, there, strict=True))
    ratio = (ended - turn) / (turn - began)
    print(f"  joblib {turn - began:6.2f}   cluster {ended - turn:6.2f}   ratio {ratio:.3f}")
    return ratio


def fits_of(count: int, trials: int) -> list[tuple]:
    """So many units of the comparison: estimator, data, and a fold of ten."""
    contract = read_contract(RAW / "datapackage.json")
    table = read_raw(RAW / "german_credit_data.csv", contract)
    X, y = encoder(contract).transform(table), target(table, contract)
    estimator = models.candidates(contract, 7, trials=trials)[0].estimator
    splitter = RepeatedStratifiedKFold(n_splits=10, n_repeats=-(-count // 10), random_state=7)
    return [(estimator, X, y, *split) for split in list(splitter.split(X, y))[:count]]


@contextmanager
def cluster(count: int) -> Iterator[str]:
    """A scheduler and workers of one thread on loopback; the address."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "scheduler.json")
        dask = [sys.executable, "-m", "distributed.cli.dask_"]
        quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

        def start(kind: str, *options: str) -> subprocess.Popen:
            command = [*dask[:2], dask[2] + kind, "--host", "127.0.0.1", *options]
            return subprocess.Popen(command, **quiet)

        started = [start("scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0",
                         "--scheduler-file", str(told))]  # fmt: skip
        try:
            while not told.exists() or not told.read_text().endswith("}"):
                time.sleep(0.1)
            address = json.loads(told.read_text())["address"]
            started += [start("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
                        for _ in range(count)]  # fmt: skip
            from distributed import Client

            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(count, timeout=60)
            yield address
        finally:
            for process in started:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
