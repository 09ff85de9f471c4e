"""The population stability index: whether two samples are of the same population."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import encoded_columns, levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import as_quantity, places, state_names
from creditrisk.metrics.intervals import effective_rows, quantiles

#: How often some limit of :func:`stability_table` is passed although nothing has changed.
FALSE_ALARMS = 0.05

#: Random splits by which a limit is found, and their seed.
DRAWS, SEED = 20_000, 7

#: The weights of two samples' rows; None: each row counts once.
Weights = tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Stability:
    """A population stability index and its upper limit by chance."""

    psi: float
    by_chance: float  # the share ``level`` of indices of two samples of one population lies below

    @property
    def shifted(self) -> bool:
        """Whether the samples differ by more than chance explains."""
        return self.psi > self.by_chance


def population_stability_index(
    before: np.ndarray,
    after: np.ndarray,
    level: float = 0.95,
    effective: tuple[float, float] | None = None,
) -> Stability:
    """Population stability index of two samples' counts over the same bins.

    Parameters
    ----------
    before, after
        Applicants in each bin, shape (bins,). Bins empty in both are left out; where one of
        them is empty, half an applicant is added to both.
    level
        Of ``by_chance``: the quantile of the index if nothing has changed.
    effective
        Of weighted counts: the effective number of rows of each sample.

    Notes
    -----
    PSI = sum (a - b) ln(a / b) over the shares b before and a after (Siddiqi 2006, Credit Risk
    Scorecards: under 0.1 stable, above 0.25 shifted). For small samples that rule of thumb is far
    too strict (Yurdakul and Naranjo 2020, Journal of Risk Model Validation 14), so the limit by
    chance is simulated: all applicants are split into two samples of these sizes at random, many
    times, and the index is computed in the same way, empty bins included. Weighted counts are
    brought to the effective numbers of rows for that, in whole applicants.
    """
    if effective is not None:
        before, after = (
            np.asarray(counts) * (rows / np.sum(counts))
            for counts, rows in zip((before, after), effective, strict=True)
        )
        whole = population_stability_index(np.rint(before), np.rint(after), level)
        used = before + after > 0
        return Stability(float(_index(before[used], after[used])), whole.by_chance)
    before, after = np.asarray(before, dtype=int), np.asarray(after, dtype=int)
    used = before + after > 0
    before, after = before[used], after[used]
    pooled, size = before + after, int(after.sum())
    generator = np.random.default_rng(SEED)
    drawn = generator.multivariate_hypergeometric(pooled, size, DRAWS, method="marginals")
    by_chance = np.quantile(_index(pooled - drawn, drawn), level)
    return Stability(float(_index(before, after)), float(by_chance))


def _index(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The index of counts, over the last axis."""
    padding = 0.5 * ((before == 0) | (after == 0))
    b = (before + padding) / before.sum(axis=-1, keepdims=True)
    a = (after + padding) / after.sum(axis=-1, keepdims=True)
    index: np.ndarray = ((a - b) * np.log(a / b)).sum(axis=-1)
    return index


def score_stability(
    before: np.ndarray,
    after: np.ndarray,
    bins: int = 10,
    level: float = 0.95,
    weights: Weights = None,
) -> Stability:
    """Stability of a score or quantity, over bins that hold equal shares of the sample before."""
    weight = None if weights is None else weights[0]
    edges = np.unique(quantiles(before, np.linspace(0, 1, bins + 1)[1:-1], weight))
    bin_of = [np.searchsorted(edges, values, side="right") for values in (before, after)]
    return _of_bins(bin_of, len(edges) + 1, level, weights)


def _of_bins(bin_of: list[np.ndarray], size: int, level: float, weights: Weights) -> Stability:
    """The index of two samples, from the number of each row's bin."""
    if weights is None:
        first, second = (np.bincount(each, minlength=size) for each in bin_of)
        return population_stability_index(first, second, level)
    first, second = (
        np.bincount(each, weight, minlength=size)
        for each, weight in zip(bin_of, weights, strict=True)
    )
    effective = effective_rows(weights[0]), effective_rows(weights[1])
    return population_stability_index(first, second, level, effective)


def column_stability(
    before: pd.Series,
    after: pd.Series,
    field: Field,
    bins: int = 10,
    level: float = 0.95,
    weights: Weights = None,
) -> Stability:
    """Stability of one raw column: of its levels, missing one of them, or of a quantity's bins.

    The bins hold equal shares of the rows before, weighted or not.
    """
    if field.levels is None:
        quantiles = as_quantity(before, field).quantile(np.linspace(0, 1, bins + 1)[1:-1])
        # Below each quantile, as for a score: an edge is the highest value of its bin.
        edges = np.unique(np.nextafter(quantiles.dropna(), -np.inf))
        size = len(edges) + 1 + len(state_names(field))
        found = [places(values, field, edges) for values in (before, after)]
    else:
        size = len(field.all_levels)
        found = [levels_with_missing(values, field).cat.codes for values in (before, after)]
    return _of_bins([np.asarray(codes) for codes in found], size, level, weights)


def score_title(contract: Contract) -> str:
    """What the probability of good is called among the columns: Score, if no column is."""
    titles = {field.title.casefold() for field in contract.fields}
    return "Score of the model" if "score" in titles else "Score"


def stability_table(
    before: pd.DataFrame,
    after: pd.DataFrame,
    contract: Contract,
    score_before: np.ndarray,
    score_after: np.ndarray,
    weights: Weights = None,
) -> pd.DataFrame:
    """Stability of every raw column and of the score, with limits that allow for their number.

    If nothing has changed, some index lies beyond its limit in about :data:`FALSE_ALARMS` of the
    cases (Bonferroni). The limit of the score allows for sampling only, not for two fits if the
    two scores are not of the same one.

    Parameters
    ----------
    before, after
        Raw applications of the two samples.
    score_before, score_after
        Their probabilities of good.
    weights
        How many applications each row of either stands for; None: each counts once.

    Returns
    -------
    DataFrame
        Indexed by title of the column, the last being the score: psi and by_chance, its limit.
    """
    level = 1 - FALSE_ALARMS / (len(contract.fields) + 1)
    found = {
        field.title: column_stability(
            before[field.name], after[field.name], field, level=level, weights=weights
        )
        for field in contract.fields
    }
    score = score_stability(score_before, score_after, level=level, weights=weights)
    found[score_title(contract)] = score
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
        chi-squared test for a category, the smallest first. A category of one level has 1. Where
        a quantity may be missing, or in a state, how often it is is tested as well; it has twice
        the smaller of the two (Bonferroni).
    """
    p = {}
    for field in contract.numbers:
        _, *states = encoded_columns(contract, field)
        p[field.name] = _smirnov(X[field.name].dropna(), other[field.name].dropna())
        if states:
            in_one = [
                frame[states].assign(known=1 - frame[states].sum(axis=1)) for frame in (X, other)
            ]
            p[field.name] = min(1, 2 * min(p[field.name], _chi_squared(*in_one)))
    for field in contract.categories:
        columns = encoded_columns(contract, field)
        p[field.name] = _chi_squared(X[columns], other[columns])
    return pd.Series(p, name="p").sort_values()


def _chi_squared(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """The p-value of the chi-squared test of how often each column is 1; 1 if only one ever is."""
    counts = pd.DataFrame([first.sum(), second.sum()])
    return float(stats.chi2_contingency(counts.loc[:, counts.sum() > 0]).pvalue)


def _smirnov(first: pd.Series, second: pd.Series) -> float:
    """The p-value of Kolmogorov and Smirnov's test, 1 if a sample has no value."""
    return float(stats.ks_2samp(first, second).pvalue) if len(first) and len(second) else 1.0
