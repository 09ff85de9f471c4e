"""Figures as SVG in the colours of the page that shows them, with values to point at.

A drawing stands in a page as a part of it: its text is text, and its colours are variables of the
page's style sheet. Where there is no such sheet, as in JupyterLab, they are the ones below.
"""

import io
import re
from collections.abc import Callable, Iterable
from typing import Any
from warnings import catch_warnings, filterwarnings
from xml.etree import ElementTree as xml

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

GOOD, BAD, QUIET = "#0173b2", "#b35c00", "#6b6b6b"
#: What each colour of a figure is called in `pages/house.css`.
COLOURS = {
    GOOD: "--figure-good",
    BAD: "--figure-bad",
    QUIET: "--quiet",
    "#262626": "--ink",  # seaborn's text
    "#000000": "--ink",
    "#cccccc": "--line",
    "#ffffff": "--paper",
    "#f0f0f0": "--raised",
}
NARROW = 4.2  # inches: shown on a phone, its text is 0.85 of its size
TALLER = 0.5  # inches: titles and labels take more lines in a narrow figure
SVG = "http://www.w3.org/2000/svg"
POINTED_AT = "values:"
PLACES = {"d", "x", "y", "transform"}
LONG = re.compile(r"(\d\.\d\d)\d+")  # a hundredth of a point is finer than any screen
FAMILY = re.compile(r"font-family: [^;\"]*;?|(font: [^;\"]*?px) [^;\"]*")


def values_at(ax: Axes, x: ArrayLike, y: ArrayLike, texts: Iterable[str]) -> None:
    """Have a drawing say a text where a reader points at a place of it.

    Parameters
    ----------
    x, y
        Shape (n,): the places, in data units; a place that is NaN has no text.
    texts
        One a place, short.
    """
    for across, up, text in zip(np.asarray(x), np.asarray(y), texts, strict=True):
        if not np.isfinite([across, up]).all():
            continue
        mark = ax.scatter(across, up, s=110, color=GOOD, alpha=0, linewidths=0, zorder=9)
        mark.set_gid(POINTED_AT + text)  # of its own: one that cannot be drawn leaves no trace
        mark.set_in_layout(False)


def drawing(figure: Figure) -> str:
    """A figure as SVG, on the ground of the page; the figure has none from then on."""
    file = io.StringIO()
    plain = {"Date": None, "Creator": None, "Format": None, "Type": None}
    for ground in (figure.patch, *(ax.patch for ax in figure.axes)):
        ground.set(facecolor="none", edgecolor="none")
    # savefig would draw it twice: for the layout, which this one looks after as well
    print_svg: Callable[..., None] = FigureCanvasSVG(figure).print_svg  # it has no types
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "drawing"}):
        print_svg(file, metadata=plain)
    text = file.getvalue()
    for colour, name in COLOURS.items():
        text = text.replace(f": {colour}", f": var({name}, {colour})")
        # so does Matplotlib write the ground of a hatch
        text = text.replace(f'fill="{colour}"', f'style="fill: var({name}, {colour})"')
    text = FAMILY.sub(lambda found: f"{found[1]} sans-serif" if found[1] else "", text)
    return _with_values(text)


def narrow_drawing(figure: Figure) -> str:
    """The same figure laid out for a narrow screen, which it then is.

    Empty if its names are so long that nothing is left for the data.
    """
    width, height = figure.get_size_inches()
    if width > NARROW:
        is_square = any(ax.get_aspect() == 1 for ax in figure.axes)
        figure.set_size_inches(NARROW, height * NARROW / width if is_square else height)
    with catch_warnings():
        filterwarnings("error", "constrained_layout not applied", UserWarning)
        try:
            return drawing(figure)
        except UserWarning:
            return ""


def _with_values(text: str) -> str:
    """An SVG with a title in each of the marks that stand for a value."""
    xml.register_namespace("", SVG)
    xml.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = xml.fromstring(text)
    root.set("style", _STYLE)
    for element in root.iter():
        for place in PLACES.intersection(element.keys()):
            element.set(place, " ".join(LONG.sub(r"\1", element.attrib[place]).split()))
    for group in root.iter(f"{{{SVG}}}g"):
        name: Any = group.get("id", "")
        if name.startswith(POINTED_AT):
            del group.attrib["id"]
            for mark in group.iter(f"{{{SVG}}}use"):
                xml.SubElement(mark, f"{{{SVG}}}title").text = name.removeprefix(POINTED_AT)
    return xml.tostring(root, "unicode")


_STYLE = (
    "background: var(--paper, #fff); fill: var(--ink, #262626); font-family: sans-serif;"
    " stroke-linejoin: round"
)


def percents(share: float, _place: float = 0.0) -> str:
    """A mark of an axis of shares, with the decimals that it needs: 5%, and 7.5%."""
    return f"{100 * share:z.4g}%"
