"""Ranking and cost if the applicants were of another mix."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT
from sklearn.metrics import roc_auc_score

from creditrisk.data.contract import Mix
from creditrisk.data.encoding import decode
from creditrisk.metrics.intervals import Interval
from creditrisk.metrics.placements import weighted_auc
from creditrisk.reports.findings import validation as findings
from creditrisk.validation.gate import rules
from creditrisk.validation.gate.mixes import mix_shift
from creditrisk.validation.gate.verdicts import Verdict

BY_SEX = Mix("mostly women", "Sex", (0.8, 0.2))


def of_sexes(women, men):
    frame = pd.DataFrame({"Sex": ["female"] * women + ["male"] * men})
    return frame.assign(Age=40)


def shift(y, score, frame, contract, *, approve=None, prices=(5, 1), draws=200):
    approve = score >= 0.5 if approve is None else approve
    return mix_shift(y, score, approve, frame, frame, contract, prices, draws=draws, seed=7)


def test_weighted_ranking_is_that_of_scikit_learn():
    generator = np.random.default_rng(3)
    y, score = generator.integers(0, 2, 60), generator.integers(0, 9, 60) / 9  # with many ties
    weights = generator.gamma(1.0, size=(20, 60))
    expected = [roc_auc_score(y, score, sample_weight=each) for each in weights]
    assert weighted_auc(y, score, weights) == pytest.approx(expected, abs=1e-12)


def test_figures_by_hand():
    """Women are ranked perfectly, men not at all: of 40 women 20 are bad, of 40 men likewise."""
    y = np.tile(np.repeat([1, 0], 20), 2)
    score = np.r_[np.repeat([0.9, 0.1], 20), np.full(40, 0.5)]
    frame = of_sexes(40, 40)
    contract = replace(CONTRACT, mixes=(BY_SEX,))
    found = shift(y, score, frame, contract)
    # Pairs of women weigh .8 · .8 and are right, of a woman and a man .8 · .2 each way and are
    # right as well (.9 over .5, .5 over .1), pairs of men .2 · .2 and half right.
    (row,) = found.table.to_dict("records")
    assert row["roc_auc"] == pytest.approx(0.64 + 0.32 + 0.04 / 2)
    # Nothing of women, and of half of the men 5: all men are approved.
    assert row["cost"] == pytest.approx(0.2 * 0.5 * 5)
    # Weights 1.6 of 40 and .4 of 40: (40 · 2)² / (40 · 2.56 + 40 · .16) = 6400 / 108.8
    assert row["effective"] == pytest.approx(6400 / 108.8)
    assert found.lowest_auc.estimate == row["roc_auc"] and found.stated
    assert found.lowest_auc.low == row["roc_auc_low"]  # of one mix, the worst is that one
    assert found.worst == {"roc_auc": "mostly women", "cost": "mostly women"}


def test_as_the_sample_is_the_mix_changes_nothing(real):
    contract, X, y = real
    frame = decode(X, contract)
    young = frame.Age.le(30).mean()
    score = np.random.default_rng(1).random(len(y))
    found = shift(
        y, score, frame, replace(contract, mixes=(Mix("same", "Age", (young, 1 - young), (30,)),))
    )
    assert found.table.roc_auc["same"] == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    assert found.table.effective["same"] == pytest.approx(len(y))


def test_without_stated_mixes_each_segment_is_doubled(real):
    contract, X, y = real
    frame, y = decode(X, contract), y.to_numpy()
    score = np.clip(0.3 + 0.4 * y + np.random.default_rng(1).normal(0, 0.4, len(y)), 0, 1)
    found = shift(y, score, frame, replace(contract, mixes=()), draws=50)
    weights = np.where(frame.Purpose == "car", 2, 1)
    row = found.table.loc["twice as many with Purpose car"]
    assert row.roc_auc == pytest.approx(roc_auc_score(y, score, sample_weight=weights), abs=1e-12)
    # 2 sexes, 4 jobs, 3 kinds of housing, 5 and 4 accounts, 8 purposes, 3 · 2 halves: each has
    # ten applicants or more.
    assert len(found.table) == 2 + 4 + 3 + 5 + 4 + 8 + 6
    # The worst of many is at least as bad as each: its interval begins no later than any other.
    assert found.lowest_auc.estimate == found.table.roc_auc.min()
    assert found.lowest_auc.low <= found.table.roc_auc_low.min()
    assert found.highest_cost.high >= found.table.cost_high.max()


def test_a_mix_that_the_test_set_cannot_stand_for_is_not_judged():
    y, score = np.tile([1, 0], 40), np.linspace(0, 1, 80)
    contract = replace(CONTRACT, mixes=(BY_SEX, Mix("old", "Age", (0.5, 0.5), (50,))))
    found = shift(y, score, of_sexes(0, 80), contract)
    absent = "1 of its levels or groups without a test applicant"
    assert found.not_judged == {"mostly women": absent, "old": absent}
    assert found.lowest_auc is None and found.worst == {} and found.table.empty
    assert findings.mixes(found, 0.7, 0.0) == (
        f"No mix can be judged. Not judged: mostly women, {absent}. Not judged: old, {absent}."
    )
    # 8 women of 80 have .8 of the weight, .1 each: (.4 + .1)² / (4 x .1² + 36 x (.2 / 72)²) = 6.2
    thin = shift(y, score, of_sexes(8, 72), replace(contract, mixes=(BY_SEX,)))
    worth = "its applicants are worth only 6.2 good and 6.2 bad, not 10"
    assert thin.not_judged["mostly women"] == worth
    (rule,) = rules.holds_in_mixes(thin.lowest_auc, 0.6)
    assert rule.verdict == Verdict.NOT_JUDGED


@pytest.mark.parametrize(
    ("lowest", "verdict"),
    [
        (Interval(0.7, 0.65, 0.75), Verdict.PASSED),
        (Interval(0.7, 0.55, 0.75), Verdict.WAITS),
        (Interval(0.55, 0.5, 0.59), Verdict.STOP),
    ],
)
def test_the_gate_asks_for_a_floor_if_it_is_told_to(lowest, verdict):
    assert rules.holds_in_mixes(lowest, 0.0) == []
    (rule,) = rules.holds_in_mixes(lowest, 0.6)
    assert rule.verdict == verdict and str(lowest) in rule.figure
    assert rule.name == "ranks at no less than 0.6 in every mix of applicants"


def test_what_is_said_of_mixes():
    y = np.tile(np.repeat([1, 0], 20), 2)
    score = np.r_[np.repeat([0.9, 0.1], 20), np.full(40, 0.5)]
    found = shift(y, score, of_sexes(40, 40), replace(CONTRACT, mixes=(BY_SEX,)))
    text = findings.mixes(found, 0.875, 0.0)
    assert text.startswith("Over 1 mix that the contract names the ROC-AUC")
    assert f"is {found.lowest_auc} at its lowest (mostly women), against 0.875" in text
    assert f"is {found.highest_cost} per applicant at its highest (mostly women)" in text
    assert text.endswith("The gate asks for no floor here (`lowest_auc_over_mixes`).")
    assert "The gate" not in findings.mixes(found, 0.875, 0.6)
