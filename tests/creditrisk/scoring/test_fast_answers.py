"""Answers from tables are those of scikit-learn's pipelines, or the pipelines answer."""

import logging

import numpy as np
import pytest
from germanmodels import CONTRACT, RAW, as_json_gives_it, fitted
from threadpoolctl import threadpool_limits

from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.scoring import fast_path
from creditrisk.scoring.fast_path import golden_codes, make_scorer

FLAT = [
    "Logistic Regression",
    "Random Forest",
    "WoE Scorecard",
    "Spline Logistic Regression",
    "Tuned Random Forest",
    "Soft-Voting Blend",
]


@pytest.mark.parametrize("name", FLAT)
def test_fast_answers_are_the_pipelines_all_over_the_contract(name):
    # the blend has the tuned forest whole
    pipeline = fitted(name, few=name == "Tuned Random Forest")
    scorer = make_scorer(pipeline, CONTRACT)
    assert scorer.fast
    bound = 0 if name.endswith("Forest") else 1e-12
    drawn = scorer.domain.frame(golden_codes(scorer.domain, draws=2_000, seed=11))
    assert drawn["Saving accounts"].isna().mean() > 0.1
    for frame in (RAW, drawn):
        expected = pipeline.predict_proba(frame)[:, 1]
        assert np.abs(scorer.probabilities(frame) - expected).max() <= bound
        records = as_json_gives_it(frame)
        together = scorer.score(records)
        assert together == [scorer.score(record)[0] for record in records]
        assert together == scorer.score(as_stated(frame, CONTRACT))
        assert together == scorer.taking_blanks().score(frame)
        assert np.abs(np.array([d.probability for d in together]) - expected).max() <= bound
        assert [d.prediction for d in together] == pipeline.predict(frame).tolist()


@pytest.mark.parametrize("name", ["Random Forest", "Soft-Voting Blend"])
def test_as_machine_code_a_forest_gives_the_same_bits_or_is_refused(name, caplog, monkeypatch):
    pipeline = fitted(name, few=name == "Soft-Voting Blend")
    scorer = make_scorer(pipeline, CONTRACT)
    forest, places = scorer.tables.members[-1], golden_codes(scorer.domain, draws=20_000, seed=12)
    assert forest.words > 1  # an empty word sends the walk on
    by_numpy = forest.many_by_numpy(places)
    assert (forest.many(places) == by_numpy).all()
    from creditrisk.scoring import compiled

    expected = pipeline.predict_proba(scorer.domain.frame(places[-3000:]))[:, 1]
    bound = 0 if name.endswith("Forest") else 1e-12
    assert np.abs(scorer.from_codes(places)[-3000:] - expected).max() <= bound

    def wrong(rows, allowed, answers, first, total):
        total[:] = 0.5

    monkeypatch.setattr(compiled, "add_answers", wrong)
    assert (forest.many(places) == by_numpy).all()
    assert "THE COMPILED FOREST IS REFUSED" in caplog.text


@threadpool_limits.wrap(limits=1)  # its threads would wait for those of other tests
def test_a_model_the_tables_do_not_know_is_answered_by_its_pipeline(caplog):
    caplog.set_level(logging.INFO)
    pipeline = fitted("Gradient Boosting")
    scorer = make_scorer(pipeline, CONTRACT)
    assert not scorer.fast and "HistGradientBoostingClassifier" in caplog.text
    expected = pipeline.predict_proba(RAW)[:, 1]
    assert (scorer.probabilities(RAW) == expected).all()
    decisions = scorer.score(as_json_gives_it(RAW.head(40)))
    assert [d.probability for d in decisions] == expected[:40].tolist()
    assert scorer.score([]) == []


def test_a_fast_path_that_errs_by_one_leaf_is_refused_loudly(caplog, monkeypatch):
    right = fast_path.tabulate

    def wrong(*args):
        flat = right(*args)
        flat.members[0].answers[0] += 1e-9
        return flat

    monkeypatch.setattr(fast_path, "tabulate", wrong)
    scorer = make_scorer(fitted("Random Forest"), CONTRACT)
    assert not scorer.fast
    assert "THE FAST PATH IS REFUSED" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    assert (scorer.probabilities(RAW) == scorer.pipeline.predict_proba(RAW)[:, 1]).all()
