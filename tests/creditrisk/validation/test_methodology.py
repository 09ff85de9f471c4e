"""The checks that a reviewer runs first: planted faults are found, sound data passes."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT
from scipy.special import expit, logit

from creditrisk.data.encoding import decode
from creditrisk.validation.looks import Looks
from creditrisk.validation.methodology import columns, rows, scores
from creditrisk.validation.methodology.checks import as_records, table


@pytest.fixture(scope="module")
def data(real):
    """800 applicants of the raw file in a random order, and the other 200."""
    contract, X, y = real
    raw = decode(X, contract)
    order = np.random.default_rng(1).permutation(len(raw))
    train, test = order[:800], order[800:]
    sets = [raw.iloc[part].reset_index(drop=True) for part in (train, test)]
    return sets[0], y.to_numpy()[train], sets[1], y.to_numpy()[test], raw


def test_sound_data_passes_and_its_record_is_json(data):
    training, y_train, applicants, y, raw = data
    alone = columns.single_columns(training, y_train, CONTRACT, 7)
    made = [
        rows.no_twins(training, y_train, applicants, y),
        rows.no_near_twins(training, applicants, CONTRACT, 7),
        rows.no_drift(y_train),
        columns.no_leak(alone, CONTRACT, 0.9),
        columns.no_telling_gaps(training, y_train, CONTRACT),
        columns.no_constants(training, CONTRACT),
        columns.no_identifiers(raw, CONTRACT),
    ]
    assert set(table(made).verdict) == {"passed"}
    kept = json.loads(json.dumps(as_records(made), allow_nan=False))
    assert [each["verdict"] for each in kept] == ["passed"] * len(made)
    assert next(iter(alone)) == "Checking account"
    # those without an account are good in 352 of 394 cases, a share that sampling moves little
    assert kept[4]["values"]["largest_share"] == pytest.approx(352 / 394, abs=0.03)


def test_rows_in_both_sets_are_found(data):
    training, y_train, applicants, y, _ = data
    copied = pd.concat([training.iloc[:10], applicants.iloc[10:]], ignore_index=True)
    outcomes = np.concatenate([y_train[:6], 1 - y_train[6:10], y[10:]])
    found = rows.no_twins(training, y_train, copied, outcomes)
    assert (found.verdict, found.figure) == (
        "failed",
        "10 of 200 test rows, at most 1% allowed; 6 with the same outcome",
    )
    two = pd.concat([training.iloc[:2], applicants.iloc[2:]], ignore_index=True)
    assert rows.no_twins(training, y_train, two, y).verdict == "passed"  # 1%, and not above


def test_copies_with_a_slip_of_the_pen_are_found(data):
    training, _, applicants, _, _ = data
    slips = training.iloc[:30].assign(**{"Credit amount": lambda f: f["Credit amount"] + 3})
    both = pd.concat([slips, applicants.iloc[30:]], ignore_index=True)
    found = rows.no_near_twins(training, both, CONTRACT, 7)
    assert found.verdict == "failed"
    assert "of 200 test rows, at most 5% allowed; the nearest is at 0." in found.figure
    # three marks of an amount are nothing: all but those that have another neighbour as close
    assert found.values["near_twins"] >= 25
    assert rows.no_near_twins(training.head(1), both, CONTRACT, 7).verdict == "not judged"


def test_a_sample_is_named_where_rows_are_many(data, monkeypatch):
    training, _, applicants, _, _ = data
    monkeypatch.setattr(rows, "PAIRS", 800 * 50)
    monkeypatch.setattr(rows, "FEWEST", 10)
    figure = rows.no_near_twins(training, applicants, CONTRACT, 7).figure
    assert "of 50 test rows, a sample of 200, at most 5% allowed;" in figure


def test_runs_by_hand():
    # 15 good, then 15 bad: 2 runs where 16 are expected, with the variance 15 · 14 / 29.
    y = np.repeat([1, 0], 15)
    z = (16 - 2) / math.sqrt(15 * 14 / 29)
    assert rows.runs_p(y) == pytest.approx(math.erfc(z / math.sqrt(2)))
    assert rows.runs_p(np.tile([1, 0], 15)) < 0.001  # alternating is no chance either


def test_a_target_that_drifts_with_the_rows_is_found():
    generator = np.random.default_rng(3)
    n = 1000
    steady = (generator.random(n) < 0.7).astype(int)
    drifting = (generator.random(n) < np.linspace(0.85, 0.55, n)).astype(int)
    # in blocks of 50 with their own bad rate, without a trend
    blocks = (generator.random(n) < np.tile(np.repeat([0.55, 0.85], 50), 10)).astype(int)
    assert rows.no_drift(steady).verdict == "passed"
    found = rows.no_drift(drifting)
    assert found.verdict == "failed" and found.values["p_trend"] < 0.005
    assert found.values["bad_rate_last"] > found.values["bad_rate_first"]
    found = rows.no_drift(blocks)
    assert found.verdict == "failed" and found.values["p_runs"] < 0.005
    assert rows.no_drift(np.repeat([1, 0], [50, 9])).verdict == "not judged"


def test_leaked_columns_are_found_whatever_their_shape(data):
    training, y, *_ = data
    # Jobs 0 and 3 for the bad, and an age in the middle for the good: neither is a trend.
    generator = np.random.default_rng(0)
    job = np.where(y == 1, 1, generator.choice([0, 3], len(y)))
    age = np.where(y == 1, 45, generator.choice([20, 70], len(y)))
    leaked = training.assign(Job=job, Age=age)
    alone = columns.single_columns(leaked, y, CONTRACT, 7)
    assert list(alone)[:2] == ["Age", "Job"] or list(alone)[:2] == ["Job", "Age"]
    found = columns.no_leak(alone, CONTRACT, 0.9)
    assert found.verdict == "failed" and found.values["suspects"] == 2
    assert "ROC-AUC of Job 1.000" in found.figure and "ROC-AUC of Age 1.000" in found.figure
    shuffled = columns.single_columns(leaked, generator.permutation(y), CONTRACT, 7)
    assert columns.no_leak(shuffled, CONTRACT, 0.9).verdict == "passed"


def test_gaps_that_give_the_outcome_away_are_found(data):
    training, y, *_ = data
    blank = np.flatnonzero(y == 0)[:100]  # of 240 bad ones
    savings = training["Saving accounts"].fillna("little").mask(training.index.isin(blank))
    gaps = training.assign(**{"Saving accounts": savings})
    found = columns.no_telling_gaps(gaps, y, CONTRACT)
    assert (found.verdict, found.figure) == ("failed", "Savings missing: 100.0% of 100 bad")
    # where 95 of 100 are good anyway, that a gap goes with good says nothing
    mostly_good = np.where(np.arange(len(y)) % 20 == 0, 0, 1)
    assert columns.no_telling_gaps(training, mostly_good, CONTRACT).verdict == "passed"
    whole = training.assign(
        **{
            name: training[name].fillna("little")
            for name in ("Saving accounts", "Checking account")
        }
    )
    assert columns.no_telling_gaps(whole, y, CONTRACT).verdict == "not judged"


def test_constants_and_row_numbers_are_found(data):
    raw = data[-1]
    found = columns.no_constants(raw.assign(Housing="own"), CONTRACT)
    assert (found.verdict, found.figure) == ("failed", "Housing")
    rising = np.arange(len(raw)) * 17 + 250
    for amount, reason in (
        (np.random.default_rng(0).permutation(len(raw)) + 250, "whole numbers without gaps"),
        (rising, "in the order of the rows"),
    ):
        found = columns.no_identifiers(raw.assign(**{"Credit amount": amount}), CONTRACT)
        assert found.verdict == "failed" and f"Credit amount ({reason}" in found.figure
    mixed = raw.assign(**{"Credit amount": np.random.default_rng(0).permutation(rising)})
    assert columns.no_identifiers(mixed, CONTRACT).verdict == "passed"
    assert columns.no_identifiers(raw.head(19), CONTRACT).verdict == "not judged"


def test_the_spread_of_folds_by_hand():
    y, score = np.array([1, 1, 0, 0]), np.array([1, 3, 0, 2])
    # The good outrank a half and all of the bad, the bad are outranked by all and a half of the
    # good: DeLong's variance is .125 / 2 + .125 / 2, of two folds twice that: .25 = .5².
    for sd, expected in ((1.0, "passed"), (1.5, "failed")):
        found = scores.steady_folds(sd, 2, y, score)
        # (2 - 1) · (sd / .5)², chi-squared with one degree of freedom: a squared normal variable.
        assert found.values["fold_sd_by_chance"] == pytest.approx(0.5)
        assert found.values["fold_p"] == pytest.approx(math.erfc(sd / 0.5 / math.sqrt(2)))
        assert found.verdict == expected
    separated = scores.steady_folds(0, 2, y, np.array([3, 3, 1, 1]))
    assert separated.verdict == "not judged"


def test_scores_that_are_too_extreme_or_too_high_are_found():
    generator = np.random.default_rng(5)
    p = expit(generator.normal(0.8, 1, 3000))
    y = (generator.random(3000) < p).astype(int)
    assert scores.calibrated(y, p, "these").verdict == "passed"
    assert scores.calibrated(y, expit(1.5 * logit(p)), "these").verdict == "failed"
    assert scores.calibrated(y, expit(logit(p) + 0.5), "these").verdict == "failed"
    assert scores.calibrated(y, np.full(3000, 0.7), "these").verdict == "not judged"


def test_what_choosing_by_the_test_set_adds():
    # The largest of two, three and four normal draws (David and Nagaraja, Order Statistics).
    expected = {1: 0, 2: 1 / math.sqrt(math.pi), 3: 1.5 / math.sqrt(math.pi), 4: 1.02938}
    assert {m: scores.best_of(m) for m in expected} == pytest.approx(expected, abs=1e-5)
    y, score = np.array([1, 1, 0, 0]), np.array([1, 3, 0, 2])  # a standard error of √.125
    found = scores.seldom_looked_at(Looks(7, 2), y, score)
    assert found.verdict == "passed"
    assert found.figure == "7 times, for 2 models; picking the best adds up to 0.199 to the ROC-AUC"
    assert scores.seldom_looked_at(Looks(4, 4), y, score).verdict == "failed"
    assert scores.seldom_looked_at(Looks(1, 1), y, score).figure.startswith("once, for 1 model;")
