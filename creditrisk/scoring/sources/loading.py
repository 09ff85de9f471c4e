"""Saved models, verified before they are opened: from a folder or from the registry.

Only skops files are opened, with the types of this project's models: nothing in them is executed.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from creditrisk.data.contract import Contract, Json
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.scoring.scorer import ModelRefused, Scorer
from creditrisk.scoring.sources.model_files import HASHES, MODEL, open_skops, read
from creditrisk.scoring.sources.model_manifest import (
    EARLIER_LAYOUT,
    check_files,
    compare,
    read_manifest,
)

#: Why a registry cannot be read where MLflow is not installed; to be formatted with the package.
NO_MLFLOW = (
    "reading a registry needs the package {}, which is not installed: name the folder of a model "
    "(--models FOLDER), or install the whole project"
)

#: The line of a registered model's MLmodel that names the module MLflow loads it with.
LOADER = b"loader_module: creditrisk.registry.mlflow_flavor"


def load_scorer(source: str | Path = "models") -> Scorer:
    """Load the model of a folder or of the registry; nothing is opened before it is verified.

    Parameters
    ----------
    source
        A folder with ``manifest.json`` and the model that it describes, or
        ``models:/<name>@<alias>`` or ``models:/<name>/<version>`` of the MLflow registry in
        use.

    Raises
    ------
    ModelRefused
        If the model is missing, is not the one that its manifest or version describes, is not
        signed as ``CREDITRISK_MANIFEST_KEY`` asks, was made by an earlier layout of this project,
        or needs another version of scikit-learn.
    """
    if str(source).startswith("models:/"):
        return _from_registry(str(source))
    return _from_folder(Path(source))


def _from_folder(folder: Path) -> Scorer:
    path = folder / "manifest.json"
    manifest, contract = read_manifest(read(path), str(path))
    # The bytes that are hashed are those that are opened below: no change in between.
    content = {
        name: read(folder / name) for name in HASHES if name == MODEL or (folder / name).exists()
    }
    for name, found in content.items():
        if hashlib.sha256(found).hexdigest() != manifest.get(HASHES[name]):
            raise ModelRefused(
                f"{folder / name} is not the file that manifest.json describes (sha256 differs): "
                "it was changed, cut short, or comes from another run"
            )
    compare(manifest, folder)
    pipeline = open_skops(content[MODEL], folder / MODEL)
    name, sha256 = str(manifest.get("model", "")), str(manifest.get("model_sha256", ""))
    scorer = _scorer(pipeline, contract, manifest, str(folder), name, sha256)
    if scorer.cutoff != manifest.get("cutoff"):
        raise ModelRefused(f"the cut-off of the model in {folder} is not the one in manifest.json")
    return replace(scorer, version=manifest.get("version"))


def _from_registry(uri: str) -> Scorer:
    try:
        from mlflow.exceptions import MlflowException  # takes seconds; a folder needs none of it

        from creditrisk.scoring.sources import mlflow_files
    except ModuleNotFoundError as error:
        reason = NO_MLFLOW.format(error.name)
        raise ModelRefused(f"{uri} cannot be fetched ({reason})") from error
    try:
        version, alias = mlflow_files.version_of(uri)
        # By number: the alias may move while the files are being fetched.
        files = mlflow_files.files_of(f"models:/{version.name}/{version.version}")
    except (MlflowException, OSError) as error:
        reason = getattr(error, "message", type(error).__name__)
        raise ModelRefused(f"{uri} cannot be fetched ({reason})") from error
    found = mlflow_files.check(version, files, uri)
    scorer = scorer_of_artifact(files, uri)
    return replace(
        scorer,
        name=version.name,
        version=int(version.version),
        alias=alias,
        sha256=version.tags.get("model_sha256", found),
    )


def scorer_of_artifact(files: dict[str, bytes], source: str) -> Scorer:
    """The scorer of a model saved by ``registry.mlflow_flavor``, from its files' content.

    Raises
    ------
    ModelRefused
        As :func:`creditrisk.scoring.sources.loading.load_scorer`.
    """
    needed = {"manifest.json", "model.skops", "MLmodel"}
    if not needed <= set(files):
        missing = " and ".join(sorted(needed - set(files)))
        raise ModelRefused(f"{source} has no {missing}; register it again")
    if LOADER not in map(bytes.strip, files["MLmodel"].splitlines()):
        raise ModelRefused(f"{source} was registered {EARLIER_LAYOUT}")
    manifest, contract = read_manifest(files["manifest.json"], f"manifest.json of {source}")
    check_files(manifest, files, source)
    pipeline = open_skops(files["model.skops"], source)
    sha256 = hashlib.sha256(files["model.skops"]).hexdigest()
    return _scorer(pipeline, contract, manifest, source, "", sha256)


def _scorer(
    pipeline: Any, contract: Contract, manifest: Json, source: str, name: str, sha256: str
) -> Scorer:
    try:
        reference, ranges = manifest.get("reference"), manifest.get("training_ranges")
        return make_scorer(pipeline, contract, name, sha256, reference, ranges)
    except ModelRefused:
        raise
    except Exception as error:  # of parts that do not belong together
        raise ModelRefused(
            f"the model of {source} does not answer ({type(error).__name__})"
        ) from error
