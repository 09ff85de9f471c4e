"""What a training run leaves in MLflow: its data, its champion, and the models it had to beat."""

import re
from collections.abc import Mapping
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, RunTag

from creditrisk.data.contract import Json

#: The tags of a run that name what made it. MLflow would name the kernel's own program.
SOURCE = ("mlflow.source.name", "mlflow.source.type")


def source(notebook: str) -> dict[str, str]:
    """The tags that name a notebook as what made a run."""
    return dict(zip(SOURCE, (notebook, "NOTEBOOK"), strict=True))


def run_name(won: Mapping[str, Any]) -> str:
    """A name that tells one run from the next in a list: the champion and how well it ranks.

    Parameters
    ----------
    won
        The content of ``experiments/champion.json``.
    """
    return f"{won['model']}, ROC-AUC {won['roc_auc']:.3f}"


def track_training_data(X: pd.DataFrame, y: pd.Series, sha256: str) -> None:
    """Log the training data to the active run: a digest, a profile and its sha256."""
    rows = X.astype(float).assign(**{y.name: y.astype(float)})
    source = CodeDatasetSource({"made by": "02_preparation", "sha256": sha256})
    data = from_pandas(rows, source=source, targets=y.name, name="training set")
    mlflow.log_input(data, context="training")


def track_champion(won: dict[str, Any], measured: pd.Series) -> None:
    """Log to the active run the champion, how it was compared, and its cross-validated measures.

    Parameters
    ----------
    won
        The content of ``experiments/champion.json``.
    measured
        The champion's row of the results.
    """
    keys = ("model", "cutoff", "folds", "repeats", "seed", "search_trials")
    mlflow.log_params({f"champion_{key}": won[key] for key in keys})
    measures = measured.drop(["model", "error"])
    mlflow.log_metrics({str(name): float(value) for name, value in measures.items()})


def track_candidates(
    client: MlflowClient, parent: str, results: pd.DataFrame, settings: Json
) -> None:
    """Record each compared model as a run nested in the parent run, with the same source.

    Parameters that are not set are left out.

    Parameters
    ----------
    results
        One row a model, as read by :func:`creditrisk.modelling.cross_validation.read_results`.
    settings
        Model name -> its parameters by name.
    """
    found = client.get_run(parent)
    experiment, tags_of_all = found.info.experiment_id, {"mlflow.parentRunId": parent}
    tags_of_all |= {tag: found.data.tags[tag] for tag in SOURCE if tag in found.data.tags}
    for row in results.to_dict("records"):
        name = row.pop("model")
        tags = tags_of_all | {"mlflow.runName": name}
        run = client.create_run(experiment, tags=tags).info
        failed = row.pop("error")
        metrics = [
            Metric(key, float(value), run.start_time, 0)
            for key, value in row.items()
            if not pd.isna(value)
        ]
        # MLflow takes few signs in a name, and a model's parameters are named after columns
        named = {
            re.sub(r"[^\w\-. :]", "_", key): value
            for key, value in settings[name].items()
            if value is not None
        }
        params = [Param(key, str(value)[:500]) for key, value in named.items()]
        notes = [RunTag("error", failed)] if failed else []
        client.log_batch(run.run_id, metrics=metrics, params=params[:100], tags=notes)
        client.set_terminated(run.run_id, "FAILED" if failed else "FINISHED")
