"""How many of the declined have recourse, by group, and what is said of it."""

import numpy as np
import pandas as pd
import pytest

from creditrisk.reports.findings import recourse as findings
from creditrisk.validation.recourse import by_group, counted

#: 40 declined: 20 women of whom 18 have recourse, by one column; 20 men of whom 4 have, by two.
#: The search for the last one of them was not carried to its end.
FOUND = pd.DataFrame(
    {"columns": [1] * 18 + [0] * 2 + [2] * 4 + [0] * 16, "complete": [True] * 39 + [False]},
    index=range(100, 140),
)
SEX = pd.Series(["female"] * 20 + ["male"] * 20, FOUND.index)


def test_shares_and_sizes_by_hand():
    """22 of 40 have recourse, 18 of one column and 4 of two: a mean of 26 / 22.

    Wilson's bounds for 18 of 20 are .699 and .972, for 4 of 20 .081 and .416. The deviation of
    18 ones and 4 twos is .3948, its standard error .3948 / √22 = .0842, Student's 2.0796 times that
    .175.
    """
    table = by_group(FOUND, {"Sex": SEX, "Rare": SEX.where(SEX.index < 105, "other")})
    assert list(table.index) == [
        ("all", "everybody"),
        ("Sex", "female"),
        ("Sex", "male"),
        ("Rare", "other"),  # the five of the other group are too few
    ]
    everybody, female, male = (table.iloc[place] for place in range(3))
    assert (everybody.declined, everybody.share) == (40, 0.55)
    assert everybody["columns"] == pytest.approx(26 / 22)
    assert everybody.columns_high - everybody["columns"] == pytest.approx(0.175, abs=5e-4)
    assert (female.share_low, female.share_high) == pytest.approx((0.699, 0.972), abs=1e-3)
    assert (male.share_low, male.share_high) == pytest.approx((0.081, 0.416), abs=1e-3)
    assert counted(FOUND) == {"1": 18, "2": 4, "3": 0, "none": 17, "open": 1}


def test_each_sentence():
    table = by_group(FOUND, {"Sex": SEX})
    text = findings.recourse(counted(FOUND), table)
    assert text.startswith("55% (40% to 69%) of 40 declined would be approved")
    assert "18 by one column, 4 by 2 columns, 0 by 3 columns; 17 have none" in text
    assert "none, and for 1 the search was not carried to its end. This is about" in text
    ended = findings.recourse(counted(FOUND.assign(complete=True)), table)
    assert "18 have none. This is about" in ended
    assert text.endswith(findings.NO_PROMISE)
    apart = findings.groups(table)
    assert (
        apart == "Recourse is not as frequent in all protected groups: male 20% against female 90%."
    )
    same = by_group(FOUND, {"Sex": pd.Series(np.tile(["a", "b"], 20), FOUND.index)})
    assert findings.groups(same).startswith("No protected group is distinguishable")
    assert findings.groups(by_group(FOUND, {})).startswith("There are too few")
    nobody = FOUND.head(0)
    assert findings.recourse(counted(nobody), table).startswith("Nobody is declined")
    assert findings.example("approved with x") == "For example: approved with x."
    assert findings.example("") == ""
