"""Fairness by group: decisions, errors, ranking and calibration in groups of applicants.

The groups are those of the columns that the contract calls protected, whether or not a model uses
them.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from scipy.stats.contingency import relative_risk

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import in_groups, states
from creditrisk.metrics.intervals import Interval, share_interval
from creditrisk.metrics.ranking import FEW, auc_interval, too_few_to_judge


def groupings(applications: pd.DataFrame, contract: Contract) -> dict[str, pd.Series]:
    """The groups of every protected column, and of each two of them together.

    Returns
    -------
    dict
        Name of the grouping -> the name of each applicant's group.
    """
    single = {
        field.title: groups_of(applications[field.name], field) for field in contract.protected
    }
    both = {f"{a} and {b}": single[a] + ", " + single[b] for a, b in combinations(single, 2)}
    return single | both


def groups_of(values: pd.Series, field: Field) -> pd.Series:
    """The name of each applicant's group by one protected column, whose values are given."""
    if field.levels is not None:
        words = dict(zip(field.levels, field.labels)) if field.labels else {}
        return (
            levels_with_missing(values, field)
            .map(lambda level: words.get(level, level))
            .astype(str)
        )
    shown = [field.shown(end) for end in field.groups_up_to]
    begins = [
        field.shown(end + 1) if field.whole else f"over {field.shown(end)}"
        for end in field.groups_up_to
    ]
    title = field.title.lower()
    names = [f"{title} to {shown[0]}"]
    names += [f"{title} {low} to {high}" for low, high in zip(begins, shown[1:])]
    names.append(f"{title} over {shown[-1]}")
    groups = in_groups(values, field, np.array(field.groups_up_to), names).astype(object)
    return groups.where(states(values, field).isna(), f"{title} " + groups)


def by_group(
    y: np.ndarray, score: np.ndarray, approve: np.ndarray, group: pd.Series
) -> pd.DataFrame:
    """Decisions, errors, ranking and calibration in each group.

    Parameters
    ----------
    approve
        Shape (n,), True where the application is approved.

    Returns
    -------
    DataFrame
        Indexed by group, the largest first: applicants, bad; approved (selection rate), tpr (good
        approved) and fpr (bad approved), each with Wilson bounds ``_low`` and ``_high``; roc_auc
        with DeLong bounds; predicted and observed share of good, the latter with Wilson bounds. A
        rate over fewer than ``ranking.FEW`` applicants is NaN, with a ``note``.
    """
    y, approve = np.asarray(y), np.asarray(approve)
    rates = {"approved": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate}
    frame = MetricFrame(
        metrics=rates, y_true=y, y_pred=approve.astype(int), sensitive_features=group.to_numpy()
    ).by_group
    rows = {}
    for name in group.value_counts().index:
        inside = (group == name).to_numpy()
        over = {"approved": inside, "tpr": inside & (y == 1), "fpr": inside & (y == 0)}
        row: dict[str, float | str] = {
            "applicants": int(inside.sum()),
            "bad": int(over["fpr"].sum()),
        }
        for rate, who in over.items():
            row |= _rate(rate, float(frame.loc[name, rate]), approve[who])
        bad = int(over["fpr"].sum())
        row["note"] = too_few_to_judge(int(inside.sum()) - bad, bad)
        auc = Interval(np.nan, np.nan, np.nan)
        if not row["note"]:
            auc = auc_interval(y[inside], np.asarray(score)[inside])
        row |= {"roc_auc": auc.estimate, "roc_auc_low": auc.low, "roc_auc_high": auc.high}
        row["predicted"] = float(np.asarray(score)[inside].mean())
        row |= _rate("observed", float(y[inside].mean()), y[inside])
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def audit(
    y: np.ndarray, score: np.ndarray, approve: np.ndarray, groups: dict[str, pd.Series]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The figures of every group of every grouping, and the impact ratios.

    Parameters
    ----------
    groups
        From :func:`groupings`.

    Returns
    -------
    groups : DataFrame
        As :func:`by_group` gives it, indexed by grouping and group; empty if there is none.
    ratios : DataFrame
        As :func:`impact_ratios` gives it, of all groupings.
    """
    if not groups:
        return pd.DataFrame(), pd.DataFrame()
    found = {name: by_group(y, score, approve, group) for name, group in groups.items()}
    ratios = pd.concat([impact_ratios(approve, group) for group in groups.values()])
    return pd.concat(found, names=["grouping", "group"]), ratios


def opportunity_ratios(
    y: np.ndarray, approve: np.ndarray, groups: dict[str, pd.Series]
) -> pd.DataFrame:
    """The ratios of :func:`impact_ratios` among good applicants alone: equal opportunity.

    Notes
    -----
    Hardt, Price and Srebro (2016), "Equality of Opportunity in Supervised Learning".
    """
    good = np.asarray(y) == 1
    each = [impact_ratios(np.asarray(approve)[good], group[good]) for group in groups.values()]
    return pd.concat(each) if each else pd.DataFrame()


def lowest_ratio(
    ratios: pd.DataFrame, groups: pd.DataFrame, approve: np.ndarray
) -> pd.Series | str:
    """The row of the lowest ratio, or why no two groups can be compared.

    Parameters
    ----------
    ratios
        From :func:`audit` or :func:`opportunity_ratios`.
    groups
        From :func:`audit`.
    """
    if len(ratios):
        return ratios.sort_values("ratio").iloc[0]
    if groups.empty:
        return "no column is protected"
    return "the groups are too small" if approve.any() else "nobody is approved"


def _rate(name: str, rate: float, counted: np.ndarray) -> dict[str, float]:
    """A rate with its bounds, from what it counts: ones and zeros."""
    if len(counted) < FEW:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    interval = share_interval(counted.sum(), len(counted))
    return {name: rate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def impact_ratios(approve: np.ndarray, group: pd.Series) -> pd.DataFrame:
    """Approval rate of each group over that of the group approved most: disparate impact.

    Returns
    -------
    DataFrame
        Indexed by group, lowest ratio first: against, the group compared with; ratio with its
        95 % interval low and high (Katz and others 1978, Biometrics 34; of a group never
        approved, Wilson's upper bound on its rate). Groups of fewer than
        :data:`~creditrisk.metrics.ranking.FEW` applicants are left out, and so is everything if
        fewer than two groups are left or nobody was approved.
    """
    approved = pd.Series(np.asarray(approve), index=group.index).groupby(group).agg(["sum", "size"])
    approved = approved[approved["size"] >= FEW]
    rows = {}
    if len(approved) > 1 and approved["sum"].any():
        best = (approved["sum"] / approved["size"]).idxmax()
        for name, (count, size) in approved.drop(index=best).iterrows():
            risk = relative_risk(int(count), int(size), *map(int, approved.loc[best]))
            low, high = risk.confidence_interval(0.95)
            if not count:  # Katz's interval is not defined: Wilson's bound over the best rate
                best_size, best_sum = approved["size"][best], approved["sum"][best]
                low, high = 0.0, share_interval(0, size).high * best_size / best_sum
            rows[name] = (best, risk.relative_risk, low, high)
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["against", "ratio", "low", "high"]
    )
    return table.sort_values("ratio", kind="stable")


def ratios_by_period(
    approve: np.ndarray, groups: dict[str, pd.Series], period: pd.Series
) -> pd.DataFrame:
    """The ratios of :func:`impact_ratios` in each period.

    Parameters
    ----------
    groups
        From :func:`groupings`.
    period
        Shape (n,): the name of each applicant's period.

    Returns
    -------
    DataFrame
        Indexed by period and group; empty if no column is protected or no period has enough.
    """
    found = {}
    for name, inside in period.groupby(period, observed=True).indices.items():
        each = [impact_ratios(approve[inside], group.iloc[inside]) for group in groups.values()]
        found[name] = pd.concat(each) if each else pd.DataFrame()
    filled = {name: ratios for name, ratios in found.items() if len(ratios)}
    return pd.concat(filled, names=["period", "group"]) if filled else pd.DataFrame()
