"""Blanks that are scored as the worst value: what is not given must not help.

Where the contract says ``"missingMeans": "worst"``, an application may leave a column blank. It
then gets the lowest probability that any value of that column would give it, a missing value
included. Several blanks are tried in all combinations, so that none covers for another.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from creditrisk.data.applications.domain import Domain
from creditrisk.data.fields import Field, Value
from creditrisk.data.missing_values import MISSING, WORST
from creditrisk.scoring.reasons import Many

#: Applications that are scored at once.
ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Assumed:
    """A column that was left blank, and the value it was scored as."""

    field: str
    value: Value  # None if the worst is a missing value itself
    words: str  # the same as a sentence


def worst_fields(domain: Domain) -> list[int]:
    """The numbers of the fields in which a blank is scored as the worst value."""
    fields = domain.contract.fields
    return [n for n, field in enumerate(fields) if field.missing_means == WORST]


def blanks(codes: np.ndarray, domain: Domain) -> np.ndarray:
    """Which values of applications are blanks to be scored as the worst, bool (n, fields)."""
    blank = np.zeros(np.shape(codes), bool)
    for number in worst_fields(domain):
        blank[:, number] = codes[:, number] == domain.missing(number)
    return blank


def worst_case(codes: np.ndarray, blank: np.ndarray, domain: Domain, many: Many) -> np.ndarray:
    """The codes of applications whose blanks have the value with the lowest probability.

    Parameters
    ----------
    codes, blank
        Shape (n, fields): the applications, and which of their values are blanks.
    many
        From codes (n, fields) to probabilities of a good risk (n,).

    Returns
    -------
    ndarray of int, shape (n, fields)
        Of equally low values the first one, in the order of the contract.
    """
    found = codes.copy()
    for pattern in np.unique(blank[blank.any(axis=1)], axis=0):
        rows = np.flatnonzero((blank == pattern).all(axis=1))
        numbers = np.flatnonzero(pattern).tolist()
        choices = np.array(list(product(*(domain.states(number) for number in numbers))))
        for part in np.array_split(rows, -(-len(rows) * len(choices) // ROWS)):
            tried = np.repeat(codes[part], len(choices), axis=0)
            tried[:, numbers] = np.tile(choices, (len(part), 1))
            lowest = many(tried).reshape(len(part), -1).argmin(axis=1)
            found[part[:, None], numbers] = choices[lowest]
    return found


def assumed(codes: np.ndarray, blank: np.ndarray, domain: Domain) -> tuple[Assumed, ...]:
    """What the blanks of one application were scored as; ``codes`` and ``blank`` (fields,)."""
    found = []
    for number in np.flatnonzero(blank).tolist():
        field = domain.contract.fields[number]
        value = domain.value(number, codes[number])
        found.append(Assumed(field.name, value, _words(field, value)))
    return tuple(found)


def _words(field: Field, value: Value) -> str:
    shown = MISSING if value is None else field.shown(value)
    return (
        f"{field.title} is not given; it was scored as {shown}, which gives the lowest probability"
    )
