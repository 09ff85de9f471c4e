"""Whose decision turns with the protected value, and whether near twins are decided alike."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT, publish
from statsmodels.stats.contingency_tables import mcnemar

from creditrisk.data.encoding import decode
from creditrisk.metrics.intervals import paired_difference, share_interval
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.validation.fairness.flips import flips, unused
from creditrisk.validation.fairness.twins import matched_pairs, twin_table

ALIKE = {
    "Age": 40,
    "Sex": "male",
    "Job": 2,
    "Housing": "own",
    "Saving accounts": "little",
    "Checking account": "little",
    "Credit amount": 2000,
    "Duration": 12,
    "Purpose": "car",
}


def applicants(*changes):
    return pd.DataFrame([ALIKE | change for change in changes])


def model(probability):
    """A model of which the probability of good is known, with a cut-off of one half."""

    def probabilities(frame):
        return frame.apply(probability, axis=1).to_numpy(dtype=float)

    return SimpleNamespace(contract=CONTRACT, cutoff=0.5, probabilities=probabilities)


def test_direct_use_is_found_and_counted():
    """Being male adds .2: of 20 women 12 have .4, and would be approved; 8 have .2, and would not.
    Of the 10 men 6 have .6 and would not be approved as women; 4 have .9 and would be."""
    women = [{"Sex": "female", "Duration": 40}] * 12 + [{"Sex": "female", "Duration": 20}] * 8
    men = [{"Duration": 40}] * 6 + [{"Duration": 70}] * 4
    frame = applicants(*women, *men)
    used = model(lambda row: row.Duration / 100 + 0.2 * (row.Sex == "male"))
    found = flips(used, frame).set_index(["column", "to"])
    to_male, to_female = found.loc[("Sex", "male")], found.loc[("Sex", "female")]
    assert (to_male.applicants, to_male.turned, to_male.to_approved) == (20, 12, 12)
    assert (to_female.applicants, to_female.turned, to_female.to_approved) == (10, 6, 0)
    assert (to_male.mean_change, to_female.mean_change) == pytest.approx((0.2, -0.2))
    assert (to_male.mean_low, to_male.mean_high) == pytest.approx((0.2, 0.2))
    wilson = share_interval(12, 20)
    assert (to_male.share, to_male.low, to_male.high) == pytest.approx(
        (wilson.estimate, wilson.low, wilson.high)
    )
    assert "Age" not in found.index.get_level_values(0)  # all are 40: there is one group


def test_a_group_of_a_quantity_is_stood_for_by_its_middle_value():
    """Of the ages 20, 22, 24 and 25 the middle one is 22, the lower of two; of 30, 50, 80 it is
    50."""
    frame = applicants(*({"Age": age} for age in (25, 20, 24, 22, 80, 30, 50)))
    by_age = model(lambda row: row.Age / 100)
    found = flips(by_age, frame).set_index("to")
    assert found.mean_change["age to 25"] == pytest.approx(np.mean([0.22 - 0.8, -0.08, -0.28]))
    assert found.mean_change["age over 25"] == pytest.approx(0.5 - (25 + 20 + 24 + 22) / 400)
    # From 80 to 22; from 20 to 50. The former was approved, and so was 50; the latter all become.
    assert found.turned.to_dict() == {"age over 25": 4, "age to 25": 2}
    assert found.low.isna().all()  # four applicants, and three: too few for an interval


def test_a_column_that_is_not_used_turns_nothing(tmp_path, real):
    """A model that was trained on all columns, and one that hides two of them."""
    contract, X, _ = real
    frame = decode(X, contract)
    open_eyed = load_scorer(publish(tmp_path / "model", "Logistic Regression", 1))
    assert flips(open_eyed, frame).set_index(["column", "to"]).turned[("Sex", "male")] > 0
    fixed = {"Sex": "male", "Age": 40}
    blind = SimpleNamespace(
        contract=contract,
        cutoff=open_eyed.cutoff,
        probabilities=lambda rows: open_eyed.probabilities(rows.assign(**fixed)),
    )
    found = flips(blind, frame)
    assert len(found) == 4 and not found[["turned", "mean_change", "largest_change"]].any(axis=None)
    assert (found.high > 0).all()
    assert unused(blind, ["Sex", "Duration"]) == ["Sex"]


# --- matched pairs --------------------------------------------------------------------------


def test_each_is_paired_once_with_the_nearest_within_the_caliper():
    """The amounts span a logarithm of ln 4, over eight columns: a factor of 2 is 1/16 apart."""
    amounts = {"male": (1000, 4000, 2000), "female": (1000, 1000, 4000)}
    changes = [{"Sex": s, "Credit amount": a} for s, each in amounts.items() for a in each]
    frame = applicants(*changes)

    def paired(caliper):
        found = matched_pairs(frame, CONTRACT, CONTRACT["Sex"], ("female", "male"), caliper)
        return dict(zip(found.first.tolist(), found.second.tolist())), found.distance

    pairs, distance = paired(0.05)
    assert pairs in ({3: 0, 5: 1}, {4: 0, 5: 1}) and distance == pytest.approx([0, 0], abs=1e-7)
    pairs, distance = paired(0.07)
    assert set(pairs) == {3, 4, 5} and set(pairs.values()) == {0, 1, 2}
    assert sorted(distance) == pytest.approx([0, 0, 1 / 16], abs=1e-7)


def test_twins_by_hand():
    """12 pairs: in 5 only the woman is approved, in 1 only the man, in 4 both and in 2 neither."""
    rows = [{"Sex": sex, "Duration": 10 * n} for n in range(1, 13) for sex in ("female", "male")]
    frame = applicants(*rows)
    women = np.array([1] * 5 + [0] * 1 + [1] * 4 + [0] * 2, dtype=bool)
    men = np.array([0] * 5 + [1] * 1 + [1] * 4 + [0] * 2, dtype=bool)
    approve = np.column_stack([women, men]).ravel()
    (row,) = twin_table(frame, approve, CONTRACT, 0.001).to_dict("records")
    counts = [row[each] for each in ("pairs", "both", "only_group", "only_against", "neither")]
    if row["group"] == "male":
        counts[2:4] = counts[3:1:-1]
    assert counts == [12, 4, 5, 1, 2]
    assert abs(row["difference"]) == pytest.approx(4 / 12)
    # At most 1 of 6 heads, or at most 1 tail: 2 · (1 + 6) / 64
    assert row["p"] == pytest.approx(14 / 64)
    assert row["p"] == pytest.approx(mcnemar([[4, 5], [1, 2]], exact=True).pvalue)
    few = twin_table(frame.iloc[:20], approve[:20], CONTRACT, 0.00001)
    assert few.pairs.tolist() == [10] and few.p.notna().all()
    assert twin_table(frame.iloc[:18], approve[:18], CONTRACT, 0.001).empty  # groups of nine


@pytest.mark.parametrize("counts", [(12, 2, 50), (5, 1, 12), (0, 9, 40), (20, 22, 60), (3, 3, 6)])
def test_the_interval_of_pairs_inverts_the_score_test(counts):
    """Zero lies outside just if McNemar's chi-squared test rejects it, and mirrored it mirrors."""
    first, second, pairs = counts
    found, mirrored = paired_difference(*counts), paired_difference(second, first, pairs)
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-8)
    table = [[pairs - first - second, first], [second, 0]]
    p = mcnemar(table, exact=False, correction=False).pvalue
    assert (found.low > 0 or found.high < 0) == (p < 0.05)
    # The end at a level at which the test just rejects zero is zero.
    touching = paired_difference(*counts, level=1 - p) if p < 1 else None
    if touching and 0 < touching.estimate:
        assert touching.low == pytest.approx(0, abs=1e-6)
    assert -1 <= found.low <= found.estimate <= found.high <= 1


def test_no_pair_that_differs_is_no_certainty():
    """Without discordant pairs the ends are z² / (n + z²) either way: .1137 of 30."""
    found = paired_difference(0, 0, 30)
    assert (found.low, found.high) == pytest.approx((-0.11350, 0.11350), abs=1e-4)
