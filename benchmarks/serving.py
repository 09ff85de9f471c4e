"""How fast our server is, beside what one would use instead: one forest, five servers, one run.

    uv run --group dev python benchmarks/serving.py            # some seven minutes
    uv run --group dev python benchmarks/serving.py --rounds 2 --seconds 1

The servers take turns, round after round, so that a busy moment of the machine hits them all. A
ratio is taken within a round; shown are the median of the rounds and, in brackets, the lowest and
the highest. Only ratios travel from one machine to another.

Requests are sent by a few lines over a socket: http.client takes a fifth of a millisecond for
each, which would be a third of what is measured of us and nothing of what is measured of others.

Before the rounds each server is started once. That lets Python store its bytecode, as it does for
whoever starts a server twice, and shows that all answer alike.
"""

import argparse
import json
import logging
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).resolve().parent.parent
APPLICATION = {
    "Age": 35,
    "Sex": "male",
    "Job": 2,
    "Housing": "own",
    "Saving accounts": "little",
    "Checking account": "rich",
    "Credit amount": 2500,
    "Duration": 24,
    "Purpose": "car",
}

# The classic project's server: dummies of the one row, missing columns filled with zeros.
CLASSIC = """
import pickle, sys
import pandas as pd
from flask import Flask, jsonify, request
app = Flask(__name__)
model = pickle.load(open("classic.pkl", "rb"))
columns = pickle.load(open("classic_columns.pkl", "rb"))
@app.post("/predict")
def predict():
    sent = request.get_json()
    rows = pd.DataFrame(sent if isinstance(sent, list) else [sent])
    encoded = pd.get_dummies(rows).reindex(columns=columns, fill_value=0)
    return jsonify(prediction=model.predict(encoded).tolist(),
                   probability=model.predict_proba(encoded)[:, 1].tolist())
app.run(port=int(sys.argv[1]), threaded=True)
"""

# What a careful user would write instead: types checked, the whole pipeline on a data frame.
FASTAPI = """
import pickle, sys
import pandas as pd, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field
class Application(BaseModel):
    Age: int = Field(ge=18, le=120)
    Sex: str
    Job: int = Field(ge=0, le=3)
    Housing: str
    saving: str | None = Field(alias="Saving accounts")
    checking: str | None = Field(alias="Checking account")
    amount: int = Field(alias="Credit amount", ge=100, le=50000)
    Duration: int = Field(ge=1, le=120)
    Purpose: str
app = FastAPI()
model = pickle.load(open("models/credit_risk_model.pkl", "rb"))
@app.post("/predict")
def predict(sent: Application | list[Application]):
    several = sent if isinstance(sent, list) else [sent]
    frame = pd.DataFrame([each.model_dump(by_alias=True) for each in several])
    good = model.predict_proba(frame)[:, 1]
    return {"probability": good.tolist(), "prediction": (good >= 0.7).astype(int).tolist()}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@dataclass
class Contestant:
    """A server of the comparison."""

    name: str
    command: list[str]
    path: str = "/predict"
    mlflow: bool = False
    port: int = 0
    process: psutil.Popen | None = None

    def body(self, records: list[dict]) -> bytes:
        if self.mlflow:
            return json.dumps({"dataframe_records": records}).encode()
        return json.dumps(records if len(records) > 1 else records[0]).encode()

    def probabilities(self, records: list[dict]) -> list[float]:
        """What it answers to applications, a thousand at a time."""
        found = []
        with Caller(self, records[:1000]) as caller:
            for start in range(0, len(records), 1000):
                caller.request = caller.packed(self.body(records[start : start + 1000]))
                answer = json.loads(caller.ask())
                answer = answer["predictions"] if self.mlflow else answer
                found += [each["probability"] for each in answer]
        return found

    def family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of processor time that it has used so far, with its children."""
        return sum(sum(each.cpu_times()[:2]) for each in self.family())

    def memory(self) -> float:
        """Megabytes that are its own."""
        return sum(each.memory_full_info().uss for each in self.family()) / 1e6


class Caller:
    """Asks a server the same again and again, over one connection if the server keeps it."""

    def __init__(self, contestant: Contestant, records: list[dict]):
        self.contestant, self.line = contestant, None
        self.request = self.packed(contestant.body(records))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        if self.line:
            self.line.close()

    def packed(self, body: bytes) -> bytes:
        """A body as request."""
        lines = [
            f"POST {self.contestant.path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "",
            "",
        ]
        return "\r\n".join(lines).encode() + body

    def ask(self) -> bytes:
        """Send the request and return the answer's content."""
        if self.line is None:
            self.line = socket.create_connection(("127.0.0.1", self.contestant.port), timeout=60)
            self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.sendall(self.request)
        received = self._more()
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, content = received.partition(b"\r\n\r\n")
        status, *headers = head.lower().split(b"\r\n")
        length = int(dict(line.split(b": ", 1) for line in headers)[b"content-length"])
        parts, missing = [content], length - len(content)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        if status.startswith(b"http/1.0") or b"connection: close" in headers:
            self.line.close()
            self.line = None
        if status.split()[1] != b"200":
            raise SystemExit(f"{self.contestant.name} answered {status!r}: {content[:300]!r}")
        return b"".join(parts)

    def _more(self) -> bytes:
        found = self.line.recv(1 << 18)
        if not found:
            raise ConnectionResetError(f"{self.contestant.name} hung up")
        return found


def contestants() -> list[Contestant]:
    """Who is compared, ours first and the one that ratios refer to second."""
    python = sys.executable
    serve = [
        "-m",
        "mlflow",
        "models",
        "serve",
        "--env-manager",
        "local",
        "--workers",
        "1",
        "-p",
        "{port}",
        "-m",
    ]
    return [
        Contestant(
            "ours",
            [python, "-m", "creditrisk.cli", "serve", "--models", "models", "--port", "{port}"],
        ),
        Contestant(
            "mlflow models serve", [python, *serve, "models:/Plain/1"], "/invocations", True
        ),
        Contestant("Flask + get_dummies", [python, "-c", CLASSIC, "{port}"]),
        Contestant("FastAPI + Pipeline", [python, "-c", FASTAPI, "{port}"]),
        Contestant(
            "mlflow, our flavor",
            [python, *serve, "models:/Credit_Risk_Model@production"],
            "/invocations",
            True,
        ),
    ]


def prepare(place: Path, trees: int) -> None:
    """Train one forest and leave it where each server looks for it."""
    import mlflow
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier

    from creditrisk.data.applications.domain import domain
    from creditrisk.data.applications.frame_codes import as_stated
    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.encoding import encoder, target
    from creditrisk.data.raw_files.reading import read_raw
    from creditrisk.modelling import candidates
    from creditrisk.registry import mlflow_store, promotion
    from creditrisk.scoring.fast_path import golden_codes
    from creditrisk.scoring.sources.model_files import TRUSTED_TYPES, save_pickle, save_skops
    from creditrisk.scoring.sources.model_manifest import sealed

    contract = read_contract(ROOT / "data/raw/datapackage.json")
    table = read_raw(ROOT / "data/raw/german_credit_data.csv", contract)
    raw, y = table.drop(columns=contract.target.name), target(table, contract)
    ready = encoder(contract)
    X = ready.transform(raw)
    forest = RandomForestClassifier(trees, random_state=7)
    pipeline = candidates.decision_model(ready, forest, 0.7)
    pipeline.named_steps["decide"].fit(X, y)
    fitted = pipeline.named_steps["decide"].estimator_
    save_pickle(fitted, place / "classic.pkl")
    save_pickle(list(X.columns), place / "classic_columns.pkl")
    folder = place / "models"
    folder.mkdir()
    manifest = {
        "model": contract.model_name,
        "version": 1,
        "cutoff": 0.7,
        "model_sha256": save_pickle(pipeline, folder / "credit_risk_model.pkl"),
        "model_columns_sha256": save_pickle(list(X.columns), folder / "model_columns.pkl"),
        "model_skops_sha256": save_skops(pipeline, folder / "credit_risk_model.skops"),
        "libraries": mlflow_store.libraries(),
        "contract": contract.package,
    }
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest)), "utf-8")
    # Every row of the data and draws from all over the contract, with what the pickle says of them.
    places = domain(contract)
    drawn = places.frame(golden_codes(places, draws=10_000, seed=11))
    sample = pd.concat([raw, drawn], ignore_index=True)
    records = json.loads(sample.to_json(orient="records"))
    expected = pipeline.predict_proba(sample)[:, 1].tolist()
    stated = json.loads(as_stated(sample, contract).to_json(orient="records"))
    (place / "sample.json").write_text(json.dumps([records, stated, expected]))
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # of MLflow, about whole numbers that may be missing one day
    client = mlflow_store.connect(place / "mlflow.db")
    with mlflow.start_run():
        example = raw.head(3).reset_index(drop=True)
        version = mlflow_store.register(
            client,
            pipeline,
            contract,
            example,
            "benchmark",
            {"model_sha256": str(manifest["model_sha256"])},
        )
        # What anybody would log: the pipeline, MLflow's own flavor, probabilities.
        mlflow.sklearn.log_model(
            pipeline,
            name="plain",
            registered_model_name="Plain",
            input_example=example,
            pyfunc_predict_fn="predict_proba",
            skops_trusted_types=TRUSTED_TYPES,
            pip_requirements=[f"{name}=={v}" for name, v in mlflow_store.libraries().items()],
        )
    promotion.promote(client, version.name, version.version, "benchmark")


def begin(contestant: Contestant, place: Path) -> dict[str, float]:
    """Start a server and measure until it has decided for the first time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        contestant.port = free.getsockname()[1]
    command = [part.replace("{port}", str(contestant.port)) for part in contestant.command]
    inherited = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
        # MLflow starts its server by name
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    began = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    contestant.process = psutil.Popen(command, cwd=place, env=environment, **quiet)
    while True:
        try:
            exchange(contestant, [APPLICATION], 1)
            break
        except OSError:
            if contestant.process.poll() is not None or time.perf_counter() - began > 120:
                raise SystemExit(f"{contestant.name} does not start") from None
            time.sleep(0.05)
    wall = time.perf_counter() - began
    return {"start, s": wall, "start, CPU s": contestant.cpu(), "memory, MB": contestant.memory()}


def end(contestant: Contestant) -> None:
    """Stop a server and its children."""
    family = contestant.family()
    for each in family:
        each.terminate()
    for each in psutil.wait_procs(family, 10)[1]:
        each.kill()


def exchange(
    contestant: Contestant, records: list[dict], times: int = 0, seconds: float = 0
) -> list[float]:
    """Seconds that each of a number of requests took, or of as many as fit into a time."""
    taken, until = [], time.perf_counter() + seconds
    with Caller(contestant, records) as caller:
        while len(taken) < times or time.perf_counter() < until:
            began = time.perf_counter()
            caller.ask()
            taken.append(time.perf_counter() - began)
    return taken


def _load(contestant: Contestant, seconds: float, gate, counts) -> None:
    gate.wait()
    counts.put(len(exchange(contestant, [APPLICATION], seconds=seconds)))


def throughput(contestant: Contestant, connections: int, seconds: float) -> float:
    """Requests a second over so many connections, each from a process of its own."""
    counts, gate = multiprocessing.SimpleQueue(), multiprocessing.Barrier(connections)
    bare = Contestant(contestant.name, [], contestant.path, contestant.mlflow, contestant.port)
    load = [
        multiprocessing.Process(target=_load, args=(bare, seconds, gate, counts))
        for _ in range(connections)
    ]
    for each in load:
        each.start()
    total = sum(counts.get() for _ in load)
    for each in load:
        each.join()
    return total / seconds


def measure(contestant: Contestant, seconds: float) -> dict[str, float]:
    """One round of one server."""
    exchange(contestant, [APPLICATION], 5)
    cpu = contestant.cpu()
    taken = sorted(exchange(contestant, [APPLICATION], 20, seconds))
    cpu = contestant.cpu() - cpu
    batch = exchange(contestant, [APPLICATION] * 1000, 3, seconds / 2)
    return {
        "p50, ms": 1000 * taken[len(taken) // 2],
        "p99, ms": 1000 * taken[int(0.99 * len(taken))],
        "CPU a request, ms": 1000 * cpu / len(taken),
        **{f"requests/s, {n} conn.": throughput(contestant, n, seconds) for n in (1, 8, 32)},
        "batch of 1000, rows/s": 1000 / statistics.median(batch),
    }


def apart(found: list[float], expected: list[float], cutoff: float = 0.7) -> str:
    """How far answers are from the pickle's, and how many decisions differ."""
    furthest = max(abs(one - other) for one, other in zip(found, expected, strict=True))
    differ = sum((one >= cutoff) != (other >= cutoff) for one, other in zip(found, expected))
    return f"{furthest:.2g} | {differ}"


def rehearse(place: Path) -> list[str]:
    """Start each server once; lines of a table of how far ours and MLflow's are from the pickle."""
    _, stated, expected = json.loads((place / "sample.json").read_text())
    lines = []
    for contestant in contestants():
        print(f"rehearsal: {contestant.name}", file=sys.stderr)
        begin(contestant, place)
        try:
            if contestant.name in ("ours", "mlflow, our flavor"):
                found = contestant.probabilities(stated)
                lines.append(f"| {contestant.name}, over HTTP | {apart(found, expected)} |")
        finally:
            end(contestant)
    return lines


def in_process(place: Path, rounds: int, tables) -> None:
    """Put two tables: how far our answers are from the pickle's, and how much sooner they come."""
    import pandas as pd

    from creditrisk.scoring.sources.loading import load_scorer

    records, stated, expected = json.loads((place / "sample.json").read_text())
    scorer = load_scorer(place / "models")
    sample = pd.DataFrame(records)
    pipeline, thousand = scorer.pipeline, sample.head(1000)
    many = pd.concat([thousand] * 20, ignore_index=True)
    one_by_one = [scorer.score(each)[0].probability for each in stated]
    together = [each.probability for each in scorer.score(stated)]
    exact = [
        f"| in process, one by one | {apart(one_by_one, expected)} |",
        f"| in process, together | {apart(together, expected)} |",
        f"| in process, a frame | {apart(scorer.probabilities(sample).tolist(), expected)} |",
    ]
    cases = {
        "1 record": (
            lambda: scorer.score(stated[0]),
            lambda: pipeline.predict_proba(sample.head(1)),
        ),
        "1,000 records": (
            lambda: scorer.score(stated[:1000]),
            lambda: pipeline.predict_proba(thousand),
        ),
        "1,000 rows of a frame": (
            lambda: scorer.probabilities(thousand),
            lambda: pipeline.predict_proba(thousand),
        ),
        "20,000 rows of a frame": (
            lambda: scorer.probabilities(many),
            lambda: pipeline.predict_proba(many),
        ),
    }
    times = []
    for name, (ours, pipelines) in cases.items():
        pairs = [(_milliseconds(ours), _milliseconds(pipelines)) for _ in range(max(rounds, 3))]
        mine, its = (statistics.median(each) for each in zip(*pairs))
        ratios = sorted(it / me for me, it in pairs)
        spread = (
            f"{_number(statistics.median(ratios))} ({_number(ratios[0])} to {_number(ratios[-1])})"
        )
        times.append(f"| {name} | {_number(mine)} | {_number(its)} | {spread} |")
    tables.put((exact, times))


def _milliseconds(work) -> float:
    """What a piece of work takes at its best of five."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken)


def report(results: dict[str, list[dict[str, float]]]) -> str:
    """A Markdown table: medians, and how many times better ours is than each of the others."""
    ours, *others = results
    lines = [
        "| | "
        + " | ".join(f"{name} | ours is better by" if name != ours else name for name in results)
        + " |"
    ]
    lines.append("|---" * (2 * len(results)) + "|")
    for figure in results[ours][0]:
        cells = [_number(statistics.median(row[figure] for row in results[ours]))]
        for name in others:
            pairs = zip(results[ours], results[name], strict=True)
            ratios = sorted(_better(figure, mine[figure], its[figure]) for mine, its in pairs)
            middle = statistics.median(ratios)
            cells.append(_number(statistics.median(row[figure] for row in results[name])))
            cells.append(f"{_number(middle)} ({_number(ratios[0])} to {_number(ratios[-1])})")
        lines.append(f"| {figure} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _better(figure: str, mine: float, its: float) -> float:
    return mine / its if "/s" in figure else its / mine


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--trees", type=int, default=100)
    chosen = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {}
    elsewhere = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # In processes of their own: measuring does not carry the weight of training.
        training = elsewhere.Process(target=prepare, args=(place, chosen.trees))
        training.start()
        training.join()
        if training.exitcode:
            raise SystemExit(training.exitcode)
        tables = elsewhere.SimpleQueue()
        scoring = elsewhere.Process(target=in_process, args=(place, chosen.rounds, tables))
        scoring.start()
        exact, times = tables.get()
        scoring.join()
        exact = rehearse(place) + exact
        for number in range(1, chosen.rounds + 1):
            for contestant in contestants():
                print(f"round {number}: {contestant.name}", file=sys.stderr)
                start = begin(contestant, place)
                try:
                    found = measure(contestant, chosen.seconds) | start
                finally:
                    end(contestant)
                results.setdefault(contestant.name, []).append(found)
    print(
        f"{chosen.trees} trees, {chosen.rounds} rounds, {os.cpu_count()} cores, "
        f"Python {sys.version.split()[0]}\n"
    )
    print(report(results))
    print("\n| in process | ours, ms | Pipeline.predict_proba, ms | ours is faster by |")
    print("\n".join(["|---|---|---|---|", *times]))
    print(
        "\n| the 1,000 rows and 10,000 draws | furthest from the pickle | decisions that differ |"
    )
    print("\n".join(["|---|---|---|", *exact]))


if __name__ == "__main__":
    main()
