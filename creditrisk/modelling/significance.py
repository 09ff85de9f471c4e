"""Differences between models over the same folds, and their significance."""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.metrics.intervals import Interval

#: The verdict on two models whose difference may be chance.
UNCLEAR = "not distinguishable"


def corrected_difference(
    a: np.ndarray, b: np.ndarray, held_out_share: float, level: float = 0.95
) -> Interval:
    """Mean difference of two models over the same folds, corrected for the folds' overlap.

    Parameters
    ----------
    a, b
        The measure of each model on each fold, shape (folds,).
    held_out_share
        Size of a held-out fold divided by that of its training part, 1/9 for ten folds.

    Notes
    -----
    The corrected resampled t-test of Nadeau and Bengio (2003), "Inference for the
    Generalization Error", Machine Learning 52: the variance of the mean is inflated from
    s²/k to s² (1/k + held_out_share).
    """
    difference = np.asarray(a) - np.asarray(b)
    k, mean = len(difference), float(difference.mean())
    error = difference.std(ddof=1) * np.sqrt(1 / k + held_out_share)
    half = float(stats.t.ppf((1 + level) / 2, k - 1) * error)
    p = float(2 * stats.t.sf(abs(mean) / error, k - 1)) if error > 0 else float(mean == 0)
    return Interval(mean, mean - half, mean + half, p)


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for their number, which bounds the chance of any false finding.

    Parameters
    ----------
    p
        Shape (tests,).

    Notes
    -----
    Holm (1979), Scandinavian Journal of Statistics 6: the smallest p times the number of tests,
    the next times one less, and so on, none below the one before.
    """
    p = np.asarray(p, dtype=float)
    order = p.argsort(kind="stable")
    corrected = np.empty(len(p))
    steps = p[order] * np.arange(len(p), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected


def compare_pairs(fold_measures: pd.DataFrame, order: list[str], folds: int) -> pd.DataFrame:
    """ROC-AUC difference of every pair of models over the same folds.

    Parameters
    ----------
    fold_measures
        From :meth:`OutOfFold.fold_measures`.
    order
        Names, best first.
    folds
        Folds a repeat; a held-out fold is 1/(folds - 1) of what it was trained on.

    Returns
    -------
    DataFrame
        One row a pair: model, other, gained (ROC-AUC of model less that of other) with its
        corrected resampled 95% interval low and high, p, p_corrected (Holm, over all pairs), and
        verdict, "better" or "not distinguishable".
    """
    auc = _auc_by_fold(fold_measures)
    gaps = {
        pair: corrected_difference(auc[pair[0]], auc[pair[1]], 1 / (folds - 1))
        for pair in combinations(order, 2)
    }
    rows = [(*pair, gap.estimate, gap.low, gap.high, gap.p) for pair, gap in gaps.items()]
    table = pd.DataFrame(rows, columns=["model", "other", "gained", "low", "high", "p"])
    return _with_verdict(table.assign(p_corrected=holm(table.p)))


def above_chance(fold_measures: pd.DataFrame, order: list[str], folds: int) -> pd.DataFrame:
    """Whether the ROC-AUC of each model is above one half, that of chance.

    Returns
    -------
    DataFrame
        Indexed by model: gained, low, high, p, p_corrected (Holm, over the models) and verdict,
        "better than chance" or "not distinguishable from chance".
    """
    auc = _auc_by_fold(fold_measures)
    table = _gains(auc[order], auc[order] * 0 + 0.5, folds)
    real = (table.p_corrected < 0.05) & (table.gained > 0)
    table["verdict"] = np.where(real, "better than chance", f"{UNCLEAR} from chance")
    return table


def mean_interval(fold_measures: pd.DataFrame, model: str, folds: int) -> Interval:
    """The mean ROC-AUC of a model over all folds, with the corrected resampled 95% interval.

    Between few folds with few bad loans it would reach beyond 0 and 1, where no ROC-AUC lies.
    """
    auc = _auc_by_fold(fold_measures)[model].to_numpy()
    found = corrected_difference(auc, np.zeros(len(auc)), 1 / (folds - 1))
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


@dataclass(frozen=True)
class SimplestChoice:
    """The simplest model whose mean ROC-AUC is within one standard error of the best."""

    model: str
    roc_auc: float  # its mean over the folds
    error: float  # the standard error of the best model's mean

    @property
    def figures(self) -> dict[str, str | float]:
        """The choice as JSON holds it."""
        return {"model": self.model, "roc_auc": self.roc_auc, "standard_error": self.error}


def one_standard_error(
    fold_measures: pd.DataFrame, simplest_first: list[str], folds: int
) -> SimplestChoice:
    """The choice of the one-standard-error rule.

    Parameters
    ----------
    fold_measures
        From :meth:`OutOfFold.fold_measures`.
    simplest_first
        Names of the models that were scored, the simplest first.
    folds
        Folds a repeat.

    Notes
    -----
    Breiman, Friedman, Olshen and Stone (1984), "Classification and Regression Trees": a simpler
    model is taken unless another is better by more than the standard error of its own estimate.
    The error allows for the overlap of the folds, as in :func:`corrected_difference`.
    """
    auc = _auc_by_fold(fold_measures)[simplest_first]
    best = auc[auc.mean().idxmax()]
    error = float(best.std(ddof=1) * np.sqrt(1 / len(auc) + 1 / (folds - 1)))
    within = next(name for name in simplest_first if auc[name].mean() >= best.mean() - error)
    return SimplestChoice(within, float(auc[within].mean()), error)


def gained_over(
    fold_measures: pd.DataFrame, before: pd.DataFrame, order: list[str], folds: int
) -> pd.DataFrame:
    """The ROC-AUC that each model has gained over an earlier version, on the same folds.

    Parameters
    ----------
    fold_measures, before
        From :meth:`OutOfFold.fold_measures`.
    order
        Names of models that both have.
    folds
        Folds a repeat.

    Returns
    -------
    DataFrame
        Indexed by model: gained, low, high, p, p_corrected (Holm, over the models), and verdict,
        "better", "worse" or "not distinguishable".
    """
    auc, auc_before = _auc_by_fold(fold_measures)[order], _auc_by_fold(before)[order]
    return _with_verdict(_gains(auc, auc_before, folds))


def _with_verdict(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the verdict on each row, at 5% after correction."""
    direction = np.where(table.gained > 0, "better", "worse")
    return table.assign(verdict=np.where(table.p_corrected < 0.05, direction, UNCLEAR))


def _auc_by_fold(fold_measures: pd.DataFrame) -> pd.DataFrame:
    return fold_measures.pivot(index="fold", columns="model", values="roc_auc")


def _gains(after: pd.DataFrame, before: pd.DataFrame, folds: int) -> pd.DataFrame:
    """The corrected difference of each column, with p corrected for the number of columns."""
    gaps = [corrected_difference(after[name], before[name], 1 / (folds - 1)) for name in after]
    rows = [(gap.estimate, gap.low, gap.high, gap.p) for gap in gaps]
    table = pd.DataFrame(rows, after.columns, columns=["gained", "low", "high", "p"])
    return table.assign(p_corrected=holm(table.p))
