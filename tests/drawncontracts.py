"""Contracts of other files than the German ones, and applications that they allow."""

import json

import numpy as np
import pandas as pd
from published import put

from creditrisk.data.cells import dtype
from creditrisk.data.descriptor import parse_contract
from creditrisk.data.encoding import encoder
from creditrisk.modelling import candidates

#: A contract with every type of column, and everything that a column may be beside its values.
EVERY_TYPE = {
    "name": "every-type",
    "title": "Every type",
    "modelName": "Every_Type",
    "sources": [{"title": "made up"}],
    "licenses": [{"title": "none"}],
    "resources": [
        {
            "name": "loans",
            "path": "loans.csv",
            "dialect": {"delimiter": ";"},
            "target": {"field": "outcome", "positive": "good"},
            "schema": {
                "missingValues": ["", "k.A."],
                "fields": [
                    {"name": "loan", "type": "string", "role": "id"},
                    {
                        "name": "rate",
                        "title": "Interest rate",
                        "type": "number",
                        "unit": "percent",
                        "decimalChar": ",",
                        "groupChar": ".",
                        "constraints": {"required": True},
                    },
                    {
                        "name": "late",
                        "title": "Months since the last late payment",
                        "type": "integer",
                        "constraints": {"minimum": 0},
                        "missingMeans": "value",
                        "specialCodes": [{"value": -999, "label": "never was late"}],
                    },
                    {
                        "name": "debt",
                        "title": "Debt over income",
                        "type": "number",
                        "decimalChar": ",",
                        "constraints": {"maximum": 99.5},
                        "missingMeans": "level",
                        "missingLabel": "no income",
                    },
                    {
                        "name": "opened",
                        "title": "First account opened",
                        "type": "date",
                        "format": "%d.%m.%Y",
                        "constraints": {"required": True, "minimum": "01.01.1990"},
                    },
                    {
                        "name": "employed",
                        "title": "Employed since",
                        "type": "yearmonth",
                        "missingMeans": "worst",
                    },
                    {
                        "name": "owner",
                        "title": "Owns a home",
                        "type": "boolean",
                        "trueValues": ["ja"],
                        "falseValues": ["nein"],
                        "missingMeans": "level",
                        "missingLabel": "not asked",
                    },
                    {
                        "name": "job",
                        "title": "Job",
                        "type": "string",
                        "unlisted": "other",
                        "constraints": {"required": True, "enum": ["nurse", "other"]},
                    },
                    {
                        "name": "term",
                        "title": "Term",
                        "type": "string",
                        "constraints": {"required": True, "enum": [" 36 months", " 60 months"]},
                    },
                    {
                        "name": "grade",
                        "title": "Grade",
                        "type": "integer",
                        "constraints": {"enum": [1, 2, 3]},
                        "missingMeans": "value",
                    },
                    {
                        "name": "outcome",
                        "type": "string",
                        "constraints": {"required": True, "enum": ["good", "bad"]},
                    },
                ],
            },
        }
    ],
}


NAMES = [field["name"] for field in EVERY_TYPE["resources"][0]["schema"]["fields"][1:-1]]

#: Three applications that it allows, as JSON has them: each state of each column.
RECORDS = [
    dict(zip(NAMES, values))
    for values in (
        [1013.5, 12, 0.5, "2001-01-31", "1999-02", True, "nurse", " 36 months", 1],
        [7.0, -999, "no income", "1990-01-01", None, "not asked", "painter", " 60 months", None],
        [-0.5, None, 99.5, "2004-03-02", None, False, "other", " 36 months", 3],
    )
]


def every_type_model(folder, seed=1):
    """A model of that contract in a folder."""
    contract = parse_contract(EVERY_TYPE)
    pipeline = drawn_model(contract, np.random.default_rng(seed))
    changes = {"contract": EVERY_TYPE, "reference": RECORDS[0], "cutoff": 0.5}
    return put(folder, pipeline, 1, **changes)


def drawn_model(contract, random, rows=300):
    """A logistic regression that has learned from drawn applications."""
    raw = drawn_applications(contract, rows, random)
    ready = encoder(contract)
    X = ready.transform(raw)
    score = X.rank(pct=True).fillna(0.2) @ random.normal(size=X.shape[1])
    y = (score + random.normal(0, 0.4, rows) > score.median()).astype(int)
    model = candidates.decision_model(
        ready, candidates.estimator("Logistic Regression", contract, seed=1), 0.5
    )
    model["decide"].fit(X, y)
    return model


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
