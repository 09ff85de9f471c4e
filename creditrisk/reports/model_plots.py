"""One function a figure of a model or a comparison: each draws on an ``ax`` it is given."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.metrics import roc_curve

from creditrisk.metrics.intervals import counts_of
from creditrisk.reports.drawings import BAD, GOOD, QUIET, percents, values_at
from creditrisk.reports.plots import legend, pairs, scale, square

#: Outcomes, scores and weights of the applicants of a held-out fold.
Fold = tuple[np.ndarray, np.ndarray, np.ndarray | None]


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


def roc_curves(ax: Axes, curves: Mapping[str, Iterable[Fold]]) -> None:
    """Mean ROC curve of each model over its held-out folds, and the first one's band.

    Parameters
    ----------
    curves
        By label, ``(y, score, weight)`` of each held-out fold; a weight of None: each counts once.
        Three at most can be drawn apart. The band holds the central 80% of the first model's
        folds.
    """
    grid = np.linspace(0, 1, 101)
    looks = ((GOOD, "-"), (QUIET, "--"), (BAD, "-."))
    for number, ((label, folds), (colour, style)) in enumerate(zip(curves.items(), looks)):
        points = [roc_curve(y, score, sample_weight=weight)[:2] for y, score, weight in folds]
        rates = [np.interp(grid, fpr, tpr) for fpr, tpr in points]
        mean = np.concatenate([[0], np.mean(rates, axis=0)[1:]])
        ax.plot(grid, mean, color=colour, linestyle=style, linewidth=2, label=label)
        if not number:
            low, high = np.quantile(rates, [0.1, 0.9], axis=0)
            ax.fill_between(grid, low, high, color=colour, alpha=0.15, linewidth=0)
            said = [
                f"with {fpr:.0%} of the bad approved, {tpr:.0%} of the good ({a:.0%} to {b:.0%})"
                for fpr, tpr, a, b in zip(grid, mean, low, high, strict=True)
            ]
            values_at(ax, grid[5::10], mean[5::10], said[5::10])
    legend(ax, columns=1)
    roc_frame(ax)


def roc_frame(ax: Axes) -> None:
    """Axes, labels and the line of chance of a ROC figure."""
    ax.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1.2)
    ax.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    ax.set(xlabel="bad risks taken for good (FPR)", ylabel="good risks recognized (TPR)")


def roc(
    ax: Axes, y: np.ndarray, score: np.ndarray, cutoff: float, weight: np.ndarray | None = None
) -> None:
    """The ROC curve of one sample with the operating point of a cut-off."""
    fpr, tpr, _ = roc_curve(y, score, sample_weight=weight)
    ax.step(fpr, tpr, where="post", color=GOOD, linewidth=2)
    approved, counts = np.asarray(score) >= cutoff, counts_of(weight, len(y))
    of_bad, of_good = (
        float(np.average(approved[y == kind], weights=counts[y == kind])) for kind in (0, 1)
    )
    point = of_bad, of_good
    ax.plot(*point, "D", color="black", markersize=8)
    ax.annotate(f"cut-off {cutoff:.2f}", point, (9, -12), textcoords="offset points", fontsize=10)
    said = f"approved: {point[1]:.0%} of the good, {point[0]:.0%} of the bad"
    values_at(ax, [point[0]], [point[1]], [said])
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


def differences(ax: Axes, compared: pd.DataFrame, order: list[str]) -> None:
    """What each model (row) gains over each other (column); bold and dark where it is real.

    Parameters
    ----------
    compared
        From :func:`creditrisk.modelling.significance.compare_pairs`.
    order
        Names, best first.
    """
    place = {name: number for number, name in enumerate(order)}
    for pair in compared.itertuples():
        real = pair.verdict == "better"
        look: dict[str, Any] = {"weight": "bold", "color": "white"} if real else {"color": QUIET}
        look |= {"fill": GOOD if real else "#f0f0f0"}
        square(ax, place[pair.model], place[pair.other] - 1, f"{pair.gained:+z.3f}", **look)
    pairs(ax, order, range(1, len(order)))
    ax.set_xlabel("over the model with this number", loc="left", fontsize=10.5)
    ax.xaxis.set_label_position("top")


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


def calibration(ax: Axes, table: pd.DataFrame) -> None:
    """Observed against predicted share of good risks, with Wilson intervals.

    Parameters
    ----------
    table
        From :func:`creditrisk.metrics.calibration.calibration_table`.
    """
    spread = np.clip([table.observed - table.low, table.high - table.observed], 0, None)
    ax.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1.2)
    ax.annotate("ideal", (0.06, 0.06), (4, -8), textcoords="offset points", color=QUIET)
    marks = (table.predicted, table.observed)
    ax.errorbar(*marks, yerr=spread, fmt="o", color=GOOD, capsize=3)
    said = [
        f"predicted {bin.predicted:.0%}, observed {bin.observed:.0%}"
        f" ({bin.low:.0%} to {bin.high:.0%})"
        for bin in table.itertuples()
    ]
    values_at(ax, *marks, said)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(percents)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    ax.set(xlabel="predicted probability of good risk, equal bins")
    ax.set(ylabel="observed share, 95% interval")


def dependence(ax: Axes, table: pd.DataFrame, label: str, spaced: str = "linear") -> None:
    """Mean probability over one field's values, and the central 80% of the applicants.

    Parameters
    ----------
    table
        From :func:`creditrisk.validation.inspection.dependence`.
    """

    def said(values: Iterable[object]) -> list[str]:
        rows = zip(values, table.probability, table.low, table.high, strict=True)
        return [f"{value}: {mean:.0%} ({low:.0%} to {high:.0%})" for value, mean, low, high in rows]

    if table.value.dtype.kind == "i" and len(table) > 10:
        values_at(ax, table.value, table.probability, said(table.value))
        ax.fill_between(table.value, table.low, table.high, color=GOOD, alpha=0.18, linewidth=0)
        ax.plot(table.value, table.probability, color=GOOD, linewidth=2)
        scale(ax, spaced)
    else:
        place = np.arange(len(table))
        ax.vlines(place, table.low, table.high, color=GOOD, alpha=0.4, linewidth=6)
        ax.plot(place, table.probability, "D", color=GOOD)
        names = ["missing" if pd.isna(value) else str(value) for value in table.value]
        look: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(place, names, **look if len("".join(names)) > 16 else {})
        values_at(ax, place, table.probability, said(names))
    ax.set(xlabel=label, ylim=(0, 1))
    ax.yaxis.set_major_formatter(percents)
