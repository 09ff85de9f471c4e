"""Reports that can be checked, and data that must not get through: the chain as a validator sees it."""

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import copy_project, run_all

#: The files that hold what a report says.
SOURCES = {
    "03_comparison": ["champion.json", "results.csv", "pairs.csv"],
    "05_validation": ["validation.json", "registration.json"],
    "06_explanation": ["explanation.json", "registration.json"],
}
FIGURE = re.compile(r"(?<![\w.,-])([+-]?\d+\.\d{2,3})(?![\w.]*\d)|(?<![\w.,])(\d+(?:\.\d)?) ?%")


def leaves(content):
    """Every number in a file's content."""
    if isinstance(content, dict):
        content = content.values()
    elif isinstance(content, str):
        yield from (float(text) for text in re.findall(r"-?\d+\.\d+", content))
        return
    elif isinstance(content, bool) or not isinstance(content, list | int | float):
        return
    if isinstance(content, int | float):
        yield float(content)
        return
    for each in content:
        yield from leaves(each)


def recorded(project, names):
    found = []
    for name in names:
        path = project / "experiments" / name
        if path.suffix == ".json":
            found += leaves(json.loads(path.read_text("utf-8")))
        else:
            found += pd.read_csv(path).select_dtypes("number").to_numpy().ravel().tolist()
    return np.array([value for value in found if np.isfinite(value)])


def quoted(project, stage):
    """The figures in the computed sentences of a report, as text; what the notebook's own
    prose quotes from the literature is not among them."""
    (page,) = project.glob(f"experiments/runs/*/{stage}.html")
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    for code in soup.select("code, table, details, figcaption"):
        code.decompose()
    said = [block.get_text(" ") for block in soup.select(".prose p, .prose li")]
    notebook = nbformat.read(project / "notebooks" / f"{stage}.ipynb", 4)
    written = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    fixed = set(FIGURE.findall(written))
    return [match for text in said for match in FIGURE.findall(text) if match not in fixed]


def unexplained(figures, values):
    """The figures that no recorded value rounds to."""
    odd = []
    for plain, share in figures:
        text, scaled = (plain, values) if plain else (share, 100 * values)
        digits = len(text.partition(".")[2])
        # half a unit of the last digit, and a hair for values that lie just between two
        if not (np.abs(np.abs(scaled) - abs(float(text))) <= 0.5 * 10**-digits + 1e-9).any():
            odd.append(text)
    return odd


@pytest.mark.parametrize("stage", SOURCES)
def test_every_figure_in_a_report_is_on_record(stage, finished):
    project, _ = finished
    figures, values = quoted(project, stage), recorded(project, SOURCES[stage])
    assert len(figures) >= 15
    assert not unexplained(figures, values)
    # and the check would notice: with other values on record most figures have no source
    shifted = np.unique(np.abs(values)) * 1.37 + 0.0713
    assert len(unexplained(figures, shifted[:40])) > len(figures) / 3


def test_the_cards_figures_are_the_validations(finished):
    project, _ = finished
    test = json.loads((project / "experiments/validation.json").read_text("utf-8"))["test"]
    page = BeautifulSoup((project / "models/model_card.html").read_text("utf-8"), "html.parser")
    rows = {row.select("td")[0].text: [cell.text for cell in row.select("td")[1:]]
            for row in page.select("table")[0].select("tr")[1:]}  # fmt: skip
    assert rows["ROC-AUC"] == [f"{test['roc_auc']:.3f}", f"{test['roc_auc_low']:.3f} to {test['roc_auc_high']:.3f}"]
    assert rows["calibration slope"][0] == f"{test['calibration_slope']:.3f}"
    assert rows["approved at the cut-off"][0] == f"{test['approved']:.0%}"
    assert all(value for value, _ in rows.values())
    assert "must not be used to decide about people" in page.text.replace("\n", " ")
    assert not page.select("script, img, link") and "http" not in str(page.select("style"))


def test_the_scorecards_query_is_on_record_and_scores_like_the_card(finished):
    project, _ = finished
    card = pd.read_csv(project / "models/scorecard.csv")
    explained = json.loads((project / "experiments/explanation.json").read_text("utf-8"))
    assert explained["scorecard"]["sql_apart"] <= 1e-9
    assert explained["strongest_reason_keeps_its_word"] >= 0.95
    assert {"field", "bin", "woe", "points", "applicants", "bad_rate"} <= set(card)
    # every applicant of the training set stands in one bin of each of nine fields
    assert card.groupby("field").applicants.sum().to_dict() == dict.fromkeys(card.field.unique(), 800)
    assert "probability_of_good" in (project / "models/scorecard.sql").read_text("utf-8")


# --- data that must not get through ------------------------------------------------------------

LIGHT = ["repeats=1", "folds=3", "splits=4", "draws=300", "deals=2"]


def changed_data(project: Path, change) -> None:
    """Another bank's file: the raw data and its descriptor after a change."""
    descriptor, raw = project / "data/raw/datapackage.json", project / "data/raw/german_credit_data.csv"
    package = json.loads(descriptor.read_text("utf-8"))
    resource = package["resources"][0]
    table = pd.read_csv(raw, keep_default_na=False, index_col=0)
    table = change(table, resource["schema"]["fields"])
    table.rename_axis("").to_csv(raw)
    del resource["hash"]
    resource["rows"] = len(table)
    descriptor.write_text(json.dumps(package), "utf-8")


def leaked(table, fields):
    fields.insert(1, {"name": "Dunning letter", "type": "string",
                      "constraints": {"required": True, "enum": ["none", "sent"]}})  # fmt: skip
    table.insert(1, "Dunning letter", np.where(table.Risk == "bad", "sent", "none"))
    return table


def shuffled(table, fields):
    return table.assign(Risk=np.random.default_rng(3).permutation(table.Risk))


def rare(table, fields):
    """37 bad among 737: a bad rate of 5 %."""
    bad = table[table.Risk == "bad"].sample(37, random_state=1)
    return pd.concat([table[table.Risk == "good"], bad]).sort_index()


@pytest.fixture(scope="module", params=[leaked, shuffled, rare], ids=lambda change: change.__name__)
def strange(request, tmp_path_factory):
    """The chain, in a hurry, on data that is not what it seems."""
    project = copy_project(tmp_path_factory.mktemp(request.param.__name__) / "project")
    changed_data(project, request.param)
    stages = ["--only", "02", "--only", "03", "--only", "04", "--only", "05", "--only", "06"]
    ran = run_all(project, *(word for each in LIGHT for word in ("--set", each)), *stages)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    read = {name: json.loads((project / f"experiments/{name}.json").read_text("utf-8"))
            for name in ("champion", "validation")}  # fmt: skip
    texts = {}
    for stage in SOURCES:
        (page,) = project.glob(f"experiments/runs/*/{stage}.html")
        texts[stage] = BeautifulSoup(page.read_text("utf-8"), "html.parser").get_text(" ")
        assert 'aria-label="Warnings"' not in page.read_text("utf-8")
    return request.param.__name__, project, read, texts


def test_strange_data_is_seen_through(strange):
    kind, project, read, texts = strange
    validation, champion = read["validation"], read["champion"]
    broken = {rule["rule"].partition(" (")[0] for rule in validation["rules"] if rule["verdict"] == "stop"}
    record = project / "experiments/promotions.jsonl"
    if kind == "leaked":
        assert validation["test"]["roc_auc"] > 0.99
        assert "is not too good to be true" in broken
        assert all("too good to be true" in texts[stage] for stage in ("03_comparison", "05_validation"))
    elif kind == "shuffled":
        assert "did so in training, on those held out" in broken
        assert not champion["better_than_chance"]
        assert "No model is distinguishable from chance" in texts["03_comparison"]
        pairs = pd.read_csv(project / "experiments/pairs.csv")
        assert set(pairs.verdict) == {"not distinguishable"}
    else:
        assert champion["bad_rate"] == pytest.approx(0.05, abs=0.002)
        assert validation["test"]["rows"] == 148 and validation["test"]["bad"] == 7
    assert validation["promoted"] == (not broken) == record.exists()
    assert ("not promoted" in texts["05_validation"]) == bool(broken)
