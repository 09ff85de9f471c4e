"""Limits, drift, changed relations: what alarms, what does not, and how often by chance."""

import numpy as np
import pandas as pd
import pytest
from describedloans import field
from hypothesis import given, settings
from hypothesis import strategies as st

from creditrisk.data.encoding import decode
from creditrisk.data.fields import SpecialCode
from creditrisk.monitoring.alarms import bins, challenger, drift, relation, sequential
from creditrisk.monitoring.alarms.bins import Bins, bins_of


@pytest.fixture(scope="module")
def decoded(real):
    """The contract, and all applications as they were stated."""
    contract, X, _ = real
    return contract, decode(X, contract)


def applications(decoded, rows, seed):
    _, frame = decoded
    drawn = np.random.default_rng(seed).integers(0, len(frame), rows)
    return frame.iloc[drawn].reset_index(drop=True)


def test_a_years_false_alarms_are_spent_month_by_month():
    """8 draws, 2 months, half of the year's alarms in each: 2 draws reach the first limit, and of
    the 6 that are left 2 the second; a new draw has to be beyond. The third month begins a new
    year, in which nothing is spent."""
    first = [1, 2, 3, 4, 5, 6, 7, 8]
    second = [9, 1, 2, 3, 4, 5, 20, 21]  # the last two have passed already
    peaks = np.array([first, second, first], dtype=float).T
    limits = sequential.spending_limits(peaks, np.array([0.25, 0.25, 0.0]), year=2)
    # the second largest of 1 to 8, and of 9, 1, 2, 3, 4, 5
    assert limits.tolist() == [7, 5, np.inf]


def test_a_months_share_goes_to_the_families_that_are_judged():
    judged = np.array([[True, True, False], [False, True, False]])
    spent = sequential.shares(judged, 0.06, year=3)
    assert spent == pytest.approx(np.array([[0.02, 0.01, 0], [0, 0.01, 0]]))


@given(st.floats(-3, 5), st.integers(1, 12))
def test_a_score_and_its_statistic_are_one_another(score, degrees):
    statistic = sequential.statistic_at(score, degrees)
    if statistic > 0:
        assert sequential.normal_score(statistic, degrees) == pytest.approx(score, abs=1e-9)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=9), st.booleans())
def test_every_bin_has_enough_rows_and_none_is_lost(counts, ordered):
    counts = np.array(counts)
    joined = bins._joined if ordered else bins._others
    if not counts.sum():
        return
    bin_of = joined(counts, 5)
    size = np.bincount(bin_of, counts)
    assert size.sum() == counts.sum() and sorted(set(bin_of)) == list(range(len(size)))
    assert len(size) == 1 or size.min() >= 5
    assert not ordered or (np.diff(bin_of) >= 0).all()


def test_index_and_move_by_hand():
    """100 applicants in two bins, 50 and 50, against 200 of 60 and 140.

    PSI = (.3 - .5) ln(.3/.5) + (.7 - .5) ln(.7/.5) = .1022 + .0673 = .1695. Mean ranks of the bins
    are .25 and .75: the mean goes from .5 to .3 * .25 + .7 * .75 = .6.
    """
    bins = Bins("x", None, np.array([0.0]), np.array([0, 1]), True, ("low", "high"))
    features = np.repeat(np.eye(2), 50, axis=0)
    reference = drift.Reference((bins,), features, np.array([0]), np.array([0.25, 0.75]))
    found = drift.distances(reference, np.array([50.0, 50]), np.array([60.0, 140]), 100, 200)
    assert found.index == pytest.approx([0.1695], abs=5e-5)
    assert found.move == pytest.approx([0.1])
    assert drift.moved(reference, 0, np.array([0.3, 0.7])) == "“low” from 50% to 30%"


def test_gaps_and_special_codes_are_bins_beside_those_of_the_quantity():
    """100 quantities 1 to 100 have their tenths at 10.9, 20.8 ...: ten ranges of ten. With 40 times
    -9 and 60 missing that makes 12 bins. A value at an edge, 10.9, is above it."""
    limit = field("number", name="limit", title="Limit", special=(SpecialCode(-9, "no card"),))
    values = pd.Series([*range(1, 101), *[-9] * 40, *[np.nan] * 60], dtype=float)
    bins = bins_of(values, "Limit", limit)
    assert np.bincount(bins.codes(values)).tolist() == [10] * 10 + [40, 60]
    assert bins.names[0] == "under 10.9" and bins.names[-2:] == ("no card", "missing")
    assert not bins.ordered, "a state has no place among the quantities"
    assert bins.codes(pd.Series([10.9, -9.0, np.nan, 1e9, 10.8])).tolist() == [1, 10, 11, 9, 0]
    empty = bins_of(pd.Series([np.nan] * 200), "Limit", limit)
    assert empty.codes(pd.Series([np.nan, 5.0])).tolist() == [0, 0], "nothing to tell apart"


def test_a_bin_of_dates_is_named_by_dates():
    """Days 0 to 99: the first tenth ends at 9.9, which is the eleventh day of 1970."""
    opened = field("date", required=True)
    bins = bins_of(pd.Series(range(100)), "Opened", opened)
    assert bins.names[0] == "under 1970-01-11" and bins.ordered


def year(decoded, alpha, seed, change=lambda frame, score: (frame, score), draws=240):
    """A year of 12 months of 100 applicants, the last six of them changed."""
    contract, _ = decoded
    training = applications(decoded, 400, [seed, 0])
    generator = np.random.default_rng([seed, 1])
    reference = drift.reference_of(training, generator.random(400), contract)
    early, late = (
        (applications(decoded, 600, [seed, 2, half]), generator.random(600)) for half in (0, 1)
    )
    placed = np.vstack([reference.placed(*early), reference.placed(*change(*late))])
    counts = placed.reshape(12, 100, -1).sum(axis=1)
    spend, sizes = np.full(12, alpha / 12), np.full(12, 100)
    return reference, drift.drift_table(reference, counts, sizes, spend, draws=draws, seed=seed)


def test_quiet_years_alarm_as_often_as_asked_for(decoded):
    """With 20 years at one in two, 4 to 16 alarms but for less than three in 1,000 (binomial).

    Each month spends 5 of 120 draws: ranks are right however few there are.
    """
    alarms = sum(year(decoded, 0.5, seed, draws=120)[1].alarm.any() for seed in range(20))
    assert 4 <= alarms <= 16


def test_a_recoded_column_is_found_at_once_and_named(decoded):
    contract = decoded[0]
    field = next(field for field in contract.categories if len(field.levels) == 2)
    swapped = dict(zip(field.levels, reversed(field.levels)))

    def recode(frame, score):
        return frame.assign(**{field.name: frame[field.name].map(swapped)}), score

    reference, table = year(decoded, 0.05, 3, recode)
    passed = table[table.alarm]
    titles = {reference.bins[number].title for number in passed.column}
    assert titles == {field.title} and passed.month.min() == 6
    assert (passed.psi > passed.psi_limit).any() and passed.moved.str.contains("from").all()


def outcomes(seed, n, shift=0.0, slope=1.0):
    generator = np.random.default_rng(seed)
    score = generator.uniform(0.5, 0.95, n)
    odds = slope * (np.log(score / (1 - score)) - 1) + 1 + shift
    return (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(float), score


@pytest.mark.parametrize(
    ("shift", "slope", "what", "sign"),
    [(0.0, 1.0, None, 0), (-0.9, 1.0, relation.LEVEL, -1), (0.0, -0.6, relation.SLOPE, -1)],
)
def test_a_changed_relation_is_found_and_named(shift, slope, what, sign):
    reference = relation.held_out(*outcomes(1, 700), 0.5)
    months = [outcomes([2, m], 150, *((shift, slope) if m > 3 else ())) for m in range(8)]
    sums = np.array([reference.products(*each).sum(axis=0) for each in months])
    spend, sizes = np.full(8, 0.05 / 12), np.full(8, 150)
    table = relation.relation_table(reference, sums, sizes, spend, draws=1000, seed=1)
    passed = table[table.alarm]
    assert set(passed.what) == ({what} if what else set())
    assert (np.sign(passed.difference) == sign).all() and (passed.month > 3).all()


def test_residuals_by_hand():
    """Outcomes 1 and 0 at probability 1/2, of odds 0, and the middle at 0: residuals ± 1/2."""
    reference = relation.HeldOut(np.zeros((1, 4)), 0.0)
    found = reference.products(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    assert found.tolist() == [[0.5, 0, 0.25, 0], [-0.5, 0, 0.25, 0]]


def test_evidence_for_a_challenger_by_hand():
    """The first bet is 0. After a gain of .5 the second is (.5 / 2) / ((.25 + .25) / 2) = 1, cut to
    a half: 1 + .5 * .5 = 1.25; after that (1 / 3) / (.75 / 3) is cut again: 1.25 * .75 = .9375."""
    assert challenger.evidence([0.5, 0.5, -0.5]) == pytest.approx([1, 1.25, 0.9375])


def test_evidence_seldom_misleads_however_often_one_looks():
    """Of 400 challengers that are no better, at most 1 in 10 may ever reach 10; more than 60 of
    them would have a probability under one in 1,000."""
    gains = np.random.default_rng(0).choice([-0.4, 0.4], (400, 500))
    reached = [challenger.evidence(each).max() >= 10 for each in gains]
    assert 0 < sum(reached) <= 60
    better = [challenger.evidence(each + 0.1).max() >= 10 for each in gains]
    assert np.mean(better) > 0.9


def test_the_swap_set_by_hand():
    """Six applicants, cut-offs .5 and .6: each cell with what is known of it."""
    both = pd.DataFrame(
        {
            "score": [0.9, 0.8, 0.7, 0.6, 0.4, 0.3],
            "shadow_probability": [0.9, 0.7, 0.5, 0.4, 0.8, 0.2],
            "outcome": [1, 0, 0, np.nan, np.nan, np.nan],
        }
    )
    found = challenger.swap_set(both, 0.5, 0.6).set_index(["production", "challenger"])
    assert found.applicants.to_dict() == {
        ("approve", "approve"): 2,
        ("approve", "decline"): 2,
        ("decline", "approve"): 1,
        ("decline", "decline"): 1,
    }
    assert found.bad_rate["approve", "approve"] == 0.5
    assert found.bad_rate["approve", "decline"] == 1.0 and found.known["approve", "decline"] == 1
    assert np.isnan(found.bad_rate["decline", "approve"])
    # 1 - (.7 + .6) / 2 and 1 - (.5 + .4) / 2
    assert found.expected_by_production["approve", "decline"] == pytest.approx(0.35)
    assert found.expected_by_challenger["approve", "decline"] == pytest.approx(0.55)
