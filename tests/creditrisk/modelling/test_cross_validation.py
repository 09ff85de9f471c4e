"""Which model is better: the comparison, each figure against an example counted by hand."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests
from threadpoolctl import threadpool_limits

from creditrisk.data.contract import ContractError
from creditrisk.metrics import intervals, placements, ranking, weight_of_evidence
from creditrisk.modelling import candidates, cross_validation, optimism, significance
from work_units.errors import WorkersDied
from work_units.units import run_units

# Five applicants: good at .9 .8 .3, bad at .6 .2. Of 3 x 2 pairs, good leads in 5 (not .3 to .6).
Y = np.array([1, 1, 1, 0, 0])
SCORE = np.array([0.9, 0.8, 0.3, 0.6, 0.2])


def test_measures_by_hand():
    found = ranking.measures(Y, SCORE)
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
    assert list(found) == ranking.MEASURES


def test_corrected_difference_by_hand():
    # differences .02 .04 .06: mean .04, variance .0004; inflated error sqrt(.0004 (1/3 + 1/2))
    gap = significance.corrected_difference([0.72, 0.74, 0.76], [0.70, 0.70, 0.70], 1 / 2)
    error = np.sqrt(0.0004 * 5 / 6)
    assert gap.estimate == pytest.approx(0.04)
    assert gap.high - gap.estimate == pytest.approx(4.302653 * error)  # t, 2 degrees, 97.5%
    # two-sided p of t = .04 / error = 2.19089 with 2 degrees: 1 - t / sqrt(2 + t²)
    t = 0.04 / error
    assert gap.p == pytest.approx(1 - t / np.sqrt(2 + t * t))


def test_equal_models_are_no_difference():
    gap = significance.corrected_difference([0.7, 0.8], [0.7, 0.8], 1 / 9)
    assert (gap.estimate, gap.low, gap.high, gap.p) == (0, 0, 0, 1)


def test_holm_by_hand():
    # smallest .01 x 3; then .03 x 2; then .04 x 1 = .04, which may not lie below .06
    assert significance.holm([0.04, 0.01, 0.03]).tolist() == pytest.approx([0.06, 0.03, 0.06])


@settings(max_examples=5, deadline=None)  # statsmodels takes its time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_that_of_statsmodels(p):
    assert significance.holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def by_fold(**auc):
    return pd.DataFrame(
        [
            {"model": model, "fold": fold, "roc_auc": value}
            for model, values in auc.items()
            for fold, value in enumerate(values)
        ]
    )


def test_pairs_by_hand():
    # a leads b by .10 in one fold and .12 in the other: mean .11, s = .02/sqrt 2, inflated error
    # sqrt(.0002 (1/2 + 1/1)) with 2 folds; c equals b: a difference of 0 in each fold has p = 1
    table = significance.compare_pairs(
        by_fold(a=[0.8, 0.9], b=[0.7, 0.78], c=[0.7, 0.78]), ["a", "b", "c"], 2
    )
    assert list(zip(table.model, table.other)) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert table.gained.tolist() == pytest.approx([0.11, 0.11, 0])
    # t = .11 / .0173205 = 6.3509 with one degree of freedom: p = 1 - 2/pi atan t
    p = 1 - 2 / np.pi * np.arctan(0.11 / np.sqrt(0.0002 * 1.5))
    assert table.p.tolist() == pytest.approx([p, p, 1])
    assert table.p_corrected.tolist() == pytest.approx([3 * p, 3 * p, 1])  # about .3: no verdict
    assert set(table.verdict) == {"not distinguishable"}


def test_one_standard_error_by_hand():
    """Best: mean .8 of .7 .8 .9, SD .1, three folds of one repeat: error .1 sqrt(1/3 + 1/2)."""
    scores = {"plain": [0.70, 0.72, 0.74], "middle": [0.6, 0.6, 0.6], "best": [0.7, 0.8, 0.9]}
    rows = [(m, fold, auc) for m, folds in scores.items() for fold, auc in enumerate(folds)]
    by_fold = pd.DataFrame(rows, columns=["model", "fold", "roc_auc"])
    found = significance.one_standard_error(by_fold, list(scores), folds=3)
    assert found.error == pytest.approx(0.1 * np.sqrt(5 / 6))  # .0913
    assert (found.model, found.roc_auc) == ("plain", pytest.approx(0.72))  # .8 - .0913 <= .72
    assert significance.one_standard_error(by_fold, ["middle", "best"], folds=3).model == "best"
    mean = significance.mean_interval(by_fold, "best", folds=3)
    half = 4.302653 * 0.1 * np.sqrt(5 / 6)  # t with two degrees of freedom
    assert (mean.estimate, mean.low) == (pytest.approx(0.8), pytest.approx(0.8 - half))
    assert mean.high == 1  # and not .8 + .393: no ROC-AUC is higher


def test_chance_is_named_as_such():
    steady = [0.70 + 0.001 * i for i in range(10)]
    coin = [0.5 + (-1) ** i * 0.05 for i in range(10)]
    table = significance.above_chance(by_fold(good=steady, coin=coin), ["good", "coin"], 10)
    assert table.verdict.to_dict() == {
        "good": "better than chance",
        "coin": "not distinguishable from chance",
    }


@given(st.integers(0, 10_000))
def test_fast_auc_is_that_of_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    y = np.r_[0, 1, generator.integers(0, 2, 20)]
    scores = generator.integers(0, 5, (3, 22)) / 4  # many ties
    assert placements.fast_auc(y, scores) == pytest.approx(
        [roc_auc_score(y, each) for each in scores]
    )


def test_picking_the_best_of_many_coins_is_seen_through():
    """Twenty models that guess: the best looks better than a coin, and is not."""
    generator = np.random.default_rng(4)
    y = generator.integers(0, 2, 300)
    coins = {f"coin {number}": generator.random((1, 300)) for number in range(20)}
    found = optimism.selection(
        cross_validation.OutOfFold(y, np.zeros((1, 300), int), coins), draws=300, seed=1
    )
    assert found.picked > 0.54 and found.optimism > 0.03
    assert found.corrected.low < 0.5 < found.corrected.high
    one = dict([next(iter(coins.items()))])
    alone = optimism.selection(
        cross_validation.OutOfFold(y, np.zeros((1, 300), int), one), draws=300, seed=1
    )
    assert abs(alone.optimism) < 0.01 and alone.shares.to_dict() == {"coin 0": 1.0}


def test_a_candidate_that_fails_is_a_row_with_its_error(real):
    _contract, X, y = real
    broken = LogisticRegression(C=-1)
    chosen = [
        candidates.Candidate("sound", "", LogisticRegression(C=0.01, max_iter=5000)),
        candidates.Candidate("broken", "", broken),
        candidates.Candidate("both", "", members=("sound", "broken")),
    ]
    found = cross_validation.cross_validate(chosen, X, y, folds=2, repeats=1, seed=1, workers=1)
    table = cross_validation.results(found.fold_measures(), found.errors)
    assert table.model.to_list() == ["sound", "broken", "both"]
    assert table.error[0] == "" and table.roc_auc.notna().to_list() == [True, False, False]
    assert "'C' parameter" in table.error[1] and table.error[2].startswith(
        "its member broken failed"
    )


def test_more_folds_than_bad_loans_is_refused_with_a_remedy(real):
    _contract, X, y = real
    few = np.r_[np.flatnonzero(y == 0)[:4], np.flatnonzero(y == 1)[:50]]
    with pytest.raises(ValueError, match="one class has 4; set folds to at most 4"):
        cross_validation.cross_validate([], X.iloc[few], y.iloc[few], folds=5, repeats=1, seed=1)
    for folds, repeats in ((1, 1), (2, 0)):
        with pytest.raises(ValueError, match="at least 2 and 1 are needed"):
            cross_validation.cross_validate([], X, y, folds=folds, repeats=repeats, seed=1)


def test_a_comparison_of_nothing_but_failures_says_why(real):
    _contract, X, y = real
    broken = [candidates.Candidate("broken", "", LogisticRegression(C=-1))]
    with pytest.raises(ValueError, match="no candidate could be fitted: broken: .*'C' parameter"):
        cross_validation.cross_validate(broken, X, y, folds=2, repeats=1, seed=1, workers=1)


@threadpool_limits.wrap(limits=1)  # boosting's threads would wait for those of other tests
def test_columns_left_out_change_nothing_when_they_change(real):
    """A model without Sex and Age answers the same when these alone are altered; with them, not."""
    contract, X, y = real
    X, y = X[::4], y[::4]  # enough for each model to use what it is given
    altered = X.assign(Age=X.Age + 9, Sex_male=X.Sex_female, Sex_female=X.Sex_male)
    for exclude, same in (((), False), (("Sex", "Age"), True)):
        for each in candidates.candidates(contract, 1, exclude):
            if each.name in ("Tuned Random Forest", "Soft-Voting Blend"):
                continue  # the forest is one of the two above, and slow
            fitted = candidates.estimator(each.name, contract, 1, exclude).fit(X, y)
            before, after = fitted.predict_proba(X), fitted.predict_proba(altered)
            assert np.allclose(before, after, rtol=0, atol=1e-12) == same, (each.name, exclude)


def test_wilson_by_hand():
    # 0 of 10: upper bound z² / (n + z²) with z = 1.959964
    interval = intervals.share_interval(0, 10)
    assert (interval.estimate, interval.low) == (0, 0)
    assert interval.high == pytest.approx(3.841459 / 13.841459)


def test_weight_of_evidence_by_hand():
    # own: 3 good 1 bad; rent: 1 good 1 bad; all: 4 good 2 bad
    levels = pd.Series(["own"] * 4 + ["rent"] * 2)
    table = weight_of_evidence.risk_by_level(levels, pd.Series([1, 1, 1, 0, 1, 0]))
    assert table.loc["own", ["good", "bad"]].to_list() == [3, 1]
    assert table.bad_rate.to_dict() == {"own": 0.25, "rent": 0.5}
    assert table.woe.to_dict() == pytest.approx({"own": np.log(1.5), "rent": np.log(0.5)})
    # (3/4 - 1/2) ln 1.5 + (1/4 - 1/2) ln .5
    assert table.iv.sum() == pytest.approx(0.25 * np.log(1.5) + 0.25 * np.log(2))


def test_a_level_without_bad_loans_keeps_its_evidence_finite():
    table = weight_of_evidence.risk_by_level(
        pd.Series(["a", "a", "b", "b"]), pd.Series([1, 1, 1, 0])
    )
    assert np.isfinite(table.woe).all() and table.woe["a"] > 0


def test_out_of_fold_scores_are_those_of_models_that_did_not_see_them(real):
    """Recomputed for one fold with scikit-learn alone; the blend is the mean of its members."""
    _contract, X, y = real
    chosen = [
        candidates.Candidate("shallow", "", RandomForestClassifier(5, max_depth=2, random_state=1)),
        candidates.Candidate("deep", "", RandomForestClassifier(5, random_state=1)),
        candidates.Candidate("both", "", members=("shallow", "deep")),
    ]
    found = cross_validation.cross_validate(chosen, X, y, folds=5, repeats=2, seed=1, workers=1)
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


def test_a_worker_that_is_killed_is_replaced_and_one_that_always_is_an_error(tmp_path):
    assert run_units(pow, [(n, 2) for n in range(5)], workers=2) == [0, 1, 4, 9, 16]
    units = [(tmp_path / str(number), number) for number in range(5)]
    assert run_units(fragile, units, workers=2) == [0, 1, 4, 9, 16]
    assert len(list(tmp_path.iterdir())) == 5  # each killed its worker once
    with pytest.raises(
        WorkersDied, match="workers died 5 times, as they do when memory runs out"
    ) as e:
        run_units(os._exit, [(1,), (1,)], workers=2)
    assert e.value.numbers == [0, 1]


def fragile(seen, number):
    """The square of a number, at the second attempt."""
    if not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_workers_change_nothing(real):
    contract, X, y = real
    forest = candidates.candidates(contract, seed=3)[1:2]
    one, two = (
        cross_validation.cross_validate(
            forest, X[:300], y[:300], folds=2, repeats=1, seed=3, workers=workers
        )
        for workers in (1, 2)
    )
    np.testing.assert_array_equal(one.scores["Random Forest"], two.scores["Random Forest"])


def test_results_are_means_over_folds_best_first():
    by_fold = pd.DataFrame(
        [
            {"model": m, "fold": f, **dict.fromkeys(ranking.MEASURES, value)}
            for m, f, value in (("a", 0, 0.5), ("a", 1, 0.7), ("b", 0, 0.8), ("b", 1, 0.8))
        ]
    )
    table = cross_validation.results(by_fold)
    assert table.model.to_list() == ["b", "a"]
    # a: mean .6, standard deviation of .5 and .7 is .2 / sqrt 2
    assert table.loc[1, ["roc_auc", "roc_auc_sd", "folds"]].to_list() == pytest.approx(
        [0.6, 0.2 / np.sqrt(2), 2]
    )


def test_every_candidate_has_a_reason_and_blends_name_members(real):
    contract, _X, _y = real
    listed = candidates.candidates(contract, seed=1)
    names = [candidate.name for candidate in listed]
    assert {"Logistic Regression", "Random Forest"} <= set(names) and len(set(names)) == len(names)
    for candidate in listed:
        assert candidate.why and (candidate.estimator is None) == bool(candidate.members)
        assert set(candidate.members) <= set(names)
    assert set(candidates.settings(contract, 1)) == set(names)
    with pytest.raises(ContractError, match="did you mean 'Sex'"):
        candidates.candidates(contract, 1, exclude=["sex"])
