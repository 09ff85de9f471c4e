"""The search for segments in which a model errs most, and their confirmation."""

import math
import time

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT
from scipy.special import expit, logit

from creditrisk.data.encoding import decode
from creditrisk.validation.slices import CONFIRMED, TOO_FEW, UNCONFIRMED, Sample, find_slices

ALIKE = {
    "Age": 40,
    "Job": 2,
    "Housing": "own",
    "Saving accounts": "little",
    "Checking account": "little",
    "Credit amount": 2000,
    "Duration": 12,
    "Purpose": "car",
}


def search(training, test, **more):
    return find_slices(training, test, CONTRACT, **({"share": 0.01, "seed": 7} | more))


def of_women_and_men(women, good_women, men, good_men, score=0.8):
    """Applicants who differ by sex alone, all with the same score."""
    frame = pd.DataFrame([ALIKE] * (women + men))
    frame["Sex"] = ["female"] * women + ["male"] * men
    y = np.repeat([1, 0, 1, 0], [good_women, women - good_women, good_men, men - good_men])
    return Sample(frame, y, np.full(len(y), score))


def test_figures_by_hand():
    """Of the women .8 are predicted good and .5 are: an excess of (.8 - .5) ln(.8 / .2)."""
    found = search(of_women_and_men(100, 50, 200, 200), of_women_and_men(40, 20, 60, 60))
    # Two sexes and one group of each of eight others; 2 · 8 pairs with a sex, 28 of the others.
    assert (found.searched, found.smallest) == (2 + 8 + 2 * 8 + 28, 60)  # 20 of 100, of 300
    (row,) = found.found.to_dict("records")
    excess = 0.3 * math.log(4)
    assert (row["segment"], row["applicants"], row["test_applicants"]) == ("Sex female", 100, 40)
    assert (row["predicted"], row["observed"]) == pytest.approx((0.8, 0.5))
    assert (row["excess"], row["test_excess"]) == pytest.approx((excess, excess))
    # 50 good of 100 where 80 are expected, with a standard deviation of √(100 · .8 · .2) = 4.
    assert row["z"] == pytest.approx(30 / 4)
    # 20 good or fewer of 40 have a chance of 2 in 100,000: none of the draws.
    assert row["p"] == row["p_corrected"] == pytest.approx(1 / 10_001)
    assert row["verdict"] == CONFIRMED


def test_what_the_test_rows_do_not_show_is_not_confirmed():
    training = of_women_and_men(100, 50, 200, 200)
    (row,) = search(training, of_women_and_men(40, 31, 60, 60)).found.to_dict("records")
    # 31 good or fewer of 40, .8 each: the binomial distribution's 41%.
    assert row["p"] == pytest.approx(0.4087, abs=0.02) and row["verdict"] == UNCONFIRMED
    (row,) = search(training, of_women_and_men(9, 0, 91, 91)).found.to_dict("records")
    assert row["verdict"] == TOO_FEW and math.isnan(row["p"])
    nobody = search(training, of_women_and_men(0, 0, 91, 91)).found
    assert list(nobody.verdict) == [TOO_FEW] and nobody.test_predicted.isna().all()


def drawn(frame, score, seed, n):
    """Applicants of a frame, and outcomes as their scores say."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, len(frame), n)
    y = (generator.random(n) < score[rows]).astype(int)
    return Sample(frame.iloc[rows].reset_index(drop=True), y, score[rows])


@pytest.fixture(scope="module")
def population(real):
    contract, X, _ = real
    score = expit(np.random.default_rng(2).normal(0.9, 1, len(X)))
    return decode(X, contract), score


def flipped(sample):
    """The same with outcomes turned over for women with a rented flat."""
    those = (sample.applications.Sex == "female") & (sample.applications.Housing == "rent")
    return Sample(sample.applications, np.where(those, 1 - sample.y, sample.y), sample.score)


def test_flipped_labels_in_one_slice_are_found_and_confirmed(population):
    training, test = (flipped(drawn(*population, seed, n)) for seed, n in ((1, 2000), (2, 1000)))
    found = search(training, test)
    first = found.found.iloc[0]
    assert first.segment == "Sex female, Housing rent" and first.verdict == CONFIRMED
    assert first.observed < 0.5 < first.predicted
    assert first.segment in set(found.confirmed.segment)


def test_without_a_planted_slice_hardly_anything_is_confirmed(population):
    wrong = [
        len(
            search(
                drawn(*population, 2 * seed, 800), drawn(*population, 2 * seed + 1, 200)
            ).confirmed
        )
        for seed in range(20)
    ]
    assert sum(map(bool, wrong)) <= 1


def test_a_fault_of_all_scores_is_no_segment(population):
    """Scores three times too extreme, which the line of recalibration takes out."""
    samples = [drawn(*population, seed, 2000) for seed in (3, 4)]
    extreme = [Sample(s.applications, s.y, expit(3 * logit(s.score))) for s in samples]
    assert search(*extreme).confirmed.empty


def test_nothing_is_large_enough(population):
    small = drawn(*population, 5, 25)
    found = search(small, small)
    assert (found.searched, len(found.found), len(found.confirmed)) == (0, 0, 0)


def test_the_search_is_quick(population):
    training, test = drawn(*population, 6, 1000), drawn(*population, 7, 250)
    began = time.process_time()
    search(training, test)
    assert time.process_time() - began < 1
