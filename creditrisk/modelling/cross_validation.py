"""Repeated cross-validation: every candidate scored out of fold, on the same folds.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold

from creditrisk.metrics.intervals import weight_of
from creditrisk.metrics.ranking import MEASURES, measures
from creditrisk.modelling.candidates import Candidate, Settings
from creditrisk.modelling.pipelines import fit
from work_units.units import run_units


@dataclass(frozen=True)
class OutOfFold:
    """Scores of every candidate for every applicant, by models fitted without that applicant."""

    y: np.ndarray  # (n,), 1 = good
    fold: np.ndarray  # (repeats, n), the fold in which an applicant was held out
    scores: dict[str, np.ndarray] = field(default_factory=dict)  # name -> (repeats, n)
    fit_seconds: dict[str, float] = field(default_factory=dict)  # name -> mean of one fit
    errors: dict[str, str] = field(default_factory=dict)  # name -> why it has no scores
    #: Of a candidate that searches: name -> the settings it chose, by fold.
    chosen: dict[str, list[Settings]] = field(default_factory=dict)
    weight: np.ndarray | None = None  # (n,), None: each applicant counts once

    def held_out(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Yield ``(y, score, weight)`` of each held-out fold of a candidate."""
        for folds, scores in zip(self.fold, self.scores[name], strict=True):
            for number in np.unique(folds):
                inside = folds == number
                weight = weight_of(self.weight, inside)
                yield self.y[inside], scores[inside], weight

    def fold_measures(self) -> pd.DataFrame:
        """One row a candidate and held-out fold, one column a measure (cut-off 0.5)."""
        rows = [
            {"model": name, "fold": number, **measures(y, score, weight=weight)}
            for name in self.scores
            for number, (y, score, weight) in enumerate(self.held_out(name))
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
    weight: np.ndarray | None = None,
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
        A folder for finished fits, which are not repeated; see :func:`work_units.units.run_units`.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once. Fits and
        measures are weighted.

    Raises
    ------
    ValueError
        If there are fewer applicants of a class than folds, or no candidate could be fitted.
    """
    _check_folds(y, folds, repeats)
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(splitter.split(X, y))
    single = [model for model in models if model.estimator is not None]
    # One unit is a candidate and a fold; the dearest, whose candidates are last in the list, come
    # first, so that all workers end together.
    units = [(model, split) for model in reversed(single) for split in range(len(splits))]
    fits = [(model.estimator, X, y, weight, *splits[split]) for model, split in units]
    done = run_units(_fold_scores, fits, workers, keep)
    table = OutOfFold(np.asarray(y), np.empty((repeats, len(y)), dtype=int), weight=weight)
    scores = {model.name: np.empty((repeats, len(y))) for model in single}
    seconds: dict[str, list[float]] = {model.name: [] for model in single}
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
    _enter_scores(table, models, scores, seconds)
    if not table.scores:
        reasons = "; ".join(f"{name}: {error}" for name, error in table.errors.items())
        raise ValueError(f"no candidate could be fitted: {reasons}")
    return table


def _check_folds(y: pd.Series, folds: int, repeats: int) -> None:
    """Raise ValueError if these applicants cannot be cut into so many folds."""
    if folds < 2 or repeats < 1:
        raise ValueError(f"folds is {folds} and repeats {repeats}; at least 2 and 1 are needed")
    rarest = int(np.bincount(y, minlength=2).min())
    if rarest < folds:
        raise ValueError(
            f"{folds} folds need {folds} good and {folds} bad applicants, and one class has "
            f"{rarest}; set folds to at most {rarest}"
        )


def _enter_scores(
    table: OutOfFold,
    models: list[Candidate],
    scores: dict[str, np.ndarray],
    seconds: dict[str, list[float]],
) -> None:
    """Enter scores and times of the models that were fitted, of a blend from its members'."""
    for model in models:
        parts = model.members or (model.name,)
        broken = [part for part in parts if part in table.errors]
        if broken and model.members:
            table.errors[model.name] = f"its member {broken[0]} failed: {table.errors[broken[0]]}"
        elif not broken:
            table.scores[model.name] = np.mean([scores[part] for part in parts], axis=0)
            table.fit_seconds[model.name] = float(sum(np.mean(seconds[part]) for part in parts))


def _fold_scores(
    estimator: BaseEstimator,
    X: pd.DataFrame,
    y: pd.Series,
    weight: np.ndarray | None,
    train: np.ndarray,
    held_out: np.ndarray,
) -> tuple[np.ndarray | float, float, str, Settings | None]:
    """Held-out scores, seconds to fit, the error if there are no scores, a search's choice."""
    started = time.perf_counter()
    try:
        counted = weight_of(weight, train)
        fitted = fit(clone(estimator), X.iloc[train], y.iloc[train], counted)
        seconds = time.perf_counter() - started
        scores = fitted.predict_proba(X.iloc[held_out])[:, 1]
    except Exception as error:  # noqa: BLE001 - a candidate may fail in any way; the rest goes on
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
    weight: np.ndarray | None = None,
) -> dict[str, dict[str, float | int | str]]:
    """The settings that each candidate's search chooses on all rows, by name of the candidate.

    Parameters
    ----------
    models
        Candidates; those without a search, and blends, are skipped.
    X, y, workers, keep, weight
        As :func:`cross_validate` takes them.
    """
    searches = [model for model in models if isinstance(model.estimator, GridSearchCV)]
    units = [(model.estimator, X, y, weight) for model in reversed(searches)]  # the dearest first
    found = run_units(_search, units, workers, keep)[::-1]
    return {model.name: chosen for model, chosen in zip(searches, found, strict=True)}


def _search(
    search: BaseEstimator, X: pd.DataFrame, y: pd.Series, weight: np.ndarray | None
) -> Settings:
    return _chosen(fit(clone(search), X, y, weight)) or {}


def _chosen(fitted: BaseEstimator) -> Settings | None:
    """The settings that a search has chosen, as JSON can hold them; None if it was no search."""
    if not isinstance(fitted, GridSearchCV):
        return None
    # item() turns NumPy's numbers into Python's, which JSON can hold.
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
