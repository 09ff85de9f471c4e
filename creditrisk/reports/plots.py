"""One function a figure of the data: each draws on an ``ax`` it is given.

Good risks are blue and solid, bad risks orange and hatched or dashed, in every figure.
"""

from collections.abc import Iterable, Sequence
from textwrap import fill, wrap
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.pyplot import subplots
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity
from creditrisk.reports.drawings import BAD, GOOD, QUIET, percents, values_at

HATCH = "///"
LINE = 50  # letters of a measure that fit beside each other in a narrow figure
LONGEST_NAME = 40  # letters of a row's name before it takes a second line
MANY = 5_000  # marks: more are a picture within the drawing, which would be too large


def use_house_style() -> None:
    """Set the theme of every figure in this notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    # sans-serif first as shipped with matplotlib: a figure must not depend on a machine's fonts
    sns.set_style("whitegrid", {"font.family": "DejaVu Sans", "axes.edgecolor": "#cccccc"})
    # a level or title is shown as it is spelt, also where it holds dollar signs
    rcParams["text.parse_math"] = False
    rcParams["xaxis.labellocation"] = "right"  # it may be longer than a narrow axis


def figure(height: float = 4.0, width: float = 7.4, **axes: Any) -> tuple[Figure, Any]:
    """An empty figure, in inches, of house width unless it is square; ``axes`` as in subplots."""
    fig, ax = subplots(figsize=(width, height), layout="constrained", **axes)
    fig.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return fig, ax


def set_titles(ax: Axes, finding: str, measure: str) -> None:
    """Head a figure with what it shows, and under that what was measured."""
    lines = wrap(measure, LINE)
    look: dict[str, Any] = {"fontsize": 12.5, "fontweight": "bold", "wrap": True}
    room = "\n" * len(lines)
    title = ax.figure.suptitle(f"{finding}{room}", x=0, ha="left", **look)
    below = ax.annotate(
        "\n".join(lines), (0, 0), xycoords=title, fontsize=10, color=QUIET, va="bottom"
    )
    below.set_in_layout(False)


def legend(ax: Axes, columns: int = 2) -> None:
    """Name what is drawn above the data, never over them."""
    ax.legend(
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0.1,
        borderpad=0,
        ncols=columns,
        markerscale=1.6,
        fontsize=10,
    )


def scale(ax: Axes, x: str, y: str = "linear") -> None:
    """Set "linear" or "log" scales; a log scale is marked in plain numbers, 1 and 3 a decade."""
    for axis, kind in ((ax.xaxis, x), (ax.yaxis, y)):
        if kind == "log":  # a linear one may have marks of its own, which setting it would undo
            ax.set(**{f"{axis.axis_name}scale": kind})
            axis.set_major_locator(LogLocator(subs=(1, 3)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def class_balance(ax: Axes, good: int, bad: int) -> None:
    """Two bars: the applicants of each class, with their share."""
    bars = ax.barh(["good", "bad"], [good, bad], color=[GOOD, BAD], height=0.6)
    bars[1].set(hatch=HATCH, hatchcolor="white")
    labels = [f"{count:,} ({count / (good + bad):.0%})" for count in (good, bad)]
    ax.bar_label(bars, labels, padding=5)
    ax.set(xlabel="applicants", xlim=(0, 1.18 * max(good, bad)))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def missing_shares(ax: Axes, missing: pd.Series) -> None:
    """One bar a column: the share of rows without a value."""
    bars = ax.barh(missing.index, missing, color=[GOOD if share else QUIET for share in missing])
    ax.bar_label(bars, [f"{share:.1%}" for share in missing], padding=4)
    ax.set(xlabel="share of applicants without a value", xlim=(0, max(0.1, 1.2 * missing.max())))
    ax.xaxis.set_major_formatter(percents)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def bad_rates(ax: Axes, table: pd.DataFrame, overall: float) -> None:
    """Bad rate of each level with its Wilson interval, against the rate of all applicants.

    Parameters
    ----------
    table
        From :func:`creditrisk.metrics.weight_of_evidence.risk_by_level`.
    """
    names = [f"{level} (n = {n:,})" for level, n in table.applicants.items()]
    intervals(ax, names, table.bad_rate, table.low, table.high, overall, BAD, "{:.1%}")
    ax.set_xlim(0, max(0.6, 1.05 * table.high.max()))
    ax.set_xlabel("bad rate, 95% interval; dashed: overall")
    ax.xaxis.set_major_formatter(percents)


def intervals(
    ax: Axes,
    names: Sequence[str],
    middle: pd.Series,
    low: pd.Series,
    high: pd.Series,
    reference: float,
    colour: str = GOOD,
    form: str = "{:.3f}",
) -> None:
    """One mark a row with its interval, against a dashed line."""
    place = np.arange(len(names))
    # An end may lie a rounding on the wrong side of a share of 0 or 1.
    spread = np.clip([np.asarray(middle) - low, high - np.asarray(middle)], 0, None)
    ax.axvline(reference, color=QUIET, linestyle="--", linewidth=1.2, zorder=1)
    ax.errorbar(middle, place, xerr=spread, fmt="D", color=colour, capsize=3, markersize=6)
    said = [
        f"{name}: " + "{} ({} to {})".format(*map(form.format, row))
        for name, *row in zip(names, middle, low, high, strict=True)
    ]
    values_at(ax, middle, place, said)
    ax.set_yticks(place, [fill(name, LONGEST_NAME) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)


def quantity(ax: Axes, field: Field, values: pd.Series, y: pd.Series) -> None:
    """How good and bad risks spread over a quantity, each as share of its class.

    Parameters
    ----------
    values, y
        Shape (n,): one raw column and the outcomes, 1 = good and 0 = bad.
    """
    spaced = np.geomspace if field.scale == "log" else np.linspace
    numbers = as_quantity(values, field)
    bins = list(spaced(numbers.min(), numbers.max(), 19)) if numbers.nunique() > 1 else 1
    for value, name, colour, style in ((1, "good", GOOD, "-"), (0, "bad", BAD, "--")):
        chosen = numbers[(y == value) & numbers.notna()]
        weights = np.full(len(chosen), 1 / max(1, len(chosen)))
        look: dict[str, Any] = {"color": colour, "linestyle": style, "linewidth": 2}
        ax.hist(chosen, bins, weights=weights, histtype="step", label=f"{name} risk", **look)
        ax.hist(chosen, bins, weights=weights, color=colour, alpha=0.12)
    ax.yaxis.set_major_formatter(percents)
    ax.set(xlabel=axis_label(field), ylabel="share of the class")
    scale(ax, field.scale)
    legend(ax)


def axis_label(field: Field) -> str:
    """The title of a field and its unit, if it has one."""
    return f"{field.title}, {field.unit}" if field.unit else field.title


def ranking(ax: Axes, strength: pd.Series, thresholds: dict[str, float], label: str) -> None:
    """One bar a variable, the strongest on top, with named thresholds as dotted lines."""
    bars = ax.barh(strength.index, strength, color=GOOD, height=0.6)
    ax.bar_label(bars, [f"{value:.2f}" for value in strength], padding=4)
    top = -0.8 - 0.5 * len(thresholds)  # one line a name, since they may lie close
    for number, (name, value) in enumerate(thresholds.items()):
        height = top + 0.4 + 0.5 * number
        ax.vlines(value, height, len(strength) - 0.5, color=QUIET, linestyle=":", linewidth=1.4)
        ax.text(value, height, f" {name}", color=QUIET, fontsize=9, ha="left", va="center")
    ax.set(xlabel=label, xlim=(0, 1.15 * strength.max()), ylim=(len(strength) - 0.5, top))
    ax.grid(axis="y", visible=False)


def two_quantities(
    ax: Axes, x: Field, y: Field, applications: pd.DataFrame, good: pd.Series
) -> None:
    """Two quantities of the applications against each other, one mark an applicant."""
    for value, name, colour, mark in ((1, "good", GOOD, "o"), (0, "bad", BAD, "^")):
        chosen = applications[good == value]
        look: dict[str, Any] = {"markersize": 4, "markeredgewidth": 0, "alpha": 0.55}
        look |= {"color": colour, "rasterized": len(chosen) > MANY, "label": f"{name} risk"}
        ax.plot(chosen[x.name], chosen[y.name], mark, **look)
    scale(ax, x.scale, y.scale)
    ax.set(xlabel=axis_label(x), ylabel=axis_label(y))
    legend(ax)


def matrix(ax: Axes, values: pd.DataFrame) -> None:
    """A symmetric table of associations from 0 to 1, each pair once: the darker, the stronger.

    Parameters
    ----------
    values
        Shape (n, n), rows and columns by the same names.
    """
    cells = [
        (row, column, f"{values.iloc[row, column]:.2f}", values.iloc[row, column])
        for row in range(len(values))
        for column in range(row)
    ]
    for row, column, text, strength in cells:
        square(ax, row, column, text, alpha=0.06 + 0.5 * strength)
    pairs(ax, values.index, range(len(values) - 1))


def square(
    ax: Axes, row: int, place: float, text: str, fill: str = GOOD, alpha: float = 1, **look: Any
) -> None:
    """A cell of a table of pairs with its text."""
    box = Rectangle((place - 0.48, row - 0.12), 0.96, 0.56, color=fill, alpha=alpha, linewidth=0)
    ax.add_patch(box)
    ax.text(place, row + 0.16, text, ha="center", va="center", fontsize=10, **look)


def pairs(ax: Axes, names: Iterable[str], columns: Sequence[int]) -> None:
    """Names of a table of pairs: each above its row and by its number above its column."""
    for number, name in enumerate(names, 1):
        ax.text(-0.46, number - 1.15, f"{number}  {name}", va="bottom", fontsize=10.5)
    ax.set_xticks(range(len(columns)), [str(column + 1) for column in columns])
    ax.tick_params(axis="x", top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.set_yticks([])
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(number - 0.5, -0.7))
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)


def two_samples(ax: Axes, shares: pd.DataFrame, label: str) -> None:
    """Shares of two samples, one pair of marks a row; equal samples lie on each other."""
    place = np.arange(len(shares))
    for column, colour, mark in zip(shares, (GOOD, BAD), ("o", "x"), strict=True):
        ax.plot(shares[column], place, mark, color=colour, label=column, markersize=7)
    ax.hlines(place, shares.min(axis=1), shares.max(axis=1), color=QUIET, linewidth=1.2)
    ax.set_yticks(place, shares.index)
    ax.set(xlabel=label, ylim=(len(shares) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(percents)
    legend(ax)
