"""What is served where no model is named, and what is said of one that is not in production."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from published import CONTRACT, ONE, RAW_FILE, put, trained

from creditrisk import cli
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.registry import mlflow_store, promotion
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.production import in_use
from creditrisk.serving import http_server
from creditrisk.serving.api.app import create_app
from creditrisk.serving.model_reload import serve_from

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"
)

NAME = "Credit_Risk_Model"
STOPPED = "Version 2 did not pass the gate and is not in production; version 1 is."
BESIDE = "Version 1 is in production. models/ holds version 2, which did not pass the gate."


@pytest.fixture(scope="module")
def place(tmp_path_factory, empty_store) -> Path:
    """A project with version 1 in production and version 2, which the gate stopped, in models/."""
    import mlflow

    folder, before = tmp_path_factory.mktemp("project"), mlflow.get_tracking_uri()
    example = read_raw(RAW_FILE, CONTRACT).head(3)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; at the end it is as before
        shutil.copy(empty_store, folder / "mlflow.db")
        client = mlflow_store.connect(folder / "mlflow.db")
        for number, result in ((1, "passed"), (2, "stopped")):
            pipeline = trained(candidates.estimator("Logistic Regression", CONTRACT, number))
            pipeline.named_steps["decide"].set_params(threshold=0.6 + number / 10)
            put(folder / "models", pipeline, number, cutoff=0.6 + number / 10)
            manifest = json.loads((folder / "models/manifest.json").read_text("utf-8"))
            tags = {key: manifest[key] for key in ("model_sha256", "manifest_sha256")} | {
                "gate_result": result
            }
            with mlflow.start_run():
                mlflow_store.register(client, pipeline, CONTRACT, example, "", tags)
        promotion.promote(client, NAME, 1, "for the test")
        yield folder
        mlflow.set_tracking_uri(before)


def pages(served) -> list[str]:
    asked = create_app(served).test_client()
    return [asked.get("/").text, asked.get("/docs").text]


def test_production_is_served_and_what_the_gate_stopped_only_if_it_is_named(place, monkeypatch):
    monkeypatch.chdir(place)
    served = serve_from()
    assert (served.scorer.version, served.scorer.alias) == (1, "production")
    answer = create_app(served).test_client().post("/predict", json=ONE).json
    assert answer["model"] == {"name": NAME, "version": 1, "alias": "production"}
    state = create_app(served).test_client().get("/ready").json
    assert (state["in_production"], state["why"]) == (True, BESIDE)
    assert all(BESIDE in page and 'role="note"' not in page for page in pages(served))

    named = serve_from("models")
    assert named.scorer.version == 2
    state = create_app(named).test_client().get("/ready").json
    assert (state["in_production"], state["why"]) == (False, STOPPED)
    assert all(STOPPED in page and 'role="note"' in page for page in pages(named))
    by_number = serve_from(f"models:/{NAME}/2")
    assert (by_number.use.notice, by_number.scorer.version) == (STOPPED, 2)


def test_the_alias_is_followed_and_a_swap_needs_no_restart(place, monkeypatch):
    monkeypatch.chdir(place)
    client = mlflow_store.connect(place / "mlflow.db")
    served, named = serve_from(), serve_from("models")
    try:
        promotion.promote(client, NAME, 2, "for the test", approved_by="Jane Doe")
        served.renew()
        named.renew()
        assert (served.scorer.version, served.use.source, served.swaps) == (2, "models", 1)
        approved = (
            "Version 2 is in production, although it did not pass the gate when it was last "
            "validated."
        )
        assert served.use.why == named.use.why == approved
        assert (named.swaps, named.use.notice) == (0, "")
        client.delete_registered_model_alias(NAME, "production")
        served.renew()
        assert served.scorer.version == 2 and "nothing is in production" in served.refused.reason
        with pytest.raises(ModelRefused, match=r"holds version 2, which did not pass .*promote"):
            serve_from()
    finally:
        client.set_registered_model_alias(NAME, "production", "1")
    served.renew()
    assert served.scorer.version == 1 and served.refused is None


def test_a_portfolio_is_scored_by_what_is_in_production(place, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(place)
    pd.DataFrame([ONE]).to_csv(tmp_path / "in.csv", index=False)
    found = {}
    for name, options in (("default", []), ("named", ["--models", "models"])):
        out = tmp_path / name
        assert cli.main(["score", str(tmp_path / "in.csv"), str(out), *options]) == 0
        found[name] = json.loads((out / "_manifest.json").read_text("utf-8"))["model"]["version"]
    assert found == {"default": 1, "named": 2}
    said = capsys.readouterr().err
    assert f"creditrisk: {BESIDE}" in said and f"creditrisk: {STOPPED}" in said


def test_a_folder_that_is_production_is_served_with_what_it_needs(place, tmp_path):
    shutil.copytree(place / "models", tmp_path / "models")
    (tmp_path / "mlflow.db").write_bytes((place / "mlflow.db").read_bytes())
    code = (
        "import sqlite3, sys\n"
        "with sqlite3.connect('mlflow.db') as store:\n"
        "    store.execute('update registered_model_aliases set version = 2')\n"
        "from creditrisk.serving import http_server, model_reload\n"
        "served = model_reload.serve_from()\n"
        f"print(served.use.source, served.scorer.score([{ONE!r}])[0].decision)\n"
        "print(set(sys.modules) & {'mlflow', 'matplotlib', 'seaborn', 'papermill'})"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    [expected] = load_scorer(place / "models").score(ONE)
    assert done.stdout == f"models {expected.decision}\nset()\n", done.stderr


def test_a_version_that_is_no_number_is_refused_in_a_sentence(place, tmp_path, monkeypatch):
    shutil.copy(place / "mlflow.db", tmp_path)
    shutil.copytree(place / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    manifest = tmp_path / "models/manifest.json"
    content = json.loads(manifest.read_text("utf-8"))
    for version in ([], {"number": 1}, True):
        manifest.write_text(json.dumps(content | {"version": version}), "utf-8")
        default = "Version 1 is in production. models/manifest.json cannot be read."
        assert in_use().why == default
        with pytest.raises(ModelRefused, match="was changed after it was written"):
            serve_from("models")


def test_a_port_that_there_is_not_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.argument_parser().parse_args(
            ["serve", "--port", "99999"]
        )  # which would be 34463 in 16 bits
    assert "argument --port: give 0 to 65535" in capsys.readouterr().err


def test_without_a_registry_the_folder_is_served_and_without_a_model_the_chain_comes_first(
    place, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # as MLflow has left it: the store of the fixture
    monkeypatch.setattr(http_server, "_log_lines", lambda: None)
    first = (
        "creditrisk: models/ holds no model (there is no models/manifest.json); "
        "run the chain first: uv run run_all.py\n"
    )
    for command in (["serve"], ["serve", "--models", "models"], ["score", "in.csv", "out"]):
        assert cli.main(command) == 2
        assert capsys.readouterr().err == first
    shutil.copytree(place / "models", tmp_path / "models")
    served = serve_from()
    assert served.use.why == "Version 2 from models/; no registry is beside it."
    assert (served.use.in_production, served.scorer.alias) == (None, None)
    assert served.scorer.sha256 == load_scorer(place / "models").sha256
    (tmp_path / "mlflow.db").write_bytes(b"no database, whatever it is called" * 100)
    with pytest.raises(ModelRefused, match=r"mlflow.db cannot be read \(file is not a database"):
        serve_from()
    assert serve_from("models").use.why.startswith("Whether it is in production is not known")
