"""Whatever a contract allows, the fast scorer answers like scikit-learn's pipeline."""

import json
import math
import sqlite3
import warnings

import numpy as np
import pandas as pd
import pytest

from creditrisk.data.cells import dtype
from creditrisk.data.descriptor import parse_contract
from creditrisk.data.encoding import decode, encoder
from creditrisk.modelling import candidates, scorecard
from creditrisk.scoring.fast_path import golden_codes, make_scorer

FAST = [
    "Logistic Regression",
    "Random Forest",
    "WoE Scorecard",
    "Spline Logistic Regression",
    "Soft-Voting Blend",  # the tuned forest is one of its members
]


def drawn_contract(random):
    """A contract of some columns of every kind, required or not, with states or without."""

    def number(name, type, **more):
        rules = {"required": bool(random.integers(2))}
        if random.integers(2) or more.get("scale") == "log":
            rules |= {"minimum": 1, "maximum": int(10 ** random.integers(2, 9))}
        field = {"name": name, "type": type, "constraints": rules, **more}
        if not rules["required"]:
            field["missingMeans"] = "value"
        if random.integers(2):
            field["specialCodes"] = [{"value": -999, "label": "no record"}]
            if random.integers(2):
                field["specialCodes"].append({"value": -1, "label": "refused"})
        return field

    def category(name, type, levels, **more):
        rules = {"required": bool(random.integers(2)), "enum": levels}
        if type == "boolean":
            del rules["enum"]
        field = {"name": name, "type": type, "constraints": rules, **more}
        if not rules["required"]:
            field["missingMeans"] = ["value", "worst"][random.integers(2)]
        return field

    fields = [
        number("count", "integer"),
        number("income", "number", scale="log"),
        number("ratio", "number"),
        number("since", "date") | {"specialCodes": [], "constraints": {"required": True}},
        category("grade", "integer", [1, 2, 3], categoriesOrdered=True),
        category("home", "string", ["own", "rent", "other"], unlisted="other"),
        category("state", "string", ["TX", "a b", "it's"]),
        category("verified", "boolean", None),
    ]
    for field in fields:
        if not field.get("specialCodes", True):
            del field["specialCodes"]
        if field["constraints"]["required"]:
            field.pop("missingMeans", None)
    order = random.permutation(len(fields))[: random.integers(4, len(fields) + 1)]
    outcome = {"name": "outcome", "type": "string"}
    outcome["constraints"] = {"required": True, "enum": ["good", "bad"]}
    return parse_contract(
        {
            "name": "drawn",
            "title": "Drawn",
            "sources": [{"title": "drawn"}],
            "licenses": [{"title": "none"}],
            "resources": [
                {
                    "name": "drawn",
                    "path": "drawn.csv",
                    "target": {"field": "outcome", "positive": "good"},
                    "schema": {"fields": [*(fields[n] for n in order), outcome]},
                }
            ],
        }
    )


def drawn_applications(contract, rows, random):
    columns = {}
    for field in contract.fields:
        if field.levels is None:
            if field.scale == "log":
                values = np.exp(random.normal(7, 1, rows)).clip(1, field.maximum)
            else:
                low = field.limits[0] if field.minimum is not None else -5000
                high = field.limits[1] if field.maximum is not None else 20_000
                values = low + (high - low) * random.beta(2, 5, rows)
            values = np.floor(values) if field.whole else values.round(3)
            for code in field.special_values:
                values[random.random(rows) < 0.1] = code
            values = values.astype(object)
        else:
            values = np.array(field.levels, dtype=object)[
                random.integers(len(field.levels), size=rows)
            ]
        if not field.required:
            values[random.random(rows) < 0.15] = np.nan
        columns[field.name] = pd.Series(values).astype(dtype(field))
    return pd.DataFrame(columns)


# Together these have a column of each kind, required and not, with codes and without.
@pytest.fixture(params=[0, 2, 3])
def drawn(request):
    random = np.random.default_rng(request.param)
    contract = drawn_contract(random)
    raw = drawn_applications(contract, 400, random)
    X = encoder(contract).transform(raw)
    first = contract.numbers[0].name if contract.numbers else raw.columns[0]
    score = X.iloc[:, 0].rank(pct=True).fillna(0.2) + X.iloc[:, -1] * 0.5
    y = (score + random.normal(0, 0.4, len(X)) > score.median()).astype(int)
    return contract, raw, X, y, first


def as_json(contract, frame):
    """Applications as JSON has them, in the coding of the data."""
    records = []
    for row in frame.astype(object).itertuples(index=False):
        record = {}
        for field, value in zip(contract.fields, row):
            if pd.isna(value):
                record[field.name] = None
            elif field.is_dated:
                record[field.name] = field.shown(int(value))
            elif field.levels is None:
                record[field.name] = int(value) if field.whole else float(value)
            else:
                record[field.name] = int(value) if field.type == "integer" else value
        records.append(record)
    return json.loads(json.dumps(records))


def test_the_encoding_loses_nothing(drawn):
    contract, raw, X, _, _ = drawn
    pd.testing.assert_frame_equal(decode(X, contract), raw)


@pytest.mark.parametrize("name", FAST)
def test_every_way_of_asking_gives_the_pipelines_answer(drawn, name):
    contract, raw, X, y, _ = drawn
    model = candidates.decision_model(
        encoder(contract), candidates.estimator(name, contract, seed=1), 0.5
    )
    with warnings.catch_warnings():
        # Columns that hold one value only warn in fits of the least squares kind.
        warnings.simplefilter("ignore", category=UserWarning)
        model["decide"].fit(X, y)
    scorer = make_scorer(model, contract).taking_blanks()
    assert scorer.fast
    far = scorer.domain.frame(golden_codes(scorer.domain, scorer.tables, draws=2_000, seed=3))
    bound = 0 if name.endswith("Forest") else 1e-12
    for frame in (raw, far):
        expected = model.predict_proba(frame)[:, 1]
        assert np.abs(scorer.probabilities(frame) - expected).max() <= bound
    records = as_json(contract, raw.head(40))
    found = [scorer.score(record)[0].probability for record in records]
    assert np.abs(found - model.predict_proba(raw.head(40))[:, 1]).max() <= bound


def test_the_scorecard_as_sql_gives_the_pipelines_answer(drawn):
    contract, raw, X, y, _ = drawn
    model = candidates.decision_model(
        encoder(contract), candidates.estimator("WoE Scorecard", contract, seed=1), 0.5
    )
    model["decide"].fit(X, y)
    far = make_scorer(model, contract).domain
    frame = pd.concat([raw, far.frame(golden_codes(far, draws=500, seed=4))], ignore_index=True)
    rows = as_json(contract, frame)
    database = sqlite3.connect(":memory:")
    scorecard.add_exp(database)
    names = ", ".join(f'"{field.name}"' for field in contract.fields)
    marks = ", ".join("?" for _ in contract.fields)
    database.execute(f"CREATE TABLE applications ({names})")
    database.executemany(
        f"INSERT INTO applications VALUES ({marks})", [tuple(row.values()) for row in rows]
    )
    query = scorecard.to_sql(model, contract.taking_blanks())
    found = [row[-1] for row in database.execute(query)]
    expected = model.predict_proba(frame)[:, 1]
    assert None not in found
    assert np.abs(np.array(found, float) - expected).max() <= 1e-12
    assert not any(math.isnan(each) for each in found)
