"""What the model has learned from: which of an application's quantities lie beyond it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from creditrisk.data.applications.domain import Domain


class Range(NamedTuple):
    """A quantity's range in training; its states, such as special codes, never lie beyond it."""

    number: int  # of the field
    name: str
    low: float
    high: float
    states: list[float]  # codes


def training_ranges(domain: Domain, ranges: dict[str, tuple[float, float]]) -> list[Range]:
    """The range of each quantity for which it is recorded."""
    return [
        Range(number, field.name, *ranges[field.name], domain.states(number))
        for number, field in enumerate(domain.contract.fields)
        if field.name in ranges
    ]


def names_outside(codes: Sequence[float] | np.ndarray, ranges: list[Range]) -> tuple[str, ...]:
    """The quantities of one application, given by its codes (fields,), that lie beyond."""
    return tuple(
        name
        for number, name, low, high, states in ranges
        if not low <= codes[number] <= high and codes[number] not in states
    )


def outside(codes: np.ndarray, ranges: list[Range]) -> np.ndarray:
    """Which quantities lie beyond, of applications given by codes (n, fields).

    Returns
    -------
    ndarray of bool, shape (n, ranges)
    """
    found = np.zeros((len(ranges), len(codes)), bool)
    for place, (number, _, low, high, states) in enumerate(ranges):
        values = codes[:, number]
        rows = np.flatnonzero((values < low) | (values > high))  # few as a rule
        found[place, rows] = ~np.isin(values[rows], states)
    return found.T
