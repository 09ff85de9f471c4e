"""One function a figure of a model or a comparison: each draws on an ``ax`` it is given."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import roc_curve

from creditrisk.reports.plots import BAD, GOOD, QUIET, intervals, scale


def fold_scores(ax: Axes, folds: pd.DataFrame, order: list[str], label: str) -> None:
    """Every fold of every model as a dot, the mean as a diamond; the spread is the message."""
    jitter = np.random.default_rng(0)
    for place, name in enumerate(order):
        values = folds.loc[folds.model == name, "roc_auc"]
        height = place + jitter.uniform(-0.18, 0.18, len(values))
        ax.scatter(values, height, s=18, color=GOOD, alpha=0.35, linewidths=0)
        ax.plot(values.mean(), place, "D", color="black", markersize=7)
        ax.annotate(
            f"{values.mean():.3f}",
            (values.mean(), place),
            (0, 9),
            ha="center",
            textcoords="offset points",
            fontsize=10,
        )
    ax.set_yticks(range(len(order)), order)
    ax.set(xlabel=label, ylim=(len(order) - 0.5, -0.6))


def roc_curves(ax: Axes, curves: Mapping[str, Iterable[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Mean ROC curve of each model over its held-out folds, and the first one's band.

    Parameters
    ----------
    curves
        By label, pairs ``(y, score)``, one a held-out fold. Three at most can be drawn apart. The
        band holds the central 80 % of the first model's folds.
    """
    grid = np.linspace(0, 1, 101)
    looks = ((GOOD, "-"), (QUIET, "--"), (BAD, "-."))
    for number, ((label, folds), (colour, style)) in enumerate(zip(curves.items(), looks)):
        points = [roc_curve(y, score)[:2] for y, score in folds]
        rates = [np.interp(grid, fpr, tpr) for fpr, tpr in points]
        mean = np.concatenate([[0], np.mean(rates, axis=0)[1:]])
        ax.plot(grid, mean, color=colour, linestyle=style, linewidth=2, label=label)
        if not number:
            low, high = np.quantile(rates, [0.1, 0.9], axis=0)
            ax.fill_between(grid, low, high, color=colour, alpha=0.15, linewidth=0)
    roc_frame(ax)


def roc_frame(ax: Axes) -> None:
    """Axes, labels and the line of chance of a ROC figure."""
    ax.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1.2)
    ax.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    ax.set(xlabel="bad risks taken for good (FPR)", ylabel="good risks recognized (TPR)")
    ax.legend(frameon=False, loc="lower right", fontsize=9.5)


def roc(ax: Axes, y: np.ndarray, score: np.ndarray, cutoff: float) -> None:
    """The ROC curve of one sample with the operating point of a cut-off."""
    fpr, tpr, _ = roc_curve(y, score)
    ax.step(fpr, tpr, where="post", color=GOOD, linewidth=2)
    approved = np.asarray(score) >= cutoff
    point = (approved[np.asarray(y) == 0].mean(), approved[np.asarray(y) == 1].mean())
    ax.plot(*point, "D", color="black", markersize=8, label=f"cut-off {cutoff:.2f}")
    roc_frame(ax)


def split_luck(ax: Axes, splits: pd.DataFrame, overall: pd.Series) -> None:
    """What each of two models would have scored on each of many splits; a dot is a split.

    Parameters
    ----------
    splits
        From :func:`creditrisk.modelling.optimism.split_luck`; the first and the last
        column are drawn.
    overall
        By model, the ROC-AUC by cross-validation.
    """
    a, b = splits.columns[0], splits.columns[-1]
    ends = splits.min().min() - 0.01, splits.max().max() + 0.01
    wins = splits[b] > splits[a]
    for chosen, colour, mark in ((wins, GOOD, "o"), (~wins, BAD, "^")):
        ax.scatter(
            splits.loc[chosen, a],
            splits.loc[chosen, b],
            s=20,
            color=colour,
            marker=mark,
            alpha=0.6,
            linewidths=0,
        )
    ax.plot(ends, ends, color=QUIET, linestyle=":", linewidth=1.2)
    ax.plot(overall[a], overall[b], "D", color="black", markersize=8)
    ax.annotate(
        "cross-validation",
        (overall[a], overall[b]),
        (8, -12),
        fontsize=10,
        textcoords="offset points",
    )
    ax.text(0.03, 0.96, f"{b} ahead", transform=ax.transAxes, color=GOOD, va="top", fontsize=10)
    ax.text(0.97, 0.04, f"{a} ahead", transform=ax.transAxes, color=BAD, ha="right", fontsize=10)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel=f"ROC-AUC of {a}", ylabel=f"of {b}")


def differences(ax: Axes, pairs: pd.DataFrame, order: list[str]) -> None:
    """What each model (row) gains over each other (column); framed and dark where it is real.

    Parameters
    ----------
    pairs
        From :func:`creditrisk.modelling.significance.compare_pairs`.
    order
        Names, best first.
    """
    place = {name: number for number, name in enumerate(order)}
    for pair in pairs.itertuples():
        real = pair.verdict == "better"
        look: dict[str, Any] = {"weight": "bold", "color": "white"} if real else {"color": QUIET}
        x, y = place[pair.other] - 1, place[pair.model]
        ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=GOOD if real else "#f0f0f0"))
        ax.text(x, y, f"{pair.gained:+.3f}", ha="center", va="center", fontsize=10, **look)
    ax.set_yticks(range(len(order) - 1), order[:-1])
    ax.set_xticks(range(len(order) - 1), order[1:], rotation=25, ha="right")
    ax.set(xlim=(-0.5, len(order) - 1.5), ylim=(len(order) - 1.5, -0.5), xlabel="compared with")
    ax.grid(visible=False)


def means(ax: Axes, names: Sequence[str], mean: pd.Series, spread: pd.Series, label: str) -> None:
    """One mark a model with its spread as a bar, in the order given."""
    place = np.arange(len(mean))
    ax.errorbar(mean, place, xerr=spread, fmt="D", color=GOOD, capsize=3, markersize=7)
    for x, y in zip(mean, place, strict=True):
        ax.annotate(
            f"{x:.3f}", (x, y), (0, 8), ha="center", textcoords="offset points", fontsize=10
        )
    ax.set_yticks(place, names)
    ax.set(xlabel=label, ylim=(len(mean) - 0.5, -0.6))


def cost_curve(ax: Axes, cutoffs: np.ndarray, costs: np.ndarray, chosen: float) -> None:
    """Mean expected cost per applicant over the cut-off, and the central 80 % of the curves.

    Parameters
    ----------
    costs
        Shape (curves, cutoffs): one curve a bootstrap sample.
    """
    low, high = np.quantile(costs, [0.1, 0.9], axis=0)
    mean = costs.mean(axis=0)
    ax.fill_between(cutoffs, low, high, color=GOOD, alpha=0.18, linewidth=0)
    ax.plot(cutoffs, mean, color=GOOD, linewidth=2)
    ax.axvline(chosen, color="black", linestyle="--", linewidth=1.2)
    ax.annotate(
        f"cut-off {chosen:.2f}",
        (chosen, ax.get_ylim()[1]),
        (-6, -4),
        ha="right",
        va="top",
        textcoords="offset points",
        fontsize=10,
    )
    ax.set(
        xlabel="cut-off on the probability of good risk", ylabel="cost per applicant", xlim=(0, 1)
    )


def decision_curves(ax: Axes, table: pd.DataFrame, chosen: float) -> None:
    """Who is approved, and how many of those go bad, over the cut-off.

    Parameters
    ----------
    table
        From :func:`creditrisk.metrics.costs.decisions_by_cutoff`.
    """
    looks = {
        "approved": (GOOD, "-", "approved"),
        "bad_among_approved": (BAD, "--", "bad among them"),
    }
    for column, (colour, style, label) in looks.items():
        ax.plot(table.index, table[column], color=colour, linestyle=style, linewidth=2, label=label)
    ax.axvline(chosen, color="black", linestyle="--", linewidth=1.2)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of applicants")
    ax.set_xlabel("cut-off on the probability of good risk")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(frameon=False, loc="center left", fontsize=9.5)


def calibration(ax: Axes, table: pd.DataFrame) -> None:
    """Observed against predicted share of good risks, with Wilson intervals.

    Parameters
    ----------
    table
        From :func:`creditrisk.metrics.calibration.calibration_table`.
    """
    spread = np.clip([table.observed - table.low, table.high - table.observed], 0, None)
    ax.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1.2, label="ideal")
    ax.errorbar(
        table.predicted,
        table.observed,
        yerr=spread,
        fmt="o",
        color=GOOD,
        capsize=3,
        label="applicants in equal bins, 95 % interval",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    ax.set(xlabel="predicted probability of good risk", ylabel="observed share of good risks")
    ax.legend(frameon=False, loc="lower right", fontsize=9.5)


def stability(ax: Axes, table: pd.DataFrame) -> None:
    """One bar a column: its stability index; the mark is what chance alone would reach.

    Parameters
    ----------
    table
        Indexed by column, with psi and by_chance.
    """
    colours = [BAD if shifted else GOOD for shifted in table.psi > table.by_chance]
    ax.barh(table.index, table.psi, color=colours, height=0.55)
    ax.plot(
        table.by_chance, range(len(table)), "|", color="black", markersize=16, markeredgewidth=2
    )
    ax.set_xlabel("population stability index; mark: 95 % of chance differences lie below")
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def approval_rates(ax: Axes, groups: pd.DataFrame, overall: float) -> None:
    """Approval rate of each group with its interval, against that of all applicants.

    Parameters
    ----------
    groups
        From :func:`creditrisk.validation.fairness.by_group`.
    """
    names = [f"{group}  (n = {n})" for group, n in groups.applicants.items()]
    rates = groups.approved, groups.approved_low, groups.approved_high
    intervals(ax, names, *rates, overall)
    ax.set(xlabel="approval rate with 95 % interval; dashed: all applicants", xlim=(0, 1))


def dependence(ax: Axes, table: pd.DataFrame, label: str, spaced: str = "linear") -> None:
    """Mean probability over one field's values, and the central 80 % of the applicants.

    Parameters
    ----------
    table
        From :func:`creditrisk.validation.inspection.dependence`.
    """
    if table.value.dtype.kind == "i" and len(table) > 10:
        ax.fill_between(table.value, table.low, table.high, color=GOOD, alpha=0.18, linewidth=0)
        ax.plot(table.value, table.probability, color=GOOD, linewidth=2)
        scale(ax, spaced)
    else:
        place = np.arange(len(table))
        ax.vlines(place, table.low, table.high, color=GOOD, alpha=0.4, linewidth=6)
        ax.plot(place, table.probability, "D", color=GOOD)
        names = ["missing" if pd.isna(value) else str(value) for value in table.value]
        ax.set_xticks(place, names, rotation=20 if len(names) > 4 else 0)
    ax.set(xlabel=label, ylim=(0, 1))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
