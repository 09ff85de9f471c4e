"""Which model is better, and how sure the data lets us be of that."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split

from creditrisk.metrics.intervals import Interval
from creditrisk.metrics.ranking import fast_auc
from creditrisk.modelling.cross_validation import OutOfFold
from work_units.units import run_units

#: The verdict on two figures that the data cannot distinguish.
UNCLEAR = "not distinguishable"


def corrected_difference(
    a: np.ndarray, b: np.ndarray, held_out_share: float, level: float = 0.95
) -> Interval:
    """Mean difference of two models over the same folds, honest about the folds' overlap.

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
    """P-values corrected for their number: the chance of even one false finding stays at the level.

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
        corrected resampled 95 % interval low and high, p, p_corrected (Holm, over all pairs), and
        verdict, "better" or "not distinguishable".
    """
    auc = fold_measures.pivot(index="fold", columns="model", values="roc_auc")
    gaps = {
        pair: corrected_difference(auc[pair[0]], auc[pair[1]], 1 / (folds - 1))
        for pair in combinations(order, 2)
    }
    rows = [(*pair, gap.estimate, gap.low, gap.high, gap.p) for pair, gap in gaps.items()]
    table = pd.DataFrame(rows, columns=["model", "other", "gained", "low", "high", "p"])
    table["p_corrected"] = holm(table.p)
    real = table.p_corrected < 0.05
    table["verdict"] = np.where(real, np.where(table.gained > 0, "better", "worse"), UNCLEAR)
    return table


def above_chance(fold_measures: pd.DataFrame, order: list[str], folds: int) -> pd.DataFrame:
    """Whether each model ranks better than a coin, ROC-AUC one half: gained, low, high, p.

    Returns
    -------
    DataFrame
        Indexed by model, with p_corrected (Holm, over the models) and verdict, "better than
        chance" or "not distinguishable from chance".
    """
    auc = _auc_by_fold(fold_measures)
    table = _gains(auc[order], auc[order] * 0 + 0.5, folds)
    real = (table.p_corrected < 0.05) & (table.gained > 0)
    table["verdict"] = np.where(real, "better than chance", f"{UNCLEAR} from chance")
    return table


def gained_over(
    fold_measures: pd.DataFrame, before: pd.DataFrame, order: list[str], folds: int
) -> pd.DataFrame:
    """What each model has gained in ROC-AUC over what it was before, on the same folds.

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
    table = _gains(_auc_by_fold(fold_measures)[order], _auc_by_fold(before)[order], folds)
    real = table.p_corrected < 0.05
    table["verdict"] = np.where(real, np.where(table.gained > 0, "better", "worse"), UNCLEAR)
    return table


def _auc_by_fold(fold_measures: pd.DataFrame) -> pd.DataFrame:
    return fold_measures.pivot(index="fold", columns="model", values="roc_auc")


def _gains(after: pd.DataFrame, before: pd.DataFrame, folds: int) -> pd.DataFrame:
    """The corrected difference of each column, with p corrected for the number of columns."""
    gaps = [corrected_difference(after[name], before[name], 1 / (folds - 1)) for name in after]
    rows = [(gap.estimate, gap.low, gap.high, gap.p) for gap in gaps]
    table = pd.DataFrame(rows, after.columns, columns=["gained", "low", "high", "p"])
    return table.assign(p_corrected=holm(table.p))


@dataclass(frozen=True)
class Selection:
    """What picking the best of several models by cross-validation is worth once luck is out."""

    picked: float  # ROC-AUC of the best model, on the scores it was picked by
    corrected: Interval  # of whichever model would be picked, on applicants who had no say in it
    shares: pd.Series  # by model: how often it would have been picked, most often first

    @property
    def optimism(self) -> float:
        """How much of the best model's ROC-AUC is the luck of having been picked."""
        return self.picked - self.corrected.estimate

    @property
    def figures(self) -> dict[str, object]:
        """The selection as JSON holds it."""
        return {
            "roc_auc_pooled": self.picked,
            "roc_auc_corrected": vars(self.corrected),
            "optimism": self.optimism,
            "picked_share": self.shares.to_dict(),
        }


def selection(table: OutOfFold, *, draws: int, seed: int) -> Selection:
    """How optimistic the best model's cross-validated ROC-AUC is, without another fit.

    Notes
    -----
    Bootstrap bias-corrected cross-validation (Tsamardinos, Greasidou and Borboudakis 2018,
    Machine Learning 107): applicants are drawn with replacement, the best model is picked on
    their out-of-fold scores, and is judged by those who were not drawn. The draws take the
    repeats in turn; ROC-AUC is that of a whole repeat, not the mean over folds.
    """
    names, generator = list(table.scores), np.random.default_rng(seed)
    scores = np.stack([table.scores[name] for name in names])  # (models, repeats, n)
    repeats, n = scores.shape[1:]
    picked, judged = [], []
    for draw in range(draws):
        rows = generator.integers(0, n, n)
        rest = np.setdiff1d(np.arange(n), rows)
        if min(len(np.unique(table.y[rows])), len(np.unique(table.y[rest]))) < 2:
            continue  # only one class was drawn, or left: nothing to rank
        once = scores[:, draw % repeats]
        best = int(fast_auc(table.y[rows], once[:, rows]).argmax())
        picked.append(names[best])
        judged.append(fast_auc(table.y[rest], once[best : best + 1, rest])[0])
    overall = np.mean([fast_auc(table.y, scores[:, repeat]) for repeat in range(repeats)], axis=0)
    low, high = np.quantile(judged, [0.025, 0.975])
    corrected = Interval(float(np.mean(judged)), float(low), float(high))
    shares = pd.Series(picked).value_counts(normalize=True)
    return Selection(float(overall.max()), corrected, shares)


def split_luck(
    estimators: dict[str, BaseEstimator],
    X: pd.DataFrame,
    y: pd.Series,
    *,
    splits: int,
    test_size: float,
    seed: int,
    workers: int = -1,
    keep: str | Path | None = None,
) -> pd.DataFrame:
    """ROC-AUC that each estimator would get on each of many random stratified splits.

    Returns
    -------
    DataFrame, shape (splits, estimators)

    Raises
    ------
    ValueError
        If there is no split.
    """
    if splits < 1:
        raise ValueError(f"splits is {splits}; it takes one at least")
    units = [(list(estimators.values()), X, y, test_size, seed + n) for n in range(splits)]
    return pd.DataFrame(run_units(_split_aucs, units, workers, keep), columns=list(estimators))


def split_figures(luck: pd.DataFrame) -> dict[str, float]:
    """The lowest and the highest ROC-AUC of single splits, and how often the last model leads."""
    return {
        "lowest": float(luck.to_numpy().min()),
        "highest": float(luck.to_numpy().max()),
        "second_ahead": float((luck.iloc[:, -1] > luck.iloc[:, 0]).mean()),
    }


def _split_aucs(
    estimators: list[BaseEstimator], X: pd.DataFrame, y: pd.Series, test_size: float, seed: int
) -> list[float]:
    A, B, a, b = train_test_split(X, y, test_size=test_size, stratify=y, random_state=seed)
    fitted = [clone(estimator).fit(A, a) for estimator in estimators]
    return [sk.roc_auc_score(b, each.predict_proba(B)[:, 1]) for each in fitted]
