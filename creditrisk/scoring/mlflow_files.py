"""A registered version in MLflow: which one a URI means, and its files, unopened."""

import hashlib
import os
import tempfile
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing of a bank's models leaves it
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.models_artifact_repo import REGISTERED_MODEL_META_FILE_NAME


def version_of(uri: str) -> tuple[ModelVersion, str | None]:
    """The registered version that a URI means, and the alias if it names one.

    Parameters
    ----------
    uri
        ``models:/<name>@<alias>`` or ``models:/<name>/<version>``.

    Raises
    ------
    MlflowException
        If there is no such version.
    """
    client, wanted = MlflowClient(), uri.removeprefix("models:/")
    if "@" in wanted:
        name, alias = wanted.split("@", 1)
        return client.get_model_version_by_alias(name, alias), alias
    name, _, number = wanted.partition("/")
    return client.get_model_version(name, number), None


def files_of(uri: str) -> dict[str, bytes]:
    """The content of a logged model's files by name, without the one MLflow adds to a download.

    Raises
    ------
    MlflowException, OSError
        If they cannot be fetched.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(download_artifacts(uri, dst_path=folder))
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and path.name != REGISTERED_MODEL_META_FILE_NAME
        }


def sha256_of(files: dict[str, bytes]) -> str:
    """One hash over the names and the content of a model's files."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
