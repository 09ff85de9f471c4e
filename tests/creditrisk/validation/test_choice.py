"""How far cut-off and reasons depend on who was in the training set."""

from dataclasses import replace

import numpy as np
import pytest
from published import CONTRACT, RAW_FILE
from scipy.special import logit
from sklearn.base import clone

from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.metrics.cutoff_choice import cutoff_optimism, cutoffs_chosen
from creditrisk.modelling import candidates
from creditrisk.modelling.refit_stability import resampled
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.scoring.reasons import reference
from creditrisk.validation.choice import cutoff_spread, reason_stability


def test_the_spread_of_the_cut_off_by_hand():
    score = np.arange(0.05, 1, 0.1)  # ten applicants, .05 to .95
    found = cutoff_spread(np.array([0.5, 0.5, 0.6, 0.7]), 0.5, score)
    # Half, half, six and seven tenths are declined, where five are at the registered one.
    assert found.turned == pytest.approx((0 + 0 + 0.1 + 0.2) / 4)
    assert found.near == 0.5
    # The 2.5% quantile of four is between the first two, the 97.5% one at .925 of the last gap.
    assert (found.low, found.high) == pytest.approx((0.5, 0.6925))
    shares = found.approved, found.approved_at_low, found.approved_at_high
    assert shares == pytest.approx((0.5, 0.5, 0.3))


def test_cut_offs_are_those_whose_optimism_is_known():
    generator = np.random.default_rng(4)
    y, scores = generator.integers(0, 2, 300), generator.random((2, 300))
    how = {"draws": 50, "seed": 3}
    chosen = cutoffs_chosen(y, scores, 5, 1, **how)
    assert len(chosen) == 50
    ends = np.quantile(chosen, [0.025, 0.975])
    assert tuple(ends) == cutoff_optimism(y, scores, 5, 1, **how).chosen


@pytest.fixture(scope="module")
def model():
    """The scorecard, of so few rows that reasons waver; what it learned from; whom it declines."""
    table, ready = read_raw(RAW_FILE, CONTRACT), encoder(CONTRACT)
    X, y = ready.transform(table), target(table, CONTRACT)
    estimator = candidates.estimator("WoE Scorecard", CONTRACT, 7, ["Sex", "Age"])
    pipeline = candidates.decision_model(ready, estimator, 0.7)
    pipeline.named_steps["decide"].fit(X[:200], y[:200])
    usual = reference(table[:200], y[:200] == 1, CONTRACT)
    scorer = make_scorer(pipeline, CONTRACT, reference=usual)
    rest = table[[field.name for field in CONTRACT.fields]][200:]
    return scorer, estimator, X[:200], y[:200], rest[scorer.probabilities(rest) < 0.7].head(30)


def first_reasons(predict, usual, declined):
    """The strongest reasons of an additive model: one field after the other becomes usual."""
    names = [field.name for field in CONTRACT.fields if not field.protected]
    gains = []
    for name in names:
        changed = declined.assign(**{name: usual[name]}).astype(declined.dtypes)
        gains.append(logit(predict(changed)) - logit(predict(declined)))
    return np.array(names)[np.argmax(gains, axis=0)]


def answers_of(refit):
    """The probabilities of raw applications by a model of encoded ones."""
    encode = encoder(CONTRACT)
    return lambda frame: refit.predict_proba(encode.transform(frame))[:, 1]


def test_reasons_of_refits_are_compared_one_by_one(model):
    scorer, estimator, X, y, declined = model
    found = reason_stability(scorer, estimator, X, y, declined, refits=2, seed=11, workers=1)
    own = first_reasons(scorer.probabilities, scorer.reference, declined)
    others = []
    for seed in (11, 12):
        rows, _ = resampled(y, seed)
        refit = clone(estimator).fit(X.iloc[rows], y.iloc[rows])
        others.append(first_reasons(answers_of(refit), scorer.reference, declined))
    differs = np.array(others) != own
    assert 0 < differs.mean() < 1  # or nothing is compared
    assert found.differs == pytest.approx(differs.mean())
    assert (found.lowest, found.highest) == pytest.approx(
        (differs.mean(axis=1).min(), differs.mean(axis=1).max())
    )
    assert found.unsteady == pytest.approx((differs.mean(axis=0) >= 0.5).mean())
    assert found.by_field == pytest.approx(
        {name: differs[:, own == name].mean() for name in set(own)}
    )
    assert (found.refits, found.declined) == (2, 30)


def test_there_may_be_nothing_to_compare(model):
    scorer, *rest, declined = model
    how = {"seed": 1, "workers": 1}
    assert reason_stability(scorer, *rest, declined, refits=0, **how) is None
    assert reason_stability(scorer, *rest, declined.head(0), refits=1, **how) is None
    without = replace(scorer, reference=None)
    assert reason_stability(without, *rest, declined, refits=1, **how) is None


def test_a_model_without_tables_gives_the_same_effects_in_one_call(model):
    scorer, *_, declined = model
    bare = replace(scorer, tables=None)
    for fast, slow in zip(scorer.effects(declined), bare.effects(declined), strict=True):
        assert slow == pytest.approx(fast, abs=1e-9)
    assert bare.effects(declined.head(0))[0].shape == (0, len(CONTRACT.fields))
