"""The months of a decision log: which there are, and what was decided in each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity, states
from creditrisk.monitoring.alarms.sequential import Floats
from creditrisk.monitoring.records import inputs

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Timeline:
    """Successive months, without a gap, by name ("2026-01")."""

    names: tuple[str, ...]

    def of(self, times: "pd.Series[pd.Timestamp]") -> npt.NDArray[np.int64]:
        """The number of each time's month; -1 outside of these months or if there is no time."""
        known = times.notna().to_numpy()
        place = np.full(len(times), -1, dtype=np.int64)
        if not self.names:
            return place
        first = pd.Period(self.names[0], "M").ordinal
        stamps = times[known].dt.tz_localize(None).dt.to_period("M")
        place[known] = stamps.array.asi8 - first if len(stamps) else []
        place[(place < 0) | (place >= len(self.names))] = -1
        return place

    def sums(self, values: Floats, month: npt.NDArray[np.int64]) -> Floats:
        """Sums of rows by month, shape (months, columns)."""
        total = np.zeros((len(self.names), values.shape[1]))
        for number in range(len(self.names)):
            total[number] = values[month == number].sum(axis=0, dtype=np.float64)
        return total

    def counts(self, month: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Rows of each month."""
        counted: npt.NDArray[np.int64] = np.bincount(month[month >= 0], minlength=len(self.names))
        return counted


def timeline(decisions: pd.DataFrame, from_month: str = "", until_month: str = "") -> Timeline:
    """The months from the first decision to the last decision or outcome; none without one.

    Parameters
    ----------
    decisions
        Columns time and known_since.
    from_month, until_month
        The first and last month to take instead, "2026-01".

    Raises
    ------
    ValueError
        If one of them is no month, or there is none between them.
    """
    if decisions.empty:
        return Timeline(())
    times = pd.concat([decisions.time, decisions.known_since.dropna()]).dt.tz_localize(None)
    first = _month(from_month, "from_month") or times.min().to_period("M")
    last = _month(until_month, "until_month") or times.max().to_period("M")
    if first > last:
        raise ValueError(
            f"no month to judge: from {first} until {last}; the log's decisions begin in "
            f"{decisions.time.min():%Y-%m}, choose from_month and until_month to match"
        )
    return Timeline(tuple(str(month) for month in pd.period_range(first, last, freq="M")))


def _month(text: str, name: str) -> pd.Period | None:
    if not text:
        return None
    if not _MONTH.fullmatch(text):
        raise ValueError(f'{name}="{text}" is no month; write it as "2026-01"')
    return pd.Period(text, "M")


def volumes(decisions: pd.DataFrame, rejected: pd.DataFrame, months: Timeline) -> pd.DataFrame:
    """What was decided in each month.

    Parameters
    ----------
    decisions
        Columns time, approved, overridden, final and model_version.
    rejected
        Requests that were refused: columns time and reason.

    Returns
    -------
    DataFrame
        Indexed by month: decisions, approved (share, by the model), final (share, after
        overrides), overridden, rejected, versions (of the model, separated by commas).
    """
    month = months.of(decisions.time)
    inside = decisions[month >= 0]
    grouped = inside.groupby(month[month >= 0])
    table = grouped.agg(
        decisions=("approved", "size"),
        approved=("approved", "mean"),
        final=("final", "mean"),
        overridden=("overridden", "sum"),
        versions=("model_version", lambda versions: ", ".join(sorted(set(map(str, versions))))),
    ).reindex(range(len(months.names)))
    table["rejected"] = months.counts(months.of(rejected.time))
    counts = ["decisions", "overridden"]
    table[counts] = table[counts].fillna(0).astype(int)
    table["versions"] = table.versions.fillna("")
    return table.set_axis(pd.Index(months.names, name="month"))


def rejections(rejected: pd.DataFrame, months: Timeline) -> pd.DataFrame:
    """Refused requests by reason and month, the most frequent reason first."""
    month = months.of(rejected.time)
    inside = month >= 0
    names = pd.Categorical(np.array(months.names)[month[inside]], categories=months.names)
    table = pd.crosstab(rejected.reason[inside], names, dropna=False)
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def outside_training(
    decisions: pd.DataFrame, training: pd.DataFrame, fields: Sequence[Field], months: Timeline
) -> pd.DataFrame:
    """Inputs that the training sample does not cover: extrapolation.

    Parameters
    ----------
    fields
        Of an application; a quantity is covered between the smallest and the largest value of
        training, its states and a category's levels where they occur, missing included.

    Returns
    -------
    DataFrame
        Indexed by month: the share of decisions with such an input in each column, by title, and
        in any.
    """
    outside, applications = {}, inputs(decisions, fields)
    for field in fields:
        now, before = applications[field.name], training[field.name]
        if field.levels is None:
            value, learned = as_quantity(now, field), as_quantity(before, field)
            beyond = (value < learned.min()) | (value > learned.max())
            state, known_states = states(now, field), states(before, field).dropna()
            outside[field.title] = (beyond | (state.notna() & ~state.isin(known_states))).to_numpy()
        else:
            known = set(before.dropna().astype(str))
            new = ~now.astype(str).isin(known) & now.notna()
            outside[field.title] = (new | (now.isna() & bool(before.notna().all()))).to_numpy()
    table = pd.DataFrame(outside)
    table["any"] = table.any(axis=1)
    shares = table.groupby(months.of(decisions.time)).mean()
    return shares.reindex(range(len(months.names))).set_axis(pd.Index(months.names, name="month"))
