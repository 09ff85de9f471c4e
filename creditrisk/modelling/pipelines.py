"""What the candidates are made of: pipelines that take the encoded matrix.

They are made of parts of scikit-learn alone, so that a saved model opens without this package.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, StratifiedKFold
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
from creditrisk.data.encoding import encoded_columns, matrix_columns, quantity_states
from creditrisk.data.fields import Field

#: Steps that take weights. The knots of splines and the ends of bins are found by rows.
_WEIGHTED = (ClassifierMixin, StandardScaler)

#: Bins of a quantity in the scorecard.
BINS = 4


def plain_dummies(contract: Contract, *steps: BaseEstimator) -> Pipeline:
    """A pipeline on the columns that ``pandas.get_dummies`` would make: none for a missing level.

    Parameters
    ----------
    steps
        Unfitted estimators; each step is named after its class.
    """
    columns = [
        column
        for field in contract.fields
        for column in encoded_columns(contract, field)[: _stated_columns(field)]
    ]
    return _on_columns(columns, *_filled(contract), *steps)


def _stated_columns(field: Field) -> int | None:
    """How many of a field's columns a stated value has; None for all, as of a quantity."""
    return None if field.levels is None else len(field.levels)


def on_contract(
    contract: Contract, whole: bool, step: BaseEstimator, fill: bool = False
) -> BaseEstimator:
    """An estimator on the columns of a contract only; itself if these are the ``whole`` matrix.

    Parameters
    ----------
    fill
        Whether it cannot take a quantity's missing values, which then become the median.
    """
    steps = [*(_filled(contract) if fill else []), step]
    return step if whole and len(steps) == 1 else _on_columns(matrix_columns(contract), *steps)


def _filled(contract: Contract) -> list[BaseEstimator]:
    """What fills the gaps of quantities, if there can be any; their own columns still tell them."""
    gaps = any(quantity_states(field) for field in contract.numbers)
    return [SimpleImputer(strategy="median", keep_empty_features=True)] if gaps else []


def _on_columns(columns: list[str], *steps: BaseEstimator) -> Pipeline:
    chosen = ColumnTransformer([("plain", "passthrough", columns)])
    return Pipeline([("columns", chosen), *((type(step).__name__, step) for step in steps)])


def spline_regression(contract: Contract) -> Pipeline:
    """Logistic regression on cubic splines of the quantities and the numbers of ordered levels.

    A missing value counts as the level above the highest; Grömping (2019) found in the source of
    the data that it is. One weight for an ordered field instead of one for each level leaves less
    to be learned from few bad loans.
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
    plain += [
        column for field in contract.numbers for column in encoded_columns(contract, field)[1:]
    ]
    fill = [(type(step).__name__, step) for step in _filled(contract)]
    splines = ColumnTransformer(
        [
            ("linear", Pipeline([*fill, ("spline", spline)]), by_scale["linear"]),
            ("log", Pipeline([*fill, ("log", log), ("spline", spline)]), by_scale["log"]),
            *((field.name, _level_number(), encoded_columns(contract, field)) for field in ordered),
            ("levels", "passthrough", plain),
        ]
    )
    return Pipeline(
        [("splines", splines), ("regression", LogisticRegression(C=0.1, max_iter=2000))]
    )


def _level_number() -> FunctionTransformer:
    """The number of a row's level, from the one-hot columns of its field."""
    across = {"axis": 1, "keepdims": True}
    return FunctionTransformer(np.argmax, kw_args=across, validate=True)


def _bin_number(contract: Contract, field: Field, bins: Pipeline) -> Pipeline:
    """The number of a quantity's bin, or of the state that it is in: missing, or a special code.

    In a state the quantity is NaN, which is given rank 0 and so bin 0; the state's own column then
    adds a number that no bin has.
    """
    name, *states = encoded_columns(contract, field)
    rank, into_bins = (step for _, step in bins.steps)
    lowest = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    parts = ColumnTransformer(
        [
            ("bin", Pipeline([("rank", rank), ("none", lowest), ("bin", into_bins)]), [name]),
            ("states", "passthrough", states),
        ]
    )
    numbers = np.array([[1.0], *([BINS + number] for number in range(len(states)))])
    return Pipeline(
        [("parts", parts), ("number", FunctionTransformer(np.dot, kw_args={"b": numbers}))]
    )


def woe_scorecard(contract: Contract, seed: int) -> Pipeline:
    """Logistic regression on the weight of evidence of each field's bin.

    Each field stays one column in every step, so that :mod:`creditrisk.modelling.scorecard` can
    write the model as points.
    """
    quantities = [field.name for field in contract.numbers if not quantity_states(field)]
    levels = [
        (field.name, _level_number(), encoded_columns(contract, field))
        for field in contract.categories
    ]
    # Quarters: smaller bins have too few bad loans, and in a trial 5, 6 and 8 bins ranked no
    # better. Ranks first: a quarter that begins and ends at one frequent value is then empty,
    # of which the quantiles of the discretizer itself would warn.
    quarters = Pipeline(
        [
            ("rank", QuantileTransformer(n_quantiles=BINS + 1, subsample=None)),
            (
                "quarter",
                KBinsDiscretizer(BINS, encode="ordinal", strategy="uniform", subsample=None),
            ),
        ]
    )
    with_states = [
        (field.name, _bin_number(contract, field, quarters), encoded_columns(contract, field))
        for field in contract.numbers
        if quantity_states(field)
    ]
    codes = ColumnTransformer([("quantities", quarters, quantities), *with_states, *levels])
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


def fit(
    estimator: BaseEstimator, X: pd.DataFrame, y: pd.Series, weight: np.ndarray | None = None
) -> BaseEstimator:
    """Fit a candidate's estimator, each row as often as its weight says; return it.

    Parameters
    ----------
    X, y
        Encoded matrix (n, columns) and outcomes (n,), 1 = good and 0 = bad.
    weight
        Shape (n,), above 0: how many applications a row stands for. None: each counts once.

    Notes
    -----
    Classifiers and the scaling of columns are weighted, and so is the measure of a search. What the
    scorecard puts in a bin's place, its smoothed log-odds, has each row once: scikit-learn's
    TargetEncoder takes no weights. Where weights differ by outcome only, that moves all bins
    alike, apart from the smoothing, and the weighted regression on them takes it up.
    """
    if weight is None:
        return estimator.fit(X, y)
    if isinstance(estimator, FixedThresholdClassifier):
        # It passes weights on only if its parts are marked for that, and marked parts cannot be
        # saved in skops' format: so the part that it has fitted without weights is replaced.
        estimator.fit(X, y)
        estimator.estimator_ = fit(clone(estimator.estimator), X, y, weight)
        return estimator
    if isinstance(estimator, VotingClassifier):
        estimator.fit(X, y)
        members = {name: fit(clone(each), X, y, weight) for name, each in estimator.estimators}
        estimator.estimators_ = list(members.values())
        estimator.named_estimators_.update(members)
        return estimator
    if isinstance(estimator, GridSearchCV):
        by_row = pd.Series(weight, X.index)

        def weighted_auc(
            fitted: BaseEstimator,
            rows: pd.DataFrame,
            outcomes: pd.Series,
            sample_weight: np.ndarray | None = None,  # same as ours; without it there is a warning
        ) -> float:
            score = fitted.predict_proba(rows)[:, 1]
            return float(roc_auc_score(outcomes, score, sample_weight=by_row[rows.index]))

        estimator.set_params(scoring=weighted_auc)
        return estimator.fit(X, y, **_weights_of(estimator.estimator, weight))
    return estimator.fit(X, y, **_weights_of(estimator, weight))


def _weights_of(estimator: BaseEstimator, weight: np.ndarray) -> dict[str, Any]:
    """What the fit of an estimator is given for its rows' weights."""
    if not isinstance(estimator, Pipeline):
        return {"sample_weight": weight}
    return {
        f"{name}__sample_weight": weight
        for name, step in estimator.steps
        if isinstance(step, _WEIGHTED)
    }
