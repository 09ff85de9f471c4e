"""The chain as a picture: on the index, small in each report, and in the terminal by `--graph`."""

import json
import os
import re
import shutil

import pytest
from browser import barriers, visit, wait_until
from bs4 import BeautifulSoup
from toy import make, manifests, run, start

from papermill_chain.lineage.drawing import LARGE, MARGIN, picture_of
from papermill_chain.lineage.graph import graph_of
from papermill_chain.reports.index import write_index
from papermill_chain.runs.manifest import StageRun


@pytest.fixture(scope="module")
def failed(toy_that_has_run):
    """A project whose last run has failed in its third stage, and whose data changed since."""
    root = toy_that_has_run
    assert run(root, "--quiet", "--set", "mood=bad") == 1
    (root / "data/raw.csv").write_text("changed\n")
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
    assert model[2:] == ["parameter mood good → b…", "model.txt +1"]
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


def test_a_phone_scrolls_it_inside_its_own_box(failed, browser):
    index, report = failed / "experiments/index.html", _first(failed) / "04_judge.html"
    for page in index, report:
        with visit(browser, page, width=390, color_scheme="dark") as tab:
            root, chain = "document.documentElement", tab.locator(".chain")
            assert tab.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
            assert chain.evaluate("each => each.scrollWidth > each.clientWidth")
            assert chain.get_attribute("tabindex") == "0", "a key scrolls it, too"
            # that of a report begins with the place that it has in the chain
            assert (chain.evaluate("each => each.scrollLeft") > 0) == (page == report)
            if page == index:  # states of all kinds; the reports of the real chain are audited
                assert not barriers(tab)
            tab.set_viewport_size({"width": 1280, "height": 900})
            wait_until(tab, lambda chain=chain: chain.get_attribute("tabindex") is None)


@pytest.mark.parametrize("width, beside", [(80, 2), (120, 2), (50, 1)])
def test_it_shows_layers_states_and_what_would_run(failed, capsys, monkeypatch, width, beside):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(failed, "--graph") == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == f"Toy: last run {manifests(failed)[-1]['id']} failed"
    # from outside, then the layers 01 and 02; 03; 04: three arrows between four
    assert shown.count("▼") == 3
    tops = [line for line in lines if line.startswith("╭─ 0")]
    assert [top.count("╭") for top in tops] == [beside, *[1] * (4 - beside)]
    assert [name for top in tops for name in top.split() if name[0] == "0"] == [
        "01_look",
        "02_split",
        "03_model",
        "04_judge",
    ]
    words = " ".join(shown.replace("│", " ").split())
    assert words.count("next: would run: raw.csv changed") == 2
    assert "✕ failed · " in words and "next: would run if 02_split changes its files" in words
    assert "reads train.csv of 02_split writes model.txt +1" in words
    assert len(manifests(failed)) == 2, "nothing was run"


def test_as_json_it_has_every_file(failed, capsys):
    assert run(failed, "--graph", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    graph = json.loads(line)
    assert graph["event"] == "graph" and graph["last"]["status"] == "failed"
    stages = {stage["name"]: stage for stage in graph["stages"]}
    assert [stage["layer"] for stage in stages.values()] == [1, 1, 2, 3]
    judge = stages["04_judge"]
    assert judge["reads"] == {"models/model.txt": "03_model", "data/split/test.csv": "02_split"}
    assert judge["after"] == ["02_split", "03_model"]
    assert stages["02_split"]["writes"] == ["data/split/train.csv", "data/split/test.csv"]
    assert stages["02_split"]["reads"] == {"data/raw.csv": None}
    assert stages["02_split"]["next"] == {
        "would_run": True,
        "why": ["raw.csv changed"],
        "if_files_change_of": [],
        "from_the_cache": False,
        "not_from_the_cache": "",
    }
    assert stages["03_model"]["last"]["why"] == ["parameter mood good → bad"]


def test_what_the_encoding_lacks_is_drawn_with_plain_characters(failed):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    ended = start(failed, "--graph", env=environment)
    shown, errors = ended.communicate(timeout=300)
    assert ended.returncode == 0 and not errors
    assert shown.isascii() and "?" not in shown
    assert "+- 01_look ---" in shown and "| x failed - " in shown


def test_before_the_first_run_it_says_so(tmp_path, capsys):
    root = make(tmp_path / "project")
    assert run(root, "--graph") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Toy: no run yet\n") and shown.count("○ not run") == 4
    assert not (root / "experiments").exists()


def _first(root):
    return min(root.glob("experiments/runs/*"))
