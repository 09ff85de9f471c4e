"""Whatever a contract allows, the fast scorer answers like scikit-learn's pipeline."""

import math
import sqlite3
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from describedloans import field
from drawncontracts import as_json, drawn_applications, drawn_contract
from published import few_trees

from creditrisk.data.applications.domain import domain
from creditrisk.data.encoding import decode, encoder
from creditrisk.data.fields import SpecialCode
from creditrisk.modelling import candidates
from creditrisk.modelling.scorecard import sql
from creditrisk.scoring.fast_path import golden_codes, make_scorer

FAST = [
    "Logistic Regression",
    "Random Forest",
    "WoE Scorecard",
    "Spline Logistic Regression",
    "Soft-Voting Blend",  # the tuned forest is one of its members
]


@pytest.fixture(scope="module", params=range(3))
def drawn(request):
    random = np.random.default_rng(request.param)
    contract = drawn_contract(random)
    raw = drawn_applications(contract, 400, random)
    X = encoder(contract).transform(raw)
    first = contract.numbers[0].name if contract.numbers else raw.columns[0]
    score = X.iloc[:, 0].rank(pct=True).fillna(0.2) + X.iloc[:, -1] * 0.5
    y = (score + random.normal(0, 0.4, len(X)) > score.median()).astype(int)
    return contract, raw, X, y, first


@pytest.fixture(scope="module")
def fitted(drawn):
    """Name -> the model of a candidate for the drawn contract; each is trained once."""
    contract, _, X, y, _ = drawn

    @cache
    def fit(name):
        estimator = few_trees(candidates.estimator(name, contract, seed=1))
        model = candidates.decision_model(encoder(contract), estimator, 0.5)
        with warnings.catch_warnings():
            # Columns that hold one value only warn in fits of the least squares kind.
            warnings.simplefilter("ignore", category=UserWarning)
            model["decide"].fit(X, y)
        return model

    return fit


def test_the_encoding_loses_nothing(drawn):
    contract, raw, X, _, _ = drawn
    pd.testing.assert_frame_equal(decode(X, contract), raw)


@pytest.mark.parametrize("name", FAST)
def test_every_way_of_asking_gives_the_pipelines_answer(drawn, fitted, name):
    contract, raw, *_ = drawn
    model = fitted(name)
    scorer = make_scorer(model, contract).taking_blanks()
    assert scorer.fast
    far = scorer.domain.frame(golden_codes(scorer.domain, scorer.tables, draws=500, seed=3))
    bound = 0 if name.endswith("Forest") else 1e-12
    for frame in (raw, far):
        expected = model.predict_proba(frame)[:, 1]
        assert np.abs(scorer.probabilities(frame) - expected).max() <= bound
    records = as_json(contract, raw.head(40))
    found = [scorer.score(record)[0].probability for record in records]
    assert np.abs(found - model.predict_proba(raw.head(40))[:, 1]).max() <= bound


@pytest.mark.parametrize("scale", [1e-9, 3_000, 5e12])
def test_a_quantity_without_limits_costs_no_digits(scale):
    """Codes from 0 to 6, as of an education: the contract alone allows -1e15 to 1e15 as well.

    Beside them an amount: a share of all loans, an income, a sum of a currency with many zeros.
    """
    random = np.random.default_rng(5)
    code, amount = random.integers(0, 7, 300), random.normal(scale, 0.3 * scale, 300)
    raw = pd.DataFrame({"code": code, "amount": amount})
    y = (random.random(300) < 0.1 + 0.08 * code + 0.2 * amount / scale).astype(int)
    fields = tuple(
        field(kind, name=name, required=True)
        for kind, name in (("integer", "code"), ("number", "amount"))
    )
    contract = replace(drawn_contract(random), fields=fields, mixes=())
    estimator = candidates.estimator("Logistic Regression", contract, seed=1)
    model = candidates.decision_model(encoder(contract), estimator, 0.5)
    model["decide"].fit(encoder(contract).transform(raw), y)
    scorer = make_scorer(model, contract).taking_blanks()
    assert scorer.fast
    expected = model.predict_proba(raw)[:, 1]
    assert np.abs(scorer.probabilities(raw) - expected).max() <= 1e-14


@pytest.mark.parametrize("codes", [(99,), (98, 99), (-1, 0), (10**17,)])
def test_special_codes_at_an_end_of_a_range_are_no_quantity(codes):
    """Points of 1 to 60, and codes at an end of what is allowed, such as two in a row.

    A float of 10^17 less 1 is 10^17.
    """
    random = np.random.default_rng(5)
    points, y = random.integers(1, 60, 300), random.integers(0, 2, 300)
    points[:60] = np.resize(codes, 60)
    special = tuple(SpecialCode(code, str(code)) for code in codes)
    fields = (field("integer", required=True, minimum=0, maximum=max(99, *codes), special=special),)
    contract = replace(drawn_contract(random), fields=fields, mixes=())
    raw = pd.DataFrame({"x": points})
    estimator = candidates.estimator("Logistic Regression", contract, seed=1)
    model = candidates.decision_model(encoder(contract), estimator, 0.5)
    model["decide"].fit(encoder(contract).transform(raw), y)
    scorer = make_scorer(model, contract).taking_blanks()
    assert scorer.fast
    expected = model.predict_proba(raw)[:, 1]
    assert np.abs(scorer.probabilities(raw) - expected).max() <= 1e-14


def test_the_scorecard_as_sql_gives_the_pipelines_answer(drawn, fitted):
    contract, raw, *_ = drawn
    model = fitted("WoE Scorecard")
    far = domain(contract)
    frame = pd.concat([raw, far.frame(golden_codes(far, draws=200, seed=4))], ignore_index=True)
    rows = as_json(contract, frame)
    database = sqlite3.connect(":memory:")
    sql.add_exp(database)
    names = ", ".join(f'"{field.name}"' for field in contract.fields)
    marks = ", ".join("?" for _ in contract.fields)
    database.execute(f"CREATE TABLE applications ({names})")
    database.executemany(
        f"INSERT INTO applications VALUES ({marks})", [tuple(row.values()) for row in rows]
    )
    query = sql.to_sql(model, contract.taking_blanks())
    found = [row[-1] for row in database.execute(query)]
    expected = model.predict_proba(frame)[:, 1]
    assert None not in found
    assert np.abs(np.array(found, float) - expected).max() <= 1e-12
    assert not any(math.isnan(each) for each in found)
