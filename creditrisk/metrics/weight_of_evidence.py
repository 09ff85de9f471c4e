"""Bad rate, weight of evidence and information value of the levels of a variable."""

import numpy as np
import pandas as pd

from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity, edges_at, group_names, in_groups
from creditrisk.metrics.intervals import counts_of, effective_rows, share_of, weight_of

#: The information value from which on a variable is called so (Siddiqi 2006).
STRENGTHS = {"weak": 0.02, "medium": 0.1, "strong": 0.3}


def as_levels(values: pd.Series, field: Field, groups: int) -> pd.Series:
    """A category's levels, missing being one of them, or a quantity in groups of equal size.

    Parameters
    ----------
    values
        One raw column, shape (n,).
    groups
        How many groups a quantity is cut into; fewer if many applicants share a value.
    """
    if field.levels is not None:
        return levels_with_missing(values, field)
    edges = edges_at(values, field, np.linspace(0, 1, groups + 1)[1:-1])
    edges = edges[edges < as_quantity(values, field).max()]
    return in_groups(values, field, edges, group_names(edges, field))


def information_values(
    applications: pd.DataFrame,
    y: pd.Series,
    fields: list[Field],
    groups: int,
    weight: np.ndarray | None = None,
) -> pd.Series:
    """Information value of each variable, the strongest first.

    Parameters
    ----------
    applications, y
        Raw applications and their outcomes, 1 = good and 0 = bad.
    groups
        As in :func:`as_levels`, of rows.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    Series
        Indexed by the title of the field.
    """
    levels = {field.title: as_levels(applications[field.name], field, groups) for field in fields}
    found = {title: risk_by_level(each, y, weight).iv.sum() for title, each in levels.items()}
    return pd.Series(found).sort_values(ascending=False)


def chance_values(
    applications: pd.DataFrame,
    y: pd.Series,
    fields: list[Field],
    groups: int,
    weight: np.ndarray | None = None,
) -> pd.Series:
    """The information value to expect of each variable if it said nothing about the outcome.

    Parameters
    ----------
    applications, y, fields, groups, weight
        As :func:`information_values` takes them.

    Returns
    -------
    Series
        Indexed by the title of the field: (levels - 1) · (1 / good + 1 / bad), which is the mean of
        the information value's approximate chi-squared distribution. With weights good and bad are
        effective numbers of rows.
    """
    counts = counts_of(weight, len(y))
    good, bad = (effective_rows(counts[y.to_numpy() == kind]) for kind in (1, 0))
    levels = {
        field.title: as_levels(applications[field.name], field, groups).nunique()
        for field in fields
    }
    return (pd.Series(levels) - 1) * (1 / good + 1 / bad)


def risk_by_level(
    levels: pd.Series, y: pd.Series, weight: np.ndarray | None = None
) -> pd.DataFrame:
    """Bad rate, weight of evidence and information value of each level of a variable.

    Parameters
    ----------
    levels
        Shape (n,), no missing values; of a categorical the order is preserved.
    y
        Shape (n,), 1 = good and 0 = bad.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Returns
    -------
    DataFrame
        Indexed by level: applicants, good, bad (rows, all three), bad_rate with Wilson bounds low
        and high, woe = ln(share of all good / share of all bad), and iv, the level's part of the
        information value (share of good - share of bad) · woe. Half an applicant is added
        to both counts of a level in which one class is absent, so that woe stays finite; of
        weighted applicants, half the mean weight.
    """
    counts = pd.crosstab(levels, y).reindex(columns=[1, 0], fill_value=0)
    table = pd.DataFrame({"applicants": counts.sum(axis=1), "good": counts[1], "bad": counts[0]})
    inside = [(levels == level).to_numpy() for level in table.index]
    is_bad = y.to_numpy() == 0
    intervals = [share_of(is_bad[rows], weight_of(weight, rows)) for rows in inside]
    table["bad_rate"] = [interval.estimate for interval in intervals]
    table["low"] = [interval.low for interval in intervals]
    table["high"] = [interval.high for interval in intervals]
    counts = counts_of(weight, len(y))
    of_good = np.array([counts[rows & ~is_bad].sum() for rows in inside])
    of_bad = np.array([counts[rows & is_bad].sum() for rows in inside])
    padding = 0.5 * counts.mean() * ((of_good == 0) | (of_bad == 0))
    good, bad = (of_good + padding) / of_good.sum(), (of_bad + padding) / of_bad.sum()
    table["woe"] = np.log(good / bad)
    table["iv"] = (good - bad) * table.woe
    return table
