"""MLflow: the store in use, and registered versions."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version as installed
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing of a bank's runs leaves it
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.examples import applications
from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import Level
from creditrisk.registry import mlflow_flavor
from creditrisk.scoring.sources import mlflow_files, production
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.sqlite_store import sqlite_file

EXPERIMENT = "Credit risk"
CHALLENGER, PRODUCTION, PREVIOUS = "challenger", production.PRODUCTION, "previous"

#: What the saved model needs to run; pinned to what it was trained with.
REQUIREMENTS = ["scikit-learn", "pandas", "numpy", "scipy", "skops"]


def experiment_of(contract: Contract) -> str:
    """The MLflow experiment for the runs of a data set, whose figures only compare with theirs."""
    own = contract.model_name not in ("", production.MODEL_NAME)
    return f"{EXPERIMENT}: {contract.model_name}" if own else EXPERIMENT


def connect(store: str | Path, experiment: str = EXPERIMENT) -> MlflowClient:
    """Open the tracking store and its registry, and make sure the experiment exists.

    Parameters
    ----------
    store
        SQLite file, used unless ``MLFLOW_TRACKING_URI`` names another store. Artifacts go to
        ``mlartifacts/`` beside the file in use; where a server stores them is its own setting.
    experiment
        Where runs that begin from now on are recorded.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # it only warns that environments made by uv have no pip
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
    path = Path(store).resolve()
    named = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{path.as_posix()}"
    mlflow.set_tracking_uri(named)
    on_server = named.startswith(("http://", "https://"))
    file = sqlite_file(named, path)
    with _locked(file) if file else nullcontext():
        client = MlflowClient()
        client.search_registered_models(max_results=1)
        if not on_server and client.get_experiment_by_name(experiment) is None:
            artifacts = (file or path).resolve().parent / "mlartifacts"
            client.create_experiment(experiment, artifact_location=artifacts.as_uri())
        mlflow.set_experiment(experiment)
    return client


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Hold a lock: MLflow fails if two processes create the tables of one file at once."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    with open(store.with_name(f".{store.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system drops it with the process
        yield


def register(
    client: MlflowClient,
    model: Pipeline,
    contract: Contract,
    example: pd.DataFrame,
    description: str,
    tags: dict[str, str],
    reference: dict[str, Level | None] | None = None,
    ranges: dict[str, list[float]] | None = None,
) -> ModelVersion:
    """Log the fitted model to the active run and register it as a new challenger version.

    It is registered under the name that its contract has for models.

    Parameters
    ----------
    model
        Raw applications in, decisions out; saved with skops, which runs no code on loading.
    example
        A few raw applications, stored as the model's input example as applicants state them.
    reference
        The application that reasons compare with, see :func:`creditrisk.scoring.reasons.reference`.
    ranges
        Of the quantities in training, see :func:`creditrisk.data.quantities.ranges`.

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
        input_example=_allowed_example(example, contract),
        reference=reference,
        ranges=ranges,
        validate_serving_input=False,  # the notebook checks it on the whole training set
    )
    files = mlflow_files.files_of(logged.model_uri)
    tags = {**tags, "artifact_sha256": mlflow_files.sha256_of(files)}
    name = contract.model_name
    try:
        client.create_registered_model(
            name,
            description=f"Probability that an applicant is a good risk. {contract.title}.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    run = mlflow.active_run()
    assert run is not None, "a model is registered within a run"
    version = client.create_model_version(
        name,
        logged.model_uri,
        run_id=run.info.run_id,
        tags=tags,
        description=description,
        model_id=logged.model_id,
    )
    client.set_registered_model_alias(name, CHALLENGER, version.version)
    return version


def _allowed_example(example: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The applications of an example as applicants may send them, made-up ones if none are."""
    stated = as_stated(example, contract)
    given = [field.name for field in contract.fields if not field.takes_blank]
    stated = stated[stated[given].notna().all(axis=1)]
    return stated if len(stated) else pd.DataFrame(applications(contract))


def libraries() -> dict[str, str]:
    """The versions of the packages that a saved model needs to run."""
    return {package: installed(package) for package in REQUIREMENTS}


def current(client: MlflowClient, model: str, alias: str) -> ModelVersion | None:
    """The version of a model that an alias points to, None if the alias does not exist."""
    try:
        return client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def standing(client: MlflowClient, registration: Json) -> tuple[bool, dict[str, int]]:
    """Whether a version is registered for its run, and which version each alias points to."""
    try:
        found = client.get_model_version(registration["model"], str(registration["version"]))
        aliases = client.get_registered_model(registration["model"]).aliases
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return False, {}
        raise
    return found.run_id == registration["run_id"], {k: int(v) for k, v in aliases.items()}


def chain_runs_in_use(client: MlflowClient, model: str) -> list[str]:
    """The runs of the chain that a model's versions with an alias come from."""
    aliases = client.get_registered_model(model).aliases
    versions = [client.get_model_version(model, str(each)) for each in set(aliases.values())]
    runs = [client.get_run(version.run_id) for version in versions if version.run_id]
    return [run.data.tags["chain_run"] for run in runs if "chain_run" in run.data.tags]


def close_runs(client: MlflowClient, chain_runs: list[str]) -> None:
    """End the MLflow runs, nested ones too, that killed runs of the chain left open."""
    found = client.search_experiments(filter_string=f"name LIKE '{EXPERIMENT}%'")
    experiments = [experiment.experiment_id for experiment in found]
    for chain_run in chain_runs:
        left = (
            client.search_runs(experiments, f"tags.chain_run = '{chain_run}'")
            if experiments
            else []
        )
        for run in list(left):
            left += client.search_runs(
                experiments, f"tags.mlflow.parentRunId = '{run.info.run_id}'"
            )
        for run in left:
            if run.info.status == "RUNNING":
                client.set_terminated(run.info.run_id, "KILLED")


def load(model: str, version: str | int) -> Pipeline:
    """The model of a registered version, as scikit-learn pipeline; verified before it is opened.

    Raises
    ------
    ModelRefused
        As :func:`creditrisk.scoring.sources.loading.load_scorer`.
    """
    return load_scorer(f"models:/{model}/{version}").pipeline


def attach_reports(client: MlflowClient, run: str, reports: list[Path]) -> None:
    """Store rendered reports as artifacts of a run, under ``reports/``."""
    for report in reports:
        client.log_artifact(run, str(report), "reports")
