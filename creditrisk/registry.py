"""MLflow: what was tried, what was registered, and which version is in production."""

import getpass
import hashlib
import json
import logging
import os
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a bank's runs are nobody's business
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from sklearn.pipeline import Pipeline

from creditrisk import artifacts, mlflow_flavor
from creditrisk.contract import Contract
from creditrisk.registered import sqlite_file, why_not_a_store_of

MODEL_NAME = "Credit_Risk_Model"
EXPERIMENT = "Credit risk"
CHALLENGER, PRODUCTION, PREVIOUS = "challenger", "production", "previous"
ROLLBACK = "rollback: "  # what the reason of one begins with

#: What the saved model needs to run; pinned to what it was trained with.
REQUIREMENTS = ["scikit-learn", "pandas", "numpy", "scipy", "skops"]


def connect(store: str | Path) -> MlflowClient:
    """Open the tracking store and its registry, and make sure the experiment exists.

    Parameters
    ----------
    store
        SQLite file, used unless ``MLFLOW_TRACKING_URI`` names a server. Artifacts go to
        ``mlartifacts/`` beside it; a server keeps them where it is told to.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # says only that environments made by uv hold no pip
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    remote = os.environ.get("MLFLOW_TRACKING_URI")
    path = Path(store).resolve()
    mlflow.set_tracking_uri(remote or f"sqlite:///{path.as_posix()}")
    artifacts = path.parent / "mlartifacts"
    with nullcontext() if remote else _alone(artifacts):
        client = MlflowClient()
        client.search_registered_models(max_results=1)
        if client.get_experiment_by_name(EXPERIMENT) is None:
            place = None if remote else artifacts.as_uri()
            client.create_experiment(EXPERIMENT, artifact_location=place)
        mlflow.set_experiment(EXPERIMENT)
    return client


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others away: MLflow fails if two processes make the tables of one file at once."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system drops it with the process
        yield


def track_training_data(X: pd.DataFrame, y: pd.Series, sha256: str) -> None:
    """Note in the active run which rows the model learned from: a digest, a profile, the hash."""
    rows = X.astype(float).assign(**{y.name: y.astype(float)})
    source = CodeDatasetSource({"made by": "02_preparation", "sha256": sha256})
    data = mlflow.data.from_pandas(rows, source=source, targets=y.name, name="training set")
    mlflow.log_input(data, context="training")


def track_candidates(
    client: MlflowClient, parent: str, results: pd.DataFrame, settings: dict
) -> None:
    """Record each compared model as a run nested in the parent run.

    Parameters
    ----------
    results
        One row a model, as read by :func:`creditrisk.evaluation.read_results`.
    settings
        Model name -> its parameters by name.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    for row in results.to_dict("records"):
        name = row.pop("model")
        tags = {"mlflow.parentRunId": parent, "mlflow.runName": name}
        run = client.create_run(experiment, tags=tags).info
        failed = row.pop("error")
        metrics = [
            Metric(key, float(value), run.start_time, 0)
            for key, value in row.items()
            if not pd.isna(value)
        ]
        # MLflow takes few signs in a name, and a model's parameters are named after columns
        named = {re.sub(r"[^\w\-. :]", "_", key): value for key, value in settings[name].items()}
        params = [Param(key, str(value)[:500]) for key, value in named.items()]
        notes = [RunTag("error", failed)] if failed else []
        client.log_batch(run.run_id, metrics=metrics, params=params[:100], tags=notes)
        client.set_terminated(run.run_id, "FAILED" if failed else "FINISHED")


def register(
    client: MlflowClient,
    model: Pipeline,
    contract: Contract,
    example: pd.DataFrame,
    description: str,
    tags: dict[str, str],
    reference: dict | None = None,
) -> ModelVersion:
    """Log the fitted model to the active run and register it as a new challenger version.

    Parameters
    ----------
    model
        Raw applications in, decisions out; saved with skops, which runs no code on loading.
    example
        A few raw applications, stored as the model's input example.
    reference
        The application that reasons compare with, see :func:`creditrisk.explain.reference`.

    Raises
    ------
    MlflowException
        If the store cannot be written.
    """
    logged = Model.log(
        artifact_path=None,
        name="model",
        flavor=mlflow_flavor,
        model=model,
        contract=contract,
        libraries=libraries(),
        input_example=example,
        reference=reference,
        validate_serving_input=False,  # the whole training set is asked next, not five examples
    )
    files = artifacts.files_of(logged.model_uri)
    tags = {**tags, "artifact_sha256": artifacts.sha256_of(files)}
    if not client.search_registered_models(f"name='{MODEL_NAME}'"):
        client.create_registered_model(
            MODEL_NAME,
            description=f"Probability that an applicant is a good risk. {contract.title}.",
        )
    run = mlflow.active_run().info.run_id
    version = client.create_model_version(
        MODEL_NAME,
        logged.model_uri,
        run_id=run,
        tags=tags,
        description=description,
        model_id=logged.model_id,
    )
    client.set_registered_model_alias(MODEL_NAME, CHALLENGER, version.version)
    return version


def libraries() -> dict[str, str]:
    """The versions of the packages that a saved model needs to run."""
    return {package: installed(package) for package in REQUIREMENTS}


def current(client: MlflowClient, alias: str) -> ModelVersion | None:
    """The version that an alias points to, None if there is none yet."""
    try:
        return client.get_model_version_by_alias(MODEL_NAME, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def standing(client: MlflowClient, registration: dict) -> tuple[bool, dict[str, int]]:
    """Whether a version is registered for its run, and which version each alias points to."""
    try:
        found = client.get_model_version(registration["model"], str(registration["version"]))
        aliases = client.get_registered_model(registration["model"]).aliases
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return False, {}
        raise
    return found.run_id == registration["run_id"], {k: int(v) for k, v in aliases.items()}


def close_runs(client: MlflowClient, chain_runs: list[str]) -> None:
    """End what killed runs of the chain have left open: their MLflow runs and nested ones."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    places = [experiment.experiment_id] if experiment else []
    for chain_run in chain_runs:
        left = client.search_runs(places, f"tags.chain_run = '{chain_run}'") if places else []
        for run in list(left):
            left += client.search_runs(places, f"tags.mlflow.parentRunId = '{run.info.run_id}'")
        for run in left:
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, "KILLED")


def load(version: str | int) -> Pipeline:
    """The model of a registered version, as scikit-learn pipeline."""
    return mlflow.sklearn.load_model(f"models:/{MODEL_NAME}/{version}")


class NotPromoted(Exception):
    """Why a version was not put into production, in one sentence."""


def open_existing(store: str | Path) -> MlflowClient:
    """Open a store that must be there already, and hold the model.

    Raises
    ------
    NotPromoted
        If it is not.
    """
    file = sqlite_file(store)
    wrong = why_not_a_store_of(MODEL_NAME, file) if file else ""
    if wrong:
        raise NotPromoted(f"{wrong}; run the chain first, or give --store")
    client = connect(store)
    if not client.search_registered_models(f"name='{MODEL_NAME}'"):
        raise NotPromoted(f"no {MODEL_NAME} is registered in that store; run the chain first")
    return client


def verify(version: ModelVersion) -> None:
    """Make sure that a version's files are there and are those that were registered.

    Raises
    ------
    NotPromoted
        If they are not.
    """
    name = f"{version.name} version {version.version}"
    try:
        files = artifacts.files_of(f"models:/{version.name}/{version.version}")
    except (MlflowException, OSError) as error:
        reason = getattr(error, "message", None) or error.strerror or type(error).__name__
        raise NotPromoted(f"the files of {name} cannot be fetched ({reason})") from error
    if artifacts.sha256_of(files) != version.tags.get("artifact_sha256"):
        raise NotPromoted(
            f"the files of {name} are not those that were registered (sha256 differs)"
        )


def promote(
    client: MlflowClient,
    number: str | int,
    reason: str,
    log: str | Path | None = None,
    figures: dict[str, float] | None = None,
) -> dict:
    """Put a version into production; the one that was there gets the alias ``previous``.

    Who did it, when, from and to which version, why, and on which figures is kept as a tag of
    the version, and as a line of a file if one is given. Promoting what is in production already
    changes nothing, or completes the promotion that put it there if that was cut short.

    Parameters
    ----------
    log
        A file of JSON lines, appended to.

    Returns
    -------
    dict
        What was written down; empty if the version was in production.

    Raises
    ------
    NotPromoted
        If there is no such version, its files are missing or changed, or the log cannot be
        opened.
    OSError
        If the log could be opened but not written, on a full disk; the version is in production
        then, and a second try writes the line.
    """
    try:
        version = client.get_model_version(MODEL_NAME, str(number))
    except MlflowException as error:
        raise NotPromoted(f"{MODEL_NAME} has no version {number}") from error
    before = current(client, PRODUCTION)
    begun = _cut_short(client)
    if before is not None and int(before.version) == int(version.version):
        return _carry_out(client, begun, log) if begun else {}
    verify(version)
    if begun:
        _carry_out(client, begun, log)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": _who(),
        "model": MODEL_NAME,
        "from": int(before.version) if before else None,
        "to": int(version.version),
        "reason": reason,
        "figures": figures or {},
        "artifact_sha256": version.tags["artifact_sha256"],
    }
    return _carry_out(client, entry, log)


def _carry_out(client: MlflowClient, entry: dict, log: str | Path | None) -> dict:
    """Do what a record says, each step so that it may be done twice, and return the record."""
    entry = {name: value for name, value in entry.items() if name != "pending"}
    number = str(entry["to"])
    tag = f"promotion.{datetime.fromisoformat(entry['time']):%Y%m%dT%H%M%S%f}"
    line = json.dumps(entry, ensure_ascii=False)
    if log is not None:
        _try_to_open(Path(log))
    # First what is meant to be: a version in production that nobody put there would be worse than
    # a record of a promotion that was cut short. That it was carried out is written last.
    meant = json.dumps({**entry, "pending": True}, ensure_ascii=False)
    client.set_model_version_tag(MODEL_NAME, number, tag, meant)
    client.set_registered_model_alias(MODEL_NAME, PRODUCTION, number)
    if entry["from"] is not None:
        client.set_registered_model_alias(MODEL_NAME, PREVIOUS, str(entry["from"]))
    if log is not None:
        _append(Path(log), line)
    client.set_model_version_tag(MODEL_NAME, number, tag, line)
    return entry


def _cut_short(client: MlflowClient) -> dict:
    """The record of the last promotion if it reached production but was not completed."""
    last, now = (history(client) or [{}])[-1], current(client, PRODUCTION)
    reached = now is not None and last.get("to") == int(now.version)
    return last if reached and last.get("pending") else {}


def roll_back(client: MlflowClient, reason: str, log: str | Path | None = None) -> dict:
    """Put the version that was in production before back there; see :func:`promote`.

    After a rollback that was cut short, this completes it and goes no further back.

    Raises
    ------
    NotPromoted
        If there is none, or as in :func:`promote`.
    """
    begun = _cut_short(client)
    if begun:
        done = _carry_out(client, begun, log)
        if done["reason"].startswith(ROLLBACK):
            return done
    before, now = current(client, PREVIOUS), current(client, PRODUCTION)
    if before is None:
        raise NotPromoted(f"no version of {MODEL_NAME} has the alias {PREVIOUS}")
    if now is not None and now.version == before.version:
        raise NotPromoted(
            f"both {PRODUCTION} and {PREVIOUS} point to version {now.version}; promote by number"
        )
    return promote(client, before.version, ROLLBACK + reason, log)


def history(client: MlflowClient) -> list[dict]:
    """All promotions on record in the registry, oldest first; ``pending`` if one was cut short."""
    versions = client.search_model_versions(f"name='{MODEL_NAME}'")
    lines = [
        text
        for version in versions
        for tag, text in version.tags.items()
        if tag.startswith("promotion.")
    ]
    return sorted(map(json.loads, lines), key=lambda entry: entry["time"])


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return "unknown"


def _try_to_open(log: Path) -> None:
    try:
        if log.exists() and not log.is_file():
            raise NotPromoted(f"{log} is not a file that a line can be added to")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.open("ab+").close()
    except OSError as error:
        raise NotPromoted(f"{log} cannot be written ({error.strerror})") from error


def _append(log: Path, line: str) -> None:
    """Add a line unless it is there; what a full disk cut off before stays a line of its own."""
    text = line.encode() + b"\n"
    with log.open("ab+") as file:
        file.seek(0)
        content = file.read()
        if text not in content:
            file.write(text if content[-1:] in (b"", b"\n") else b"\n" + text)
            file.flush()
            os.fsync(file.fileno())


def record_validation(
    client: MlflowClient,
    registered: dict,
    figures: dict[str, float],
    verdict: str,
    files: list[str],
) -> None:
    """Add what was found on the test set to a version and to the run that trained it.

    Parameters
    ----------
    registered
        As in ``experiments/registration.json``.
    figures
        Those that are numbers become metrics of the run.
    files
        The model card, kept with the run's artifacts.
    """
    run = registered["run_id"]
    now = client.get_run(run).info.end_time or 0
    metrics = [
        Metric(f"test_{name}", float(value), now, 0)
        for name, value in figures.items()
        if isinstance(value, int | float)
    ]
    client.log_batch(run, metrics=metrics, tags=[RunTag("validation", verdict)])
    for file in files:
        client.log_artifact(run, str(file), "card")
    card = f"runs:/{run}/card/{Path(files[0]).name}"
    for tag, value in (("gate", verdict), ("model_card", card)):
        client.set_model_version_tag(MODEL_NAME, str(registered["version"]), tag, value)


def attach_reports(client: MlflowClient, run: str, reports: list[Path]) -> None:
    """Store rendered reports as artifacts of a run, under ``reports/``."""
    for report in reports:
        client.log_artifact(run, str(report), "reports")


def save(thing: object, path: str | Path) -> str:
    """Pickle to a file and return its sha256; a full disk is an error, not a short file."""
    content = pickle.dumps(thing)
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(content).hexdigest()
