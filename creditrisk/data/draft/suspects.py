"""Columns that may know the outcome: they would make a model that nobody can use."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from creditrisk.data import dates
from creditrisk.data.draft import names
from creditrisk.data.draft.inference import Column

#: From this ROC-AUC on a column alone ranks the outcome too well to be known beforehand.
TOO_GOOD = 0.95
#: Of each outcome, at least so many rows.
LEAST_ROWS = 10
#: Share of rows in which a date lies after the decision, from which on it is suspect.
MOSTLY_LATER = 0.5

_REMEDY = 'If it is known only after the decision, set "role": "afterOutcome".'


def ask_about(columns: Sequence[Column], is_bad: np.ndarray) -> None:
    """Add a question to each column that may know the outcome.

    Parameters
    ----------
    columns
        As they were found.
    is_bad : array of float, shape (rows,)
        1 for bad, 0 for good, NaN for a row that is left out.
    """
    decided = next((each for each in columns if each.entry.get("role") == "date"), None)
    for column in columns:
        if not column.is_input:
            continue
        signs = [*_signs_in_values(column, is_bad), *_signs_in_dates(column, decided)]
        if names.hints_at(column.name, names.AFTERWARDS):
            signs.append("its name sounds like what happens after the decision")
        if signs:
            said = "; ".join(signs)
            column.review.append(f"{said[0].upper()}{said[1:]}. {_REMEDY}")
            column.checks.append("known only after the outcome?")


def _signs_in_values(column: Column, is_bad: np.ndarray) -> list[str]:
    known = ~np.isnan(is_bad)
    outcome, values = is_bad[known], column.values[known]
    missing = np.isnan(values)
    signs = []
    if (ranked := _ranking(missing.astype(float), outcome)) > TOO_GOOD:
        signs.append(f"whether it is missing ranks the outcome with ROC-AUC {ranked:.3f}")
    present, ended = values[~missing], outcome[~missing]
    if not column.is_quantity and len(present):
        places = present.astype(int)
        counts = np.bincount(places)
        present = (np.bincount(places, ended) / np.maximum(counts, 1))[places]
    if (ranked := _ranking(present, ended)) > TOO_GOOD:
        signs.append(f"alone it ranks the outcome with ROC-AUC {ranked:.3f}")
    return signs


def _ranking(values: np.ndarray, outcome: np.ndarray) -> float:
    """ROC-AUC of a column, whichever way it points; one half where there are too few rows."""
    bad, good = np.sum(outcome == 1), np.sum(outcome == 0)
    if min(bad, good) < LEAST_ROWS:
        return 0.5
    # From the sum of ranks, as Mann and Whitney count; scikit-learn would take a second to import.
    ranks = pd.Series(values).rank().to_numpy()[outcome == 1].sum()
    ranked = float((ranks - bad * (bad + 1) / 2) / (bad * good))
    return max(ranked, 1 - ranked)


def _signs_in_dates(column: Column, decided: Column | None) -> list[str]:
    if decided is None or not column.entry["type"] == decided.entry["type"] in dates.TYPES:
        return []
    both = ~(np.isnan(column.values) | np.isnan(decided.values))
    later = float(np.mean(column.values[both] > decided.values[both])) if both.any() else 0.0
    if later < MOSTLY_LATER:
        return []
    return [f"it lies after {decided.name!r} in {later:.0%} of the rows"]
