"""What the fairness section says of its figures: each branch."""

import numpy as np
import pandas as pd
from published import CONTRACT

from creditrisk.metrics.intervals import Interval
from creditrisk.reports.findings.review import fairness
from creditrisk.validation.fairness import flips as flip_test
from creditrisk.validation.fairness import intersections, parity, proxies, twins
from creditrisk.validation.gate.rules import better_than_base_rate, fair
from creditrisk.validation.gate.verdicts import decide


def flipped(turned, change, *, low=0.01, high=0.2):
    row = ("Sex", "male", 50, turned, turned / 50, low, high, 0, change, -0.1, 0.1, change)
    return pd.DataFrame([row], columns=flip_test.COLUMNS + flip_test.CHANGES)


def test_of_a_column_that_is_not_used_zero_shows_little():
    text = fairness.flips(flipped(0, 0.0), ["Sex"])
    assert "not given this column, so no decision turns" in text and "by construction" in text
    assert "see the proxies" in text
    caught = fairness.flips(flipped(4, -0.02), ["Sex"])
    assert "said not to be given this column, **and yet it moves with it**. As “male” 4" in caught
    assert "by construction" not in fairness.flips(flipped(0, 0.001), ["Sex"])


def test_of_a_column_that_is_used_the_turned_decisions_are_named():
    text = fairness.flips(flipped(4, -0.02), [])
    assert text == (
        "- **Sex**: the model uses this column. As “male” 4 of 50 would be decided otherwise, 8.0% "
        "(1.0% to 20.0%), and the probability of good would change by -0.020 on average."
    )
    few = fairness.flips(flipped(4, -0.02, low=np.nan, high=np.nan), [])
    assert "otherwise, 8.0%, and" in few
    assert fairness.flips(flipped(4, 0.1).iloc[:0], []) == fairness.NOTHING


def paired(**more):
    row = {
        "column": "Sex",
        "group": "female",
        "against": "male",
        "pairs": 40,
        "distance": 0.031,
        "both": 20,
        "only_group": 2,
        "only_against": 5,
        "neither": 13,
        "difference": -0.075,
        "low": -0.21,
        "high": 0.06,
        "p": 0.453,
    }
    assert set(row) == set(twins.twin_table(NOBODY, np.array([], bool), CONTRACT, 0.1).columns)
    return pd.DataFrame([row | more])


NOBODY = pd.DataFrame({field.name: [] for field in CONTRACT.fields})


def test_twins_differ_or_do_not():
    text = fairness.twins(paired(), 0.1)
    assert "40 pairs within 0.1, on average 0.031 apart" in text
    assert "-0.075 (-0.210 to +0.060), by McNemar's test not distinguishable from none" in text
    assert "**more than chance** (p = 0.031)" in fairness.twins(paired(p=0.031), 0.1)
    assert fairness.twins(paired(pairs=9), 0.1).endswith("9 pairs within 0.1, too few to compare.")
    assert fairness.twins(paired(pairs=1), 0.1).endswith("1 pair within 0.1, too few to compare.")
    assert fairness.twins(paired().iloc[:0], 0.1) == ""


def test_what_can_be_read_from_other_columns():
    names = ["column", "group", "applicants", "roc_auc", "low", "high", "shuffled"]
    row = ("Sex", "female", 300, 0.71, 0.66, 0.76, 0.49)
    alone = pd.DataFrame(
        [("Sex", "female", "Housing", 0.65, 0.6, 0.7), ("Sex", "female", "Job", 0.52, 0.49, 0.55)],
        columns=["protected", "group", "column", "roc_auc", "low", "high"],
    )
    text = fairness.proxies(pd.DataFrame([row], columns=names), alone)
    assert "ROC-AUC 0.710 (0.660 to 0.760), 0.490 if the groups are shuffled" in text
    assert text.endswith("**it can be read from them**; alone: Housing 0.650.")
    row = ("Sex", "female", 300, 0.53, 0.48, 0.58, 0.49)
    unclear = fairness.proxies(pd.DataFrame([row], columns=names), alone.iloc[1:])
    assert unclear.endswith("that it can is not shown; no column does alone.")
    no_row = proxies.proxy_table(NOBODY, NOBODY, CONTRACT.without(["Age", "Sex"]), [], seed=1)
    assert fairness.proxies(no_row, alone) == ""


def decided(**approved):
    """Women and men, renting and owning, of whom so many of 40 are approved."""
    rows = [
        (*name.split("_"), number < count)
        for name, count in approved.items()
        for number in range(40)
    ]
    frame = pd.DataFrame(rows, columns=["Sex", "Housing", "approve"])
    stratum = parity.strata(frame, [CONTRACT["Housing"]])
    return parity.conditional_parity(frame.approve.to_numpy(), {"Sex": frame.Sex}, stratum)


def test_what_the_factors_leave():
    factors = [CONTRACT["Housing"]]
    equal = decided(female_rent=20, female_own=30, male_rent=20, male_own=30)
    text = fairness.parity(equal, factors)
    assert text.startswith("Strata by Housing.") and "within strata +0.000" in text
    assert text.endswith("is a difference left beyond chance, corrected for their number.")
    apart = decided(female_rent=5, female_own=12, male_rent=20, male_own=30)
    text = fairness.parity(apart, factors)
    # Of 40 women in each stratum 5 and 12 are approved, of 40 men 20 and 30: 33 of 80 fewer.
    sign = {"female": "-", "male": "+"}[apart.group[0]]
    assert f"{sign}0.412" in text and "**Not explained by them**" in text and "other" not in text
    assert fairness.parity(apart.iloc[:0], factors) == ""


TEST = pd.DataFrame(
    {"cost": [0.75, 0.65], "ratio": [0.78, 0.7]}, pd.Index([0.5, 0.7], name="cutoff")
)


def test_the_price_of_parity():
    index = pd.Index([0.5, 0.7], name="cutoff")
    curve = pd.DataFrame(
        {"cost": [0.7, 0.6], "approved": [0.8, 0.5], "ratio": [0.9, 0.6], "group": "a"}, index
    ).assign(against="b")
    extra = Interval(0.1, -0.05, 0.2)
    text = fairness.price(curve, 0.7, 0.5, extra, 0.8, TEST)
    assert text.startswith(
        "At the registered cut-off of 0.70 the lowest ratio is 0.60 (“a” against"
    )
    assert "reaches 0.8 is 0.50: it approves 80% instead of 50% and costs 0.100 (-0.050" in text
    assert "not distinguishable from nothing" in text
    sure = fairness.price(curve, 0.7, 0.5, Interval(0.1, 0.05, 0.2), 0.8, TEST)
    assert "not distinguishable" not in sure and "flatters" in sure
    assert sure.endswith(
        "On the test set the lowest ratio is 0.78 there and 0.70 at the registered one, at 0.750 "
        "and 0.650 per applicant."
    )
    few = fairness.price(curve, 0.7, 0.5, extra, 0.8, TEST.assign(ratio=np.nan))
    assert few.endswith("On the test set the groups are too small to be compared.")
    assert fairness.price(curve, 0.5, 0.5, extra, 0.8, TEST).endswith(
        "That keeps the floor of 0.8."
    )
    assert fairness.price(curve, 0.7, None, None, 0.95, TEST).endswith("No cut-off reaches 0.95.")
    nobody = curve.assign(ratio=np.nan)
    assert fairness.price(nobody, 0.7, None, None, 0.8, TEST).startswith("No two groups")
    assert fairness.worst_ratio(nobody, 0.7).startswith("No two groups")
    assert fairness.worst_ratio(curve, 0.7) == "The worst ratio is 0.60 at the registered cut-off"


def test_where_groups_meet_and_the_summary():
    frame = pd.DataFrame({"Age": [40] * 90, "Sex": ["female"] * 30 + ["male"] * 60})
    apart = intersections.intersections(frame, np.arange(90) >= 27, CONTRACT)
    text = fairness.intersections(apart)
    assert "Least often approved is “female”: 10.0%" in text
    assert "30, against 100.0% of all others. Beyond chance differ: “female” (0.10, p" in text
    alike = intersections.intersections(frame, np.arange(90) % 3 > 0, CONTRACT)
    assert fairness.intersections(alike).endswith("None differs beyond chance.")
    assert fairness.intersections(alike.iloc[:0]) == ""
    names = ["column", "group", "applicants", "roc_auc", "low", "high", "shuffled"]
    proxy = pd.DataFrame([("Sex", "female", 30, 0.7, 0.6, 0.8, 0.5)], columns=names)
    within = decided(female_rent=20, female_own=30, male_rent=20, male_own=30)
    line = fairness.summary(flipped(0, 0.0), proxy, within, alike)
    assert line == (
        "**Fairness**: no decisions turn with a protected value; 1 of 1 protected group can be "
        "read from other columns; 0 of 1 difference is left within strata; 0 of 2 groups are "
        "approved otherwise beyond chance."
    )
    assert "nothing to compare" in fairness.summary(flipped(0, 0.0).iloc[:0], proxy, within, alike)
    one = fairness.summary(flipped(1, 0.1), proxy, within, apart.assign(p_corrected=[0.01, 0.2]))
    assert "1 decision turns with" in one and "1 of 2 groups is approved otherwise" in one


def test_a_broken_rule_on_groups_is_to_be_settled():
    row = {"against": "men", "low": 0.2, "high": 0.9}
    low = pd.Series(row | {"ratio": 0.5}, name="women")  # its interval holds .8
    high = pd.Series(row | {"ratio": 0.85}, name="women")

    def recorded(*lowest, stops=False):
        made = [*fair(*lowest, 0.8, stops), better_than_base_rate(Interval(0.0, -0.1, 0.1))]
        return decide(made, 1).record["rules"]

    ratio, groups = "0.500 (0.200 to 0.900)", "for women against men"
    assert fairness.to_settle(recorded(low, high)) == f"ratio of approvals {ratio}, {groups}"
    of_good = f"ratio of approvals of the good {ratio}, {groups}"
    assert fairness.to_settle(recorded(high, low, stops=True)) == of_good
    both = f"ratio of approvals {ratio}, {of_good}"  # the groups are named once
    assert fairness.to_settle(recorded(low, low)) == both
    assert fairness.to_settle(recorded(high, "no two groups can be compared")) == ""
