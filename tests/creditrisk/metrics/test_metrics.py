"""What one scored sample proves, and what decisions on it cost: by hand or by a second library."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from published import CONTRACT
from scipy.stats import chi2, ks_2samp
from sklearn.metrics import roc_auc_score

from creditrisk.metrics import (
    calibration,
    costs,
    cutoff_choice,
    intervals,
    placements,
    ranking,
    stability,
    weight_of_evidence,
)

# Five applicants: good at .9 .8 .3, bad at .6 .2. Of 3 x 2 pairs, good leads in 5 (not .3 to .6).
Y = np.array([1, 1, 1, 0, 0])
SCORE = np.array([0.9, 0.8, 0.3, 0.6, 0.2])


def sample(n=400, seed=1):
    """Outcomes drawn from true probabilities."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(0.8, 1, n)
    true = 1 / (1 + np.exp(-odds))
    return (generator.random(n) < true).astype(int), true


def test_delong_by_hand():
    # share of the 2 bad each good outranks: 1, 1, 1/2; of the 3 good each bad is under: 2/3, 1
    # variances (n - 1): 1/12 and 1/18; standard error sqrt(1/12/3 + 1/18/2)
    interval = ranking.auc_interval(Y, SCORE)
    half = 1.959964 * np.sqrt(1 / 36 + 1 / 36)
    assert interval.estimate == pytest.approx(5 / 6)
    assert interval.low == pytest.approx(5 / 6 - half, abs=1e-6)
    assert interval.high == 1.0


def test_delong_agrees_with_the_bootstrap():
    generator = np.random.default_rng(1)
    y = (generator.random(400) < 0.7).astype(int)
    score = generator.normal(size=400) + y
    delong = ranking.auc_interval(y, score)
    drawn = intervals.bootstrap_interval(
        lambda y, score: placements.fast_auc(y, score[None])[0], y, score, draws=1000, seed=2
    )
    assert delong.estimate == drawn.estimate == roc_auc_score(y, score)
    assert [delong.low, delong.high] == pytest.approx([drawn.low, drawn.high], abs=0.01)


def test_paired_delong_by_hand():
    # The other score outranks: good .9 beats both bad, .4 beats one, .3 beats one -> 1, 1/2, 1/2;
    # bad .35 is under 2 of 3 good, .2 under all, so that its ROC-AUC is (1 + 1/2 + 1/2) / 3 = 2/3
    other = np.array([0.9, 0.4, 0.3, 0.5, 0.2])
    # placements of the good differ by 0, 1/2, 0 (mean 1/6, variance 1/12); of the bad .6/.5 by
    # 2/3 - 1/3 = 1/3 and 1 - 1 = 0 (variance 1/18)
    lead = ranking.auc_difference(Y, SCORE, other)
    assert lead.estimate == pytest.approx(5 / 6 - 4 / 6)
    half = 1.959964 * np.sqrt(1 / 12 / 3 + 1 / 18 / 2)
    assert lead.high == pytest.approx(1 / 6 + half, abs=1e-6)
    assert ranking.auc_difference(Y, SCORE, SCORE) == intervals.Interval(0.0, 0.0, 0.0, 1.0)


def test_paired_interval_is_narrower_than_two_single_ones_and_agrees_with_the_bootstrap():
    y, true = sample()
    noisy = true + np.random.default_rng(5).normal(0, 0.03, len(y))
    lead = ranking.auc_difference(y, true, noisy)
    drawn = intervals.bootstrap_interval(
        lambda y, a, b: -np.diff(placements.fast_auc(y, np.stack([a, b])))[0],
        y,
        true,
        noisy,
        draws=1000,
        seed=2,
    )
    assert [lead.low, lead.high] == pytest.approx([drawn.low, drawn.high], abs=0.01)
    single = ranking.auc_interval(y, true)
    assert lead.high - lead.low < (single.high - single.low) / 2


def test_cost_by_hand():
    # from .25 on: bad .6 in (5), bad .2 out, no good out -> 5/5; from .7: good .3 out -> 1/5
    found = costs.expected_cost(Y, SCORE, [0.0, 0.25, 0.7, 1.0], 5, 1)
    assert found.tolist() == [10 / 5, 5 / 5, 1 / 5, 3 / 5]


def test_optimism_of_a_cutoff_is_that_of_a_plain_loop():
    generator = np.random.default_rng(3)
    y, scores = generator.integers(0, 2, 60), generator.random((2, 60))
    found = cutoff_choice.cutoff_optimism(y, scores, 5, 1, draws=20, seed=4)
    again, inside, outside = np.random.default_rng(4), [], []
    for _ in range(20):
        rows = again.integers(0, 60, 60)
        rest = np.setdiff1d(np.arange(60), rows)
        cost = [
            np.mean([costs.expected_cost(y[w], s[w], costs.CUTOFFS, 5, 1) for s in scores], axis=0)
            for w in (rows, rest)
        ]
        cheapest = cost[0].argmin()
        inside.append(cost[0][cheapest])
        outside.append(cost[1][cheapest])
    assert found.in_bag == pytest.approx(np.mean(inside))
    assert found.out_of_bag == pytest.approx(np.mean(outside))
    assert found.out_of_bag > found.in_bag  # these scores are noise: the lowest cost was luck


def test_decisions_by_cutoff_by_hand():
    # from .5 on: .9 .8 .6 approved, one of them bad; of two bad one is declined
    table = costs.decisions_by_cutoff(Y, SCORE, [0.5, 0.95])
    assert table.loc[0.5].tolist() == pytest.approx([3 / 5, 1 / 3, 1 / 2])
    assert table.loc[0.95, "approved"] == 0 and np.isnan(table.loc[0.95, "bad_among_approved"])


def test_probability_at_another_bad_rate_by_hand():
    # odds .5 : .5 at 30% bad; at 10% bad they grow by (.9/.1) / (.7/.3) = 27/7 -> 27/34
    assert calibration.correct_prior([0.5], 0.3, 0.1) == pytest.approx([27 / 34])
    assert costs.break_even(5, 1) == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ((-5, 1, 0.3), "neither may be negative"),
        ((0, 0, 0.3), "nor both 0"),
        ((5, 1, 0), "real_bad_rate is 0"),
        ((5, 1, 1), "between 0 and 1"),
    ],
)
def test_costs_and_rates_that_decide_nothing_are_refused(odd, said):
    with pytest.raises(ValueError, match=said):
        costs.check_costs(*odd)


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_prior_correction_can_be_undone_and_the_base_rate_becomes_the_other(p, here, there):
    moved = calibration.correct_prior([p], here, there)
    assert calibration.correct_prior(moved, there, here) == pytest.approx([p])
    assert calibration.correct_prior([1 - here], here, there) == pytest.approx([1 - there])


def test_calibration_line_is_the_logistic_regression_of_statsmodels():
    y, true = sample()
    extreme = 1 / (1 + np.exp(-2 * np.log(true / (1 - true)) - 0.3))
    line = calibration.calibration_line(y, extreme)
    odds = np.log(extreme / (1 - extreme))
    fit = sm.Logit(y, sm.add_constant(odds)).fit(disp=False)
    (low0, high0), (low1, high1) = fit.conf_int()
    ours = line.intercept, line.slope
    assert [each.estimate for each in ours] == pytest.approx(fit.params, abs=1e-4)
    assert [each.low for each in ours] == pytest.approx([low0, low1], abs=1e-4)
    assert [each.high for each in ours] == pytest.approx([high0, high1], abs=1e-4)
    assert line.slope.low < 0.5 < line.slope.high  # the odds were doubled


@pytest.mark.parametrize(
    ("score", "why"),
    [([0.5] * 5, "all scores are equal"), ([0.9, 0.8, 0.7, 0.2, 0.1], "separate good from bad")],
)
def test_no_line_is_said_in_words_where_there_is_none(score, why):
    line = calibration.calibration_line(Y, np.array(score))
    assert line.slope is None and why in str(line)
    assert set(line.figures.values()) == {None}
    # and nothing else fails or warns on such scores
    assert ranking.score_bands(Y, score).applicants.sum() == 5
    assert calibration.calibration_table(Y, score).applicants.sum() == 5
    assert np.isfinite(list(calibration.brier_parts(Y, score).values())).all()
    assert stability.score_stability(np.array(score), np.array(score)).psi == 0


def test_brier_parts_by_hand():
    # two bins: .2 .4 (one good), .6 .8 (both good); predicted .3 and .7, observed .5 and 1
    parts = calibration.brier_parts([0, 1, 1, 1], [0.2, 0.4, 0.6, 0.8], bins=2)
    assert parts["brier"] == pytest.approx((0.04 + 0.36 + 0.16 + 0.04) / 4)
    assert parts["reliability"] == pytest.approx((2 * 0.2**2 + 2 * 0.3**2) / 4)
    assert parts["resolution"] == pytest.approx(0.25**2)  # base rate .75, both bins .25 off
    assert parts["uncertainty"] == pytest.approx(0.75 * 0.25)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_brier_parts_add_up_and_bands_hold_everybody(seed, bins):
    y, score = sample(60, seed)
    parts = calibration.brier_parts(y, score.round(1), bins)
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within"]
    assert total == pytest.approx(parts["brier"]) and parts["reliability"] >= 0
    bands = ranking.score_bands(y, score.round(1), bins)
    assert (bands.applicants.sum(), bands.bad.sum()) == (60, (y == 0).sum())
    assert (bands.score_from[1:].to_numpy() > bands.score_to[:-1].to_numpy()).all()


def test_bands_by_hand():
    # two bands of five: .2 .3 (1 good, 1 bad) and .6 .8 .9 (2 good, 1 bad); the median goes below
    bands = ranking.score_bands(Y, SCORE, bands=2)
    assert bands.applicants.tolist() == [3, 2] and bands.bad.tolist() == [2, 0]
    assert bands.bad_so_far.tolist() == [1, 1] and bands.good_so_far.tolist() == pytest.approx(
        [1 / 3, 1]
    )
    assert (bands.bad_so_far - bands.good_so_far).max() == pytest.approx(
        ks_2samp(SCORE[Y == 1], SCORE[Y == 0]).statistic
    )
    assert [ranking.ks(Y, SCORE), ranking.measures(Y, SCORE)["ks"]] == pytest.approx([2 / 3, 2 / 3])


def test_stability_by_hand():
    # shares .5 .5 before, .6 .4 after: .1 ln 1.2 - .1 ln .8; chi-squared(1) 95% is 3.841459
    found = stability.population_stability_index([50, 50], [60, 40])
    assert found.psi == pytest.approx(0.1 * np.log(1.2) - 0.1 * np.log(0.8))
    # simulated on counts that are whole numbers, so the limit is one of few values near it
    assert found.by_chance == pytest.approx(3.841459 * (1 / 100 + 1 / 100), rel=0.15)
    assert (
        not found.shifted and stability.population_stability_index([500, 500], [700, 300]).shifted
    )
    # a bin empty after: half an applicant is added to both counts of that bin
    assert np.isfinite(stability.population_stability_index([5, 5], [10, 0]).psi)


def test_stability_exceeds_its_bound_as_often_as_it_says(monkeypatch):
    """Two samples of one population: about 5% of 400 draws beyond the bound."""
    monkeypatch.setattr(stability, "DRAWS", 2_000)  # enough: the 5% are then 5 +- .5
    generator = np.random.default_rng(6)
    draws = [
        stability.score_stability(generator.normal(size=800), generator.normal(size=200)).shifted
        for _ in range(400)
    ]
    assert 0.02 <= np.mean(draws) <= 0.09  # binomial: .05 +- 4 x .011
    # 12 of 800 before and none of 200 after happens in .8 ** 12 = 7% of splits: no alarm, although
    # the padded bin alone gives .0131 ln 6.25 = .0240, what chi-squared's 95% point makes of it
    assert not stability.population_stability_index([788, 12], [200, 0]).shifted


def test_a_quantity_that_is_never_known_in_one_sample_is_not_of_the_same_population():
    part = replace(CONTRACT["Duration"], name="part", required=False)
    contract = replace(CONTRACT, fields=(part,))
    known = pd.DataFrame({"part": np.arange(40.0), "part_nan": 0.0})
    half = known.assign(part=known.part.where(known.part % 4 > 1), part_nan=known.part % 4 < 2)
    none = known.assign(part=np.nan, part_nan=1.0)
    # no value to compare; 20 of 40 against 40 of 40 missing: chi-squared, corrected for continuity,
    # is 80 (20 x 40 - 40)^2 / (60 x 20 x 40 x 40) = 24.07, whose p-value counts twice
    found = stability.same_population(half, none, contract)["part"]
    assert found == pytest.approx(2 * chi2.sf(80 * 760**2 / (60 * 20 * 40 * 40), 1))
    assert stability.same_population(half, half, contract)["part"] == 1
    assert stability.same_population(known, known, contract)["part"] == 1  # missing in neither


def test_a_column_called_score_is_not_taken_for_that_of_the_model():
    score = replace(CONTRACT["Duration"], name="score", title="Score")
    contract = replace(CONTRACT, fields=(score,))
    before, after = (pd.DataFrame({"score": np.tile(each, 50)}) for each in ([6, 12], [12, 18]))
    model = np.linspace(0.1, 0.9, 100)
    found = stability.stability_table(before, after, contract, model, model)
    assert list(found.index) == ["Score", "Score of the model"]
    assert found.psi["Score"] > 1 and found.psi["Score of the model"] == 0
    assert stability.score_title(CONTRACT) == "Score"


def test_segments_that_are_too_small_say_so():
    y, score = sample(300)
    kind = pd.Series(np.where(np.arange(300) < 280, "many", "few"))
    kind[[298, 299]] = "one"
    y[[298, 299]] = 1
    table = ranking.by_segment(y, score, kind)
    inside = kind == "many"
    assert table.roc_auc["many"] == pytest.approx(roc_auc_score(y[inside], score[inside]))
    assert table.note["one"] == "only good risks" and table.note["few"].startswith("too few")
    assert table.roc_auc[["one", "few"]].isna().all() and table.applicants.sum() == 300


def test_roc_auc_of_one_bad_loan_is_refused():
    with pytest.raises(ValueError, match="two good and two bad, not 2 and 1"):
        ranking.auc_interval([1, 1, 0], [0.5, 0.6, 0.4])


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2).filter(
        lambda rows: len({good for good, _ in rows}) == 2
    )
)
def test_auc_is_that_of_scikit_learn_and_inside_its_interval(rows):
    y, score = np.array([int(good) for good, _ in rows]), np.array([value for _, value in rows])
    if min(y.sum(), len(y) - y.sum()) < 2:
        return  # one applicant of a class has no variance
    interval = ranking.auc_interval(y, score)
    assert interval.estimate == pytest.approx(roc_auc_score(y, score))
    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate <= interval.high + 1e-12 <= 1 + 2e-12


def test_the_auc_that_scores_imply_of_alike_applicants_is_low():
    # pairs (i good, j bad), each weighted p_i (1 - p_j): (.8, .4) .48 ranked rightly, (.4, .8) .08
    # wrongly; .48 of .56
    assert ranking.implied_auc(np.array([0.4, 0.8])) == pytest.approx(0.48 / 0.56)
    # with a third applicant at .8: right .48 + .48, wrong .08 + .08, tied twice .16, half counted
    assert ranking.implied_auc(np.array([0.8, 0.4, 0.8])) == pytest.approx(1.12 / 1.44)
    assert ranking.implied_auc(np.full(50, 0.7)) == pytest.approx(0.5)
    assert np.isnan(ranking.implied_auc(np.ones(3)))
    generator = np.random.default_rng(5)
    score = generator.uniform(size=400)
    found = [
        ranking.auc_interval(generator.random(400) < score, score).estimate for _ in range(200)
    ]
    assert ranking.implied_auc(score) == pytest.approx(np.mean(found), abs=0.005)


def test_a_dearer_cutoff_between_ends_the_stretch_that_is_about_as_cheap():
    # one bad at .5 among goods: from .51 on nothing bad is approved; from .61 on each good declined
    # costs .1 of an applicant more, so the stretch is .51 to .60 though 1 of 10 is not within .02
    y = np.array([0] + [1] * 9)
    scores = np.array([[0.5, *np.linspace(0.6, 0.98, 9)]])
    choice = cutoff_choice.cheapest_cutoff(y, scores, 5.0, 1.0)
    assert choice.about_as_cheap == pytest.approx((0.51, 0.60)) and choice.cost == 0


def test_information_by_chance():
    # 2 levels, 4 good and 4 bad: 1 · (1/4 + 1/4)
    field = CONTRACT["Sex"]
    frame = pd.DataFrame({"Sex": ["female", "male"] * 4})
    y = pd.Series([1, 1, 1, 1, 0, 0, 0, 0])
    assert weight_of_evidence.chance_values(frame, y, [field], 5)[field.title] == pytest.approx(0.5)
