"""How much of a ROC-AUC is due to picking the best model, or to one random split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split

from creditrisk.metrics.intervals import Interval, weight_of
from creditrisk.metrics.placements import fast_auc
from creditrisk.modelling.cross_validation import OutOfFold
from creditrisk.modelling.pipelines import fit
from work_units.units import run_units


@dataclass(frozen=True)
class Selection:
    """The ROC-AUC of the best of several models, corrected for having been picked as the best."""

    picked: float  # ROC-AUC of the best model, on the scores it was picked by
    corrected: Interval  # of the picked model, on applicants who took no part in the choice
    shares: pd.Series  # by model: share of draws in which it was picked, the most frequent first

    @property
    def optimism(self) -> float:
        """How much the ROC-AUC of the best model is too high because it was picked by it."""
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

    Parameters
    ----------
    draws
        Bootstrap samples of the applicants.

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

    def auc(rows: Any, of_models: np.ndarray) -> np.ndarray:
        weight = weight_of(table.weight, rows)
        return fast_auc(table.y[rows], of_models, weight)

    picked, judged = [], []
    for draw in range(draws):
        rows = generator.integers(0, n, n)
        rest = np.setdiff1d(np.arange(n), rows)
        if min(len(np.unique(table.y[rows])), len(np.unique(table.y[rest]))) < 2:
            continue  # only one class was drawn, or left: nothing to rank
        once = scores[:, draw % repeats]
        best = int(auc(rows, once[:, rows]).argmax())
        picked.append(names[best])
        judged.append(auc(rest, once[best : best + 1, rest])[0])
    overall = np.mean([auc(slice(None), scores[:, repeat]) for repeat in range(repeats)], axis=0)
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
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """ROC-AUC of each estimator on each of many random stratified splits.

    Parameters
    ----------
    X, y
        Encoded matrix (n, columns) and outcomes (n,), 1 = good and 0 = bad.
    test_size
        Share of applicants in each test part.
    workers, keep, weight
        As :func:`~creditrisk.modelling.cross_validation.cross_validate` takes them.

    Returns
    -------
    DataFrame, shape (splits, estimators)

    Raises
    ------
    ValueError
        If ``splits`` is below 1.
    """
    if splits < 1:
        raise ValueError(f"splits is {splits}; it must be at least 1")
    units = [(list(estimators.values()), X, y, weight, test_size, seed + n) for n in range(splits)]
    return pd.DataFrame(run_units(_split_aucs, units, workers, keep), columns=list(estimators))


def split_figures(luck: pd.DataFrame) -> dict[str, float]:
    """The lowest and the highest ROC-AUC of single splits, and how often the last model leads."""
    return {
        "lowest": float(luck.to_numpy().min()),
        "highest": float(luck.to_numpy().max()),
        "second_ahead": float((luck.iloc[:, -1] > luck.iloc[:, 0]).mean()),
    }


def _split_aucs(
    estimators: list[BaseEstimator],
    X: pd.DataFrame,
    y: pd.Series,
    weight: np.ndarray | None,
    test_size: float,
    seed: int,
) -> list[float]:
    rows = np.arange(len(y))
    train, test = train_test_split(rows, test_size=test_size, stratify=y, random_state=seed)
    learned, judged = (weight_of(weight, part) for part in (train, test))
    fitted = [fit(clone(each), X.iloc[train], y.iloc[train], learned) for each in estimators]
    scores = [each.predict_proba(X.iloc[test])[:, 1] for each in fitted]
    return [sk.roc_auc_score(y.iloc[test], each, sample_weight=judged) for each in scores]
