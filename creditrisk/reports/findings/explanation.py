"""What the explanation found: figures in, one sentence or list out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.metrics.intervals import Interval
from creditrisk.scoring.scorer import Decision

Titles = Mapping[str, str]  # name of a field -> its title


def subject(version: Mapping[str, Any], applicants: int, declined: int) -> str:
    """Which version is explained, and by whom; ``version`` as in ``registration.json``."""
    return (
        f"**{version['model']} version {version['version']}**, {version['champion']}; "
        f"{applicants} applicants it never saw, {declined} of them declined."
    )


def importance(worth: pd.DataFrame, titles: Titles) -> str:
    """Which field matters most; ``worth`` is from ``inspection.importance``."""
    clear = int((worth.low > 0).sum())
    return (
        f"{titles[worth.field[0]]} is worth most; {clear} of {len(worth)} fields beyond doubt "
        "something"
    )


def swings(curves: Mapping[str, pd.DataFrame]) -> "pd.Series[float]":
    """By how much each field moves the mean probability over its values, the widest first.

    Parameters
    ----------
    curves
        By field, from :func:`~creditrisk.validation.inspection.dependence`.
    """
    found = {name: c.probability.max() - c.probability.min() for name, c in curves.items()}
    return pd.Series(found, dtype=float).sort_values(ascending=False, kind="stable")


def dependence(swing: "pd.Series[float]", titles: Titles) -> str:
    """Which field moves the mean probability most; ``swing`` from :func:`swings`."""
    return f"{titles[swing.index[0]]} moves it most, by {100 * swing.iloc[0]:.0f} points"


def sensitivity(steady: pd.DataFrame, titles: Titles) -> str:
    """Which small error changes most decisions.

    Parameters
    ----------
    steady
        From :func:`~creditrisk.validation.inspection.sensitivity`.
    """
    most = steady.loc[steady.flipped.idxmax()]
    return (
        f"The most sensitive field is {titles[most.field]}: moved by {most.change}, it turns over "
        f"{most.flipped:.1%} of the decisions."
    )


def extrapolation(edge: pd.DataFrame, titles: Titles) -> str:
    """How far the model goes on where it has seen nobody.

    Parameters
    ----------
    edge
        From :func:`~creditrisk.validation.inspection.extrapolation`.
    """
    far = edge.loc[edge.mean_change.abs().idxmax()]
    if abs(far.mean_change) < 1e-9:  # less is the rounding of a mean
        return "Beyond what was seen the model stays as it is: no probability moves at all."
    return (
        f"Beyond what was seen the mean probability moves by at most "
        f"{100 * abs(far.mean_change):.1f} points, at {titles[far.field]} {far.limit} (nearest "
        f"seen: {far.seen}); {far.flipped:.1%} of the decisions turn over there."
    )


def example(number: int, decision: Decision) -> str:
    """What one applicant who is declined gets to read."""
    reasons = [f"{n}. {reason.words}" for n, reason in enumerate(decision.reasons or (), 1)]
    return (
        f"**Applicant {number}**: probability of good {decision.probability:.3f}, "
        f"{decision.decision}.\n\n" + ("\n".join(reasons) or "No single field stands out.")
    )


def reasons(checked: pd.DataFrame, titles: Titles) -> str:
    """Whether the strongest reason holds for the declined applicants, and which it is.

    Parameters
    ----------
    checked
        From :func:`~creditrisk.validation.inspection.top_reasons`; empty if there are none.
    """
    if checked.empty:
        return (
            "Nobody is declined, or nobody approved to compare with: there are no reasons to give."
        )
    first = checked.field.map(titles).value_counts()
    named = ", ".join(f"{name} {count}" for name, count in first.items())
    return (
        f"For {checked.rises.mean():.1%} of the {len(checked)} declined applicants the score rises "
        "if the field of the strongest reason has the usual value and nothing else changes. "
        f"First named: {named}."
    )


def scorecard(apart: float, applications: int, lead: Interval) -> str:
    """Whether query and model agree, and how the champion compares with its scorecard.

    Parameters
    ----------
    apart
        Largest difference of a probability between the two.
    lead
        ROC-AUC of the champion less that of the scorecard.
    """
    if lead.low <= 0 <= lead.high:
        verdict = "not distinguishably better or worse"
    else:
        verdict = "better" if lead.low > 0 else "worse"
    return (
        f"SQL and Python agree to {apart:.0e} on {applications} applications. On the unseen ones "
        f"the champion ranks {verdict} than the scorecard: ROC-AUC gained {lead}."
    )


def summary(
    worth: pd.DataFrame,
    steady: pd.DataFrame,
    checked: pd.DataFrame,
    points: int,
    lead: Interval,
    titles: Titles,
) -> str:
    """What the explanation found, one line a promise; ``points`` counts the scorecard's bins."""
    clear = ", ".join(titles[name] for name in worth.field[worth.low > 0]) or "no field"
    lines = [
        f"**{titles[worth.field[0]]}** is worth most to the model; {clear} beyond doubt something.",
        f"**Sensitivity**: {sensitivity(steady, titles)}",
        f"**The scorecard** has {points} bins; its ROC-AUC and the champion's differ by {lead}.",
    ]
    if len(checked):
        rises = checked.rises.mean()
        lines.insert(2, f"**Reasons**: the strongest one holds for {rises:.1%} of the declined.")
    return "\n".join(f"- {line}" for line in lines)


def headline(worth: pd.DataFrame, checked: pd.DataFrame, titles: Titles) -> str:
    """The explanation in one sentence."""
    text = f"{titles[worth.field[0]]} decides most"
    if checked.empty:
        return text
    return f"{text}; the strongest reason holds for {checked.rises.mean():.0%} of the declined"


def spread_out(declined: pd.DataFrame, number: int) -> pd.DataFrame:
    """So many of the declined applications, from the first to the last at equal distances."""
    rows = np.linspace(0, len(declined) - 1, min(number, len(declined)))
    return declined.iloc[rows.astype(int)]
