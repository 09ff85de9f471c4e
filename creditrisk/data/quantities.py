"""Columns of quantities, in which a value may also be missing or a code for a state."""

import itertools

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field
from creditrisk.data.missing_values import MISSING


def as_quantity(values: pd.Series, field: Field) -> "pd.Series[float]":
    """A column of a quantity as float64, NaN where a value is missing or a special code."""
    return values.astype("float64").mask(values.isin(field.special_values))


def state_names(field: Field) -> list[str]:
    """What a quantity's value may be instead of a quantity: the special codes' states, missing."""
    return [*(code.label for code in field.special), *([] if field.required else [MISSING])]


def states(values: pd.Series, field: Field) -> pd.Series:
    """The state that each value of a column of a quantity stands for, NaN for a quantity."""
    labels = {code.value: code.label for code in field.special}
    found = values.map(labels).astype(object)
    return found if field.required else found.mask(values.isna(), MISSING)


def within(values: np.ndarray, field: Field) -> np.ndarray:
    """Which numbers lie in a quantity's range or are one of its special codes, shape (n,), bool."""
    low, high = field.limits
    found: np.ndarray = (values >= low) & (values <= high) | np.isin(values, field.special_values)
    return found


def ranges(applications: pd.DataFrame, contract: Contract) -> dict[str, list[float]]:
    """The lowest and the highest value of each quantity, by column; none where there is none."""
    found = {}
    for field in contract.numbers:
        values = as_quantity(applications[field.name], field).dropna()
        if len(values):
            found[field.name] = [float(values.min()), float(values.max())]
    return found


def edges_at(values: pd.Series, field: Field, shares: np.ndarray) -> np.ndarray:
    """The quantiles of a column's quantities, ascending and each once: the highest of its groups.

    Parameters
    ----------
    shares
        Of the quantities that are to lie at or below an edge, between 0 and 1.
    """
    found = as_quantity(values, field).quantile(shares).dropna().to_numpy()
    return np.unique(np.floor(found) if field.whole else found)


def places(values: pd.Series, field: Field, edges: np.ndarray) -> np.ndarray:
    """The number of each value's group, counted from 0, its states coming after the groups.

    Parameters
    ----------
    edges
        The highest value of each group but the last, in ascending order.

    Returns
    -------
    ndarray of int, shape (n,)
        The states are in the order of :func:`state_names`.
    """
    found: np.ndarray = np.searchsorted(edges, as_quantity(values, field))
    states = [values == code.value for code in field.special]
    if not field.required:
        states.append(values.isna())
    for number, inside in enumerate(states, len(edges) + 1):
        found[inside.to_numpy()] = number
    return found


def in_groups(values: pd.Series, field: Field, edges: np.ndarray, names: list[str]) -> pd.Series:
    """A column of a quantity as an ordered categorical: groups by value, then its states.

    Parameters
    ----------
    edges
        As :func:`places` takes them.
    names
        Of the groups, one more than there are edges.
    """
    kind = pd.CategoricalDtype([*names, *state_names(field)], ordered=True)
    groups = pd.Categorical.from_codes(places(values, field, edges), dtype=kind)
    return pd.Series(groups, values.index)


def group_names(edges: np.ndarray, field: Field) -> list[str]:
    """Names for the groups into which edges, the highest values, divide a quantity."""
    if not len(edges):
        return ["any"]
    for digits in range(3, 18):  # as many as tell the edges apart
        shown = [field.rounded(edge, digits) for edge in edges.tolist()]
        if len(set(shown)) == len(shown):
            break
    between = [f"over {low} to {high}" for low, high in itertools.pairwise(shown)]
    return [f"up to {shown[0]}", *between, f"over {shown[-1]}"]


def dates_as_text(applications: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Raw applications, their dates as ISO 8601 writes them: as files and databases have them.

    The date of the application is one of them, though no model learns from it.
    """
    texts = {
        field.name: applications[field.name].map(field.shown, na_action="ignore").astype(object)
        for field in contract.columns
        if field.is_dated and field.name in applications
    }
    return applications.assign(**texts)
