"""Weighted figures: a row that stands for k applications counts as k of them."""

import numpy as np
import pandas as pd
import pytest

from creditrisk.metrics import (
    calibration,
    costs,
    cutoff_choice,
    intervals,
    placements,
    ranking,
    weight_of_evidence,
)

PRICES = 5.0, 1.0


def sample(rows=300):
    """Outcomes, scores with ties and whole weights, one of them 1; and the rows repeated so."""
    generator = np.random.default_rng(5)
    y = (generator.random(rows) < 0.7).astype(int)
    score = (0.5 + 0.15 * y + generator.normal(0, 0.2, rows)).clip(0.02, 0.98).round(2)
    times = generator.integers(1, 5, rows)
    return y, score, times.astype(float), np.repeat(np.arange(rows), times)


POINTS = {
    "measures": lambda y, s, w: list(ranking.measures(y, s, 0.6, w).values()),
    "roc_auc": lambda y, s, w: ranking.auc_interval(y, s, weight=w).estimate,
    "difference": lambda y, s, w: ranking.auc_difference(y, s, s**2 % 0.3, weight=w).estimate,
    "fast_auc": lambda y, s, w: placements.fast_auc(y, np.stack([s, s**2 % 0.3]), w),
    "ks": lambda y, s, w: ranking.ks(y, s, w),
    "bands": lambda y, s, w: ranking.score_bands(y, s, weight=w)[
        ["score_from", "score_to", "bad_rate", "bad_so_far", "good_so_far"]
    ],
    "brier": lambda y, s, w: list(calibration.brier_parts(y, s, weight=w).values()),
    "bins": lambda y, s, w: calibration.calibration_table(y, s, weight=w)[
        ["predicted", "observed"]
    ],
    "slope": lambda y, s, w: calibration.calibration_line(y, s, weight=w).slope.estimate,
    "intercept": lambda y, s, w: calibration.calibration_line(y, s, weight=w).intercept.estimate,
    "cost": lambda y, s, w: costs.expected_cost(y, s, costs.CUTOFFS, *PRICES, w),
    "cutoff": lambda y, s, w: [
        *cutoff_choice.cheapest_cutoff(y, np.stack([s, s**2]), *PRICES, w).figures.values()
    ][:1],
    "by_cutoff": lambda y, s, w: costs.decisions_by_cutoff(y, s, costs.CUTOFFS, w).fillna(-1),
    "rules": lambda y, s, w: list(costs.flat_costs(y, *PRICES, w).values()),
    "evidence": lambda y, s, w: weight_of_evidence.risk_by_level(
        pd.Series(s > 0.6), pd.Series(y), w
    )[["bad_rate", "woe", "iv"]],
}


@pytest.mark.parametrize("name", POINTS)
def test_a_row_of_weight_k_is_k_rows(name):
    y, score, weight, rows = sample()
    point = POINTS[name]
    weighted = np.asarray(point(y, score, weight), float)
    repeated = np.asarray(point(y[rows], score[rows], None), float)
    assert weighted == pytest.approx(repeated, abs=1e-6 if name in ("slope", "intercept") else 1e-9)
    assert weighted != pytest.approx(np.asarray(point(y, score, None), float), abs=1e-6) or (
        name == "cutoff"
    )


@pytest.mark.parametrize("name", POINTS)
def test_only_what_rows_weigh_beside_each_other_counts(name):
    y, score, weight, _ = sample()
    point = POINTS[name]
    plain = np.asarray(point(y, score, None), float)
    assert np.asarray(point(y, score, np.full(len(y), 3.0)), float) == pytest.approx(plain)
    halves = np.asarray(point(y, score, weight / 2), float)
    assert halves == pytest.approx(np.asarray(point(y, score, weight), float))


def test_weighted_placements_by_hand():
    # Good .4 (weight 2) and .9 (weight 1); bad .3 (1), .4 (3). Of the bad weight of 4, good .4
    # outranks 1 + 3/2 = 2.5, good .9 all 4: (2 · 2.5 + 1 · 4) / (3 · 4) = 9 / 12.
    y, score, weight = [1, 1, 0, 0], [0.4, 0.9, 0.3, 0.4], np.array([2.0, 1, 1, 3])
    found = ranking.auc_interval(np.array(y), np.array(score), weight=weight)
    assert found.estimate == pytest.approx(0.75)
    # V10 is .625 and 1 with mean .75: 2/1 · ((2 · .125)² + .25²) / 9 = .25 / 9. Bad .3 is outranked
    # by all, .4 by (1 + 2/2) / 3, mean .75: 2 · ((1 · .25)² + (3 · 1/12)²) / 16 = .25 / 16.
    error = np.sqrt(0.25 / 9 + 0.25 / 16)
    assert found.low == pytest.approx(0.75 - 1.959964 * error)


def test_equal_weights_give_the_intervals_of_none():
    y, score, _, _ = sample()
    same, approve = np.full(len(y), 2.0), score >= 0.6
    how = {"draws": 50, "seed": 1}
    pairs = [
        (ranking.auc_interval(y, score, weight=w), intervals.share_of(approve, w))
        for w in (None, same)
    ]
    pairs = [*zip(*pairs, strict=True)]
    rates = [ranking.intervals_of_rates(y, score, approve, weight=w, **how) for w in (None, same)]
    pairs += [(rates[0][name], rates[1][name]) for name in rates[0]]
    pairs.append(
        tuple(costs.cost_interval(y, score, 0.6, *PRICES, weight=w, **how) for w in (None, same))
    )
    for plain, weighted in pairs:
        ends = [plain.estimate, plain.low, plain.high]
        assert [weighted.estimate, weighted.low, weighted.high] == pytest.approx(ends)


def test_uneven_weights_widen_a_shares_interval():
    # Weights 1, 1, 1, 3: (6)² / 12 = 3 effective rows; the last alone is true: 3 / 6.
    weight = np.array([1.0, 1, 1, 3])
    assert intervals.effective_rows(weight) == 3
    found = intervals.share_of(np.array([False, False, False, True]), weight)
    z2 = 1.959964**2
    half = np.sqrt(z2 * (0.25 / 3 + z2 / 36)) / (1 + z2 / 3)
    assert found.estimate == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_quantiles_are_those_of_values_repeated():
    values, weight = np.array([3.0, 1, 2, 9]), np.array([2.0, 1, 3, 1])
    repeated = np.repeat(values, weight.astype(int))
    shares = np.linspace(0, 1, 13)
    assert intervals.quantiles(values, shares, weight) == pytest.approx(
        np.quantile(repeated, shares)
    )


def test_rows_that_represent_weighted_ones_are_as_often_there_as_they_weigh():
    # 90 rows of weight 1 and 30 of weight 10: 390² / 3090 = 49.2 effective rows; of these the
    # heavy ones are 300 / 390, 37.7, and each of the light ones is there once or not at all.
    weight = np.r_[np.ones(90), np.full(30, 10.0)]
    rows = intervals.representative(weight, seed=1)
    times = np.bincount(rows, minlength=120)
    assert len(rows) == 49 and set(times[:90]) == {0, 1} and set(times[90:]) <= {1, 2}
    assert times[90:].sum() == pytest.approx(37.7, abs=10)
