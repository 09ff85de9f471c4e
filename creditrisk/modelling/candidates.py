"""The candidate classifiers: what each is, and why its settings are what they are.

Every candidate takes the encoded matrix (see :func:`creditrisk.data.encoding.encoder`) and is made
of scikit-learn's own parts only, so that a saved model opens without this package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import logit
from scipy.stats import loguniform, randint
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    ParameterSampler,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import encoded_columns, matrix_columns

#: Folds inside a training part, on which a search judges settings.
INNER_FOLDS = 5

Settings = dict[str, object]  # of an estimator, by the name of the parameter


@dataclass(frozen=True)
class Candidate:
    """A model in the comparison: an estimator, or the mean of other candidates' probabilities.

    ``space`` says of each setting that a search may change what to draw it from, as
    scikit-learn's ``ParameterSampler`` takes it.
    """

    name: str
    why: str
    estimator: BaseEstimator | None = None
    space: Mapping[str, object] = field(default_factory=dict)
    members: tuple[str, ...] = ()


def candidates(
    contract: Contract, seed: int, exclude: Sequence[str] = (), trials: int = 0
) -> list[Candidate]:
    """The models to compare, simplest first.

    Parameters
    ----------
    seed
        Seed of the forests, the boosting, the scorecard's inner folds and the search.
    exclude
        Raw columns that no model may look at; the matrix may hold them all the same.
    trials
        Settings that each estimator tries whenever it is fitted, see :func:`searching`; 0 leaves
        it with the settings that stand here.

    Raises
    ------
    ContractError
        If ``exclude`` names a column that is not there.
    ValueError
        If ``trials`` is negative.
    """
    if trials < 0:
        raise ValueError(f"search_trials is {trials}; 0 searches for nothing, and 20 are a search")
    contract, whole = contract.without(exclude), not exclude
    # 300 trees: more only cost time. Leaves of 3 and a third of the columns a split were fixed
    # before this comparison, to smooth probabilities that single-row leaves make extreme.
    tuned_forest = RandomForestClassifier(
        n_estimators=300, min_samples_leaf=3, max_features=0.3, random_state=seed
    )
    # Spaces reach a decade or so to both sides of what the literature and the defaults use.
    penalty = loguniform(1e-3, 1e1)  # the C of a regression: its inverse strength of shrinkage
    leaf, columns = randint(1, 21), loguniform(0.1, 1.0)  # of a forest; columns are a share
    listed = [
        Candidate(
            "Logistic Regression",
            "the classic approach: plain dummies, a missing value is all zeros",
            _plain(contract, StandardScaler(), LogisticRegression(max_iter=1000)),
            {"LogisticRegression__C": penalty},
        ),
        Candidate(
            "Random Forest",
            "the classic approach: plain dummies, default settings",
            _plain(contract, RandomForestClassifier(random_state=seed)),
            _under("RandomForestClassifier", min_samples_leaf=leaf, max_features=columns),
        ),
        Candidate(
            "Gradient Boosting",
            "histogram gradient boosting with default settings",
            boosting := _seeing(contract, whole, HistGradientBoostingClassifier(random_state=seed)),
            _under(
                _step(boosting),
                learning_rate=loguniform(0.01, 0.3),
                max_leaf_nodes=randint(3, 32),
                max_iter=randint(30, 201),
                l2_regularization=loguniform(1e-3, 1e2),
            ),
        ),
        Candidate(
            "WoE Scorecard",
            "quarters of age, amount and duration, weight of evidence, additive points",
            _scorecard(contract, seed),
            {"share__smooth": loguniform(1, 200), "regression__C": penalty},
        ),
        Candidate(
            "Spline Logistic Regression",
            "cubic splines for age, amount and duration, ordered levels counted up, missing last, "
            "C = 0.1",
            _spline_regression(contract),
            {
                "regression__C": penalty,
                "splines__linear__n_knots": randint(3, 8),
                "splines__log__spline__n_knots": randint(3, 8),
            },
        ),
        Candidate(
            "Tuned Random Forest",
            "missing as a level, 300 trees, at least 3 applicants a leaf",
            forest := _seeing(contract, whole, tuned_forest),
            _under(_step(forest), min_samples_leaf=leaf, max_features=columns),
        ),
        Candidate(
            "Soft-Voting Blend",
            "mean probability of the spline regression and the tuned forest",
            members=("Spline Logistic Regression", "Tuned Random Forest"),
        ),
    ]
    return [searching(each, trials, seed) if trials else each for each in listed]


def searching(candidate: Candidate, trials: int, seed: int) -> Candidate:
    """A candidate that chooses its settings anew whenever it is fitted; a blend's members do.

    It tries its own settings and ``trials - 1`` that are drawn from its space, always the same, and
    takes the one with the highest mean ROC-AUC on inner folds of the rows it is fitted on; of equal
    ones its own. Held-out rows have no say, so cross-validation of it stays honest (nested
    cross-validation: Varma and Simon 2006, BMC Bioinformatics 7).
    """
    if candidate.estimator is None:
        return candidate
    drawn = ParameterSampler(candidate.space, trials - 1, random_state=seed) if trials > 1 else []
    tried = [{}, *({name: [value] for name, value in each.items()} for each in drawn)]
    inner = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed)
    search = GridSearchCV(candidate.estimator, tried, scoring="roc_auc", cv=inner)
    return replace(candidate, estimator=search)


def estimator(
    name: str,
    contract: Contract,
    seed: int,
    exclude: Sequence[str] = (),
    chosen: Mapping[str, Settings] | None = None,
) -> BaseEstimator:
    """The unfitted estimator of a candidate; a blend becomes a soft-voting classifier.

    Parameters
    ----------
    chosen
        What a search has chosen, by candidate; all else is as :func:`candidates` has it.

    Raises
    ------
    KeyError
        If no candidate has this name.
    """
    by_name = _by_name(contract, seed, exclude, chosen)
    candidate = by_name[name]
    if candidate.estimator is not None:
        return candidate.estimator
    return VotingClassifier(
        [(member, by_name[member].estimator) for member in candidate.members], voting="soft"
    )


def settings(
    contract: Contract,
    seed: int,
    exclude: Sequence[str] = (),
    chosen: Mapping[str, Settings] | None = None,
) -> dict[str, Settings]:
    """The parameters of each candidate's estimators by name; a blend names its members."""
    found = _by_name(contract, seed, exclude, chosen)
    return {name: _settings(candidate) for name, candidate in found.items()}


def decision_model(
    encoder: ColumnTransformer, classifier: BaseEstimator, cutoff: float
) -> Pipeline:
    """Raw applications in, probability of good risk and decision at the cut-off out.

    The encoder is ready; fit the last step on the encoded matrix, the pipeline then predicts.
    """
    decide = FixedThresholdClassifier(
        classifier, threshold=cutoff, pos_label=1, response_method="predict_proba"
    )
    return Pipeline([("encode", encoder), ("decide", decide)])


def _by_name(
    contract: Contract, seed: int, exclude: Sequence[str], chosen: Mapping[str, Settings] | None
) -> dict[str, Candidate]:
    found = {each.name: each for each in candidates(contract, seed, exclude)}
    for name, values in (chosen or {}).items():
        found[name] = replace(
            found[name], estimator=clone(found[name].estimator).set_params(**values)
        )
    return found


def _settings(candidate: Candidate) -> Settings:
    if candidate.estimator is None:
        return {"members": ", ".join(candidate.members)}
    found = candidate.estimator.get_params()
    # Nested estimators stand in the list of parameters too; their own parameters follow them.
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str | float | None) or type(value) in (int, bool)
    }


def _plain(contract: Contract, *steps: BaseEstimator) -> Pipeline:
    """A pipeline on the matrix as ``pandas.get_dummies`` would make it: no column for missing."""
    columns = [
        column
        for field in contract.fields
        for column in encoded_columns(contract, field)[: len(field.levels or [0])]
    ]
    return _on(columns, *steps)


def _seeing(contract: Contract, whole: bool, step: BaseEstimator) -> BaseEstimator:
    """An estimator that sees the columns of a contract, which may be less than the whole matrix."""
    return step if whole else _on(matrix_columns(contract), step)


def _step(estimator: BaseEstimator) -> str:
    """The name of the step that decides, in a pipeline; none if it stands alone."""
    return estimator.steps[-1][0] if isinstance(estimator, Pipeline) else ""


def _under(step: str, **space: object) -> dict[str, object]:
    """A space of the settings of a step."""
    return {f"{step}__{name}" if step else name: values for name, values in space.items()}


def _on(columns: list[str], *steps: BaseEstimator) -> Pipeline:
    chosen = ColumnTransformer([("plain", "passthrough", columns)])
    return Pipeline([("columns", chosen), *((type(step).__name__, step) for step in steps)])


def _spline_regression(contract: Contract) -> Pipeline:
    """Logistic regression, smooth in the quantities; ordered levels count up, missing is the last.

    That missing is the top of both accounts was found at the source (Grömping 2019). One weight
    for an ordered field instead of one a level leaves less to be learned from few bad loans.
    """
    spline = SplineTransformer(n_knots=5, degree=3, knots="quantile", include_bias=False)
    log = FunctionTransformer(np.log, feature_names_out="one-to-one")
    by_scale = {
        scale: [field.name for field in contract.numbers if field.scale == scale]
        for scale in ("linear", "log")
    }
    ordered = [field for field in contract.categories if field.ordered]
    plain = [
        column
        for field in contract.categories
        if not field.ordered
        for column in encoded_columns(contract, field)
    ]
    bent = ColumnTransformer(
        [
            ("linear", spline, by_scale["linear"]),
            ("log", Pipeline([("log", log), ("spline", spline)]), by_scale["log"]),
            *((field.name, _level_number(), encoded_columns(contract, field)) for field in ordered),
            ("levels", "passthrough", plain),
        ]
    )
    return Pipeline([("splines", bent), ("regression", LogisticRegression(C=0.1, max_iter=2000))])


def _level_number() -> FunctionTransformer:
    """The number of a row's level in its field; the matrix has the levels side by side."""
    side = {"axis": 1, "keepdims": True}
    return FunctionTransformer(np.argmax, kw_args=side, validate=True)


def _scorecard(contract: Contract, seed: int) -> Pipeline:
    """Logistic regression on the weight of evidence of each field's bin.

    One column a field all the way, so that the module ``scorecard`` can write it as points.
    """
    quantities = [field.name for field in contract.numbers]
    levels = [
        (field.name, _level_number(), encoded_columns(contract, field))
        for field in contract.categories
    ]
    # Quarters: a bin of fewer bad loans says little, and in a trial 5, 6 and 8 bins ranked no
    # better. Ranks first: a quarter that begins and ends in one much-used value is then empty,
    # which the discretizer's own quantiles warn of.
    quarters = Pipeline(
        [
            ("rank", QuantileTransformer(n_quantiles=5, subsample=None)),
            ("quarter", KBinsDiscretizer(4, encode="ordinal", strategy="uniform", subsample=None)),
        ]
    )
    codes = ColumnTransformer([("quantities", quarters, quantities), *levels])
    # The share of good risks by bin, as if 20 average applicants stood in each: small bins are
    # drawn to the mean and none is all good or all bad, whose evidence would be infinite. The
    # regression is trained on shares from other folds, or it would trust small bins too much.
    share = TargetEncoder(
        target_type="binary", smooth=20.0, cv=StratifiedKFold(5, shuffle=True, random_state=seed)
    )
    # The log-odds of the share; weight of evidence is that less a constant, which the intercept
    # takes up.
    return Pipeline(
        [
            ("bins", codes),
            ("share", share),
            ("evidence", FunctionTransformer(logit)),
            ("regression", LogisticRegression()),
        ]
    )
