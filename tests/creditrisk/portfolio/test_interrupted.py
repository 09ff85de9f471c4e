"""A portfolio whose workers, client or scheduler are killed: every row is there once."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from daskprocesses import Cluster
from portfoliofiles import content, write
from published import CONTRACT, ONE, RAW_FILE, publish

import work_units.dask_client
from creditrisk import cli
from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.portfolio.scoring import score


def until(condition, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(publish(tmp_path_factory.mktemp("light") / "models", "Logistic Regression", 4))


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory) -> Path:
    """24 files of 2,700 rows, one of them bad in each."""
    source = tmp_path_factory.mktemp("portfolio")
    rows = as_stated(read_raw(RAW_FILE, CONTRACT)[list(ONE)], CONTRACT)
    many = pd.concat([rows] * 3, ignore_index=True)[:2700]
    many.loc[17, "Age"] = 7
    first = write(many, source / "00.parquet", rows_a_group=300)
    for number in range(1, 24):
        shutil.copy(first, source / f"{number:02}.parquet")
    return source


@pytest.fixture(scope="module")
def calm(tmp_path_factory, portfolio, model) -> Path:
    """The same, scored without disturbance."""
    out = tmp_path_factory.mktemp("calm")
    assert score(str(portfolio), str(out), model, workers=1).manifest["parts_kept"] == 0
    return out


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A cluster; the tests leave fewer and fewer of its processes alive."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def test_whoever_is_killed_every_row_is_there_once(tmp_path, model, portfolio, calm, capsys):
    """A worker and then the client are killed."""
    out = tmp_path / "out"
    command = ["score", str(portfolio), str(out), "--models", model]
    with client_of(*command, "--workers", "2", log=tmp_path / "log") as client:
        until(lambda: done(out) or client.poll() is not None)
        workers_of(client)[0].kill()
        before = done(out)
        until(lambda: done(out) > before + 4 or client.poll() is not None)
        family = client.children(recursive=True)
    assert family, (tmp_path / "log").read_text()
    until(lambda: all(map(gone, family)), seconds=60)
    kept = done(out)
    assert 5 < kept < 24 and not (out / "_SUCCESS").exists()

    assert cli.main([*command, "--resume", "--workers", "1"]) == 0
    told = capsys.readouterr()
    n = 24 * 2700
    assert f"{n:,} rows in 24 files = {n - 24:,} scored + 24 rejected" in told.out
    assert f"{kept} of 24 files were scored before and are kept" in told.err
    assert_same(out, calm)


def test_on_a_cluster_too_every_row_is_there_once(tmp_path, model, portfolio, calm, dask):
    """The client is killed, then a worker of the client that goes on."""
    out = tmp_path / "out"
    command = ["score", str(portfolio), str(out), "--models", model, "--scheduler", dask.ready(2)]
    with client_of(*command, log=tmp_path / "log") as client:
        until(lambda: done(out) > 3 or client.poll() is not None)
    before = done(out)
    assert before < 24 and not (out / "_SUCCESS").exists(), (tmp_path / "log").read_text()
    first, second = dask.workers
    with once(lambda: done(out) > before, first.kill):
        assert cli.main([*command, "--resume"]) == 0
    assert first.poll() is not None and second.poll() is None
    assert_same(out, calm)


def test_a_scheduler_that_does_not_answer_or_is_lost_is_said_in_time(
    tmp_path, model, portfolio, dask, capsys, monkeypatch
):
    out = tmp_path / "out"
    command = ["score", str(portfolio), str(out), "--models", model, "--scheduler"]
    with monkeypatch.context() as patch:
        patch.setattr(work_units.dask_client, "PATIENCE", 1)
        assert cli.main([*command, "tcp://127.0.0.1:1"]) == 2  # nobody listens there
    assert "no scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err
    address = dask.ready(1)
    began = time.monotonic()
    with once(lambda: done(out), dask.scheduler.kill):
        assert cli.main([*command, address, "--resume"]) == 2
    assert "the scheduler was lost" in capsys.readouterr().err
    assert time.monotonic() - began < 60
    assert not (out / "_SUCCESS").exists()


@contextmanager
def once(condition, do) -> Iterator[None]:
    """While something is going on, do this as soon as a condition is met."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            if condition():
                return do()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def done(out: Path) -> int:
    """How many parts are finished."""
    return len(list(out.glob("_parts/*.json")))


@contextmanager
def client_of(*command: str, log: Path):
    """`creditrisk` as a process, killed in the end."""
    with log.open("w") as file:
        client = psutil.Popen(
            [sys.executable, "-m", "creditrisk.cli", *command], cwd=ROOT, stdout=file, stderr=file
        )
    try:
        yield client
    finally:
        with suppress(psutil.NoSuchProcess):
            client.kill()
        client.wait()


def assert_same(out: Path, calm: Path) -> None:
    """Nothing is lost, doubled or left over: all is as it is without disturbance."""
    assert content(out) == content(calm) and len(content(out)) == 48
    books, same = (json.loads((each / "_manifest.json").read_text()) for each in (out, calm))
    assert books["parts"] == same["parts"] and books["rows"] == 24 * 2700
    ids = [pq.read_table(part, columns=["id"])["id"].to_pylist() for part in out.glob("*.parquet")]
    assert len(set(chain(*ids))) == sum(map(len, ids)) == 24 * 2700 - 24
    assert not list(out.rglob("*.tmp")) and (out / "_SUCCESS").exists()


def workers_of(client: psutil.Process) -> list[psutil.Process]:
    """The processes that score; others are there to start them and to clean up."""
    return [
        each
        for each in client.children(recursive=True)
        if not each.children() and "resource_tracker" not in " ".join(each.cmdline())
    ]


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
