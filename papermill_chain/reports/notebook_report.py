"""What a reader gets to see of a notebook: one self-contained HTML page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from papermill_chain.chain.output_limits import Limits
from papermill_chain.lineage.drawing import Picture
from papermill_chain.reports.links import OF_RUN
from papermill_chain.reports.outputs.drawing import Drawings
from papermill_chain.reports.outputs.sanitize import figure, safe_html, small_figure
from papermill_chain.reports.outputs.size_limits import fit_page
from papermill_chain.reports.outputs.tables import tidy_tables
from papermill_chain.reports.pages import TEMPLATES, _markup, filled
from papermill_chain.runs.figures import HEADLINE, Figure
from papermill_chain.runs.files import write_whole

if TYPE_CHECKING:  # loaded when a report is written
    from bs4 import BeautifulSoup, Tag
    from markupsafe import Markup
    from nbconvert import HTMLExporter
    from nbformat import NotebookNode

_POINTER = (
    '<p class="moved"><a href="#result">What was found stands at the top of this page.</a></p>'
)
RELATIVE = re.compile(r"(?!#|[a-zA-Z][\w+.-]*:)")  # an address in the same folder or near it
NOTEBOOK = re.compile(r"(?:\./)?([\w-]+)\.ipynb(#.*)?")
# Best picture first; scripts and widgets are not on the list, so they are never shown.
FORMS = [
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/html",
    "text/markdown",
    "text/latex",
    "text/plain",
]


def render(
    notebook: Path,
    html: Path,
    *,
    title_of_run: str,
    run_id: str,
    reports: dict[str, str],
    changed: dict[str, object],
    data: dict[str, str],
    reads: dict[str, str],
    pages: dict[str, str],
    figures: dict[str, Figure],
    verdict: str,
    error: dict[str, Any] | None,
    chain: Picture | None = None,
    origin: dict[str, str] | None = None,
    limit: int = Limits.page,
) -> None:
    """Write an executed notebook as one page that needs nothing but itself.

    `reports` are the names and titles of the stages whose reports lie beside this one, in order;
    `changed` are the parameters that differ from the notebook's own; `reads` are the sha256 of the
    files it has read, `data` those of the files from which all of it was made; `pages` are the
    names and the files of what the run keeps for a browser beside its reports; `figures` are the
    notebook's key figures by name, `verdict` is what it says of its result; `error` tells in which
    "cell", under which "heading" and why ("ename", "evalue") the notebook stopped; `chain` is the
    picture of all stages; `origin` tells which other "run" has executed it, if one has, and "when";
    `limit` is how many bytes of outputs the page may show. What the cell with the headline shows
    stands first, since it is what a reader has come for.
    """
    from papermill_chain.notebook_format import nbformat

    executed = nbformat.read(notebook, 4)
    if spec := executed.metadata.get("kernelspec"):  # nbconvert asks for what a run does not need
        spec.setdefault("display_name", spec.get("name", ""))
    fit_page(executed, FORMS, limit, notebook.name)
    aside = Aside()
    body = _body(executed, aside)
    title, lead = _take_title(body, notebook.stem)
    _tidy_links(body)
    tidy_tables(body)
    result = _take_result(body, executed)
    sections = _anchor_headings(body)
    names = [None, *reports, None]
    at = names.index(notebook.stem) if notebook.stem in reports else 0
    previous, next = (names[at - 1], names[at + 1]) if at else (None, None)
    page = filled(
        "report.html.j2",
        title=title,
        lead=lead,
        sections=sections,
        result=result,
        on_top=_markup(aside.on_top),
        figures=figures,
        verdict=verdict,
        body=_markup(aside.put_back(str(body))),
        title_of_run=title_of_run,
        run_id=run_id,
        name=notebook.stem,
        reports=reports,
        previous=previous,
        next=next,
        changed=changed,
        data=data,
        reads={path: hash for path, hash in reads.items() if path not in data},
        pages=pages,
        error=error,
        origin=origin,
        failing=_failing_cell(executed, error),
        picture=chain,
        links={each: f"{quote(each, safe='')}.html" for each in reports if each != notebook.stem},
    )
    write_whole(html, page)


@dataclass
class Aside:
    """HTML of our own that needs no second look: it waits outside while a page is worked on."""

    mark: str = field(default_factory=lambda: f"aside-{token_hex(8)}-")  # no data can know it
    pieces: list[str] = field(default_factory=list)
    on_top: str = ""  # the figure that also stands beside what was found

    def put(self, piece: str) -> str:
        self.pieces.append(piece)
        return f"{self.mark}{len(self.pieces) - 1}."

    def put_back(self, html: str) -> str:
        return re.sub(rf"{self.mark}(\d+)\.", lambda place: self.pieces[int(place[1])], html)


def _body(executed: NotebookNode, aside: Aside) -> BeautifulSoup:
    """The cells of a notebook as a tree of harmless HTML, without its coloured code."""
    from bs4 import BeautifulSoup

    exporter = _exporter()
    drawings = Drawings()
    exporter.register_filter("put_aside", aside.put)

    def shown(output: NotebookNode, mime: str) -> str:
        if output.metadata.get(mime, {}).get("on_top"):
            aside.on_top = small_figure(output, mime, drawings)
        return aside.put(figure(output, mime, drawings))

    exporter.register_filter("figure", shown)
    html, _ = exporter.from_notebook_node(executed)
    return BeautifulSoup(html, "html.parser")


@cache  # its templates are compiled once, which takes as long as to fill them
def _exporter() -> HTMLExporter:
    """What makes HTML of the cells of notebooks, of one at a time."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="base",
        template_file="cells.html.j2",
        extra_template_paths=[str(TEMPLATES)],
        extra_template_basedirs=[_templates_of_nbconvert()],
        exclude_anchor_links=True,
        filters={"safe_html": safe_html},
    )
    exporter.config.NbConvertBase.display_data_priority = FORMS
    return exporter


def _templates_of_nbconvert() -> str:
    """Where nbconvert keeps its templates: it looks below `sys.prefix`, which an overlay moves."""
    return str(distribution("nbconvert").locate_file("../../../share/jupyter/nbconvert/templates"))


def _take_title(body: BeautifulSoup, otherwise: str) -> tuple[str, Markup | None]:
    """The first heading of the notebook and the quotation right below it, taken out of the text."""
    headings = body("h1")
    if not headings:
        return otherwise, None
    for other in headings[1:]:
        other.name = "h2"
    below = headings[0].find_next_sibling()
    lead = below.extract() if below is not None and below.name == "blockquote" else None
    title = headings[0].extract().get_text()
    return title, _markup(lead.decode_contents()) if lead is not None else None


def _take_result(body: BeautifulSoup, executed: NotebookNode) -> tuple[Markup, Markup] | None:
    """The headline, and what else its cell shows, taken out of the text."""
    from bs4 import BeautifulSoup

    for number, cell in reversed(list(enumerate(executed.cells))):
        found = body.find(id=f"cell-{number}")
        if found is None or not any(HEADLINE in each.get("data", {}) for each in _outputs(cell)):
            continue
        shown = [part.extract() for part in found.find_all(recursive=False) if _is_shown(part)]
        pointer = BeautifulSoup(_POINTER, "html.parser")
        found.append(pointer)
        return _markup("".join(map(str, shown[-1:]))), _markup("".join(map(str, shown[:-1])))
    return None


def _outputs(cell: NotebookNode) -> list[NotebookNode]:
    outputs: list[NotebookNode] = cell.get("outputs", [])
    return outputs


def _is_shown(part: Tag) -> bool:
    """Whether a part of a cell is an output: neither its code nor its time and memory."""
    return not {"code", "cost"} & set(part.get("class") or [])


def _tidy_links(body: BeautifulSoup) -> None:
    """Let links between notebooks lead to their reports, and name pictures that are not here."""
    for link in body("a", href=RELATIVE):
        if match := NOTEBOOK.fullmatch(str(link["href"])):
            link["href"] = f"{match[1]}.html{match[2] or ''}"
        link[OF_RUN] = link["href"]
    for absent in body("img", src=False):
        absent.replace_with(str(absent.get("alt") or ""))


def _anchor_headings(body: BeautifulSoup) -> list[dict[str, str]]:
    """Give each heading the anchor JupyterLab gives it; return those of the sections, in order."""
    sections: list[dict[str, str]] = []
    taken: set[str] = set()
    for heading in body(["h2", "h3"]):
        text = heading.get_text().strip()
        anchor = stem = text.replace(" ", "-") or "section"
        while anchor in taken:
            anchor = f"{stem}-{len(taken)}"
        taken.add(anchor)
        heading["id"] = anchor
        if heading.name == "h2":
            sections.append({"anchor": anchor, "text": text})
    return sections


def _failing_cell(executed: NotebookNode, error: dict[str, Any] | None) -> str | None:
    """The anchor of the cell that stopped the notebook, if it can be named."""
    if error is None:
        return None
    failed = [
        number
        for number, cell in enumerate(executed.cells)
        if any(output.output_type == "error" for output in _outputs(cell))
    ]
    # A killed kernel leaves no error in its notebook, and not every error in it has stopped it.
    number = error.get("cell")
    if number is None and failed:
        number = failed[0]
    known = isinstance(number, int) and 0 <= number < len(executed.cells)
    return f"cell-{number}" if known else None
