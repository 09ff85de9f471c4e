"""The candidate classifiers: what each is, and why its settings are what they are.

Every candidate takes the encoded matrix (see :func:`creditrisk.data.encoding.encoder`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

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
from sklearn.preprocessing import StandardScaler

from creditrisk.data.contract import Contract
from creditrisk.modelling.effort import VERY_MANY
from creditrisk.modelling.pipelines import (
    on_contract,
    plain_dummies,
    spline_regression,
    woe_scorecard,
)

#: Folds inside a training part, on which a search judges settings.
INNER_FOLDS = 5

#: Applicants that a tree of a forest grows on, if there are very many.
TREE_ROWS = 10_000

Settings = dict[str, object]  # of an estimator, by the name of the parameter


@dataclass(frozen=True)
class Candidate:
    """A model in the comparison: an estimator, or the mean of other candidates' probabilities.

    ``space`` maps each setting that a search may change to what it is drawn from, as
    scikit-learn's ``ParameterSampler`` takes it.
    """

    name: str
    why: str
    estimator: BaseEstimator | None = None
    space: Mapping[str, object] = field(default_factory=dict)
    members: tuple[str, ...] = ()


def candidates(
    contract: Contract, seed: int, exclude: Sequence[str] = (), trials: int = 0, rows: int = 0
) -> list[Candidate]:
    """The models to compare, simplest first.

    Parameters
    ----------
    seed
        Seed of the forests, the boosting, the scorecard's inner folds and the search.
    exclude
        Raw columns that no model uses; the matrix may contain them.
    trials
        Settings that each estimator tries whenever it is fitted, see :func:`searching`; 0 leaves
        it with its default settings, those of this list.
    rows
        Applicants to learn from. From :data:`~creditrisk.modelling.effort.VERY_MANY` on the trees
        of a forest grow on some of them only, or its size would grow with them.

    Raises
    ------
    ContractError
        If ``exclude`` names a column that the contract does not have.
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
    plain_forest = RandomForestClassifier(random_state=seed)
    if rows >= VERY_MANY:
        plain_forest.set_params(max_samples=TREE_ROWS)
        tuned_forest.set_params(max_samples=TREE_ROWS, n_estimators=100, min_samples_leaf=25)
    # Spaces reach a decade or so to both sides of what the literature and the defaults use.
    penalty = loguniform(1e-3, 1e1)  # the C of a regression: its inverse strength of shrinkage
    leaf, columns = randint(1, 21), loguniform(0.1, 1.0)  # of a forest; columns are a share
    listed = [
        Candidate(
            "Logistic Regression",
            "the classic approach: plain dummies, a missing value is all zeros",
            plain_dummies(contract, StandardScaler(), LogisticRegression(max_iter=1000)),
            {"LogisticRegression__C": penalty},
        ),
        Candidate(
            "Random Forest",
            "the classic approach: plain dummies, default settings",
            plain_dummies(contract, plain_forest),
            _space_of("RandomForestClassifier", min_samples_leaf=leaf, max_features=columns),
        ),
        Candidate(
            "Gradient Boosting",
            "histogram gradient boosting with default settings",
            boosting := on_contract(
                contract, whole, HistGradientBoostingClassifier(random_state=seed)
            ),
            _space_of(
                _last_step(boosting),
                learning_rate=loguniform(0.01, 0.3),
                max_leaf_nodes=randint(3, 32),
                max_iter=randint(30, 201),
                l2_regularization=loguniform(1e-3, 1e2),
            ),
        ),
        Candidate(
            "WoE Scorecard",
            "quarters of each quantity, weight of evidence, additive points",
            woe_scorecard(contract, seed),
            {"share__smooth": loguniform(1, 200), "regression__C": penalty},
        ),
        Candidate(
            "Spline Logistic Regression",
            "a cubic spline for each quantity, ordered levels counted up, missing last, C = 0.1",
            spline_regression(contract),
            {
                "regression__C": penalty,
                "splines__linear__spline__n_knots": randint(3, 8),
                "splines__log__spline__n_knots": randint(3, 8),
            },
        ),
        Candidate(
            "Tuned Random Forest",
            f"missing as a level, {tuned_forest.n_estimators} trees, at least "
            f"{tuned_forest.min_samples_leaf} applicants a leaf",
            forest := on_contract(contract, whole, tuned_forest, fill=True),
            _space_of(_last_step(forest), min_samples_leaf=leaf, max_features=columns),
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

    It tries its default settings and ``trials - 1`` drawn from its space, the same for one seed,
    and takes those with the highest mean ROC-AUC on inner folds of the rows it is fitted on; if
    several are equal, the default. Held-out rows take no part in the choice, so the estimate of
    cross-validation is not biased by it (nested cross-validation: Varma and Simon 2006, BMC
    Bioinformatics 7).
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
    rows: int = 0,
) -> BaseEstimator:
    """The unfitted estimator of a candidate; a blend becomes a soft-voting classifier.

    Parameters
    ----------
    chosen
        The settings that a search has chosen, by candidate; all others are the defaults.
    rows
        As :func:`candidates` takes it.

    Raises
    ------
    KeyError
        If no candidate has this name.
    """
    by_name = _by_name(contract, seed, exclude, chosen, rows)
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
    rows: int = 0,
) -> dict[str, Settings]:
    """The parameters of each candidate's estimators by name; of a blend its members' names."""
    found = _by_name(contract, seed, exclude, chosen, rows)
    return {name: _settings(candidate) for name, candidate in found.items()}


def decision_model(
    encoder: ColumnTransformer, classifier: BaseEstimator, cutoff: float
) -> Pipeline:
    """A pipeline from raw applications to the probability of a good risk and the decision.

    Parameters
    ----------
    encoder
        From :func:`creditrisk.data.encoding.encoder`; it needs no fit.
    classifier
        Unfitted. Fit the last step, ``decide``, on the encoded matrix; the pipeline then predicts.
    cutoff
        Probability of a good risk from which on an application is approved.
    """
    decide = FixedThresholdClassifier(
        classifier, threshold=cutoff, pos_label=1, response_method="predict_proba"
    )
    return Pipeline([("encode", encoder), ("decide", decide)])


def _by_name(
    contract: Contract,
    seed: int,
    exclude: Sequence[str],
    chosen: Mapping[str, Settings] | None,
    rows: int,
) -> dict[str, Candidate]:
    found = {each.name: each for each in candidates(contract, seed, exclude, rows=rows)}
    for name, values in (chosen or {}).items():
        found[name] = replace(
            found[name], estimator=clone(found[name].estimator).set_params(**values)
        )
    return found


def _settings(candidate: Candidate) -> Settings:
    if candidate.estimator is None:
        return {"members": ", ".join(candidate.members)}
    found = candidate.estimator.get_params()
    # get_params lists nested estimators as well as their parameters; only plain values are shown.
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, str | float | None) or type(value) in (int, bool)
    }


def _last_step(estimator: BaseEstimator) -> str:
    """The name of a pipeline's last step; empty for an estimator that is no pipeline."""
    return estimator.steps[-1][0] if isinstance(estimator, Pipeline) else ""


def _space_of(step: str, **space: object) -> dict[str, object]:
    """A search space, its settings named as those of a step of a pipeline."""
    return {f"{step}__{name}" if step else name: values for name, values in space.items()}
