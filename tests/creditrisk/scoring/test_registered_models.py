"""A model from MLflow's registry gives the same answers; a changed one is refused."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from germanmodels import APPLICATION, CONTRACT, RAW, REFUSED, USUAL, as_json_gives_it, fitted
from servers import Running, in_a_thread, load
from toy import wait_for
from trackingserver import answers, free_port

from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.registry import mlflow_store, promotion
from creditrisk.scoring.fast_path import make_scorer
from creditrisk.scoring.reason_finder import NoReasons
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources import mlflow_files
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import serve_from


@pytest.fixture(scope="module")
def blend():
    return make_scorer(fitted("Soft-Voting Blend", few=True), CONTRACT, "blend", reference=USUAL)


# What MLflow and the libraries under it deprecate is theirs to mend.
mlflow_warns = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module")
def registered(tmp_path_factory, empty_store):
    """A registry in a folder of its own, with the blend in production."""
    import warnings

    import mlflow

    store = tmp_path_factory.mktemp("registry") / "mlflow.db"
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; at the end it is as before
        shutil.copy(empty_store, store)
        client = mlflow_store.connect(store)
        with mlflow.start_run():
            version = mlflow_store.register(
                client,
                fitted("Soft-Voting Blend", few=True),
                CONTRACT,
                RAW.head(3),
                "",
                {"model_sha256": "ab" * 32},
                USUAL,
            )
        promotion.promote(client, "Credit_Risk_Model", version.version, "for the test")
        yield client, version, store
        mlflow.set_tracking_uri(before)


URI = "models:/Credit_Risk_Model@production"


@mlflow_warns
def test_the_registry_gives_the_same_answers_through_every_loader(registered, blend):
    import mlflow

    _, version, _ = registered
    expected = blend.probabilities(RAW)
    scorer = load_scorer(URI)
    assert (scorer.version, scorer.alias, scorer.sha256) == (1, "production", "ab" * 32)
    assert scorer.fast and scorer.contract == CONTRACT
    assert (scorer.probabilities(RAW) == expected).all()
    assert load_scorer("models:/Credit_Risk_Model/1").alias is None
    pipeline = mlflow.sklearn.load_model(f"models:/Credit_Risk_Model/{version.version}")
    assert (pipeline.predict_proba(RAW) == blend.pipeline.predict_proba(RAW)).all()
    served = mlflow.pyfunc.load_model(URI)
    answers = served.predict(as_stated(RAW, CONTRACT))
    assert list(answers) == ["prediction", "decision", "probability"]
    assert (answers.index == RAW.index).all() and (answers.probability == expected).all()
    assert (answers.decision.eq("approve") == (expected >= 0.72)).all()
    assert list(served.predict(served.input_example).probability) == expected[:3].tolist()
    assert [spec.name for spec in served.metadata.signature.outputs] == list(answers)


@mlflow_warns
def test_registered_files_that_were_changed_are_refused(registered):
    name = "models:/Credit_Risk_Model"
    for uri in (f"{name}@nobody", f"{name}/99", "models:/x"):
        with pytest.raises(ModelRefused, match="cannot be fetched"):
            load_scorer(uri)
        with pytest.raises(ModelRefused, match="cannot be fetched"):
            serve_from(uri)
    place = next(registered[-1].parent.glob("mlartifacts/models/*/artifacts"))
    for name in ("model.skops", "manifest.json", "MLmodel"):
        whole = (place / name).read_bytes()
        (place / name).write_bytes(whole + b" ")
        with pytest.raises(ModelRefused, match="sha256 differs"):
            load_scorer(URI)
        (place / name).write_bytes(whole)
    assert load_scorer(URI).fast
    gone = place.rename(place.with_name("gone"))
    with pytest.raises(ModelRefused, match="cannot be fetched|sha256 differs"):
        load_scorer(URI)
    gone.rename(place)


@mlflow_warns
def test_a_model_of_an_earlier_layout_is_refused_in_one_sentence(registered):
    """As registered before the modules moved: MLflow's own loader and ours say what to do."""
    import mlflow

    client, version, store = registered
    file = next(store.parent.glob("mlartifacts/models/*/artifacts/MLmodel"))
    now, sha256 = file.read_bytes(), version.tags["artifact_sha256"]
    assert b"creditrisk.registry.mlflow_flavor" in now
    file.write_bytes(now.replace(b"creditrisk.registry.mlflow_flavor", b"creditrisk.mlflow_flavor"))
    changed = mlflow_files.sha256_of(mlflow_files.files_of(f"models:/{version.name}/1"))
    client.set_model_version_tag(version.name, "1", "artifact_sha256", changed)
    sentence = "registered by an earlier layout of this project; run the chain again"
    with pytest.raises(ModelRefused, match=sentence):
        load_scorer(URI)
    with pytest.raises(ImportError, match=sentence):
        mlflow.pyfunc.load_model(URI)
    file.write_bytes(now)
    client.set_model_version_tag(version.name, "1", "artifact_sha256", sha256)
    assert load_scorer(URI).fast


def renewed(served, server, answers):
    """What the server says of itself after its next look at the registry, and answers since."""
    served.renew()
    before = len(answers)
    wait_for(lambda: len(answers) > before + 2)  # two of them may have been on their way
    return server.get("/ready")[1]


@mlflow_warns
def test_a_moved_alias_is_taken_under_load_and_a_bad_one_is_not(registered):
    import mlflow

    client, first, store = registered
    with mlflow.start_run():
        regression = fitted("Logistic Regression")
        second = mlflow_store.register(client, regression, CONTRACT, RAW.head(3), "", {})
    expected = {
        1: load_scorer("models:/Credit_Risk_Model/1").score(APPLICATION)[0].probability,
        2: load_scorer("models:/Credit_Risk_Model/2").score(APPLICATION)[0].probability,
    }
    served = serve_from(URI)
    with in_a_thread(create_app(served)) as server:
        with load(server, json.dumps(APPLICATION).encode(), connections=2) as answers:
            wait_for(lambda: answers)
            promotion.promote(client, "Credit_Risk_Model", second.version, "for the test")
            state = renewed(served, server, answers)
            assert (state["model"]["version"], state["refused_swap"]) == (2, None)
            number = first.source.removeprefix("models:/")
            model = store.parent / "mlartifacts/models" / number / "artifacts/model.skops"
            whole = model.read_bytes()
            model.write_bytes(whole[:-1])
            # by hand, since promote() refuses such a version
            client.set_registered_model_alias("Credit_Risk_Model", "production", first.version)
            state = renewed(served, server, answers)
            assert "sha256 differs" in state["refused_swap"]["reason"]
            client.delete_registered_model_alias("Credit_Risk_Model", "production")
            state = renewed(served, server, answers)
            assert "alias" in state["refused_swap"]["reason"]
            assert state["model"]["version"] == 2 and state["model"]["alias"] == "production"
            model.write_bytes(whole)
            promotion.promote(client, "Credit_Risk_Model", first.version, "for the test")
            assert renewed(served, server, answers)["refused_swap"] is None
        _, last = server.post(APPLICATION)
    assert {status for status, _ in answers} == {200}
    by_version = {}
    for _, answer in answers:
        by_version.setdefault(answer["model"]["version"], set()).add(answer["probability"])
    assert by_version == {number: {probability} for number, probability in expected.items()}
    assert last["model"]["version"] == 1


@mlflow_warns
def test_a_registry_out_of_reach_is_said_once(registered, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    served, store = serve_from(URI), mlflow.get_tracking_uri()
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    mlflow.set_tracking_uri(nobody)
    served.renew()
    served.renew()
    assert served.refusals == 1 and "Connection" in served.refused.reason
    assert served.scorer.score(APPLICATION)[0].probability > 0
    mlflow.set_tracking_uri(store)
    served.renew()
    assert served.refused is None and served.scorer.alias == "production"


@pytest.fixture(scope="module")
def mlflow_server(registered, tmp_path_factory):
    """A running ``mlflow models serve``: what posts a body to it and reads the answer."""
    port = free_port()
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{registered[-1]}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # mlflow starts uvicorn by its bare name
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        URI,
        "--env-manager",
        "local",
        "--workers",
        "1",
        "-p",
        str(port),
    ]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with open(log, "w") as output:
        server = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
        )

    asked = Running(server, port)

    def post(body, kind="application/json"):
        answer = asked.ask("POST", "/invocations", body.encode(), {"Content-Type": kind})
        return answer.status, json.loads(answer.content)

    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping"))
        yield post
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def test_mlflow_serves_the_same_answers(mlflow_server, blend):
    records = as_json_gives_it(RAW.head(200))
    expected = [
        {"prediction": d.prediction, "decision": d.decision, "probability": d.probability}
        for d in blend.score(records)
    ]
    split = {"columns": list(RAW), "data": [list(record.values()) for record in records]}
    for body in ({"inputs": records}, {"dataframe_records": records}, {"dataframe_split": split}):
        assert mlflow_server(json.dumps(body)) == (200, {"predictions": expected})
    csv = as_stated(RAW.head(200), CONTRACT).to_csv(index=False)
    assert mlflow_server(csv, "text/csv") == (200, {"predictions": expected})
    assert mlflow_server(json.dumps({"inputs": APPLICATION}))[0] == 200


@mlflow_warns
def test_mlflow_tells_the_same_reasons_if_asked(mlflow_server, registered, blend):
    import mlflow

    from creditrisk.registry.mlflow_flavor import RefusedApplications

    records = as_json_gives_it(RAW.head(20))
    expected = [asdict(decision) for decision in blend.score(records, reasons=True)]
    assert any(each["reasons"] for each in expected)
    told = [
        {name: each[name] for name in ("prediction", "decision", "probability", "reasons")}
        | {"reasons": list(each["reasons"])}
        for each in expected
    ]
    for way in ("inputs", "dataframe_records"):
        body = {way: records, "params": {"reasons": True}}
        assert mlflow_server(json.dumps(body)) == (200, {"predictions": told})
    plain = mlflow_server(json.dumps({"inputs": records, "params": {"reasons": False}}))
    assert "reasons" not in plain[1]["predictions"][0]
    assert mlflow_server(json.dumps({"inputs": records, "params": {"reasons": "yes"}}))[0] == 400
    served = mlflow.pyfunc.load_model(URI)
    with pytest.raises(RefusedApplications, match="stated as '1000 DM or more', never by a blank"):
        served.predict(RAW.head(20))
    frame = served.predict(as_stated(RAW.head(20), CONTRACT), params={"reasons": True})
    assert frame.reasons.tolist() == [each["reasons"] for each in told]


@mlflow_warns
def test_a_model_saved_without_a_reference_refuses_to_reason_at_both_servers():
    from creditrisk.registry.mlflow_flavor import RefusedApplications, ServedModel

    scorer = make_scorer(fitted("Logistic Regression"), CONTRACT)
    words = "the model was saved without a reference application, so it has no reasons"
    with pytest.raises(NoReasons, match=words):
        scorer.score([APPLICATION], reasons=True)
    with pytest.raises(RefusedApplications, match=words):
        ServedModel(scorer).predict([APPLICATION], {"reasons": True})
    assert scorer.score([APPLICATION])[0].reasons is None
    with pytest.raises(ModelRefused, match="does not allow the model's reference application"):
        make_scorer(fitted("Logistic Regression"), CONTRACT, reference=USUAL | {"Age": 7})


@pytest.mark.parametrize(("field", "value", "words"), REFUSED)
def test_mlflow_refuses_in_the_same_words_and_repeats_no_value(field, value, words, mlflow_server):
    bad = json.dumps(APPLICATION)[:-1] + f', "{field}": {value}}}'
    status, answer = mlflow_server(f'{{"inputs": [{json.dumps(APPLICATION)}, {bad}]}}')
    assert (status, answer["message"]) == (400, f"record 2: {words}")
    assert "stack_trace" not in answer
    status, answer = mlflow_server(f'{{"dataframe_records": [{bad}]}}')
    if value == "NaN":  # to pandas the same as null
        assert status == 400 and f"record 1: {field} is null; " in answer["message"]
    else:
        assert (status, answer["message"]) == (400, f"record 1: {words}")


def test_mlflow_refuses_what_has_lost_its_types_on_the_way(mlflow_server):
    joined = {"instances": [APPLICATION, dict(APPLICATION, Job=True)]}
    for body in (joined, {"inputs": {"Age": [1, 2]}}):
        status, answer = mlflow_server(json.dumps(body))
        assert status == 400 and "a list of objects, one value a field" in answer["message"]
    for body in ({"inputs": ["x"]}, {"inputs": 3}, {"inputs": [None]}):
        status, answer = mlflow_server(json.dumps(body))
        assert status == 400
        assert answer["message"] == "record 1: the application is no object of named values"
