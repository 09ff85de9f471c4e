"""What monitoring found: figures in, one sentence or list out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from creditrisk.metrics.intervals import Interval
from creditrisk.monitoring.alarms.challenger import Comparison
from creditrisk.monitoring.alarms.relation import SLOPE
from creditrisk.monitoring.verdict import Verdict
from creditrisk.monitoring.watch import Watch

NO_LOG = "There is no decision log, so that nothing can be judged yet"


def subject(version: int | str, in_production: int | None) -> str:
    """Which version is judged, and whether it is the one that decides."""
    if in_production is None:
        return f"Judged is **version {version}**; nothing is in production."
    if str(in_production) == str(version):
        return f"Judged is **version {version}**, which is in production."
    return (
        f"Judged is **version {version}**, the last that was trained here; **version "
        f"{in_production} is in production**. The training sample is that of version {version}."
    )


def log(decisions: pd.DataFrame, place: str, version: str) -> str:
    """What the log holds; ``version`` is the model that is judged, as the log has it."""
    if decisions.empty:
        folder = place.removeprefix("../")
        return (
            f"{NO_LOG}: `{folder}` holds none. `creditrisk serve --decision-log "
            f"{folder}/server.jsonl` and `creditrisk score … --log {folder}` write one; "
            f"`creditrisk simulate --out {folder}` makes one up, to see "
            "what this page says; each takes `--data` for another data set."
        )
    made_up, known = int(decisions.simulated.sum()), int(decisions.outcome.notna().sum())
    note = f" **{made_up:,} of them are simulated.**" if made_up else ""
    others = int((decisions.model_version != version).sum())
    if others:
        note += (
            f" Made by other versions than the one that is judged: **{others:,}**. Volume has the "
            "approvals as they were, and all that follows those that this version would give."
        )
    return (
        f"{len(decisions):,} decisions from {decisions.time.min():%Y-%m-%d} to "
        f"{decisions.time.max():%Y-%m-%d}, with {known:,} "
        f"outcome{'s' * (known != 1)}.{note}"
    )


def volumes(table: pd.DataFrame) -> str:
    """How many were decided, approved, overridden and refused a month."""
    if not table.decisions.sum():
        return ""
    weighted = np.average(table.approved.fillna(0), weights=table.decisions)
    rates = table.approved.dropna()
    least, most = table.decisions.min(), table.decisions.max()
    a_month = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return (
        f"{a_month} decisions a month; the model "
        f"approved {weighted:.0%} of them, from {rates.min():.0%} to {rates.max():.0%} by month. "
        f"Decisions that people changed: {table.overridden.sum():,}; requests that were refused as "
        f"they broke the contract: {table.rejected.sum():,}."
    )


def rejections(table: pd.DataFrame) -> str:
    """The most frequent reason why requests were refused."""
    if table.empty:
        return "No request was refused."
    counts = table.sum(axis=1)
    return f"The most frequent reason, {counts.iloc[0]:,} of {counts.sum():,}: {counts.index[0]}."


def drift(watched: Watch) -> str:
    """How many columns passed their limits, and in which direction they went."""
    table = watched.drift
    if table.empty:
        return "" if not watched.months.names else "No month has enough decisions to be judged."
    strongest = table[table.alarm.astype(bool)].sort_values("score", ascending=False)
    strongest = strongest.drop_duplicates("column")
    listed = "".join(
        f"\n- **{row.column}**, first in {_first(table, row.column)}, most in {row.month} "
        f"({_window(row.window)}): PSI {row.psi:.3f}, limit {row.psi_limit:.3f}; {row.moved}"
        for row in strongest.itertuples()
    )
    count = len(strongest)
    return (
        f"{count or 'None'} of {len(watched.columns)} went beyond a limit that allows for their "
        f"number, the windows and the months{':' if count else '.'}{listed}"
    )


def _first(table: pd.DataFrame, column: str) -> str:
    return str(table.month[(table.column == column) & table.alarm.astype(bool)].min())


def not_recorded(titles: Sequence[str]) -> str:
    """Which columns cannot be watched, as not every decision has them on record."""
    if not titles:
        return ""
    return (
        f"Not on record in every decision, and so not watched: {', '.join(titles)}. What no model "
        "uses is not recorded."
    )


def outside(table: pd.DataFrame) -> str:
    """How many inputs the training sample does not cover."""
    if table.empty or table["any"].isna().all():
        return ""
    columns = table.drop(columns="any").max()
    if not columns.max():
        return "No applicant had an input that training did not cover."
    return (
        f"{table['any'].min():.1%} to {table['any'].max():.1%} of a month's applicants have an "
        "input that training did not cover: there the model extrapolates. Most often it is "
        f"{columns.idxmax()}, {columns.max():.1%} in one month."
    )


def outcomes(vintages: pd.DataFrame) -> str:
    """What is known of the approved, and what the unknown could do to the bad rate at worst."""
    approved = vintages.approved.sum()
    if not approved:
        return ""
    known = float((vintages.known * vintages.approved).sum() / approved)
    low, high = (
        float((vintages[end] * vintages.approved).sum() / approved)
        for end in ("at_best", "at_worst")
    )
    return (
        f"Of {known:.0%} of the approved the outcome is known. Whatever becomes of the others, "
        f"between {low:.0%} and {high:.0%} of all approved go bad."
    )


def matured(auc: Interval | None, validated: float, observed: float, expected: float) -> str:
    """How matured outcomes rank and how they agree with the scores.

    Parameters
    ----------
    auc
        ROC-AUC of the approved with an outcome; None with too few of them.
    validated
        The ROC-AUC at validation among those that the model approves.
    observed, expected
        Bad rate that came, and that the scores expected of the same applicants.
    """
    if auc is None:
        return "Too few outcomes are known to judge ranking and calibration."
    lost = auc.high < validated
    verdict = "**lower beyond doubt than**" if lost else "not shown to be lower than"
    return (
        f"Among approved applicants with an outcome the ROC-AUC is {auc}, {verdict} the "
        f"{validated:.3f} of the held-out scores among those that are approved; a model always "
        "ranks the approved less well, since the riskiest are gone. "
        f"{observed:.1%} went bad, {expected:.1%} were expected to."
    )


def expected(inside: int, vintages: int, cost: float | None) -> str:
    """Whether what was expected before outcomes were known has come."""
    if not vintages:
        came = "No outcome has come yet to check it against."
    else:
        came = f"The bad rate fell within the band in {inside} of {vintages} vintages."
    price = "" if cost is None else f" The last month's decisions are expected to cost {cost:.3f}."
    return (
        f"{came}{price} This expectation cannot see a changed relation of inputs and outcome: it "
        "takes the probabilities to be as right as they were at validation."
    )


def relation(watched: Watch) -> str:
    """Whether outcomes still follow the scores as they did at validation."""
    table = watched.relation
    if table.empty:
        return "Too few outcomes have matured to judge whether they follow the scores as before."
    passed = table[table.alarm.astype(bool)]
    if passed.empty:
        last = table[table.month == table.month.iloc[-1]].sort_values("window").iloc[-1]
        return (
            f"In none of {table.month.nunique()} months did level or slope pass its limit; the "
            f"last judgement rests on {last.outcomes:,} outcomes."
        )
    first = passed.iloc[0]
    what = "separate good from bad" if first.what == SLOPE else "match the share of good"
    way = "less" if first.difference < 0 else "more"
    if first.what != SLOPE:
        way = "fewer good than expected" if first.difference < 0 else "more good than expected"
    return f"**Since {first.month} the scores do not {what} as they did: {way}.**"


def impact(ratios: pd.DataFrame, floor: float, protected: Sequence[str]) -> str:
    """How approval rates of groups compare, period by period."""
    if not protected:
        return "No protected column is on record, so that no group can be judged."
    if ratios.empty:
        return "No period has groups that are large enough to be compared."
    low = ratios[ratios.high < floor]
    worst = ratios.sort_values("ratio").iloc[0]
    period, group = worst.name
    return (
        f"{len(low)} of {len(ratios)} ratios lie below {floor:.2f} with their whole interval; the "
        f"lowest is {worst.ratio:.2f} ({worst.low:.2f} to {worst.high:.2f}), {group} against "
        f"{worst.against}, {period}. A ratio that was low from the start is no alarm, and no "
        "excuse."
    )


def shadow(comparison: Comparison | None, alpha: float) -> str:
    """How the challenger did on the same applicants."""
    if comparison is None:
        return "No challenger ran in the shadow."
    who = f"{comparison.applicants:,} applicants have the scores of both"
    if comparison.brier_gain is None or comparison.auc_gain is None:
        return f"{who}; with {comparison.outcomes} outcomes that is too little to compare them."
    verdict = (
        "**The challenger is better beyond doubt.**"
        if comparison.is_better(alpha)
        else "It is not shown to be better."
    )
    return (
        f"{who}, {comparison.outcomes:,} of them with an outcome. Production's Brier score less "
        f"the challenger's is {comparison.brier_gain}; evidence {comparison.evidence:.2f}, "
        f"{1 / alpha:.0f} is asked for. {verdict} ROC-AUC differs by {comparison.auc_gain}, in "
        "favour of whoever has not chosen these applicants."
    )


def alarms(verdict: Verdict) -> pd.DataFrame:
    """The alarms as a table for people."""
    rows = [
        (str(each.level), each.month, each.cause, each.evidence, each.remedy)
        for each in verdict.alarms
    ]
    return pd.DataFrame(rows, columns=["verdict", "first in", "cause", "evidence", "what to do"])


def headline(verdict: Verdict, made_up: bool, has_log: bool) -> str:
    """The verdict as the sentence to take away."""
    if not has_log:
        return f"{NO_LOG}; the report says what writes one."
    return f"{verdict.sentence}{' The decisions are simulated.' if made_up else ''}"


def _window(months: int) -> str:
    return "one month" if months == 1 else f"{months} months together"
