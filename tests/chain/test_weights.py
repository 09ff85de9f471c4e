"""The whole chain on a file that holds every bad loan and a tenth of the good ones, with weights.

Made of a population whose probabilities are known, so that its figures are known as well.
"""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import copy_project, run_all, with_small_models

LIGHT = ["repeats=1", "folds=3", "splits=2", "draws=300", "refits=5", "shuffles=2", "explained=50"]
LIGHT += ["cutoff_draws=50"]
SETTINGS = [part for setting in LIGHT for part in ("--set", setting)]
PRICES = 10.0, 1.0
FIELDS = [
    {"name": "count", "type": "number", "role": "weight"},
    {"name": "debt", "type": "number", "constraints": {"required": True}},
    {"name": "late", "type": "number", "constraints": {"required": True}},
    {"name": "home", "type": "string", "constraints": {"required": True, "enum": ["own", "rent"]}},
    {"name": "state", "type": "string", "constraints": {"required": True}},
]


def population(rows=12_000, seed=3):
    random = np.random.default_rng(seed)
    debt, late = random.normal(0, 1, (2, rows)).round(3)
    home = random.choice(["own", "rent"], rows)
    good = 1 / (1 + np.exp(-(3.2 - 1.1 * debt - 0.9 * late - 0.5 * (home == "rent"))))
    state = np.where(random.random(rows) < good, "paid", "lost")
    return pd.DataFrame({"debt": debt, "late": late, "home": home, "state": state}), good


def all_bad_and_a_tenth_of_the_good(people, seed=4):
    random = np.random.default_rng(seed)
    bad = people.state == "lost"
    kept = bad | (random.random(len(people)) < 0.1)
    return people[kept].assign(count=np.where(bad[kept], 1, 10))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the chain wrote, and the population that the rows stand for."""
    people, _ = population()
    rows = all_bad_and_a_tenth_of_the_good(people)
    bank = tmp_path_factory.mktemp("bank") / "tenth"
    bank.mkdir()
    rows[[field["name"] for field in FIELDS]].to_csv(bank / "loans.csv", index=False)
    resource = {
        "name": "loans",
        "path": "loans.csv",
        "target": {"field": "state", "good": ["paid"], "bad": ["lost"]},
        "costs": {"badAccepted": PRICES[0], "goodRejected": PRICES[1]},
        "schema": {"fields": FIELDS},
    }
    package = json.dumps({"name": "tenth", "resources": [resource]})
    (bank / "datapackage.json").write_text(package, "utf-8")
    project = with_small_models(copy_project(tmp_path_factory.mktemp("weights") / "project"))
    done = run_all(project, "--quiet", "--data", str(bank), *SETTINGS)
    assert done.returncode == 0, done.stdout + done.stderr
    return project, rows


def read(project, name):
    return json.loads((project / "experiments/tenth" / f"{name}.json").read_text("utf-8"))


def test_the_bad_rate_is_that_of_the_population(ran):
    project, rows = ran
    bad_rate = (rows.state == "lost").sum() / rows["count"].sum()
    # Some 10% of the population, and half of the rows.
    assert bad_rate < 0.12 and (rows.state == "lost").mean() > 0.4
    assert read(project, "exploration")["bad_rate"]["estimate"] == pytest.approx(bad_rate)
    # The split is stratified by outcome, so both sets have it but for a row.
    assert read(project, "champion")["bad_rate"] == pytest.approx(bad_rate, rel=0.01)
    assert read(project, "registration")["training_good_share"] == pytest.approx(
        1 - bad_rate, rel=0.01
    )


def test_probabilities_and_cutoff_are_those_of_the_population(ran):
    project, rows = ran
    found, champion = read(project, "validation")["test"], read(project, "champion")
    bad_rate = (rows.state == "lost").sum() / rows["count"].sum()
    # Learned and judged without weights the mean would be the rows' share of good, some .5.
    assert found["mean_probability"] == pytest.approx(1 - bad_rate, abs=0.02)
    assert found["calibration_slope_low"] < 1 < found["calibration_slope_high"]
    # Right probabilities break even at 10/11 = .91. Approving everybody costs 10 · bad rate.
    assert 0.8 < champion["cutoff"] < 0.97
    rule = champion["evidence"]["cost_approving_everybody"]
    assert rule == pytest.approx(10 * champion["bad_rate"])
    assert champion["cost_per_applicant"] < rule


def test_the_model_does_as_well_on_the_population_as_validation_says(ran):
    project, _ = ran
    found = read(project, "validation")["test"]
    scores = pd.read_csv(project / "experiments/tenth/test_scores.csv")
    good = (scores.state == "paid").to_numpy()
    score, weight = scores.probability_of_good.to_numpy(), np.where(good, 10, 1)
    wrong = np.where(good, 1.0, PRICES[0]) * (
        (score >= read(project, "champion")["cutoff"]) != good
    )
    assert found["cost"] == pytest.approx(np.average(wrong, weights=weight))
    assert found["brier"] == pytest.approx(np.average((score - good) ** 2, weights=weight))
    # Weights w: (sum w)² / sum w², of g good and b bad rows (10 g + b)² / (100 g + b).
    g, b = good.sum(), (~good).sum()
    assert found["effective_rows"] == pytest.approx((10 * g + b) ** 2 / (100 * g + b))


def test_reports_say_what_the_rows_are_worth(ran):
    project, rows = ran
    [report] = (project / "experiments/tenth").glob("runs/*/01_eda.html")
    said = f"the rows stand for {rows['count'].sum():,} applications"
    assert said in report.read_text("utf-8")
