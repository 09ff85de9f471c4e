"""A model's manifest: sealed with its own sha256, signed if there is a key, checked when read.

The seal shows a manifest that was damaged or edited. Whoever may write the file can seal it anew;
that is what the signature is for, whose key only training and the servers have.
"""

import hashlib
import hmac
import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import sklearn

from creditrisk.data.contract import Contract, ContractError, Json
from creditrisk.data.descriptor import parse_contract
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.sqlite_store import reading, sqlite_file

#: The environment variable with the key; where it is set, an unsigned manifest is refused.
KEY = "CREDITRISK_MANIFEST_KEY"
SHORTEST_KEY = 16  # characters

SEAL, SIGNATURE = "manifest_sha256", "manifest_hmac"

#: What to do about a model whose files name modules of before they moved, or have no seal.
EARLIER_LAYOUT = (
    "by an earlier layout of this project; run the chain again (python run_all.py), "
    "which registers it anew"
)

TAGS = """
    select key, value from model_version_tags
    where name = :model and version = :version
"""


def sealed(manifest: Json) -> Json:
    """The manifest with its own sha256, and signed if ``CREDITRISK_MANIFEST_KEY`` is set.

    The signature is an HMAC-SHA256 over all fields but these two, as JSON with sorted keys.

    Raises
    ------
    ModelRefused
        If the key is too short to be one.
    """
    content = {name: value for name, value in manifest.items() if name not in (SEAL, SIGNATURE)}
    key = _key()
    if key is not None:
        content[SIGNATURE] = _signature(key, content)
    return content | {SEAL: hashlib.sha256(_canonical(content)).hexdigest()}


def read_manifest(content: bytes, path: str) -> tuple[Json, Contract]:
    """A model's manifest and its contract, from the content of its file.

    Parameters
    ----------
    path
        What an error calls the file.

    Raises
    ------
    ModelRefused
        If it is damaged, edited, incomplete, not signed as it has to be, or of another version of
        scikit-learn.
    """
    try:
        manifest = json.loads(content)
        if not isinstance(manifest, dict):
            raise TypeError("it is no object")
        if SEAL not in manifest:
            raise ModelRefused(f"{path} has no sha256 of its own: it was made {EARLIER_LAYOUT}")
        check_seal(manifest, path)
        needed = manifest["libraries"]["scikit-learn"]
        contract = parse_contract(manifest["contract"], f"the contract in {path}")
        made_with = needed.split(".")[:2]
        if not isinstance(manifest.get("reference"), dict | None):  # none if it approves nobody
            raise TypeError("the reference is no application")
    except ContractError as error:
        reason = "; ".join(error.problems)
        raise ModelRefused(f"{path} is no manifest of a model ({reason})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else "it cannot be understood"
        raise ModelRefused(f"{path} is no manifest of a model ({reason})") from error
    if made_with != sklearn.__version__.split(".")[:2]:
        raise ModelRefused(
            f"the model was made with scikit-learn {needed}, installed is {sklearn.__version__}"
        )
    return manifest, contract


def compare(manifest: Json, folder: Path) -> None:
    """Compare a folder's manifest with its version in MLflow's SQLite store, if that is at hand.

    The store is the one that ``MLFLOW_REGISTRY_URI`` or ``MLFLOW_TRACKING_URI`` names, else
    ``mlflow.db`` beside the folder of models. Nothing is compared if there is none, if it is of
    another kind, or if it does not have the version. It is read without MLflow, whose import takes
    seconds.

    Raises
    ------
    ModelRefused
        If the registry has other hashes for that version.
    """
    named = os.environ.get("MLFLOW_REGISTRY_URI") or os.environ.get("MLFLOW_TRACKING_URI")
    store = sqlite_file(named, store_beside(folder))
    if store is None:
        return
    asked = {"model": str(manifest.get("model")), "version": str(manifest.get("version"))}
    for key, registered in _tags(store, asked).items():
        if key.endswith("_sha256") and manifest.get(key, registered) != registered:
            raise ModelRefused(
                f"{folder} does not hold version {asked['version']} of {asked['model']} as it was "
                f"registered in {store} ({key} differs); run the chain again, or serve the "
                f"registry's with --models models:/{asked['model']}/{asked['version']}"
            )


def store_beside(folder: Path) -> Path:
    """MLflow's SQLite file beside a folder of models, or beside ``models/`` if it is in that."""
    above = folder.resolve().parent
    store = above / "mlflow.db"
    if above.name == "models" and not store.exists():
        return above.parent / "mlflow.db"
    return store


def check_files(manifest: Json, files: Mapping[str, bytes], path: str) -> None:
    """Compare files with the hashes that a registered model's manifest lists.

    Raises
    ------
    ModelRefused
        If a listed file is missing or differs.
    """
    listed = manifest.get("files")
    if not isinstance(listed, dict) or not {"MLmodel", "model.skops"} <= set(listed):
        raise ModelRefused(
            f"manifest.json of {path} lists no sha256 of its files; register it again"
        )
    for name, sha256 in listed.items():
        if name not in files:
            raise ModelRefused(f"{path} has no {name}, which its manifest.json lists")
        if hashlib.sha256(files[name]).hexdigest() != sha256:
            raise ModelRefused(
                f"{name} of {path} is not the file that manifest.json describes (sha256 differs)"
            )


def check_seal(manifest: Json, path: str) -> None:
    """Check that a sealed manifest is as it was written, and signed if there is a key.

    Raises
    ------
    ModelRefused
        If it was changed, or is not signed as it has to be.
    """
    content = {name: value for name, value in manifest.items() if name != SEAL}
    if hashlib.sha256(_canonical(content)).hexdigest() != manifest[SEAL]:
        raise ModelRefused(
            f"{path} was changed after it was written (its own sha256 differs); take the files "
            "from where they were made, or run the chain again"
        )
    key = _key()
    if key is None:
        return
    signature = content.pop(SIGNATURE, None)
    if signature is None:
        raise ModelRefused(
            f"{path} is not signed, and {KEY} is set: serve a model that was registered with the "
            "key set, or unset it"
        )
    if not hmac.compare_digest(_signature(key, content), str(signature)):
        raise ModelRefused(f"{path} is signed with another key than {KEY} holds")


def _key() -> bytes | None:
    key = os.environ.get(KEY)
    if key is None:
        return None
    if len(key) < SHORTEST_KEY:
        raise ModelRefused(f"{KEY} is set but has fewer than {SHORTEST_KEY} characters")
    return key.encode("utf-8", "surrogateescape")


def _signature(key: bytes, content: Json) -> str:
    return hmac.new(key, _canonical(content), "sha256").hexdigest()


def _canonical(content: Json) -> bytes:
    """One form of the same content, however it was indented or ordered."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _tags(store: Path, asked: dict[str, str]) -> dict[str, str]:
    """The tags of a registered version; none if there is no such store or version."""
    try:
        with reading(store) as database:
            return dict(database.execute(TAGS, asked))
    except sqlite3.Error:  # no such file, or not MLflow's
        return {}
