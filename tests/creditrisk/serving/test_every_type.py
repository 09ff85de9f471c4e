"""A contract with every type of column over HTTP, in the description, in a file and in MLflow."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest
import sklearn
from drawncontracts import (
    EVERY_TYPE,
    RECORDS,
    as_json,
    drawn_applications,
    drawn_contract,
    drawn_model,
    every_type_model,
)

from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.descriptor import parse_contract
from creditrisk.registry import mlflow_flavor
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.api.app import create_app
from creditrisk.serving.api.schemas import application_schema
from creditrisk.serving.client.applications import read
from creditrisk.serving.model_reload import serve_from

CONTRACT = parse_contract(EVERY_TYPE)

#: For each column, values that an application may not have there.
REFUSED = {
    "rate": [None, "7", True],
    "late": [-1, 1.5, "never was late"],
    "debt": [None, 99.6, "nothing"],
    "opened": [None, "2001-02-30", "31.01.2001", 11_000],
    "employed": ["1999-13", "1999-02-01"],
    "owner": [None, 1, "true"],
    "job": [None, "", 3],
    "term": ["36 months", None],
    "grade": [4, "1", True],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return every_type_model(tmp_path_factory.mktemp("every") / "models")


@pytest.fixture(scope="module")
def served(folder):
    return create_app(serve_from(str(folder))).test_client()


def allowed(schema: dict, record: dict) -> bool:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(record)


def test_the_description_allows_what_the_api_allows(served):
    schema = served.get("/openapi.json").json["components"]["schemas"]["Application"]
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in RECORDS:
        assert allowed(schema, record) and served.post("/predict", json=record).status_code == 200
    for name, values in REFUSED.items():
        for value in values:
            record = RECORDS[0] | {name: value}
            assert not allowed(schema, record), (name, value)
            assert served.post("/predict", json=record).status_code == 422
    late = schema["properties"]["late"]
    assert {"const": -999, "title": "never was late"} in late["anyOf"]
    assert "-999: never was late" in late["description"]


@pytest.mark.parametrize("seed", range(3))
def test_the_description_of_a_drawn_contract_allows_its_applications(seed):
    random = np.random.default_rng(seed)
    contract = drawn_contract(random)
    schema = application_schema(contract)
    jsonschema.Draft202012Validator.check_schema(schema)
    records = as_json(contract, drawn_applications(contract, 100, random))
    assert [allowed(schema, record) for record in records] == [
        not record_problems(record, contract) for record in records
    ]


def test_the_pages_name_every_column(served):
    for path in ("/", "/docs"):
        text = served.get(path).text
        for field in CONTRACT.fields:
            assert (field.title if path == "/" else field.name) in text
        assert "None" not in text


def test_a_file_in_the_contracts_encoding_becomes_applications(tmp_path):
    package = json.loads(json.dumps(EVERY_TYPE))
    [table] = package["resources"]
    table["encoding"] = "cp1252"
    table["schema"]["fields"][8]["constraints"]["enum"] = ["für immer", " 36 months"]
    (tmp_path / "datapackage.json").write_text(json.dumps(package), "utf-8")
    header = "loan;" + ";".join(RECORDS[0])
    row = "a;1.013,5;-999;0,5;31.01.2001;;nein;nurse;für immer;2"
    (tmp_path / "in.csv").write_text(f"{header}\n{row}\n", "cp1252")
    found = read(str(tmp_path / "in.csv"), str(tmp_path / "datapackage.json"))
    values = [1013.5, -999, 0.5, "2001-01-31", None, False, "nurse", "für immer", 2]
    assert found == [dict(zip(RECORDS[0], values))]


# The warnings are of MLflow itself and of what it does with pandas.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning")
def test_mlflow_takes_every_type(tmp_path, folder):
    from mlflow import pyfunc

    pipeline = drawn_model(CONTRACT, np.random.default_rng(1))
    mlflow_flavor.save_model(
        str(tmp_path / "m"),
        pipeline,
        CONTRACT,
        {"scikit-learn": sklearn.__version__},
        pd.DataFrame(RECORDS[:1]),
    )
    model = pyfunc.load_model(str(tmp_path / "m"))
    scorer = load_scorer(folder)
    expected = [each.probability for each in scorer.score(RECORDS)]
    assert model.predict(RECORDS)["probability"].tolist() == pytest.approx(expected, abs=1e-12)
    frame = pd.DataFrame(RECORDS)
    assert model.predict(frame)["probability"].tolist() == pytest.approx(expected, abs=1e-12)
