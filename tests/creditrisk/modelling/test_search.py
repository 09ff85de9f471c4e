"""A search of settings: inside every fold alone, its own among the tried, and what comes of it."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterSampler, StratifiedKFold, cross_val_score

from creditrisk.data.encoding import decode, encoder
from creditrisk.modelling import candidates, cross_validation, significance
from creditrisk.scoring.fast_path import make_scorer

LOGISTIC = "Logistic Regression"


@pytest.fixture(scope="module")
def some(real):
    """The contract, and three hundred applicants."""
    contract, X, y = real
    return contract, X[:300], y[:300]


def test_a_fold_chooses_as_a_plain_loop_over_its_training_part_does(some):
    """Recomputed for one fold without a search object; who is held out has no say."""
    contract, X, y = some
    (plain,), (search,) = ([candidates.candidates(contract, 3, trials=n)[0]] for n in (0, 4))
    found = cross_validation.cross_validate([search], X, y, folds=2, repeats=1, seed=3, workers=1)
    held_out = found.fold[0] == 1
    A, a = X[~held_out], y[~held_out]
    drawn = ParameterSampler(plain.space, 3, random_state=3)
    tried = [{}, *({key: float(value) for key, value in each.items()} for each in drawn)]
    assert len(tried) == 4
    inner = StratifiedKFold(5, shuffle=True, random_state=3)
    means = [
        cross_val_score(
            clone(plain.estimator).set_params(**each), A, a, cv=inner, scoring="roc_auc"
        ).mean()
        for each in tried
    ]
    best = tried[int(np.argmax(means))]
    assert found.chosen[LOGISTIC][1] == best
    expected = clone(plain.estimator).set_params(**best).fit(A, a).predict_proba(X[held_out])[:, 1]
    np.testing.assert_array_equal(found.scores[LOGISTIC][0, held_out], expected)


def test_a_search_of_one_setting_is_no_search(some):
    contract, X, y = some
    plan = {"folds": 2, "repeats": 1, "seed": 3, "workers": 1}
    names = (LOGISTIC, "Spline Logistic Regression")
    without, one = (
        cross_validation.cross_validate(
            [m for m in candidates.candidates(contract, 3, trials=n) if m.name in names],
            X,
            y,
            **plan,
        )
        for n in (0, 1)
    )
    assert without.chosen == {} and one.chosen == {name: [{}, {}] for name in names}
    for name in names:
        np.testing.assert_array_equal(without.scores[name], one.scores[name])
    with pytest.raises(ValueError, match="search_trials is -1; 0 searches for nothing"):
        candidates.candidates(contract, 3, trials=-1)


def test_what_was_gained_by_hand():
    # .10 and .12 in two folds as in test_evaluation.test_pairs_by_hand; b has gained nothing
    def by_fold(**auc):
        rows = [
            {"model": model, "fold": fold, "roc_auc": value}
            for model, values in auc.items()
            for fold, value in enumerate(values)
        ]
        return pd.DataFrame(rows)

    table = significance.gained_over(
        by_fold(a=[0.8, 0.9], b=[0.7, 0.7]), by_fold(a=[0.7, 0.78], b=[0.7, 0.7]), ["a", "b"], 2
    )
    p = 1 - 2 / np.pi * np.arctan(0.11 / np.sqrt(0.0002 * 1.5))
    assert table.gained.tolist() == pytest.approx([0.11, 0])
    assert table.p_corrected.tolist() == pytest.approx([2 * p, 1])
    assert set(table.verdict) == {"not distinguishable"}


def test_chosen_settings_make_a_plain_model_whose_fast_answers_are_exact(some):
    """For a setting that each candidate's search draws, on its way through JSON."""
    contract, X, y = some
    drawn = {}
    for each in candidates.candidates(contract, 7):
        if each.estimator is not None:
            (setting,) = ParameterSampler(each.space, 1, random_state=7)
            drawn[each.name] = {key: np.asarray(value).item() for key, value in setting.items()}
    drawn["Random Forest"]["RandomForestClassifier__n_estimators"] = 20
    drawn["Tuned Random Forest"]["n_estimators"] = 20  # fewer are enough here
    chosen = json.loads(json.dumps(drawn))
    assert chosen == drawn
    told = candidates.settings(contract, 7, chosen=chosen)
    for name in [*chosen, "Soft-Voting Blend"]:
        model = candidates.decision_model(
            encoder(contract), candidates.estimator(name, contract, 7, chosen=chosen), 0.7
        )
        model.named_steps["decide"].fit(X, y)
        assert not re.search(rb"Search|creditrisk", pickle.dumps(model))
        assert chosen.get(name, {}).items() <= told[name].items()
        scorer = make_scorer(model, contract)
        assert scorer.fast == (name != "Gradient Boosting")  # which no tables know
        raw = decode(X, contract)
        apart = np.abs(scorer.probabilities(raw) - model.predict_proba(raw)[:, 1]).max()
        assert apart <= (0 if name.endswith("Forest") else 1e-15)
