"""The whole chain on other loan files: the twenty-column one, and one whose truth is known."""

import json
import subprocess
import sys

import describedloans
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, copy_project, run_all, with_small_models
from sklearn.metrics import roc_auc_score

LIGHT = ["repeats=1", "folds=3", "splits=2", "draws=300", "refits=5", "shuffles=2", "explained=50"]
SETTINGS = [part for setting in LIGHT for part in ("--set", setting)]
TWENTY = ROOT / "data/german_credit_20"
ROWS = 1_500


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout in which both data sets have been run; what the generator knows of one."""
    project = with_small_models(copy_project(tmp_path_factory.mktemp("sets") / "project"))
    elsewhere = tmp_path_factory.mktemp("bank") / "messy"
    true = describedloans.put("messy", elsewhere, ROWS)
    for folder in (str(TWENTY), str(elsewhere)):
        ran = run_all(project, "--quiet", "--data", folder, *SETTINGS)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return project, elsewhere, true


def creditrisk(project, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "creditrisk.cli", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_has_results_models_and_a_name_in_the_registry_of_its_own(checkout):
    project, _, _ = checkout
    for name, model in (
        ("german_credit_20", "Credit_Risk_Model_german_credit_20"),
        ("messy", "Credit_Risk_Model_messy"),
    ):
        found = json.loads((project / "experiments" / name / "validation.json").read_text("utf-8"))
        assert (found["model"], found["version"]) == (model, 1)
        manifest = json.loads((project / "models" / name / "manifest.json").read_text("utf-8"))
        assert manifest["model"] == model
        assert (project / "experiments" / name / "index.html").is_file()
        assert (project / "models" / name / "scorecard.sql").is_file()
    assert not (project / "experiments/results.csv").exists()  # the default data set was not run


def test_levels_that_are_codes_are_shown_with_their_words(checkout):
    [report] = (checkout[0] / "experiments/german_credit_20").glob("runs/*/01_eda.html")
    # Of 274 such applicants 135 are bad.
    words = "Bad rate by Checking account: A11: no checking account 49%; A12: below 0 DM 39%"
    assert words in report.read_text("utf-8")


def test_the_champion_comes_near_the_best_that_the_generator_allows(checkout):
    project, _, true = checkout
    scores = pd.read_csv(project / "experiments/messy/test_scores.csv")
    good = (scores["Ausgang"] == "gut").astype(int)
    raw = pd.read_csv(checkout[1] / "loans.csv", sep=";", encoding="cp1252", dtype=str)
    last = pd.to_datetime(raw["Eröffnet"], format="%d.%m.%Y")
    test = raw.index[last >= last.sort_values().iloc[-len(scores)]]
    assert len(test) == len(scores)  # the last fifth of the time
    best = roc_auc_score(good, true[test])
    found = roc_auc_score(good, scores["probability_of_good"])
    # On some 300 applicants the difference has a standard error of about .025.
    assert found > best - 0.08


def test_applicants_of_the_twenty_columns_are_decided_on(checkout):
    project, _, _ = checkout
    asked = ["score", str(TWENTY / "german_credit_20.csv"), "decided", "--data", str(TWENTY)]
    scored = creditrisk(project, *asked)
    assert scored.returncode == 0, scored.stderr
    decided = pq.read_table(project / "decided").to_pandas()
    # As many as the file has rows, each by the twenty columns' own model.
    manifest = json.loads((project / "models/german_credit_20/manifest.json").read_text("utf-8"))
    assert len(decided) == 1000 and set(decided.model_sha256) == {manifest["model_sha256"]}
    assert set(decided.decision) == {"approve", "decline"}


def test_data_and_outcomes_together_are_learned_from_however_the_file_is_written(checkout):
    project, elsewhere, _ = checkout
    data = "--data", str(elsewhere)
    log = ["--models", "models/messy", "--months", "14", "--per-month", "300"]
    log += ["--maturity", "3", "--outcomes", "all"]
    simulated = creditrisk(project, "simulate", *data, *log, "--out", "experiments/messy/decisions")
    assert simulated.returncode == 0, simulated.stderr
    ran = run_all(project, "--refresh", *data, "--only", "02", "--quiet")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = json.loads((project / "data/refreshed/messy/datapackage.json").read_text("utf-8"))
    # In the fourteenth month outcomes of decisions of the first eleven are known, 300 a month;
    # the latest fifth of these are the test set.
    rows = made["resources"][0]["rows"]
    assert rows - ROWS == pytest.approx(11 * 300, abs=300)
    split = json.loads((project / "experiments/messy/preparation.json").read_text("utf-8"))
    assert split["test"] == -(-(rows - ROWS) // 5) and split["training"] == rows - split["test"]
