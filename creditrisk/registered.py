"""What has become of a registered version, asked of MLflow's SQLite file without MLflow.

An unchanged rerun asks this every time, and to import MLflow takes ten times as long as the rest.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

# A deleted version keeps its row, but not its run.
VERSION = """
    select storage_location from model_versions
    where name = :model and version = :version and run_id = :run_id
"""
ALIASES = "select alias, version from registered_model_aliases where name = :model"


def what_is_gone(
    registration: dict, store: Path, points_to_it: str | None = None, exists: str | None = None
) -> str:
    """What is not as the chain has left it, in words; nothing if all is.

    Parameters
    ----------
    registration
        Name, version and run, as in ``experiments/registration.json``.
    store
        MLflow's SQLite file, used unless ``MLFLOW_TRACKING_URI`` names another store.
    points_to_it, exists
        An alias that must be this version's, and one that may be any version's.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store}"
    if uri.startswith("sqlite:///"):
        there, aliases = _in_sqlite(Path(uri.removeprefix("sqlite:///")), registration)
    else:
        from creditrisk import registry

        there, aliases = registry.standing(registry.connect(store), registration)
    if not there:
        return f"{registration['model']} version {registration['version']} is not in the registry"
    if exists and exists not in aliases:
        return f"the alias {exists} is gone"
    if points_to_it and aliases.get(points_to_it) != registration["version"]:
        return f"the alias {points_to_it} is gone or points elsewhere"
    return ""


def _in_sqlite(store: Path, registration: dict) -> tuple[bool, dict[str, int]]:
    """Whether a version and its files are there, and which version each alias points to."""
    asked = {name: registration[name] for name in ("model", "version", "run_id")}
    try:
        with closing(sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute(VERSION, asked).fetchone()
            aliases = dict(database.execute(ALIASES, asked))
    except sqlite3.Error:  # no such file, or not MLflow's
        return False, {}
    if not found:
        return False, aliases
    place = urlsplit(found[0] or "")
    elsewhere = place.scheme not in ("", "file")
    return elsewhere or Path(unquote(place.path), "MLmodel").exists(), aliases
