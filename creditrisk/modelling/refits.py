"""The comparison run again, changed in one thing: without columns, or without the search."""

from dataclasses import dataclass
from pathlib import Path

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

    def models(
        self, exclude: list[str] | None = None, trials: int | None = None
    ) -> list[Candidate]:
        """The candidates, with other columns left out or other trials if asked for."""
        names = self.exclude if exclude is None else exclude
        return candidates(
            self.contract, self.seed, names, self.trials if trials is None else trials
        )

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
    """What the champion loses in ROC-AUC without the protected columns that it uses.

    It is fitted again without the first, then without the next as well, categories first, on the
    folds of the first repeat.

    Parameters
    ----------
    champion
        Name of a candidate.
    by_fold
        From :meth:`OutOfFold.fold_measures`, of the comparison itself.

    Returns
    -------
    dict
        By the names that were left out, joined by "and": the corrected difference, below zero if
        something is lost. Empty if no protected column is left.
    """
    inside = [field for field in plan.contract.protected if field.name not in plan.exclude]
    inside.sort(key=lambda field: field.levels is None)
    names = [field.name for field in inside]
    members = {model.name: model.members for model in plan.models()}[champion] or (champion,)
    mine = by_fold[(by_fold.model == champion) & (by_fold.fold < plan.folds)]
    found = {}
    for count in range(1, len(names) + 1):
        left_out = list(dict.fromkeys([*plan.exclude, *names[:count]]))
        if len(left_out) == len(plan.contract.fields):
            break
        fewer = [m for m in plan.models(left_out) if m.name in {*members, champion}]
        again = plan.run(fewer, X, y, repeats=1).fold_measures()
        without = again[again.model == champion].roc_auc.to_numpy()
        if len(without):  # none if the champion cannot do without
            gap = corrected_difference(without, mine.roc_auc.to_numpy(), 1 / (plan.folds - 1))
            found[" and ".join(names[:count])] = gap
    return found


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
