"""Which applicants a registered version has learned from: hashes, stored with the run that made it.

A later version is compared with it only on applicants that neither has learned from.
"""

import json
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

#: Where a run has the list among its artifacts: the columns as JSON, then one hash a line.
FILE = "training/row_hashes.txt"

#: The version's tag that holds the sha256 of that file.
TAG = "training_rows_sha256"

#: Hexadecimal digits of a row's hash: with a million rows, two share one in 37 million files.
DIGITS = 16


def row_hashes(applications: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """A hash of each application, from the values of some columns.

    The outcome takes no part: applicants who are left out by it would leave a sample that the
    outcome has selected. Applicants who gave the same answers have the same hash, so who equals one
    that a model has learned from counts as learned from.
    """
    values = [_plain(applications[column]) for column in columns]
    return [
        sha256(json.dumps(row, ensure_ascii=False).encode()).hexdigest()[:DIGITS]
        for row in zip(*values, strict=True)
    ]


def track(applications: pd.DataFrame) -> dict[str, str]:
    """Log the hashes of the training rows to the active run; the tag for the version, by name."""
    columns = list(map(str, applications.columns))
    lines = [json.dumps(columns, ensure_ascii=False)]
    lines += sorted(set(row_hashes(applications, columns)))
    text = "\n".join(lines) + "\n"
    mlflow.log_text(text, FILE)
    return {TAG: sha256(text.encode()).hexdigest()}


def new_to_both(
    client: MlflowClient,
    holder: ModelVersion | None,
    applicants: pd.DataFrame,
    training: pd.DataFrame,
    trained_on: str,
) -> np.ndarray | str:
    """Which applicants neither a version nor its challenger has learned from.

    Parameters
    ----------
    holder
        The version; None if there is none.
    applicants
        Raw applications of the test set, shape (n, columns).
    training
        Those that the challenger has learned from.
    trained_on
        Hash of the challenger's training files. A version with the same has learned from the same
        rows, and all applicants are new to it.

    Returns
    -------
    ndarray of bool, shape (n,), or str
        The reason if it cannot be known.
    """
    if holder is None or holder.tags.get("training_sha256") == trained_on:
        return np.ones(len(applicants), dtype=bool)
    if TAG not in holder.tags:
        return "it was registered before versions had a list of their training rows"
    try:
        text = _fetch(client, str(holder.run_id))
    except (MlflowException, OSError) as error:
        return f"its list of training rows cannot be fetched ({getattr(error, 'message', error)})"
    if sha256(text).hexdigest() != holder.tags[TAG]:
        return "its list of training rows is not the one that was registered (sha256 differs)"
    first, *hashes = text.decode().splitlines()
    columns: list[str] = json.loads(first)
    absent = [column for column in columns if column not in applicants]
    if absent:
        return f"its training rows have a column that these applicants lack: {', '.join(absent)}"
    known = {*hashes, *row_hashes(training, columns)}
    return np.array([each not in known for each in row_hashes(applicants, columns)], dtype=bool)


def _fetch(client: MlflowClient, run: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run, FILE, folder)).read_bytes()


def _plain(values: pd.Series) -> list[Any]:
    """A column as JSON holds it; 5 and 5.0 are one value, and so are all ways of being missing."""
    return [
        None if missing else _whole(value)
        for value, missing in zip(values.tolist(), values.isna(), strict=True)
    ]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
