"""The candidate classifiers: what each is, and why its settings are what they are.

Every candidate takes the encoded matrix (see :func:`creditrisk.data.encoder`) and is made of
scikit-learn's own parts only, so that a saved model opens without this package.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from creditrisk.contract import Contract
from creditrisk.data import encoded_columns, matrix_columns


@dataclass(frozen=True)
class Candidate:
    """A model in the comparison: an estimator, or the mean of other candidates' probabilities."""

    name: str
    why: str
    estimator: BaseEstimator | None = None
    members: tuple[str, ...] = ()


def candidates(contract: Contract, seed: int, exclude: Sequence[str] = ()) -> list[Candidate]:
    """The models to compare, simplest first.

    Parameters
    ----------
    seed
        Seed of the forests, the boosting and the scorecard's inner folds.
    exclude
        Raw columns that no model may look at; the matrix may hold them all the same.

    Raises
    ------
    ContractError
        If ``exclude`` names a column that is not there.
    """
    contract, whole = contract.without(exclude), not exclude
    # 300 trees: more only cost time. Leaves of 3 and a third of the columns a split were fixed
    # before this comparison, to smooth probabilities that single-row leaves make extreme.
    tuned_forest = RandomForestClassifier(
        n_estimators=300, min_samples_leaf=3, max_features=0.3, random_state=seed
    )
    return [
        Candidate(
            "Logistic Regression",
            "the classic approach: plain dummies, a missing value is all zeros",
            _plain(contract, StandardScaler(), LogisticRegression(max_iter=1000)),
        ),
        Candidate(
            "Random Forest",
            "the classic approach: plain dummies, default settings",
            _plain(contract, RandomForestClassifier(random_state=seed)),
        ),
        Candidate(
            "Gradient Boosting",
            "histogram gradient boosting with default settings",
            _seeing(contract, whole, HistGradientBoostingClassifier(random_state=seed)),
        ),
        Candidate(
            "WoE Scorecard",
            "quarters of age, amount and duration, weight of evidence, additive points",
            _scorecard(contract, seed),
        ),
        Candidate(
            "Spline Logistic Regression",
            "cubic splines for age, amount and duration, ordered levels counted up, missing last, C = 0.1",
            _spline_regression(contract),
        ),
        Candidate(
            "Tuned Random Forest",
            "missing as a level, 300 trees, at least 3 applicants a leaf",
            _seeing(contract, whole, tuned_forest),
        ),
        Candidate(
            "Soft-Voting Blend",
            "mean probability of the spline regression and the tuned forest",
            members=("Spline Logistic Regression", "Tuned Random Forest"),
        ),
    ]


def estimator(
    name: str, contract: Contract, seed: int, exclude: Sequence[str] = ()
) -> BaseEstimator:
    """The unfitted estimator of a candidate; a blend becomes a soft-voting classifier.

    Raises
    ------
    KeyError
        If no candidate has this name.
    """
    by_name = {candidate.name: candidate for candidate in candidates(contract, seed, exclude)}
    chosen = by_name[name]
    if chosen.estimator is not None:
        return chosen.estimator
    return VotingClassifier(
        [(member, by_name[member].estimator) for member in chosen.members], voting="soft"
    )


def settings(
    contract: Contract, seed: int, exclude: Sequence[str] = ()
) -> dict[str, dict[str, object]]:
    """The parameters of each candidate's estimators by name; a blend names its members."""
    return {each.name: _settings(each) for each in candidates(contract, seed, exclude)}


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


def _settings(candidate: Candidate) -> dict[str, object]:
    if candidate.estimator is None:
        return {"members": ", ".join(candidate.members)}
    found = candidate.estimator.get_params()
    # Nested estimators stand in the list of parameters too; their own parameters follow them.
    return {name: value for name, value in found.items() if isinstance(value, str | float | None)
            or type(value) in (int, bool)}  # fmt: skip


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
    plain = [column for field in contract.categories if not field.ordered
             for column in encoded_columns(contract, field)]  # fmt: skip
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

    One column a field all the way, so that :mod:`creditrisk.scorecard` can write it as points.
    """
    quantities = [field.name for field in contract.numbers]
    levels = [(field.name, _level_number(), encoded_columns(contract, field))
              for field in contract.categories]  # fmt: skip
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
