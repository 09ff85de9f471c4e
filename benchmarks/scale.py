"""How fast portfolios are scored, and whether time and memory grow as they should.

    uv run --group dev python benchmarks/scale.py                  # 1e5 to 1e7 rows; some minutes
    uv run --group dev python benchmarks/scale.py --most 1000000   # shorter
    uv run --group dev python benchmarks/scale.py --faults         # a full disk; 5 million rows
    uv run --group dev python benchmarks/scale.py --train 1000 10000 100000   # the chain

The model is the one in models/, so run the chain first. Applications are drawn evenly from the
contract, 50,000 a file. The other ways are `Pipeline.predict_proba` over pandas chunks of the same
Parquet files, in one process, as one would write it, and `mlflow models predict` of the same
pipeline, logged as MLflow's documentation has it, on a CSV file. Their start-up is counted as ours
is, except for the chunks, whose clock starts when all is loaded. Rounds alternate; a ratio is taken
within a round, and the median is given with the lowest and the highest.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from creditrisk.scoring.scorer import Scorer
from creditrisk.scoring.sources.loading import load_scorer

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]
PART = 50_000  # rows a file
CHUNK = 10_000  # rows that the other way reads at once
SOME = 200_000  # rows that it is given
FEW = 20_000  # rows that `mlflow models predict` is given


def main() -> None:
    """Measure what was asked and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000_000, help="rows (default: 10,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each ratio (default: 3)")
    parser.add_argument("--models", default="models", help="folder of the model (default: models)")
    parser.add_argument("--faults", action="store_true", help="break things instead")
    parser.add_argument(
        "--train",
        type=int,
        nargs="+",
        metavar="ROWS",
        help="run the chain on so many rows instead, drawn from a million",
    )
    parser.add_argument("--light", action="store_true", help="with --train: few and small fits")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
        if asked.faults:
            under_fire(Path(folder), asked.models)
        elif asked.train:
            train(Path(folder), asked.train, asked.light)
        else:
            measure(Path(folder), asked.models, asked.most, asked.rounds)


def portfolio(folder: Path, model: str, rows: int, seed: int = 7) -> Path:
    """Applications drawn evenly from the contract, in Parquet files."""
    places, random = load_scorer(model).domain, np.random.default_rng(seed)
    fields = places.contract.fields
    folder.mkdir()
    for number, begin in enumerate(range(0, rows, PART)):
        n = min(PART, rows - begin)
        drawn = [
            random.integers(field.minimum, field.maximum, n, endpoint=True).astype(float)
            if field.levels is None
            else random.choice(places.states(number), n)
            for number, field in enumerate(fields)
        ]
        frame = places.frame(np.column_stack(drawn))
        frame.insert(0, "id", np.arange(begin, begin + n))
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, folder / f"{number:04}.parquet")
    return folder


class Took(NamedTuple):
    """What `creditrisk score` took."""

    seconds: float
    loaded: float  # of them with the model loaded
    memory: float  # MB, of the largest process


def score(source: Path, out: Path, model: str, workers: int = 2) -> Took:
    """Run `creditrisk score`."""
    command = [
        sys.executable,
        "-m",
        "creditrisk.cli",
        "score",
        source,
        out,
        "--models",
        model,
        "--overwrite",
        "--blank-is-level",
        "--workers",
        workers,
    ]
    begin = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    _, process.returncode, used = os.wait4(process.pid, 0)  # its workers' figures are among them
    assert process.returncode == 0, "the scoring failed"
    seconds = time.perf_counter() - begin
    loaded = json.loads((out / "_manifest.json").read_text())["seconds"]
    return Took(seconds, loaded, used.ru_maxrss * 1024 / 1e6)


def by_chunks(source: Path, scorer: Scorer) -> tuple[float, np.ndarray]:
    """Rows a second of the pipeline over pandas chunks, reading included; and its answers."""
    found, begin = [], time.perf_counter()
    for file in sorted(source.iterdir())[: SOME // PART]:
        for batch in pq.ParquetFile(file).iter_batches(CHUNK):
            frame = batch.to_pandas().drop(columns="id")
            found.append(scorer.pipeline.predict_proba(frame)[:, 1])
    answers = np.concatenate(found)
    return len(answers) / (time.perf_counter() - begin), answers


def by_mlflow(place: Path, source: Path, scorer: Scorer) -> float:
    """Rows a second of `mlflow models predict`, start-up included."""
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # that cloudpickle is what it is
    logged, rows = place / "stock", place / "few.csv"
    if not logged.exists():
        mlflow.sklearn.save_model(
            scorer.pipeline,
            logged,
            pyfunc_predict_fn="predict_proba",
            pip_requirements=[],
            serialization_format="cloudpickle",
        )
        frame = pq.read_table(min(source.iterdir())).to_pandas().drop(columns="id")
        frame[:FEW].to_csv(rows, index=False)
    begin = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "predict",
            "-m",
            logged,
            "-i",
            rows,
            "-t",
            "csv",
            "-o",
            place / "few.json",
            "--env-manager",
            "local",
        ],
        check=True,
        capture_output=True,
        cwd=place,
        env={**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true"},
    )
    seconds = time.perf_counter() - begin
    assert len(json.loads((place / "few.json").read_text())["predictions"]) == FEW
    return FEW / seconds


def measure(place: Path, model: str, most: int, rounds: int) -> None:
    """Rows a second against the other ways, and how time and memory grow."""
    scorer, out = load_scorer(model), place / "out"
    sizes = [size for size in (100_000, 1_000_000, 10_000_000) if size <= most]
    sources = {size: portfolio(place / f"in-{size}", model, size) for size in sizes}
    score(sources[sizes[0]], out, model)  # what is compiled once a machine is compiled now
    ran = {(size, workers): [] for size in sizes for workers in (1, 2)}
    rows, gains, gains_mlflow, doubles = sizes[-1], [], [], []
    for _ in range(rounds):
        for (size, workers), figures in ran.items():
            figures.append(score(sources[size], out, model, workers))
        one, two = (rows / ran[rows, workers][-1].seconds for workers in (1, 2))
        theirs, answers = by_chunks(sources[rows], scorer)
        mlflow = by_mlflow(place, sources[rows], scorer)
        gains.append(two / theirs)
        gains_mlflow.append(two / mlflow)
        doubles.append(two / one)
        print(
            f"  {rows:,} rows: {two:,.0f} rows/s with 2 processes, {one:,.0f} with 1; "
            f"{theirs:,.0f} by pandas chunks, {mlflow:,.0f} by mlflow models predict"
        )
    files = sorted(out.glob("*.parquet"))[: SOME // PART]
    ours = np.concatenate([pq.read_table(file)["probability"].to_numpy() for file in files])
    print(f"largest difference from the pipeline: {np.abs(ours - answers).max():.1e}")
    print(f"times the rows/s of pandas chunks: {summary(gains)}; target 5")
    print(f"times the rows/s of mlflow models predict: {summary(gains_mlflow)}; target 10")
    print(f"two processes over one, start-up included: {summary(doubles, 2)}; target 1.7")
    for (size, workers), figures in ran.items():
        print(
            f"{size:>12,} rows, processes: {workers}; {summary([f.seconds for f in figures])} s,"
            f" with the model loaded {summary([f.loaded for f in figures], 2)} s; highest process "
            f"{median(f.memory for f in figures):.0f} MB"
        )
    if len(sizes) > 2:
        for workers in (1, 2):
            for what, words in (
                ("loaded", "with the model loaded"),
                ("seconds", "start-up included"),
            ):
                slopes = [
                    exponent({size: getattr(ran[size, workers][number], what) for size in sizes})
                    for number in range(rounds)
                ]
                print(
                    f"exponent of the time over rows, processes: {workers}, {words}: "
                    f"{summary(slopes, 2)}; target 0.95 to 1.05"
                )
        large, middle = (median(f.memory for f in ran[size, 2]) for size in sizes[:0:-1])
        print(f"memory with ten times the rows: {large / middle:.2f}; target 1.2")


def exponent(seconds: dict[int, float]) -> float:
    """The slope of log time over log rows."""
    return float(np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)[0])


def summary(values: list[float], digits: int = 1) -> str:
    """The median and the range of some values."""
    low, middle, high = (f"{f(values):.{digits}f}" for f in (min, median, max))
    return f"{middle} ({low} to {high})"


def under_fire(place: Path, model: str) -> None:
    """Five million rows of which processes are killed, here and on a cluster; then a full disk."""
    from daskprocesses import Cluster

    source = portfolio(place / "in", model, 5_000_000)
    calm, out = place / "calm", place / "out"
    print(f"undisturbed: {score(source, calm, model).seconds:.0f} s")

    def kill_worker(client: psutil.Popen) -> None:
        # Others are there to start them and to clean up, and are smaller.
        leaves = [each for each in client.children(recursive=True) if not each.children()]
        max(leaves, key=lambda each: each.memory_info().rss).kill()

    print("processes of this machine:")
    disturbed(source, out, model, calm, kill_worker)
    shutil.rmtree(out)
    print("a Dask scheduler and two workers:")
    with Cluster(place) as dask:

        def kill_one(client: psutil.Popen) -> None:
            dask.workers[0].kill()
            dask.workers[0].wait()
            dask.ready(2)

        disturbed(source, out, model, calm, kill_one, "--scheduler", dask.ready(2))
    sample_of(out, source, model)
    shutil.rmtree(out)
    full_disk(place / "disk", source, model)


def disturbed(source: Path, out: Path, model: str, calm: Path, kill_worker, *options: str) -> None:
    """A run whose workers are killed three times and whose client once, and then resumed."""
    client = start(source, out, model, *options)
    for number in (10, 25, 40):
        until(client, out, number)
        kill_worker(client)
    until(client, out, 55)
    client.kill()
    client.communicate()
    print(f"  three workers and the client killed; {done(out)} of {5_000_000 // PART} files done")
    client = start(source, out, model, "--resume", *options)
    words, errors = client.communicate()
    assert client.returncode == 0, errors
    print("  " + words.strip().replace("\n", "\n  "))
    same = all(
        file.read_bytes() == (out / file.name).read_bytes() for file in calm.glob("*.parquet")
    )
    books = [json.loads((each / "_manifest.json").read_text()) for each in (calm, out)]
    print(
        f"  files equal to the undisturbed run's, byte by byte: {same}; "
        f"hashes and sums equal: {books[0]['parts'] == books[1]['parts']}"
    )


def sample_of(out: Path, source: Path, model: str) -> None:
    """Ask a server for a thousand of the applications, and compare its decisions."""
    from creditrisk.serving.api.app import create_app
    from creditrisk.serving.model_reload import serve_from

    table, made = (pq.read_table(folder / "0042.parquet") for folder in (source, out))
    rows = np.random.default_rng(1).choice(PART, 1000, replace=False)
    asked = [{k: v for k, v in row.items() if k != "id"} for row in table.take(rows).to_pylist()]
    api = create_app(serve_from(model), tell=lambda about: None).test_client()
    answers = api.post("/predict", json=asked).get_json()
    decisions = made.take(rows).to_pylist()
    same = sum(
        (one["probability"], one["decision"]) == (other["probability"], other["decision"])
        for one, other in zip(answers, decisions, strict=True)
    )
    print(f"  decisions equal to the API's, bit by bit: {same} of {len(rows):,}")


def full_disk(disk: Path, source: Path, model: str) -> None:
    """A disk that has room for a part of the decisions, and then for all."""
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "none", disk], check=False
    ).returncode:
        print("a small disk could not be mounted here; run as root")
        return
    try:
        client = start(source, disk / "out", model)
        _, errors = client.communicate()
        print(f"full disk: exit {client.returncode}, {done(disk / 'out')} files kept\n{errors}")
        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
        client = start(source, disk / "out", model, "--resume")
        words, errors = client.communicate()
        print(f"after more room: exit {client.returncode}\n{words}")
    finally:
        subprocess.run(["umount", disk], check=True)


def start(source: Path, out: Path, model: str, *options: str) -> psutil.Popen:
    """`creditrisk score` as a process."""
    command = [sys.executable, "-m", "creditrisk.cli", "score", source, out, "--models", model]
    return psutil.Popen(
        [*map(str, command), "--blank-is-level", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def done(out: Path) -> int:
    """How many files are finished."""
    return len(list(out.glob("_parts/*.json")))


def until(client: psutil.Popen, out: Path, number: int) -> None:
    """Wait until so many files are finished."""
    while done(out) < number:
        assert client.poll() is None, client.communicate()
        time.sleep(0.01)


def train(place: Path, sizes: list[int], light: bool = False) -> None:
    """The chain on samples of a Parquet file of a million rows and twenty columns."""
    from any_file import processor_seconds
    from chain import LIGHT, copy_project

    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.raw_files.reading import read_raw

    descriptor = ROOT / "data/german_credit_20/datapackage.json"
    contract = read_contract(descriptor)
    raw = read_raw(descriptor, contract)
    random = np.random.default_rng(7)
    many = raw.iloc[random.integers(0, len(raw), 1_000_000)].reset_index(drop=True)
    for field in contract.numbers:  # neighbours of real applicants, or all would have doubles
        near = many[field.name] * random.normal(1, 0.1, len(many))
        many[field.name] = near.round().clip(field.minimum, field.maximum).astype("int64")
    many.to_parquet(place / "many.parquet", index=False)
    described = json.loads(descriptor.read_text("utf-8"))
    for recorded in "hash", "rows", "bytes":
        described["resources"][0].pop(recorded, None)
    (place / "datapackage.json").write_text(json.dumps(described), "utf-8")
    spent = {}
    for size in sizes:
        project, before = copy_project(place / str(size)), processor_seconds()
        settings = (LIGHT if light else {}) | {
            "raw_path": place / "many.parquet",
            "sample": size,
            "datapackage_path": place / "datapackage.json",
        }
        sets = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        subprocess.run([sys.executable, "run_all.py", "--quiet", *sets], cwd=project, check=True)
        (manifest,) = (project / "experiments/runs").glob("*/manifest.json")
        run = json.loads(manifest.read_text())
        stages = ", ".join(
            f"{stage['name'][:2]} {stage['seconds']:.0f} s" for stage in run["stages"]
        )
        peak = max(cell["peak_mb"] or 0 for stage in run["stages"] for cell in stage["cells"])
        spent[size] = processor_seconds() - before
        print(
            f"{size:,} rows: {run['seconds']:.0f} s ({stages}), {spent[size]:.0f} s of processors, "
            f"highest notebook {peak:,.0f} MB",
            flush=True,
        )
    for fewer, more in pairwise(spent):
        step = exponent({size: spent[size] for size in (fewer, more)})
        print(f"exponent of the processor seconds from {fewer:,} to {more:,} rows: {step:.2f}")


if __name__ == "__main__":
    main()
