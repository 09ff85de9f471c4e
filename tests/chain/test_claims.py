"""No sentence claims what its own run contradicts, whatever the parameters."""

import json
import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import copy_project, run_all, with_small_models
from reportfigures import SOURCES, quoted, recorded, unexplained

#: Far from the defaults: few rows, three folds, another split, dear bad loans, Age in the model.
ODD = {
    "sample": 300,
    "folds": 3,
    "repeats": 1,
    "splits": 5,
    "seed": 21,
    "cost_bad_accepted": 30,
    "use_protected": "Age",
    "draws": 300,
    "shuffles": 2,
    "refits": 20,
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    project = with_small_models(copy_project(tmp_path_factory.mktemp("odd") / "project"))
    words = [word for each in ODD.items() for word in ("--set", "{}={}".format(*each))]
    ran = run_all(project, *words)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return project


def content(project, name):
    return json.loads((project / f"experiments/{name}.json").read_text("utf-8"))


def text_of(project, stage):
    (page,) = project.glob(f"experiments/runs/*/{stage}.html")
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    for code in soup.select("details"):
        code.decompose()
    for text in soup.select("svg text"):
        if re.fullmatch(r"[\d,.%]+", text.get_text()):  # the marks of an axis claim nothing
            text.decompose()
    return " ".join(soup.get_text(" ").replace("( ", "(").split())


@pytest.mark.parametrize("stage", SOURCES)
def test_every_figure_is_on_record(stage, odd):
    assert not unexplained(quoted(odd, stage), recorded(odd, stage))


def test_prose_does_not_speak_of_the_defaults(odd):
    texts = {stage: text_of(odd, stage) for stage in SOURCES}
    for stage, text in texts.items():
        for words in (
            "nine tenths",
            "a thousand loan",
            "1,000",
            "1000 appl",
            "1000 loans",
            "30 held-out",
            "ten folds",
        ):
            assert words not in text, stage
    assert "300 loans" in texts["01_eda"] and "3 held-out folds" in texts["03_comparison"]


def test_verdicts_follow_from_the_figures(odd):
    won, found = content(odd, "champion"), content(odd, "validation")
    test, rules = found["test"], {rule["rule"]: rule for rule in found["rules"]}
    compared, judged = text_of(odd, "03_comparison"), text_of(odd, "05_validation")

    # the champion leads by the mean, and is called better only where a pair says so
    results = pd.read_csv(odd / "experiments/results.csv")
    assert won["model"] == results.model[results.roc_auc.idxmax()]
    pairs = pd.read_csv(odd / "experiments/pairs.csv")
    better = pairs[(pairs.model == won["model"]) & (pairs.verdict != "not distinguishable")]
    assert ("Better than" in won["reason"]) == bool(len(better))
    assert won["exclude"] == ["Sex"] and "without Age : ROC-AUC" in compared

    # 30 : 1: theory says 30/31, and approving everybody costs thirty times the bad rate
    assert "Theory says 0.97," in compared
    flat = found["rules_of_thumb"]
    assert flat["approving everybody"] == pytest.approx(30 * test["bad"] / test["rows"])
    cheaper = {name: test["cost_high"] < cost for name, cost in flat.items()}
    for name, is_cheaper in cheaper.items():
        claimed = judged.partition("That is cheaper than")[2].partition("beyond doubt")[0]
        assert (name in claimed) == is_cheaper

    # what may be wrong stands first: a protected column, and no proof that the model saves anything
    texts = [risk["text"] for risk in found["risks"]]
    assert "It decides by Age, which the contract protects." in texts
    cheapest = min(flat, key=flat.get)
    assert any(cheapest in text for text in texts) != cheaper[cheapest]
    assert [risk for risk in texts if risk not in judged] == []

    stops = [rule for rule in rules.values() if rule["verdict"] == "stop"]
    assert found["promoted"] == (not stops) == (odd / "experiments/promotions.jsonl").exists()
    assert ("did not pass the gate" in judged) == bool(stops)
    enough = next(rule for name, rule in rules.items() if "approves enough" in name)
    assert (enough["verdict"] == "stop") == (test["approved"] < 0.05)
