"""What the exploration found: figures in, one sentence or list out."""

import pandas as pd

from creditrisk.data.contract import Contract, counted
from creditrisk.data.fields import WEIGHT, Field
from creditrisk.data.quantities import as_quantity
from creditrisk.metrics.intervals import Interval, effective_rows, percent
from creditrisk.metrics.weight_of_evidence import STRENGTHS


def data_set(contract: Contract, applications: pd.DataFrame) -> str:
    """What was read, from where, and under which licence."""
    return (
        f"**{contract.title}**: {counted(len(applications), 'application')}, "
        f"{counted(len(contract.fields), 'column')} "
        f"and the outcome `{contract.target.name}`. Source: {_ended(contract.source)} Licence: "
        f"{_ended(contract.licence)}{weights(contract, applications)}"
    )


def _ended(text: str) -> str:
    """A text as a sentence."""
    return text if text.endswith((".", "!", "?", "。")) else f"{text}."


def weights(contract: Contract, applications: pd.DataFrame) -> str:
    """What rows with weights stand for and are worth, as a further sentence; empty without them."""
    column = contract.of_role(WEIGHT)
    if column is None:
        return ""
    weight = applications[column.name].to_numpy(float)
    return (
        f" By the weights in `{column.name}` the rows stand for {weight.sum():,.0f} applications; "
        f"figures are as uncertain as those of {effective_rows(weight):,.0f} rows of equal weight. "
        "Fits, rates, costs and rankings count each row by its weight; docs/contract.md names what "
        "counts each row once."
    )


def caveats(contract: Contract) -> str:
    """What the contract says is wrong with the data, one line each."""
    if not contract.caveats:
        return "The contract names no known error of this data."
    return "\n".join(f"- {caveat}" for caveat in contract.caveats)


def missing_columns(missing: pd.Series) -> str:
    """How many columns have gaps; ``missing`` is the share of rows without a value, by column."""
    if not (missing > 0).any():
        return f"None of {counted(len(missing), 'column')} has a gap"
    gaps = int((missing > 0).sum())
    have = "has gaps" if gaps == 1 else "have gaps"
    return f"{gaps} of {counted(len(missing), 'column')} {have}"


def missing_risk(name: str, risk: pd.DataFrame) -> str:
    """Whether applicants without a value differ in risk from those with one.

    Parameters
    ----------
    risk
        From :func:`~creditrisk.metrics.weight_of_evidence.risk_by_level`, indexed by whether the
        value is missing.
    """
    without, given = risk.bad_rate[True], risk.bad_rate[False]
    verdict = "do not overlap" if _apart(risk) else "overlap"
    return (
        f"- **{name}**: {without:.1%} bad without a value, {given:.1%} with one; "
        f"their intervals {verdict}."
    )


def _apart(risk: pd.DataFrame) -> bool:
    """Whether the intervals of the two bad rates have nothing in common."""
    return bool(risk.low.max() > risk.high.min())


def medians(field: Field, values: pd.Series, good: pd.Series) -> str:
    """The median of a quantity among good and among bad risks."""
    of = as_quantity(values, field).groupby(good).median()
    unit = f" {field.unit}" if field.unit else ""
    good_median, bad_median = (
        "unknown" if pd.isna(each) else field.rounded(each) for each in (of[1], of[0])
    )
    return f"{field.title}: median {good_median}{unit} if good, {bad_median} if bad"


def shifted_quantities(p_values: dict[str, float]) -> str:
    """Which quantities differ between good and bad risks beyond chance (Bonferroni)."""
    if not p_values:
        return "There is no quantity."
    shifted = [name for name, p in p_values.items() if p * len(p_values) < 0.05]
    test = "Mann–Whitney test, corrected for the number of tests"
    if not shifted:
        return f"No quantity differs between good and bad risks beyond chance ({test})."
    return f"Beyond chance, good and bad risks differ in {', '.join(shifted)} ({test})."


def spread_of_levels(field: Field, risk: pd.DataFrame) -> str:
    """How far apart the bad rates of a category's levels lie, in percentage points."""
    gap = risk.bad_rate.max() - risk.bad_rate.min()
    return f"{field.title}: levels lie {100 * gap:.0f} points apart"


def levels_off_average(field: Field, risk: pd.DataFrame, bad_rate: float) -> str:
    """How many levels of a category have an interval that does not hold the bad rate of all."""
    clear = ((risk.low > bad_rate) | (risk.high < bad_rate)).sum()
    return f"{field.title}: {clear} of {len(risk)} levels clearly off the average"


def evidence(values: pd.Series) -> str:
    """Which variable carries the most evidence, and which the least."""
    return f"{values.index[0]} carries the most evidence, {values.index[-1]} the least"


def rank_correlation(x: Field, y: Field, rho: float) -> str:
    """Whether two quantities go together, by Cohen's words for a correlation (.1, .3, .5)."""
    size = abs(rho)
    how = "go together strongly" if size >= 0.5 else "go together moderately"
    return f"{x.title} and {y.title.lower()} {how if size >= 0.3 else 'hardly go together'}"


def rank_correlations(rho: "pd.Series[float]", contract: Contract) -> str:
    """Which two quantities go together most; ``rho`` by pair of names, the strongest first."""
    if not len(rho):
        return "There are no two quantities to compare."
    x, y = (contract[name] for name in rho.index[0])
    return f"{rank_correlation(x, y, rho.iloc[0])} (rank correlation {rho.iloc[0]:.2f})."


def strongest_pair(strength: pd.DataFrame) -> str:
    """Which two categories are most associated; ``strength`` is symmetric, from Cramér's V."""
    pairs = {
        (a, b): float(strength.loc[a, b])
        for n, a in enumerate(strength.index)
        for b in strength.columns[n + 1 :]
    }
    if not pairs:
        return "There are no two categories to compare"
    a, b = max(pairs, key=lambda pair: pairs[pair])
    return f"{a} and {b} are associated most: {pairs[a, b]:.2f}"


def summary(
    bad_rate: Interval, gaps: dict[str, pd.DataFrame], values: pd.Series, chance: pd.Series
) -> str:
    """What the exploration found, one line a promise.

    Parameters
    ----------
    gaps
        By column with missing values, what :func:`missing_risk` takes.
    values
        Information values by title, the strongest first.
    chance
        The values to expect of variables that say nothing, by title.
    """
    beyond = values - chance.reindex(values.index)
    strong = values.index[beyond >= STRENGTHS["medium"]]
    ends = f"95% interval {bad_rate.low:.1%} to {bad_rate.high:.1%}"
    lines = [f"**{bad_rate.estimate:.1%} of the loans went bad** ({ends})."]
    rates = "; ".join(
        f"{name} {risk.bad_rate[True]:.0%} bad without a value, {risk.bad_rate[False]:.0%} with one"
        for name, risk in gaps.items()
        if _apart(risk)
    )
    if rates:
        lines.append(f"**A missing value carries information**: {rates}.")
    elif gaps:
        lines.append("**A missing value** is not shown to carry information.")
    else:
        lines.append("**No value is missing.**")
    named = f": {', '.join(strong)}" if len(strong) else ""
    lines.append(
        f"**{len(strong)} of {len(values)} variables carry medium or strong evidence** beyond what "
        f"chance gives{named}."
    )
    lines.append(f"**Least evidence**: {', '.join(values.index[-2:])}.")
    return "\n".join(f"- {line}" for line in lines)


def headline(applications: int, bad_rate: Interval, values: pd.Series) -> str:
    """The exploration in one sentence."""
    return (
        f"{applications:,} loans, {percent(bad_rate.estimate)} bad; strongest variable "
        f"{values.index[0]} (information value {values.iloc[0]:.2f})"
    )
