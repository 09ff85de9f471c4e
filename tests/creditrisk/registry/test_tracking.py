"""What a training run leaves in MLflow, as a reader of its list of runs sees it."""

import os
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from creditrisk.registry import mlflow_store, tracking
from creditrisk.registry.sqlite_status import chain_runs_in_use, make_paths_absolute

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory, empty_store) -> Path:
    """An MLflow store, which is in use while the tests of this file run."""
    file, before = tmp_path_factory.mktemp("store") / "mlflow.db", mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; at the end it is as before
        shutil.copy(empty_store, file)
        mlflow_store.connect(file)
        yield file
        mlflow.set_tracking_uri(before)


def test_runs_that_versions_with_an_alias_come_from_are_in_use(store, monkeypatch):
    """--keep leaves them: three versions, two of them with an alias, and a model of others."""
    client = mlflow.MlflowClient()
    for name, alias in [
        ("Ours", "previous"),
        ("Ours", "production"),
        ("Ours", ""),
        ("Theirs", "production"),
    ]:
        if not client.search_registered_models(f"name='{name}'"):
            client.create_registered_model(name)
        with mlflow.start_run(tags={"chain_run": f"{name} {alias}"}) as run:
            made = client.create_model_version(name, store.as_uri(), run.info.run_id)
        if alias:
            client.set_registered_model_alias(name, alias, made.version)
    assert sorted(chain_runs_in_use("Ours", store)) == ["Ours previous", "Ours production"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # else it would be that of the store in use
    for model, file in {"Nobody's": store, "Ours": store.with_name("absent.db")}.items():
        with pytest.raises(ValueError, match="is registered in|does not exist"):
            chain_runs_in_use(model, file)
    of_server = mlflow_store.chain_runs_in_use(client, "Ours")  # as a server would be asked
    assert sorted(of_server) == ["Ours previous", "Ours production"]


def test_the_tables_of_a_store_that_checkouts_share_are_made_by_one_at_a_time(
    empty_store, tmp_path, monkeypatch
):
    """Two that begin at once would both make them, and one would fail."""
    fcntl = pytest.importorskip("fcntl", reason="Windows has no such lock")
    shared, before = tmp_path / "shared.db", mlflow.get_tracking_uri()
    shutil.copy(empty_store, shared)
    free = []  # whether another could go on, at each first question to the store

    def search(client, max_results):
        with open(tmp_path / ".shared.db.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                free.append(False)
            else:
                free.append(True)

    monkeypatch.setattr(mlflow.MlflowClient, "search_registered_models", search)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared}")
    client = mlflow_store.connect(tmp_path / "own" / "mlflow.db")
    made = client.get_experiment_by_name("Credit risk")
    mlflow.set_tracking_uri(before)
    assert free == [False]
    assert made.artifact_location == (tmp_path / "mlartifacts").as_uri()  # not where it runs
    assert not (tmp_path / "own").exists()


def test_a_relative_path_of_a_store_is_that_of_the_folder_of_the_command(tmp_path, monkeypatch):
    """Notebooks run in another folder, and would take another file."""
    monkeypatch.chdir(tmp_path)
    given = {
        "MLFLOW_TRACKING_URI": ["sqlite:///a/b.db", "sqlite:////c.db", "http://host:5000"],
        "MLFLOW_REGISTRY_URI": ["sqlite:///../d.db", "", "postgresql://host/e"],
    }
    expected = {
        "MLFLOW_TRACKING_URI": [
            f"sqlite:///{tmp_path}/a/b.db",
            "sqlite:////c.db",
            "http://host:5000",
        ],
        "MLFLOW_REGISTRY_URI": [f"sqlite:///{tmp_path.parent}/d.db", "", "postgresql://host/e"],
    }
    for number in range(3):
        for variable, values in given.items():
            monkeypatch.setenv(variable, values[number])
        make_paths_absolute()
        assert {name: os.environ[name] for name in given} == {
            name: values[number] for name, values in expected.items()
        }


def test_runs_say_who_won_which_notebook_made_them_and_only_what_was_set(store):
    client = mlflow_store.connect(store)
    results = pd.DataFrame(
        {"model": ["Scorecard", "Forest"], "roc_auc": [0.7654, 0.7], "error": ["", "ValueError"]}
    )
    settings = {
        "Scorecard": {"C": 0.5, "max_bins": None, "Saving accounts%": "as is"},
        "Forest": {"max_depth": None, "seed": 0, "warm_start": False},
    }
    name = tracking.run_name({"model": "Scorecard", "roc_auc": 0.7654})
    with mlflow.start_run(run_name=name, tags=tracking.source("04_registration.ipynb")) as run:
        tracking.track_candidates(client, run.info.run_id, results, settings)
    parent = client.get_run(run.info.run_id)
    nested = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    children = {
        child.info.run_name: child for child in client.search_runs([run.info.experiment_id], nested)
    }
    assert parent.info.run_name == "Scorecard, ROC-AUC 0.765"
    for each in (parent, *children.values()):
        tags = each.data.tags
        assert tags["mlflow.source.name"] == "04_registration.ipynb"
        assert tags["mlflow.source.type"] == "NOTEBOOK"
    assert children["Scorecard"].data.params == {"C": "0.5", "Saving accounts_": "as is"}
    assert children["Forest"].data.params == {"seed": "0", "warm_start": "False"}
    assert children["Forest"].info.status == "FAILED"
