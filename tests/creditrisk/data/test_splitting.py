"""Who is learned from and who judges: at random, by time, by whole groups, or the last rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from creditrisk.data.contract import ContractError, Split
from creditrisk.data.descriptor import read_contract
from creditrisk.data.splitting import split_rows, split_sentence

ROOT = Path(__file__).resolve().parents[3]
GERMAN = read_contract(ROOT / "data/raw/datapackage.json")
DAY = replace(GERMAN.target, name="day", title="Day", type="date", role="date", levels=None)
BRANCH = replace(GERMAN.target, name="branch", title="Branch", role="group")

# Ten applications, two a day from 1 to 5 January 1970 (days 0 to 4), one good and one bad each.
ROWS = pd.DataFrame({"day": [4, 4, 0, 0, 3, 3, 1, 1, 2, 2], "branch": list("aabbccddee")})
Y = pd.Series([0, 1] * 5)


def contract(by, test_from=""):
    return replace(GERMAN, others=(DAY, BRANCH), split=Split(by, test_from))


def test_at_random_it_is_scikit_learns_stratified_split():
    train, test = split_rows(ROWS, Y, contract("random"), 0.2, seed=3)
    expected = train_test_split(np.arange(10), test_size=0.2, stratify=Y, random_state=3)
    assert train.tolist() == expected[0].tolist() and test.tolist() == expected[1].tolist()


@pytest.mark.parametrize(
    ("test_from", "expected", "first"),
    [
        ("", [0, 1], "1970-01-05"),  # a fifth of ten rows: the two of the last day
        ("1970-01-04", [0, 1, 4, 5], "1970-01-04"),
    ],
)
def test_by_date_the_last_days_judge_and_no_day_is_in_both(test_from, expected, first):
    by_date = contract("date", test_from)
    train, test = split_rows(ROWS, Y, by_date, 0.2, seed=3)
    assert test.tolist() == expected
    assert sorted([*train, *test]) == list(range(10))
    assert f"from {first} on" in split_sentence(by_date, ROWS, test)


def test_by_group_no_group_is_in_both():
    train, test = split_rows(ROWS, Y, contract("group"), 0.2, seed=3)
    assert len(test) == 2  # one branch of five
    assert set(ROWS.branch[train]).isdisjoint(ROWS.branch[test])


def test_the_last_rows_judge_if_asked_whatever_the_contract_says():
    _, test = split_rows(ROWS, Y, contract("date"), 0.2, seed=3, latest=3)
    assert test.tolist() == [7, 8, 9]
    with pytest.raises(ValueError, match="latest is 10; give 1 to 9 rows, or 0"):
        split_rows(ROWS, Y, contract("date"), 0.2, seed=3, latest=10)


def test_a_set_of_one_outcome_is_refused():
    with pytest.raises(ContractError, match="the test set would hold 2 applicants, all with"):
        split_rows(ROWS, pd.Series([1, 1] + [0, 1] * 4), contract("date"), 0.2, seed=3)


def test_of_one_outcome_alone_nothing_is_learned_however_it_is_split():
    for by in ("random", "date", "group"):
        with pytest.raises(
            ContractError, match="all 10 outcomes are good\nRemedy: give a file with"
        ):
            split_rows(ROWS, Y * 0 + 1, contract(by), 0.2, seed=3)
