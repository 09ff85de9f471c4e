"""What a risk manager is told first: each risk from figures made up for it, and their order."""

from dataclasses import replace

import pandas as pd
import pytest
from published import CONTRACT

from creditrisk.metrics.intervals import Interval
from creditrisk.reports.findings import risks
from creditrisk.reports.findings.risks import HIGH, LOW, MEDIUM
from creditrisk.validation.gate.mixes import MixShift

SIMPLE = {"approving everybody": 1.5, "approving nobody": 0.7}


@pytest.mark.parametrize(
    ("paid", "found"),
    [
        (Interval(0.5, 0.4, 0.6), []),
        (Interval(0.7, 0.54, 0.86), ["It is not shown to be cheaper than approving nobody: "]),
        (Interval(0.9, 0.75, 1.0), ["It is dearer than approving nobody: "]),
    ],
)
def test_cost_is_held_against_the_cheapest_simple_rule(paid, found):
    found_now = risks.of_cost(paid, SIMPLE)
    assert [risk.text.partition("it costs")[0] for risk in found_now] == found
    assert all(risk.weight == HIGH for risk in found_now)


def ratios(ratio, low, high, name="young"):
    return pd.DataFrame(
        [["old", ratio, low, high]], [name], columns=["against", "ratio", "low", "high"]
    )


def test_groups():
    (likely,) = risks.of_groups(ratios(0.58, 0.32, 1.06), ratios(0.68, 0.52, 0.9), 0.8)
    assert likely.weight == MEDIUM and likely.text == (
        "Approval of “young” is on the test set 0.58 (0.32 to 1.06) of that of “old” and in "
        "training 0.68 (0.52 to 0.90) of that of “old”."
    )
    (shown,) = risks.of_groups(ratios(0.28, 0.13, 0.6), ratios(0.9, 0.8, 1.0, "poor"), 0.8)
    assert shown.weight == HIGH and "training" not in shown.text
    # the test set shows nothing, training does beyond doubt
    (known,) = risks.of_groups(ratios(0.85, 0.6, 1.0), ratios(0.5, 0.4, 0.6), 0.8)
    assert known.weight == HIGH and "in training 0.50 (0.40 to 0.60)" in known.text
    assert risks.of_groups(ratios(0.85, 0.6, 1.0), ratios(0.7, 0.5, 0.9), 0.8) == []
    assert risks.of_groups(pd.DataFrame(), pd.DataFrame(), 0.8) == []


def segments(high):
    index = pd.MultiIndex.from_tuples([("Job", "2"), ("Age", "old")], names=["column", "segment"])
    return pd.DataFrame({"roc_auc": [0.6, 0.61], "high": high, "implied": [0.74, 0.75]}, index)


def test_a_segment_is_held_against_what_its_scores_imply():
    # training: Job 2 alone, since .75 reaches what is implied for the old; the test set: both
    both, old = risks.of_segments(segments([0.7, 0.7]), segments([0.73, 0.75]))
    assert both.weight == MEDIUM and both.text == (
        "In Job 2 it ranks worse (0.600) than its scores imply (0.740) in training and on the test "
        "set."
    )
    assert old.weight == LOW and old.text.endswith("imply (0.750) on the test set.")
    assert not risks.of_segments(segments([0.8, 0.8]), segments([0.8, 0.8]))


def test_figures_that_are_bad_for_sure_weigh_more_than_those_that_may_be():
    weigh = {
        HIGH: [
            risks.of_drop(Interval(0.6, 0.5, 0.7), Interval(0.75, 0.7, 0.8)),
            risks.of_calibration(Interval(0.4, 0.2, 0.6), 1.25),
            risks.of_protected(CONTRACT, ["Age"]),  # Sex is used
        ],
        MEDIUM: [
            risks.of_refits({"unsteady": 0.1, "refits": 50}),
            risks.of_looks(9, 6),
            risks.of_calibration(None, 1.25),
        ],
        LOW: [
            risks.of_drop(Interval(0.74, 0.66, 0.82), Interval(0.76, 0.72, 0.8)),
            risks.of_calibration(Interval(0.94, 0.57, 1.31), 1.25),
            risks.of_refits({"unsteady": 0.05, "refits": 50}),
            risks.of_shift(pd.DataFrame({"psi": [0.2, 0.0], "by_chance": [0.1, 0.1]}, ["a", "b"])),
            risks.of_looks(2, 2),
        ],
    }
    for weight, found in weigh.items():
        assert [[risk.weight for risk in each] for each in found] == [[weight]] * len(found)
    # .76 by cross-validation less .66, the end of the interval
    assert "With this many applicants a loss of 0.10 in ROC-AUC" in weigh[LOW][0][0].text
    assert "decides by Sex," in weigh[HIGH][2][0].text
    assert not risks.of_calibration(Interval(1.0, 0.9, 1.1), 1.25) and not risks.of_looks(5, 1)
    assert not risks.of_protected(CONTRACT, ["Age", "Sex"]) and not risks.of_refits(None)
    assert not risks.of_drop(Interval(0.9, 0.85, 0.95), Interval(0.75, 0.7, 0.8))
    # 0.7605 - 0.758 is 0.0025, which would be shown as a loss of 0.00
    assert not risks.of_drop(Interval(0.76, 0.758, 0.762), Interval(0.7605, 0.72, 0.8))
    assert not risks.of_refits({"unsteady": 0.0, "refits": 50})


def test_the_greatest_stand_first_and_the_others_are_counted():
    several = [risks.Risk(LOW, "c"), risks.Risk(HIGH, "a"), risks.Risk(LOW, "d")]
    several.append(risks.Risk(MEDIUM, "b"))
    text = risks.briefing(several, ["No other time."])
    assert text == (
        "The greatest risks are:\n\n1. a\n2. b\n3. c\n\nNo other time. 1 more under “Risks and "
        "limits”."
    )
    assert risks.briefing(several[:1], []).startswith("The greatest risk is:\n\n1. c\n\n")
    assert risks.briefing([], ["No other time."]).endswith("found no risk. No other time.")
    assert risks.listed(several).startswith("- **high**: a\n- **medium**: b\n- **low**: c\n")
    assert risks.listed([]) == "The checks above found no risk."
    assert risks.as_records(several)[1] == {"weight": 3, "text": "a"}


def test_limitations_name_the_data_they_are_of():
    first, second, *_ = risks.limitations(CONTRACT)
    assert first.endswith("a random part of a file, of 1973 to 1975.")
    assert second.startswith("What makes a loan bad,")
    other = replace(CONTRACT, period="", default_definition="90 days in arrears within a year")
    first, second, *_ = risks.limitations(other)
    assert first.endswith("a random part of a file.") and second == (
        "Bad means: 90 days in arrears within a year."
    )


@pytest.mark.parametrize(
    ("lowest", "weight"),
    [
        (Interval(0.60, 0.55, 0.64), HIGH),  # all of it below .65
        (Interval(0.64, 0.58, 0.70), MEDIUM),  # the estimate is below
        (Interval(0.70, 0.62, 0.78), LOW),  # below is not excluded
    ],
)
def test_a_mix_of_applicants_in_which_it_ranks_too_low_is_a_risk(lowest, weight):
    table = pd.DataFrame({"roc_auc": [0.75, lowest.estimate]}, index=["older", "younger"])
    found = MixShift(True, table.assign(cost=0.5), {}, lowest, Interval(0.5, 0.4, 0.6))
    (risk,) = risks.of_mixes(found, 0.65)
    assert risk.weight == weight
    assert risk.text.endswith(f"ROC-AUC {lowest} in the mix “younger”, asked for 0.65.")
    assert risks.of_mixes(found, 0) == [], "nothing is asked for"
    assert risks.of_mixes(found, 0.5) == []
    assert risks.of_mixes(MixShift(True, table[:0], {}, None, None), 0.65) == []
