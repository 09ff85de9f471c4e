"""What a server records beside its decisions: a shadow's, refused requests, the caller's ids."""

import json
import os
from copy import deepcopy

import numpy as np
import pytest
from published import CONTRACT, ONE, THREE, TWO, publish, put, trained

from creditrisk import cli
from creditrisk.modelling import candidates
from creditrisk.monitoring.records import read_decisions
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import serve_from
from creditrisk.serving.recording import open_recorder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a decision log needs POSIX")


@pytest.fixture(scope="module")
def production(tmp_path_factory) -> str:
    return str(publish(tmp_path_factory.mktemp("one") / "models", "Logistic Regression", 1))


@pytest.fixture(scope="module")
def challenger(tmp_path_factory) -> str:
    """Another model, of a contract in which quantities go no further than they do in ONE."""
    package = deepcopy(CONTRACT.package)
    (schema,) = [resource["schema"] for resource in package["resources"]]
    for entry in schema["fields"]:
        if "maximum" in entry.get("constraints", {}):
            entry["constraints"]["maximum"] = max(ONE[entry["name"]], 1)
    pipeline = trained(candidates.estimator("WoE Scorecard", CONTRACT, 7))
    place = tmp_path_factory.mktemp("two") / "models"
    return str(put(place, pipeline, 2, contract=package, reference=ONE))


@pytest.fixture(scope="module")
def loaded(production, challenger):
    """What is served, and its shadow."""
    return serve_from(production), serve_from(challenger)


@pytest.fixture
def recorded(loaded, tmp_path):
    """A client of a server with a shadow, and the folder of its records."""
    served, shadow = loaded
    recorder = open_recorder(tmp_path / "log" / "server.jsonl", shadow)
    yield create_app(served, recorder=recorder).test_client(), tmp_path / "log"
    recorder.close()


def test_the_shadow_is_recorded_and_decides_nothing(recorded, production, challenger):
    client, folder = recorded
    alone = create_app(serve_from(production)).test_client()
    one = client.post("/predict", json=ONE)
    assert one.json.keys() == alone.post("/predict", json=ONE).json.keys()
    assert one.json["probability"] == load_scorer(production).score([ONE])[0].probability
    # The shadow's contract does not allow this one: its failure is recorded, the answer goes out.
    two = client.post("/predict", json=[TWO, THREE])
    assert [answer["decision"] for answer in two.json] == [
        each.decision for each in load_scorer(production).score([TWO, THREE])
    ]
    frame = read_decisions(folder, CONTRACT).frame
    assert frame["id"].tolist() == [one.json["id"], *(each["id"] for each in two.json)]
    assert frame["model_version"].tolist() == ["1"] * 3
    assert frame["shadow_version"].tolist() == ["2", None, None]
    other = load_scorer(challenger).score([ONE])[0].probability
    np.testing.assert_array_equal(frame["shadow_probability"], [other, np.nan, np.nan])
    lines = [json.loads(line) for line in (folder / "server.jsonl").read_text().splitlines()]
    assert [line["shadow"].get("error") for line in lines] == [None] + 2 * ["InvalidRecords"]
    assert client.get("/ready").json["shadow"]["version"] == 2


def test_refused_requests_are_recorded_by_reason_and_without_values(recorded):
    client, folder = recorded
    quantity, category = CONTRACT.numbers[0].name, CONTRACT.categories[0].name
    wrong = ONE | {quantity: -987_654, category: "Jane Doe", "Passport": "X123"}
    assert client.post("/predict", json=[wrong, wrong, ONE]).status_code == 422
    assert client.post("/predict", data=b"{", content_type="application/json").status_code == 400
    assert client.get("/predict").status_code == 405
    rejected = read_decisions(folder, CONTRACT).rejected
    # Each reason once a request. A request that is no question for a decision is not recorded.
    assert sorted(rejected["reason"]) == sorted(
        [
            f"{quantity} is out of range",
            f"{category} is not an allowed value",
            "is not a field of an application",
            "answered with status 400",
        ]
    )
    assert rejected["request"].nunique() == 2
    text = (folder / "server.rejected.jsonl").read_text()
    assert not any(value in text for value in ("987654", "Jane", "Passport", "X123"))
    assert read_decisions(folder, CONTRACT).frame.empty


def test_a_refusal_is_answered_even_if_it_cannot_be_recorded(recorded, monkeypatch):
    client, folder = recorded

    def full(file: int, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("creditrisk.records.chained_log._write_all", full)
    assert client.post("/predict", json={}).status_code == 422
    assert client.post("/predict", json=ONE).status_code == 503
    monkeypatch.undo()
    assert client.post("/predict", json=ONE).status_code == 200
    found = read_decisions(folder, CONTRACT)
    assert len(found.frame) == 1 and found.rejected.empty


def test_the_callers_own_ids_are_kept(recorded):
    client, folder = recorded
    for content in (ONE, [ONE, TWO]):
        sent = client.post("/predict", json=content, headers={"X-Caller-ID": "loan 7"})
        assert sent.status_code == 200
    client.post("/predict", json=ONE)
    ids = read_decisions(folder, CONTRACT).frame["caller_id"].tolist()
    assert ids == ["loan 7", "loan 7-1", "loan 7-2", None]
    for wrong in ("", "x" * 101, "a\tb", "é"):
        refused = client.post("/predict", json=ONE, headers={"X-Caller-ID": wrong})
        assert refused.status_code == 422 and "X-Caller-ID is 1 to 100" in refused.json["detail"]


def test_a_shadow_needs_a_log(production, capsys):
    assert cli.main(["serve", "--models", production, "--shadow", production]) == 2
    assert "--shadow needs --decision-log" in capsys.readouterr().err
