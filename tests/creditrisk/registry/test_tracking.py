"""What a training run leaves in MLflow, as a reader of its list of runs sees it."""

import pandas as pd
import pytest

from creditrisk.registry import mlflow_store, tracking

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


def test_runs_say_who_won_which_notebook_made_them_and_only_what_was_set(tmp_path, monkeypatch):
    import mlflow

    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; at the end it is as before
    client = mlflow_store.connect(tmp_path / "mlflow.db")
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
    mlflow.set_tracking_uri(before)
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
