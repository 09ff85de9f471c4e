"""One function a figure of the data: each draws on an ``ax`` it is given.

Good risks are blue and solid, bad risks orange and hatched or dashed, in every figure.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.pyplot import subplots
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter, StrMethodFormatter

from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity

GOOD, BAD, QUIET = "#0173b2", "#de8f05", "#6b6b6b"
HATCH = "///"


def use_house_style() -> None:
    """Set the theme of every figure in this notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    # sans-serif first as shipped with matplotlib: a figure must not depend on a machine's fonts
    sns.set_style("whitegrid", {"font.family": "DejaVu Sans", "axes.edgecolor": "#cccccc"})
    # a level or title is shown as it is spelt, also where it holds dollar signs
    rcParams["text.parse_math"] = False


def figure(height: float = 4.0, width: float = 7.4, **axes: Any) -> tuple[Figure, Any]:
    """An empty figure, in inches, of house width unless it is square; ``axes`` as in subplots."""
    fig, ax = subplots(figsize=(width, height), layout="constrained", **axes)
    fig.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    return fig, ax


def set_titles(ax: Axes, finding: str, measure: str) -> None:
    """Head a figure with what it shows, and under that what was measured."""
    ax.set_title(f"{finding}\n", loc="left", fontsize=12.5, fontweight="bold", wrap=True)
    ax.text(0, 1.02, measure, transform=ax.transAxes, fontsize=10, color=QUIET, va="bottom")


def scale(ax: Axes, x: str, y: str = "linear") -> None:
    """Set "linear" or "log" scales; a log scale is marked in plain numbers, 1, 2 and 5 a decade."""
    for axis, kind in ((ax.xaxis, x), (ax.yaxis, y)):
        if kind == "log":  # a linear one may have marks of its own, which setting it would undo
            ax.set(**{f"{axis.axis_name}scale": kind})
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def class_balance(ax: Axes, good: int, bad: int) -> None:
    """Two bars: the applicants of each class, with their share."""
    bars = ax.barh(["good", "bad"], [good, bad], color=[GOOD, BAD], height=0.6)
    bars[1].set_hatch(HATCH)
    labels = [f"{count} ({count / (good + bad):.0%})" for count in (good, bad)]
    ax.bar_label(bars, labels, padding=5)
    ax.set(xlabel="applicants", xlim=(0, 1.18 * max(good, bad)))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def missing_shares(ax: Axes, missing: pd.Series) -> None:
    """One bar a column: the share of rows without a value."""
    bars = ax.barh(missing.index, missing, color=[GOOD if share else QUIET for share in missing])
    ax.bar_label(bars, [f"{share:.1%}" for share in missing], padding=4)
    ax.set(xlabel="share of applicants without a value", xlim=(0, max(0.1, 1.2 * missing.max())))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def bad_rates(ax: Axes, table: pd.DataFrame, overall: float) -> None:
    """Bad rate of each level with its Wilson interval, against the rate of all applicants.

    Parameters
    ----------
    table
        From :func:`creditrisk.metrics.weight_of_evidence.risk_by_level`.
    """
    names = [f"{level}  (n = {n})" for level, n in table.applicants.items()]
    intervals(ax, names, table.bad_rate, table.low, table.high, overall, BAD)
    ax.set_xlim(0, max(0.6, 1.05 * table.high.max()))
    ax.set_xlabel("bad rate with 95 % interval; dashed: all applicants")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def intervals(
    ax: Axes,
    names: Sequence[str],
    middle: pd.Series,
    low: pd.Series,
    high: pd.Series,
    reference: float,
    colour: str = GOOD,
) -> None:
    """One mark a row with its interval, against a dashed line."""
    place = np.arange(len(names))
    # An end may lie a rounding on the wrong side of a share of 0 or 1.
    spread = np.clip([np.asarray(middle) - low, high - np.asarray(middle)], 0, None)
    ax.axvline(reference, color=QUIET, linestyle="--", linewidth=1.2, zorder=1)
    ax.errorbar(middle, place, xerr=spread, fmt="D", color=colour, capsize=3, markersize=6)
    ax.set_yticks(place, names)
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
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set(xlabel=axis_label(field), ylabel="share of the class")
    scale(ax, field.scale)
    ax.legend(frameon=False, loc="upper right")


def axis_label(field: Field) -> str:
    """The title of a field and its unit, if it has one."""
    return f"{field.title}, {field.unit}" if field.unit else field.title


def ranking(ax: Axes, strength: pd.Series, thresholds: dict[str, float], label: str) -> None:
    """One bar a variable, the strongest on top, with named thresholds as dotted lines."""
    bars = ax.barh(strength.index, strength, color=GOOD, height=0.6)
    ax.bar_label(bars, [f"{value:.2f}" for value in strength], padding=4)
    for name, value in thresholds.items():
        ax.axvline(value, color=QUIET, linestyle=":", linewidth=1.4)
        ax.text(value, -0.75, f" {name}", color=QUIET, fontsize=9, ha="left", va="center")
    ax.set(xlabel=label, xlim=(0, 1.12 * strength.max()), ylim=(len(strength) - 0.5, -1.1))
    ax.grid(axis="y", visible=False)


def two_quantities(
    ax: Axes, x: Field, y: Field, applications: pd.DataFrame, good: pd.Series
) -> None:
    """Two quantities of the applications against each other, one mark an applicant."""
    for value, name, colour, mark in ((1, "good", GOOD, "o"), (0, "bad", BAD, "^")):
        chosen = applications[good == value]
        look: dict[str, Any] = {"s": 16, "marker": mark, "color": colour, "alpha": 0.55}
        ax.scatter(chosen[x.name], chosen[y.name], linewidths=0, label=f"{name} risk", **look)
    scale(ax, x.scale, y.scale)
    ax.set(xlabel=axis_label(x), ylabel=axis_label(y))
    ax.legend(frameon=False, loc="lower right")


def matrix(ax: Axes, values: pd.DataFrame, label: str) -> None:
    """A symmetric table of associations from 0 to 1 as a heat map, lower half only."""
    upper = np.triu(np.ones(values.shape, dtype=bool))
    shown = values.mask(upper).iloc[1:, :-1]
    sns.heatmap(
        shown,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap="Blues",
        annot=True,
        fmt=".2f",
        linewidths=1,
        annot_kws={"size": 10},
        cbar_kws={"label": label},
    )
    ax.tick_params(axis="x", rotation=30)
    ax.tick_params(axis="y", rotation=0)
    ax.set_xticklabels(ax.get_xticklabels(), ha="right")
    ax.grid(visible=False)


def two_samples(ax: Axes, shares: pd.DataFrame, label: str) -> None:
    """Shares of two samples, one pair of marks a row; equal samples lie on each other."""
    place = np.arange(len(shares))
    for column, colour, mark in zip(shares, (GOOD, BAD), ("o", "x"), strict=True):
        ax.plot(shares[column], place, mark, color=colour, label=column, markersize=7)
    ax.hlines(place, shares.min(axis=1), shares.max(axis=1), color=QUIET, linewidth=1.2)
    ax.set_yticks(place, shares.index)
    ax.set(xlabel=label, ylim=(len(shares) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(frameon=False, loc="lower right")
