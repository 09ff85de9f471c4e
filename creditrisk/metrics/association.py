"""Association of variables, two at a time: rank correlation and Cramér's V."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu
from scipy.stats.contingency import association


def rank_correlations(quantities: pd.DataFrame) -> pd.Series:
    """Spearman's rank correlation of every two quantities, the strongest first.

    Parameters
    ----------
    quantities
        Shape (n, quantities), NaN where there is no quantity; such rows do not count in a pair.

    Returns
    -------
    Series
        Indexed by the pair of names, in the order of the columns.
    """
    pairs = list(combinations(quantities.columns, 2))
    by_pair = quantities.corr(method="spearman").fillna(0.0)  # of a constant there is none
    found = [by_pair.loc[a, b] for a, b in pairs]
    index = pd.MultiIndex.from_tuples(pairs, names=["quantity", "other"])
    return pd.Series(found, index, dtype=float).sort_values(key=abs, ascending=False, kind="stable")


def cramers_v(levels: pd.DataFrame) -> pd.DataFrame:
    """Cramér's V of every two categories: 0 if unrelated, 1 if one follows from the other.

    Parameters
    ----------
    levels
        Shape (n, categories), no missing values.

    Returns
    -------
    DataFrame, shape (categories, categories)
        Symmetric, with ones on its diagonal.
    """
    names = list(levels)
    strength = pd.DataFrame(np.eye(len(names)), names, names)
    codes = [pd.factorize(levels[name])[0] for name in names]
    for (a, first), (b, second) in combinations(zip(names, codes), 2):
        shape = first.max() + 1, second.max() + 1
        counts = np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1])
        found = association(counts.reshape(shape), method="cramer") if min(shape) > 1 else 0.0
        strength.loc[a, b] = strength.loc[b, a] = found
    return strength


def shifted(quantities: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    """Mann and Whitney's test of whether a quantity is larger among good or among bad risks.

    Parameters
    ----------
    quantities
        Shape (n, quantities), NaN where there is no quantity.
    y
        Shape (n,), 1 = good and 0 = bad.

    Returns
    -------
    dict
        The two-sided p-value by column; 1 where good or bad risks have no value.
    """
    found = {}
    for name, values in quantities.items():
        good, bad = (values[y == value].dropna() for value in (1, 0))
        found[str(name)] = float(mannwhitneyu(good, bad).pvalue) if len(good) and len(bad) else 1.0
    return found
