"""Work on a Dask cluster: a real scheduler and real workers, each a process that can be killed."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from daskprocesses import Cluster, fatal
from gridproject import CHAIN, grids, start, statuses_of
from sklearn.ensemble import RandomForestClassifier
from toy import family, run, wait_for

from creditrisk.modelling import candidates, cross_validation, optimism
from papermill_chain.grid import dask_cluster as chains
from work_units import dask_client
from work_units import dask_cluster as engine
from work_units.errors import NoCluster
from work_units.units import ADDRESS, run_units

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cluster whose first scheduler leaves it to us to send again what a dead worker had."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.ready(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
        yield cluster


@pytest.fixture
def cluster(made, monkeypatch) -> Cluster:
    """A cluster of two workers that the environment names."""
    monkeypatch.setenv(ADDRESS, made.ready())
    return made


def times_called(folder: Path) -> list[int]:
    """How often each of six numbers was squared."""
    files = [folder / str(number) for number in range(6)]
    return [len(file.read_text()) if file.exists() else 0 for file in files]


def test_a_cluster_changes_no_figure(cluster, real, monkeypatch, capsys):
    """Scores, what searches choose, and single splits are those of this machine to the last bit."""
    contract, X, y = real
    search = candidates.candidates(contract, 3, trials=2)[0]  # of the classic regression's strength
    forest = candidates.Candidate("forest", "", RandomForestClassifier(20, random_state=3))

    def compared():
        found = cross_validation.cross_validate(
            [search, forest], X[:300], y[:300], folds=3, repeats=2, seed=3, workers=1
        )
        return found, optimism.split_luck(
            {"forest": forest.estimator},
            X[:300],
            y[:300],
            splits=4,
            test_size=0.2,
            seed=3,
            workers=1,
        )

    there, luck_there = compared()
    said = capsys.readouterr().out
    assert "12 units of work for 2 cores at tcp://127.0.0.1:" in said  # 2 candidates, 6 folds
    assert "dashboard: http://127.0.0.1:" in said
    monkeypatch.delenv(ADDRESS)
    here, luck_here = compared()
    for name in (search.name, "forest"):
        np.testing.assert_array_equal(there.scores[name], here.scores[name])
    assert there.chosen == here.chosen and len(there.chosen[search.name]) == 6
    assert luck_there.equals(luck_here)


def test_workers_that_are_killed_or_would_compute_something_else(cluster, tmp_path, monkeypatch):
    """Of two one is killed, which costs nothing but time; with the other one all are gone."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in first, second:
        folder.mkdir()
    units = [(first, number, None) for number in range(6)]
    assert run_units(fatal, units, keep=first / "kept") == [0, 1, 4, 9, 16, 25]
    assert [worker.poll() for worker in cluster.workers].count(-signal.SIGKILL) == 1
    assert times_called(first)[4] == 2

    like = engine.basis(fatal.__module__).replace("scikit-learn ", "scikit-learn 0.")
    with monkeypatch.context() as other:
        other.setattr(engine, "basis", lambda module: like)
        with pytest.raises(
            NoCluster, match=r"a worker has scikit-learn 1\..* where scikit-learn 0\."
        ):
            run_units(fatal, [(second, 1, None)])
    (second / "kept").mkdir()
    for name in "ab":
        (second / f"kept/{name}.unit").touch()
    monkeypatch.setattr(engine, "SECONDS_WITHOUT_WORKERS", 2)
    with pytest.raises(NoCluster, match="all workers are gone; start some and run this again"):
        run_units(fatal, [(second, 4, None)])
    assert [worker.poll() for worker in cluster.workers] == [-signal.SIGKILL] * 2


def test_a_lost_scheduler_is_told_of_and_the_rest_is_done_later(made, tmp_path, monkeypatch):
    monkeypatch.setenv(ADDRESS, made.ready(workers=1))
    kept, pid = tmp_path / "kept", made.scheduler.pid
    units = [(tmp_path, number, pid) for number in range(6)]
    began = time.monotonic()
    with pytest.raises(NoCluster, match="the scheduler was lost; start one and run this again"):
        run_units(fatal, units, keep=kept)
    assert time.monotonic() - began < 60
    made.close()  # a worker may still do the unit that it was sent after the one that it is at
    before, done = times_called(tmp_path), len(list(kept.glob("*.unit")))
    assert 2 <= done <= 5  # all but the one that killed it, at most
    with monkeypatch.context() as patch:
        patch.setattr(dask_client, "PATIENCE", 2)
        with pytest.raises(
            NoCluster, match=r"no scheduler answers at tcp://.*; start one with `da"
        ):
            run_units(fatal, units, keep=kept)
        monkeypatch.setenv(ADDRESS, made.ready(workers=0))
        patch.setattr(dask_client, "PATIENCE", 6)  # that long one on a busy machine may take
        with pytest.raises(NoCluster, match="no worker has come to the scheduler at tcp"):
            run_units(fatal, units, keep=kept)
    made.ready(workers=1)
    assert run_units(fatal, units, keep=kept) == [0, 1, 4, 9, 16, 25]
    again = [after - once for after, once in zip(times_called(tmp_path), before, strict=True)]
    assert sum(again) == 6 - done and again[4] == 1  # what was kept is not done again


@pytest.mark.parametrize("stranger", ["nobody", "silent", "nonsense"])
def test_what_is_no_scheduler_is_refused_before_anything_runs(
    stranger,
    grid_project,
    monkeypatch,
    capsys,
):
    monkeypatch.setattr(sys, "argv", [str(grid_project / "run_all.py")])
    monkeypatch.setattr(dask_client, "PATIENCE", 2)
    monkeypatch.setenv(ADDRESS, "as it was")  # so that it is again afterwards
    with socket.create_server(("127.0.0.1", 0)) as line:
        address = f"tcp://127.0.0.1:{line.getsockname()[1]}"
        if stranger == "nobody":
            line.close()
        address = "host" if stranger == "nonsense" else address
        for more in ([], ["--grid", "seed=1,2"]):
            assert run(grid_project, "--scheduler", address, *more, chain=CHAIN) == 2
            said = capsys.readouterr().err
            assert f"no scheduler answers at {address} (" in said
            assert "start one with `dask scheduler`" in said and "nothing was run" in said
    assert not list(grid_project.glob("experiments/**/*.ipynb"))


def test_a_grid_needs_workers_that_see_its_folder(cluster, grid_project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(grid_project / "run_all.py")])
    monkeypatch.setattr(chains, "write_whole", lambda *_: None)  # as if on another machine's disk
    assert run(grid_project, "--grid", "seed=1,2", chain=CHAIN) == 2
    said = capsys.readouterr()
    assert "does not see" in said.err and "under the same path" in said.err
    assert "2 cores; dashboard: http://127.0.0.1:" in said.out
    assert not list(grid_project.glob("experiments/grids/*/grid.json"))


def test_a_grid_on_workers_survives_whatever_is_killed(cluster, grid_project):
    """Grid killed, then interrupted, then a worker and the scheduler; then it goes to its end."""
    request = ["--grid", "seed=9,4"]  # 9 waits for ever

    def begun(count: int):
        def runs() -> list[Path]:
            return list(
                grid_project.glob("experiments/grids/*/1/experiments/runs/*/04_judge.ipynb")
            )

        grid = start(grid_project, *request, "--scheduler", cluster.address)
        wait_for(lambda: len(runs()) == count and family(grid_project))
        return grid, runs

    ended = []
    for count, number in enumerate((signal.SIGKILL, signal.SIGINT), start=1):
        grid, _ = begun(count)
        (folder,) = grids(grid_project)
        wait_for(lambda folder=folder: set(statuses_of(folder)) & {"succeeded", "up to date"})
        grid.send_signal(number)
        said = grid.communicate(timeout=60)
        wait_for(lambda: not family(grid_project), seconds=60)  # on the workers, too
        ended.append((grid.returncode, said[1], statuses_of(folder)))
    assert ended == [
        (-signal.SIGKILL, "", ["running", "succeeded"]),
        (130, "", ["interrupted", "up to date"]),
    ]
    grid, runs = begun(3)
    (busy,) = [each for each in cluster.workers if psutil.Process(each.pid).children()]
    busy.kill()
    wait_for(lambda: len(runs()) == 4 and family(grid_project))  # by the other one
    cluster.scheduler.kill()
    said = grid.communicate(timeout=60)
    assert grid.returncode == 1 and "the scheduler was lost; start one" in said[1]
    assert statuses_of(folder) == ["interrupted", "up to date"]
    wait_for(lambda: not family(grid_project), seconds=60)
    cluster.ready(workers=1, TOY_GO="yes")
    with start(grid_project, *request, "--json", "--scheduler", cluster.address) as last:
        events = [json.loads(line) for line in last.stdout]
    assert last.returncode == 0 and statuses_of(folder) == ["succeeded", "up to date"]
    assert [event["event"] for event in events[:3]] == [
        "cluster",
        "combination started",
        "stage ended",
    ]
    manifests = [json.loads((run.parent / "manifest.json").read_text()) for run in sorted(runs())]
    assert [told["status"] for told in manifests] == ["interrupted"] * 4 + ["succeeded"]
