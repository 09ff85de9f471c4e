"""The chain as a picture: on the index for the newest run, and small in each report."""

import json
import re
import shutil

import pytest
from browser import barriers, visit
from bs4 import BeautifulSoup
from toy import make, run

from papermill_chain.lineage.drawing import LARGE, MARGIN, picture_of
from papermill_chain.lineage.graph import graph_of
from papermill_chain.reports.index import write_index
from papermill_chain.runs.manifest import StageRun


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A project whose last run has failed in its third stage."""
    root = make(tmp_path_factory.mktemp("picture") / "project")
    assert run(root, "--quiet") == 0
    assert run(root, "--quiet", "--set", "mood=bad") == 1
    return root


def picture(page):
    return BeautifulSoup(page.read_text("utf-8"), "html.parser").select_one(".chain svg")


def texts(svg):
    return [[text.get_text() for text in box("text")] for box in svg.select(".stage")]


def test_the_index_shows_states_reasons_files_and_reports_of_the_newest_run(failed):
    index = failed / "experiments/index.html"
    svg = picture(index)
    # 02 -> 03 -> 04, and the raw file -> 01, 02; 02 -> 04 follows from the others
    assert len(svg.select(".arrows path")) == 4
    assert [text.get_text() for text in svg.select(".from text")] == ["raw.csv"]
    look, split, model, judge = texts(svg)
    assert look == ["01_look", "✓ up to date", ""]
    assert split == ["02_split", "✓ up to date", "", "train.csv +1"]
    assert model[0] == "03_model" and model[1].startswith("✕ failed · ")
    assert model[2:] == ["parameter mood good…", "model.txt +1"]
    assert judge == ["04_judge", "○ not run", ""]
    states = [box["class"][1] for box in svg.select(".stage")]
    assert states == ["good", "good", "bad", "waiting"]
    title = svg.select(".stage")[2].title.get_text()
    assert "parameter mood good → bad" in title, "what the box has no room for"
    assert title.endswith("reads train.csv of 02_split; writes model.txt, card.txt")
    links = [(index.parent / link["href"]).is_file() for link in svg.select("a")]
    assert links == [True] * 3, "04 has no report to lead to"


def test_a_report_shows_where_it_stands_and_works_alone(failed):
    first, second = sorted(failed.glob("experiments/runs/*"))
    svg = picture(first / "03_model.html")
    assert texts(svg) == [["01_look"], ["02_split"], ["03_model", "you are here"], ["04_judge"]]
    assert len(svg.select(".arrows path")) == 2 and not svg.select(".from")
    assert [link["href"] for link in svg.select("a")] == [
        "01_look.html",
        "02_split.html",
        "04_judge.html",
    ]
    there = [link.has_attr("href") for link in picture(second / "03_model.html").select("a")]
    assert there == [True, True, False], "04 did not run, and nothing leads to it"


def test_it_grows_a_report_by_less_than_12_kB(failed):
    page = _first(failed) / "03_model.html"
    assert 1_000 < len(str(picture(page)).encode()) < 12_000


def test_an_arrow_that_passes_a_column_crosses_no_box():
    stages = [
        StageRun("1", "One", {}, inputs=["raw"], outputs=["a"]),
        StageRun("2", "Two", {}, inputs=["a"], outputs=["b"]),
        StageRun("3", "Three", {}, inputs=["b", "late"], outputs=["c"]),
    ]
    drawn = picture_of(graph_of(stages), {stage.name: () for stage in stages})
    # from outside: raw -> 1, and late -> 3, which passes the columns of 1 and 2
    (passing,) = (way for way in drawn.arrows if "H" in way)
    heights = [float(y) for y in re.findall(r" (\S+)H", passing)]
    assert len(heights) == 2
    for number, height in enumerate(heights, start=1):
        x = MARGIN + number * (LARGE.width + LARGE.across)
        (box,) = (box for box in drawn.boxes if box.x == x)
        assert not box.y <= height <= box.y + LARGE.stage + LARGE.file


def test_runs_of_earlier_versions_are_drawn_from_what_they_have_recorded(failed, tmp_path):
    experiments = shutil.copytree(failed / "experiments", tmp_path / "experiments")
    manifest = max(experiments.glob("runs/*/manifest.json"))
    recorded = json.loads(manifest.read_text())
    for stage in recorded["stages"]:
        del stage["inputs"], stage["outputs"]
    manifest.write_text(json.dumps(recorded))
    svg = picture(write_index(experiments, "Toy"))
    # 03 has failed, so that what it writes is not known, nor that 04 reads it
    assert len(svg.select(".arrows path")) == 3
    looks, splits = recorded["stages"][:2]
    looks["reads"], looks["writes"] = splits["writes"], splits["reads"]
    manifest.write_text(json.dumps(recorded))
    assert len(texts(picture(write_index(experiments, "Toy")))) == 4, "a circle"
    recorded["stages"] = []
    manifest.write_text(json.dumps(recorded))
    assert picture(write_index(experiments, "Toy")) is None


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_everybody_can_read_it(failed, browser, width, scheme):
    index, report = failed / "experiments/index.html", _first(failed) / "03_model.html"
    for page in index, report:
        with visit(browser, page, width, color_scheme=scheme) as tab:
            root = "document.documentElement"
            assert tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
            assert not barriers(tab)
            tab.locator(".chain").focus()
            assert tab.evaluate("document.activeElement.className").startswith("chain")


def _first(root):
    return min(root.glob("experiments/runs/*"))
