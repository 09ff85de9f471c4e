"""The figures a decision rests on, each against an example small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from creditrisk import evaluation as ev
from creditrisk import models
from creditrisk.contract import read_contract
from creditrisk.data import encoder, read_raw, target

# Five applicants: good at .9 .8 .3, bad at .6 .2. Of 3 x 2 pairs, good leads in 5 (not .3 to .6).
Y = np.array([1, 1, 1, 0, 0])
SCORE = np.array([0.9, 0.8, 0.3, 0.6, 0.2])


def test_measures_by_hand():
    found = ev.measures(Y, SCORE)
    # at .5: .9 .8 right, .3 missed, .6 wrongly in, .2 right -> TP 2, FN 1, FP 1, TN 1
    expected = {
        "accuracy": 3 / 5,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "roc_auc": 5 / 6,
        "gini": 4 / 6,
        "ks": 2 / 3,  # from .8 on: two thirds of the good, none of the bad
        "brier": (0.01 + 0.04 + 0.49 + 0.36 + 0.04) / 5,
        "log_loss": -np.log([0.9, 0.8, 0.3, 0.4, 0.8]).mean(),
    }
    assert found == pytest.approx(expected)
    assert list(found) == ev.MEASURES


def test_delong_by_hand():
    # share of the 2 bad each good outranks: 1, 1, 1/2; of the 3 good each bad is under: 2/3, 1
    # variances (n - 1): 1/12 and 1/18; standard error sqrt(1/12/3 + 1/18/2)
    interval = ev.auc_interval(Y, SCORE)
    half = 1.959964 * np.sqrt(1 / 36 + 1 / 36)
    assert interval.estimate == pytest.approx(5 / 6)
    assert interval.low == pytest.approx(5 / 6 - half, abs=1e-6)
    assert interval.high == 1.0


def test_delong_agrees_with_the_bootstrap():
    generator = np.random.default_rng(1)
    y = (generator.random(400) < 0.7).astype(int)
    score = generator.normal(size=400) + y
    delong = ev.auc_interval(y, score)
    drawn = ev.bootstrap_interval(roc_auc_score, y, score, draws=1000, seed=2)
    assert delong.estimate == drawn.estimate == roc_auc_score(y, score)
    assert [delong.low, delong.high] == pytest.approx([drawn.low, drawn.high], abs=0.01)


def test_corrected_difference_by_hand():
    # differences .02 .04 .06: mean .04, variance .0004; inflated error sqrt(.0004 (1/3 + 1/2))
    gap = ev.corrected_difference([0.72, 0.74, 0.76], [0.70, 0.70, 0.70], 1 / 2)
    error = np.sqrt(0.0004 * 5 / 6)
    assert gap.estimate == pytest.approx(0.04)
    assert gap.high - gap.estimate == pytest.approx(4.302653 * error)  # t, 2 degrees, 97.5 %
    # two-sided p of t = .04 / error = 2.19089 with 2 degrees: 1 - t / sqrt(2 + t²)
    t = 0.04 / error
    assert gap.p == pytest.approx(1 - t / np.sqrt(2 + t * t))


def test_equal_models_are_no_difference():
    gap = ev.corrected_difference([0.7, 0.8], [0.7, 0.8], 1 / 9)
    assert (gap.estimate, gap.low, gap.high, gap.p) == (0, 0, 0, 1)


def test_wilson_by_hand():
    # 0 of 10: upper bound z² / (n + z²) with z = 1.959964
    interval = ev.share_interval(0, 10)
    assert (interval.estimate, interval.low) == (0, 0)
    assert interval.high == pytest.approx(3.841459 / 13.841459)


def test_weight_of_evidence_by_hand():
    # own: 3 good 1 bad; rent: 1 good 1 bad; all: 4 good 2 bad
    levels = pd.Series(["own"] * 4 + ["rent"] * 2)
    table = ev.risk_by_level(levels, pd.Series([1, 1, 1, 0, 1, 0]))
    assert table.loc["own", ["good", "bad"]].to_list() == [3, 1]
    assert table.bad_rate.to_dict() == {"own": 0.25, "rent": 0.5}
    assert table.woe.to_dict() == pytest.approx({"own": np.log(1.5), "rent": np.log(0.5)})
    # (3/4 - 1/2) ln 1.5 + (1/4 - 1/2) ln .5
    assert table.iv.sum() == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2))


def test_a_level_without_bad_loans_keeps_its_evidence_finite():
    table = ev.risk_by_level(pd.Series(["a", "a", "b", "b"]), pd.Series([1, 1, 1, 0]))
    assert np.isfinite(table.woe).all() and table.woe["a"] > 0


def test_cost_by_hand():
    # from .25 on: bad .6 in (5), bad .2 out, no good out -> 5/5; from .7: good .3 out -> 1/5
    costs = ev.expected_cost(Y, SCORE, [0.0, 0.25, 0.7, 1.0], 5, 1)
    assert costs.tolist() == [10 / 5, 5 / 5, 1 / 5, 3 / 5]


def test_calibration_of_true_and_of_doubled_odds():
    generator = np.random.default_rng(3)
    odds = generator.normal(size=20_000)
    y = (generator.random(20_000) < 1 / (1 + np.exp(-odds))).astype(int)
    true, extreme = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-2 * odds))
    assert ev.calibration_slope(y, true) == pytest.approx((1, 0), abs=0.06)
    assert ev.calibration_slope(y, extreme) == pytest.approx((0.5, 0), abs=0.06)
    table = ev.calibration_table(y, true, bins=5)
    assert table.applicants.to_list() == [4000] * 5
    assert (table.observed - table.predicted).abs().max() < 0.02


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2).filter(
        lambda rows: len({good for good, _ in rows}) == 2
    )
)
def test_auc_is_that_of_scikit_learn_and_inside_its_interval(rows):
    y, score = np.array([int(good) for good, _ in rows]), np.array([value for _, value in rows])
    if min(y.sum(), len(y) - y.sum()) < 2:
        return  # one applicant of a class has no variance
    interval = ev.auc_interval(y, score)
    assert interval.estimate == pytest.approx(roc_auc_score(y, score))
    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate <= interval.high + 1e-12 <= 1 + 2e-12


@pytest.fixture(scope="module")
def real():
    contract = read_contract(ROOT / "data/raw/datapackage.json")
    frame = read_raw(ROOT / "data/raw/german_credit_data.csv", contract)
    return contract, encoder(contract).transform(frame), target(frame, contract)


def test_out_of_fold_scores_are_those_of_models_that_did_not_see_them(real):
    """Recomputed for one fold with scikit-learn alone; the blend is the mean of its members."""
    contract, X, y = real
    chosen = [
        models.Candidate("shallow", "", RandomForestClassifier(5, max_depth=2, random_state=1)),
        models.Candidate("deep", "", RandomForestClassifier(5, random_state=1)),
        models.Candidate("both", "", members=("shallow", "deep")),
    ]
    found = ev.cross_validate(chosen, X, y, folds=5, repeats=2, seed=1, workers=1)
    assert found.fold.shape == found.scores["both"].shape == (2, 1000)
    for repeat in range(2):
        # 5 folds of 200 applicants, 60 of them bad in each
        counts = pd.crosstab(found.fold[repeat], y.to_numpy())
        assert counts.to_numpy().tolist() == [[60, 140]] * 5
    held_out = found.fold[1] == 3
    fitted = RandomForestClassifier(5, random_state=1).fit(X[~held_out], y[~held_out])
    expected = fitted.predict_proba(X[held_out])[:, 1]
    np.testing.assert_array_equal(found.scores["deep"][1, held_out], expected)
    mean = (found.scores["shallow"] + found.scores["deep"]) / 2
    np.testing.assert_array_equal(found.scores["both"], mean)


def test_workers_change_nothing(real):
    contract, X, y = real
    forest = models.candidates(contract, seed=3)[1:2]
    one, two = (
        ev.cross_validate(forest, X, y, folds=2, repeats=1, seed=3, workers=workers)
        for workers in (1, 2)
    )
    np.testing.assert_array_equal(one.scores["Random Forest"], two.scores["Random Forest"])


def test_results_are_means_over_folds_best_first():
    by_fold = pd.DataFrame(
        [{"model": m, "fold": f, **dict.fromkeys(ev.MEASURES, value)}
         for m, f, value in (("a", 0, 0.5), ("a", 1, 0.7), ("b", 0, 0.8), ("b", 1, 0.8))]
    )  # fmt: skip
    table = ev.results(by_fold)
    assert table.model.to_list() == ["b", "a"]
    # a: mean .6, standard deviation of .5 and .7 is .2 / sqrt 2
    assert table.loc[1, ["roc_auc", "roc_auc_sd", "folds"]].to_list() == pytest.approx(
        [0.6, 0.2 / np.sqrt(2), 2]
    )


def test_every_candidate_has_a_reason_and_blends_name_members(real):
    contract, X, y = real
    listed = models.candidates(contract, seed=1)
    names = [candidate.name for candidate in listed]
    assert {"Logistic Regression", "Random Forest"} <= set(names) and len(set(names)) == len(names)
    for candidate in listed:
        assert candidate.why and (candidate.estimator is None) == bool(candidate.members)
        assert set(candidate.members) <= set(names)
    assert set(models.settings(contract, 1)) == set(names)
