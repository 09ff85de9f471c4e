"""Ranking and calibration in each segment of the applicants."""

from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import levels_with_missing
from creditrisk.data.fields import Field
from creditrisk.data.quantities import edges_at, group_names, in_groups
from creditrisk.metrics.ranking import by_segment


def by_segments(
    y: np.ndarray,
    score: np.ndarray,
    applications: pd.DataFrame,
    training: pd.DataFrame,
    contract: Contract,
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """Ranking and calibration of each level, and of each half of a quantity.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application), of ``y`` and ``score``.
    training
        The raw applications the model was trained on; a quantity is cut at their median.
    weight
        Shape (n,), how many of ``applications`` each row stands for; None: each counts once.

    Returns
    -------
    DataFrame
        Indexed by the title of the column and the segment.
    """
    segments = segments_of(applications, training, contract)
    found = {name: by_segment(y, score, values, weight) for name, values in segments.items()}
    return pd.concat(found, names=["column", "segment"])


def segments_of(
    applications: pd.DataFrame, training: pd.DataFrame, contract: Contract
) -> dict[str, pd.Series]:
    """The level of each application, or the half of a quantity, by the title of the column.

    Parameters
    ----------
    applications, training
        As :func:`by_segments` takes them.
    """
    segments = {
        field.title: levels_with_missing(applications[field.name], field)
        for field in contract.categories
    }
    for field in contract.numbers:
        middle = edges_at(training[field.name], field, np.array([0.5]))
        halves = group_names(middle, field)
        segments[field.title] = in_groups(applications[field.name], field, middle, halves)
    return segments


def in_words(found: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The same, ``found`` by :func:`by_segments`, with each segment as a reader knows it."""
    fields = {field.title: field for field in contract.fields}
    named = [(title, name_of(segment, fields[title])) for title, segment in found.index]
    return found.set_axis(pd.MultiIndex.from_tuples(named, names=found.index.names))


def name_of(segment: Any, field: Field) -> str:
    """A segment as a reader knows it: a level that is a code with the contract's words for it."""
    return str(segment) if field.levels is None else field.worded(segment)
