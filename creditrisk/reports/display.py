"""What a notebook hands to its reader: a figure, a computed sentence, a headline."""

import io
from base64 import b64encode
from collections.abc import Mapping

from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from matplotlib.pyplot import close
from pandas import DataFrame
from pandas.io.formats.style import Styler

from creditrisk.metrics.intervals import Interval

#: The output type by which whoever runs the notebook finds its headline.
HEADLINE = "application/vnd.chain.headline+json"


def display_figure(figure: Figure, alt: str) -> None:
    """Show a figure at twice the screen's resolution, with words for those who cannot see it."""
    picture = _png(figure)
    width = Image(picture, format="png", retina=True).width
    display(Image(picture, format="png", width=width, alt=alt))


def format_intervals(middle, low, high, form: str = "{:.3f}") -> list[str]:
    """Estimates with their intervals, one text each, empty where there is none."""
    rows = zip(middle, low, high, strict=True)
    return [
        "" if row[0] != row[0] else "{0} ({1} to {2})".format(*map(form.format, row))
        for row in rows
    ]


def styled_table(frame: DataFrame, **forms) -> Styler:
    """A table without its index; what looks like markup in the data is shown as it is spelt.

    Parameters
    ----------
    forms
        As in ``Styler.format``: precision, formatter, na_rep.
    """
    return (
        frame.style.hide(axis="index")
        .format(escape="html", **forms)
        .format_index(escape="html", axis="columns")
    )


def display_markdown(markdown: str) -> None:
    """Show a sentence or list that code has computed, as prose."""
    display(Markdown(markdown))


def headline(
    sentence: str,
    figures: Mapping[str, float | str | Interval] | None = None,
    picture: Figure | None = None,
    alt: str = "",
) -> None:
    """Show the sentence a reader should take away, and name key figures for the run's record.

    The figures keep their order; an interval is recorded with its ends. A small picture, with words
    for those who cannot see it, stands beside them in the list of runs, and not here.
    """
    recorded = [[name, _figure(each)] for name, each in (figures or {}).items()]
    told = {"text": sentence, "figures": recorded}
    if picture is not None:
        told["picture"] = {"png": b64encode(_png(picture)).decode(), "alt": alt}
    display({"text/markdown": sentence, HEADLINE: told}, raw=True)


def _figure(figure: float | str | Interval) -> dict[str, float | str]:
    """A key figure as data: its value, and the ends of its interval if it has one."""
    if isinstance(figure, Interval):
        ends = {"value": figure.estimate, "low": figure.low, "high": figure.high}
        return {name: float(end) for name, end in ends.items()}
    return {"value": figure}


def _png(figure: Figure) -> bytes:
    """A figure at twice the screen's resolution; nobody else shows it any more."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=200, facecolor="white")
    close(figure)
    return picture.getvalue()
