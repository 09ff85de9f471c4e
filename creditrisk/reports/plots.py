"""One function a figure: each draws on an ``ax`` it is given.

Good risks are blue and solid, bad risks orange and hatched or dashed, in every figure.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.pyplot import subplots
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter, StrMethodFormatter
from sklearn.metrics import roc_curve

GOOD, BAD, QUIET = "#0173b2", "#de8f05", "#6b6b6b"
HATCH = "///"


def use_house_style() -> None:
    """Set the theme of every figure in this notebook."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    # sans-serif first as shipped with matplotlib: a figure must not depend on a machine's fonts
    sns.set_style("whitegrid", {"font.family": "DejaVu Sans", "axes.edgecolor": "#cccccc"})
    # a level or title is shown as it is spelt, also where it holds dollar signs
    rcParams["text.parse_math"] = False


def figure(height: float = 4.0, width: float = 7.4, **axes) -> tuple[Figure, Axes]:
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


def intervals(ax: Axes, names, middle, low, high, reference: float, colour: str = GOOD) -> None:
    """One mark a row with its interval, against a dashed line."""
    place = np.arange(len(names))
    # An end may lie a rounding on the wrong side of a share of 0 or 1.
    spread = np.clip([np.asarray(middle) - low, high - np.asarray(middle)], 0, None)
    ax.axvline(reference, color=QUIET, linestyle="--", linewidth=1.2, zorder=1)
    ax.errorbar(middle, place, xerr=spread, fmt="D", color=colour, capsize=3, markersize=6)
    ax.set_yticks(place, list(names))
    ax.set_ylim(len(names) - 0.5, -0.5)


def distributions(ax: Axes, values: pd.Series, y: pd.Series, bins, label: str) -> None:
    """How good and bad risks spread over a quantity, each as share of its class."""
    for value, name, colour, style in ((1, "good", GOOD, "-"), (0, "bad", BAD, "--")):
        chosen = values[y == value]
        weights = np.full(len(chosen), 1 / len(chosen))
        look = {"color": colour, "linestyle": style, "linewidth": 2, "label": f"{name} risk"}
        ax.hist(chosen, bins=bins, weights=weights, histtype="step", **look)
        ax.hist(chosen, bins=bins, weights=weights, color=colour, alpha=0.12)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set(xlabel=label, ylabel="share of the class")
    ax.legend(frameon=False)


def ranking(ax: Axes, strength: pd.Series, thresholds: dict[str, float], label: str) -> None:
    """One bar a variable, the strongest on top, with named thresholds as dotted lines."""
    bars = ax.barh(strength.index, strength, color=GOOD, height=0.6)
    ax.bar_label(bars, [f"{value:.2f}" for value in strength], padding=4)
    for name, value in thresholds.items():
        ax.axvline(value, color=QUIET, linestyle=":", linewidth=1.4)
        ax.text(value, -0.75, f" {name}", color=QUIET, fontsize=9, ha="left", va="center")
    ax.set(xlabel=label, xlim=(0, 1.12 * strength.max()), ylim=(len(strength) - 0.5, -1.1))
    ax.grid(axis="y", visible=False)


def two_quantities(ax: Axes, x: pd.Series, y: pd.Series, good: pd.Series) -> None:
    """Two quantities against each other, one mark an applicant."""
    for value, name, colour, mark in ((1, "good", GOOD, "o"), (0, "bad", BAD, "^")):
        chosen = good == value
        ax.scatter(
            x[chosen],
            y[chosen],
            s=16,
            marker=mark,
            color=colour,
            alpha=0.55,
            linewidths=0,
            label=f"{name} risk",
        )
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
    for tick in ax.get_xticklabels():
        tick.set_ha("right")
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
    ax.legend(frameon=False)


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
        look = {"weight": "bold", "color": "white"} if real else {"color": QUIET}
        x, y = place[pair.other] - 1, place[pair.model]
        ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=GOOD if real else "#f0f0f0"))
        ax.text(x, y, f"{pair.gained:+.3f}", ha="center", va="center", fontsize=10, **look)
    ax.set_yticks(range(len(order) - 1), order[:-1])
    ax.set_xticks(range(len(order) - 1), order[1:], rotation=25, ha="right")
    ax.set(xlim=(-0.5, len(order) - 1.5), ylim=(len(order) - 1.5, -0.5), xlabel="compared with")
    ax.grid(visible=False)


def means(ax: Axes, names, mean: pd.Series, spread: pd.Series, label: str) -> None:
    """One mark a model with its spread as a bar, in the order given."""
    place = np.arange(len(mean))
    ax.errorbar(mean, place, xerr=spread, fmt="D", color=GOOD, capsize=3, markersize=7)
    for x, y in zip(mean, place, strict=True):
        ax.annotate(
            f"{x:.3f}", (x, y), (0, 8), ha="center", textcoords="offset points", fontsize=10
        )
    ax.set_yticks(place, list(names))
    ax.set(xlabel=label, ylim=(len(mean) - 0.5, -0.6))


def split_luck(ax: Axes, splits: pd.DataFrame, overall: pd.Series) -> None:
    """What each of two models would have scored on each of many splits; a dot is a split.

    Parameters
    ----------
    splits
        From :func:`creditrisk.modelling.significance.split_luck`; its first and last column are drawn.
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


def roc_band(ax: Axes, folds: list, name: str, colour: str, style: str, band: bool) -> None:
    """Mean ROC curve over held-out folds, with the central 80 % of the folds as a band.

    Parameters
    ----------
    folds
        Pairs ``(y, score)``, one a held-out fold.
    """
    grid = np.linspace(0, 1, 101)
    curves = []
    for y, score in folds:
        fpr, tpr, _ = roc_curve(y, score)
        curves.append(np.interp(grid, fpr, tpr))
    mean = np.concatenate([[0], np.mean(curves, axis=0)[1:]])
    ax.plot(grid, mean, color=colour, linestyle=style, linewidth=2, label=name)
    if band:
        low, high = np.quantile(curves, [0.1, 0.9], axis=0)
        ax.fill_between(grid, low, high, color=colour, alpha=0.15, linewidth=0)


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


def confusion(ax: Axes, table: pd.DataFrame) -> None:
    """Decisions against outcomes, counts and shares of all applicants."""
    shares = table / table.to_numpy().sum()
    labels = [
        [f"{count}\n{share:.0%}" for count, share in zip(counts, row, strict=True)]
        for counts, row in zip(table.to_numpy(), shares.to_numpy(), strict=True)
    ]
    sns.heatmap(
        shares,
        ax=ax,
        annot=np.array(labels),
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=0.7,
        cbar=False,
        linewidths=2,
        annot_kws={"size": 13},
    )
    ax.set(xlabel="decision", ylabel="outcome")
    ax.tick_params(axis="y", rotation=0)
    ax.grid(visible=False)


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


def score_distributions(ax: Axes, y: np.ndarray, score: np.ndarray, cutoff: float) -> None:
    """How the scores of good and bad risks lie about the cut-off."""
    label = "predicted probability of good risk"
    distributions(ax, pd.Series(score), pd.Series(np.asarray(y)), np.linspace(0, 1, 21), label)
    ax.axvline(cutoff, color="black", linestyle="--", linewidth=1.2)
    ax.annotate(
        f"approve from {cutoff:.2f}",
        (cutoff, ax.get_ylim()[1]),
        (-6, -4),
        ha="right",
        va="top",
        textcoords="offset points",
        fontsize=10,
    )


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
