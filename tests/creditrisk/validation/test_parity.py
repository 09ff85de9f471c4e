"""Groups within strata, what parity costs, and groups where protected columns meet."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_ratio
from published import CONTRACT
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from creditrisk.data.encoding import decode
from creditrisk.metrics.association import stratified
from creditrisk.validation.fairness import parity
from creditrisk.validation.fairness.intersections import intersections

#: Two strata, each [[approved, declined] of the group, the same of the others].
TABLES = [np.array([[10, 10], [30, 10]]), np.array([[4, 16], [2, 18]])]


def unfolded(tables):
    """Outcome, group and stratum of each applicant in tables."""
    rows = [
        (outcome == 0, group == 0, number)
        for number, table in enumerate(tables)
        for group in (0, 1)
        for outcome in (0, 1)
        for _ in range(table[group, outcome])
    ]
    return map(np.array, zip(*rows))


def test_strata_by_hand_and_as_statsmodels_has_them():
    found = stratified(*unfolded(TABLES))
    # Odds: (10 · 10 / 60 + 4 · 18 / 40) / (10 · 30 / 60 + 16 · 2 / 40) = 3.4667 / 5.8
    assert found.odds_ratio.estimate == pytest.approx((100 / 60 + 72 / 40) / (5 + 0.8))
    # Differences .5 - .75 and .2 - .1 with the weights 20 · 40 / 60 and 20 · 20 / 40
    weights = 800 / 60, 10
    by_hand = (-0.25 * weights[0] + 0.1 * weights[1]) / sum(weights)
    assert found.difference.estimate == pytest.approx(by_hand)
    assert (found.strata, found.applicants) == (2, 100)
    other = StratifiedTable(TABLES)
    assert found.odds_ratio.estimate == pytest.approx(other.oddsratio_pooled)
    ends = found.odds_ratio.low, found.odds_ratio.high
    assert ends == pytest.approx(other.oddsratio_pooled_confint())
    assert found.odds_ratio.p == pytest.approx(other.test_null_odds(correction=False).pvalue)


def test_of_one_stratum_the_difference_has_the_usual_interval():
    found = stratified(*unfolded(TABLES[:1])).difference
    # √(.5 · .5 / 20 + .75 · .25 / 40)
    half = stats.norm.ppf(0.975) * np.sqrt(0.25 / 20 + 0.1875 / 40)
    assert (found.estimate, found.low) == pytest.approx((-0.25, -0.25 - half))


def test_the_interval_holds_for_many_small_strata():
    """30 strata of some four applicants each, and no difference within any of them."""
    generator, missed = np.random.default_rng(1), 0
    for _ in range(400):
        stratum = np.repeat(np.arange(30), 4)
        inside = generator.random(len(stratum)) < 0.25
        outcome = generator.random(len(stratum)) < generator.uniform(0.1, 0.6, 30)[stratum]
        found = stratified(outcome, inside, stratum).difference
        missed += not found.low <= 0 <= found.high
    # 5% are missed, with a standard error of 1.1; Greenland and Robins's variance misses 25%.
    assert 0.02 <= missed / 400 <= 0.085


def test_strata_that_say_nothing():
    alone = np.array([[5, 5], [0, 0]])
    assert stratified(*unfolded([alone])) is None
    approved = stratified(*unfolded([np.array([[5, 0], [7, 0]]), alone]))
    assert approved.odds_ratio is None and approved.strata == 1
    assert approved.difference.estimate == 0


def test_a_difference_that_a_factor_explains():
    """Of each kind of housing half, or all, are approved of either sex; women rent more often."""
    rows = [
        (sex, housing, number < yes)
        for sex, housing, count, yes in (
            ("female", "rent", 40, 20),
            ("female", "own", 10, 10),
            ("male", "rent", 20, 10),
            ("male", "own", 80, 80),
        )
        for number in range(count)
    ]
    frame = pd.DataFrame(rows, columns=["Sex", "Housing", "approve"])
    stratum = parity.strata(frame, [CONTRACT["Housing"]])
    groups = {"Sex": frame.Sex}
    (row,) = parity.conditional_parity(frame.approve.to_numpy(), groups, stratum).to_dict("records")
    assert (row["group"], row["against"], row["applicants"]) == ("female", "male", 150)
    assert row["raw"] == pytest.approx(0.6 - 0.9) and row["difference"] == pytest.approx(0)
    assert row["odds_ratio"] == pytest.approx(1) and row["strata"] == 2
    unexplained = parity.conditional_parity(
        frame.approve.to_numpy(), groups, parity.strata(frame, [])
    )
    assert unexplained.difference[0] == pytest.approx(row["raw"]) and unexplained.high[0] < 0


def test_factors_are_those_named_or_the_strongest_that_are_not_protected():
    importance = pd.DataFrame({"field": ["Age", "Duration", "Housing", "Job"]})

    def names(*named):
        return [field.name for field in parity.factors(named, importance, CONTRACT)]

    assert names() == ["Duration", "Housing"] and names("Job") == ["Job"]
    with pytest.raises(ValueError, match="'Sex' is protected; choose from Job, Housing"):
        names("Sex")
    with pytest.raises(ValueError, match="'Jobs' is no column of an application"):
        names("Jobs")


def test_the_price_of_parity_by_hand():
    """Men score .3 and .8, women .3 and .6; those with .3 are bad, the others good."""
    score = np.repeat([0.3, 0.8, 0.3, 0.6], [10, 30, 20, 20])
    sex = pd.Series(np.repeat(["male", "female"], 40))
    y = (score > 0.5).astype(int)
    cutoffs = np.array([0.2, 0.5, 0.7, 0.9])
    curve = parity.trade_off(y, score, {"Sex": sex}, cutoffs, (5, 1))
    # All: 30 bad of 80 at 5. From .5 on nobody errs. From .7 on 20 good women are declined.
    assert curve.cost.tolist() == pytest.approx([5 * 30 / 80, 0, 20 / 80, 50 / 80])
    # Of the women 1, 20/40 and 0 are approved; of the men 1, 30/40 and 30/40.
    assert curve.ratio[:0.7].tolist() == pytest.approx([1, (20 / 40) / (30 / 40), 0])
    assert np.isnan(curve.ratio[0.9]) and curve.group[0.5] == "female"
    for cutoff in (0.2, 0.5, 0.7):
        other = demographic_parity_ratio(y, score >= cutoff, sensitive_features=sex)
        assert curve.ratio[cutoff] == pytest.approx(other)
    assert parity.cheapest_fair(curve, 0.6) == 0.5 and parity.cheapest_fair(curve, 0.8) == 0.2
    assert parity.cheapest_fair(curve[0.5:], 0.8) is None
    extra = parity.extra_cost(y, score, 0.5, 0.2, (5, 1), draws=50, seed=1)
    assert extra.estimate == pytest.approx(5 * 30 / 80)


def test_intersections_by_hand():
    """Three protected columns; of the eight groups of three only those of ten or more."""
    job = replace(CONTRACT["Housing"], protected=True)
    fields = tuple(job if each.name == "Housing" else each for each in CONTRACT.fields)
    contract = replace(CONTRACT, fields=fields)
    kinds = [
        # age, sex, housing, how many, approved
        (20, "female", "rent", 10, 1),
        (20, "male", "own", 9, 9),
        (40, "female", "own", 21, 14),
        (40, "male", "own", 60, 40),
    ]
    rows = [
        (*kind[:3], number < kind[4]) for kind in kinds for number in range(kind[3])
    ]  # 100 applicants, 64 approved
    frame = pd.DataFrame(rows, columns=["Age", "Sex", "Housing", "approve"])
    found = intersections(frame, frame.approve.to_numpy(), contract)
    titles = {"Age", "Sex", "Housing", "Age and Sex", "Age and Housing", "Sex and Housing"}
    assert set(found.grouping) == {*titles, "Age and Sex and Housing"}
    by_all = found[found.grouping == "Age and Sex and Housing"].set_index("group")
    assert by_all.applicants.to_dict() == {
        "age to 25, female, rent": 10,
        "age over 25, female, own": 21,
        "age over 25, male, own": 60,
    }
    first = found.iloc[0]
    assert "rent" in first.group and first.ratio == pytest.approx((1 / 10) / (63 / 90))
    assert first.p == pytest.approx(stats.fisher_exact([[1, 9], [63, 27]]).pvalue)
    # Of age, sex and housing the smaller group, age and sex 3 (9 young men are too few), age and
    # housing 2 (the same 9), sex and housing 3, and the three above.
    assert len(found) == 1 + 1 + 1 + 3 + 2 + 3 + 3
    assert first.p_corrected == pytest.approx(min(1, first.p * len(found)))


def test_equal_groups_are_not_told_apart(real):
    """Decisions drawn at random: hardly ever is a group found, however many are looked at."""
    frame, generator = decode(real[1], real[0]), np.random.default_rng(3)
    found = [
        intersections(frame, generator.random(len(frame)) < 0.6, CONTRACT).p_corrected.min() < 0.05
        for _ in range(40)
    ]
    assert sum(found) <= 5
