"""HTML that came from data or Markdown, made harmless before it enters a report."""

import re
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

from papermill_chain.reports.outputs.drawing import Drawings

if TYPE_CHECKING:  # nbformat is loaded when a report is written
    from nbformat import NotebookNode

#: The markup that notebooks, and the data they show, may use; any other is shown as plain text.
TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del"),
    *("div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li"),
    *("mark", "ol", "p", "pre", "q", "s", "small", "span", "strong", "sub", "sup", "table"),
    *("tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul"),
}
#: Attributes that can neither load nor run anything. No `id`: data could pose as an anchor.
ATTRIBUTES = {"alt", "class", "colspan", "rowspan", "scope", "start", "style", "title", "width"}
COLOURS = {"background-color", "color", "font-style", "font-weight"}
LINK = re.compile(r"(https?:|mailto:)\S*|[^:\s#]*(#.*)?")
EMBEDDED = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[\w+/=]+")
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
#: Declarations of plain values: no functions but colours, no escapes, no addresses.
PLAIN_STYLE = re.compile(r"([\s\w:;,.#%-]|(rgb|hsl)a?\([\s\w,.%/-]*\))*")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
#: A sign that begins none of the tags above, and would be dropped with all that looks like its tag.
NO_TAG = re.compile(rf"<(?!/?(?:{'|'.join(sorted(TAGS))})(?=[\s/>]))", re.IGNORECASE)


def safe_html(html: str) -> str:
    """The text, tables, links and embedded pictures of a piece of HTML, and nothing that acts."""
    import nh3

    shown = NO_TAG.sub("&lt;", COMMENT.sub("", _inline_styles(html)))
    return nh3.clean(
        shown,
        tags=TAGS,
        attributes={"*": ATTRIBUTES, "a": {"href"}, "img": {"src"}},
        attribute_filter=_value,
        url_schemes={"http", "https", "mailto", "data"},  # data only for pictures, see _value
        filter_style_properties=COLOURS,
        link_rel=None,
    )


def figure(output: "NotebookNode", mime: str, drawings: Drawings) -> str:
    """A figure with the words for those who cannot see it: a drawing, or else a picture.

    An SVG may have a second one for narrow screens, as "narrow" in its metadata.
    """
    about = output.metadata.get(mime, {})
    alt = str(about.get("alt") or "Figure without a description")
    if mime == "image/svg+xml":
        kinds = {"wide": "".join(output.data[mime]), "narrow": str(about.get("narrow") or "")}
        shown = [drawings.part_of_page(svg, alt, kind) for kind, svg in kinds.items() if svg]
        if shown[0]:
            return f"<figure>{''.join(filter(None, shown))}</figure>"
    return _picture(output, mime, alt)


def small_figure(output: "NotebookNode", mime: str, drawings: Drawings) -> str:
    """A figure where there is little room: the drawing for narrow screens, if it has one."""
    about = output.metadata.get(mime, {})
    if mime != "image/svg+xml" or not about.get("narrow"):
        return figure(output, mime, drawings)
    alt = str(about.get("alt") or "Figure without a description")
    drawn = drawings.part_of_page(str(about["narrow"]), alt, "small")
    return f"<figure>{drawn}</figure>" if drawn else ""


def _picture(output: "NotebookNode", mime: str, alt: str) -> str:
    """A picture, inside which nothing acts."""
    about = output.metadata.get(mime, {})
    payload = output.data[mime]
    if mime == "image/svg+xml":  # inside <img> the scripts of an SVG are dead
        payload = b64encode(payload.encode()).decode()
    source = escape(f"data:{mime};base64,{''.join(payload.split())}")
    width = f' width="{int(about["width"])}"' if about.get("width") else ""
    return f'<figure><img src="{source}" alt="{escape(alt)}"{width}></figure>'


def _value(tag: str, name: str, value: str) -> str | None:
    """The value of an attribute if it is harmless."""
    if name == "href":
        return value if LINK.fullmatch(value) else None
    if name == "src":
        return value if EMBEDDED.fullmatch(value) else None
    if name == "style":
        return value if PLAIN_STYLE.fullmatch(value) else None
    return value


def _inline_styles(html: str) -> str:
    """A table with the colours of its style sheet on the cells themselves, and no sheet."""
    if "<style" not in html.lower():
        return html
    from bs4 import BeautifulSoup

    tree = BeautifulSoup(html, "html.parser")
    cells = {f"#{cell['id']}": cell for cell in tree.select("td[id], th[id]")}
    for sheet in tree("style"):
        for selectors, declarations in RULE.findall(sheet.text):
            for selector in selectors.split(","):
                if cell := cells.get(selector.strip()):
                    cell["style"] = cell.get("style", "") + declarations
        sheet.decompose()
    return str(tree)
