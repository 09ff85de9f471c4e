"""How fast portfolios are scored, and whether time and memory grow as they should.

    uv run python benchmarks/scale.py                  # 1e5 to 1e7 rows; some minutes on two cores
    uv run python benchmarks/scale.py --most 1000000   # shorter
    uv run python benchmarks/scale.py --faults         # a full disk and 5 million rows under fire
    uv run python benchmarks/scale.py --fits 1000      # the comparison on a cluster against joblib

The model is the one in models/, so run the chain first. Applications are drawn evenly from the
contract. The other way is `Pipeline.predict_proba` over pandas chunks of the same Parquet files, in
one process, as one would write it; its answers are compared with ours. Rounds alternate, and the
spread of the ratios is told, as the machine is never quite alone.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from creditrisk.scoring import Scorer

ROOT = Path(__file__).resolve().parent.parent
PART = 250_000  # rows a file
CHUNK = 10_000  # rows that the other way reads at once


def main() -> None:
    """Measure what was asked and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000_000, help="rows (default: 10,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each ratio (default: 3)")
    parser.add_argument("--models", default="models", help="folder of the model (default: models)")
    parser.add_argument("--faults", action="store_true", help="break things instead")
    parser.add_argument("--fits", type=int, help="compare so many fits instead")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place, load = Path(folder), os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load before {load:.1f}")
        if asked.faults:
            under_fire(place, asked.models)
        elif asked.fits:
            compare(asked.fits)
        else:
            measure(place, asked.models, asked.most, asked.rounds)


def portfolio(folder: Path, model: str, rows: int, seed: int = 7) -> Path:
    """Applications drawn evenly from the contract, in Parquet files of a quarter million rows."""
    places, random = Scorer.load(model).domain, np.random.default_rng(seed)
    folder.mkdir()
    for number, begin in enumerate(range(0, rows, PART)):
        n = min(PART, rows - begin)
        drawn = [start + random.integers(0, len(values), n)
                 for start, values in zip(places.starts, places.values)]  # fmt: skip
        frame = places.frame(np.column_stack(drawn))
        frame.insert(0, "id", np.arange(begin, begin + n))
        pq.write_table(
            pa.Table.from_pandas(frame, preserve_index=False),
            folder / f"{number:04}.parquet", row_group_size=50_000,
        )  # fmt: skip
    return folder


def score(source: Path, out: Path, model: str, *options: str) -> tuple[float, float]:
    """Seconds that `creditrisk score` takes, and the highest memory of one of its processes, MB."""
    command = [sys.executable, "-m", "creditrisk.cli", "score", source, out, "--models", model]
    begin, highest = time.perf_counter(), 0
    process = psutil.Popen([*map(str, command), *options], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, cwd=ROOT)  # fmt: skip
    while process.poll() is None:
        try:
            for each in [process, *process.children(recursive=True)]:
                highest = max(highest, each.memory_info().rss)
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)
    assert process.returncode == 0, "the scoring failed"
    return time.perf_counter() - begin, highest / 1e6


def other_way(source: Path, model: str, rows: int) -> tuple[float, np.ndarray]:
    """Rows a second of the pipeline over pandas chunks, reading included; and its answers."""
    pipeline, found = Scorer.load(model).pipeline, []
    begin = time.perf_counter()
    for file in sorted(source.iterdir()):
        for batch in pq.ParquetFile(file).iter_batches(CHUNK):
            frame = batch.to_pandas().drop(columns="id")
            found.append(pipeline.predict_proba(frame)[:, 1])
            if sum(map(len, found)) >= rows:
                break
        if sum(map(len, found)) >= rows:
            break
    seconds = time.perf_counter() - begin
    answers = np.concatenate(found)
    return len(answers) / seconds, answers


def measure(place: Path, model: str, most: int, rounds: int) -> None:
    """Rows a second against the other way, and how time and memory grow."""
    sizes = [size for size in (100_000, 1_000_000, 10_000_000) if size <= most]
    sources = {size: portfolio(place / f"in-{size}", model, size) for size in sizes}
    middle, out = sources[sizes[min(1, len(sizes) - 1)]], place / "out"
    rows = sizes[min(1, len(sizes) - 1)]
    two, one, gains, doubles = [], [], [], []
    for _ in range(rounds):
        seconds, _ = score(middle, out, model, "--overwrite", "--workers", "2")
        alone, _ = score(middle, out, model, "--overwrite", "--workers", "1")
        theirs, answers = other_way(middle, model, min(rows, 200_000))
        two.append(rows / seconds)
        one.append(rows / alone)
        gains.append(two[-1] / theirs)
        doubles.append(two[-1] / one[-1])
        print(f"  {two[-1]:,.0f} rows/s with 2 processes, {one[-1]:,.0f} with 1, "
              f"{theirs:,.0f} by pandas chunks")  # fmt: skip
    ours = np.concatenate([pq.read_table(f, columns=["probability"])["probability"].to_numpy()
                           for f in sorted(out.glob("*.parquet"))])[: len(answers)]  # fmt: skip
    apart = np.abs(ours - answers).max()
    print(f"largest difference from the pipeline: {apart:.1e}")
    print(f"times the rows/s of pandas chunks, start-up included: {told(gains)}; target 5")
    print(f"two processes over one: {told(doubles)}; target 1.7")
    seconds, memory = {}, {}
    for size, source in sources.items():
        seconds[size], memory[size] = score(source, out, model, "--overwrite")
        print(f"{size:>12,} rows: {seconds[size]:7.1f} s, highest process {memory[size]:.0f} MB")
    if len(sizes) == 3:
        small, middle_size, large = sizes
        whole = np.polyfit(np.log(sizes), np.log([seconds[s] for s in sizes]), 1)[0]
        steady = np.log(seconds[large] / seconds[middle_size]) / np.log(large / middle_size)
        print(f"exponent of time over all: {whole:.2f}, of the upper decade: {steady:.2f}; "
              "target 0.95 to 1.05")  # fmt: skip
        print(f"memory at 1e7 over 1e6: {memory[large] / memory[middle_size]:.2f}; target 1.2")


def told(ratios: list[float]) -> str:
    """A ratio's median and range."""
    return f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def under_fire(place: Path, model: str) -> None:
    """A full disk, then five million rows of which processes are killed; compared with a calm run."""
    source = portfolio(place / "in", model, 5_000_000)
    calm, out = place / "calm", place / "out"
    print(f"undisturbed: {score(source, calm, model)[0]:.0f} s")
    command = [sys.executable, "-m", "creditrisk.cli", "score", str(source), "--models", model]

    def start(folder: Path, *options: str) -> psutil.Popen:
        return psutil.Popen([*command, str(folder), *options], cwd=ROOT, stderr=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)  # fmt: skip

    def done(folder: Path) -> int:
        return len(list(folder.glob("_parts/*.json")))

    def kill_worker(process: psutil.Popen) -> None:
        # Multiprocessing's own helper is a child as well, and the smallest.
        max(process.children(), key=lambda each: each.memory_info().rss).kill()

    client = start(out)
    for number in (2, 5, 8):
        while done(out) < number:
            time.sleep(0.05)
        kill_worker(client)
    while done(out) < 11:
        time.sleep(0.05)
    client.kill()
    client.communicate()
    print(f"three workers and the client killed; {done(out)} of 20 files done")
    client = start(out, "--resume")
    words, errors = client.communicate()
    assert client.returncode == 0, errors
    print(words.strip())
    same = all(file.read_bytes() == (out / file.name).read_bytes() for file in calm.glob("*.parquet"))
    books = [json.loads((each / "_manifest.json").read_text()) for each in (calm, out)]
    print(f"files equal to the undisturbed run's, byte by byte: {same}; "
          f"hashes and sums equal: {books[0]['parts'] == books[1]['parts']}")  # fmt: skip
    disk = place / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", disk]).returncode:
        print("a small disk could not be mounted here; run as root")
        return
    try:
        client = start(disk / "out")
        _, errors = client.communicate()
        print(f"full disk: exit {client.returncode}, {done(disk / 'out')} files kept\n{errors}")
        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
        client = start(disk / "out", "--resume")
        words, errors = client.communicate()
        print(f"after more room: exit {client.returncode}\n{words}")
    finally:
        subprocess.run(["umount", disk], check=True)


def compare(fits: int) -> None:
    """So many fits with joblib here and on a cluster of as many workers, and the ratio of times."""
    from distributed import LocalCluster

    from creditrisk import evaluation as ev
    from creditrisk import models
    from creditrisk.contract import read_contract
    from creditrisk.data import encoder, read_raw, target

    contract = read_contract(ROOT / "data/raw/datapackage.json")
    table = read_raw(ROOT / "data/raw/german_credit_data.csv", contract)
    X, y = encoder(contract).transform(table), target(table, contract)
    chosen = [each for each in models.candidates(contract, 7) if each.estimator is not None]
    how = {"folds": 10, "repeats": max(1, fits // (10 * len(chosen))), "seed": 7}
    with LocalCluster(n_workers=os.cpu_count(), threads_per_worker=1,
                      dashboard_address=None) as cluster:  # fmt: skip
        ev.cross_validate(chosen, X, y, folds=2, repeats=1, seed=7)  # joblib's processes are up
        begin = time.perf_counter()
        here = ev.cross_validate(chosen, X, y, **how)
        local = time.perf_counter() - begin
        os.environ["DASK_SCHEDULER_ADDRESS"] = cluster.scheduler_address
        ev.cross_validate(chosen, X, y, folds=2, repeats=1, seed=7)  # and so is the cluster
        begin = time.perf_counter()
        there = ev.cross_validate(chosen, X, y, **how)
        wide = time.perf_counter() - begin
    same = all((there.scores[name] == scores).all() for name, scores in here.scores.items())
    count = 10 * how["repeats"] * len(chosen)
    print(f"{count} fits: here {local:.1f} s, on the cluster {wide:.1f} s "
          f"({wide / local - 1:+.0%}; target at most +15%); the same scores: {same}")  # fmt: skip


if __name__ == "__main__":
    main()
