"""Fits in which a row stands for several applications."""

from dataclasses import replace

import numpy as np
import pytest
from published import few_trees
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from creditrisk.data.encoding import decode, encoder
from creditrisk.modelling import candidates, cross_validation, optimism
from creditrisk.modelling.pipelines import fit
from creditrisk.scoring.sources import model_files

CLASSIC = "Logistic Regression"


@pytest.fixture(scope="module")
def some(real):
    """The contract, three hundred applicants, and weights that make good ones ten times as many."""
    contract, X, y = real
    return contract, X[:300], y[:300], np.where(y[:300] == 1, 10.0, 1.0)


def test_a_row_of_weight_k_is_k_rows_to_a_regression(some):
    contract, X, y, _ = some
    times = np.random.default_rng(2).integers(1, 5, len(X))
    rows = np.repeat(np.arange(len(X)), times)
    estimator = candidates.estimator(CLASSIC, contract, 3)
    weighted = fit(clone(estimator), X, y, times.astype(float)).predict_proba(X)
    repeated = fit(clone(estimator), X.iloc[rows], y.iloc[rows]).predict_proba(X)
    assert weighted == pytest.approx(repeated, abs=1e-6)


def test_each_candidate_learns_the_weighted_share_of_good(some):
    contract, X, y, weight = some
    models = [
        each if each.members else replace(each, estimator=few_trees(each.estimator))
        for each in candidates.candidates(contract, 3)
    ]
    found = cross_validation.cross_validate(
        models, X, y, folds=3, repeats=1, seed=3, workers=1, weight=weight
    )
    assert not found.errors and len(found.scores) == len(models) == 7
    # Some .96; of the rows .7. Fits to three hundred rows are too sure of some held-out ones.
    share = np.average(y, weights=weight)
    for name, scores in found.scores.items():
        assert np.average(scores[0], weights=weight) == pytest.approx(share, abs=0.06), name
    # Every measure is that of the held-out rows by their weights.
    row = found.fold_measures().iloc[0]
    inside = found.fold[0] == 0
    score = found.scores[CLASSIC][0][inside]
    assert row.brier == pytest.approx(np.average((score - y[inside]) ** 2, weights=weight[inside]))
    picked = optimism.selection(found, draws=5, seed=1)
    whole = [roc_auc_score(y, each[0], sample_weight=weight) for each in found.scores.values()]
    assert picked.picked == pytest.approx(max(whole))


@pytest.mark.parametrize("name", [CLASSIC, "Gradient Boosting"])  # a pipeline, and none
def test_a_search_fits_and_judges_by_weights(some, name):
    contract, X, y, _ = some
    weight = np.random.default_rng(8).gamma(0.3, size=len(X)) + 0.01  # few rows weigh much
    plain, search = (
        next(each for each in candidates.candidates(contract, 3, trials=n) if each.name == name)
        for n in (0, 2)
    )
    found = fit(clone(search.estimator), X, y, weight)
    means = []
    for tried in search.estimator.param_grid:
        aucs = []
        for rows, rest in StratifiedKFold(5, shuffle=True, random_state=3).split(X, y):
            model = clone(plain.estimator).set_params(**{k: v[0] for k, v in tried.items()})
            fit(model, X.iloc[rows], y.iloc[rows], weight[rows])
            score = model.predict_proba(X.iloc[rest])[:, 1]
            aucs.append(roc_auc_score(y.iloc[rest], score, sample_weight=weight[rest]))
        means.append(np.mean(aucs))
    assert found.cv_results_["mean_test_score"] == pytest.approx(means)


def test_the_model_that_is_saved_is_weighted_down_to_a_blends_members(some, tmp_path):
    contract, X, y, weight = some
    names = ["Spline Logistic Regression", "Tuned Random Forest"]
    chosen = {"Tuned Random Forest": {"n_estimators": 20}}  # fewer are enough here
    blend = candidates.estimator("Soft-Voting Blend", contract, 3, chosen=chosen)
    model = candidates.decision_model(encoder(contract), blend, 0.9)
    fit(model.named_steps["decide"], X, y, weight)
    alone = [candidates.estimator(name, contract, 3, chosen=chosen) for name in names]
    members = [fit(each, X, y, weight) for each in alone]
    by_hand = np.mean([each.predict_proba(X) for each in members], axis=0)
    path = tmp_path / "model.skops"
    model_files.save_skops(model, path)
    for each in (model, model_files.open_skops(path.read_bytes(), path)):
        assert each.predict_proba(decode(X, contract)) == pytest.approx(by_hand, abs=1e-12)
