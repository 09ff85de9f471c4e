"""One function a figure of monitoring: each draws on an ``ax`` it is given."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from creditrisk.monitoring.verdict import Verdict
from creditrisk.monitoring.watch import Watch
from creditrisk.reports.drawings import BAD, GOOD, QUIET, percents

#: So many names of months fit on an axis.
MOST_NAMES = 8


def volumes(ax: Axes, table: pd.DataFrame) -> None:
    """Decisions a month as bars, those that the model approves as their solid part."""
    place = np.arange(len(table))
    ax.bar(place, table.decisions, color="white", edgecolor=QUIET, label="decided")
    approved = (table.approved * table.decisions).fillna(0)
    ax.bar(place, approved, color=GOOD, label="approved by the model")
    ax.set_ylabel("decisions")
    _months(ax, table.index)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def surprise(watched: Watch) -> pd.DataFrame:
    """Of each column and month: the strongest statistic of all windows over that month's limit."""
    table = watched.drift.assign(part=watched.drift.score / watched.drift.limit)
    part = table.groupby(["column", "month"], sort=False).part.max().unstack()
    shown: pd.DataFrame = part.reindex(index=watched.columns, columns=list(watched.months.names))
    return shown.clip(lower=0)


def stability(ax: Axes, watched: Watch) -> None:
    """A map of columns and months: how far towards its limit; what passed it is marked."""
    part = surprise(watched)
    marks = np.where(part > 1, "×", "")
    sns.heatmap(
        part,
        ax=ax,
        vmin=0,
        vmax=2,
        cmap="Blues",
        annot=marks,
        fmt="",
        linewidths=0.5,
        annot_kws={"size": 13, "color": BAD, "weight": "bold"},
        cbar_kws={"label": "statistic over its limit", "location": "bottom", "aspect": 40},
    )
    ax.set(xlabel="", ylabel="")
    step = -(-len(part.columns) // (MOST_NAMES // 2))
    shown = np.arange(0, len(part.columns), step)
    ax.set_xticks(shown + 0.5, [part.columns[place] for place in shown], rotation=30, ha="right")
    ax.tick_params(axis="y", rotation=0)
    ax.grid(visible=False)


def vintages(ax: Axes, table: pd.DataFrame) -> None:
    """Bad rate of each vintage with its interval, over the band in which it was expected."""
    place = np.arange(len(table))
    ends = table[["expected_low", "expected_high"]].to_numpy(dtype=float)
    ax.fill_between(
        place, ends[:, 0], ends[:, 1], color=QUIET, alpha=0.25, step="mid", label="expected"
    )
    known = table.bad_rate.notna().to_numpy()
    rate, low, high = (table[name].to_numpy(dtype=float)[known] for name in _RATE)
    spread = np.clip([rate - low, high - rate], 0, None)
    ax.errorbar(place[known], rate, spread, fmt="D", color=BAD, capsize=3, label="came")
    ax.set_ylabel("bad rate of the approved")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(percents)
    _months(ax, table.index)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


_RATE = ["bad_rate", "low", "high"]


def vintage_curves(ax: Axes, curves: pd.DataFrame) -> None:
    """The known bad rate of each vintage by its age; the older the vintage, the paler."""
    colours = sns.light_palette(BAD, len(curves) + 2)[2:]
    for colour, (month, curve) in zip(colours, curves.iterrows(), strict=True):
        ax.plot(curve.index, curve, color=colour, linewidth=1.6, label=month)
    lines, names = ax.get_legend_handles_labels()
    ends = [0, len(lines) // 2, -1] if len(lines) > 2 else list(range(len(lines)))
    ax.legend(
        [lines[each] for each in ends],
        [names[each] for each in ends],
        frameon=False,
        loc="upper left",
    )
    ax.set(xlabel="months since the decision", ylabel="known to be bad")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(percents)


def small_map(ax: Axes, watched: Watch, verdict: Verdict) -> None:
    """The map of columns and months without its words, for the index of runs."""
    ax.imshow(surprise(watched).fillna(0), aspect="auto", cmap="Blues", vmin=0, vmax=2)
    rows, columns = np.nonzero((surprise(watched) > 1).to_numpy())
    ax.plot(columns, rows, "x", color=BAD, markersize=7, markeredgewidth=2)
    ax.set(xticks=[], yticks=[], xlabel="months", ylabel="columns", title=str(verdict.level))
    ax.grid(visible=False)


def _months(ax: Axes, names: pd.Index) -> None:
    """Names of months below an axis, as many as fit."""
    shown = np.arange(0, len(names), -(-len(names) // MOST_NAMES) or 1)
    ax.set_xticks(shown, [names[place] for place in shown], rotation=30, ha="right")
    ax.grid(axis="x", visible=False)
