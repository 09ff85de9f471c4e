"""What the fairness section of the review found: figures in, one sentence or list out."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from creditrisk.data.contract import counted
from creditrisk.data.fields import Field
from creditrisk.metrics.intervals import Interval
from creditrisk.metrics.ranking import FEW
from creditrisk.validation.gate.rules import APPROVES_GROUPS, APPROVES_THE_GOOD
from creditrisk.validation.gate.verdicts import Verdict

NOTHING = "No column is protected, or all applicants are in one group: there is nothing to compare."


def flips(found: pd.DataFrame, unused: Sequence[str]) -> str:
    """How many decisions turn with a protected value, and what that shows.

    Parameters
    ----------
    found
        From :func:`creditrisk.validation.fairness.flips.flips`.
    unused
        The titles of the protected columns that the model was not given.
    """
    if found.empty:
        return NOTHING
    lines = []
    for column, rows in found.groupby("column", sort=False):
        changes = bool(rows.turned.any() or (rows.largest_change != 0).any())
        if column in unused and not changes:
            lines.append(
                f"**{column}**: the model is not given this column, so no decision turns and no "
                "score moves. That holds by construction and shows little: the column may still "
                "be read from others, see the proxies."
            )
        elif column in unused:
            lines.append(
                f"**{column}**: the model is said not to be given this column, **and yet it moves "
                f"with it**. {_turns(rows)}"
            )
        else:
            lines.append(f"**{column}**: the model uses this column. {_turns(rows)}")
    return "\n".join(f"- {line}" for line in lines)


def _turns(rows: pd.DataFrame) -> str:
    parts = []
    for row in rows.itertuples():
        between = f" ({row.low:.1%} to {row.high:.1%})" if pd.notna(row.low) else ""
        parts.append(
            f"as “{row.to}” {row.turned:,} of {row.applicants:,} would be decided otherwise, "
            f"{row.share:.1%}{between}, and the probability of good would change by "
            f"{row.mean_change:+z.3f} on average"
        )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def twins(found: pd.DataFrame, caliper: float) -> str:
    """Whether near twins of two groups are approved alike.

    Parameters
    ----------
    found
        From :func:`creditrisk.validation.fairness.twins.twin_table`.
    caliper
        The largest distance of a pair.
    """
    if found.empty:
        return ""
    lines = []
    for row in found.itertuples():
        who = f"**{row.column}**, “{row.group}” and “{row.against}”"
        if row.pairs < FEW:
            lines.append(f"{who}: {_pairs(row.pairs, caliper)}, too few to compare.")
            continue
        gap = f"{row.difference:+z.3f} ({row.low:+z.3f} to {row.high:+z.3f})"
        verdict = "**more than chance**" if row.p < 0.05 else "not distinguishable from none"
        lines.append(
            f"{who}: {_pairs(row.pairs, caliper)}, on average {row.distance:.3f} apart. "
            f"Only the former is approved in {row.only_group} of them, only the latter in "
            f"{row.only_against}: a difference of {gap}, by McNemar's test {verdict} "
            f"(p = {row.p:.3f})."
        )
    return "\n".join(f"- {line}" for line in lines)


def _pairs(count: int, caliper: float) -> str:
    return f"{count:,} pair{'s' * (count != 1)} within {caliper:g}"


def proxies(found: pd.DataFrame, columns: pd.DataFrame) -> str:
    """How well the model's columns tell protected groups apart, and which of them most.

    Parameters
    ----------
    found, columns
        From :func:`creditrisk.validation.fairness.proxies.proxy_table` and ``proxy_columns``.
    """
    lines = []
    for row in found.itertuples():
        auc = f"{row.roc_auc:.3f} ({row.low:.3f} to {row.high:.3f})"
        verdict = "**it can be read from them**" if readable(row) else "that it can is not shown"
        own = columns[(columns.protected == row.column) & (columns.group == row.group)]
        alone = [f"{each.column} {each.roc_auc:.3f}" for each in own.itertuples() if each.low > 0.5]
        chance = f"{row.shuffled:.3f} if the groups are shuffled"
        most = f"; alone: {', '.join(alone[:3])}" if alone else "; no column does alone"
        group = f"**{row.column}**, “{row.group}”"
        lines.append(f"{group}: ROC-AUC {auc}, {chance}: {verdict}{most}.")
    return "\n".join(f"- {line}" for line in lines)


def readable(row: pd.Series) -> bool:
    """Whether the columns tell a group beyond doubt, and better than groups at random."""
    return bool(row.low > max(0.5, row.shuffled))


def parity(found: pd.DataFrame, factors: Sequence[Field]) -> str:
    """What differences of approval are left between applicants who are alike in the factors.

    Parameters
    ----------
    found
        From :func:`creditrisk.validation.fairness.parity.conditional_parity`.
    factors
        The columns that make the strata.
    """
    if found.empty:
        return ""
    by = " and ".join(field.title for field in factors) or "nothing"
    largest = found.loc[found.raw.abs().idxmax()]
    text = (
        f"Strata by {by}. The largest difference as it is: “{largest.group}” against "
        f"“{largest.against}” {largest.raw:+z.3f}"
    )
    if largest.strata:
        between = f"{largest.low:+z.3f} to {largest.high:+z.3f}"
        text += f", within strata {largest.difference:+z.3f} ({between})"
    left = unexplained(found)
    others = len(found) - len(left)
    if left.empty:
        return (
            f"{text}. In none of {counted(len(found), 'comparison')} is a difference left beyond "
            "chance, corrected for their number."
        )
    named = ", ".join(
        f"“{row.group}” against “{row.against}” {row.difference:+z.3f} (p = {row.p_corrected:.3f})"
        for row in left.itertuples()
    )
    rest = f"; in the other {others} none is shown" if others else ""
    return f"{text}. **Not explained by them**: {named}{rest}."


def unexplained(found: pd.DataFrame) -> pd.DataFrame:
    """The comparisons in which a difference is left within strata, corrected for their number."""
    return found[found.p_corrected < 0.05]


def price(
    curve: pd.DataFrame,
    registered: float,
    fair: float | None,
    extra: Interval | None,
    floor: float,
    on_test: pd.DataFrame,
) -> str:
    """What it would cost to have every group approved at a share of the best group's rate.

    Parameters
    ----------
    curve
        From :func:`creditrisk.validation.fairness.parity.trade_off`.
    registered
        The model's cut-off.
    fair
        The cheapest cut-off that reaches the floor, None if none does.
    extra
        What it costs more per applicant than the registered one.
    on_test
        The curve at both cut-offs on the test set.
    """
    now = curve.loc[registered]
    if pd.isna(now.ratio):
        return "No two groups can be compared at the registered cut-off."
    text = (
        f"At the registered cut-off of {registered:.2f} the lowest ratio is {now.ratio:.2f} "
        f"(“{now.group}” against “{now.against}”), at a cost of {now.cost:.3f} per applicant."
    )
    if now.ratio >= floor:
        return f"{text} That keeps the floor of {floor:g}."
    if fair is None or extra is None:
        return f"{text} No cut-off reaches {floor:g}."
    then = curve.loc[fair]
    verdict = "" if extra.low > 0 or extra.high < 0 else ", not distinguishable from nothing"
    return (
        f"{text} The cheapest single cut-off that reaches {floor:g} is {fair:.2f}: it approves "
        f"{then.approved:.0%} instead of {now.approved:.0%} and costs {extra} more per "
        f"applicant{verdict}. It was looked for on the same scores, which flatters it. "
        f"{_on_test(on_test.loc[registered], on_test.loc[fair])}"
    )


def _on_test(now: pd.Series, then: pd.Series) -> str:
    """What becomes of both cut-offs on applicants who took no part in the search."""
    if pd.isna(now.ratio) or pd.isna(then.ratio):
        return "On the test set the groups are too small to be compared."
    return (
        f"On the test set the lowest ratio is {then.ratio:.2f} there and {now.ratio:.2f} at the "
        f"registered one, at {then.cost:.3f} and {now.cost:.3f} per applicant."
    )


def intersections(found: pd.DataFrame) -> str:
    """The lowest approval where protected groups meet, and which groups differ beyond chance."""
    if found.empty:
        return ""
    lowest = found.iloc[0]
    share = f"{lowest.approved:.1%} ({lowest.low:.1%} to {lowest.high:.1%})"
    apart = differing(found)
    named = ", ".join(
        f"“{row.group}” ({row.ratio:.2f}, p = {row.p_corrected:.3f})" for row in apart.itertuples()
    )
    ends = f"Beyond chance differ: {named}." if len(apart) else "None differs beyond chance."
    return (
        f"{len(found)} groups of ten or more. Least often approved is “{lowest.group}”: {share} of "
        f"{lowest.applicants:,}, against {lowest.others:.1%} of all others. {ends}"
    )


def differing(found: pd.DataFrame) -> pd.DataFrame:
    """The groups whose approval differs from that of all others, corrected for their number."""
    return found[found.p_corrected < 0.05]


def summary(
    flipped: pd.DataFrame, proxy: pd.DataFrame, within: pd.DataFrame, meeting: pd.DataFrame
) -> str:
    """What the section found, in one line."""
    if flipped.empty:
        return "**Fairness**: nothing to compare."
    read = sum(readable(row) for row in proxy.itertuples())
    parts = [
        _turned(int(flipped.turned.sum())),
        f"{read} of {counted(len(proxy), 'protected group')} can be read from other columns",
        f"{_of(len(unexplained(within)), len(within), 'difference')} left within strata",
        f"{_of(len(differing(meeting)), len(meeting), 'group')} approved otherwise beyond chance",
    ]
    return f"**Fairness**: {'; '.join(parts)}."


def _turned(count: int) -> str:
    what = "decision turns" if count == 1 else "decisions turn"
    return f"{count or 'no'} {what} with a protected value"


def _of(count: int, total: int, what: str) -> str:
    return f"{count} of {counted(total, what)} {'is' if 1 in (count, total) else 'are'}"


def to_settle(rules: Iterable[Mapping[str, str]]) -> str:
    """The gate's rules on groups that are not kept, with their figures; empty if all are.

    Parameters
    ----------
    rules
        As in ``experiments/validation.json``.
    """
    of = {APPROVES_GROUPS: "approvals", APPROVES_THE_GOOD: "approvals of the good"}
    broken = [rule for rule in rules if rule["verdict"] in (Verdict.WARNING, Verdict.STOP)]
    ratios: dict[str, list[str]] = {}  # by groups that are compared
    for begin, what in of.items():
        for rule in broken:
            if rule["rule"].startswith(begin):
                groups, _, ratio = rule["figure"].partition(";")[0].rpartition(": ")
                ratios.setdefault(groups, []).append(f"ratio of {what} {ratio}")
    return "; ".join(f"{', '.join(each)}, for {groups}" for groups, each in ratios.items())


def worst_ratio(curve: pd.DataFrame, registered: float) -> str:
    """The ratio at the registered cut-off, as the head of the figure."""
    ratio = curve.ratio[registered]
    if pd.isna(ratio):
        return "No two groups can be compared at the registered cut-off"
    return f"The worst ratio is {ratio:.2f} at the registered cut-off"
