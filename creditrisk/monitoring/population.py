"""Whom simulated applicants are drawn from, with what the models make of them.

The scores of all are computed once, as they are recorded and as a fault of the data would have
them; drawing a year of applications is then a matter of picking rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from creditrisk.data.contract import Contract
from creditrisk.data.missing_values import LEVEL, REFUSE
from creditrisk.scoring.scorer import Scorer


@dataclass(frozen=True)
class Scores:
    """Applicants as they are recorded, and what models make of them."""

    applicants: pd.DataFrame  # in the raw coding, shape (n, fields of the contract)
    probability: np.ndarray  # of a good risk, (n,)
    shadow: np.ndarray  # the same by the model in the shadow, NaN if there is none


@dataclass(frozen=True)
class Population:
    """Whom applicants are drawn from, and all that a simulation needs to know of them."""

    recorded: Scores
    faulty: dict[str, tuple[str, Scores]]  # by shift: the column concerned, and what becomes of all
    good: np.ndarray  # true probability of a good outcome, (n,)
    scorer: Scorer
    shadow: Scorer | None = None

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        applicants: pd.DataFrame,
        contract: Contract,
        shadow: Scorer | None = None,
        good: np.ndarray | None = None,
    ) -> "Population":
        """A population of applicants.

        Parameters
        ----------
        applicants
            In the raw coding, as :func:`creditrisk.data.raw_files.reading.read_raw` gives them.
        contract
            Of the data; the scorer may use fewer columns.
        good
            True probabilities of a good outcome, shape (n,). By default the scorer's own: then it
            is calibrated until something changes, and a quiet simulation is quiet.
        """
        both = scorer, shadow
        table = applicants[[field.name for field in contract.fields]].reset_index(drop=True)
        recorded = _scored(table, both)
        used = [contract[field.name] for field in scorer.contract.fields]
        categories = [each for each in used if len(each.levels or ()) > 1]
        stuck = {each.name: _stuck(table, contract, each.name) for each in used}
        faulty = {"broken-feed": _most_felt(recorded, stuck, both)}
        if categories:
            recoded = {each.name: _recoded(table, contract, each.name) for each in categories}
            faulty["recoded"] = _most_felt(recorded, recoded, both)
        truth = recorded.probability if good is None else np.asarray(good, float)
        return cls(recorded, faulty, truth, scorer, shadow)


def _scored(applicants: pd.DataFrame, models: tuple[Scorer, Scorer | None]) -> Scores:
    found = [_probabilities(applicants, model) for model in models]
    return Scores(applicants, found[0], found[1])


def _probabilities(applicants: pd.DataFrame, scorer: Scorer | None) -> np.ndarray:
    """The answers of the scorer that servers and portfolios use to applicants in the raw coding."""
    if scorer is None:
        return np.full(len(applicants), np.nan)
    used = applicants[[field.name for field in scorer.contract.fields]]
    decisions = scorer.taking_blanks(LEVEL, REFUSE).score(used)
    return np.array([each.probability for each in decisions])


def _most_felt(
    recorded: Scores, changed: dict[str, pd.Series], models: tuple[Scorer, Scorer | None]
) -> tuple[str, Scores]:
    """Of changes to one column each, the one that moves the scores most, in mean log-odds."""
    before = log_odds(recorded.probability)
    found = {
        name: _scored(recorded.applicants.assign(**{name: column}), models)
        for name, column in changed.items()
    }
    apart = {
        name: float(np.abs(log_odds(scores.probability) - before).mean())
        for name, scores in found.items()
    }
    most = max(apart, key=lambda name: apart[name])
    return most, found[most]


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Log-odds that are finite for probabilities of 0 and 1 too, as forests give them."""
    found: np.ndarray = logit(np.clip(probability, 1e-6, 1 - 1e-6))
    return found


def _stuck(applicants: pd.DataFrame, contract: Contract, name: str) -> pd.Series:
    """A column in which everybody has the value that is in the middle, or the most frequent one."""
    column = applicants[name]
    if contract[name].levels is None:
        value: Any = column.sort_values().iloc[len(column) // 2]
    else:
        value = column.mode().iloc[0]
    return pd.Series([value] * len(column), column.index, column.dtype)


def _recoded(applicants: pd.DataFrame, contract: Contract, name: str) -> pd.Series:
    """A category whose most frequent level is written as its neighbour in the list of levels."""
    column = applicants[name]
    levels: list[Any] = list(contract[name].levels or ())
    if column.dtype == "str":
        levels = list(map(str, levels))
    most = column.mode().iloc[0]
    place = levels.index(most)
    neighbour = levels[place + 1] if place + 1 < len(levels) else levels[place - 1]
    return column.where(column != most, neighbour)
