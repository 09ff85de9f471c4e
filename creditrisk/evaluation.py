"""Which model is better, and how sure a thousand rows let us be of that.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import json
import time
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, train_test_split

from creditrisk.models import Candidate
from work_units.units import spread

#: What is said of two figures that the data cannot tell apart.
UNCLEAR = "not distinguishable"

#: The measures of the comparison, in the order of ``experiments/results.csv``.
MEASURES = [
    "accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "gini",
    "ks",
    "brier",
    "log_loss",
]


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
    errors: dict[str, str] = field(default_factory=dict)  # name -> why it has no scores
    chosen: dict[str, list[dict]] = field(default_factory=dict)  # name -> by fold, if it searches

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
        return pd.DataFrame(rows, columns=["model", "fold", *MEASURES])


def cross_validate(
    models: list[Candidate],
    X: pd.DataFrame,
    y: pd.Series,
    *,
    folds: int,
    repeats: int,
    seed: int,
    workers: int = -1,
    keep: str | Path | None = None,
) -> OutOfFold:
    """Score every candidate out of fold: repeated stratified k-fold, the same folds for all.

    A blend is the mean of its members' scores, so nothing is fitted twice. A candidate that fails
    on a fold has an error and no scores; the others go on.

    Parameters
    ----------
    X
        Encoded matrix, shape (n, columns).
    y
        Shape (n,), 1 = good and 0 = bad.
    workers
        Processes to fit in, -1 for one a core; the result does not depend on it.
    keep
        A folder for what is done already, see :func:`work_units.units.spread`.

    Raises
    ------
    ValueError
        If there are fewer applicants of a class than folds, or no candidate could be fitted.
    """
    if folds < 2 or repeats < 1:
        raise ValueError(f"it takes two folds and one repeat at least, not {folds} and {repeats}")
    rarest = int(np.bincount(y, minlength=2).min())
    if rarest < folds:
        raise ValueError(
            f"{folds} folds need {folds} good and {folds} bad applicants, and there are {rarest} "
            f"of one kind; set folds to at most {rarest}"
        )
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(splitter.split(X, y))
    single = [model for model in models if model.estimator is not None]
    # One unit is a candidate and a fold; the dearest, whose candidates are last in the list, come
    # first, so that all workers end together.
    units = [(model, split) for model in reversed(single) for split in range(len(splits))]
    fits = [(model.estimator, X, y, *splits[split]) for model, split in units]
    done = spread(_fold_scores, fits, workers, keep)
    table = OutOfFold(np.asarray(y), np.empty((repeats, len(y)), dtype=int))
    scores = {model.name: np.empty((repeats, len(y))) for model in single}
    seconds = {model.name: [] for model in single}
    for (model, split), (held_out_scores, fit_seconds, error, chosen) in zip(
        units, done, strict=True
    ):
        repeat, number = divmod(split, folds)
        held_out = splits[split][1]
        table.fold[repeat, held_out] = number
        scores[model.name][repeat, held_out] = held_out_scores
        seconds[model.name].append(fit_seconds)
        if error:
            table.errors.setdefault(model.name, error)
        if chosen is not None:
            table.chosen.setdefault(model.name, []).append(chosen)
    for model in models:
        parts = model.members or (model.name,)
        broken = [part for part in parts if part in table.errors]
        if broken and model.members:
            table.errors[model.name] = f"its member {broken[0]} failed: {table.errors[broken[0]]}"
        elif not broken:
            table.scores[model.name] = np.mean([scores[part] for part in parts], axis=0)
            table.fit_seconds[model.name] = float(sum(np.mean(seconds[part]) for part in parts))
    if not table.scores:
        reasons = "; ".join(f"{name}: {error}" for name, error in table.errors.items())
        raise ValueError(f"no candidate could be fitted: {reasons}")
    return table


def _fold_scores(
    estimator: BaseEstimator, X: pd.DataFrame, y: pd.Series, train: np.ndarray, held_out: np.ndarray
) -> tuple[np.ndarray | float, float, str, dict | None]:
    """Held-out scores, seconds to fit, what went wrong if that is why the scores are NaN, and the
    settings that a search has chosen, if it was one."""
    started = time.perf_counter()
    try:
        fitted = clone(estimator).fit(X.iloc[train], y.iloc[train])
        seconds = time.perf_counter() - started
        scores = fitted.predict_proba(X.iloc[held_out])[:, 1]
    except Exception as error:  # a candidate may fail in any way; the comparison goes on
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return np.nan, np.nan, why, None
    if not np.isfinite(scores).all():
        return np.nan, np.nan, "it gives probabilities that are no numbers", None
    return scores, seconds, "", _chosen(fitted)


def chosen_settings(
    models: list[Candidate],
    X: pd.DataFrame,
    y: pd.Series,
    *,
    workers: int = -1,
    keep: str | Path | None = None,
) -> dict[str, dict[str, float | int | str]]:
    """What each candidate's search chooses on all rows, by name; nothing of one without a search.

    Parameters
    ----------
    models
        Those that can be fitted; blends are passed over, since their members choose.
    X, y, workers, keep
        As :func:`cross_validate` takes them.
    """
    searches = [model for model in models if isinstance(model.estimator, GridSearchCV)]
    units = [(model.estimator, X, y) for model in reversed(searches)]  # the dearest first
    found = spread(_search, units, workers, keep)[::-1]
    return {model.name: chosen for model, chosen in zip(searches, found, strict=True)}


def _search(search: BaseEstimator, X: pd.DataFrame, y: pd.Series) -> dict:
    return _chosen(clone(search).fit(X, y))


def _chosen(fitted: BaseEstimator) -> dict | None:
    """The settings that a search has chosen, as JSON can hold them; None if it was no search."""
    if not isinstance(fitted, GridSearchCV):
        return None
    # NumPy's numbers are not JSON's, which a single one is turned into without loss.
    return {name: np.asarray(value).item() for name, value in fitted.best_params_.items()}


def results(fold_measures: pd.DataFrame, errors: dict[str, str] | None = None) -> pd.DataFrame:
    """One row a model, best ROC-AUC first: the mean of each measure over the folds and its SD.

    A model without scores is a row at the end, with its error and nothing else.
    """
    by_model = fold_measures.groupby("model")[MEASURES]
    table = by_model.mean().join(by_model.std(ddof=1).add_suffix("_sd"))
    order = [name for measure in MEASURES for name in (measure, f"{measure}_sd")]
    table = table[order].assign(folds=by_model.size())
    table = table.sort_values("roc_auc", ascending=False, kind="stable").reset_index()
    if not errors:
        return table.assign(error="")
    failed = pd.DataFrame({"model": list(errors), "error": list(errors.values())})
    return pd.concat([table.assign(error=""), failed], ignore_index=True)


def read_results(path: str | Path) -> pd.DataFrame:
    """Read ``experiments/results.csv``; the error of a model that ran is an empty text."""
    return pd.read_csv(path, dtype={"error": "str"}).fillna({"error": ""})


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float
    p: float | None = None  # two-sided, for a difference from zero

    def __str__(self) -> str:
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


def as_figures(intervals: dict[str, Interval | None]) -> dict[str, float | None]:
    """Estimates and bounds by name: ``name``, ``name_low``, ``name_high``; None if not defined."""
    ends = {"": "estimate", "_low": "low", "_high": "high"}
    return {
        f"{name}{end}": getattr(interval, which, None)
        for name, interval in intervals.items()
        for end, which in ends.items()
    }


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


def fast_auc(y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """ROC-AUC of many models on the same applicants at once, by the rank sum (Mann-Whitney).

    Parameters
    ----------
    y
        Shape (n,).
    scores
        Shape (models, n).

    Returns
    -------
    ndarray, shape (models,)
    """
    good = np.asarray(y) == 1
    n_good, n_bad = good.sum(), (~good).sum()
    ranks = stats.rankdata(scores, axis=1)[:, good].sum(axis=1)
    return (ranks - n_good * (n_good + 1) / 2) / (n_good * n_bad)


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
    return pd.DataFrame(spread(_split_aucs, units, workers, keep), columns=list(estimators))


def _split_aucs(
    estimators: list[BaseEstimator], X: pd.DataFrame, y: pd.Series, test_size: float, seed: int
) -> list[float]:
    A, B, a, b = train_test_split(X, y, test_size=test_size, stratify=y, random_state=seed)
    fitted = [clone(estimator).fit(A, a) for estimator in estimators]
    return [sk.roc_auc_score(b, each.predict_proba(B)[:, 1]) for each in fitted]


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


def write_json(path: str | Path, content: dict) -> None:
    """Write figures as readable JSON; a value that JSON has no word for (NaN) is an error."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", "utf-8")


def records(table: pd.DataFrame) -> list[dict]:
    """A table's rows, its index first, as they go into JSON; what is not defined becomes null."""
    return json.loads(table.reset_index().to_json(orient="records", double_precision=15))


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
