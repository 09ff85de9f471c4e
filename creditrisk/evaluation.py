"""How good a model is, how sure we can be, and what its decisions cost.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats
from scipy.special import logit
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold

from creditrisk.models import Candidate

#: The measures of the comparison, in the order of ``experiments/results.csv``.
MEASURES = [
    "accuracy", "precision", "recall", "f1", "roc_auc", "gini", "ks", "brier", "log_loss",
]  # fmt: skip


def measures(y: np.ndarray, score: np.ndarray, cutoff: float = 0.5) -> dict[str, float]:
    """The usual measures of a classifier; precision, recall and F1 are those of good risks.

    Parameters
    ----------
    y, score
        Shape (n,); both classes must occur in ``y``.
    cutoff
        A score at or above it counts as predicted good.

    Returns
    -------
    dict
        Keys as :data:`MEASURES`. Gini is 2 ROC-AUC - 1; KS is the largest distance between
        the score distributions of good and bad, that is max(TPR - FPR).
    """
    y, predicted = np.asarray(y), np.asarray(score) >= cutoff
    fpr, tpr, _ = sk.roc_curve(y, score)
    auc = sk.roc_auc_score(y, score)
    return {
        "accuracy": float((predicted == y).mean()),
        "precision": sk.precision_score(y, predicted, zero_division=0.0),
        "recall": sk.recall_score(y, predicted),
        "f1": sk.f1_score(y, predicted, zero_division=0.0),
        "roc_auc": float(auc),
        "gini": float(2 * auc - 1),
        "ks": float((tpr - fpr).max()),
        "brier": sk.brier_score_loss(y, score),
        "log_loss": sk.log_loss(y, score),
    }


@dataclass(frozen=True)
class OutOfFold:
    """Scores of every candidate for every applicant, made by a model that did not see them."""

    y: np.ndarray  # (n,), 1 = good
    fold: np.ndarray  # (repeats, n), the fold in which an applicant was held out
    scores: dict[str, np.ndarray] = field(default_factory=dict)  # name -> (repeats, n)
    fit_seconds: dict[str, float] = field(default_factory=dict)  # name -> mean of one fit

    def held_out(self, name: str):
        """Yield ``(y, score)`` of each held-out fold of a candidate."""
        for folds, scores in zip(self.fold, self.scores[name], strict=True):
            for number in np.unique(folds):
                inside = folds == number
                yield self.y[inside], scores[inside]

    def fold_measures(self) -> pd.DataFrame:
        """One row a candidate and held-out fold, one column a measure (cut-off 0.5)."""
        rows = [
            {"model": name, "fold": number, **measures(y, score)}
            for name in self.scores
            for number, (y, score) in enumerate(self.held_out(name))
        ]
        return pd.DataFrame(rows)


def cross_validate(
    models: list[Candidate],
    X: pd.DataFrame,
    y: pd.Series,
    *,
    folds: int,
    repeats: int,
    seed: int,
    workers: int = -1,
) -> OutOfFold:
    """Score every candidate out of fold: repeated stratified k-fold, the same folds for all.

    A blend is the mean of its members' scores, so nothing is fitted twice.

    Parameters
    ----------
    X
        Encoded matrix, shape (n, columns).
    y
        Shape (n,), 1 = good and 0 = bad.
    workers
        Processes to fit in, -1 for one a core; the result does not depend on it.
    """
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(splitter.split(X, y))
    single = [model for model in models if model.estimator is not None]
    # One unit is a candidate and a fold, dearest candidates last in the list come first here.
    units = [(model, split) for split in range(len(splits)) for model in reversed(single)]
    with Parallel(n_jobs=workers) as parallel:
        done = parallel(
            delayed(_fold_scores)(model.estimator, X, y, *splits[split]) for model, split in units
        )
    table = OutOfFold(np.asarray(y), np.empty((repeats, len(y)), dtype=int))
    scores = {model.name: np.empty((repeats, len(y))) for model in single}
    seconds = {model.name: [] for model in single}
    for (model, split), (held_out_scores, fit_seconds) in zip(units, done, strict=True):
        repeat, number = divmod(split, folds)
        held_out = splits[split][1]
        table.fold[repeat, held_out] = number
        scores[model.name][repeat, held_out] = held_out_scores
        seconds[model.name].append(fit_seconds)
    for model in models:
        parts = model.members or (model.name,)
        table.scores[model.name] = np.mean([scores[part] for part in parts], axis=0)
        table.fit_seconds[model.name] = float(sum(np.mean(seconds[part]) for part in parts))
    return table


def _fold_scores(
    estimator: BaseEstimator, X: pd.DataFrame, y: pd.Series, train: np.ndarray, held_out: np.ndarray
) -> tuple[np.ndarray, float]:
    started = time.perf_counter()
    fitted = clone(estimator).fit(X.iloc[train], y.iloc[train])
    seconds = time.perf_counter() - started
    return fitted.predict_proba(X.iloc[held_out])[:, 1], seconds


def results(fold_measures: pd.DataFrame) -> pd.DataFrame:
    """One row a model, best ROC-AUC first: the mean of each measure over the folds and its SD."""
    by_model = fold_measures.groupby("model")[MEASURES]
    table = by_model.mean().join(by_model.std(ddof=1).add_suffix("_sd"))
    order = [name for measure in MEASURES for name in (measure, f"{measure}_sd")]
    table = table[order].assign(folds=by_model.size())
    return table.sort_values("roc_auc", ascending=False, kind="stable").reset_index()


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    p: float | None = None  # two-sided, for a difference from zero

    def __str__(self) -> str:
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


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


def auc_interval(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> Interval:
    """ROC-AUC with DeLong's confidence interval.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: with V10 the share of bad each
    good outranks (ties half) and V01 the share of good each bad is outranked by, the
    variance is var(V10)/m + var(V01)/n. The bounds are kept within 0 and 1.
    """
    y, score = np.asarray(y), np.asarray(score)
    good, bad = score[y == 1][:, None], score[y == 0][None, :]
    wins = (good > bad) + 0.5 * (good == bad)
    by_good, by_bad = wins.mean(axis=1), wins.mean(axis=0)
    error = np.sqrt(by_good.var(ddof=1) / len(by_good) + by_bad.var(ddof=1) / len(by_bad))
    estimate, half = float(wins.mean()), float(stats.norm.ppf((1 + level) / 2) * error)
    return Interval(estimate, max(0.0, estimate - half), min(1.0, estimate + half))


def bootstrap_interval(
    statistic, y: np.ndarray, *scores: np.ndarray, draws: int, seed: int, level: float = 0.95
) -> Interval:
    """Percentile bootstrap of ``statistic(y, *scores)`` over applicants, classes kept in size.

    Parameters
    ----------
    statistic
        Function of arrays of shape (n,) to a float.
    """
    y, generator = np.asarray(y), np.random.default_rng(seed)
    classes = [np.flatnonzero(y == label) for label in (0, 1)]
    drawn = np.empty(draws)
    for number in range(draws):
        rows = np.concatenate([generator.choice(rows, len(rows)) for rows in classes])
        drawn[number] = statistic(y[rows], *(score[rows] for score in scores))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(y, *scores)), float(low), float(high))


def share_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """A share with Wilson's score interval (Wilson 1927)."""
    bounds = stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Interval(successes / n, bounds.low, bounds.high)


def risk_by_level(levels: pd.Series, y: pd.Series) -> pd.DataFrame:
    """Bad rate, weight of evidence and information value of each level of a variable.

    Parameters
    ----------
    levels
        Shape (n,), no missing values; a categorical keeps its order.
    y
        Shape (n,), 1 = good and 0 = bad.

    Returns
    -------
    DataFrame
        Indexed by level: applicants, good, bad, bad_rate with Wilson bounds low and high,
        woe = ln(share of all good / share of all bad), and iv, the level's part of the
        information value (share of good - share of bad) · woe. Half an applicant is added
        to both counts of a level in which one class is absent, so that woe stays finite.
    """
    counts = pd.crosstab(levels, y).reindex(columns=[1, 0], fill_value=0)
    table = pd.DataFrame({"applicants": counts.sum(axis=1), "good": counts[1], "bad": counts[0]})
    intervals = [share_interval(bad, n) for bad, n in zip(table.bad, table.applicants, strict=True)]
    table["bad_rate"] = [interval.estimate for interval in intervals]
    table["low"] = [interval.low for interval in intervals]
    table["high"] = [interval.high for interval in intervals]
    padding = 0.5 * ((table.good == 0) | (table.bad == 0))
    good = (table.good + padding) / table.good.sum()
    bad = (table.bad + padding) / table.bad.sum()
    table["woe"] = np.log(good / bad)
    table["iv"] = (good - bad) * table.woe
    return table


def expected_cost(
    y: np.ndarray, score: np.ndarray, cutoffs: np.ndarray, bad_accepted: float, good_rejected: float
) -> np.ndarray:
    """Cost per applicant at each cut-off, when a score at or above it is approved.

    Parameters
    ----------
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant, in the same unit.

    Returns
    -------
    ndarray, shape (cutoffs,)
    """
    y, approved = np.asarray(y), np.asarray(score)[None, :] >= np.asarray(cutoffs)[:, None]
    bad = (approved & (y == 0)).mean(axis=1)
    good = (~approved & (y == 1)).mean(axis=1)
    return bad_accepted * bad + good_rejected * good


def cost_samples(
    y: np.ndarray, score: np.ndarray, cutoffs: np.ndarray, bad_accepted: float,
    good_rejected: float, *, draws: int, seed: int,
) -> np.ndarray:  # fmt: skip
    """Cost curves of bootstrap samples of the applicants, shape (draws, cutoffs)."""
    y, score, generator = np.asarray(y), np.asarray(score), np.random.default_rng(seed)
    samples = generator.integers(0, len(y), (draws, len(y)))
    return np.array(
        [expected_cost(y[s], score[s], cutoffs, bad_accepted, good_rejected) for s in samples]
    )


def calibration_table(y: np.ndarray, score: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Predicted and observed share of good in bins of equal size, with Wilson bounds."""
    place = pd.qcut(pd.Series(np.asarray(score)), bins, labels=False, duplicates="drop")
    rows = []
    for _, inside in place.groupby(place):
        good = np.asarray(y)[inside.index]
        observed = share_interval(good.sum(), len(good))
        predicted = float(np.asarray(score)[inside.index].mean())
        rows.append((len(good), predicted, observed.estimate, observed.low, observed.high))
    return pd.DataFrame(rows, columns=["applicants", "predicted", "observed", "low", "high"])


def calibration_slope(y: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the logistic recalibration of the scores; 1 and 0 are ideal.

    Notes
    -----
    Cox (1958): logit P(y = 1) = intercept + slope · logit(score), by maximum likelihood.
    A slope under 1 says that the scores are too extreme.
    """
    odds = logit(np.clip(score, 1e-6, 1 - 1e-6))[:, None]
    fit = LogisticRegression(C=np.inf).fit(odds, y)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def write_json(path: str | Path, content: dict) -> None:
    """Write figures as readable JSON; a value that JSON has no word for (NaN) is an error."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", "utf-8")


def read_json(path: str | Path, made_by: str) -> dict:
    """Read figures that an earlier notebook has written.

    Raises
    ------
    FileNotFoundError
        Naming the notebook to run first.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: run {made_by} first")
    return json.loads(Path(path).read_text("utf-8"))
