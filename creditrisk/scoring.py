"""Raw applications in, decisions out: the one scorer behind every door."""

import hashlib
import json
import logging
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from creditrisk import explain
from creditrisk.contract import Contract, ContractError, Field, parse_contract, record_problems
from creditrisk.data import matrix_columns
from creditrisk.flat import Domain, Flat, Forest, NotFlat, domain, flatten

#: How far a fast answer may be from scikit-learn's: forests not at all, the rest by a rounding.
BOUND = 1e-15

#: Up to so many applications go one by one; numpy's fixed cost outweighs more of them.
FEW = 2

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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the model says of one application."""

    probability: float  # of a good risk
    prediction: int  # 1 = good risk, 0 = bad risk
    decision: str  # "approve" or "decline"
    reasons: tuple[explain.Reason, ...] | None = None  # if asked: what holds the score down


class RecordProblem(NamedTuple):
    """What is wrong with one field of one of several applications, counted from 1."""

    record: int
    field: str
    message: str


class InvalidRecords(ValueError):
    """Applications that the contract does not allow; ``problems`` holds all that is wrong."""

    def __init__(self, problems: list[RecordProblem]):
        self.problems = problems
        lines = [f"record {p.record}: {f'{p.field} ' * bool(p.field)}{p.message}" for p in problems]
        if len(lines) > 10:
            lines[10:] = [f"... and {len(lines) - 10} more"]
        super().__init__("\n".join(lines))


class ModelRefused(Exception):
    """Why a saved model is not loaded, in one sentence."""


class NoReasons(Exception):
    """Why a model cannot tell reasons, in one sentence."""


@dataclass(frozen=True)
class Scorer:
    """A loaded model, ready to decide.

    ``fast`` tells whether the tables of :mod:`creditrisk.flat` answer; they give scikit-learn's
    own answers, which was checked when the scorer was made. If not, the pipeline answers.
    """

    name: str
    version: int | None
    alias: str | None  # under which it was asked for
    sha256: str  # of the pickled model, in the registry too: one model, one hash
    cutoff: float  # approve from this probability of a good risk on
    contract: Contract
    pipeline: Pipeline = field(repr=False)
    domain: Domain = field(repr=False)
    flat: Flat | None = field(repr=False)
    reference: dict | None = field(default=None, repr=False)  # what reasons compare with

    @property
    def fast(self) -> bool:
        """Whether the tables answer, and not the pipeline."""
        return self.flat is not None

    @classmethod
    def load(cls, source: str | Path = "models") -> "Scorer":
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

    def score(
        self, applications: list[dict] | dict | pd.DataFrame, reasons: bool = False
    ) -> list[Decision]:
        """Decide on each application, and if asked tell what holds its score down.

        Raises
        ------
        InvalidRecords
            If the contract does not allow one of them; then none is decided.
        NoReasons
            If reasons are asked of a model that was saved without a reference application.
        """
        if reasons:
            return self._with_reasons(applications)
        if isinstance(applications, pd.DataFrame):
            return [self._decision(p) for p in self.probabilities(applications).tolist()]
        records = [applications] if isinstance(applications, dict) else applications
        places = [self.domain.places(record) for record in records]
        if None in places:
            raise InvalidRecords(
                [
                    RecordProblem(number, *problem)
                    for number, (record, found) in enumerate(zip(records, places), 1)
                    if found is None
                    for problem in record_problems(record, self.contract)
                ]
            )
        if self.flat is not None and len(places) <= FEW:
            return [self._decision(self.flat.one(each)) for each in places]
        return [self._decision(p) for p in self._many(np.array(places)).tolist()]

    def probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        """The probability of a good risk for each application, NaN and None being missing values.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        InvalidRecords
            If the contract does not allow one of them.
        """
        return self._many(_frame_places(frame, self.domain))

    def from_places(self, places: np.ndarray) -> np.ndarray:
        """The same for applications given by the places of their values, shape (n, fields)."""
        return self._many(places)

    def reasons(self, places: np.ndarray) -> list[tuple[explain.Reason, ...]]:
        """What holds the score of each application down, given as for :meth:`from_places`.

        Raises
        ------
        NoReasons
            As :meth:`score`.
        """
        typical = self._typical()
        return [explain.reasons(each, typical, self.domain, self._many) for each in places]

    def effects(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """What each field does to the log-odds of each application, seen from the reference.

        Returns
        -------
        contributions, gains : ndarray, shape (n, fields)
            As :func:`creditrisk.explain.effects`.

        Raises
        ------
        InvalidRecords, NoReasons
            As :meth:`score`.
        """
        typical, rows = self._typical(), _frame_places(frame, self.domain)
        found = [explain.effects(places, typical, self._many) for places in rows]
        return np.array(found).reshape(-1, 2, rows.shape[1]).transpose(1, 0, 2)

    def _with_reasons(self, applications: list[dict] | dict | pd.DataFrame) -> list[Decision]:
        self._typical()  # or there are none
        decisions = self.score(applications)
        if isinstance(applications, pd.DataFrame):
            rows = _frame_places(applications, self.domain)
        else:
            records = [applications] if isinstance(applications, dict) else applications
            rows = np.array([self.domain.places(record) for record in records])
        return [replace(each, reasons=why) for each, why in zip(decisions, self.reasons(rows))]

    def _typical(self) -> np.ndarray:
        if self.reference is None:
            raise NoReasons(
                "the model was saved without a reference application, so it cannot tell reasons; "
                "register it again"
            )
        return np.array(self.domain.places(self.reference))

    def _many(self, places: np.ndarray) -> np.ndarray:
        if not len(places):
            return np.empty(0)
        if self.flat is not None:
            return self.flat.many(places)
        # The pipeline's classifier, spared its encoder: the matrix follows from the contract.
        return _good(self.pipeline["decide"], self.domain.matrix(places))

    def _decision(self, probability: float) -> Decision:
        good = probability >= self.cutoff
        return Decision(probability, int(good), "approve" if good else "decline")


def make_scorer(
    pipeline: Pipeline,
    contract: Contract,
    name: str = "",
    sha256: str = "",
    reference: dict | None = None,
) -> Scorer:
    """A scorer of a fitted pipeline, fast if its tables give the pipeline's answers.

    Parameters
    ----------
    reference
        The application that reasons compare with, see :func:`creditrisk.explain.reference`.

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
    places = domain(contract)
    scorer = Scorer(name, None, None, sha256, cutoff, contract, pipeline, places, None, reference)
    expected = _reference(scorer)
    fault = _difference(scorer, expected)
    if fault:
        raise ModelRefused(f"the model reads applications otherwise than its contract: {fault}")
    try:
        fast = replace(scorer, flat=flatten(decide.estimator_, places))
    except NotFlat as reason:
        _log.info("The fast path is not used, scikit-learn answers: %s.", reason)
        return scorer
    fault = _difference(fast, expected)
    if fault:
        _log.warning("THE FAST PATH IS REFUSED, scikit-learn answers: %s.", fault)
        return scorer
    return fast


def golden_places(places: Domain, draws: int = 300, seed: int = 7) -> np.ndarray:
    """Applications that cover the contract: every level, the ends of each range, and random ones.

    Returns
    -------
    ndarray, shape (n, fields)
    """
    sweeps = [places.sweep(number) for number in range(len(places.values))]
    edges = [
        np.vstack([sweep[:2], sweep[-2:]]) if isinstance(values, range) else sweep
        for sweep, values in zip(sweeps, places.values)
    ]
    random = np.random.default_rng(seed)
    drawn = [
        start + random.integers(0, len(values), draws)
        for start, values in zip(places.starts, places.values)
    ]
    return np.vstack([*edges, np.column_stack(drawn)])


@dataclass(frozen=True)
class _Reference:
    """The golden applications as places, and what scikit-learn says of them."""

    golden: np.ndarray
    expected: np.ndarray  # probability of a good risk
    approved: np.ndarray


def _reference(scorer: Scorer) -> _Reference:
    golden = golden_places(scorer.domain)
    frame = scorer.domain.frame(golden)
    expected, approved = _good(scorer.pipeline, frame), scorer.pipeline.predict(frame) == 1
    return _Reference(golden, expected, approved)


def _difference(scorer: Scorer, reference: _Reference) -> str | None:
    """How a scorer's answers to the golden applications differ from its pipeline's, if they do."""
    golden = reference.golden
    answers, bound = {"together": scorer._many(golden)}, BOUND
    if scorer.flat is not None:
        one_by_one = [scorer.flat.one(places) for places in golden.tolist()]
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


def _good(model: BaseEstimator, applications: pd.DataFrame) -> np.ndarray:
    """What scikit-learn says is the probability of a good risk, which is class 1."""
    return model.predict_proba(applications)[:, list(model.classes_).index(1)]


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

    from creditrisk import artifacts

    try:
        version, alias = artifacts.version_of(uri)
        # By number: the alias may move on while the files are under way.
        files = artifacts.files_of(f"models:/{version.name}/{version.version}")
    except (MlflowException, OSError) as error:
        reason = getattr(error, "message", type(error).__name__)
        raise ModelRefused(f"{uri} cannot be fetched ({reason})") from error
    found = artifacts.sha256_of(files)
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
    """The scorer of a model saved by :mod:`creditrisk.mlflow_flavor`, from its files' content.

    Raises
    ------
    ModelRefused
        As :meth:`Scorer.load`.
    """
    import skops.io

    if not {"manifest.json", "model.skops"} <= set(files):
        raise ModelRefused(f"{source} has no manifest.json and model.skops; register it again")
    manifest, contract = _manifest(files["manifest.json"], f"manifest.json of {source}")
    # The list of types to trust is ours. MLflow takes the one stored beside the model, which
    # whoever changes the model can change as well.
    pipeline = _opened(
        lambda content: skops.io.loads(content, trusted=TRUSTED_TYPES), files["model.skops"], source
    )
    sha256 = hashlib.sha256(files["model.skops"]).hexdigest()
    return make_scorer(pipeline, contract, "", sha256, manifest.get("reference"))


def _manifest(content: bytes, path: str) -> tuple[dict, Contract]:
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


def _opened(loads, content: bytes, path: Path | str) -> object:
    try:
        return loads(content)
    except Exception as error:  # a pickle can fail in any way
        raise ModelRefused(f"{path} cannot be opened ({type(error).__name__})") from error


def _frame_places(frame: pd.DataFrame, places: Domain) -> np.ndarray:
    """The places of each row's values.

    Raises
    ------
    InvalidRecords
        With the words that :func:`creditrisk.contract.record_problems` has for the same rows.
    """
    if not frame.columns.is_unique:
        doubled = frame.columns[frame.columns.duplicated()][0]
        problem = RecordProblem(1, str(doubled)[:40], "stands in more than one column")
        raise InvalidRecords([problem])
    found = np.full((len(frame), len(places.values)), -1)
    fields = places.contract.fields
    for number, (each, start, values) in enumerate(zip(fields, places.starts, places.values)):
        if each.name in frame:
            found[:, number] = _column_places(frame[each.name], each, start, values)
    unknown = len(frame.columns) > sum(each.name in frame for each in fields)
    bad = np.arange(len(frame)) if unknown else np.flatnonzero((found < 0).any(axis=1))
    if len(bad):
        plain = {name: _plain(frame[name]) for name in frame.columns}
        rows = [{name: column[row] for name, column in plain.items()} for row in bad]
        raise InvalidRecords(
            [
                RecordProblem(int(row) + 1, *problem)
                for row, record in zip(bad, rows)
                for problem in record_problems(record, places.contract)
            ]
        )
    return found


def _column_places(column: pd.Series, each: Field, start: int, values: range | tuple) -> np.ndarray:
    """The place of each value of a column, -1 for one that is not allowed."""
    if each.levels is None and column.dtype.kind in "iu":
        inside = column.between(each.minimum, each.maximum).to_numpy()
        return np.where(inside, column.to_numpy().astype(np.int64) - each.minimum + start, -1)
    if pd.api.types.is_integer_dtype(column) or isinstance(column.dtype, pd.StringDtype):
        # One type throughout: ask once for each distinct value.
        codes, distinct = pd.factorize(column)
        distinct = distinct.tolist()
    else:
        codes, distinct = np.arange(len(column)), _plain(column)
    wanted = (int if each.type == "integer" else str, *([] if each.required else [type(None)]))
    found = [
        start + values.index(value) if type(value) in wanted and value in values else -1
        for value in (*distinct, None)  # code -1, the last, is a missing value
    ]
    return np.array(found)[codes]


def _plain(column: pd.Series) -> list:
    """A column's values as JSON would give them; a missing one is None.

    pandas turns whole numbers into floats if the column has a gap or a fraction elsewhere. Only
    the gap and the fraction are to blame then, so the whole ones become whole again.
    """
    values = [
        None if pd.api.types.is_scalar(value) and pd.isna(value) else value
        for value in column.astype(object).tolist()
    ]
    if pd.api.types.is_float_dtype(column):
        whole = [value is not None and float(value).is_integer() for value in values]
        if not all(whole):
            values = [int(v) if w else v for v, w in zip(values, whole)]
    return values
