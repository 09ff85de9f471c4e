"""The population stability index: whether two samples are of the same population."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.contract import Contract, Field
from creditrisk.data.encoding import encoded_columns, levels_with_missing


@dataclass(frozen=True)
class Stability:
    """A population stability index and its upper limit by chance."""

    psi: float
    by_chance: float  # 95 % of indices of two samples of one population lie below

    @property
    def shifted(self) -> bool:
        """Whether the samples differ by more than chance explains."""
        return self.psi > self.by_chance


def population_stability_index(before: np.ndarray, after: np.ndarray) -> Stability:
    """Population stability index of two samples' counts over the same bins.

    Parameters
    ----------
    before, after
        Applicants in each bin, shape (bins,). Bins empty in both are left out; where one of
        them is empty, half an applicant is added to both.

    Notes
    -----
    PSI = sum (a - b) ln(a / b) over the shares b before and a after (Siddiqi 2006, Credit Risk
    Scorecards: under 0.1 stable, above 0.25 shifted). If nothing has changed, PSI is about
    chi-squared with bins - 1 degrees times 1/n + 1/m (Yurdakul and Naranjo 2020, Journal of Risk
    Model Validation 14): for small samples the rule of thumb is far too strict.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    used = before + after > 0
    before, after = before[used], after[used]
    n, m = before.sum(), after.sum()
    padding = 0.5 * ((before == 0) | (after == 0))
    b, a = (before + padding) / n, (after + padding) / m
    by_chance = stats.chi2.ppf(0.95, max(1, len(b) - 1)) * (1 / n + 1 / m) if len(b) > 1 else 0.0
    return Stability(float(((a - b) * np.log(a / b)).sum()), float(by_chance))


def score_stability(before: np.ndarray, after: np.ndarray, bins: int = 10) -> Stability:
    """Stability of a score or quantity, over bins that hold equal shares of the sample before."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        for values in (before, after)
    ]
    return population_stability_index(*counts)


def column_stability(
    before: pd.Series, after: pd.Series, field: Field, bins: int = 10
) -> Stability:
    """Stability of one raw column: of its levels, missing one of them, or of a quantity's bins."""
    if field.levels is None:
        return score_stability(before.to_numpy(), after.to_numpy(), bins)
    counts = [
        levels_with_missing(values, field).value_counts(sort=False) for values in (before, after)
    ]
    return population_stability_index(*(count.to_numpy() for count in counts))


def stability_table(
    before: pd.DataFrame,
    after: pd.DataFrame,
    contract: Contract,
    score_before: np.ndarray,
    score_after: np.ndarray,
) -> pd.DataFrame:
    """Stability of every raw column and of the score.

    Parameters
    ----------
    before, after
        Raw applications of the two samples.
    score_before, score_after
        Their probabilities of good.

    Returns
    -------
    DataFrame
        Indexed by title of the column, the last being Score: psi, and by_chance, which 95 % of
        the indices of two samples of one population do not reach.
    """
    found = {
        field.title: column_stability(before[field.name], after[field.name], field)
        for field in contract.fields
    }
    found["Score"] = score_stability(score_before, score_after)
    rows = {name: (each.psi, each.by_chance) for name, each in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["psi", "by_chance"])


def same_population(X: pd.DataFrame, other: pd.DataFrame, contract: Contract) -> "pd.Series[float]":
    """Tests by column of whether two samples are of the same population.

    Parameters
    ----------
    X, other
        Encoded matrices, shapes (n, columns) and (m, columns).

    Returns
    -------
    Series
        Indexed by raw column: the p-value of Kolmogorov and Smirnov's test for a quantity, of the
        chi-squared test for a category, the smallest first. A category of one level has 1.
    """
    p = {
        field.name: stats.ks_2samp(X[field.name], other[field.name]).pvalue
        for field in contract.numbers
    }
    for field in contract.categories:
        columns = encoded_columns(contract, field)
        counts = pd.DataFrame([X[columns].sum(), other[columns].sum()])
        p[field.name] = stats.chi2_contingency(counts.loc[:, counts.sum() > 0]).pvalue
    return pd.Series(p, name="p").sort_values()
