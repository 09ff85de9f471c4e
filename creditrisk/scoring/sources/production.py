"""Which model is used where none is named: the one in production; and how any model stands there.

A folder holds what the chain has registered last, which the gate may have stopped. MLflow's SQLite
file is read without MLflow, whose import takes seconds.
"""

import json
import os
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any

from creditrisk.data.contract import Json
from creditrisk.scoring.scorer import ModelRefused, Scorer
from creditrisk.scoring.sources.loading import NO_MLFLOW, load_scorer
from creditrisk.scoring.sources.model_manifest import store_beside
from creditrisk.scoring.sources.sqlite_store import reading, sqlite_file

MODEL_NAME = "Credit_Risk_Model"  # of the default data set
PRODUCTION = "production"

#: The tag of a version that holds the gate's result.
RESULT = "gate_result"
STOPPED, WAITS = "stopped", "waits for approval"

#: The folder that a run of the chain fills.
FOLDER = "models"
RUN_FIRST = "run the chain first: uv run run_all.py"

TABLES = "select name from sqlite_master where name = 'registered_model_aliases'"
ALIASES = "select alias, version from registered_model_aliases where name = :model"
VERSIONS = """
    select version from model_versions
    where name = :model and current_stage <> 'Deleted_Internal'
"""
TAGS = """
    select version, key, value from model_version_tags
    where name = :model and key in ('gate_result', 'model_sha256')
"""


@dataclass(frozen=True)
class Home:
    """Where the models of one data set are: in the registry, and the last one as files."""

    model: str = MODEL_NAME
    folder: str = FOLDER
    run_first: str = RUN_FIRST  # what to do if there is none


@dataclass(frozen=True)
class Registry:
    """What a registry knows of a model: its aliases, and the tags of its versions."""

    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, dict[str, str]] = field(default_factory=dict)

    @property
    def production(self) -> int | None:
        """The version in production."""
        return self.aliases.get(PRODUCTION)


@dataclass(frozen=True)
class InUse:
    """A model to use and how it stands in the registry.

    ``why`` is one or two sentences, for whoever sees what the model decides.
    """

    source: str  # as load_scorer takes it
    why: str
    in_production: bool | None = None  # None if there is no registry that knows
    by_default: bool = False
    mark: object = None  # another one where by default another model is to be used

    @property
    def notice(self) -> str:
        """What has to be said aloud: that the model is not in production; else empty."""
        return self.why if self.in_production is False else ""

    def load(self) -> Scorer:
        """The model, verified.

        Raises
        ------
        ModelRefused
            As :func:`creditrisk.scoring.sources.loading.load_scorer`.
        """
        scorer = load_scorer(self.source)
        named = self.by_default and self.in_production
        return replace(scorer, alias=PRODUCTION) if named else scorer


def in_use(asked: str | None = None, home: Home | None = None) -> InUse:
    """The model to use.

    Parameters
    ----------
    asked
        A folder or registry URI, which is used however it stands. None is the version in
        production, from the folder of models if that is the same; without a registry it is that
        folder's.
    home
        The data set whose model in production is meant; by default ``models/`` and its model.

    Raises
    ------
    ModelRefused
        If there is no model, nothing is in production, or the registry cannot be read.
    """
    if asked is None:
        return _by_default(home or Home())
    if asked.startswith("models:/"):
        return _registered(asked)
    folder = Path(asked)
    held = _held(folder)
    if held is None:
        raise ModelRefused(_no_model(folder, (home or Home()).run_first))
    try:
        registry = _registry(str(held.get("model")), store_beside(folder))
    except ModelRefused as error:
        return InUse(asked, f"Whether it is in production is not known: {error}.")
    return _standing(asked, held.get("version"), registry)


def _by_default(home: Home) -> InUse:
    folder = Path(home.folder)
    registry, held = _registry(home.model, store_beside(folder)), _held(folder)
    if registry is None:
        if held is None:
            raise ModelRefused(_no_model(folder, home.run_first))
        why = f"Version {held.get('version')} from {folder}/; no registry is beside it."
        return InUse(str(folder), why, by_default=True)
    version = registry.production
    if version is None:
        raise ModelRefused(_nothing_in_production(held, registry, home))
    mark = PRODUCTION, version
    known = registry.versions.get(version, {})
    if held is not None and _is_version(held, home.model, version, known):
        why = _approved(version, known.get(RESULT))
        return InUse(str(folder), why, True, by_default=True, mark=mark)
    why = f"{_approved(version, known.get(RESULT))} {_other(held, registry, folder)}"
    uri = f"models:/{home.model}/{version}"
    return InUse(uri, why, True, by_default=True, mark=mark)


def _registered(uri: str) -> InUse:
    name, _, named = uri.removeprefix("models:/").replace("/", "@", 1).partition("@")
    try:
        registry = _from_mlflow(name)
    except ModelRefused as error:
        return InUse(uri, f"Whether it is in production is not known: {error}.")
    version = int(named) if named.isdecimal() else registry.aliases.get(named)
    return _standing(uri, version, registry)


def _standing(source: str, version: Any, registry: Registry | None) -> InUse:
    """How a model that was named stands."""
    if registry is None:
        return InUse(source, f"Version {version} from {source}; no registry is beside it.")
    if version not in registry.versions:
        return InUse(source, f"Version {version} is not in the registry beside it.", False)
    result, now = registry.versions[version].get(RESULT), registry.production
    if version == now:
        return InUse(source, _approved(version, result), True)
    fault = f"{_faults(result)} and " if _faults(result) else ""
    instead = f"version {now} is" if now else "nothing is"
    why = f"Version {version} {fault}is not in production; {instead}."
    return InUse(source, why, False)


def _faults(result: str | None) -> str:
    """What the gate has against a version, as a verb; empty if nothing."""
    if result == STOPPED:
        return "did not pass the gate"
    if result == WAITS:
        return "waits for approval"
    return "" if result else "was never validated"


def _approved(version: int, result: str | None) -> str:
    """A version in production; it may be there by somebody's decision alone, or judged since."""
    against = {
        STOPPED: ", although it did not pass the gate when it was last validated",
        WAITS: ", although the gate had it wait for approval when it was last validated",
        None: ", although it was never validated",
    }
    return f"Version {version} is in production{against.get(result, '')}."


def _other(held: Json | None, registry: Registry, folder: Path) -> str:
    """What a folder holds that is not in production."""
    if held is None:
        return f"{folder}/ holds no model."
    if not held:
        return f"{folder}/manifest.json cannot be read."
    version = held.get("version")
    if version == registry.production:
        return f"{folder}/ holds another model of that number, which is not used."
    if version not in registry.versions:
        return f"{folder}/ holds version {version}, which the registry does not have."
    fault = _faults(registry.versions[version].get(RESULT)) or "is not in production"
    return f"{folder}/ holds version {version}, which {fault}."


def _nothing_in_production(held: Json | None, registry: Registry, home: Home) -> str:
    folder = Path(home.folder)
    if held is None:
        return f"nothing is in production and {folder}/ holds no model; {home.run_first}"
    return (
        f"nothing is in production. {_other(held, registry, folder)} Put a version there with "
        f"creditrisk promote, or name the model: --models {folder}"
    )


def _no_model(folder: Path, run_first: str) -> str:
    return f"{folder}/ holds no model (there is no {folder / 'manifest.json'}); {run_first}"


def _held(folder: Path) -> Json | None:
    """A folder's manifest, which is verified when the model is loaded; None if there is none."""
    try:
        found = json.loads((folder / "manifest.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}  # loading has the words for what is wrong
    if not isinstance(found, dict) or type(found.get("version")) not in (int, NoneType):
        return {}
    return found


def _is_version(held: Json, model: str, version: int, known: dict[str, str]) -> bool:
    """Whether a folder holds that very version, of which the registry has these tags."""
    sha256 = known.get("model_sha256")
    same = held.get("model") == model and held.get("version") == version
    return same and sha256 is not None and held.get("model_sha256") == sha256


def _registry(model: str, beside: Path) -> Registry | None:
    """The registry in use: MLflow's environment variables name it, or it is the file beside the
    folder.

    None if it does not have the model.
    """
    named = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI")
    store = sqlite_file(named, beside)
    if store and not store.exists():
        return None
    found = _from_sqlite(store, model) if store else _from_mlflow(model)
    return found if found.versions else None


def _from_sqlite(store: Path, model: str) -> Registry:
    asked = {"model": model}
    try:
        with reading(store) as database:
            if not database.execute(TABLES).fetchone():  # MLflow is about to make its tables
                return Registry()
            aliases = dict(database.execute(ALIASES, asked))
            versions: dict[int, dict[str, str]] = {
                int(version): {} for (version,) in database.execute(VERSIONS, asked)
            }
            for version, key, value in database.execute(TAGS, asked):
                versions.get(int(version), {})[key] = value
    except sqlite3.Error as error:
        raise ModelRefused(f"the registry {store} cannot be read ({error})") from error
    return Registry({alias: int(version) for alias, version in aliases.items()}, versions)


def _from_mlflow(model: str) -> Registry:
    try:
        from mlflow.exceptions import MlflowException  # takes seconds

        from creditrisk.scoring.sources import mlflow_files
    except ModuleNotFoundError as error:
        reason = NO_MLFLOW.format(error.name)
        raise ModelRefused(f"the registry does not answer ({reason})") from error
    try:
        return Registry(*mlflow_files.known_of(model))
    except (MlflowException, OSError, ValueError) as error:
        reason = getattr(error, "message", type(error).__name__)
        raise ModelRefused(f"the registry does not answer ({reason})") from error
