"""Gower's distance between applications, and the nearest of others."""

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT

from creditrisk.data.encoding import decode
from creditrisk.validation.similarity import nearest

BASE = {
    "Age": 20,
    "Sex": "male",
    "Job": 2,
    "Housing": "own",
    "Saving accounts": None,
    "Checking account": "little",
    "Credit amount": 1000,
    "Duration": 10,
    "Purpose": "car",
}


def frame(*changes):
    return pd.DataFrame([BASE | change for change in changes])


def test_distances_by_hand():
    others = frame(
        {"Age": 60, "Credit amount": 10_000, "Duration": 20}, {}, {"Age": 30, "Sex": "female"}
    )
    # Ranges: age 40, amount from 1,000 to 10,000, duration 10.
    one = frame({"Age": 30, "Saving accounts": "little"})
    distances, positions = nearest(one, others, CONTRACT, 3)
    # The base: a quarter of the age's range and the savings, which are missing there. The third:
    # sex and savings. The first: three quarters of the age, amount, duration and savings.
    assert distances == pytest.approx(np.array([[1.25, 2, 3.75]]) / 9, abs=1e-6)
    assert positions.tolist() == [[1, 2, 0]]
    far = frame({"Credit amount": 20_000})  # beyond the range counts as its whole
    assert nearest(far, others, CONTRACT)[0] == pytest.approx(1 / 9)
    assert nearest(others, others, CONTRACT)[0].tolist() == [[0], [0], [0]]


def test_the_nearest_are_those_of_all_distances_one_by_one(real):
    contract, X, _ = real
    raw = decode(X, contract)
    some, others = raw.iloc[:40], raw.iloc[40:300]
    distances, positions = nearest(some, others, contract, 4)
    apart = np.zeros((len(some), len(others)))
    for field in contract.fields:
        a, b = some[field.name], others[field.name]
        if field.levels is not None:
            a, b = (each.astype(object).fillna("missing").to_numpy() for each in (a, b))
            apart += a[:, None] != b
        else:
            a, b = (np.log(each) if field.scale == "log" else each for each in (a, b))
            gap = np.abs(a.to_numpy()[:, None] - b.to_numpy()) / (b.max() - b.min())
            apart += np.minimum(gap, 1)
    assert distances == pytest.approx(np.sort(apart, axis=1)[:, :4] / 9, abs=1e-6)
    assert np.take_along_axis(apart, positions, axis=1) == pytest.approx(distances * 9, abs=1e-5)
