"""Saved models, verified before they are opened: from a folder or from the registry."""

import hashlib
import json
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.pipeline import Pipeline

from creditrisk.data.contract import (
    Contract,
    ContractError,
    Json,
    Level,
    parse_contract,
)
from creditrisk.data.domain import Domain, domain
from creditrisk.data.encoding import matrix_columns
from creditrisk.data.record_checks import record_problems
from creditrisk.scoring.lookup_tables import Forest, NotTabulated, flatten
from creditrisk.scoring.scorer import Scorer, good_probability

#: How far a fast answer may be from scikit-learn's: forests not at all, the rest by a rounding.
BOUND = 1e-15

#: Parts of scikit-learn, SciPy and NumPy in our pipelines that skops does not open unasked.
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

#: What a registered model says of the module that MLflow loads it with.
LOADER = b"loader_module: creditrisk.registry.mlflow_flavor"

_log = logging.getLogger(__name__)


class ModelRefused(Exception):
    """Why a saved model is not loaded, in one sentence."""


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
        If the model is missing, is not the one that was written down, or needs another
        version of scikit-learn.
    """
    if str(source).startswith("models:/"):
        return _from_registry(str(source))
    return _from_folder(Path(source))


def make_scorer(
    pipeline: Pipeline,
    contract: Contract,
    name: str = "",
    sha256: str = "",
    reference: dict[str, Level | None] | None = None,
) -> Scorer:
    """A scorer of a fitted pipeline, fast if its tables give the pipeline's answers.

    Parameters
    ----------
    reference
        The application that reasons compare with, see :func:`creditrisk.scoring.reasons.reference`.

    Raises
    ------
    ModelRefused
        If the pipeline is not one of ours or was made for another contract.
    """
    if reference is not None and record_problems(reference, contract):
        raise ModelRefused("the contract does not allow the model's reference application")
    try:
        encode, decide = pipeline.named_steps["encode"], pipeline.named_steps["decide"]
        columns, cutoff = list(encode.get_feature_names_out()), float(decide.threshold)
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelRefused("the file holds no encoder followed by a decision") from error
    if columns != matrix_columns(contract) or columns != list(decide.feature_names_in_):
        raise ModelRefused("the model's columns are not those of its contract")
    allowed = domain(contract)
    scorer = Scorer(name, None, None, sha256, cutoff, contract, pipeline, allowed, None, reference)
    expected = _reference(scorer)
    fault = _difference(scorer, expected)
    if fault:
        raise ModelRefused(f"the model reads applications otherwise than its contract: {fault}")
    try:
        fast = replace(scorer, flat=flatten(decide.estimator_, allowed))
    except NotTabulated as reason:
        _log.info("The fast path is not used, scikit-learn answers: %s.", reason)
        return scorer
    fault = _difference(fast, expected)
    if fault:
        _log.warning("THE FAST PATH IS REFUSED, scikit-learn answers: %s.", fault)
        return scorer
    return fast


def golden_codes(allowed: Domain, draws: int = 300, seed: int = 7) -> np.ndarray:
    """Applications that cover the contract: every level, the ends of each range, and random ones.

    Returns
    -------
    ndarray, shape (n, fields)
    """
    sweeps = [allowed.sweep(number) for number in range(len(allowed.values))]
    edges = [
        np.vstack([sweep[:2], sweep[-2:]]) if isinstance(values, range) else sweep
        for sweep, values in zip(sweeps, allowed.values)
    ]
    random = np.random.default_rng(seed)
    drawn = [
        start + random.integers(0, len(values), draws)
        for start, values in zip(allowed.starts, allowed.values)
    ]
    return np.vstack([*edges, np.column_stack(drawn)])


@dataclass(frozen=True)
class _Reference:
    """The golden applications as codes, and what scikit-learn says of them."""

    golden: np.ndarray
    expected: np.ndarray  # probability of a good risk
    approved: np.ndarray


def _reference(scorer: Scorer) -> _Reference:
    golden = golden_codes(scorer.domain)
    frame = scorer.domain.frame(golden)
    expected, approved = (
        good_probability(scorer.pipeline, frame),
        scorer.pipeline.predict(frame) == 1,
    )
    return _Reference(golden, expected, approved)


def _difference(scorer: Scorer, reference: _Reference) -> str | None:
    """How a scorer's answers to the golden applications differ from its pipeline's, if they do."""
    golden = reference.golden
    answers, bound = {"together": scorer._many(golden)}, BOUND
    if scorer.flat is not None:
        one_by_one = [scorer.flat.one(codes) for codes in golden.tolist()]
        answers["one by one"] = np.array(one_by_one)
        if all(type(member) is Forest for member in scorer.flat.members):
            bound = 0.0
    for way, found in answers.items():
        apart = np.abs(found - reference.expected).max()
        if not apart <= bound:
            return f"asked {way}, it is off by up to {apart:.1e}"
        if ((found >= scorer.cutoff) != reference.approved).any():
            return f"asked {way}, it decides otherwise"
    return None


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
        # The very bytes that are hashed are opened below: nothing can be changed in between.
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
        # By number: the alias may move on while the files are under way.
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
        raise ModelRefused(
            f"{source} was registered by an earlier layout of this project; run the chain again "
            "(python run_all.py), which registers it anew"
        )
    manifest, contract = _manifest(files["manifest.json"], f"manifest.json of {source}")
    # The list of types to trust is ours. MLflow takes the one stored beside the model, which
    # whoever changes the model can change as well.
    pipeline = _opened(
        lambda content: skops.io.loads(content, trusted=TRUSTED_TYPES), files["model.skops"], source
    )
    sha256 = hashlib.sha256(files["model.skops"]).hexdigest()
    return make_scorer(pipeline, contract, "", sha256, manifest.get("reference"))


def _manifest(content: bytes, path: str) -> tuple[Json, Contract]:
    """What is written down about a model, and its contract; refused if it is not for us."""
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
    except Exception as error:  # a pickle can fail in any way
        raise ModelRefused(f"{path} cannot be opened ({type(error).__name__})") from error
