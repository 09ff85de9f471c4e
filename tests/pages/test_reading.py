"""Reports and index as a reader meets them: from disk, in a browser, on a phone, on paper."""

import re
from pathlib import Path

import nbformat
import pytest
from browser import barriers, visit, wait_until
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import expect

from papermill_chain.reports.notebook_report import render

REPORTS = [
    "01_eda",
    "02_preparation",
    "03_comparison",
    "04_registration",
    "05_validation",
    "06_explanation",
    "08_review",
]
# Colours do not depend on the width, nor widths on the colours.
SCREENS = [(1280, "light"), (390, "dark")]
# A4 less the margins of the style sheet, 178 by 261 mm, at 96 pixels an inch.
SHEET = {"width": 672, "height": 986}

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FIGURES = """() => [...document.querySelectorAll("figure")].map((figure) => {
    const drawings = [...figure.querySelectorAll("svg")].filter((each) => each.clientWidth);
    const [drawing] = drawings, box = drawing.getBoundingClientRect();
    const texts = [...drawing.querySelectorAll("text")];
    const sizes = texts.map((text) => parseFloat(getComputedStyle(text).fontSize));
    const beyond = (text) => {
        const {left, right} = text.getBoundingClientRect();
        return left < box.left - 1 || right > box.right + 1;
    };
    return {width: box.width, height: box.height, right: box.right, alt: drawing.ariaLabel,
            drawings: drawings.length, kept: getComputedStyle(figure).breakInside,
            letters: Math.min(...sizes) * box.width / drawing.viewBox.baseVal.width,
            outside: texts.filter(beyond).map((text) => text.textContent),
            ink: getComputedStyle(texts[0]).fill};
})"""
WHOLE = "tables => tables.every((each) => each.scrollWidth <= each.clientWidth + 1)"
INK = {"light": "rgb(30, 39, 49)", "dark": "rgb(221, 227, 233)"}


def report(finished, stage: str) -> Path:
    project, ran = finished
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (path,) = project.glob(f"experiments/runs/*/{stage}.html")
    return path


@pytest.mark.parametrize("stage", REPORTS)
def test_a_report_reads_on_screen_phone_and_paper(stage, finished, browser):
    with visit(browser, report(finished, stage)) as page:
        for width, scheme in SCREENS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(SIDEWAYS) == 0, (width, scheme)
            figures = page.evaluate(FIGURES)
            assert figures and all(figure["right"] <= width for figure in figures)
            assert all(figure["letters"] >= 10 for figure in figures), width
            assert not [text for figure in figures for text in figure["outside"]], width
            assert {figure["ink"] for figure in figures} == {INK[scheme]}
            # an audit takes seconds, and all reports share one style: each has a screen of its own
            if (width, scheme) == SCREENS[REPORTS.index(stage) % len(SCREENS)]:
                assert not barriers(page), (width, scheme)
        assert all(
            len(figure["alt"].split()) >= 4 and figure["drawings"] == 1 for figure in figures
        )

        page.emulate_media(media="print", color_scheme="dark")
        page.set_viewport_size(SHEET)
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        for figure in page.evaluate(FIGURES):
            assert figure["kept"] == "avoid" and figure["height"] <= SHEET["height"]
            assert figure["width"] <= SHEET["width"]
        assert page.locator(".table").evaluate_all(WHOLE)
        assert not page.locator("details.code").first.is_visible()
        assert not page.locator("#toggle").is_visible()
        assert page.get_by_role("heading", name="What we found").is_visible()


def test_a_printed_report_has_whole_pages_and_an_outline(finished, browser):
    """Of the longest report: all have one style, and making a PDF takes long."""
    with visit(browser, report(finished, "05_validation")) as page:
        paper = page.pdf(format="A4", prefer_css_page_size=True, outline=True, tagged=True)
    assert paper.startswith(b"%PDF") and re.search(
        rb"/MediaBox \[0 0 59[45]\.\d+ 84[12]\.\d+\]", paper
    )
    assert b"(What we found)" in paper  # the outline names the sections in plain text


@pytest.mark.parametrize("name", ["decision_lab", "model_card"])
def test_a_page_beside_the_reports_reads_everywhere_and_leads_back(name, finished, browser):
    with visit(browser, report(finished, name)) as page:
        for width, scheme in SCREENS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(SIDEWAYS) == 0, (width, scheme)
        assert not barriers(page)
        page.set_viewport_size({"width": 1280, "height": 900})
        assert page.locator(".table").evaluate_all(WHOLE)
        page.emulate_media(media="print")
        page.set_viewport_size(SHEET)
        assert page.evaluate(SIDEWAYS) == 0
        page.emulate_media(media="screen")
        page.get_by_role("link", name="All runs").click()
        expect(page).to_have_url(re.compile(r"/index\.html$"))


def test_the_index_reads_on_screen_phone_and_paper(finished, browser):
    with visit(browser, finished[0] / "experiments" / "index.html") as page:
        for width, scheme in SCREENS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(SIDEWAYS) == 0, (width, scheme)
            assert not barriers(page), (width, scheme)
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 1000, "height": SHEET["width"]})  # landscape
        assert page.evaluate(SIDEWAYS) == 0


def test_a_reader_walks_from_the_index_through_all_reports_and_back(finished, browser):
    with visit(browser, finished[0] / "experiments" / "index.html") as page:
        page.locator('.stages a[href$="01_eda.html"]').click()
        for stage in REPORTS:
            expect(page).to_have_url(re.compile(rf"/{stage}\.html$"))
            onward = page.locator("header a[rel=next]")
            expect(onward).to_have_count(0 if stage == REPORTS[-1] else 1)
            if stage != REPORTS[-1]:
                onward.click()
        page.locator("footer a[rel=prev]").click()
        expect(page).to_have_url(re.compile(rf"/{REPORTS[-2]}\.html$"))
        page.locator("header").get_by_role("link", name="All runs").click()
        expect(page).to_have_url(re.compile(r"/index\.html$"))


def reloaded(page):
    """Load the page again; on a busy machine a choice may be stored a moment after it is made."""
    page.reload()
    return True


def test_code_is_shown_on_demand_and_the_choice_is_remembered(finished, browser):
    with visit(browser, report(finished, "04_registration")) as page:
        folds, toggle = page.locator("details.code"), page.locator("#toggle")
        opened, closed = (
            page.locator("details.code[open]"),
            page.locator("details.code:not([open])"),
        )
        expect(opened).to_have_count(0)
        assert folds.count() > 10
        folds.nth(3).locator("summary").press("Enter")
        expect(opened).to_have_count(1)
        expect(folds.nth(3).locator("pre")).to_be_visible()
        toggle.press("Space")
        expect(closed).to_have_count(0)
        expect(toggle).to_have_text("Hide code")
        assert page.evaluate(SIDEWAYS) == 0
        wait_until(page, lambda: reloaded(page) and closed.count() == 0)
        expect(toggle).to_have_attribute("aria-pressed", "true")
        assert not barriers(page)
        page.locator("header a[rel=next]").click()
        expect(toggle).to_have_text("Hide code")
        toggle.click()
        wait_until(page, lambda: reloaded(page) and opened.count() == 0)
        expect(toggle).to_have_text("Show code")
        expect(opened).to_have_count(0)


def test_the_contents_lead_to_a_section_and_mark_it(finished, browser):
    with visit(browser, report(finished, "05_validation")) as page:
        links = page.locator("nav.contents a")
        names = links.all_inner_texts()
        assert names == page.locator("main h2").all_inner_texts() and len(names) >= 6
        for number in (3, 1, len(names) - 1):
            links.nth(number).click()
            expect(page.locator("nav.contents a[aria-current=location]")).to_have_text(
                [names[number]]
            )
            expect(page.locator("main h2").nth(number)).to_be_in_viewport()
            expect(links.nth(number)).to_be_in_viewport()  # the list has come along
        page.set_viewport_size({"width": 390, "height": 800})
        assert not links.first.is_visible()
        page.locator("details.contents summary").click()
        page.locator("details.contents a").nth(2).click()
        heading = page.locator("main h2").nth(2)
        wait_until(page, lambda: abs(heading.bounding_box()["y"]) < 80)


def test_a_wide_table_scrolls_inside_itself_by_keyboard_too(finished, browser):
    with visit(browser, report(finished, "03_comparison"), width=390) as page:
        wide = page.locator(".table[tabindex]").first
        wide.focus()
        page.keyboard.press("ArrowRight")
        wait_until(page, lambda: wide.evaluate("table => table.scrollLeft") > 0)
        assert page.evaluate("scrollX") == 0
        # a table that fits is no stop on the way through the page
        assert page.locator(".table[tabindex]").evaluate_all(
            "tables => tables.every((each) => each.scrollWidth > each.clientWidth)"
        )


def test_a_report_is_whole_without_scripts(finished, browser):
    with visit(browser, report(finished, "05_validation"), java_script_enabled=False) as page:
        assert page.get_by_role("heading", name="What we found").is_visible()
        assert page.locator("figure svg.wide").last.is_visible()
        assert not page.locator("#toggle").is_visible()
        fold = page.locator("details.code").nth(4)
        assert not fold.locator("pre").is_visible()
        fold.locator("summary").click()
        assert fold.locator("pre").is_visible()
        page.locator("nav.contents a").last.click()
        assert page.url.endswith("#What-we-found")


def test_the_banner_of_a_failed_report_leads_to_the_cell(browser, tmp_path):
    trace = new_output(
        "error", ename="ValueError", evalue="row 17: Age is -5", traceback=["line 1"]
    )
    prose = [new_markdown_cell("\n\n".join(["A paragraph."] * 40)) for _ in range(2)]
    cells = [
        new_markdown_cell("# Prepare"),
        prose[0],
        new_markdown_cell("## Read the file"),
        new_code_cell("data.read(raw)", outputs=[trace]),
        prose[1],
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "02_preparation.ipynb")
    told = {
        "cell": 3,
        "heading": "Read the file",
        "ename": "ValueError",
        "evalue": "row 17: Age is -5",
    }
    made = tmp_path / "02_preparation.html"
    render(
        tmp_path / "02_preparation.ipynb",
        made,
        title_of_run="Base case",
        run_id="1",
        reports={},
        changed={},
        data={},
        reads={},
        pages={},
        figures={},
        verdict="",
        error=told,
    )
    with visit(browser, made, color_scheme="dark") as page:
        assert page.get_by_role("alert").is_visible() and not barriers(page)
        failing = page.locator("#cell-3")
        assert failing.bounding_box()["y"] > 900
        page.get_by_role("link", name="Go to the failing cell").click()
        wait_until(page, lambda: failing.bounding_box()["y"] < 100)
        assert failing.locator("pre", has_text="data.read(raw)").is_visible()
        assert failing.get_by_text("row 17: Age is -5").is_visible()
