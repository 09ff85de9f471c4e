"""A registered version in MLflow: which one a URI means, and its files, unopened."""

import hashlib
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing of a bank's models leaves it
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.models_artifact_repo import REGISTERED_MODEL_META_FILE_NAME
from mlflow.utils.yaml_utils import read_yaml

from creditrisk.scoring.scorer import ModelRefused

#: Seconds in which a registry's server has to take a connection.
PATIENCE = 3.0


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
        return files_in(Path(download_artifacts(uri, dst_path=folder)))


def files_in(folder: Path) -> dict[str, bytes]:
    """The content of a downloaded model's files by name, without the one MLflow adds."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != REGISTERED_MODEL_META_FILE_NAME
    }


def version_in(folder: Path) -> ModelVersion | None:
    """The registered version that a folder was downloaded from.

    None if MLflow has not noted one, or if the registry is out of reach or does not have it.
    """
    try:
        noted = read_yaml(str(folder), REGISTERED_MODEL_META_FILE_NAME)  # type: ignore[no-untyped-call]
        if not _within_reach(mlflow.get_registry_uri()):
            return None
        number = str(noted["model_version"])
        return MlflowClient().get_model_version(str(noted["model_name"]), number)
    except (MlflowException, OSError, KeyError, TypeError, ValueError):
        return None


def _within_reach(registry: str) -> bool:
    """Whether a registry can be asked: MLflow waits for minutes, and makes files of its own."""
    place = urlsplit(registry)
    if place.scheme == "sqlite":
        return Path(registry.removeprefix("sqlite:///")).exists()
    if place.scheme in ("http", "https") and place.hostname:
        port = place.port or {"http": 80, "https": 443}[place.scheme]
        socket.create_connection((place.hostname, port), PATIENCE).close()
    return True


def known_of(model: str) -> tuple[dict[str, int], dict[int, dict[str, str]]]:
    """The aliases of a model, and the tags of its versions; nothing if it is not registered.

    Raises
    ------
    MlflowException, OSError, ValueError
        If the registry is out of reach or does not answer.
    """
    if not _within_reach(mlflow.get_registry_uri()):
        return {}, {}
    client = MlflowClient()
    found = client.search_model_versions(f"name='{model}'")
    if not found:
        return {}, {}
    aliases = client.get_registered_model(model).aliases
    versions = {int(version.version): dict(version.tags) for version in found}
    return {alias: int(version) for alias, version in aliases.items()}, versions


def check(version: ModelVersion, files: dict[str, bytes], source: str) -> str:
    """The hash of a version's files, which has to be the one that was registered.

    Raises
    ------
    ModelRefused
        If it is another, or none was registered.
    """
    found = sha256_of(files)
    if "artifact_sha256" not in version.tags:
        raise ModelRefused(
            f"{source} was registered without a sha256 of its files; register it again"
        )
    if found != version.tags["artifact_sha256"]:
        raise ModelRefused(
            f"the files of {source} are not those that were registered (sha256 differs)"
        )
    return found


def sha256_of(files: dict[str, bytes]) -> str:
    """One hash over the names and the content of a model's files."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
