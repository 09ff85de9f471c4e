"""An SVG of a notebook in a report: a part of the page that shows and never acts."""

import nbformat
import pytest
from browser import visit
from nbformat.v4 import new_code_cell, new_notebook, new_output

from papermill_chain.reports.notebook_report import render

DRAWING = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
     width="300pt" viewBox="0 0 300 100">
 <style>text {{ fill: red }}</style>
 <defs><path id="mark" d="M 0 0 L 9 9" style="stroke: var(--ink, #112233)"/></defs>
 <g id="alone"><use xlink:href="#mark" x="1" y="2"><title>12%</title></use></g>
 <text x="5" y="50" style="font: bold 12px 'DejaVu Sans'; position: fixed">share &lt;b&gt;</text>
 {more}
</svg>"""
ATTACKS = [
    "<script>alert(1)</script>",
    "<g onclick='alert(1)' onload='alert(1)'><path d='M 0 0'/></g>",
    "<a xlink:href='javascript:alert(1)'><text>x</text></a>",
    "<use xlink:href='https://evil.example/x.svg#a'/>",
    "<image xlink:href='https://evil.example/x.png' width='9' height='9'/>",
    "<image xlink:href='data:image/svg+xml;base64,PHN2Zz4='/>",
    "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='alert(1)'/></foreignObject>",
    "<rect style='fill: url(https://evil.example/x)' width='9' height='9'/>",
    "<rect width='9' height='9'><set attributeName='onclick' to='alert(1)'/></rect>",
    "<g id='a'><use href='#mark'/></g><g id='b'><use href='#a'/></g><use href='#b'/>",
    "<title>&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;</title>",
]


@pytest.fixture
def page(tmp_path, browser):
    """A report of the drawings given, as a browser shows it."""

    def shown(*drawings: str, narrow: str = ""):
        about = {"image/svg+xml": {"alt": "A mark at 12%", "narrow": narrow}}
        outputs = [
            new_output("display_data", {"image/svg+xml": drawing}, metadata=about)
            for drawing in drawings
        ]
        cells = [new_code_cell("plot()", outputs=outputs)]
        nbformat.write(new_notebook(cells=cells), tmp_path / "1_plot.ipynb")
        told = {name: {} for name in ("reports", "changed", "data", "reads", "pages", "figures")}
        told |= {"title_of_run": "Base", "run_id": "1", "verdict": "", "error": None}
        render(tmp_path / "1_plot.ipynb", tmp_path / "1_plot.html", **told)
        return visit(browser, tmp_path / "1_plot.html")

    return shown


def test_a_drawing_takes_the_colours_of_the_page_and_keeps_its_text_and_its_values(page):
    with page(DRAWING.format(more=""), DRAWING.format(more="")) as report:
        drawings = report.get_by_role("img", name="A mark at 12%")
        assert drawings.count() == 2
        assert drawings.first.locator("use title").text_content() == "12%"
        text = drawings.first.locator("text")
        assert text.text_content() == "share <b>"
        looks = "each => [getComputedStyle(each).fontWeight, getComputedStyle(each).position]"
        assert text.evaluate(looks) == ["700", "static"]
        ink = "each => getComputedStyle(each).stroke"
        assert report.locator("path").first.evaluate(ink) == "rgb(30, 39, 49)"
        report.emulate_media(color_scheme="dark")
        assert report.locator("path").first.evaluate(ink) == "rgb(221, 227, 233)"
        # each drawing refers to what is its own, and what nobody refers to has no name
        names = report.locator("svg [id]").evaluate_all("all => all.map((each) => each.id)")
        assert names == ["drawing-1-mark", "drawing-2-mark"]
        uses = report.locator("use").evaluate_all("all => all.map((each) => each.href.baseVal)")
        assert uses == ["#drawing-1-mark", "#drawing-2-mark"]


def test_a_narrow_screen_is_shown_the_drawing_made_for_it(page):
    narrow = DRAWING.format(more="").replace("300", "150")
    with page(DRAWING.format(more=""), narrow=narrow) as report:
        assert report.locator("svg.wide").is_visible()
        assert not report.locator("svg.narrow").is_visible()
        report.set_viewport_size({"width": 390, "height": 800})
        assert report.locator("svg.narrow").is_visible()
        assert not report.locator("svg.wide").is_visible()


def test_nothing_in_a_drawing_acts_or_loads(page):
    with page(*(DRAWING.format(more=attack) for attack in ATTACKS)) as report:
        drawings = report.locator("figure > svg")
        assert drawings.count() == len(ATTACKS)
        for drawing in drawings.all():
            drawing.dispatch_event("click")
        assert report.locator("script").count() == 1  # the page's own
        assert not report.locator(
            "svg :is(a, set, foreignObject, style, script, [onclick])"
        ).count()
        links = "all => all.map((each) => each.href?.baseVal || '')"
        assert all(
            link.startswith("#drawing-") or link == ""
            for link in report.locator("svg *").evaluate_all(links)
        )


@pytest.mark.parametrize(
    "broken",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'><path/></svg>",  # of no known size
        "<svg viewBox='0 0 9 9'><path></svg>",
        f"<svg viewBox='0 0 9 9'>{'<g>' * 5_000}{'</g>' * 5_000}</svg>",
        "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg viewBox='0 0 9 9'><text>&a;</text></svg>",
    ],
)
def test_what_is_no_drawing_is_a_picture_in_which_nothing_acts(page, broken):
    with page(broken) as report:
        assert report.locator("figure > img").get_attribute("alt") == "A mark at 12%"
        assert not report.locator("figure > svg").count()
