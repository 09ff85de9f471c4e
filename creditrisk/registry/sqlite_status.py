"""The state of a registered version, read from MLflow's SQLite file without MLflow.

Every unchanged rerun reads it, and to import MLflow takes ten times as long as the rest.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from creditrisk.scoring.sources.sqlite_store import SCHEME, reading, sqlite_file

# A deleted version keeps its row, but not its run.
VERSION = """
    select storage_location from model_versions
    where name = :model and version = :version and run_id = :run_id
"""
MODEL = "select 1 from registered_models where name = :model"
ALIASES = "select alias, version from registered_model_aliases where name = :model"
CHAIN_RUNS = """
    select distinct tags.value from registered_model_aliases as aliases
    join model_versions as versions using (name, version)
    join tags on tags.run_uuid = versions.run_id and tags.key = 'chain_run'
    where name = :model
"""


def what_is_gone(
    registration: dict[str, Any],
    store: Path,
    points_to_it: str | None = None,
    exists: str | None = None,
) -> str:
    """What has changed since the chain registered a version, as a sentence; empty if nothing.

    Parameters
    ----------
    registration
        Name, version and run, as in ``experiments/registration.json``.
    store
        MLflow's SQLite file, used unless ``MLFLOW_TRACKING_URI`` names another store.
    points_to_it, exists
        An alias that must be this version's, and one that may be any version's.
    """
    file = named_file(store)
    if file:
        registered, aliases = _in_sqlite(file, registration)
    else:
        from creditrisk.registry import mlflow_store

        registered, aliases = mlflow_store.standing(mlflow_store.connect(store), registration)
    if not registered:
        return f"{registration['model']} version {registration['version']} is not in the registry"
    if exists and exists not in aliases:
        return f"the alias {exists} is gone"
    if points_to_it and aliases.get(points_to_it) != registration["version"]:
        return f"the alias {points_to_it} is gone or points elsewhere"
    return ""


def chain_runs_in_use(model: str, store: Path) -> list[str]:
    """The runs of the chain that the versions with an alias, such as production, come from.

    Parameters
    ----------
    store
        MLflow's SQLite file, used unless ``MLFLOW_TRACKING_URI`` names another store.

    Raises
    ------
    ValueError, MlflowException
        If the store cannot be read, or has no such model.
    """
    if file := named_file(store):
        if why := why_not_a_store_of(model, file):
            raise ValueError(why)
        with reading(file) as database:
            return [run for (run,) in database.execute(CHAIN_RUNS, {"model": model})]
    from creditrisk.registry import mlflow_store

    return mlflow_store.chain_runs_in_use(mlflow_store.connect(store), model)


def why_not_a_store_of(model: str, file: Path) -> str:
    """Why a file is no MLflow store with that model, as a sentence; empty if it is one."""
    if not file.exists():
        return f"{file} does not exist"
    try:
        with reading(file) as database:
            found = database.execute(MODEL, {"model": model}).fetchone()
    except sqlite3.Error as error:
        return f"{file} cannot be read as a store of MLflow's ({error})"
    return "" if found else f"no {model} is registered in {file}"


def make_paths_absolute() -> None:
    """Let MLflow's environment variables name the same SQLite files for notebooks as for us.

    A relative path is that of the folder in which a command is given; notebooks run in another.
    """
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        named = os.environ.get(variable)
        if named and (file := sqlite_file(named, "")):
            os.environ[variable] = f"{SCHEME}{file.resolve().as_posix()}"


def named_file(store: str | Path) -> Path | None:
    """The SQLite file of MLflow's store, None if the store is not SQLite."""
    return sqlite_file(os.environ.get("MLFLOW_TRACKING_URI"), store)


def _in_sqlite(store: Path, registration: dict[str, Any]) -> tuple[bool, dict[str, int]]:
    """Whether a version and its files exist, and which version each alias points to."""
    asked = {name: registration[name] for name in ("model", "version", "run_id")}
    try:
        with reading(store) as database:
            found = database.execute(VERSION, asked).fetchone()
            aliases = dict(database.execute(ALIASES, asked))
    except sqlite3.Error:  # no such file, or not MLflow's
        return False, {}
    if not found:
        return False, aliases
    location = urlsplit(found[0] or "")
    remote = location.scheme not in ("", "file")
    return remote or Path(unquote(location.path), "MLmodel").exists(), aliases
