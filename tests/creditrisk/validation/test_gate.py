"""The rules of the gate at their edges, and the decision that follows from them."""

import numpy as np
import pandas as pd
import pytest

from creditrisk.metrics.calibration import CalibrationLine
from creditrisk.metrics.costs import Saving, cost_interval, saving_interval
from creditrisk.metrics.intervals import Interval, share_interval
from creditrisk.validation import model_card
from creditrisk.validation.fairness import disparity
from creditrisk.validation.gate import incumbent, verdicts
from creditrisk.validation.gate import rules as gate_rules

SURE, UNSURE = Interval(0.76, 0.68, 0.84), Interval(0.55, 0.47, 0.63)


def slope(low, high):
    """A calibration line whose slope has these ends of its 95% interval."""
    return CalibrationLine(Interval((low + high) / 2, low, high), Interval(0, -1, 1))


def saved(low, high):
    return Saving(Interval((low + high) / 2, low, high), "approving nobody")


def ratio(estimate, low, high):
    return pd.Series({"against": "men", "ratio": estimate, "low": low, "high": high}, name="women")


RULES = [
    (gate_rules.better_than_chance(SURE, UNSURE)[0], "passed"),
    (gate_rules.better_than_chance(SURE, UNSURE)[1], "stop"),
    (gate_rules.better_than_chance(UNSURE, SURE)[0], "stop"),
    (gate_rules.better_than_base_rate(Interval(0.02, -0.001, 0.04)), "stop"),
    (gate_rules.not_too_good(SURE, 0.95), "passed"),
    (gate_rules.not_too_good(Interval(1.0, 1.0, 1.0), 0.95), "stop"),
    # equivalence: the 90% interval is 1.6449/1.9600 = .839 times as wide as that of 95%, so that
    # 1 +- .23 becomes 1 +- .193 and lies within .8 and 1.25, and 1 +- .25 becomes 1 +- .2098
    (gate_rules.calibrated(slope(0.77, 1.23), 1.25), "passed"),
    (gate_rules.calibrated(slope(0.75, 1.25), 1.25), "warning"),
    (gate_rules.calibrated(slope(0.7, 1.5), 1.25), "warning"),  # a small sample shows nothing
    (gate_rules.calibrated(slope(0.4, 0.81), 1.25), "warning"),
    (gate_rules.calibrated(slope(0.4, 0.79), 1.25), "stop"),
    (gate_rules.calibrated(slope(1.26, 2.7), 1.25), "stop"),
    (gate_rules.calibrated(CalibrationLine(None, None, "not defined"), 1.25), "not judged"),
    (gate_rules.same_data("a" * 64, "a" * 64), "passed"),
    (gate_rules.same_data("a" * 64, "b" * 64), "stop"),
    (gate_rules.approves_enough(Interval(0.05, 0.03, 0.09), 0.05), "passed"),
    (gate_rules.approves_enough(Interval(0.01, 0.00, 0.04), 0.05), "stop"),
    (gate_rules.saves(saved(0.01, 0.2), True), "passed"),
    (gate_rules.saves(saved(-0.16, 0.16), False), "warning"),
    (gate_rules.saves(saved(-0.16, 0.16), True), "waits for approval"),
    (gate_rules.saves(saved(-0.3, -0.01), False), "stop"),
    (gate_rules.saves(saved(-0.3, -0.01), True), "stop"),
    (gate_rules.fair(ratio(0.8, 0.6, 1.1), "no column is protected", 0.8, True)[0], "passed"),
    (gate_rules.fair(ratio(0.7, 0.5, 0.9), "the groups are too small", 0.8, False)[0], "warning"),
    (gate_rules.fair(ratio(0.7, 0.5, 0.9), "the groups are too small", 0.8, True)[0], "stop"),
    (gate_rules.fair("no column is protected", ratio(0.7, 0.5, 0.9), 0.8, False)[1], "warning"),
    (gate_rules.fair("no column is protected", ratio(0.7, 0.5, 0.9), 0.8, True)[1], "stop"),
    (gate_rules.fair("no column is protected", ratio(1, 0.5, 2), 0.8, True)[0], "not judged"),
    (incumbent.not_worse(Interval(-0.05, -0.09, -0.01), 1, 0.0), "stop"),
    (incumbent.not_worse(Interval(-0.05, -0.09, -0.01), 1, 0.02), "passed"),
    (incumbent.not_worse(Interval(-0.05, -0.11, 0.01), 1, 0.0), "passed"),
    (incumbent.not_dearer(Interval(0.1, 0.02, 0.2), 1, 0.0), "stop"),
    (incumbent.not_dearer(Interval(0.1, 0.02, 0.2), 1, 0.05), "passed"),
]


@pytest.mark.parametrize(("rule", "verdict"), RULES)
def test_rules_at_their_edges(rule, verdict):
    assert rule.verdict == verdict and rule.name and rule.figure
    assert rule.why.endswith(".") and rule.why.count(". ") == 0  # one sentence


def test_a_slope_that_is_not_shown_says_on_which_side_it_lies():
    small = gate_rules.calibrated(slope(0.6, 1.4), 1.25).figure
    assert small.startswith(
        "slope 1.00, 90% interval 0.66 to 1.34; allowed 0.80 to 1.25, not shown"
    )
    assert gate_rules.calibrated(slope(0.4, 0.9), 1.25).figure.endswith("95% interval overlaps")


def test_a_model_that_lends_to_next_to_nobody_is_stopped():
    # 200 applicants, 60 bad; two are approved, both good: cost (140 - 2) / 200 = .69, and .70 if
    # nobody is approved. A bad loan costs 30, so approving everybody would cost 9.
    y = np.array([1] * 140 + [0] * 60)
    score = np.r_[0.99, 0.98, np.linspace(0.9, 0.3, 138), np.linspace(0.6, 0.1, 60)]
    saving = saving_interval(y, score, 0.95, 30, 1, draws=400, seed=1)
    assert saving.over == "approving nobody"
    assert saving.per_applicant.estimate == pytest.approx(0.01)
    # in a sample the two good ones occur 0, 1, 2 ... times, each of which saves 1/200
    assert saving.per_applicant.high == pytest.approx(0.025)
    # none of 60 bad is approved, but by Wilson 3.84 / 63.84 of them may be, at 30 each
    assert saving.per_applicant.low == pytest.approx(0.01 - 30 * 0.3 * 3.8415 / 63.8415, abs=1e-4)
    paid = cost_interval(y, score, 0.95, 30, 1, draws=400, seed=1)
    assert (paid.low, paid.estimate) == (pytest.approx(0.675), pytest.approx(0.69))
    assert paid.high == pytest.approx(0.69 + 30 * 0.3 * 3.8415 / 63.8415, abs=1e-4)
    saves = gate_rules.saves(saving, require=False)
    assert saves.verdict == "warning" and "not distinguishable" in saves.figure
    enough = gate_rules.approves_enough(share_interval(2, 200), 0.05)
    assert enough.verdict == "stop" and enough.figure.startswith("1.0% approved, at least 5.0%")
    assert not verdicts.decide([saves, enough], 1).promotes


def test_saving_is_paired_and_against_the_cheaper_rule():
    # 10 good, 10 bad at prices 1 and 1: either rule costs .5; a model that is right costs nothing,
    # but by Wilson it may err in 3.84 / 13.84 of half of all; one
    # that is always wrong costs 1, and stops
    y = np.array([1] * 10 + [0] * 10)
    right = saving_interval(y, y.astype(float), 0.5, 1, 1, draws=50, seed=1).per_applicant
    assert (right.estimate, right.high) == (0.5, 0.5)
    assert right.low == pytest.approx(0.5 - 0.5 * 3.8415 / 13.8415, abs=1e-4)
    wrong = saving_interval(y, 1.0 - y, 0.5, 1, 1, draws=50, seed=1)
    assert gate_rules.saves(wrong, require=False).verdict == "stop"
    cheap = saving_interval(y, 1.0 - y, 0.5, 1, 9, draws=50, seed=1)
    assert cheap.over == "approving everybody" and cheap.per_applicant.estimate == 0.5 - 5


def test_equal_opportunity_looks_at_good_applicants_alone():
    # men: 20 good, all approved, 20 bad, none; women: 10 good, 5 approved, 30 bad, none. All
    # approved: 5/40 over 20/40 = .25; of the good: 5/10 over 20/20 = .5
    group = pd.Series(["men"] * 40 + ["women"] * 40)
    y = np.array([1] * 20 + [0] * 20 + [1] * 10 + [0] * 30)
    approve = np.array([1] * 20 + [0] * 20 + [1] * 5 + [0] * 35) == 1
    groups = {"Sex": group}
    by_group, ratios = disparity.audit(y, y * 0.5, approve, groups)
    of_good = disparity.opportunity_ratios(y, approve, groups)
    lowest = [disparity.lowest_ratio(each, by_group, approve) for each in (ratios, of_good)]
    assert [each.ratio for each in lowest] == [0.25, 0.5]
    rules = gate_rules.fair(*lowest, 0.4, True)
    assert [rule.verdict for rule in rules] == ["stop", "passed"]

    # with nothing protected neither rule is broken
    nothing = disparity.audit(y, y * 0.5, approve, {})
    none = disparity.opportunity_ratios(y, approve, {})
    lowest = [disparity.lowest_ratio(each, nothing[0], approve) for each in (nothing[1], none)]
    rules = gate_rules.fair(*lowest, 0.8, True)
    assert {rule.verdict for rule in rules} == {"not judged"}
    assert verdicts.decide(rules, 1).sentence.startswith("Version 1 passed the gate. Not judged: “")


def rule(name, verdict):
    return verdicts.Rule(name, "a figure", verdicts.Verdict(verdict), "A reason.")


def test_decision_names_what_stops_and_what_stays():
    stop, warn = rule("is good", "stop"), rule("is kind", "warning")
    waits, open_ = rule("saves", "waits for approval"), rule("is old", "not judged")
    decided = verdicts.decide([warn, stop, open_], 4)
    assert not decided.promotes and decided.sentence == (
        "Version 4 did not pass the gate: it breaks the rule “is good”. "
        "1 warning, for what is not kept or not shown: “is kind”. Not judged: “is old”."
    )
    assert verdicts.decide([open_, rule("is new", "passed")], 4).promotes
    assert verdicts.decide([], 4).sentence == "Version 4 passed the gate."
    assert verdicts.decide([warn, open_], 4).headline == "Version 4 passed the gate with 1 warning."
    assert verdicts.decide([], 4).headline == "Version 4 passed the gate."
    assert decided.headline.endswith("it breaks the rule “is good”.")
    assert verdicts.decide([warn, stop, stop], 4).outcome == "stopped by 2 rules, 1 warning"
    assert verdicts.decide([stop], 4).outcome == "stopped by 1 rule"
    assert verdicts.decide([warn, warn], 4).outcome == "passed, 2 warnings"

    held = verdicts.decide([waits, warn], 4)
    assert not held.promotes and held.outcome == "waits for approval, 1 warning"
    assert (
        "waits for the approval of a named person" in held.sentence and "“saves”" in held.sentence
    )
    approved = verdicts.decide([waits], 4, "Jane Doe", "a pilot")
    assert approved.promotes and approved.outcome == "approved by Jane Doe"
    assert "approved by Jane Doe (a pilot)" in approved.sentence and approved.reason == "a pilot"
    assert not verdicts.decide([waits, stop], 4, "Jane Doe", "a pilot").promotes
    assert held.record["rules"][0] == {
        "rule": "saves",
        "figure": "a figure",
        "verdict": "waits for approval",
        "why": "A reason.",
    }
    for name, reason, named in (("Jane", " ", "approval_reason"), ("", "a pilot", "approved_by")):
        with pytest.raises(ValueError, match=f"{named} is empty"):
            verdicts.decide([waits], 4, name, reason)


def test_a_hostile_level_stays_in_its_cell_of_the_card():
    page = model_card.as_html(
        "# </title><script>x</script> & co\n\n"
        + model_card._table(("by", "note"), [("a\n\n| b", "c")])
    )
    assert "<title>&lt;/title&gt;&lt;script&gt;x&lt;/script&gt; &amp; co</title>" in page
    assert "<td>a | b</td>\n<td>c</td>" in page and page.count("<td>") == 2
