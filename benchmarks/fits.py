"""What a cluster costs over joblib on one machine: many small fits, the same units both ways.

    uv run --group dev python benchmarks/fits.py                   # 1,000 fits, three rounds
    uv run --group dev python benchmarks/fits.py --fits 200 --rounds 1

A scheduler and two workers of one thread are started on loopback; joblib has two processes. Each
round does all fits both ways, in turn, and only ratios within a round are quoted: machines are not
equally fast all the time. The units are those of the comparison, a classic logistic regression and
a fold each; --trials makes each a search of so many settings.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import RepeatedStratifiedKFold

from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.modelling.cross_validation import _fold_scores
from work_units import units

ROOT = Path(__file__).resolve().parent.parent
RAW = ROOT / "data" / "raw"
sys.path.insert(0, str(ROOT / "tests"))

from daskprocesses import Cluster


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
    with TemporaryDirectory() as folder, Cluster(Path(folder)) as dask, alone, Parallel(2) as pool:
        os.environ[units.ADDRESS] = dask.ready(2)
        units.run_units(_fold_scores, fits[:20])  # imports are done once, and not counted
        pool(delayed(_fold_scores)(*fit) for fit in fits[:20])
        print(f"{asked.fits} fits, joblib and cluster in turn; seconds")
        ratios = [once(fits, pool) for _ in range(asked.rounds)]
    print(
        f"cluster / joblib: median {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


def once(fits: list[tuple], pool: Parallel) -> float:
    """One round: the time on the cluster as a share of that of joblib; the scores are the same."""
    began = time.perf_counter()
    here = pool(delayed(_fold_scores)(*fit) for fit in fits)
    turn = time.perf_counter()
    there = units.run_units(_fold_scores, fits)
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
    estimator = candidates.candidates(contract, 7, trials=trials)[0].estimator
    splitter = RepeatedStratifiedKFold(n_splits=10, n_repeats=-(-count // 10), random_state=7)
    return [(estimator, X, y, *split) for split in list(splitter.split(X, y))[:count]]


if __name__ == "__main__":
    main()
