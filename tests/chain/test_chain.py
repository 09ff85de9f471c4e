"""The whole chain on the real data, as ``python run_all.py`` runs it."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from functools import partial
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, copy_project, run_all, with_small_models
from plainpapermill import plainly, printed

from creditrisk.data import encoding, json_files
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import read_contract
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import cross_validation
from creditrisk.modelling.candidates import candidates

STAGES = [
    "01_eda",
    "02_preparation",
    "03_comparison",
    "04_registration",
    "05_validation",
    "06_explanation",
    "08_review",
]
MADE = [
    "data/training/X_train.csv",
    "data/training/X_test.csv",
    "data/training/y_train.csv",
    "data/training/y_test.csv",
    "experiments/results.csv",
    "experiments/pairs.csv",
    "experiments/out_of_fold.csv",
    "experiments/champion.json",
    "experiments/registration.json",
    "experiments/validation.json",
    "experiments/explanation.json",
    "experiments/review.json",
    "models/credit_risk_model.pkl",
    "models/model_columns.pkl",
    "models/credit_risk_model.skops",
    "models/manifest.json",
    "models/model_card.md",
    "models/model_card.html",
    "models/scorecard.csv",
    "models/scorecard.sql",
    "experiments/decision_lab.html",
]


def in_project(project, code):
    """What a Python process in the project prints, as JSON."""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def hashes(project, paths):
    return {path: sha256((project / path).read_bytes()).hexdigest() for path in paths}


def test_chain_succeeds_and_says_so(finished):
    project, ran = finished
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert all(stage in ran.stdout for stage in STAGES)
    assert "version 1" in ran.stdout and "mlflow ui" in ran.stdout
    # a verdict may warn of a rule; Python has nothing to warn of, and no process was lost
    assert "process that forks kernels" not in " ".join(ran.stdout.split())
    assert not re.search(r"\w+Warning|Traceback", ran.stdout + ran.stderr)
    assert all((project / path).stat().st_size for path in MADE)
    # nothing beside the documented folders
    assert {p.name for p in project.iterdir()} - {"__pycache__"} == {
        "notebooks",
        "creditrisk",
        "page_style",
        "papermill_chain",
        "work_units",
        "data",
        "experiments",
        "models",
        "run_all.py",
        "uv.lock",
        "mlflow.db",
        ".mlflow.db.lock",
        "mlartifacts",
    }
    assert {p.suffix for p in (project / "notebooks").iterdir()} == {".ipynb"}


def test_reports_are_kept_and_linked(finished):
    project, _ = finished
    (run,) = (project / "experiments" / "runs").iterdir()
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["status"] == "succeeded"
    assert [stage["name"] for stage in manifest["stages"]] == STAGES
    index = (project / "experiments" / "index.html").read_text("utf-8")
    for stage in STAGES:
        page = (run / f"{stage}.html").read_text("utf-8")
        assert f"runs/{run.name}/{stage}.html" in index and not printed(run / f"{stage}.ipynb")
        figures = BeautifulSoup(page, "html.parser").select("figure")
        assert figures and all(figure.select("svg[aria-label]") for figure in figures)
        assert "What we found" in page and 'aria-label="Warnings"' not in page
        assert len(page) < 3_000_000
    figures = manifest["figures"]
    results = pd.read_csv(project / "experiments/results.csv")
    assert figures["champion"]["value"] == results.model[0]
    found = figures["ROC-AUC, cross-validated"]["value"]
    assert found == pytest.approx(results.roc_auc.max(), abs=1e-4)


def test_split_holds_every_applicant_once(finished):
    project, _ = finished
    contract = read_contract(project / "data/raw/datapackage.json")
    train, test, y_train, y_test = (
        pd.read_csv(project / f"data/training/{name}.csv")
        for name in ("X_train", "X_test", "y_train", "y_test")
    )
    assert (len(train), len(test), len(y_train), len(y_test)) == (800, 200, 800, 200)
    # 30% of 800 and of 200
    assert ((y_train == 0).sum().item(), (y_test == 0).sum().item()) == (240, 60)
    assert list(train) == list(test) and list(y_train) == list(y_test) == ["Risk"]
    for field in contract.categories:
        for part in (train, test):
            assert (part[encoding.encoded_columns(contract, field)].sum(axis=1) == 1).all()
    # together they are the raw file: amounts are all but unique, so their multiset says it
    raw = read_raw(project / "data/raw/german_credit_data.csv", contract)
    both = pd.concat([train, test])
    assert sorted(both["Credit amount"]) == sorted(raw["Credit amount"])
    assert both["Checking account_missing"].sum() == 394
    assert not pd.merge(train, test).shape[0]


def test_champion_is_the_best_row(finished):
    project, _ = finished
    results = pd.read_csv(project / "experiments/results.csv")
    champion = json.loads((project / "experiments/champion.json").read_text("utf-8"))
    assert {"Logistic Regression", "Random Forest"} <= set(results.model)
    assert {"accuracy", "precision", "recall", "f1", "roc_auc", "gini", "ks", "brier"} <= set(
        results
    )
    assert champion["model"] == results.model[results.roc_auc.idxmax()]
    assert results.drop(columns="error").notna().all().all() and (results.folds == 30).all()
    assert results.error.isna().all() and len(results) >= 7
    assert np.allclose(results.gini, 2 * results.roc_auc - 1)
    assert 0 < champion["cutoff"] < 1 and champion["reason"]


@pytest.fixture(scope="module")
def registry(finished, tmp_path_factory):
    """What MLflow knows of the model, and what the chain says as more and more of it is gone."""
    project = tmp_path_factory.mktemp("registry") / "project"
    shutil.copytree(finished[0], project)
    return in_project(
        project,
        """
import json, mlflow, pickle, sys, pandas as pd
from pathlib import Path
sys.path.insert(0, ".")
import run_all
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import decode
model = pickle.load(open("models/credit_risk_model.pkl", "rb"))
columns = pickle.load(open("models/model_columns.pkl", "rb"))
X = pd.read_csv("data/training/X_test.csv")
raw = decode(X, read_contract("data/raw/datapackage.json"))
registered = mlflow.sklearn.load_model("models:/Credit_Risk_Model@production")
client = mlflow.MlflowClient()
entry = client.get_registered_model("Credit_Risk_Model")
run = client.get_run(client.get_model_version("Credit_Risk_Model", 1).run_id)
place = run.info.experiment_id
nested = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
children = client.search_runs([place], nested)
reports = [item.path for item in client.list_artifacts(run.info.run_id, "reports")]
p = model.predict_proba(raw)[:, 1]
whole = {
    "apart": abs(registered.predict_proba(raw)[:, 1] - p).max(),
    "encoded": abs(model[-1].predict_proba(X)[:, 1] - p).max(),
    "decided": (model.predict(raw) == (p >= model[-1].threshold)).all().item(),
    "columns": columns == list(X),
    "aliases": entry.aliases,
    "children": [child.info.run_name for child in children],
    "name": run.info.run_name,
    "described": client.get_model_version("Credit_Risk_Model", 1).description,
    "sources": sorted({each.data.tags["mlflow.source.name"] for each in [run, *children]}),
    "unset": [k for child in children for k, v in child.data.params.items() if v == "None"],
    "reports": reports,
    "metrics": run.data.metrics,
    "datasets": len(run.inputs.dataset_inputs),
    "status": run.info.status,
}

parent = client.create_run(place, tags={"chain_run": "killed"}).info.run_id
nested = client.create_run(place, tags={"mlflow.parentRunId": parent}).info.run_id
other = client.create_run(place, tags={"chain_run": "going on"}).info.run_id
run_all.close_runs(["killed"])
checks = {stage.name: stage.external.check for stage in run_all.CHAIN}
lacks = lambda: [checks["04_registration"](), checks["05_validation"]()]
status = [client.get_run(run).info.status for run in (parent, nested, other)]
gone = {"nothing": lacks(), "status": status}
client.delete_registered_model_alias("Credit_Risk_Model", "production")
gone["production"] = lacks()
client.delete_registered_model_alias("Credit_Risk_Model", "challenger")
gone["challenger"] = lacks()
client.delete_model_version("Credit_Risk_Model", 1)
gone["version"] = lacks()
Path("mlflow.db").unlink()
gone["store"] = lacks()
print(json.dumps({"whole": whole, "gone": gone}))
""",
    )


def test_pickle_registry_and_stored_columns_agree(finished, registry):
    project, found = finished[0], registry["whole"]
    assert found["apart"] <= 1e-12 and found["encoded"] <= 1e-15
    assert found["columns"] and found["decided"] and found["datasets"] == 1
    assert found["aliases"] == {"challenger": 1, "production": 1} or found["aliases"] == {
        "challenger": "1",
        "production": "1",
    }
    results = pd.read_csv(project / "experiments/results.csv")
    assert set(found["children"]) == set(results.model)
    won = json.loads((project / "experiments/champion.json").read_text("utf-8"))
    assert found["name"] == f"{won['model']}, ROC-AUC {won['roc_auc']:.3f}"
    assert found["sources"] == ["04_registration.ipynb"] and found["unset"] == []
    pages = [*STAGES, "decision_lab", "model_card"]
    assert sorted(found["reports"]) == [f"reports/{page}.html" for page in pages]
    assert found["status"] == "FINISHED"
    validation = json.loads((project / "experiments/validation.json").read_text("utf-8"))
    assert found["metrics"]["test_roc_auc"] == validation["test"]["roc_auc"]
    assert found["described"].endswith(f"**Gate**: {validation['verdict']}")


def test_figures_of_the_validation_can_be_recomputed(finished):
    """From the test set and the pickle alone."""
    project, _ = finished
    validation = json.loads((project / "experiments/validation.json").read_text("utf-8"))
    model = pickle.loads((project / "models/credit_risk_model.pkl").read_bytes())
    X = pd.read_csv(project / "data/training/X_test.csv")
    y = pd.read_csv(project / "data/training/y_test.csv").Risk.to_numpy()
    score = model[-1].predict_proba(X)[:, 1]
    good, bad = score[y == 1], score[y == 0]
    wins = (good[:, None] > bad).mean() + 0.5 * (good[:, None] == bad).mean()
    cutoff = json.loads((project / "models/manifest.json").read_text("utf-8"))["cutoff"]
    approved = score >= cutoff
    cost = (5 * (approved & (y == 0)).sum() + (~approved & (y == 1)).sum()) / len(y)
    assert validation["test"]["roc_auc"] == pytest.approx(wins)
    assert validation["test"]["cost"] == pytest.approx(cost)
    assert validation["test"]["brier"] == pytest.approx(((score - y) ** 2).mean())
    assert validation["promoted"]
    assert {rule["verdict"] for rule in validation["rules"]} <= {
        "passed",
        "warning",
        "not judged",
    }
    assert all(rule["why"] for rule in validation["rules"])
    card = (project / "models/model_card.md").read_text("utf-8")
    assert f"{wins:.3f}" in card and f"{validation['test']['cost']:.2f}" in card


def between(figures, name):
    middle, low, high = (figures[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def default_forest(project, won):
    """What the comparison finds of the classic forest, whose trees are few in this run."""
    contract = read_contract(project / "data/raw/datapackage.json")
    X = encoding.read_matrix(project / "data/training/X_train.csv", contract)
    y = encoding.read_target(project / "data/training/y_train.csv", contract, len(X))
    listed = candidates(contract, won["seed"], won["exclude"], rows=len(X))
    forest = [each for each in listed if each.name == "Random Forest"]
    how = {name: won[name] for name in ("folds", "repeats", "seed")}
    scored = cross_validation.cross_validate(forest, X, y, workers=1, **how)
    return cross_validation.results(scored.fold_measures()).iloc[0]


def test_readme_quotes_these_figures(finished):
    """Whoever runs the README's line with the default seed finds the README's numbers."""
    project, _ = finished
    readme = (ROOT / "README.md").read_text("utf-8")
    readme = " ".join(readme.split())
    results = pd.read_csv(project / "experiments/results.csv").set_index("model")
    champion = json.loads((project / "experiments/champion.json").read_text("utf-8"))
    validation = json.loads((project / "experiments/validation.json").read_text("utf-8"))
    test, flat = validation["test"], validation["rules_of_thumb"]
    classic = results.loc["Logistic Regression"], default_forest(project, champion)
    quoted = [f"{row.roc_auc:.3f}, fold SD {row.roc_auc_sd:.3f}" for row in classic]
    by_age = [
        next(row for row in validation[name] if row["index"] == "age to 25")
        for name in ("impact_ratios", "impact_ratios_in_training")
    ]
    quoted += [
        between(champion, "roc_auc"),
        between(test, "roc_auc"),
        f"cost {between(test, 'cost')} per applicant on the test set",
        f"everybody ({flat['approving everybody']:.3f})",
        f"nobody ({flat['approving nobody']:.3f})",
        *(f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})" for row in by_age),
        champion["model"],
    ]
    missing = [words for words in quoted if words not in readme]
    assert not missing


def test_manifest_beside_the_model_describes_it(finished):
    project, _ = finished
    manifest = json.loads((project / "models/manifest.json").read_text("utf-8"))
    made = hashes(project, [path for path in MADE if path.startswith("models/")])
    assert manifest["model_sha256"] == made["models/credit_risk_model.pkl"]
    assert manifest["model_columns_sha256"] == made["models/model_columns.pkl"]
    assert manifest["model_skops_sha256"] == made["models/credit_risk_model.skops"]
    package = json.loads((project / "data/raw/datapackage.json").read_text("utf-8"))
    assert manifest["contract"] == package


def test_an_unchanged_rerun_runs_nothing_and_imports_nothing_heavy(finished):
    project, _ran = finished
    found = in_project(
        project,
        """
import contextlib, io, json, runpy, sys
sys.argv = ["run_all.py"]
with contextlib.redirect_stdout(io.StringIO()) as said:
    try:
        runpy.run_path("run_all.py", run_name="__main__")
    except SystemExit as end:
        code = end.code
heavy = {"mlflow", "pandas", "papermill", "numpy", "nbformat", "sqlalchemy"} & set(sys.modules)
print(json.dumps({"code": code, "said": said.getvalue(), "heavy": sorted(heavy)}))
""",
    )
    assert (found["code"], found["heavy"]) == (0, [])
    assert found["said"].count("up to date") == len(STAGES) and "Nothing to do" in found["said"]
    assert len(list((project / "experiments/runs").iterdir())) == 1


def test_what_is_gone_from_the_registry_is_noticed_and_open_runs_are_closed(registry):
    gone = "Credit_Risk_Model version 1 is not in the registry"
    assert registry["gone"] == {
        "nothing": ["", ""],
        "status": ["KILLED", "KILLED", "RUNNING"],
        "production": ["", "the alias production is gone"],
        "challenger": ["the alias challenger is gone or points elsewhere"]
        + ["the alias production is gone"],
        "version": [gone, gone],
        "store": [gone, gone],
    }


def test_what_is_run_too_early_names_the_notebook_to_run_first(tmp_path):
    contract = read_contract(ROOT / "data/raw/datapackage.json")
    for read, first in (
        (lambda path: encoding.read_matrix(path, contract), "02_preparation"),
        (lambda path: encoding.read_target(path, contract, 1), "02_preparation"),
        (partial(json_files.read_json, made_by="03_comparison"), "03_comparison"),
    ):
        with pytest.raises((FileNotFoundError, ContractError), match=f"run {first} first"):
            read(tmp_path / "missing")


def test_same_seed_same_model_without_the_runner(finished, project, empty_store, tmp_path):
    """04 by itself, with plain papermill, repeats what the chain has made.

    In another folder, in a cold kernel and without what the runner sets. test_jupyterlab.py repeats
    the split and its figures, test_evidence.py the comparison, and test_other_data.py runs 01.
    """
    first = finished[0]
    shutil.copytree(first / "data/training", with_small_models(project) / "data/training")
    shutil.copy(empty_store, project / "mlflow.db")
    (project / "experiments").mkdir()
    for name in ("results.csv", "pairs.csv", "out_of_fold.csv", "champion.json"):
        shutil.copy2(first / "experiments" / name, project / "experiments")
    plainly(project, tmp_path, {"04_registration": {"refits": 5}})
    assert {path.suffix for path in (project / "notebooks").iterdir()} == {".ipynb"}
    X = pd.read_csv(first / "data/training/X_test.csv")
    models = [place / "models/credit_risk_model.pkl" for place in (first, project)]
    scores = [pickle.loads(path.read_bytes())[-1].predict_proba(X) for path in models]
    np.testing.assert_array_equal(*scores)


def test_broken_raw_file_stops_the_chain_and_loses_nothing(finished, tmp_path):
    source, _ = finished
    project = copy_project(tmp_path / "broken")
    for folder in ("data/training", "models"):
        (project / folder).mkdir()
        for path in (source / folder).iterdir():
            (project / folder / path.name).write_bytes(path.read_bytes())
    raw = project / "data/raw/german_credit_data.csv"
    raw.write_bytes(raw.read_bytes().replace(b"\n16,53,", b"\n16,-5,", 1))
    kept = {p: p.read_bytes() for d in ("data/training", "models") for p in (project / d).iterdir()}
    ran = run_all(project, "--only", "02", "--only", "03")
    said = " ".join(ran.stdout.split() + ran.stderr.split())
    assert ran.returncode == 1
    assert "row 17 (line 18): Age is -5; allowed 18 to 120 years" in said
    assert "german_credit_data.csv" in said and "Remedy" in said and "not run" in said
    assert all(path.read_bytes() == content for path, content in kept.items())
    (run,) = (project / "experiments/runs").iterdir()
    assert "Age is -5" in (run / "02_preparation.html").read_text("utf-8")
    assert not (project / "experiments/results.csv").exists()


def test_what_cannot_be_meant_is_refused_before_anything_runs(project):
    for typed, words in (
        (["--set", "seeed=8"], ["seeed", "seed"]),
        (["--set", "seed=eight"], ["seed", "int"]),
        (["--set", "X_test_path=other.csv"], ["X_test_path", "02_preparation"]),
        (["--only", "compare"], ["03_comparison"]),
        (["--only", "05"], ["04_registration"]),
    ):
        ran = run_all(project, *typed)
        said = ran.stdout + ran.stderr
        assert ran.returncode == 2 and all(word in said for word in words), said
    assert not (project / "data/training").exists()
    assert not list(project.glob("experiments/runs/*"))
