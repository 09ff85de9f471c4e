"""Saved models, verified before they are opened: from a folder or from the registry."""

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import sklearn

from creditrisk.data.contract import (
    Contract,
    ContractError,
    Json,
    parse_contract,
)
from creditrisk.data.encoding import matrix_columns
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.scoring.scorer import ModelRefused, Scorer

#: Types of scikit-learn, SciPy and NumPy in the candidates that skops opens only if named.
TRUSTED_TYPES = [
    "numpy.argmax",
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",  # its name from SciPy 1.18 on
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
]

#: What to do about a model whose file names modules of before they moved.
EARLIER_LAYOUT = (
    "by an earlier layout of this project; run the chain again (python run_all.py), "
    "which registers it anew"
)

#: The line of a registered model's MLmodel that names the module MLflow loads it with.
LOADER = b"loader_module: creditrisk.registry.mlflow_flavor"


def load_scorer(source: str | Path = "models") -> Scorer:
    """Load the model of a folder or of the registry; nothing is opened before it is verified.

    Parameters
    ----------
    source
        A folder with ``manifest.json`` and the two pickles it describes, or
        ``models:/<name>@<alias>`` or ``models:/<name>/<version>`` of the MLflow registry in
        use.

    Raises
    ------
    ModelRefused
        If the model is missing, is not the one that its manifest or version describes, was made
        by an earlier layout of this project, or needs another version of scikit-learn.
    """
    if str(source).startswith("models:/"):
        return _from_registry(str(source))
    return _from_folder(Path(source))


def _from_folder(folder: Path) -> Scorer:
    content = {}
    for name in ("manifest.json", "model_columns.pkl", "credit_risk_model.pkl"):
        try:
            content[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ModelRefused(f"{folder / name} cannot be read ({error.strerror})") from error
    manifest, contract = _manifest(content["manifest.json"], f"{folder}/manifest.json")
    hashes = {"model_columns.pkl": "model_columns_sha256", "credit_risk_model.pkl": "model_sha256"}
    for name, key in hashes.items():
        # The bytes that are hashed are those that are opened below: no change in between.
        if hashlib.sha256(content[name]).hexdigest() != manifest.get(key):
            raise ModelRefused(
                f"{folder / name} is not the file that manifest.json describes (sha256 differs): "
                "it was changed, cut short, or comes from another run"
            )
    columns = _opened(pickle.loads, content["model_columns.pkl"], folder / "model_columns.pkl")
    if columns != matrix_columns(contract):
        raise ModelRefused(f"the columns in {folder} are not those of the contract beside them")
    model = "credit_risk_model.pkl"
    pipeline = _opened(pickle.loads, content[model], folder / model)
    scorer = make_scorer(
        pipeline,
        contract,
        manifest.get("model", ""),
        manifest["model_sha256"],
        manifest.get("reference"),
    )
    if scorer.cutoff != manifest.get("cutoff"):
        raise ModelRefused(f"the cut-off of the model in {folder} is not the one in manifest.json")
    return replace(scorer, version=manifest.get("version"))


def _from_registry(uri: str) -> Scorer:
    from mlflow.exceptions import MlflowException  # takes seconds; a folder needs none of it

    from creditrisk.scoring import mlflow_files

    try:
        version, alias = mlflow_files.version_of(uri)
        # By number: the alias may move while the files are being fetched.
        files = mlflow_files.files_of(f"models:/{version.name}/{version.version}")
    except (MlflowException, OSError) as error:
        reason = getattr(error, "message", type(error).__name__)
        raise ModelRefused(f"{uri} cannot be fetched ({reason})") from error
    found = mlflow_files.sha256_of(files)
    if found != version.tags.get("artifact_sha256"):
        raise ModelRefused(
            f"the files of {uri} are not those that were registered (sha256 differs)"
            if "artifact_sha256" in version.tags
            else f"{uri} was registered without a sha256 of its files; register it again"
        )
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
        As :func:`creditrisk.scoring.loading.load_scorer`.
    """
    import skops.io

    if not {"manifest.json", "model.skops"} <= set(files):
        raise ModelRefused(f"{source} has no manifest.json and model.skops; register it again")
    if LOADER not in files.get("MLmodel", LOADER):
        raise ModelRefused(f"{source} was registered {EARLIER_LAYOUT}")
    manifest, contract = _manifest(files["manifest.json"], f"manifest.json of {source}")
    # The trusted types are those of this project. MLflow takes the list stored beside the model,
    # which can be changed along with the model.
    pipeline = _opened(
        lambda content: skops.io.loads(content, trusted=TRUSTED_TYPES), files["model.skops"], source
    )
    sha256 = hashlib.sha256(files["model.skops"]).hexdigest()
    return make_scorer(pipeline, contract, "", sha256, manifest.get("reference"))


def _manifest(content: bytes, path: str) -> tuple[Json, Contract]:
    """A model's manifest and its contract; refused if incomplete or of another scikit-learn."""
    try:
        manifest = json.loads(content)
        needed = manifest["libraries"]["scikit-learn"]
        contract = parse_contract(manifest["contract"], f"the contract in {path}")
        made_with = needed.split(".")[:2]
    except ContractError as error:
        reason = "; ".join(error.problems)
        raise ModelRefused(f"{path} is no manifest of a model ({reason})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else "it cannot be understood"
        raise ModelRefused(f"{path} is no manifest of a model ({reason})") from error
    if made_with != sklearn.__version__.split(".")[:2]:
        raise ModelRefused(
            f"the model was made with scikit-learn {needed}, installed is {sklearn.__version__}"
        )
    return manifest, contract


def _opened(loads: Callable[[bytes], Any], content: bytes, path: Path | str) -> Any:
    try:
        return loads(content)
    except ModuleNotFoundError as error:
        module = error.name or ""
        if module.startswith("creditrisk."):
            raise ModelRefused(f"{path} was made {EARLIER_LAYOUT}") from error
        raise ModelRefused(f"{path} needs the module {module}, which is not installed") from error
    except Exception as error:  # a pickle can fail in any way
        raise ModelRefused(f"{path} cannot be opened ({type(error).__name__})") from error
