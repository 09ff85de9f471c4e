"""What the explanation found: figures in, one sentence or list out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.missing_values import MISSING
from creditrisk.metrics.intervals import Interval
from creditrisk.reports.findings.scorecard import lead_over_scorecard
from creditrisk.scoring.scorer import Decision
from creditrisk.validation.blanks import ALL

Titles = Mapping[str, str]  # name of a field -> its title


def subject(version: Mapping[str, Any], applicants: int, declined: int) -> str:
    """Which version is explained, and by whom; ``version`` as in ``registration.json``."""
    return (
        f"**{version['model']} version {version['version']}**, {version['champion']}; "
        f"{applicants:,} applicants it never saw, {declined:,} of them declined."
    )


def importance(worth: pd.DataFrame, titles: Titles) -> str:
    """Which field matters most; ``worth`` is from ``inspection.importance``."""
    clear, first = int((worth.low > 0).sum()), _first(worth, titles)
    if first is None:
        return "No field is worth anything on its own"
    return f"{first} is worth most; {clear} of {len(worth)} fields beyond doubt something"


def _first(worth: pd.DataFrame, titles: Titles) -> str | None:
    """The field worth most, None if it is worth less than is shown."""
    return titles[worth.field[0]] if worth.loss[0] >= 0.0005 else None


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
    points = f"{100 * swing.iloc[0]:.0f}"
    if points == "0":
        return "No field moves it by a point"
    return f"{titles[swing.index[0]]} moves it most, by {points} points"


def sensitivity(steady: pd.DataFrame, titles: Titles) -> str:
    """Which small error changes most decisions.

    Parameters
    ----------
    steady
        From :func:`~creditrisk.validation.inspection.sensitivity`.
    """
    turned = (steady.flipped * steady.applicants).fillna(0)
    if not turned.any():
        return "No small error and no missing value turns over a decision."
    most = steady.loc[turned.idxmax()]
    missing = most.change == MISSING
    how = "taken as missing" if missing else f"moved by {most.change}"
    text = (
        f"The most sensitive field is {titles[most.field]}: {how}, it turns over the decision of "
        f"{_share_turned(most)} applicants."
    )
    errors = turned[steady.change != MISSING]
    if not missing or not errors.any():
        return text
    error = steady.loc[errors.idxmax()]
    return text + (
        f" Of small errors, {titles[error.field]} moved by {error.change} turns over most, "
        f"{_share_turned(error)}."
    )


def _share_turned(row: Any) -> str:
    """How many decisions turn of those of applicants whose value could move."""
    return f"{row.flipped * row.applicants:,.0f} of {row.applicants:,.0f}"


def blanks(found: pd.DataFrame, titles: Titles) -> str:
    """What blanks would do if they were taken as missing values, and what becomes of them today.

    Parameters
    ----------
    found
        From :func:`~creditrisk.validation.blanks.blanks`.
    """
    if found.empty:
        return "No field may be missing: a blank is refused wherever it is sent."
    lines = [_blank(row, titles) for row in found.itertuples() if row.field != ALL]
    together = found[found.field == ALL]
    if len(together):
        both = together.iloc[0]
        lines.append(
            f"With {ALL} blank, approvals would go from {both.approved:.1%} to "
            f"{both.approved_if_blank:.1%}."
        )
    return "\n".join(f"- {line}" for line in lines)


def _blank(row: Any, titles: Titles) -> str:
    text = f"**{titles[row.field]}**, if a blank were taken as missing: "
    if not row.declined:
        text += "none of those who stated a value is declined."
    elif not row.turned:
        text += f"none of the {row.declined:,} declined who stated a value would be approved."
    else:
        text += (
            f"of {row.declined:,} declined applicants who stated a value, {row.turned:,} would be "
            f"approved ({row.turned_share:.0%}); {row.bad:,} of these went bad "
            f"({row.bad_share:.0%})."
        )
    return f"{text} A blank is {row.today}."


def worst_blank(found: pd.DataFrame, titles: Titles) -> str:
    """The field in which a blank would buy most approvals, in one line; empty if none would."""
    single = found[found.field != ALL]
    if not single.turned.any():
        return ""
    most = single.loc[single.turned.idxmax()]
    return (
        f"**Blanks**: taken as missing, a blank in {titles[most.field]} would approve "
        f"{most.turned:,} of {most.declined:,} declined applicants, {most.bad:,} of them bad; a "
        f"blank is {most.today}."
    )


def extrapolation(edge: pd.DataFrame, titles: Titles) -> str:
    """How far the model goes on where it has seen nobody.

    Parameters
    ----------
    edge
        From :func:`~creditrisk.validation.inspection.extrapolation`.
    """
    if edge.empty:
        return "The contract sets no bounds that lie beyond what was seen."
    moved, turned = edge.largest_change.abs().fillna(0), edge.flipped.fillna(0)
    points = f"{100 * moved.max():.1f}"
    if points == "0.0" and not turned.any():  # what is less is rounding, and names no field
        return "Beyond what was seen the model stays as it is: no probability or decision moves."
    far = edge.loc[turned.idxmax() if points == "0.0" else moved.idxmax()]
    return (
        f"Beyond what was seen a probability moves by at most {points} points, at "
        f"{titles[far.field]} {far.limit:,} (nearest seen: {far.seen:,}); {far.flipped:.1%} of the "
        "decisions turn over there."
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
        From :func:`~creditrisk.validation.reasons.top_reasons`; empty if there are none.
    """
    if checked.empty:
        return (
            "Nobody is declined, or nobody approved to compare with: there are no reasons to give."
        )
    first = checked.field.map(titles).value_counts()
    named = ", ".join(f"{name} {count}" for name, count in first.items())
    return (
        f"For {checked.rises.mean():.1%} of {len(checked):,} declined applicants the score "
        "rises if the field of the strongest reason has the usual value and nothing else changes; "
        f"that alone would approve {checked.turns.sum():,} of them. First named: {named}."
    )


def sampled_shares(error: Mapping[str, float] | None) -> str:
    """How uncertain the shares are, if orders of the fields were sampled; empty if all are exact.

    Parameters
    ----------
    error
        From :func:`~creditrisk.validation.reasons.sampling_error`.
    """
    if error is None:
        return ""
    return (
        f"Of {error['applicants']:,.0f} of them too many fields differ to try all mixtures, so the "
        f"shares are estimated from {error['orders']:,.0f} orders of the fields. The standard "
        f"error of the strongest reason's share is {error['standard_error']:.3f} on average and "
        f"{error['largest_standard_error']:.3f} at most, of a share of {error['share']:.2f} on the "
        "log-odds."
    )


def summary(
    worth: pd.DataFrame,
    steady: pd.DataFrame,
    empty: pd.DataFrame,
    checked: pd.DataFrame,
    points: int,
    lead: Interval,
    titles: Titles,
) -> str:
    """What the explanation found, one line a promise.

    Parameters
    ----------
    worth, steady, empty, checked
        From ``importance``, ``sensitivity``, ``blanks`` and ``top_reasons`` of the validation.
    points
        Bins of the scorecard.
    """
    clear = ", ".join(titles[name] for name in worth.field[worth.low > 0]) or "no field"
    first = _first(worth, titles)
    lines = [
        f"**{first}** is worth most to the model; {clear} beyond doubt something."
        if first
        else "**No field** is worth anything to the model on its own.",
        f"**Sensitivity**: {sensitivity(steady, titles)}",
        f"**The scorecard** has {points} bins. {lead_over_scorecard(lead)}",
    ]
    if len(checked):
        rises = checked.rises.mean()
        lines.insert(
            2,
            f"**Reasons**: the usual value in the strongest reason's field alone raises "
            f"{rises:.1%} of the declined scores and approves {checked.turns.sum():,} of "
            f"{len(checked):,}.",
        )
    if blank := worst_blank(empty, titles):
        lines.insert(2, blank)
    return "\n".join(f"- {line}" for line in lines)


def headline(worth: pd.DataFrame, checked: pd.DataFrame, titles: Titles) -> str:
    """The explanation in one sentence."""
    first = _first(worth, titles)
    text = f"{first} decides most" if first else "No field decides on its own"
    if checked.empty:
        return text
    turned = f"{checked.turns.sum():,} of {len(checked):,} declined would be approved"
    return f"{text}; {turned} with the usual value in their strongest reason's field"


def spread_out(declined: pd.DataFrame, number: int) -> pd.DataFrame:
    """So many of the declined applications, from the first to the last at equal distances."""
    rows = np.linspace(0, len(declined) - 1, min(number, len(declined)))
    return declined.iloc[rows.astype(int)]
