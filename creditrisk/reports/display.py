"""What a notebook hands to its reader: a figure, a computed sentence, a headline."""

import io
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
from IPython import display as ipython
from matplotlib.figure import Figure
from matplotlib.pyplot import close
from pandas.io.formats.style import Styler

from creditrisk.metrics.intervals import Interval
from creditrisk.reports import glossary
from creditrisk.reports.drawings import drawing, narrow_drawing

#: The output type by which whoever runs the notebook finds its headline.
HEADLINE = "application/vnd.chain.headline+json"

# IPython's functions have no types of their own.
_show: Callable[..., None] = ipython.display
_markdown: Callable[[str], object] = ipython.Markdown


def display_figure(figure: Figure, alt: str, on_top: bool = False) -> None:
    """Show a figure as a drawing, with a text for those who cannot see it.

    Beside the drawing go one for narrow screens and a picture, for programs that show no drawings
    of notebooks they have not run themselves. One figure of a notebook may also stand on top of its
    report, beside what was found.
    """
    wide = drawing(figure)
    layout = figure.get_layout_engine()
    figure.set_layout_engine(None)  # it is laid out
    picture = b64encode(_png(figure, dpi=80)).decode()
    figure.set_layout_engine(layout)
    about: dict[str, str | bool] = {"alt": alt, "narrow": narrow_drawing(figure)}
    if on_top:
        about["on_top"] = True
    close(figure)
    _show(
        {"image/svg+xml": wide, "image/png": picture, "text/plain": alt},
        metadata={"image/svg+xml": about, "image/png": {"alt": alt}},
        raw=True,
    )


def alt_text(subject: str, values: "pd.Series[float]", form: str = "{:.0%}") -> str:
    """A figure for those who cannot see it: what is drawn, and each value by its name."""
    return f"{subject}: " + "; ".join(f"{name} {form.format(v)}" for name, v in values.items())


def format_intervals(
    middle: Iterable[float], low: Iterable[float], high: Iterable[float], form: str = "{:.3f}"
) -> list[str]:
    """Estimates with their intervals, one text each, empty where there is none."""
    rows = zip(middle, low, high, strict=True)
    return [
        "" if row[0] != row[0] else "{} ({} to {})".format(*map(form.format, row)) for row in rows
    ]


def styled_table(frame: pd.DataFrame, precision: int = 3, empty: str = "missing") -> Styler:
    """A table without its index, with heads and forms of the glossary.

    What looks like markup in the data is shown as it is spelt.

    Parameters
    ----------
    precision
        Digits of the numbers for which the glossary has no form.
    empty
        What stands where there is no value.
    """
    numbers = frame.select_dtypes("number").columns
    form = {name: form for name in numbers if (form := glossary.term(name).form)}
    return (
        frame.style.hide(axis="index")
        .format(form, escape="html", precision=precision, na_rep=empty, thousands=",")
        .format_index(glossary.heading, axis="columns")
    )


def display_markdown(markdown: str) -> None:
    """Show a sentence or list that code has computed, as prose; an empty one is not shown."""
    if markdown:
        _show(_markdown(markdown))


def headline(
    sentence: str,
    figures: Mapping[str, float | str | Interval] | None = None,
    picture: Figure | None = None,
    alt: str = "",
    verdict: str = "",
) -> None:
    """Show the sentence a reader should take away, and name key figures for the run's record.

    The figures keep their order; an interval is recorded with its ends. A small picture, with a
    text for those who cannot see it, stands beside them in the list of runs, and not here. A
    verdict, "passed", "warning" or "stop", colours the sentence wherever it is shown.
    """
    recorded = [[name, _figure(each)] for name, each in (figures or {}).items()]
    record: dict[str, Any] = {"text": sentence, "figures": recorded}
    if verdict:
        record["verdict"] = verdict
    if picture is not None:
        record["picture"] = {"png": b64encode(_png(picture, dpi=200)).decode(), "alt": alt}
        close(picture)
    _show({"text/markdown": sentence, HEADLINE: record}, raw=True)


def _figure(figure: float | str | Interval) -> dict[str, float | str]:
    """A key figure as data: its value, and the ends of its interval if it has one."""
    if isinstance(figure, Interval):
        ends = {"value": figure.estimate, "low": figure.low, "high": figure.high}
        return {name: float(end) for name, end in ends.items()}
    return {"value": figure}


def _png(figure: Figure, dpi: int) -> bytes:
    """A figure as a picture."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=dpi, facecolor="white")
    return picture.getvalue()
