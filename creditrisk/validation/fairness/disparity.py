"""Fairness by group: decisions, errors, ranking and calibration in groups of applicants.

The groups are those of the columns that the contract calls protected, whether or not a model uses
them.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from scipy import stats
from scipy.stats.contingency import relative_risk

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import in_groups, states
from creditrisk.metrics.intervals import Interval, effective_rows, share_of, weight_of
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
    y: np.ndarray,
    score: np.ndarray,
    approve: np.ndarray,
    group: pd.Series,
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """Decisions, errors, ranking and calibration in each group.

    Parameters
    ----------
    approve
        Shape (n,), True where the application is approved.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    DataFrame
        Indexed by group, the largest first: applicants, bad (rows, both); approved (selection
        rate), tpr (good approved) and fpr (bad approved), each with Wilson bounds ``_low`` and
        ``_high``; roc_auc with DeLong bounds; predicted and observed share of good, the latter with
        Wilson bounds. A rate over fewer than ``ranking.FEW`` applicants is NaN, with a ``note``.
    """
    y, score, approve = np.asarray(y), np.asarray(score), np.asarray(approve)
    rates = {"approved": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate}
    frame = MetricFrame(
        metrics=rates,
        y_true=y,
        y_pred=approve.astype(int),
        sensitive_features=group.to_numpy(),
        sample_params={rate: {"sample_weight": weight} for rate in rates},
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
            row |= _rate(rate, float(frame.loc[name, rate]), approve[who], weight_of(weight, who))
        bad = int(over["fpr"].sum())
        row["note"] = too_few_to_judge(int(inside.sum()) - bad, bad)
        auc = Interval(np.nan, np.nan, np.nan)
        if not row["note"]:
            auc = auc_interval(y[inside], score[inside], weight=weight_of(weight, inside))
        row |= {"roc_auc": auc.estimate, "roc_auc_low": auc.low, "roc_auc_high": auc.high}
        counted = weight_of(weight, inside)
        row["predicted"] = float(np.average(score[inside], weights=counted))
        observed = float(np.average(y[inside], weights=counted))
        row |= _rate("observed", observed, y[inside], counted)
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def audit(
    y: np.ndarray,
    score: np.ndarray,
    approve: np.ndarray,
    groups: dict[str, pd.Series],
    weight: np.ndarray | None = None,
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
    found = {name: by_group(y, score, approve, group, weight) for name, group in groups.items()}
    ratios = pd.concat([impact_ratios(approve, group, weight) for group in groups.values()])
    return pd.concat(found, names=["grouping", "group"]), ratios


def opportunity_ratios(
    y: np.ndarray,
    approve: np.ndarray,
    groups: dict[str, pd.Series],
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """The ratios of :func:`impact_ratios` among good applicants alone: equal opportunity.

    Notes
    -----
    Hardt, Price and Srebro (2016), "Equality of Opportunity in Supervised Learning".
    """
    good = np.asarray(y) == 1
    approved, counted = np.asarray(approve)[good], weight_of(weight, good)
    each = [impact_ratios(approved, group[good], counted) for group in groups.values()]
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


def _rate(
    name: str, rate: float, counted: np.ndarray, weight: np.ndarray | None
) -> dict[str, float]:
    """A rate with its bounds, from what it counts: ones and zeros."""
    if len(counted) < FEW:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    interval = share_of(counted, weight)
    return {name: rate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def impact_ratios(
    approve: np.ndarray, group: pd.Series, weight: np.ndarray | None = None
) -> pd.DataFrame:
    """Approval rate of each group over that of the group approved most: disparate impact.

    Parameters
    ----------
    weight
        Shape (n,), how many applications each row stands for; None: each counts once. With weights
        the interval is that of effective numbers of rows.

    Returns
    -------
    DataFrame
        Indexed by group, lowest ratio first: against, the group compared with; ratio with its
        95% interval low and high (Katz and others 1978, Biometrics 34; of a group never
        approved, Wilson's upper bound on its rate). Groups of fewer than
        :data:`~creditrisk.metrics.ranking.FEW` applicants are left out, and so is everything if
        fewer than two groups are left or nobody was approved.
    """
    within = {
        name: (np.asarray(approve)[rows], weight_of(weight, rows))
        for name, rows in group.groupby(group, observed=True).indices.items()
        if len(rows) >= FEW
    }
    approved = {name: share_of(*each) for name, each in within.items()}
    rows = {}
    if len(approved) > 1 and any(each.estimate for each in approved.values()):
        best = max(approved, key=lambda name: approved[name].estimate)
        for name, rate in approved.items():
            if name == best:
                continue
            ratio = _ratio(*within[name], *within[best])
            if not rate.estimate:  # Katz's is not defined: Wilson's bound over the best rate
                ratio = Interval(0.0, 0.0, rate.high / approved[best].estimate)
            rows[name] = (best, ratio.estimate, ratio.low, ratio.high)
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["against", "ratio", "low", "high"]
    )
    return table.sort_values("ratio", kind="stable")


def _ratio(
    approve: np.ndarray,
    weight: np.ndarray | None,
    other: np.ndarray,
    other_weight: np.ndarray | None,
) -> Interval:
    """The approval rate of one group over that of another, with Katz's interval."""
    if weight is None or other_weight is None:
        counts = int(approve.sum()), len(approve), int(other.sum()), len(other)
        risk = relative_risk(*counts)
        return Interval(risk.relative_risk, *risk.confidence_interval(0.95))
    rate, best = np.average(approve, weights=weight), np.average(other, weights=other_weight)
    if not rate:
        return Interval(0.0, 0.0, 0.0)
    variance = (1 - rate) / (rate * effective_rows(weight))
    variance += (1 - best) / (best * effective_rows(other_weight))
    factor = np.exp(stats.norm.ppf(0.975) * np.sqrt(variance))
    return Interval(float(rate / best), float(rate / best / factor), float(rate / best * factor))


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
