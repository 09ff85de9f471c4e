"""One function a figure of what is decided, and of whom: each draws on an ``ax`` it is given."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from creditrisk.reports.drawings import BAD, GOOD, QUIET, percents, values_at
from creditrisk.reports.plots import intervals


def cost_curve(ax: Axes, cutoffs: np.ndarray, costs: np.ndarray, chosen: float) -> None:
    """Mean expected cost per applicant over the cut-off, and the central 80% of the curves.

    Parameters
    ----------
    costs
        Shape (curves, cutoffs): one curve a bootstrap sample.
    """
    low, high = np.quantile(costs, [0.1, 0.9], axis=0)
    mean = costs.mean(axis=0)
    said = [
        f"cut-off {cutoff:.2f}: {cost:.2f} ({a:.2f} to {b:.2f}) per applicant"
        for cutoff, cost, a, b in zip(cutoffs, mean, low, high, strict=True)
    ]
    values_at(ax, cutoffs[4::5], mean[4::5], said[4::5])
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


def cutoffs_chosen(ax: Axes, shares: "pd.Series[float]", registered: float) -> None:
    """How often resampled applicants lead to each cut-off.

    Parameters
    ----------
    shares
        Of the samples, by cut-off.
    """
    at = shares.index.to_numpy(dtype=float)
    ax.bar(at, shares, width=0.008, color=GOOD)
    said = [f"cut-off {each:.2f}: {share:.1%} of samples" for each, share in zip(at, shares)]
    values_at(ax, at, shares, said)
    ax.axvline(registered, color="black", linestyle="--", linewidth=1.2)
    ax.set(xlabel="cheapest cut-off; dashed: registered", ylabel="share of samples")
    ax.yaxis.set_major_formatter(percents)


def trade_off(
    ax: Axes, curve: pd.DataFrame, registered: float, fair: float | None, floor: float
) -> None:
    """Cost against the worst group's ratio, one mark a cut-off; two of them are named.

    Parameters
    ----------
    curve
        From :func:`creditrisk.validation.fairness.parity.trade_off`.
    registered, fair
        The model's cut-off, and the cheapest that reaches the floor, if one does.
    """
    known = curve[curve.ratio.notna()]
    look: dict[str, Any] = {"color": QUIET, "linewidth": 0.8, "markersize": 4}
    ax.plot(known.ratio, known.cost, "-o", markerfacecolor=GOOD, markeredgewidth=0, **look)
    said = [
        f"cut-off {cutoff:.2f}: ratio {row.ratio:.2f}, cost {row.cost:.2f}"
        for cutoff, row in known.iterrows()
    ]
    values_at(ax, known.ratio, known.cost, said)
    ax.axvline(floor, color=QUIET, linestyle=":", linewidth=1.4)
    for cutoff, mark, colour, word in (
        (registered, "D", "black", "registered"),
        (fair, "s", BAD, "cheapest right of the line"),
    ):
        if cutoff is not None and cutoff in known.index:
            place = known.ratio[cutoff], known.cost[cutoff]
            label = f"{word}, {cutoff:.2f}"
            ax.plot(*place, mark, color=colour, markersize=8, label=label, zorder=5)
    ax.legend(frameon=False, fontsize=10, loc="best")
    ax.set(xlabel="lowest approval rate of a group over the highest", xlim=(-0.03, 1.03))
    ax.set_ylabel("cost per applicant")


def decision_curves(ax: Axes, table: pd.DataFrame, chosen: float) -> None:
    """Who is approved, and how many of those go bad, over the cut-off.

    Parameters
    ----------
    table
        From :func:`creditrisk.metrics.costs.decisions_by_cutoff`.
    """
    looks = {
        "approved": (GOOD, "-", "approved", -13),
        "bad_among_approved": (BAD, "--", "bad among them", 6),
    }
    for column, (colour, style, label, above) in looks.items():
        shares = table[column]
        ax.plot(table.index, shares, color=colour, linestyle=style, linewidth=2)
        look: dict[str, Any] = {"textcoords": "offset points", "color": colour, "fontsize": 10}
        ax.annotate(label, (0.02, shares.iloc[1]), (0, above), **look)
        known = shares.dropna().iloc[4::5]
        said = [f"cut-off {cutoff:.2f}: {share:.0%} {label}" for cutoff, share in known.items()]
        values_at(ax, known.index, known, said)
    ax.axvline(chosen, color="black", linestyle="--", linewidth=1.2)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of applicants")
    ax.set_xlabel("cut-off on the probability of good risk")
    ax.yaxis.set_major_formatter(percents)


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
    said = [
        f"{name}: {row.psi:.3f}, by chance below {row.by_chance:.3f}"
        for name, row in table.iterrows()
    ]
    values_at(ax, table.psi, range(len(table)), said)
    ax.set_xlabel("mark: 95% of chance differences lie below")
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)


def approval_rates(ax: Axes, groups: pd.DataFrame, overall: float) -> None:
    """Approval rate of each group with its interval, against that of all applicants.

    Parameters
    ----------
    groups
        From :func:`creditrisk.validation.fairness.disparity.by_group`.
    """
    names = [f"{group} (n = {n})" for group, n in groups.applicants.items()]
    rates = groups.approved, groups.approved_low, groups.approved_high
    intervals(ax, names, *rates, overall, form="{:.0%}")
    ax.set(xlabel="approval rate, 95% interval; dashed: overall", xlim=(0, 1))
    ax.xaxis.set_major_formatter(percents)
