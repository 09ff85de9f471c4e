"""The report of a notebook: complete, navigable, and dead to whatever data may carry."""

import base64
import hashlib
import json
import os
import re
from urllib.parse import unquote

import pytest
from browser import visit
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from reportpages import ATTACKS, ERROR, PIXEL, Page, assert_inert

from papermill_chain.reports.notebook_report import render
from papermill_chain.runs.figures import Figure


def html_output(html):
    return new_output("display_data", {"text/html": html, "text/plain": "a table"})


def markdown_output(text, **more):
    return new_output("display_data", {"text/markdown": text, **more})


def notebook(*cells):
    about = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return new_notebook(cells=list(cells), metadata=about)


@pytest.fixture
def report(tmp_path):
    """A function that renders a notebook and reads the page."""

    def rendered(nb, **told):
        defaults = {
            "title_of_run": "Base case",
            "run_id": "20260101-120000",
            "reports": {},
            "changed": {},
            "data": {},
            "reads": {},
            "pages": {},
            "figures": {},
            "verdict": "",
            "error": None,
        }
        (tmp_path / "02_preparation.ipynb").write_text(json.dumps(nb), encoding="utf-8")
        path = tmp_path / "02_preparation.html"
        render(tmp_path / "02_preparation.ipynb", path, **(defaults | told))
        return Page(path)

    return rendered


@pytest.fixture
def a_report(report):
    """The page of a small notebook with one of everything."""
    figure = new_output(
        "display_data",
        {"image/png": PIXEL, "text/plain": "<Figure>"},
        metadata={"image/png": {"alt": 'Two "bars": 700 good, 300 bad', "width": 690}},
    )
    table = (
        "<table><caption>By purpose</caption>"
        "<thead><tr><th></th><th>purpose</th><th>n</th></tr></thead>"
        "<tbody><tr><th>0</th><td>car</td><td>1,337</td></tr><tr><th>1</th><td>TV</td><td>280</td></tr></tbody></table>"
    )
    headline = {"application/vnd.chain.headline+json": {"text": "secret twin", "figures": {}}}
    warning = new_output(
        "stream", name="stderr", text="\x1b[31mConvergenceWarning\x1b[0m: 100 steps\n"
    )
    return report(
        notebook(
            new_markdown_cell(
                "# Who repays?\n\n> A first look at 1000 loans.\n\nYou will learn much."
            ),
            new_code_cell("seed: int = 7  # why", metadata={"tags": ["parameters"]}),
            new_code_cell("seed = 11", metadata={"tags": ["injected-parameters"]}),
            new_code_cell("plot(loans)", outputs=[figure, html_output(table), warning]),
            new_markdown_cell(
                "## What's **missing**?\n\nIt costs $5 or $x_1 * x_2$.\n\n### Detail"
            ),
            new_code_cell("headline('x')", outputs=[markdown_output("AUC **0.766**", **headline)]),
            new_markdown_cell(
                "## Next\n\n[03](03_comparison.ipynb) [s](./01_eda.ipynb#Risk) [up](#Next)"
                " [doi](https://doi.org/10.24432/C5NC77)\n\n## Next"
            ),
        ),
        reports={"01_eda": "Look", "02_preparation": "Split", "03_comparison": "Compare"},
        changed={"seed": 11},
    )


def test_a_report_shows_its_cells_as_a_reader_wants_them(a_report):
    page = a_report.source
    assert a_report.all("img") == [
        {
            "src": f"data:image/png;base64,{PIXEL}",
            "alt": 'Two "bars": 700 good, 300 bad',
            "width": "690",
        }
    ]
    folds = [attrs for attrs in a_report.all("details") if "code" in attrs["class"]]
    assert len(folds) == 4 and not any("open" in attrs for attrs in folds)
    summaries = re.findall(r"<summary>([^<]*)</summary>", page)
    assert summaries == ["Contents", "Parameters", "Parameters of this run", "Code", "Code"]
    assert "<caption>By purpose</caption>" in page and 'aria-label="By purpose"' in page
    assert '<th class="number">n</th>' in page and '<td class="number">1,337</td>' in page
    assert '<td class="word">car</td>' in page
    assert "ConvergenceWarning" in page and "\x1b" not in page
    assert "<p>AUC <strong>0.766</strong></p>" in page and "secret twin" not in page
    assert "$x_1 * x_2$" in page


def test_a_table_is_sorted_by_its_heads_and_taken_along_as_csv(report, tmp_path, browser):
    rows = [("a, b", "0.71 (0.61 to 0.81)"), ("c", "0.9 (0.8 to 1.0)"), ("d", ""), ("e", "−0.1")]
    cells = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows)
    head = "<thead><tr><th>model</th><th>auc</th></tr></thead>"
    table = html_output(f"<table>{head}<tbody>{cells}</tbody></table>")
    page = report(notebook(new_code_cell("1", outputs=[table])))
    assert page.source.count('<td class="number interval">') == 4
    assert "0.71 (0.61\xa0to\xa00.81)" in page.source  # an interval is not broken over lines
    with visit(browser, tmp_path / "02_preparation.html") as shown:
        names = lambda: shown.locator("tbody td:first-child").all_inner_texts()
        auc = shown.get_by_role("button", name="auc")
        auc.click()
        assert names() == ["e", "a, b", "c", "d"]
        auc.press("Enter")
        assert names() == ["c", "a, b", "e", "d"]
        with shown.expect_download() as download:
            shown.get_by_role("link", name="Table 1 as CSV").click()
        assert download.value.suggested_filename == "02_preparation-1.csv"
        assert download.value.path().read_text("utf-8").splitlines() == [
            "model,auc",
            '"a, b",0.71 (0.61 to 0.81)',
            "c,0.9 (0.8 to 1.0)",
            "d,",
            "e,−0.1",
        ]


def test_the_result_stands_first_and_once(report):
    said = {"application/vnd.chain.headline+json": {"text": "twin", "figures": {}}}
    shown = [markdown_output("- a detail"), markdown_output("It holds.", **said)]
    cells = [
        new_markdown_cell("# Does it hold?\n\n## Reading"),
        new_code_cell("read()", outputs=[markdown_output("Rows are read.")]),
        new_markdown_cell("## What we found"),
        new_code_cell("headline()", outputs=shown),
    ]
    figures = {"roc_auc": Figure(0.738, 0.661, 0.815)}
    page = report(notebook(*cells), figures=figures, verdict="warning").source
    order = ['class="result warning"', "roc auc", "0.738 (0.661 to 0.815)", "It holds.", "a detail"]
    order += ["Rows are read.", "What we found</h2>", "stands at the top of this page"]
    places = [page.index(text) for text in order]
    assert places == sorted(places) and page.count("It holds.") == page.count("a detail") == 1
    assert 'id="result"' not in report(notebook(*cells[:2])).source


def test_the_figure_that_matters_stands_beside_the_result_too(report):
    """In its section the wide one and the narrow one; on top the narrow one, with names of its own.

    The mark that is used has an id: three drawings, three ids.
    """

    def svg(word):
        used = "<defs><path id='m' d='M0 0'/></defs><use href='#m'/>"
        space = "xmlns='http://www.w3.org/2000/svg'"
        return f"<svg {space} viewBox='0 0 9 9'>{used}<text>{word}</text></svg>"

    about = {"image/svg+xml": {"alt": "A curve", "narrow": svg("small"), "on_top": True}}
    data = {"image/svg+xml": svg("large"), "text/plain": "A curve"}
    curve = new_output("display_data", data=data, metadata=about)
    said = {"application/vnd.chain.headline+json": {"text": "twin", "figures": {}}}
    cells = [
        new_code_cell("draw()", outputs=[curve]),
        new_code_cell("headline()", outputs=[markdown_output("It holds.", **said)]),
    ]
    page = report(notebook(new_markdown_cell("# One"), *cells)).source
    order = [
        "It holds.",
        'class="on-top"',
        "<text>small",
        "</section>",
        "<text>large",
        "<text>small",
    ]
    places = [page.index(text, page.index("<body")) for text in order[:5]]
    assert places == sorted(places) and page.rindex(order[5]) > places[-1]
    assert len(set(re.findall(r'id="(drawing-\d+-m)"', page))) == 3
    alone = report(notebook(new_markdown_cell("# One"), cells[0])).source  # without a headline
    assert 'class="on-top"' not in alone and alone.count("<text>") == 2


def test_a_reader_finds_the_way_around(a_report):
    page = a_report.source
    assert "<h1>Who repays?</h1>" in page and page.count("<h1") == 1
    assert re.search(r'class="lead">\s*<p>A first look at 1000 loans.</p>', page)
    assert "seed = 11</code>" in page and "20260101-120000" in page
    assert {"01_eda.html", "03_comparison.html", "../../index.html"} <= set(a_report.hrefs())
    assert {"01_eda.html#Risk", "https://doi.org/10.24432/C5NC77"} <= set(a_report.hrefs())
    assert not [href for href in a_report.hrefs() if ".ipynb" in href]

    contents = re.search(r'<nav class="contents".*?</nav>', page, re.DOTALL)[0]
    assert re.findall(r">([^<]+)</a>", contents) == ["What&#39;s missing?", "Next", "Next"]
    anchors = [unquote(href) for href in re.findall(r'href="#([^"]+)"', page)]
    assert set(anchors) <= set(a_report.ids())
    assert len(a_report.ids()) == len(set(a_report.ids()))


def test_a_report_admits_no_script_but_its_own(a_report):
    assert_inert(a_report)
    (policy,) = (meta["content"] for meta in a_report.all("meta") if "http-equiv" in meta)
    digest = hashlib.sha256(a_report.scripts[0].encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}';" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "http" not in a_report.styles[0] + a_report.scripts[0]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_from_data_is_dead_in_a_report(attack, report):
    table = f"<table><caption>{attack}</caption><tbody><tr><td>{attack}</td></tr></tbody></table>"
    styler = f"<style>#T_a_row0_col0 {{color: red; background: url(https://evil.example)}}</style>{table}"
    broken = new_output(
        "error", ename=attack, evalue=attack, traceback=[f"\x1b[31m{attack}", attack]
    )
    vector = {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{attack}</svg>"}
    picture = {"image/png": f'{PIXEL}"{attack}'}
    page = report(
        notebook(
            new_markdown_cell(
                f"# {attack}\n\n> {attack}\n\n## {attack}\n\n{attack}\n\ntext {attack} text"
            ),
            new_code_cell(f"x = '''{attack}'''", metadata={"tags": ["parameters"]}),
            new_code_cell(
                "x", outputs=[html_output(attack), html_output(table), html_output(styler)]
            ),
            new_code_cell(
                "x", outputs=[markdown_output(attack), new_output("stream", text=attack)]
            ),
            new_code_cell(
                "x", outputs=[new_output("execute_result", {"text/plain": attack}), broken]
            ),
            new_code_cell("x", outputs=[new_output("display_data", vector)]),
            new_code_cell(
                "x",
                outputs=[
                    new_output("display_data", picture, metadata={"image/png": {"alt": attack}})
                ],
            ),
            new_code_cell(
                "x",
                outputs=[
                    new_output(
                        "display_data", {"application/javascript": "alert(1)", "text/plain": "x"}
                    )
                ],
            ),
        ),
        title_of_run=attack,
        run_id=attack,
        changed={attack: attack, "list": [attack]},
        error={"cell": 4, "heading": attack, "ename": attack, "evalue": attack},
    )
    assert_inert(page)
    assert page.ids().count("main") == 1


def test_colours_of_a_styled_table_survive(report):
    sheet = (
        "#T_a_row0_col0, #T_a_row1_col0"
        " { background-color: #08306b; color: #f1f1f1; position: fixed; }"
    )
    cells = "".join(
        f'<tr><td id="T_a_row{row}_col0" class="data">0.{row}</td></tr>' for row in range(2)
    )
    page = report(
        notebook(
            new_code_cell(
                "t", outputs=[html_output(f"<style>{sheet}</style><table>{cells}</table>")]
            )
        )
    )
    assert [cell["style"] for cell in page.all("td")] == [
        "background-color:#08306b;color:#f1f1f1"
    ] * 2


@pytest.mark.parametrize("killed", [False, True])
def test_a_failed_report_leads_to_the_failing_cell(killed, report):
    trace = new_output(
        "error", ename="ValueError", evalue="row 17: Age is -5", traceback=["\x1b[31mline 1"]
    )
    page = report(
        notebook(
            new_markdown_cell(
                "<span style='color:red'>An Exception was encountered</span>",
                metadata={"tags": ["papermill-error-cell-tag"]},
            ),
            new_markdown_cell("# Prepare"),
            new_markdown_cell("## Read the file"),
            new_code_cell("data.read(raw)", outputs=[] if killed else [trace]),
            new_code_cell("never()"),
        ),
        error=ERROR,
    )
    banner = page.source.index("This notebook did not finish")
    assert banner < page.source.index('id="main"')
    assert "Read the file" in page.source[banner:] and "An Exception was" not in page.source
    assert "#cell-3" in page.hrefs() and "cell-3" in page.ids()
    failing = page.source[page.source.index('id="cell-3"') : page.source.index('id="cell-4"')]
    assert ("row 17: Age is -5" in failing) is not killed
    assert ('<details class="code" open' in failing) is not killed


def test_a_page_is_written_whole_or_not_at_all(tmp_path, report, monkeypatch):
    report(notebook(new_markdown_cell("# First")))
    before = (tmp_path / "02_preparation.html").read_bytes()

    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        report(notebook(new_markdown_cell("# Second")))
    assert (tmp_path / "02_preparation.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "02_preparation.html",
        "02_preparation.ipynb",
    ]


def test_code_is_folded_until_a_reader_asks_for_it(a_report, tmp_path, browser):
    with visit(browser, tmp_path / "02_preparation.html") as page:
        code = page.get_by_text("plot(loans)")
        assert not code.is_visible()
        page.locator("summary", has_text="Code").first.click()
        assert code.is_visible()
        toggle = page.get_by_role("button", name="Show code")
        toggle.click()
        assert page.get_by_text("seed = 11", exact=True).last.is_visible()
        page.reload()
        assert code.is_visible()  # it is remembered
        page.get_by_role("button", name="Hide code").press("Enter")
        assert not code.is_visible()


def test_a_kernel_without_a_display_name_has_a_report(report):
    nb = notebook(new_markdown_cell("# A plain title"))
    nb.metadata["kernelspec"] = {"name": "python3"}
    assert "A plain title" in report(nb).source
