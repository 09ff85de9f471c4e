"""Blanks over HTTP: what is answered, shown in the form, logged and made again.

One column of the contract has a name for what the data record as missing, in another a blank
counts as the worst value, in a third nothing is said.
"""

import copy
import json
import re

import pandas as pd
import pytest
from conftest import ROOT
from published import put

from creditrisk.data.descriptor import parse_contract
from creditrisk.data.encoding import encoder
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.records.entries import entry
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import serve_from
from creditrisk.serving.recording import open_recorder
from creditrisk.serving.replay import replay

GERMAN = json.loads((ROOT / "data/raw/datapackage.json").read_text("utf-8"))
LABEL = "200 DM or more or salary account"
APPLICATION = {"Housing": "own", "Saving accounts": "little", "Checking account": "little"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model in a folder; in its contract savings count as the worst, housing may be missing."""
    package = copy.deepcopy(GERMAN)
    del package["resources"][0]["mixes"]  # which are of columns that are left out
    schema = package["resources"][0]["schema"]
    kept = [*APPLICATION, "Risk"]
    schema["fields"] = [field for field in schema["fields"] if field["name"] in kept]
    for field in schema["fields"]:
        if field["name"] == "Housing":
            field["constraints"]["required"] = False
        if field["name"] == "Saving accounts":
            field["missingMeans"] = "worst"
            del field["missingLabel"]
    contract = parse_contract(package)
    raw = read_raw(ROOT / "data/raw/german_credit_data.csv", parse_contract(GERMAN))
    ready = encoder(contract)
    estimator = candidates.estimator("Logistic Regression", contract, 7)
    pipeline = candidates.decision_model(ready, estimator, 0.7)
    pipeline["decide"].fit(ready.transform(raw[[*APPLICATION]]), raw.Risk == "good")
    reference = APPLICATION | {"Checking account": None, "Saving accounts": "rich"}
    place = tmp_path_factory.mktemp("blanks")
    return put(place, pipeline, 1, contract=package, reference=reference)


@pytest.fixture
def recorder(tmp_path):
    opened = open_recorder(tmp_path / "decisions.jsonl")
    yield opened
    opened.close()


@pytest.fixture
def log(recorder):
    return recorder.decisions


@pytest.fixture
def served(folder, recorder):
    return create_app(serve_from(str(folder)), recorder=recorder).test_client()


def coded(folder, application) -> float:
    """The model's own answer to an application in the coding of its data."""
    return float(load_scorer(folder).probabilities(pd.DataFrame([application]))[0])


def test_a_blank_buys_nothing_over_http(served, folder):
    blank = APPLICATION | {"Checking account": None}
    approved = coded(folder, blank)
    assert approved > 0.7 > coded(folder, APPLICATION)  # as a missing value it would be approved
    left_out = {k: v for k, v in APPLICATION.items() if k != "Checking account"}
    for sent, fault in ((blank, "null"), (left_out, "missing"), (blank | {LABEL: ""}, "null")):
        refused = served.post("/predict", json=sent)
        assert refused.status_code == 422
        assert refused.json["problems"][0] == {
            "record": 1,
            "field": "Checking account",
            "message": f"is {fault}; allowed little, moderate, rich, {LABEL}; what the data record "
            f"as missing is stated as '{LABEL}', never by a blank",
        }
    answer = served.post("/predict", json=APPLICATION | {"Checking account": LABEL}).json
    assert answer["probability"] == pytest.approx(approved) and "assumed" not in answer
    housing = served.post("/predict", json=APPLICATION | {"Housing": None}).json["problems"]
    assert [each["message"] for each in housing] == ["is null; allowed free, rent, own"]


def test_a_blank_that_counts_as_the_worst_is_said_logged_and_made_again(served, folder, log):
    blank = APPLICATION | {"Saving accounts": None, "Checking account": LABEL}
    stated = {
        level: coded(folder, blank | {"Saving accounts": level, "Checking account": None})
        for level in ("little", "moderate", "quite rich", "rich", None)
    }
    worst = min(stated, key=stated.get)
    answer = served.post("/predict?reasons=true", json=blank).json
    assert answer["probability"] == pytest.approx(stated[worst])
    words = f"Savings is not given; it was scored as {worst}, which gives the lowest probability"
    assert answer["assumed"] == [{"field": "Saving accounts", "value": worst, "words": words}]
    reason = answer["reasons"][0]
    assert (reason["field"], reason["value"], reason["better"]) == ("Saving accounts", None, "rich")
    assert reason["words"].startswith("Savings is not given; rich, as is usual")
    line = json.loads(log.path.read_text().splitlines()[-1])
    assert line["input"] == blank and line["assumed"] == answer["assumed"]
    assert replay(answer["id"], log.path, folder).same


def test_a_blank_that_was_accepted_once_is_made_again_as_it_was(folder, log):
    """A log of before there was a meaning: a blank was a missing value then."""
    scorer, blank = load_scorer(folder), APPLICATION | {"Checking account": None, "Housing": None}
    model = {"name": "m", "version": 1, "alias": None, "sha256": scorer.sha256}
    good = coded(folder, blank)
    decision = {"prediction": 1, "decision": "approve" if good >= 0.7 else "decline"}
    log.append([entry("old", "then", model, blank, decision | {"probability": good})])
    assert replay("old", log.path, folder).same


def test_the_form_and_the_description_offer_what_is_accepted(served):
    form, docs = served.get("/").text, served.get("/docs").text
    selects = re.findall(r"<select(.*?)>(.*?)</select>", form, re.DOTALL)
    found = {
        re.search('name="(.*?)"', head)[1]: (
            "required" in head,
            re.findall(r"<option.*?>(.*?)</option>", body),
        )
        for head, body in selects
    }
    levels = ["little", "moderate", "quite rich", "rich"]
    assert found == {
        "Housing": (True, ["choose", "free", "rent", "own"]),
        "Saving accounts": (False, ["not given", *levels]),
        "Checking account": (True, ["choose", "little", "moderate", "rich", LABEL]),
    }
    assert f"“{LABEL}” is what the" in docs and "rich, or null" in docs
    api = served.get("/openapi.json").json["components"]["schemas"]
    properties = api["Application"]["properties"]
    assert properties["Checking account"]["enum"] == ["little", "moderate", "rich", LABEL]
    assert properties["Checking account"]["type"] == properties["Housing"]["type"] == "string"
    assert properties["Saving accounts"]["enum"] == [*levels, None]
    assert "assumed" in api["Decision"]["properties"]
