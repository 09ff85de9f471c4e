"""Approvals and errors by group, counted by hand; the groups follow from the contract."""

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from creditrisk.data.descriptor import read_contract
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.validation.fairness import disparity

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)
RAW = TABLE.drop(columns=CONTRACT.target.name)


def test_groupings_follow_from_the_contract():
    groups = disparity.groupings(RAW, CONTRACT)
    assert list(groups) == ["Age", "Sex", "Age and Sex"]
    # 190 applicants are 25 or younger; counted in the file with another tool
    assert groups["Age"].value_counts().to_dict() == {"age over 25": 810, "age to 25": 190}
    assert groups["Sex"].value_counts().to_dict() == {"male": 690, "female": 310}
    assert groups["Age and Sex"].value_counts().sum() == 1000
    assert (groups["Age and Sex"][RAW.Age == 25].str.startswith("age to 25, ")).all()


def test_rates_by_group_by_hand():
    # 20 a: 10 good (6 approved), 10 bad (2 approved); 12 b: 12 good (3 approved), no bad; 4 c
    group = pd.Series(["a"] * 20 + ["b"] * 12 + ["c"] * 4)
    y = np.array([1] * 10 + [0] * 10 + [1] * 12 + [1, 0, 1, 0])
    approve = np.array([1] * 6 + [0] * 4 + [1] * 2 + [0] * 8 + [1] * 3 + [0] * 9 + [1] * 4) == 1
    score = np.linspace(0.1, 0.9, 36)
    table = disparity.by_group(y, score, approve, group)
    assert table.index.to_list() == ["a", "b", "c"]  # largest first
    a = table.loc["a"]
    assert (a.applicants, a.bad, a.approved, a.tpr, a.fpr) == (20, 10, 8 / 20, 6 / 10, 2 / 10)
    assert a.roc_auc == 0 and a.observed == 0.5  # the good have the lowest ten scores
    assert a.tpr_low < a.tpr < a.tpr_high
    assert table.note["b"] == "only good risks" and table.approved["b"] == 3 / 12
    assert table.loc["b", ["fpr", "roc_auc"]].isna().all()
    assert table.note["c"] == "too few: 2 good, 2 bad" and np.isnan(table.approved["c"])

    ratios = disparity.impact_ratios(approve, group)
    # b against a: (3/12) / (8/20); ln ratio +- 1.96 sqrt(1/3 - 1/12 + 1/8 - 1/20); c is too small
    half = 1.959964 * np.sqrt(1 / 3 - 1 / 12 + 1 / 8 - 1 / 20)
    assert ratios.against.to_dict() == {"b": "a"}
    assert ratios.ratio["b"] == pytest.approx(0.625)
    assert ratios.low["b"] == pytest.approx(0.625 * np.exp(-half), rel=1e-5)
    assert ratios.high["b"] == pytest.approx(0.625 * np.exp(half), rel=1e-5)


@pytest.mark.parametrize("approved", [0, 1])
def test_one_decision_for_all_is_no_disparity_and_no_crash(approved):
    group = pd.Series(["a"] * 15 + ["b"] * 15)
    decided = np.full(30, approved == 1)
    table = disparity.by_group(np.tile([0, 1], 15), np.full(30, 0.5), decided, group)
    assert (table.approved == approved).all() and table.roc_auc.isna().all()
    ratios = disparity.impact_ratios(decided, group)
    assert ratios.ratio.to_list() == ([1.0] if approved else [])


def test_a_group_that_is_never_approved_has_the_ratio_zero():
    group = pd.Series(["a"] * 15 + ["b"] * 15)
    ratios = disparity.impact_ratios(group.to_numpy() == "a", group)
    # Wilson's upper bound of 0 of 15 is z²/(15 + z²), over an approval rate of 1
    assert ratios.loc["b", ["ratio", "low"]].to_list() == [0, 0]
    assert ratios.high["b"] == pytest.approx(3.841459 / 18.841459)
