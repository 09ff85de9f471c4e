"""The comparison run again, changed in one thing: without columns, or without the search."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from creditrisk.data.contract import Contract
from creditrisk.data.json_files import records
from creditrisk.metrics.intervals import Interval
from creditrisk.modelling.candidates import Candidate, candidates
from creditrisk.modelling.cross_validation import OutOfFold, cross_validate
from creditrisk.modelling.significance import corrected_difference, gained_over

#: The classic model, and the same with a smooth curve for each quantity.
CLASSIC = ("Logistic Regression", "Spline Logistic Regression")


@dataclass(frozen=True)
class Plan:
    """How candidates are compared; the same for every refit."""

    contract: Contract
    folds: int
    repeats: int
    seed: int
    exclude: list[str]  # raw columns that no model uses
    trials: int  # settings that each model tries inside every fold
    keep: str | Path | None = None  # a folder for finished fits
    rows: int = 0  # applicants to learn from, by which some candidates set themselves
    weight: npt.NDArray[np.float64] | None = None  # (rows,), None: each counts once

    def models(
        self, exclude: list[str] | None = None, trials: int | None = None
    ) -> list[Candidate]:
        """The candidates, with other columns left out or other trials if asked for."""
        names = self.exclude if exclude is None else exclude
        tried = self.trials if trials is None else trials
        return candidates(self.contract, self.seed, names, tried, self.rows)

    def run(
        self, models: list[Candidate], X: pd.DataFrame, y: pd.Series, repeats: int | None = None
    ) -> OutOfFold:
        """Every model scored out of fold; see :func:`~.cross_validation.cross_validate`."""
        return cross_validate(
            models,
            X,
            y,
            folds=self.folds,
            repeats=self.repeats if repeats is None else repeats,
            seed=self.seed,
            keep=self.keep,
            weight=self.weight,
        )

    def classic_pair(self, names: list[str]) -> dict[str, BaseEstimator]:
        """The classic regression and its version with splines, as they come, if ``names`` has them.

        Where both could not be fitted, the first two of ``names`` that are no blends.
        """
        models = {model.name: model.estimator for model in self.models(trials=0)}
        single = {
            name: models[name] for name in models if name in names and models[name] is not None
        }
        classic = [name for name in CLASSIC if name in single]
        return {name: single[name] for name in classic or list(single)[:2]}


def cost_of_leaving_out(
    plan: Plan, champion: str, by_fold: pd.DataFrame, X: pd.DataFrame, y: pd.Series
) -> dict[str, Interval]:
    """What it costs the champion in ROC-AUC to do without the protected columns.

    It is fitted again on the folds of the first repeat: with the first protected column that it
    does not use, then with the next as well; and without the first that it uses, then without the
    next as well. Categories come first.

    Parameters
    ----------
    champion
        Name of a candidate.
    by_fold
        From :meth:`OutOfFold.fold_measures`, of the comparison itself.

    Returns
    -------
    dict
        By the names of the columns, joined by "and": ROC-AUC without them less that with them,
        the corrected difference; below zero if leaving them out loses something. Empty if the
        contract protects no column.
    """
    protected = sorted(plan.contract.protected, key=lambda field: field.levels is None)
    names = [field.name for field in protected]
    outside = [name for name in names if name in plan.exclude]
    inside = [name for name in names if name not in plan.exclude]
    mine = _folds_of(champion, by_fold, plan.folds)
    found = {}
    for count in range(1, len(outside) + 1):
        brought_in = outside[:count]
        fewer = [name for name in plan.exclude if name not in brought_in]
        again = _refit(plan, champion, fewer, X, y)
        if len(again):  # none if the champion cannot be fitted with them
            found[" and ".join(brought_in)] = _corrected(mine, again, plan.folds)
    for count in range(1, len(inside) + 1):
        left_out = [*plan.exclude, *inside[:count]]
        if len(left_out) == len(plan.contract.fields):
            break
        again = _refit(plan, champion, left_out, X, y)
        if len(again):
            found[" and ".join(inside[:count])] = _corrected(again, mine, plan.folds)
    return found


def _refit(
    plan: Plan, champion: str, left_out: list[str], X: pd.DataFrame, y: pd.Series
) -> npt.NDArray[np.float64]:
    """ROC-AUC by fold of the first repeat, of the champion with other columns left out."""
    models = plan.models(left_out)
    members = next(model.members for model in models if model.name == champion)
    fewer = [model for model in models if model.name in {*members, champion}]
    return _folds_of(champion, plan.run(fewer, X, y, repeats=1).fold_measures(), plan.folds)


def _folds_of(champion: str, by_fold: pd.DataFrame, folds: int) -> npt.NDArray[np.float64]:
    rows = by_fold[(by_fold.model == champion) & (by_fold.fold < folds)]
    values: npt.NDArray[np.float64] = rows.roc_auc.to_numpy()
    return values


def _corrected(
    without: npt.NDArray[np.float64], used: npt.NDArray[np.float64], folds: int
) -> Interval:
    return corrected_difference(without, used, 1 / (folds - 1))


def gained_by_search(
    plan: Plan, scored: OutOfFold, order: list[str], X: pd.DataFrame, y: pd.Series
) -> pd.DataFrame:
    """What searching for settings gains each model over its default settings, fold by fold.

    Returns
    -------
    DataFrame
        Indexed by model, as :func:`~.significance.gained_over` gives it, and of those that search
        by themselves different_settings, how many the folds chose, and own_settings_kept, how
        often a fold chose the defaults. Empty if nothing was searched for.
    """
    if not plan.trials:
        return pd.DataFrame()
    before = plan.run(plan.models(trials=0), X, y)
    both = [name for name in order if name in before.scores]
    table = gained_over(scored.fold_measures(), before.fold_measures(), both, plan.folds)
    chosen = {name: found for name, found in scored.chosen.items() if name in both}
    different = {name: len({str(each) for each in found}) for name, found in chosen.items()}
    unchanged = {name: found.count({}) for name, found in chosen.items()}
    return table.assign(
        different_settings=pd.Series(different, dtype="Int64"),
        own_settings_kept=pd.Series(unchanged, dtype="Int64"),
    )


def search_figures(gain: pd.DataFrame) -> dict[str, object]:
    """What :func:`gained_by_search` found, as JSON holds it."""
    counts = [name for name in ("different_settings", "own_settings_kept") if name in gain]
    by_model = {name: gain[name].dropna().astype(int).to_dict() for name in counts}
    empty: dict[str, object] = {"different_settings": {}, "own_settings_kept": {}}
    return {"gained": records(gain.drop(columns=counts)), **(empty | by_model)}
