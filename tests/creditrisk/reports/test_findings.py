"""The sentences of the reports: each branch, from figures made up for it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT

from creditrisk.metrics.calibration import CalibrationLine
from creditrisk.metrics.cutoff_choice import CutoffChoice, CutoffOptimism
from creditrisk.metrics.intervals import Interval
from creditrisk.modelling.optimism import Selection
from creditrisk.modelling.refit_stability import RefitStability
from creditrisk.modelling.scorecard.scorecard import Scale, reversed_fields
from creditrisk.modelling.significance import SimplestChoice
from creditrisk.reports import decision_lab
from creditrisk.reports.findings import (
    comparison,
    explanation,
    exploration,
    preparation,
    registration,
    scorecard,
    validation,
)
from creditrisk.validation import blanks
from creditrisk.validation.looks import Looks

AGE, AMOUNT = CONTRACT["Age"], CONTRACT["Credit amount"]


def risk(bad_rates, low, high, levels=(False, True)):
    return pd.DataFrame({"bad_rate": bad_rates, "low": low, "high": high}, index=list(levels))


APART = risk([0.4, 0.1], [0.35, 0.05], [0.45, 0.15])  # .05 to .15 and .35 to .45
TOUCHING = risk([0.3, 0.2], [0.2, 0.1], [0.4, 0.3])  # .1 to .3 and .2 to .4


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ([0.0, 0.0], "None of 2 columns has a gap"),
        ([0.5, 0.0], "1 of 2 columns has gaps"),
        ([0.5, 0.1], "2 of 2 columns have gaps"),
        ([0.0], "None of 1 column has a gap"),
    ],
)
def test_gaps(missing, sentence):
    assert exploration.missing_columns(pd.Series(missing)) == sentence


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (APART, "10.0% bad without a value, 40.0% with one; their intervals do not overlap."),
        (TOUCHING, "20.0% bad without a value, 30.0% with one; their intervals overlap."),
    ],
)
def test_risk_of_a_gap(table, sentence):
    assert exploration.missing_risk("Savings", table) == f"- **Savings**: {sentence}"


@pytest.mark.parametrize(
    ("gaps", "line"),
    [
        (
            {"a": APART},
            "**A missing value carries information**: a 10% bad without a value, 40% with one.",
        ),
        ({"a": TOUCHING}, "**A missing value** is not shown to carry information."),
        ({}, "**No value is missing.**"),
    ],
)
def test_summary_of_the_exploration(gaps, line):
    values = pd.Series({"Duration": 0.3, "Age": 0.1, "Job": 0.01})  # .1 and more are medium
    chance = pd.Series({"Age": 0.01, "Duration": 0.05, "Job": 0.02})  # Age is left with .09
    text = exploration.summary(Interval(0.3, 0.27, 0.33), gaps, values, chance)
    assert (
        f"- {line}\n" in text
        and "30.0% of the loans went bad** (95% interval 27.0% to 33.0%)" in text
    )
    assert (
        "**1 of 3 variables carry medium or strong evidence** beyond what chance gives: Dur" in text
    )
    assert text.endswith("**Least evidence**: Age, Job.")


def test_quantities():
    values, good = pd.Series([30.0, 40.0, 20.0, 24.0]), pd.Series([1, 1, 0, 0])
    assert exploration.medians(AGE, values, good) == "Age: median 35 years if good, 22 if bad"
    # two tests: .02 * 2 is under .05, .03 * 2 is not
    assert "differ in Age (" in exploration.shifted_quantities({"Age": 0.02, "Duration": 0.03})
    assert exploration.shifted_quantities({"Age": 0.03, "b": 0.9}).startswith("No quantity differs")


@pytest.mark.parametrize(
    ("rho", "end"),
    [
        (-0.6, "go together strongly"),
        (0.5, "go together strongly"),
        (0.3, "go together moderately"),
        (0.29, "hardly go together"),
    ],
)
def test_correlation(rho, end):
    text = exploration.rank_correlation(AGE, AMOUNT, rho)
    assert text == f"Age and credit amount {end}"


def test_categories():
    table = risk([0.1, 0.3, 0.5], [0.0, 0.2, 0.4], [0.2, 0.4, 0.6], "abc")
    assert exploration.spread_of_levels(AGE, table) == "Age: levels lie 40 points apart"
    # the bad rate of all, .3: a ends at .2 and c begins at .4, b holds it
    text = exploration.levels_off_average(AGE, table, 0.3)
    assert text == "Age: 2 of 3 levels clearly off the average"
    square = pd.DataFrame([[1, 0.2, 0.4], [0.2, 1, 0.1], [0.4, 0.1, 1]], list("abc"), list("abc"))
    assert exploration.strongest_pair(square) == "a and c are associated most: 0.40"
    assert exploration.strongest_pair(square.iloc[:1, :1]).startswith("There are no two")
    assert exploration.caveats(CONTRACT).count("\n- ") == len(CONTRACT.caveats) - 1


def test_preparation():
    assert preparation.gaps(pd.Series({"a": 0})) == "No column has a gap; nothing has to be done."
    assert "Columns with gaps: b (3 applicants)." in preparation.gaps(pd.Series({"a": 0, "b": 3}))
    assert "Columns with gaps: b (1 applicant)." in preparation.gaps(pd.Series({"a": 0, "b": 1}))
    assert "no application of the test set occurs" in preparation.separation(8, 2, 0)
    assert "8 + 2 = 10 applicants, none in both; 1 pairs of" in preparation.separation(8, 2, 1)
    unlucky, usual = pd.Series({"Job": 0.02, "Age": 0.5}), pd.Series({"Job": 0.03, "Age": 0.5})
    assert preparation.similarity(unlucky).startswith("The draw was unlucky in Job;")
    assert preparation.similarity(unlucky, drawn=False) == (
        "The applicants of the test set differ from the others in Job"
    )
    assert preparation.similarity(usual).startswith("No column differs beyond chance")
    text = preparation.summary(pd.Series({"a": 0}), CONTRACT, 29, (8, 2), (0.25, 0.5), usual)
    assert "**Missing values** do not occur." in text and "bad rate 25.0% and 50.0%." in text


BEST = pd.Series(
    {"model": "Blend", "roc_auc": 0.768, "roc_auc_sd": 0.055, "folds": 30.0, "gini": 0.5}
)
CHOICE = CutoffChoice(
    0.76, 0.56, (0.73, 0.86), 5 / 6, 0.45, 0.11, 1.5, 0.7, pd.DataFrame(), (0.5, 0.27)
)
MEAN = Interval(0.768, 0.725, 0.811)
AGAIN = CutoffOptimism(0.54, 0.581, (0.7, 0.87))


def test_task():
    y = pd.Series([1, 0, 1])
    assert comparison.task(y, [], 0) == (
        "3 applicants to learn from, 1 of them bad. All columns are used."
        " No settings are searched for."
    )
    text = comparison.task(y, ["Sex", "Age"], 20)
    assert "Left out of the features: Sex, Age. Each model tries 20 settings" in text


def test_chance_and_leaks():
    table = pd.DataFrame({"accuracy": [0.7, 0.74], "roc_auc": [0.768, 0.5]})
    verdicts = ["better than chance", "not distinguishable from chance"]
    one, none = (pd.DataFrame({"verdict": each}) for each in (verdicts, verdicts[1:]))
    assert "1 of 2 models rank better than chance" in comparison.above_chance(table, one, 0.7)
    assert "**No model is distinguishable from" in comparison.above_chance(table, none, 0.7)
    for warning in (comparison.too_good, validation.too_good):
        assert warning(0.949, 0.95) == "" and "**Warning: ROC-AUC 0.950 is" in warning(0.95, 0.95)


PAIRS = pd.DataFrame(
    {
        "model": ["Blend", "Blend", "Forest"],
        "other": ["Forest", "Logistic", "Logistic"],
        "gained": [0.04, 0.01, -0.03],
        "verdict": ["better", "not distinguishable", "not distinguishable"],
    }
)


def test_champion():
    ours = PAIRS[:2]
    verdict = "Better than Forest beyond chance. Not distinguishable on this data from Logistic."
    assert comparison.champion_against(ours) == verdict
    assert comparison.champion_against(ours[:0]) == ""
    assert comparison.champion_against(ours[:1]) == "Better than Forest beyond chance."
    assert comparison.real_differences(PAIRS) == "1 of 3 differences are significant"
    named = comparison.list_of_real_differences
    assert named(PAIRS).endswith("significant: Blend over Forest +0.040")
    assert named(PAIRS[1:]).endswith("significant: none")
    picked = Selection(0.767, Interval(0.765, 0.72, 0.81), pd.Series({"Blend": 0.78}))
    text = comparison.champion(BEST, MEAN, verdict, picked, 7)
    assert "mean ROC-AUC, 0.768 (0.725 to 0.811). Better than Forest" in text
    assert "makes about 0.002 too high" in text and "win 78% of the time" in text
    assert "What designing the recipe adds is not known." in text
    assert comparison.reason(BEST, "") == "highest mean ROC-AUC over 30 held-out folds."


def test_which_held_out_score_to_quote():
    # .770, .767 and .765 lie .005 apart, and the interval of the last reaches .045 up and down
    picked = Selection(0.767, Interval(0.765, 0.72, 0.81), pd.Series({"Blend": 0.78}))
    near = comparison.held_out_scores(Interval(0.770, 0.725, 0.815), picked)
    assert near.startswith("**Of new applicants expect a ROC-AUC of 0.765 (0.720 to 0.810).**")
    assert "The three scores agree" in near
    # .820 is .055 above .765
    far = comparison.held_out_scores(Interval(0.820, 0.8, 0.84), picked)
    assert "lie further apart" in far and far.endswith("promise too much.")


def test_single_splits():
    luck = pd.DataFrame({"a": [0.7, 0.8], "b": [0.75, 0.79]})  # b leads in one of two
    assert comparison.single_splits(luck).endswith("from 0.70 to 0.80; b is ahead in 50%")
    assert comparison.range_of_splits(luck) == "One split gives anything from 0.70 to 0.80"


def test_search():
    assert comparison.search(pd.DataFrame(), {}, 144, 0.3).startswith("No search was made")
    gain = pd.DataFrame({"verdict": ["better", "worse", "not distinguishable"]}, list("abc"))
    text = comparison.search(gain, {"a": {"C": 1}, "b": {}}, 144, 0.3)
    assert "better for 1 of 3 models and worse for 1; an inner fold holds 144" in text
    assert "43 of them bad" in text and text.endswith("- a: `{'C': 1}`\n- b: `as it came`")


def test_cutoff():
    text = comparison.cutoff(CHOICE, AGAIN)
    assert "Theory says 0.83, the data 0.76; cut-offs from 0.73 to 0.86" in text
    assert "between them approvals go from 50% to 27%" in text
    assert "45% are approved and 11% of those go bad. Cost per applicant: 0.56;" in text
    assert "costs 0.54 for those it was chosen by and 0.58 for the others" in text
    nobody = replace(CHOICE, approved=0.0, bad_among_approved=None)
    assert "0% are approved. Cost" in comparison.cutoff(nobody, AGAIN)


def test_one_standard_error():
    found = SimplestChoice("Logistic", 0.75, 0.02)
    assert comparison.simplest(found, "Blend") == (
        "By the one-standard-error rule the choice would be **Logistic**: the simplest model "
        "within 0.020 of the best mean, with 0.750."
    )
    assert comparison.simplest(found, "Logistic").startswith("No simpler model comes within one")


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        (Interval(-0.02, -0.03, -0.01), "worse"),
        (Interval(0.02, 0.01, 0.03), "better"),
        (Interval(0.0, -0.01, 0.01), "not distinguishable"),
    ],
)
def test_leaving_out(gap, verdict):
    text = comparison.cost_of_leaving_out({"Sex": gap})
    assert text.startswith("- without **Sex**: ROC-AUC ") and text.endswith(f"), {verdict}")
    summary = comparison.summary(BEST, MEAN, "", CHOICE, AGAIN, {"Sex": gap})
    assert ("Leaving out Sex** costs nothing" in summary) == (verdict == "not distinguishable")
    assert ("Leaving out Sex** makes the ranking worse" in summary) == (verdict == "worse")
    assert "cost 0.56 per applicant (0.58 for applicants who had no part in choosing" in summary
    assert "there is nothing to compare with" in summary


def test_a_range_takes_two_groups_that_are_judged():
    rates = pd.DataFrame({"approved": [0.4, np.nan, 0.6]})
    assert validation.approval_range("Age", rates) == "Age: approved from 40% to 60%"
    assert validation.approval_range("Age", rates[:2]) == (
        "Age: no two groups are large enough to be compared"
    )


def test_what_rounds_to_nothing_has_no_minus():
    text = comparison.cost_of_leaving_out({"Sex": Interval(-0.0004, -0.007, -0.0001)})
    assert "ROC-AUC +0.000 (-0.007 to +0.000)" in text
    assert str(Interval(-0.0004, -0.02, 0.01)) == "0.000 (-0.020 to 0.010)"


def test_no_protected_column():
    assert comparison.cost_of_leaving_out({}).startswith("The contract protects no column")


WON = {
    "model": "Blend",
    "reason": "highest.",
    "cutoff": 0.76,
    "cost_bad_accepted": 5.0,
    "cost_good_rejected": 1.0,
    "search_trials": 0,
    "roc_auc": 0.768,
    "roc_auc_low": 0.728,
    "roc_auc_high": 0.808,
    "cost_per_applicant": 0.56,
}


def test_registration():
    assert registration.champion(WON).endswith("a good applicant turned away 1.")
    assert "a search of 20 chose" in registration.champion(WON | {"search_trials": 20})
    assert "nobody is approved" in registration.training(800, 0.4, None, CONTRACT)
    usual = registration.training(800, 0.4, {"Age": 35, "Saving accounts": None}, CONTRACT)
    assert usual.endswith("good ones approved: Age 35, Saving accounts 1000 DM or more.")
    steady = RefitStability(refits=50, judged=800, turned=0.046, unsteady=0.095, spread=0.102)
    assert "majority 4.6% of the time; 9.5% of 800 applicants" in registration.refits(steady)
    assert registration.refits(None).startswith("Too few refits")
    text = registration.summary("Blend", CONTRACT, ["Age", "Sex"], "to 1e-16", "3", "challenger")
    assert "takes the 9 columns of a raw application and decides from 7 of them" in text
    assert "it does not look at Age and Sex." in text
    text = registration.summary("Blend", CONTRACT, [], "to 1e-16", "3", "challenger")
    assert "decides from 9 of them. Nothing" in text
    assert registration.agreement(0.0) == "to the last digit"
    assert registration.agreement(2e-16) == "to 2e-16"
    text = registration.description(WON, pd.Series([1, 0, 0]), "20260101-000000", "a" * 64)
    assert "cross-validated ROC-AUC 0.768 (0.728 to 0.808)" in text
    assert "trained on 3 applicants, 2 of them bad" in text and f"sha256 {'a' * 12}" in text


@pytest.mark.parametrize(
    ("expected", "verdict"),
    [
        (0.75, "no loss is shown, though one of 0.07 cannot be excluded"),
        (0.682, "no loss is shown"),  # one of 0.001 is none
        (0.60, "these applicants were ranked better than expected"),
        (0.90, "**these applicants were ranked worse than expected**"),
    ],
)
def test_discrimination(expected, verdict):
    auc, before = (
        Interval(0.757, 0.681, 0.833),
        Interval(expected, expected - 0.04, expected + 0.04),
    )
    text = validation.ranking({"gini": 0.5, "ks": 0.4}, auc, before, 0.812)
    assert f"{verdict}. On the applicants it learned from the model reaches 0.812," in text


def test_what_a_contract_leaves_unsaid_leaves_no_gap_in_a_sentence():
    plain = [replace(CONTRACT["Age"], description=""), CONTRACT["Sex"]]
    fields = tuple({each.name: each for each in plain}.get(f.name, f) for f in CONTRACT.fields)
    lines = validation.protected(replace(CONTRACT, fields=fields)).splitlines()
    assert "- **Age**" in lines and any(line.startswith("- **Sex**: ") for line in lines)
    named = replace(CONTRACT, source="The bank", licence="Internal use only")
    text = exploration.data_set(named, pd.DataFrame(index=range(3)))
    assert text.endswith("Source: The bank. Licence: Internal use only.")
    assert exploration.shifted_quantities({}) == "There is no quantity."


def test_looks():
    assert validation.looks(Looks(1, 1)).startswith("This is the first validation on this test set")
    assert "used 3 times to validate, for 1 model;" in validation.looks(Looks(3, 1))
    assert "used 3 times to validate, for 2 models;" in validation.looks(Looks(3, 2))


@pytest.mark.parametrize(
    ("high", "ends"),
    [
        (0.6, ["cheaper than approving everybody and approving nobody beyond doubt."]),
        (
            0.8,
            [
                "cheaper than approving everybody beyond",
                "shown to be cheaper than approving nobody.",
            ],
        ),
        (1.6, ["It is not shown to be cheaper than approving everybody or approving nobody."]),
    ],
)
def test_decisions(high, ends):
    simple = {"approving everybody": 1.5, "approving nobody": 0.7}
    bad_among = Interval(0.14, 0.08, 0.23)
    before = {"expected_cost": 0.45, "bad_among_approved": 0.1}
    text = validation.decisions(0.46, bad_among, Interval(0.5, 0.4, high), simple, before)
    assert all(end in text for end in ends) and "46% are approved and 14% of those go bad." in text
    assert text.endswith(
        "expected a cost of 0.450, with 10% bad among those approved: the difference is not shown "
        "to be more than chance."
    )
    nobody = {"expected_cost": 0.5, "bad_among_approved": None}
    text = validation.decisions(0.0, None, Interval(0.8, 0.75, 0.9), simple, nobody)
    assert "0% are approved. The" in text
    assert "**That is dearer than approving nobody beyond doubt.**" in text
    assert text.endswith("expected a cost of 0.500: **they cost more**.")


def test_stability_and_segments():
    psi = pd.DataFrame({"psi": [0.2, 0.1], "by_chance": [0.1, 0.1]}, ["Job", "Age"])
    assert (
        validation.stability(psi) == "Beyond its mark: Job. One or more of 2 would be in 5% of "
        "random splits, and this split was random: a mark that is passed is the draw, not drift."
    )
    assert validation.stability(psi[1:]).startswith("Beyond its mark: none.")
    index = pd.MultiIndex.from_tuples([("Job", "2"), ("Job", "0"), ("Age", "old")])
    columns = {
        "roc_auc": [0.6, np.nan, 0.8],
        "high": [0.7, np.nan, 0.9],
        "implied": [0.75, 0.7, 0.75],
        "note": ["", "too few", ""],
    }
    text = validation.weak_segments(pd.DataFrame(columns, index), "Test set")
    assert text == (
        "**Test set**: segments large enough to be judged: 2 of 3. The interval lies wholly "
        "below what the scores imply in 1 of them; Job 2 (0.600, implied 0.750); by luck alone it "
        "would in about 0.1."
    )


def test_fairness():
    columns = ["against", "ratio", "low", "high"]
    ratios = pd.DataFrame([["old", 0.28, 0.13, 0.6]], ["young"], columns)
    index = pd.MultiIndex.from_tuples([("Age", "young"), ("Age", "old")])
    groups = pd.DataFrame({"note": ["too few: 3 good, 1 bad", ""]}, index)
    assert validation.disparate_impact(ratios, "Test set") == (
        "**Test set**, approval rate over that of the group approved most: "
        "young against old 0.28 (0.13 to 0.60)."
    )
    assert validation.disparate_impact(pd.DataFrame(), "All").endswith("no groups to compare.")
    assert validation.not_judged(groups) == "**young**: too few: 3 good, 1 bad."
    assert validation.not_judged(pd.DataFrame()) == ""
    assert validation.protected(CONTRACT).startswith("- **Age**: ")


def test_calibration():
    bins = pd.DataFrame({"low": [0.1, 0.5], "high": [0.3, 0.7], "predicted": [0.2, 0.8]})
    assert validation.calibration(bins) == "1 of 2 bins agree with their score"
    line = CalibrationLine(None, None, "not defined, all scores are equal")
    text = validation.summary(
        Interval(0.7, 0.6, 0.8),
        {"gini": 0.4, "ks": 0.3, "brier": 0.17},
        line,
        bins,
        Interval(0.6, 0.5, 0.7),
        np.array([True, False]),
    )
    assert "1 of 2 bins agree." in text and "50% approved, cost 0.600 (0.500 to 0.700)" in text


TITLES = {"age": "Age", "job": "Job"}
WORTH = pd.DataFrame({"field": ["age", "job"], "loss": [0.1, 0.0], "low": [0.05, -0.01]})
STEADY = pd.DataFrame(
    {
        "field": ["age", "job"],
        "change": ["+10%", "-1 level"],
        "applicants": [100, 50],
        "flipped": [0.1, 0.2],
    }
)


BLANKS = pd.DataFrame(
    [
        ["age", "refused", 0.4, 0.5, 9, 0, 0, 0.0, np.nan],
        ["job", "scored as the worst value", 0.4, 0.7, 8, 6, 3, 0.75, 0.5],
        ["all of these", "", 0.4, 0.9, 10, 8, 4, 0.8, 0.5],
    ],
    columns=[*blanks.COLUMNS, "turned_share", "bad_share"],
)


def test_blanks():
    assert explanation.blanks(BLANKS, TITLES) == (
        "- **Age**, if a blank were taken as missing: none of the 9 declined who stated a value "
        "would be approved. A blank is refused.\n"
        "- **Job**, if a blank were taken as missing: of 8 declined applicants who stated a value, "
        "6 would be approved (75%); 3 of these went bad (50%). A blank is scored as the worst "
        "value.\n"
        "- With all of these blank, approvals would go from 40.0% to 90.0%."
    )
    assert "is declined. A blank" in explanation.blanks(BLANKS[:1].assign(declined=0), TITLES)
    assert explanation.blanks(BLANKS[:0], TITLES).startswith("No field may be missing")
    assert explanation.worst_blank(BLANKS, TITLES) == (
        "**Blanks**: taken as missing, a blank in Job would approve 6 of 8 declined applicants, "
        "3 of them bad; a blank is scored as the worst value."
    )
    assert explanation.worst_blank(BLANKS[:1], TITLES) == ""
    assert explanation.worst_blank(BLANKS[:0], TITLES) == ""


@pytest.mark.parametrize(
    ("share", "text"), [(0.3, "30%"), (0.05, "5%"), (0.0043, "0.4%"), (0.014, "1.4%"), (0, "0%")]
)
def test_few_bad_loans_are_not_none(share, text):
    found = exploration.headline(6000, Interval(share, 0, 1), pd.Series({"age": 0.5}))
    assert found == f"6,000 loans, {text} bad; strongest variable age (information value 0.50)"
    assert f"share of {text} bad" in validation.other_bad_rate(share, 0.9, 0.8)


def test_nothing_is_named_where_nothing_moves():
    calm = STEADY.assign(flipped=[0.0, np.nan])
    expected = "No small error and no missing value turns over a decision."
    assert explanation.sensitivity(calm, TITLES) == expected
    level = pd.DataFrame({"probability": [0.5, 0.5 + 3e-18]})
    swing = explanation.swings({"age": level, "job": level})
    assert explanation.dependence(swing, TITLES) == "No field moves it by a point"
    nothing = WORTH.assign(loss=[3e-18, 0.0], low=0.0)
    assert explanation.importance(nothing, TITLES) == "No field is worth anything on its own"
    assert explanation.headline(nothing, BLANKS[:0], TITLES) == "No field decides on its own"
    lead = Interval(0.0, -0.1, 0.1)
    text = explanation.summary(nothing, calm, BLANKS[:0], BLANKS[:0], 3, lead, TITLES)
    assert text.startswith("- **No field** is worth anything") and "Blanks" not in text


def test_explanation():
    text = explanation.importance(WORTH, TITLES)
    assert text == "Age is worth most; 1 of 2 fields beyond doubt something"
    curves = {
        name: pd.DataFrame({"probability": p})
        for name, p in (("age", [0.5, 0.6]), ("job", [0.2, 0.5]))
    }
    assert (
        explanation.dependence(explanation.swings(curves), TITLES)
        == "Job moves it most, by 30 points"
    )
    # 10 of 100 by age, and 10 of 50 by job; the first of equals is named
    assert explanation.sensitivity(STEADY, TITLES).endswith(
        "Age: moved by +10%, it turns over the decision of 10 of 100 applicants."
    )
    gap = {"field": ["job"], "change": ["missing"], "applicants": [20], "flipped": [0.6]}
    both = pd.concat([pd.DataFrame(gap), STEADY.assign(flipped=[0.05, 0.2])], ignore_index=True)
    assert explanation.sensitivity(both, TITLES) == (
        "The most sensitive field is Job: taken as missing, it turns over the decision of 12 of 20 "
        "applicants. Of small errors, Job moved by -1 level turns over most, 10 of 50."
    )
    limits = {"field": ["age", "job"], "limit": [90, 3], "seen": [75, 2], "flipped": [0.1, 0.0]}
    for small in ([3e-18, 0.0], [4e-4, -3e-4]):  # the rounding of a mean, and of what is shown
        still = pd.DataFrame(limits | {"largest_change": small, "flipped": 0.0})
        text = explanation.extrapolation(still, TITLES)
        assert text.endswith("no probability or decision moves.")
    evened = pd.DataFrame(limits | {"largest_change": [0.0, 1e-4]})
    assert "at Age 90" in explanation.extrapolation(evened, TITLES)
    nowhere = explanation.extrapolation(evened.head(0), TITLES)
    assert nowhere == "The contract sets no bounds that lie beyond what was seen."
    moved = pd.DataFrame(limits | {"largest_change": [-0.05, 0.01]})
    assert "at most 5.0 points, at Age 90 (nearest seen: 75);" in explanation.extrapolation(
        moved, TITLES
    )


def test_reasons():
    rises = {"rises": [True, True, False], "turns": [True, False, False]}
    checked = pd.DataFrame({"field": ["age", "age", "job"]} | rises)
    text = explanation.reasons(checked, TITLES)
    assert text.startswith("For 66.7% of 3 declined") and text.endswith(
        "that alone would approve 1 of them. First named: Age 2, Job 1."
    )
    nobody = checked[:0]
    assert explanation.reasons(nobody, TITLES).startswith("Nobody is declined")
    lead = Interval(-0.005, -0.025, 0.016)
    assert "**Reasons**" in explanation.summary(WORTH, STEADY, BLANKS, checked, 38, lead, TITLES)
    assert "**Reasons**" not in explanation.summary(WORTH, STEADY, BLANKS, nobody, 38, lead, TITLES)
    assert explanation.headline(WORTH, nobody, TITLES) == "Age decides most"
    assert explanation.headline(WORTH, checked, TITLES).endswith(
        "; 1 of 3 declined would be approved with the usual value in their strongest reason's field"
    )


@pytest.mark.parametrize(
    ("lead", "verdict"),
    [
        (Interval(0.02, 0.01, 0.03), "ranks better than"),
        (Interval(-0.02, -0.03, -0.01), "ranks worse than"),
        (Interval(0.0, -0.01, 0.01), "ranks not distinguishably better or worse than"),
    ],
)
def test_scorecard(lead, verdict):
    assert verdict in scorecard.agreement(3e-16, 1000, lead)


def test_a_clerk_can_decide_by_the_scorecard():
    # 600 points are odds of 50 : 1, and 20 points double them: 25 : 1, or 25/26, is 580 points
    assert Scale().points_of(25 / 26) == pytest.approx(580)
    rows = [("job", -0.1, 60.0), ("job", 0.2, 50.0), ("age", -0.1, 40.0), ("age", 0.3, 45.0)]
    card = pd.DataFrame(rows, columns=["field", "woe", "points"])
    assert reversed_fields(card) == ["job"]
    text = scorecard.rule(0.82, 528.4, ["Job"])
    assert text.startswith("**Approve from 528 points on**, a probability of good of 0.82, which")
    assert "The sign of Job is reversed" in text and text.endswith("review or drop it.")
    assert scorecard.rule(0.8, 5, ["A", "B"]).endswith("review or drop them.")
    assert scorecard.rule(0.8, 5, []).endswith("rise with its weight of evidence.")


def test_spread_out():
    frame = pd.DataFrame({"a": range(9)})
    assert list(explanation.spread_out(frame, 3).a) == [0, 4, 8]  # first, middle, last of nine
    assert (
        len(explanation.spread_out(frame[:2], 3)) == 2
        and explanation.spread_out(frame[:0], 3).empty
    )


def test_weighted_rows_are_said_with_what_they_stand_for_and_are_worth():
    # Two bad of weight 1 and three good of weight 6: 20 applications, 400 / 110 = 3.6 rows, and
    # 2 of 20 are bad.
    y, weight = pd.Series([0, 0, 1, 1, 1]), np.array([1.0, 1, 6, 6, 6])
    worth = "2 of them bad; by their weights they stand for 20 and are worth 4 of equal weight."
    assert worth in comparison.task(y, [], 0, weight)
    assert "2 of them bad. All" in comparison.task(y, [], 0)
    version = {"model": "m", "version": 1, "champion": "c"}
    assert worth in validation.candidate(version, 0.5, y.to_numpy(), weight)
    assert "10.0% of the applications are bad" in decision_lab.about_weights(y, weight)
    assert decision_lab.about_weights(y, None) == ""


def test_a_file_of_one_column_is_spoken_of_in_the_singular():
    one = replace(CONTRACT, fields=(CONTRACT["Age"],))
    assert "1 application, 1 column and" in exploration.data_set(one, pd.DataFrame(index=[0]))
    said = preparation.encoding(one, 1)
    assert said == "1 column of an application becomes **1 column**: 1 quantity and 0 levels."
