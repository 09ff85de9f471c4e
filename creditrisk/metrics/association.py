"""Association of variables, two at a time: rank correlation and Cramér's V."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from scipy.stats.contingency import association


def rank_correlations(quantities: pd.DataFrame) -> pd.Series:
    """Spearman's rank correlation of every two quantities, the strongest first.

    Parameters
    ----------
    quantities
        Shape (n, quantities).

    Returns
    -------
    Series
        Indexed by the pair of names, in the order of the columns.
    """
    pairs = list(combinations(quantities.columns, 2))
    found = [spearmanr(quantities[a], quantities[b]).statistic for a, b in pairs]
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
    for a, b in combinations(names, 2):
        counts = pd.crosstab(levels[a], levels[b])
        strength.loc[a, b] = strength.loc[b, a] = association(counts, method="cramer")
    return strength
