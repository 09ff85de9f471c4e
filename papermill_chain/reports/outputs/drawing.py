"""An SVG that came from a notebook, made harmless, to stand in a page as a part of it.

There it takes the page's colours, its text can be read and searched, and its titles are shown where
a reader points. What is not known to be a drawing is not let in; `sanitize.picture` then shows it
as a picture, inside which nothing acts.
"""

import re
from itertools import count
from typing import Any
from xml.etree import ElementTree as xml

#: What a drawing may be made of; any other element is left out with all that it holds.
ELEMENTS = {
    *("svg", "g", "defs", "clipPath", "pattern", "title", "path", "rect", "circle", "ellipse"),
    *("line", "polyline", "polygon", "use", "text", "tspan", "image"),
}
#: Of each attribute the values it may have. What is referred to is in the drawing itself.
PLAIN = re.compile(r"[-\w\s.,%()]*")
INSIDE = re.compile(r"#[\w.-]+")
CLIP = re.compile(r"url\(#[\w.-]+\)")
PICTURE = re.compile(r"\s*data:image/png;base64,[\w+/=\s]+")
ATTRIBUTES = {
    **dict.fromkeys(("d", "points", "transform", "viewBox", "preserveAspectRatio"), PLAIN),
    **dict.fromkeys(("x", "y", "x1", "y1", "x2", "y2", "dx", "dy", "cx", "cy", "r"), PLAIN),
    **dict.fromkeys(("rx", "ry", "width", "height", "patternUnits"), PLAIN),
    "id": re.compile(r"[\w.-]+"),
    "clip-path": CLIP,
    **dict.fromkeys(("fill", "stroke"), re.compile(r"none|#[0-9a-fA-F]{3,8}")),
}
STYLES = re.compile(r"(fill|stroke|stop|opacity|background|font-(size|weight|style)|text-anchor).*")
VALUE = re.compile(
    r"[-\w\s.,%]*|#[0-9a-fA-F]{3,8}|(rgb|hsl)a?\([\d\s,.%/]*\)|url\(#[\w.-]+\)"
    r"|var\(--[\w-]+, #[0-9a-fA-F]{3,8}\)"
)
#: As browsers and Matplotlib write it in an attribute.
FONT = re.compile(r"(?P<weight>bold |\d00 )?(?P<size>[\d.]+px) [-\w\s,']*")
REFERENCE = re.compile(r"#([\w.-]+)(?=\)|$)")


class Drawings:
    """The drawings of one page; what each refers to keeps a name of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def part_of_page(self, svg: str, alt: str, kind: str) -> str | None:
        """A drawing as HTML with the words for those who cannot see it; None if it is not one."""
        if "<!ENTITY" in svg:
            return None
        try:
            root = xml.fromstring(svg)
        except (xml.ParseError, ValueError):
            return None
        if _name(root) != "svg" or not root.get("viewBox"):
            return None
        asked = {each[1:] for element in root.iter() for each in _references(element)}
        # what is used uses nothing itself: else a few lines could be drawn a billion times
        for element in root.iter():
            if element.get("id") in asked and any(_name(each) == "use" for each in element.iter()):
                asked.discard(str(element.get("id")))
        try:
            clean = _clean(root, f"drawing-{next(self._numbers)}-", asked)
            return self._finished(clean, root.get("width", ""), alt, kind)
        except RecursionError:  # it nests deeper than any drawing
            return None

    @staticmethod
    def _finished(clean: xml.Element, width: str, alt: str, kind: str) -> str:
        """The HTML of a drawing that is no larger than it was made."""
        clean.attrib |= {"role": "img", "aria-label": alt, "class": kind}
        for size in ("width", "height"):
            clean.attrib.pop(size, None)
        if made := re.fullmatch(r"(\d+\.?\d*)(pt|px)?", width):
            clean.set("width", f"{float(made[1]) * (4 / 3 if made[2] == 'pt' else 1):.0f}")
        return xml.tostring(clean, "unicode")


def _clean(element: xml.Element, prefix: str, asked: set[str]) -> xml.Element:
    """An element with what is known to be harmless of it, without what nobody refers to."""
    clean = xml.Element(_name(element))
    clean.text = element.text if clean.tag in ("text", "tspan", "title") else None
    for full_name, value in element.attrib.items():
        name = full_name.rpartition("}")[2]
        if name == "id" and value not in asked:
            continue
        if name == "href":
            allowed = PICTURE if clean.tag == "image" else INSIDE
        elif name == "style":
            value, allowed = _styles(value), re.compile(".*", re.DOTALL)
        else:
            allowed = ATTRIBUTES.get(name, re.compile("(?!)"))
        is_known = name != "href" or clean.tag == "image" or value[1:] in asked
        if value and is_known and allowed.fullmatch(value):
            clean.set(name, _renamed(name, value, prefix))
    for child in element:
        if _name(child) in ELEMENTS:
            part = _clean(child, prefix, asked)
            part.tail = child.tail if clean.tag in ("text", "tspan") else None
            clean.append(part)
    return clean


def _name(element: xml.Element) -> Any:
    """The name of an SVG element; of a comment or an element of anything else, nothing."""
    if not isinstance(element.tag, str):
        return ""
    space, _, name = element.tag.rpartition("}")
    return name if space in ("", "{http://www.w3.org/2000/svg") else ""


def _references(element: xml.Element) -> list[str]:
    return [each[0] for value in element.attrib.values() for each in REFERENCE.finditer(value)]


def _renamed(name: str, value: str, prefix: str) -> str:
    """A value in which what is referred to has the name it has in the page."""
    if name == "id":
        return prefix + value
    if name in ("href", "clip-path") or "url(#" in value:
        return REFERENCE.sub(rf"#{prefix}\1", value) if not value.startswith("data:") else value
    return value


def _styles(value: str) -> str:
    """The declarations that only say how a drawing looks; a font keeps its size and weight."""
    kept = []
    for declaration in value.split(";"):
        name, _, text = (part.strip() for part in declaration.partition(":"))
        if name == "font" and (font := FONT.fullmatch(text)):
            kept += [f"font-size:{font['size']}"]
            kept += [f"font-weight:{font['weight'].strip()}"] if font["weight"] else []
        elif STYLES.fullmatch(name) and VALUE.fullmatch(text):
            kept.append(f"{name}:{text}")
    return ";".join(kept)
