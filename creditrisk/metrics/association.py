"""Association of variables, two at a time: rank correlation, Cramér's V, and within strata."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import chi2, mannwhitneyu, norm
from scipy.stats.contingency import association

from creditrisk.metrics.intervals import Interval


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


@dataclass(frozen=True)
class Stratified:
    """How an outcome goes with a group once strata are compared with themselves only."""

    difference: Interval  # of the two shares with the outcome, the group's less the others'
    odds_ratio: Interval | None  # None where it is not defined; p is Cochran, Mantel and Haenszel's
    strata: int  # those that hold both the group and others
    applicants: int  # in them


def stratified(outcome: np.ndarray, inside: np.ndarray, stratum: np.ndarray) -> Stratified | None:
    """The common difference and odds ratio of an outcome over strata, by Mantel and Haenszel.

    Parameters
    ----------
    outcome, inside
        Shape (n,), bool: who has the outcome, and who is in the group.
    stratum
        Shape (n,): the name or number of each one's stratum.

    Returns
    -------
    Stratified or None
        None if no stratum holds both the group and others.

    Notes
    -----
    Mantel and Haenszel (1959), Journal of the National Cancer Institute 22. The variance of the
    log odds ratio is Robins, Breslow and Greenland's (1986), Biometrics 42, that of the difference
    Sato's (1989), Biometrics 45, which holds for many small strata as well. A stratum in which all
    or none have the outcome says nothing on the odds ratio. The p-value is of the test without a
    correction for continuity.
    """
    outcome, inside = np.asarray(outcome, dtype=bool), np.asarray(inside, dtype=bool)
    codes, names = pd.factorize(np.asarray(stratum))
    size = len(names)
    a, b, c, d = (
        np.bincount(codes[these], minlength=size).astype(float)
        for these in (
            inside & outcome,
            inside & ~outcome,
            ~inside & outcome,
            ~inside & ~outcome,
        )
    )
    both = (a + b > 0) & (c + d > 0)
    if not both.any():
        return None
    a, b, c, d = a[both], b[both], c[both], d[both]
    n1, n0, n = a + b, c + d, a + b + c + d
    weight = n1 * n0 / n
    difference = ((a * n0 - c * n1) / n).sum() / weight.sum()
    p = (n1**2 * c - n0**2 * a + n1 * n0 * (n0 - n1) / 2) / n**2
    q = (a * d + b * c) / (2 * n)
    spread = (difference * p.sum() + q.sum()) / weight.sum() ** 2
    half = norm.ppf(0.975) * np.sqrt(max(0.0, spread))
    between = Interval(float(difference), float(difference - half), float(difference + half))
    ratio = _common_odds_ratio(a, b, c, d)
    return Stratified(between, ratio, int(both.sum()), int(n.sum()))


def _common_odds_ratio(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> Interval | None:
    """The odds ratio of tables [[a, b], [c, d]], shape (strata,) each; None if not defined."""
    n = a + b + c + d
    right, wrong = a * d / n, b * c / n
    if not (right.sum() and wrong.sum()):
        return None
    p, q = (a + d) / n, (b + c) / n
    variance = (
        (p * right).sum() / (2 * right.sum() ** 2)
        + (p * wrong + q * right).sum() / (2 * right.sum() * wrong.sum())
        + (q * wrong).sum() / (2 * wrong.sum() ** 2)
    )
    ratio = right.sum() / wrong.sum()
    factor = np.exp(norm.ppf(0.975) * np.sqrt(variance))
    used = n > 1
    expected = (a + b) * (a + c) / n
    of_a = ((a + b) * (c + d) * (a + c) * (b + d))[used] / (n**2 * (n - 1))[used]
    p_value = chi2.sf((a - expected).sum() ** 2 / of_a.sum(), 1) if of_a.sum() else 1.0
    return Interval(float(ratio), float(ratio / factor), float(ratio * factor), float(p_value))
