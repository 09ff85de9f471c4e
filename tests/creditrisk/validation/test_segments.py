"""Segments as a reader knows them: the contract's words where a level is a code."""

import pandas as pd
from published import CONTRACT

from creditrisk.validation.segments import in_words


def test_a_level_that_is_a_code_has_its_words():
    levels = [("Job", 3), ("Job", 2), ("Sex", "female"), ("Savings", "missing"), ("Age", "over 33")]
    index = pd.MultiIndex.from_tuples(levels, names=["column", "segment"])
    named = in_words(pd.DataFrame({"roc_auc": [0.7, 0.71, 0.72, 0.73, 0.74]}, index), CONTRACT)
    assert list(named.index) == [
        ("Job", "3: highly qualified, self-employed or manager"),
        ("Job", "2: skilled"),
        ("Sex", "female"),
        ("Savings", "missing"),
        ("Age", "over 33"),
    ]
    assert list(named.roc_auc) == [0.7, 0.71, 0.72, 0.73, 0.74] and named.index.names == index.names
