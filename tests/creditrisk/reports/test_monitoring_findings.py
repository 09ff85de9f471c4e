"""What the monitoring page says, each branch of it."""

import numpy as np
import pandas as pd
import pytest

from creditrisk.metrics.intervals import Interval
from creditrisk.monitoring.alarms.challenger import Comparison
from creditrisk.monitoring.months import Timeline
from creditrisk.monitoring.verdict import Alarm, Level, Verdict
from creditrisk.monitoring.watch import Watch
from creditrisk.reports.findings import monitoring


@pytest.mark.parametrize(
    ("in_production", "said"),
    [
        (None, "nothing is in production"),
        (3, "version 3**, which is in production"),
        (2, "**version 2 is in production**. The training sample is that of version 3"),
    ],
)
def test_which_version_is_judged(in_production, said):
    assert said in monitoring.subject(3, in_production)


def test_what_the_log_holds():
    table = pd.DataFrame(
        {
            "time": pd.to_datetime(["2026-01-02", "2026-03-04"], utc=True),
            "outcome": [1.0, np.nan],
            "simulated": [False, False],
            "model_version": ["2", "2"],
        }
    )
    assert monitoring.log(table, "x", "2") == (
        "2 decisions from 2026-01-02 to 2026-03-04, with 1 outcome."
    )
    assert "**2 of them are simulated.**" in monitoring.log(table.assign(simulated=True), "x", "2")
    mixed = monitoring.log(table.assign(model_version=["1", "2"]), "x", "2")
    assert "1 outcome. Made by other versions than the one that is judged: **1**. Volume" in mixed
    nothing = monitoring.log(table.head(0), "../experiments/decisions", "2")
    assert "`experiments/decisions` holds none" in nothing
    assert "simulate --out experiments/decisions" in nothing


def test_inputs_outside_of_training():
    table = pd.DataFrame({"A": [0.0, 0.1], "B": [0.0, 0.02], "any": [0.0, 0.11]})
    assert "0.0% to 11.0% of a month's applicants" in monitoring.outside(table)
    assert "Most often it is A, 10.0% in one month" in monitoring.outside(table)
    assert monitoring.outside(table * 0) == "No applicant had an input that training did not cover."
    assert monitoring.outside(table.iloc[:0]) == ""


def test_what_unknown_outcomes_could_do():
    """Of 10 and 30 approved, all and none known; 2 of the 10 are bad: 2 to 32 of 40."""
    vintages = pd.DataFrame(
        {"approved": [10, 30], "known": [1.0, 0], "at_best": [0.2, 0], "at_worst": [0.2, 1]}
    )
    assert monitoring.outcomes(vintages) == (
        "Of 25% of the approved the outcome is known. Whatever becomes of the others, between 5% "
        "and 80% of all approved go bad."
    )
    assert monitoring.outcomes(vintages.iloc[:0]) == ""


def test_ranking_of_matured_outcomes():
    fine, lost = Interval(0.6, 0.55, 0.65), Interval(0.5, 0.45, 0.55)
    assert "not shown to be lower than the 0.600" in monitoring.matured(fine, 0.6, 0.1, 0.1)
    assert "**lower beyond doubt than** the 0.600" in monitoring.matured(lost, 0.6, 0.1, 0.1)
    assert "Too few outcomes" in monitoring.matured(None, 0.6, 0.1, 0.1)
    assert "11 of 12 vintages. The last month's decisions are expected to cost 0.500" in (
        monitoring.expected(11, 12, 0.5)
    )
    assert monitoring.expected(0, 0, None).startswith("No outcome has come yet")


def test_groups():
    ratios = pd.DataFrame(
        {"against": ["b", "b"], "ratio": [0.6, 0.9], "low": [0.5, 0.8], "high": [0.7, 1.0]},
        pd.MultiIndex.from_tuples([("2026-1", "a"), ("2026-2", "a")]),
    )
    said = monitoring.impact(ratios, 0.8, ["x"])
    assert "1 of 2 ratios lie below 0.80" in said and "0.60 (0.50 to 0.70), a against b" in said
    assert "No protected column" in monitoring.impact(ratios, 0.8, [])
    assert "large enough" in monitoring.impact(ratios.iloc[:0], 0.8, ["x"])
    assert monitoring.not_recorded(["a", "b"]).startswith("Not on record in every decision")
    assert monitoring.not_recorded([]) == ""


def test_refused_requests():
    table = pd.DataFrame({"2026-01": [3, 1], "2026-02": [0, 0]}, ["a: blank", "b: type"])
    assert monitoring.rejections(table) == "The most frequent reason, 3 of 4: a: blank."
    assert monitoring.rejections(table.iloc[:0]) == "No request was refused."


def test_challenger_and_nothing_judged():
    few = Comparison(50, 3, None, None, 1.0, pd.DataFrame())
    assert "with 3 outcomes that is too little" in monitoring.shadow(few, 0.01)
    assert monitoring.shadow(None, 0.0) == "No challenger ran in the shadow."
    empty = pd.DataFrame()
    nothing = Watch(Timeline(("2026-01",)), 0.05, ("A",), (1.0,), empty, empty, None, 0.0)
    assert monitoring.drift(nothing) == "No month has enough decisions to be judged."
    assert monitoring.relation(nothing).startswith("Too few outcomes have matured")


def test_the_headline_counts_further_alarms_and_names_what_is_simulated():
    alarms = [
        Alarm(level, "2026-01", f"{level} cause", "", "Do it.", "do")
        for level in (Level.ACT, Level.LOOK, Level.LOOK)
    ]
    found = Verdict(tuple(alarms), ("2026-01",), 0.05)
    assert monitoring.headline(found, True, True) == (
        "Act: act cause. Do it. 2 more alarms: see the table. The decisions are simulated."
    )
    assert found.record["exit_code"] == 4
    assert Verdict(tuple(alarms[1:]), ("2026-01",), 0.05).record["exit_code"] == 3
