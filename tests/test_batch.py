"""A portfolio in, decisions out: every row once, whatever is killed, in the API's words."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from test_serving import publish

from creditrisk import engine, models
from creditrisk import evaluation as ev
from creditrisk.batch import Refused, score
from creditrisk.contract import read_contract, record_problems
from creditrisk.data import encoder, read_raw, target
from creditrisk.scoring import Scorer, golden_places
from creditrisk.store import Hashed

RAW = ROOT / "data/raw"
CONTRACT = read_contract(RAW / "datapackage.json")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_TRIM_THRESHOLD_": "65536"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(publish(tmp_path_factory.mktemp("batch") / "models", "Random Forest", 3))


@pytest.fixture(scope="module")
def scorer(model) -> Scorer:
    return Scorer.load(model)


@pytest.fixture(scope="module")
def applications(scorer) -> pd.DataFrame:
    """Applications all over the contract, numbered."""
    frame = scorer.domain.frame(golden_places(scorer.domain))
    frame.insert(0, "id", np.arange(len(frame)) + 1000)
    return frame


def write(frame: pd.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, path, row_group_size=100)
    return path


def decided(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out).sort_values("id").reset_index(drop=True)


def content(out: Path) -> dict[str, bytes]:
    """All decisions and rejections by name."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.parquet")}


def typed(*arguments: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "creditrisk.cli", "score", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=ENVIRONMENT | more,
    )  # fmt: skip


def test_decisions_are_the_apis_to_the_last_bit_from_every_kind_of_file(
    tmp_path, model, scorer, applications
):
    third = len(applications) // 3
    one, two, three = applications[:third], applications[third:-third], applications[-third:]
    write(one, tmp_path / "in/day=1/a.parquet")
    two = two.astype({"Purpose": "category", "Age": "float64", "Job": "int8"})
    write(two.assign(Branch="x"), tmp_path / "in/day=2/a.parquet")
    three.to_csv(tmp_path / "in/b.csv", index=False, na_rep="NA")
    (tmp_path / "in/_notes.csv").write_text("none of ours")

    out = tmp_path / "out"
    ran = typed(tmp_path / "in", out, "--models", model, "--workers", "2")

    assert ran.returncode == 0, ran.stderr
    n = len(applications)
    assert f"{n:,} rows in 3 files = {n:,} scored + 0 rejected" in ran.stdout
    assert "passed over: 'Branch'" in ran.stdout
    assert sorted(content(out)) == ["b.csv.parquet", "day=1/a.parquet", "day=2/a.parquet"]
    parts = [pd.read_parquet(out / name) for name in sorted(content(out))]
    found = pd.concat([part.astype({"id": "int64"}) for part in parts]).sort_values("id")
    records = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in applications.drop(columns="id").astype(object).to_dict("records")
    ]
    expected = scorer.score(records)
    assert found.id.tolist() == applications.id.tolist()
    assert found.probability.tolist() == [each.probability for each in expected]
    assert found.decision.tolist() == [each.decision for each in expected]
    assert found.prediction.tolist() == [each.prediction for each in expected]
    assert {*found.model_version} == {3} and {*found.model_sha256} == {scorer.sha256}
    # One by one, as one application comes to the API.
    alone = [scorer.score(record)[0].probability for record in records[:50]]
    assert alone == found.probability.tolist()[:50]

    few = write(applications[:9], tmp_path / "few.parquet")
    assert score(str(few), str(tmp_path / "why"), model, reasons=True).manifest["scored"] == 9
    found = decided(tmp_path / "why").reasons
    told = [[(each["words"], each["effect"]) for each in row] for row in found]
    expected = scorer.score(records[:9], reasons=True)
    assert told == [[(each.words, each.effect) for each in one.reasons] for one in expected]


BAD = [  # field, cell, whether a Parquet column holds such a value beside good ones
    ("Age", 17), ("Age", 35.5), ("Age", None), ("Age", float("inf")), ("Credit amount", -1),
    ("Credit amount", 2**62), ("Sex", "Secret"), ("Sex", None), ("Purpose", ""), ("Job", 4),
    ("Saving accounts", "missing"), ("Checking account", "poor"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_rows_that_break_the_contract_are_rejected_in_the_apis_words(
    kind, tmp_path, model, applications
):
    """12 bad rows and one without an id, 100 good ones."""
    frame = applications[:113].astype({"Age": float, "id": "Int64"}).reset_index(drop=True)
    fields = [field.name for field in CONTRACT.fields]
    for row, (name, value) in enumerate(BAD):
        frame.loc[3 * row, name] = value
    frame.loc[2, "id"] = None
    file = tmp_path / f"in.{kind}"
    if kind == "csv":
        text = frame.astype(object)
        ages = [v if pd.isna(v) or v % 1 else int(v) for v in frame.Age]
        text["Age"] = pd.Series(ages, dtype=object)
        text["id"] = text["id"].where(frame.id.notna(), "")
        text.to_csv(file, index=False, na_rep="NA")
    else:
        write(frame, file)

    summary = score(str(file), str(tmp_path / "out"), model, workers=1)

    assert [summary.total(name) for name in ("rows", "scored", "rejected")] == [113, 100, 13]
    name = f"_rejected/in{'.csv' * (kind == 'csv')}.parquet"
    rejected = pd.read_parquet(tmp_path / "out" / name).set_index("row")
    assert rejected.file.unique().tolist() == [file.name]
    assert rejected.loc[3, "reason"] == "id is null, and names the row"
    for row, (name, value) in enumerate(BAD):
        if kind == "csv" and value in ("", float("inf")):  # in CSV, nothing, and just some text
            value = None if value == "" else "inf"
        record = {field: frame[field][1] for field in fields} | {name: value}
        record = {k: v.item() if hasattr(v, "item") else v for k, v in record.items()}
        record = {k: int(v) if k == "Age" and k != name else v for k, v in record.items()}
        record = {k: None if v is not None and pd.isna(v) else v for k, v in record.items()}
        [problem] = record_problems(record, CONTRACT)
        assert rejected.loc[3 * row + 1, "reason"] == f"{name} {problem.message}"
        assert rejected.loc[3 * row + 1, "column"] == name
        assert rejected.loc[3 * row + 1, "id"] == str(frame.id[3 * row])
    left = sorted(set(frame.id.dropna()) - {int(each) for each in rejected.id.dropna()})
    assert decided(tmp_path / "out").id.astype("int64").tolist() == left


def test_a_broken_file_fails_alone_and_is_all_that_a_resumed_run_does(
    tmp_path, model, applications, monkeypatch
):
    source, out = tmp_path / "in", tmp_path / "out"
    good = {name: write(applications[:50], source / f"{name}.parquet") for name in "abcdef"}
    whole = good["b"].read_bytes()
    good["b"].write_bytes(whole[: len(whole) // 2] + whole[len(whole) // 2 + 40 :])
    write(applications[:50].rename(columns={"Housing": "House"}), good["c"])
    write(applications[:50].assign(Age="old", Sex=1), good["d"])
    (source / "g.csv").write_text(
        applications[:3].to_csv(index=False, na_rep="NA") + "7,only this\n"
    )

    summary = score(str(source), str(out), model, workers=1)

    words = {failed.name: failed.words for failed in summary.failed}
    assert sorted(words) == ["b.parquet", "c.parquet", "d.parquet", "g.csv.parquet"]
    assert "cannot be read" in words["b.parquet"]
    assert words["c.parquet"] == "Housing is missing; allowed free, rent, own"
    assert words["d.parquet"] == (
        "Age is of type large_string, not whole numbers; Sex is of type int64, not text"
    )
    assert words["g.csv.parquet"] == "row 4 (line 5) has 2 cells, the header 10"
    assert sorted(content(out)) == ["a.parquet", "e.parquet", "f.parquet"]
    assert not list(out.rglob("*.tmp")) and not (out / "_SUCCESS").exists()

    for name in "bcd":
        good[name].write_bytes(whole)
    (source / "g.csv").unlink()
    (out / "e.parquet").write_bytes(b"gone bad")
    seen = []
    again = score(str(source), str(out), model, workers=1, resume=True,
                  tell=lambda what, about: seen.append(about) if what == "part" else None)  # fmt: skip
    assert [part.name for part in seen] == [f"{name}.parquet" for name in "bcde"]
    assert again.kept == 2 and again.manifest["rows"] == 300
    assert (out / "_SUCCESS").exists() and len(decided(out)) == 300
    assert {*content(out).values()} == {content(out)["a.parquet"]}

    # The disk has room for two files and a half: they stay, and the rest is not tried.
    room, write_on = [2.5 * (out / "a.parquet").stat().st_size], Hashed.write

    def full(self, piece):
        room[0] -= len(piece)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return write_on(self, piece)

    monkeypatch.setattr(Hashed, "write", full)
    summary = score(str(source), str(out), model, workers=1, overwrite=True)
    assert [failed.words for failed in summary.failed] == ["no space left"]
    assert sorted(content(out)) == ["a.parquet", "b.parquet"]
    monkeypatch.undo()
    assert score(str(source), str(out), model, workers=1, resume=True).manifest["rows"] == 300


def test_the_folder_of_another_run_is_refused(tmp_path, model, applications):
    one, out = write(applications[:20], tmp_path / "in/one.parquet"), tmp_path / "out"
    source = str(tmp_path / "in")
    score(source, str(out), model)
    before = content(out)
    for how, words in [
        ({}, "add --resume to go on with it, or --overwrite"),
        ({"resume": True, "reasons": True}, "a run with or without reasons"),
        ({"resume": True, "id": "Age"}, "a run with another id column"),
    ]:
        with pytest.raises(Refused, match=words):
            score(source, str(out), model, **how)
    with pytest.raises(Refused, match="a run with another portfolio"):
        score(str(one), str(out), model, resume=True)
    with pytest.raises(Refused, match="lies in"):
        score(source, f"{source}/out", model)
    with pytest.raises(Refused, match="holds no file that ends in"):
        score(str(out / "_parts"), str(tmp_path / "other"), model)
    other = write(applications[:5], tmp_path / "theirs/own.parquet")
    with pytest.raises(Refused, match="files that no scoring has made"):
        score(source, str(other.parent), model, overwrite=True)
    one.rename(one.with_name("renamed.parquet"))
    with pytest.raises(Refused, match="one.parquet has been scored and is no longer"):
        score(source, str(out), model, resume=True)
    assert content(out) == before
    score(source, str(out), model, overwrite=True)
    assert sorted(content(out)) == ["renamed.parquet"]


def test_paths_may_be_urls_of_an_object_store(tmp_path, model, applications, monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        import s3fs

        store = s3fs.S3FileSystem()
        store.mkdir("bank")
        here = write(applications.assign(Age=lambda t: t.Age.where(t.id > 1009, 7)), tmp_path / "a")
        for name in ("a", "b"):
            store.put(str(here), f"bank/loans/{name}.parquet")
        summary = score("s3://bank/loans/*.parquet", "s3://bank/decisions", model, workers=1)
        # The first 10 applications of either file have an Age of 7.
        assert summary.total("rejected") == 20 and summary.total("rows") == 2 * len(applications)
        score(str(here.rename(tmp_path / "a.parquet")), str(tmp_path / "out"), model)
        for name in ("a.parquet", "_rejected/a.parquet"):
            assert store.cat(f"bank/decisions/{name}") == (tmp_path / "out" / name).read_bytes()
        assert store.exists("bank/decisions/_SUCCESS")
        store.rm("bank/decisions/b.parquet")
        again = score("s3://bank/loans/*.parquet", "s3://bank/decisions", model, resume=True)
        assert again.kept == 1 and again.manifest["scored"] == summary.manifest["scored"]
        assert not [name for name in store.find("bank") if name.endswith(".tmp")]
    finally:
        server.stop()


@contextmanager
def running(*command: str, ready: str, log: Path):
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=file, stderr=file,
                                   env=ENVIRONMENT)  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while ready not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def cluster(folder: Path):
    """A scheduler as a process; yields it, its address, and how to start a worker."""
    begin = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    with running(*begin, "--no-dashboard", ready="Scheduler at:", log=folder / "log") as scheduler:
        address = (folder / "log").read_text().partition("Scheduler at:")[2].split()[0]

        def worker(name: str):
            return running("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny",
                           "--no-dashboard", ready="Registered to", log=folder / name)  # fmt: skip

        yield scheduler, address, worker


def test_whoever_is_killed_every_row_is_there_once(tmp_path, model, applications):
    """Workers killed three times and the client once; 20 files of 20,280 rows."""
    source, out = tmp_path / "in", tmp_path / "out"
    many = pd.concat([applications.drop(columns="id")] * 60, ignore_index=True)
    many.loc[17, "Age"] = 7
    write(many, source / "00.parquet")
    for number in range(1, 20):
        (source / f"{number:02}.parquet").write_bytes((source / "00.parquet").read_bytes())
    command = [sys.executable, "-m", "creditrisk.cli", "score", source, out, "--models", model]

    def start(*more):
        return subprocess.Popen([*map(str, command), *more], env=ENVIRONMENT,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip

    def done() -> int:
        return len(list(out.glob("_parts/*.json")))

    with cluster(tmp_path) as (_, address, worker), worker("1") as one, worker("2") as two:
        client = start("--scheduler", address)
        until(lambda: done() >= 1)
        one.kill()
        with worker("3") as three:
            until(lambda: done() >= 4)
            client.kill()
            client.communicate()
            assert not (out / "_SUCCESS").exists()
            until(lambda: not list(out.rglob("*.tmp")))  # what was under way is put away or done
            kept = done()
            client = start("--resume", "--scheduler", address)
            until(lambda: done() > kept)
            three.kill()
            with worker("4"):
                until(lambda: done() > kept + 2)
                two.kill()
                told, _ = client.communicate(timeout=90)
    assert client.returncode == 0, told
    n = 20 * len(many)
    assert f"{n:,} rows in 20 files = {n - 20:,} scored + 20 rejected" in told
    # What the killed client had sent may have ended between our count and the second client's.
    found = int(re.search(r"(\d+) of 20 files were scored before and are kept", told)[1])
    assert kept <= found < 20
    assert not list(out.rglob("*.tmp")) and (out / "_SUCCESS").exists()

    calm = tmp_path / "calm"
    score(str(source), str(calm), model)
    assert content(out) == content(calm)
    books = json.loads((out / "_manifest.json").read_text())
    same = json.loads((calm / "_manifest.json").read_text())
    assert books["parts"] == same["parts"] and books["rows"] == n
    assert pd.read_parquet(out, columns=["id"]).id.nunique() == n - 20


def test_a_comparison_on_a_cluster_is_the_same_whoever_is_killed(tmp_path, monkeypatch):
    table = read_raw(RAW / "german_credit_data.csv", CONTRACT)
    X, y = encoder(CONTRACT).transform(table), target(table, CONTRACT)
    few = [each for each in models.candidates(CONTRACT, 7)
           if each.name in ("Logistic Regression", "Gradient Boosting", "WoE Scorecard")]  # fmt: skip
    how = {"folds": 5, "repeats": 2, "seed": 7}
    here = ev.cross_validate(few, X, y, workers=1, **how)
    with cluster(tmp_path) as (scheduler, address, worker):
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        with worker("1") as one, worker("2"):
            killer = threading.Timer(1, one.kill)
            killer.start()
            there = ev.cross_validate(few, X, y, **how)
            killer.join()
        assert (there.fold == here.fold).all() and not there.errors
        for name, scores in here.scores.items():
            assert (there.scores[name] == scores).all()

        # Nobody is left to work; then the scheduler goes as well.
        killer = threading.Timer(1, scheduler.kill)
        killer.start()
        with pytest.raises(engine.NoEngine, match="scheduler was lost"):
            ev.cross_validate(few, X, y, **how)
        gone = time.monotonic()
        killer.join()
        monkeypatch.setattr(engine, "PATIENCE", 1)
        with pytest.raises(engine.NoEngine, match="no scheduler answers at tcp://127.0.0.1"):
            ev.cross_validate(few, X, y, **how)
        assert time.monotonic() - gone < 10


def test_a_process_that_is_killed_is_replaced(tmp_path):
    """Ten units; each of the first two takes its process with it the first time."""
    units = [(str(tmp_path), number) for number in range(10)]
    found = dict(engine.in_processes(deadly, units, workers=2))
    assert found == {number: number * number for number in range(10)}


def deadly(unit: tuple[str, int]) -> int:
    folder, number = unit
    mark = Path(folder) / str(number)
    if number < 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number
