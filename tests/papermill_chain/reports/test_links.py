"""The pages of a run lead to what is there: of failed runs, of killed ones, and sent alone."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import toy
from browser import barriers, visit
from playwright.sync_api import expect

from papermill_chain.runs.lookup import read_runs


class Links(HTMLParser):
    """The relative links of a page."""

    def __init__(self, page: Path):
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        target = dict(attrs).get("href", "").partition("#")[0]
        if tag == "a" and target and ":" not in target:
            self.found.append(unquote(target))


def dead_links(page: Path) -> list[str]:
    return [link for link in Links(page).found if not (page.parent / link).is_file()]


def pages(root: Path) -> list[Path]:
    return [root / "experiments/index.html", *root.glob("experiments/runs/*/*.html")]


def test_no_page_of_a_failed_run_or_of_the_next_has_a_dead_link(tmp_path, browser):
    root = toy.make(tmp_path / "project")
    assert toy.run(root, "--quiet", "--set", "mood=bad") == 1
    (failed,) = read_runs(root / "experiments")
    report = failed.folder / "02_split.html"
    assert [dead_links(page) for page in pages(root)] == [[]] * 4
    assert {"01_look.html", "03_model.html", "../../index.html"} == set(Links(report).found)
    assert "The notebook 04_judge" in report.read_text("utf-8")  # named, but no link

    before = report.read_bytes()
    assert toy.run(root, "--quiet") == 0  # 01 and 02 are up to date and keep their last report
    good = read_runs(root / "experiments")[0]
    assert not any(map(dead_links, pages(root)))
    assert "04_judge.html" in Links(good.folder / "02_split.html").found
    assert report.read_bytes() == before

    with visit(browser, good.folder / "02_split.html") as page:
        here = page.locator("header nav.reports")
        assert here.locator("li").all_inner_texts() == [
            f"The notebook {name}" for name in ("01_look", "02_split", "03_model", "04_judge")
        ]
        expect(here.locator("[aria-current=page]")).to_have_text("The notebook 02_split")
        assert not barriers(page)
        here.get_by_role("link", name="The notebook 04_judge").click()
        assert page.url.endswith("/04_judge.html")
    alone = tmp_path / "Downloads" / "02_split.html"
    alone.parent.mkdir()
    shutil.copy(good.folder / "02_split.html", alone)
    with visit(browser, alone) as page:
        expect(page.locator("a[href]:not([href^='#'])")).to_have_count(0)
        assert page.locator("header nav.reports li").count() == 4


def test_the_run_after_a_killed_one_mends_its_links(tmp_path):
    root = toy.make(tmp_path / "project")
    chain = toy.start(root, "--quiet", "--set", "mood=late")
    killed = root / "experiments/runs"
    toy.wait_for(lambda: len([*killed.glob("*/late"), *killed.glob("*/0[12]*.html")]) == 3)
    chain.kill()
    chain.communicate()
    # as if killed after 02's page had been written, and before that was recorded
    (manifest,) = killed.glob("*/manifest.json")
    record = json.loads(manifest.read_text("utf-8"))
    for stage in record["stages"]:
        stage["report"] = None if stage["name"] == "02_split" else stage["report"]
    manifest.write_text(json.dumps(record), "utf-8")
    assert toy.run(root, "--quiet", "--only", "01") == 0
    (report,) = killed.glob("*/02_split.html")
    assert not dead_links(report) and "01_look.html" in Links(report).found
