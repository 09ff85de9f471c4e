"""HTML that came from data or Markdown, made harmless before it enters a report."""

import re
from base64 import b64encode
from html import escape, unescape

#: The markup that notebooks, and the data they show, may use; any other is shown as plain text.
TAGS = (
    "a abbr b blockquote br caption code col colgroup dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i"
    " img kbd li mark ol p pre q s small span strong sub sup table tbody td tfoot th thead tr u ul"
)
#: Attributes that can neither load nor run anything. No `id`: data could pose as an anchor.
ATTRIBUTES = {"alt", "class", "colspan", "rowspan", "scope", "start", "style", "title", "width"}
COLOURS = ["background-color", "color", "font-style", "font-weight"]
LINK = re.compile(r"(https?:|mailto:)\S*|[^:\s#]*(#.*)?")
EMBEDDED = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[\w+/=]+")
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def safe_html(html: str) -> str:
    """The text, tables, links and embedded pictures of a piece of HTML, and nothing that acts."""
    import bleach
    from bleach.css_sanitizer import CSSSanitizer

    return bleach.clean(
        _inline_styles(html),
        tags=set(TAGS.split()),
        attributes=_may_stay,
        protocols={"http", "https", "mailto", "data"},  # data only for pictures, see _may_stay
        css_sanitizer=CSSSanitizer(allowed_css_properties=COLOURS),
    )


def picture(output, mime: str) -> str:
    """A figure with the words for those who cannot see it."""
    about = output.metadata.get(mime, {})
    payload = output.data[mime]
    if mime == "image/svg+xml":  # inside <img> the scripts of an SVG are dead
        payload = b64encode(payload.encode()).decode()
    source = escape(f"data:{mime};base64,{''.join(payload.split())}")
    alt = escape(str(about.get("alt") or "Figure without a description"))
    width = f' width="{int(about["width"])}"' if about.get("width") else ""
    return f'<figure><img src="{source}" alt="{alt}"{width}></figure>'


def _may_stay(tag: str, name: str, value: str) -> bool:
    """Whether an attribute is harmless; its value may still be spelt in character references."""
    if name == "href":
        return LINK.fullmatch(unescape(value)) is not None
    if name == "src":
        return EMBEDDED.fullmatch(unescape(value)) is not None
    return name in ATTRIBUTES


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
