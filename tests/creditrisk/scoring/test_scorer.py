"""One model, every interface, the same answer; and what each refuses, in the same words."""

import copy
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import types
import urllib.error
import urllib.request
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import load, start
from threadpoolctl import threadpool_limits
from trackingserver import answers, free_port, wait_for

from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.applications.record_checks import InvalidRecords, record_problems
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.registry import mlflow_store, promotion
from creditrisk.scoring import fast_path
from creditrisk.scoring.fast_path import golden_codes, make_scorer
from creditrisk.scoring.reason_finder import NoReasons
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources import mlflow_files
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.model_files import save_pickle, save_skops
from creditrisk.scoring.sources.model_manifest import sealed
from creditrisk.serving.model_reload import serve_from

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)
RAW = TABLE[[field.name for field in CONTRACT.fields]]
FLAT = [
    "Logistic Regression",
    "Random Forest",
    "WoE Scorecard",
    "Spline Logistic Regression",
    "Tuned Random Forest",
    "Soft-Voting Blend",
]
APPLICATION = {
    "Age": 35,
    "Sex": "male",
    "Job": 2,
    "Housing": "own",
    "Saving accounts": "1000 DM or more",
    "Checking account": "little",
    "Credit amount": 3000,
    "Duration": 24,
    "Purpose": "car",
}
USUAL = APPLICATION | {"Saving accounts": "little", "Checking account": None, "Duration": 12}
AGES, SAVINGS = (
    "allowed 18 to 120 years",
    "allowed little, moderate, quite rich, rich, 1000 DM or more",
)
UNSAID = (
    f"{SAVINGS}; what the data record as missing is stated as '1000 DM or more', never by a blank"
)
REFUSED = [  # field, value as JSON, words
    ("Age", '"35"', f"Age is not a whole number; {AGES}"),
    ("Age", "35.5", f"Age is not a whole number; {AGES}"),
    ("Age", "35.0", f"Age is not a whole number; {AGES}"),
    ("Age", "true", f"Age is not a whole number; {AGES}"),
    ("Age", "[35]", f"Age is not a whole number; {AGES}"),
    ("Age", '{"a": 35}', f"Age is not a whole number; {AGES}"),
    ("Age", "null", f"Age is null; {AGES}"),
    ("Age", "NaN", f"Age is not a finite number; {AGES}"),
    ("Age", "-Infinity", f"Age is not a finite number; {AGES}"),
    ("Age", "1e309", f"Age is not a finite number; {AGES}"),
    ("Age", "17", f"Age is out of range; {AGES}"),
    ("Age", "121", f"Age is out of range; {AGES}"),
    ("Age", "1" + 30 * "0", f"Age is out of range; {AGES}"),
    ("Credit amount", "-4711", "Credit amount is out of range; allowed 100 to 50,000 DM"),
    ("Job", "true", "Job is not a whole number; allowed 0, 1, 2, 3"),
    ("Job", "4", "Job is not an allowed value; allowed 0, 1, 2, 3"),
    ("Sex", "0", "Sex is not text; allowed female, male"),
    ("Sex", '"Secret"', "Sex is not an allowed value; allowed female, male"),
    ("Sex", '" male"', "Sex is not an allowed value; allowed female, male"),
    ("Housing", "null", "Housing is null; allowed free, rent, own"),
    ("Saving accounts", '"missing"', f"Saving accounts is not an allowed value; {SAVINGS}"),
    ("Saving accounts", '"NA"', f"Saving accounts is not an allowed value; {SAVINGS}"),
    ("Saving accounts", "null", f"Saving accounts is null; {UNSAID}"),
    ("Saving accounts", '""', f"Saving accounts is empty; {UNSAID}"),
    ("Saving accounts", "false", f"Saving accounts is not text; {SAVINGS}"),
    ("Saving accounts", "NaN", f"Saving accounts is not a finite number; {SAVINGS}"),
    (
        "Savings accounts",
        '"rich"',
        "Savings accounts is not a field of an application; did you mean 'Saving accounts'?",
    ),
    ("Risk", '"good"', "Risk is not a field of an application"),
]


#: A blend whose forest is quick to store and to load, for what does not depend on its size.
FEW_TREES = {"Tuned Random Forest": {"n_estimators": 20}}


@pytest.fixture(scope="module")
def fitted():
    """Name -> the fitted pipeline of a candidate; each is trained once."""
    made, ready = {}, encoder(CONTRACT)
    X, y = ready.transform(RAW), target(TABLE, CONTRACT)

    def fit(name, chosen=None):
        key = name, str(chosen)
        if key not in made:
            made[key] = candidates.decision_model(
                ready, candidates.estimator(name, CONTRACT, 7, chosen=chosen), 0.72
            )
            made[key].named_steps["decide"].fit(X, y)
        return made[key]

    return fit


@pytest.fixture(scope="module")
def small_blend(fitted):
    return fitted("Soft-Voting Blend", FEW_TREES)


@pytest.fixture(scope="module")
def blend(small_blend):
    return make_scorer(small_blend, CONTRACT, "blend", reference=USUAL)


def as_json_gives_it(frame):
    """Applications in the coding of the data, as their applicants state them."""
    frame = as_stated(frame, CONTRACT)
    columns = {name: [None if pd.isna(v) else v for v in frame[name].tolist()] for name in frame}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


@pytest.mark.parametrize("name", FLAT)
def test_fast_answers_are_the_pipelines_all_over_the_contract(name, fitted):
    # the blend has the tuned forest whole
    pipeline = fitted(name, FEW_TREES if name == "Tuned Random Forest" else None)
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
def test_as_machine_code_a_forest_gives_the_same_bits_or_is_refused(
    name, fitted, caplog, monkeypatch
):
    scorer = make_scorer(fitted(name), CONTRACT)
    forest, places = scorer.tables.members[-1], golden_codes(scorer.domain, draws=20_000, seed=12)
    assert forest.words > 1  # an empty word sends the walk on
    by_numpy = forest.many_by_numpy(places)
    assert (forest.many(places) == by_numpy).all()
    from creditrisk.scoring import compiled

    expected = fitted(name).predict_proba(scorer.domain.frame(places[-3000:]))[:, 1]
    bound = 0 if name.endswith("Forest") else 1e-12
    assert np.abs(scorer.from_codes(places)[-3000:] - expected).max() <= bound

    def wrong(rows, allowed, answers, first, total):
        total[:] = 0.5

    monkeypatch.setattr(compiled, "add_answers", wrong)
    assert (forest.many(places) == by_numpy).all()
    assert "THE COMPILED FOREST IS REFUSED" in caplog.text


@threadpool_limits.wrap(limits=1)  # its threads would wait for those of other tests
def test_a_model_the_tables_do_not_know_is_answered_by_its_pipeline(fitted, caplog):
    caplog.set_level(logging.INFO)
    pipeline = fitted("Gradient Boosting")
    scorer = make_scorer(pipeline, CONTRACT)
    assert not scorer.fast and "HistGradientBoostingClassifier" in caplog.text
    expected = pipeline.predict_proba(RAW)[:, 1]
    assert (scorer.probabilities(RAW) == expected).all()
    decisions = scorer.score(as_json_gives_it(RAW.head(40)))
    assert [d.probability for d in decisions] == expected[:40].tolist()
    assert scorer.score([]) == []


def test_a_fast_path_that_errs_by_one_leaf_is_refused_loudly(fitted, caplog, monkeypatch):
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


@pytest.mark.parametrize(("field", "value", "words"), REFUSED)
def test_a_value_the_contract_does_not_allow_is_refused_in_words(field, value, words, blend):
    bad = json.loads(json.dumps(APPLICATION)[:-1] + f', "{field}": {value}}}')
    assert [" ".join(problem) for problem in record_problems(bad, CONTRACT)] == [words]
    with pytest.raises(InvalidRecords) as refused:
        blend.score([APPLICATION, bad])
    assert str(refused.value) == f"record 2: {words}"
    assert refused.value.problems[0][:2] == (2, field)
    assert "Secret" not in str(refused.value) and "4711" not in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(blend):
    bad = dict(APPLICATION, Age=None, Sex="x", Jobb=2)
    del bad["Job"], bad["Saving accounts"]
    with pytest.raises(InvalidRecords) as refused:
        blend.score([bad, ["no object"], dict(APPLICATION, Age=1)])
    assert [problem[:2] for problem in refused.value.problems] == [
        (1, "Age"),
        (1, "Sex"),
        (1, "Job"),
        (1, "Saving accounts"),
        (1, "Jobb"),
        (2, ""),
        (3, "Age"),
    ]
    assert f"Saving accounts is missing; {SAVINGS}" in str(refused.value)
    assert "record 2: the application is no object of named values" in str(refused.value)
    names = {f"{number}" * 9000: number for number in range(20)}
    strange = record_problems(APPLICATION | names, CONTRACT)
    assert len(strange) == 11 and len(str(strange)) < 1500
    assert strange[-1].message == "10 more fields are no fields of an application"


def test_a_frame_is_refused_in_the_same_words(blend):
    frame = pd.concat([RAW.head(3), RAW.head(3)], ignore_index=True)
    for column, values, words in [
        ("Age", [35, 35, 35.5, 35, 35, 35], f"record 3: Age is not a whole number; {AGES}"),
        ("Age", [35, np.nan, 35, 35, 35, 35], f"record 2: Age is null; {AGES}"),
        ("Age", ["35", 35, 35, 35, 35, 35], f"record 1: Age is not a whole number; {AGES}"),
        ("Age", [35, 35, 35, 35, 35, 17], f"record 6: Age is out of range; {AGES}"),
        ("Job", [1, True, 1, 1, 1, 1], "record 2: Job is not a whole number; allowed 0, 1, 2, 3"),
        ("Sex", ["male"] * 5 + ["Male"], "record 6: Sex is not an allowed value; allowed female"),
        ("Sex", ["male", None] * 3, "record 2: Sex is null; allowed female, male"),
    ]:
        with pytest.raises(InvalidRecords) as refused:
            blend.probabilities(frame.assign(**{column: values}))
        assert str(refused.value).startswith(words)
    with pytest.raises(InvalidRecords, match="Income is not a field"):
        blend.probabilities(frame.assign(Income=1))
    with pytest.raises(InvalidRecords, match="Age is missing"):
        blend.probabilities(frame.drop(columns="Age"))
    with pytest.raises(InvalidRecords, match="Age stands in more than one column"):
        blend.probabilities(frame[[*frame, "Age"]])


def test_missing_values_of_every_kind_are_one(blend):
    rows = RAW.head(50)
    objects = rows.astype(object).where(rows.notna(), None)
    categories = rows.assign(Purpose=rows.Purpose.astype("category"), Age=rows.Age.astype("int32"))
    nothing = rows.assign(**{"Saving accounts": pd.NA, "Checking account": np.nan})
    for frame in (objects, objects.convert_dtypes(), categories):
        assert (blend.probabilities(frame) == blend.probabilities(rows)).all()
    none = [
        dict(r, **{"Saving accounts": None, "Checking account": None})
        for r in as_json_gives_it(rows)
    ]
    expected = blend.probabilities(nothing).tolist()
    assert [d.probability for d in blend.taking_blanks().score(none)] == expected
    assert [d.probability for d in blend.score(as_json_gives_it(nothing))] == expected
    for blanks in (none, nothing):
        with pytest.raises(InvalidRecords) as refused:
            blend.score(blanks)
        assert len(refused.value.problems) == 100


allowed_records = st.fixed_dictionaries(
    {
        field.name: st.integers(field.minimum, field.maximum)
        if field.levels is None
        else st.sampled_from(field.choices)
        for field in CONTRACT.fields
    }
)
any_value = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
)


@settings(max_examples=100, deadline=None)  # 9 fields, the tables of each on their own
@given(allowed_records)
def test_any_allowed_application_is_decided(blend, record):
    decision = blend.score([record])[0]
    assert 0 <= decision.probability <= 1
    assert decision.prediction == (decision.probability >= blend.cutoff)
    assert decision.decision == ("approve" if decision.prediction else "decline")


@settings(max_examples=150, deadline=None)  # 11 names, 6 kinds of values, some of each at once
@given(st.dictionaries(st.sampled_from([*APPLICATION, "Risk"]) | st.text(), any_value))
def test_anything_else_is_refused_or_allowed_by_the_contract_never_a_crash(blend, values):
    record = APPLICATION | values
    try:
        blend.score([record])
    except InvalidRecords as refused:
        assert refused.problems
    else:
        assert set(record) == set(APPLICATION)
        for field in CONTRACT.fields:
            value = record[field.name]
            assert type(value) is (int if field.type == "integer" else str) or not field.required


@pytest.fixture
def folder(fitted, tmp_path):
    """A models folder as 04_registration leaves it, and what rewrites parts of its manifest."""

    logistic = fitted("Logistic Regression")

    def write(pipeline=logistic, **changes):
        columns = list(encoder(CONTRACT).get_feature_names_out())
        manifest = {
            "model": "Credit_Risk_Model",
            "version": 3,
            "cutoff": 0.72,
            "model_sha256": save_pickle(pipeline, tmp_path / "credit_risk_model.pkl"),
            "model_columns_sha256": save_pickle(columns, tmp_path / "model_columns.pkl"),
            "model_skops_sha256": save_skops(pipeline, tmp_path / "credit_risk_model.skops"),
            "libraries": {"scikit-learn": version("scikit-learn")},
            "contract": CONTRACT.package,
        }
        (tmp_path / "manifest.json").write_text(json.dumps(sealed(manifest | changes)))
        return tmp_path

    return write


def test_a_folder_is_loaded_only_if_it_is_what_its_manifest_says(folder, tmp_path):
    scorer = load_scorer(folder())
    assert (scorer.name, scorer.version, scorer.alias) == ("Credit_Risk_Model", 3, None)
    assert scorer.fast and scorer.cutoff == 0.72 and scorer.contract == CONTRACT
    for pickled in ("credit_risk_model.pkl", "model_columns.pkl"):
        (tmp_path / pickled).unlink()  # they are for people
    assert load_scorer(tmp_path).score(APPLICATION) == scorer.score(APPLICATION)
    with pytest.raises(ModelRefused, match=r"no sha256 of its own: it was made by an earlier"):
        (tmp_path / "manifest.json").write_text(json.dumps({"model": "Credit_Risk_Model"}))
        load_scorer(tmp_path)


def test_a_model_of_types_that_moved_is_refused_in_one_sentence(folder, monkeypatch):
    earlier = types.ModuleType("creditrisk.models")
    earlier.Blend = type("Blend", (), {"__module__": earlier.__name__, "__qualname__": "Blend"})
    monkeypatch.setitem(sys.modules, earlier.__name__, earlier)
    models = folder(earlier.Blend())
    monkeypatch.delitem(sys.modules, earlier.__name__)
    with pytest.raises(ModelRefused, match="made by an earlier layout of this project; run the"):
        load_scorer(models)


def test_a_model_for_another_world_is_refused(folder, fitted, tmp_path):
    other = json.loads(json.dumps(CONTRACT.package))
    del other["resources"][0]["mixes"]
    other["resources"][0]["schema"]["fields"][8]["constraints"]["enum"].pop()
    imputing = copy.deepcopy(fitted("Logistic Regression"))
    number = [field.name for field in CONTRACT.categories].index("Saving accounts")
    part = imputing["encode"].named_transformers_[f"category {number}"]
    part["nan"].statistics_[:] = "little"
    for changes, words in [
        ({"libraries": {"scikit-learn": "1.2.2"}}, "made with scikit-learn 1.2.2, installed is"),
        ({"libraries": {}}, "is no manifest of a model"),
        ({"contract": {}}, "is no manifest of a model"),
        ({"contract": other}, "columns"),
        ({"cutoff": 0.5}, "cut-off"),
        ({"pipeline": fitted("Logistic Regression")[-1]}, "no encoder followed by a decision"),
        ({"pipeline": imputing}, "reads applications otherwise than its contract"),
        ({"pipeline": {"no": "model"}}, "no encoder followed by a decision"),
        ({"pipeline": fitted("Logistic Regression")[:1]}, "no encoder followed by a decision"),
    ]:
        with pytest.raises(ModelRefused, match=words):
            load_scorer(folder(**changes))
    with pytest.raises(ModelRefused, match="cannot be read"):
        load_scorer(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ModelRefused, match="is no manifest"):
        load_scorer(tmp_path)


# What MLflow and the libraries under it deprecate is theirs to mend.
mlflow_warns = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)


@pytest.fixture(scope="module")
def registered(small_blend, tmp_path_factory):
    """A registry in a folder of its own, with the blend in production."""
    import warnings

    import mlflow

    store = tmp_path_factory.mktemp("registry") / "mlflow.db"
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        client = mlflow_store.connect(store)
        with mlflow.start_run():
            version = mlflow_store.register(
                client,
                small_blend,
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


@mlflow_warns
def test_a_moved_alias_is_taken_under_load_and_a_bad_one_is_not(registered, fitted, tmp_path):
    import mlflow

    client, first, store = registered
    with mlflow.start_run():
        regression = fitted("Logistic Regression")
        second = mlflow_store.register(client, regression, CONTRACT, RAW.head(3), "", {})
    expected = {
        1: load_scorer("models:/Credit_Risk_Model/1").score(APPLICATION)[0].probability,
        2: load_scorer("models:/Credit_Risk_Model/2").score(APPLICATION)[0].probability,
    }
    # SQLite's file is the registry; the alias is moved by this process, as a notebook would.
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{store}"}
    server = start(URI, tmp_path / "log", **environment)
    try:
        with load(server, json.dumps(APPLICATION).encode(), connections=2) as answers:
            promotion.promote(client, "Credit_Risk_Model", second.version, "for the test")
            server.until("/ready", lambda found: found["model"]["version"] == 2)
            number = first.source.removeprefix("models:/")
            model = store.parent / "mlartifacts/models" / number / "artifacts/model.skops"
            whole = model.read_bytes()
            model.write_bytes(whole[:-1])
            # by hand, since promote() refuses such a version
            client.set_registered_model_alias("Credit_Risk_Model", "production", first.version)
            server.process.send_signal(signal.SIGHUP)
            state = server.until("/ready", lambda found: found["refused_swap"])
            assert "sha256 differs" in state["refused_swap"]["reason"]
            client.delete_registered_model_alias("Credit_Risk_Model", "production")
            server.process.send_signal(signal.SIGHUP)
            state = server.until("/ready", lambda found: "alias" in found["refused_swap"]["reason"])
            assert state["model"]["version"] == 2 and state["model"]["alias"] == "production"
            model.write_bytes(whole)
            promotion.promote(client, "Credit_Risk_Model", first.version, "for the test")
            server.process.send_signal(signal.SIGHUP)
            server.until("/ready", lambda found: not found["refused_swap"])
            # asked after the swap; an answer of the load may have been on its way before it
            _, last = server.post(APPLICATION)
    finally:
        server.process.kill()
        server.process.wait()
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

    def post(body, kind="application/json"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body.encode(), {"Content-Type": kind}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping"), server)
        yield post
    finally:
        os.killpg(server.pid, 15)
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
def test_a_model_saved_without_a_reference_refuses_to_reason_at_both_servers(fitted):
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
