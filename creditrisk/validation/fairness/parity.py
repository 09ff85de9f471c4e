"""Conditional parity, and what parity costs: groups within strata, and one cut-off for all."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field
from creditrisk.metrics.association import stratified
from creditrisk.metrics.costs import decisions_by_cutoff, expected_cost
from creditrisk.metrics.intervals import Interval, bootstrap_interval
from creditrisk.metrics.ranking import FEW
from creditrisk.metrics.weight_of_evidence import as_levels
from creditrisk.modelling.significance import holm
from creditrisk.validation.fairness.disparity import impact_ratios

#: Groups into which a quantity is cut.
GROUPS = 3


def factors(
    named: Sequence[str], importance: pd.DataFrame, contract: Contract, count: int = 2
) -> list[Field]:
    """The legitimate factors: the columns that are named, or else what the score rests on most.

    Parameters
    ----------
    named
        Names of columns; none to take the strongest that are not protected.
    importance
        From :func:`creditrisk.validation.inspection.importance`.

    Raises
    ------
    ValueError
        If a name is that of no column, or of a protected one.
    """
    protected = {field.name for field in contract.protected}
    open_ = [field.name for field in contract.fields if field.name not in protected]
    for name in named:
        if name not in open_:
            what = "is protected" if name in protected else "is no column of an application"
            raise ValueError(f"legitimate: {name!r} {what}; choose from {', '.join(open_)}")
    strongest = [name for name in importance.field if name in open_][:count]
    return [contract[name] for name in named or strongest]


def strata(applications: pd.DataFrame, fields: Sequence[Field]) -> pd.Series:
    """The stratum of each applicant: its levels, or the third of a quantity, in all fields."""
    parts = [as_levels(applications[each.name], each, GROUPS).astype(str) for each in fields]
    if not parts:
        return pd.Series("all", applications.index)
    return parts[0].str.cat(parts[1:], sep=", ") if len(parts) > 1 else parts[0]


def conditional_parity(
    approve: np.ndarray, groups: Mapping[str, pd.Series], stratum: pd.Series
) -> pd.DataFrame:
    """The difference of approval between each group and the largest, as it is and within strata.

    Parameters
    ----------
    approve
        Shape (n,), True where the application is approved.
    groups
        From :func:`~creditrisk.validation.fairness.disparity.groupings`.
    stratum
        From :func:`strata`.

    Returns
    -------
    DataFrame
        One row a grouping and group of at least :data:`~creditrisk.metrics.ranking.FEW`: grouping,
        group, against (the largest), applicants of both; raw, the difference of approval;
        difference, the same within strata (Mantel and Haenszel) with bounds low and high; common
        odds_ratio with bounds odds_low and odds_high and p of no association (Cochran, Mantel and
        Haenszel), NaN if not defined; p_corrected, for the number of rows (Holm); strata, and
        compared, the applicants in strata that hold both groups.

    Notes
    -----
    Kamiran, Žliobaitė and Calders (2013), Knowledge and Information Systems 35: what the factors
    explain of a difference, and what they do not. Whether a factor is legitimate is no question
    of statistics; one that stands for the group explains away what it should not.
    """
    approve, rows = np.asarray(approve, dtype=bool), []
    for grouping, group in groups.items():
        sizes = group.value_counts()
        names = list(sizes.index[sizes >= FEW])
        for name in names[1:]:
            of_both = group.isin([names[0], name]).to_numpy()
            inside = (group == name).to_numpy()[of_both]
            decided, within = approve[of_both], stratum.to_numpy()[of_both]
            raw = float(decided[inside].mean() - decided[~inside].mean())
            found = stratified(decided, inside, within)
            nowhere = Interval(np.nan, np.nan, np.nan, np.nan)
            gap = found.difference if found else nowhere
            odds = (found.odds_ratio if found else None) or nowhere
            figures = [len(decided), raw, gap.estimate, gap.low, gap.high]
            figures += [odds.estimate, odds.low, odds.high, np.nan if odds.p is None else odds.p]
            figures += [found.strata, found.applicants] if found else [0, 0]
            rows.append((grouping, name, names[0], *figures))
    columns = ["grouping", "group", "against", "applicants", "raw", "difference", "low", "high"]
    columns += ["odds_ratio", "odds_low", "odds_high", "p", "strata", "compared"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_corrected"], judged = table.p, table.p.notna()
    table.loc[judged, "p_corrected"] = holm(table.p[judged].to_numpy())
    return table


def trade_off(
    y: np.ndarray,
    score: np.ndarray,
    groups: Mapping[str, pd.Series],
    cutoffs: np.ndarray,
    prices: tuple[float, float],
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """Cost and the worst group's ratio at each cut-off, which is the same for all applicants.

    A cut-off of its own for each group would level the ratio at less cost; it decides by group,
    which is what protecting a column is to prevent, so that none is sought here.

    Parameters
    ----------
    groups
        From :func:`~creditrisk.validation.fairness.disparity.groupings`.
    prices
        Cost of a bad approved and of a good declined.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    DataFrame
        Indexed by cut-off: cost per applicant, approved (share), ratio, the lowest approval rate
        of a group over that of the group approved most (NaN if no two can be compared), and
        group and against, whose it is.
    """
    cost = expected_cost(y, score, cutoffs, *prices, weight)
    table = decisions_by_cutoff(y, score, cutoffs, weight)[["approved"]].assign(cost=cost)
    rows = []
    for cutoff in cutoffs:
        approve = np.asarray(score) >= cutoff
        each = [impact_ratios(approve, group, weight) for group in groups.values()]
        found = [ratios.iloc[0] for ratios in each if len(ratios)]
        lowest = min(found, key=lambda row: float(row.ratio), default=None)
        rows.append(
            (np.nan, "", "")
            if lowest is None
            else (float(lowest.ratio), str(lowest.name), str(lowest.against))
        )
    table[["ratio", "group", "against"]] = pd.DataFrame(rows, index=table.index)
    return table[["cost", "approved", "ratio", "group", "against"]]


def cheapest_fair(curve: pd.DataFrame, floor: float) -> float | None:
    """The cheapest cut-off at which the worst ratio reaches a floor, None if it never does.

    Parameters
    ----------
    curve
        From :func:`trade_off`.
    """
    fair = curve[(curve.ratio >= floor) & (curve.approved > 0)]
    return float(fair.cost.idxmin()) if len(fair) else None


def extra_cost(
    y: np.ndarray,
    score: np.ndarray,
    cutoff: float,
    other: float,
    prices: tuple[float, float],
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> Interval:
    """What another cut-off costs more per applicant, with the interval of a paired bootstrap."""

    def added(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
        costs = expected_cost(y, score, np.array([cutoff, other]), *prices, weight)
        return float(costs[1] - costs[0])

    return bootstrap_interval(added, y, score, draws=draws, seed=seed, weight=weight)
