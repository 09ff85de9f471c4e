"""The index of runs: complete, sorted, compared, and dead to whatever a manifest may carry."""

import base64
import hashlib
import json
import re
import time

import pytest
from browser import barriers, visit
from reportpages import ATTACKS, ERROR, PIXEL, Page, assert_inert
from toy import HEADLINE, manifests, write_notebook

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.reports.index import pictures_of, write_index
from papermill_chain.runs.changes import Changes, Moved, changes_by_run
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.lookup import read_runs


def keep_run(experiments, run, started, figures=None, **changes):
    """Keep a run on disk as the runner does: a manifest, and a report for its first stage.

    The first stage has the figures, if any are given.
    """
    folder = experiments / "runs" / run
    folder.mkdir(parents=True)
    (folder / "01_eda.html").write_text("a report")
    stage = {"seconds": 21.3, "headline": "30% went bad.", "error": None}
    eda = stage | {
        "name": "01_eda",
        "title": "Who repays?",
        "status": "succeeded",
        "report": "01_eda.html",
        "figures": {"roc_auc": 0.776123},
    }
    late = stage | {
        "name": "05_validation",
        "title": "Good enough?",
        "status": "not run",
        "report": None,
    }
    manifest = {
        "id": run,
        "title": f"Title of {run}",
        "started": started,
        "finished": None,
        "seconds": 131.4,
        "status": "succeeded",
        "git": {"commit": "2dec4af0123456789", "dirty": True},
        "python": "3.11.2",
        "platform": "Linux",
        "lock": None,
        "parameters": {"cost_bad": 8.0},
        "after": None,
        "stages": [eda, late],
    }
    manifest |= changes
    if figures is not None:
        manifest["stages"][0]["figures"] = figures
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_index_lists_runs_newest_first(tmp_path):
    keep_run(tmp_path, "a", "2026-01-03T12:00:00+00:00")
    stopped = {"name": "02_preparation", "title": "Split", "status": "failed", "error": ERROR}
    keep_run(tmp_path, "b", "2026-01-01T12:00:00Z", status="failed", stages=[stopped])
    keep_run(tmp_path, "c", "2026-01-02T12:00:00+00:00", git=None, figures={}, seconds=None)
    index = write_index(tmp_path, "All runs & more")
    page = Page(index)
    assert_inert(page)
    assert index == tmp_path / "index.html"
    assert "<title>All runs &amp; more</title>" in page.source
    assert [id for id in page.ids() if id.startswith("run-")] == ["run-a", "run-c", "run-b"]
    card = page.source[page.source.index("Latest run") : page.source.index('id="all"')]
    for shown in (
        "Title of a",
        "30% went bad.",
        "2dec4af012 with local changes",
        "cost_bad = 8.0",
        "0.7761",
        "21 s",
        "not run",
    ):
        assert shown in card
    assert "runs/a/01_eda.html" in page.hrefs() and "runs/c/01_eda.html" in page.hrefs()
    assert '<span class="status failed">' in page.source


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"id": 1, "started": 5}',
        "\x00",
        '{"id": "x", "started": "2026-13-01"}',
    ],
)
def test_a_broken_manifest_is_listed_as_unreadable(broken, tmp_path):
    keep_run(tmp_path, "whole", "2026-01-01T12:00:00+00:00")
    (tmp_path / "runs" / "torn").mkdir()
    (tmp_path / "runs" / "torn" / "manifest.json").write_text(broken)
    page = Page(write_index(tmp_path, "All runs"))
    # it is the newest by the time of its file, and the run on top is one that can be read
    assert [id for id in page.ids() if id.startswith("run-")] == ["run-torn", "run-whole"]
    card = page.source.index("Latest run")
    assert (
        page.source.index("cannot be read: manifest.json")
        < card
        < page.source.index("Title of whole")
    )
    assert '<span class="status unreadable">' in page.source


@pytest.mark.parametrize(
    "half",
    [{"stages": [{}]}, {"stages": None}, {"seconds": float("nan")}, {"figures": [1]}, {"git": "x"}],
)
def test_a_half_manifest_is_listed_as_unreadable(half, tmp_path):
    keep_run(tmp_path, "torn", "2026-01-01T12:00:00+00:00", **half)
    page = Page(write_index(tmp_path, "All runs"))
    assert '<span class="status unreadable">' in page.source and "Latest run" not in page.source


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_from_a_manifest_is_dead_in_the_index(attack, tmp_path):
    told = {"ename": attack, "evalue": attack, "heading": attack}
    stage = {"name": attack, "title": attack, "status": attack, "headline": attack, "error": told}
    evil = {
        "title": attack,
        "status": attack,
        "git": {"commit": attack},
        "platform": attack,
        "parameters": {attack: attack},
        "figures": {attack: attack},
        "after": attack,
        "stages": [
            stage | {"report": "javascript:alert(1)"},
            stage | {"report": "../../../etc/passwd"},
        ],
    }
    for run in ("one", "two"):
        keep_run(tmp_path, run, "2026-01-01T12:00:00+00:00", **evil)
    keep_run(tmp_path, "three", attack)
    page = Page(write_index(tmp_path, attack))
    assert_inert(page)
    assert not [href for href in page.hrefs() if "passwd" in href or "javascript" in href]


def test_an_index_of_no_runs_says_so(tmp_path):
    assert "No run yet" in write_index(tmp_path, "All runs").read_text(encoding="utf-8")


A_STAGE = {"title": "T", "seconds": 1.0, "headline": "", "error": None, "report": None}


def told_stage(name, status="succeeded", *, data="", **told):
    """A stage in a manifest; `data` is the hash of raw.csv, from which 1 makes train.csv for 2."""
    basis = {"notebook": "n1", "code": {"lib/a.py": "a1"}, "lock": "l1", "python": "3.11.2"}
    reads = {"1": {"data/raw.csv": data}, "2": {"data/train.csv": f"from {data}"}}[name]
    writes = {"data/train.csv": f"from {data}"} if name == "1" else {}
    files = {"reads": reads, "writes": writes} if data else {}
    parameters = {"seed": 7, "raw": "../data/raw.csv"}
    told = {"basis": basis, "parameters": parameters, **files} | told
    return A_STAGE | {"name": name, "status": status} | told


def test_a_run_tells_what_it_changed(tmp_path):
    git, later = {"commit": "1111111111ff", "dirty": False}, {"commit": "2222222222ff"}
    roc = {"value": 0.757, "low": 0.681, "high": 0.833}
    figures = {"roc": roc, "cost": {"value": 0.625}, "champion": {"value": "Forest"}, "rows": 800}
    keep_run(
        tmp_path,
        "a",
        "2026-01-01T12:00:00Z",
        git=git,
        figures=figures,
        stages=[told_stage("1", data="d1"), told_stage("2", data="d1")],
    )
    # another seed and file, code and Python of one stage; the train.csv made of it is no news
    code = {"lib/a.py": "a2", "lib/b.py": "b1"}
    new = {
        "basis": {"notebook": "n2", "code": code, "lock": "l1", "python": "3.12.0"},
        "parameters": {"seed": 8, "raw": "../data/raw.csv", "new": 1},
    }
    better = {"roc": roc | {"value": 0.768}, "cost": 0.6, "champion": "Blend", "rows": 900}
    keep_run(
        tmp_path,
        "b",
        "2026-01-02T12:00:00Z",
        git=later,
        figures=better,
        stages=[told_stage("1", data="d2"), told_stage("2", data="d2", **new)],
    )
    # it fails at once, and knows no figure and no hash
    keep_run(
        tmp_path,
        "c",
        "2026-01-03T12:00:00Z",
        status="failed",
        git=later,
        figures={},
        stages=[told_stage("1", "failed"), told_stage("2", "not run", **new)],
    )
    keep_run(tmp_path, "torn", "nonsense")
    # one stage alone; what it reads has been made anew by nobody
    keep_run(
        tmp_path,
        "d",
        "2026-01-04T12:00:00Z",
        git=later,
        figures={"cost": 0.61},
        stages=[told_stage("2", data="d2", **new)],
    )
    keep_run(
        tmp_path,
        "e",
        "2026-01-05T12:00:00Z",
        git=later,
        figures={"cost": 0.61},
        stages=[told_stage("1", data="d1"), told_stage("2", data="d1", **new)],
    )

    assert changes_by_run(read_runs(tmp_path)) == {
        "a": None,
        "b": Changes(
            parameters=[("seed", 7, 8)],
            data=[("data/raw.csv", "d1", "d2")],
            code=["notebook 2", "lib/a.py", "lib/b.py", "Python 3.11.2 → 3.12.0"],
            commit=("1111111111", "2222222222"),
            figures={
                "roc": Moved(Figure(0.757, 0.681, 0.833), "+0.011"),  # .768 - .757
                "cost": Moved(Figure(0.625), "−0.025"),  # .6 - .625
                "champion": Moved(Figure("Forest")),
                "rows": Moved(Figure(800)),
            },
        ),
        "c": Changes(),
        "d": Changes(figures={"cost": Moved(Figure(0.6), "+0.01")}),
        "e": Changes(data=[("data/raw.csv", "d2", "d1")]),
    }
    page = write_index(tmp_path, "All runs").read_text("utf-8")
    row = page[page.index('id="run-b"') : page.index('id="run-a"')]
    told = (
        "seed: 7 → 8",
        "lib/b.py",
        "1111111111 → 2222222222",
        "+0.011 from 0.757 (0.681 to 0.833)",
        "was Forest",
    )
    for shown in told:
        assert shown in row
    assert re.search(r"data raw.csv: <code [^>]*>d1</code> → <code [^>]*>d2</code>", row)


def test_the_last_good_run_stands_above_a_newer_one_that_failed(tmp_path):
    keep_run(tmp_path, "good", "2026-01-01T12:00:00Z")
    stopped = A_STAGE | {"name": "1", "title": "Split", "status": "failed", "error": ERROR}
    told = {"stages": [stopped | {"report": "01_eda.html"}], "troubles": ["the disk is full"]}
    keep_run(tmp_path, "bad", "2026-01-02T12:00:00Z", status="failed", **told)
    page = write_index(tmp_path, "All runs").read_text("utf-8")
    good, latest = page.index("Last good run"), page.index("Latest run")
    assert good < page.index("runs/good/") < latest < page.index('id="all"')
    top = page[latest : page.index("<ol", latest)]
    assert "<strong>Split</strong> failed." in top and "row 17: Age is -5" in top
    assert 'href="runs/bad/01_eda.html"' in top and 'href="#run-good"' in top
    assert "the disk is full" in top


def test_the_index_fits_screen_and_phone_and_has_the_columns_that_were_asked_for(tmp_path, browser):
    figures = {name: {"value": 0.7, "low": 0.61, "high": 0.79} for name in "abcdefgh"}
    figures |= {"gate": "stopped, 2 warnings"}
    stages = [
        A_STAGE | {"name": name, "status": "not run"} for name in ("01_eda", "02_preparation")
    ]
    keep_run(tmp_path, "one", "2026-01-01T12:00:00Z", figures=figures)
    keep_run(tmp_path, "two", "2026-01-02T12:00:00Z", figures=figures)
    keep_run(tmp_path, "now", "2026-01-03T12:00:00Z", status="running", stages=stages, figures={})
    (tmp_path / "comparisons").mkdir()
    (tmp_path / "comparisons/one_two.html").write_text("<!doctype html>")
    index = write_index(tmp_path, "Title of two", columns=["gate", "c", "a", "not there"])
    with visit(browser, index) as page:
        heads = [head.replace(" ↓", "") for head in page.locator("thead th").all_inner_texts()]
        assert [head.split(" ↕")[0] for head in heads] == [
            *("Started", "Status", "gate", "c", "a", "Changed since the run before", "Pages")
        ]
        assert page.get_by_text("Title of two", exact=True).count() == 1
        assert page.locator("section.running .status", has_text="waiting").count() == 2
        assert page.get_by_role("link", name="against one").get_attribute("href") == (
            "comparisons/one_two.html"
        )
        table = page.locator(".table")
        assert table.evaluate("each => each.scrollWidth - each.clientWidth") == 0
        first = page.locator("tbody th").first
        assert first.evaluate("each => getComputedStyle(each).position") == "sticky"
        page.set_viewport_size({"width": 390, "height": 800})
        assert table.evaluate("each => each.scrollWidth - each.clientWidth") == 0
        assert not page.locator("thead").is_visible() and not barriers(page)


def keep_many(experiments):
    """Runs whose figure is 10, 9, none, 0.5 and 0.5, the newest first; the middle one failed."""
    for day, cost in enumerate([0.5, 0.5, None, 9, 10.0], start=1):
        figures = {"roc": 0.7, **({} if cost is None else {"cost": cost})}
        told = {"status": "succeeded" if cost else "failed", "figures": figures}
        keep_run(experiments, f"r{day}", f"2026-01-0{day}T12:00:00Z", **told)


def shown_runs(page):
    return [
        row.removeprefix("r")
        for row in page.locator("tr[data-run]").evaluate_all(
            "rows => rows.map(row => row.dataset.run)"
        )
    ]


def test_the_history_is_sorted_by_click_and_by_key(tmp_path, browser):
    keep_many(tmp_path)
    with visit(browser, write_index(tmp_path, "All runs")) as page:
        assert shown_runs(page) == ["5", "4", "3", "2", "1"] and page.locator("input").count() == 0
        cost = page.get_by_role("button", name="cost")
        cost.click()
        assert shown_runs(page) == ["2", "1", "4", "5", "3"]  # 9 before 10; without a figure last
        cost.press("Enter")
        assert shown_runs(page) == ["5", "4", "2", "1", "3"]
        sorted_by = page.locator("th[aria-sort]")
        assert sorted_by.count() == 1 and sorted_by.get_attribute("aria-sort") == "descending"
        page.get_by_role("button", name="Status").press("Space")
        assert shown_runs(page)[0] == "3"  # the failed one
        page.get_by_role("button", name="Started").click()
        assert shown_runs(page) == ["1", "2", "3", "4", "5"]
    with visit(browser, tmp_path / "index.html", java_script_enabled=False) as page:
        assert page.locator("tr[data-run]").count() == 5 and page.locator("th button").count() == 0


def test_two_runs_are_chosen_to_be_compared(tmp_path, browser):
    keep_many(tmp_path)
    for page in ("comparisons/r1_r2.html", "grids/g 1/index.html"):
        (tmp_path / page).parent.mkdir(parents=True)
        (tmp_path / page).write_text("<!doctype html><title>made before</title>")
    with visit(browser, write_index(tmp_path, "All runs", "compare {a} {b}")) as page:
        page.get_by_role("link", name="g 1").click()
        assert page.title() == "made before"
        page.go_back()
        choose = lambda run: page.get_by_label(f"Compare run r{run}").press("Space")
        assert page.get_by_text("Choose two runs").is_visible()
        choose(5), choose(2)
        assert page.locator("#command").inner_text() == "compare r2 r5"  # the older first
        assert not page.locator("#open").is_visible()
        choose(1)  # instead of 5, which was chosen first
        assert not page.get_by_label("Compare run r5").is_checked()
        assert not page.locator("#command").is_visible()
        page.get_by_role("link", name="Compare r1 with r2").click()
        assert page.title() == "made before"


def test_what_data_holds_runs_nowhere_in_a_browser(tmp_path, browser):
    for number, attack in enumerate(ATTACKS):
        another = {attack: f"{attack}{number}"}  # it has changed since the run before
        stage = told_stage("1", attack, title=attack, headline=attack, kept={attack: attack})
        stage |= {"parameters": another, "reads": another}
        told = {"id": f"r{number}{attack}", "title": attack, "parameters": another}
        keep_run(
            tmp_path,
            f"r{number}",
            "2026-01-01T12:00:00Z",
            **told,
            stages=[stage],
            figures={"f": f"{attack}{number}", **another},
        )
    index = write_index(tmp_path, ATTACKS[0], f"compare {{a}} {{b}} {ATTACKS[0]}")
    with visit(browser, index) as page:
        for button in page.locator("thead button").all():
            button.click()
        for box in page.locator("tbody input").all()[:3]:
            box.check()
        page.wait_for_timeout(100)
    assert_inert(Page(index))


def test_five_hundred_runs_are_listed_quickly_on_a_small_page(tmp_path):
    for number in range(500):
        roc = {"value": number / 1000, "low": 0.1, "high": 0.9}
        figures = {"roc": roc, "cost": number / 500, "champion": "Blend"}
        stages = [told_stage("1", data="d"), told_stage("2", data="d", parameters={"seed": number})]
        keep_run(
            tmp_path,
            f"r{number}",
            f"2026-01-01T12:{number // 60:02}:{number % 60:02}Z",
            figures=figures,
            stages=stages,
            parameters={"seed": number},
        )
    began = time.process_time()
    page = write_index(tmp_path, "All runs", "compare {a} {b}").read_text("utf-8")
    assert time.process_time() - began < 5  # about 0.3 s
    assert page.count("<tr id=") == 500 and len(page) < 800_000
    assert page.count("+0.001 from 0.") == 499 + 1  # in all rows but the first run's, and on top
    assert page.count("+0.002 from 0") == 499 + 1  # 1/500 is the cost of one run above the last


SHOW = f"""
from IPython.display import display
picture = {{"png": "{PIXEL}", "alt": "a <dot>"}}
figures = [["z", 1], ["a", 0.5]]
told = {{"text": "It is so.", "figures": figures, "picture": picture, "verdict": "stop"}}
display({{"{HEADLINE}": told, "text/plain": ""}}, raw=True)
"""
SMALL = [
    Stage("1_split", reads={"raw": "data/raw.csv"}, writes={"train": "data/train.csv"}),
    Stage(
        "2_show",
        reads={"train": "data/train.csv"},
        writes={"big_map": "out/map.html"},
        kept=["big_map"],
    ),
]


def test_a_run_shows_its_picture_its_pages_and_its_data(tmp_path, monkeypatch, capsys):
    copy = "open({}, 'w').write(open({}).read())"
    paths = 'raw: str = "../data/raw.csv"\ntrain: str = "../data/train.csv"'
    parameters = f"{paths}\nfails: bool = False"
    write_notebook(
        tmp_path / "notebooks/1_split.ipynb",
        parameters,
        copy.format("train", "raw"),
        "assert not fails, 'first line\\nsecond line'",
    )
    parameters = 'train: str = "../data/train.csv"\nbig_map: str = "../out/map.html"'
    write_notebook(
        tmp_path / "notebooks/2_show.ipynb", parameters, copy.format("big_map", "train"), SHOW
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw.csv").write_text("raw")
    opened, has_browser = [], [True, True, True, False]
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or has_browser.pop(0))

    def run(*arguments):
        return main(SMALL, tmp_path, "Small", argv=["--open", "--quiet", *arguments])

    assert run() == 0
    index = tmp_path / "experiments/index.html"
    assert opened == [index.as_uri()]
    (told,) = manifests(tmp_path)
    assert told["stages"][1]["picture"] == {"file": "2_show.headline.png", "alt": "a <dot>"}
    assert list(told["figures"]) == ["z", "a"]  # in the order in which they were named
    assert [stage["verdict"] for stage in told["stages"]] == ["", "stop"]
    assert '<p class="verdict stop">It is so.</p>' in index.read_text("utf-8")
    folder = tmp_path / "experiments/runs" / told["id"]
    assert (folder / "2_show.headline.png").read_bytes() == base64.b64decode(PIXEL)
    shown = {"src": f"data:image/png;base64,{PIXEL}", "alt": "a <dot>"}
    assert Page(index).all("img") == [shown]
    assert f"runs/{told['id']}/map.html" in Page(index).hrefs()

    # sha256 of the three letters; 2_show reads a copy, and was made from the same
    hash = hashlib.sha256(b"raw").hexdigest()
    first, second = (Page(folder / f"{stage}.html").source for stage in ("1_split", "2_show"))
    raw = f'<code class="set" title="data/raw.csv, sha256 {hash}">raw.csv {hash[:8]}</code>'
    assert all(raw in page for page in (first, second, index.read_text("utf-8")))
    assert "train.csv, sha256" not in first
    assert f'title="data/train.csv, sha256 {hash}"' in second
    for page in first, second:
        assert '<a href="map.html" data-of-run="map.html">Big map</a>' in page

    index.unlink()
    assert run() == 0 and len(opened) == 2 and index.exists()  # nothing to do
    assert run("--set", "fails=True") == 1 and len(opened) == 3
    assert "first line\nsecond line" in index.read_text("utf-8")
    capsys.readouterr()
    assert run("--from", "2") == 0
    assert f"no browser to open {index} with" in capsys.readouterr().err
    assert Page(index).all("img") == [shown]


def test_the_projects_own_index_has_its_figures_and_its_picture(finished):
    project, _ = finished
    index = project / "experiments/index.html"
    (run,) = read_runs(index.parent)
    assert [*run.figures] == [
        "loans",
        "bad rate",
        "champion",
        "ROC-AUC, cross-validated",
        "cut-off",
        "model version",
        "ROC-AUC, test",
        "cost per applicant, test",
        "gate",
        "version in production",
        "most important",
        "share of declined with recourse",
        "segments confirmed",
        "champion's share of wins",
    ]
    validation = json.loads((index.parent / "validation.json").read_text("utf-8"))
    assert run.figures["gate"].value.startswith("passed") is validation["promoted"]
    (picture,) = pictures_of(run)
    assert picture.alt == f"ROC curve on the test set, area {run.figures['ROC-AUC, test']}."
    for page in [index, *(run.folder / stage.report for stage in run.stages)]:
        assert_inert(Page(page))
        assert page.stat().st_size < 3_000_000
