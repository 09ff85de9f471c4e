"""Applications as rows of numbers, one a field: the form in which they are scored.

The code of a category's value is the number of its level, a missing value being the last. The code
of a quantity is the quantity itself, special codes included, and infinity if it is missing. Nothing
depends on how many values the contract allows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import decode, encoded_columns, matrix_columns
from creditrisk.data.fields import Field, Value

#: The code of a missing quantity.
BLANK = math.inf

#: The code of a value as it came out of JSON; an error of the three below if it is not allowed.
Reader = Callable[[object], float]


@dataclass(frozen=True)
class Domain:
    """The codes of the values that a contract allows."""

    contract: Contract
    readers: tuple[tuple[str, Reader], ...]  # by field

    def taking_blanks(self, *meanings: str) -> "Domain":
        """The same codes for applications in the coding of the data, where a blank is a value.

        Parameters
        ----------
        meanings
            As :meth:`creditrisk.data.contract.Contract.taking_blanks`.
        """
        contract = self.contract.taking_blanks(*meanings)
        return replace(self, contract=contract, readers=_readers(contract))

    def codes(self, record: object) -> list[float] | None:
        """The codes of one application, None if the contract does not allow it.

        A blank that the contract takes has the code of a missing value.
        """
        if not isinstance(record, dict):
            return None
        try:
            found = [read(record[name]) for name, read in self.readers]
        except (LookupError, TypeError, ValueError):
            return None
        return found if len(record) == len(found) else None

    def missing(self, number: int) -> float:
        """The code of a missing value of a field."""
        levels = self.contract.fields[number].levels
        return BLANK if levels is None else float(len(levels))

    def value(self, number: int, code: float) -> Value:
        """The typed value of a field that a code stands for, None for a missing one."""
        field = self.contract.fields[number]
        if code == self.missing(number):
            return None
        if field.levels is not None:
            return field.levels[int(code)]
        return int(code) if field.whole else float(code)

    def states(self, number: int) -> list[float]:
        """The codes of a field that are no quantity: levels, special codes, and a missing value."""
        field = self.contract.fields[number]
        levels = field.levels
        stated = field.special_values if levels is None else range(len(levels))
        return [*map(float, stated), *([] if field.required else [self.missing(number)])]

    def matrix(self, codes: np.ndarray) -> pd.DataFrame:
        """The encoded matrix (n, encoded columns) of applications given by codes (n, fields)."""
        columns: dict[str, np.ndarray] = {}
        for number, (field, code) in enumerate(zip(self.contract.fields, np.asarray(codes).T)):
            names, states = encoded_columns(self.contract, field), self.states(number)
            if field.levels is None:
                columns[names[0]] = np.where(np.isin(code, states), np.nan, code)
                names = names[1:]
            columns |= {name: (code == state).astype(int) for name, state in zip(names, states)}
        return pd.DataFrame(columns)[matrix_columns(self.contract)]

    def frame(self, codes: np.ndarray) -> pd.DataFrame:
        """The raw applications (n, columns of an application) given by codes (n, fields)."""
        return decode(self.matrix(codes), self.contract)


def domain(contract: Contract) -> Domain:
    """The codes of a contract's values."""
    return Domain(contract, _readers(contract))


def _readers(contract: Contract) -> tuple[tuple[str, Reader], ...]:
    return tuple((field.name, _reader(field)) for field in contract.fields)


def _reader(field: Field) -> Reader:
    """How a field's values become codes; by type first: to Python, true is 1, as is 1.0."""
    stated: dict[type, dict[object, float]] = {}
    for code, level in enumerate(field.choices):
        stated.setdefault(type(level), {})[level] = float(code)
    if field.levels is None and field.missing_label is not None:
        stated = {str: {field.missing_label: BLANK}}
    if field.takes_blank:
        stated[type(None)] = {None: BLANK if field.levels is None else float(len(field.levels))}
    if field.levels is None:
        return partial(_quantity, field, str if field.is_dated else int, stated)
    if field.unlisted is not None:
        other = float(field.levels.index(field.unlisted))
        return partial(_level_or_other, stated, other)
    return partial(_level, stated)


def _level(stated: dict[type, dict[object, float]], value: object) -> float:
    return stated[type(value)][value]


def _level_or_other(stated: dict[type, dict[object, float]], other: float, value: object) -> float:
    known = stated[type(value)]
    return known.get(value, other) if isinstance(value, str) and value else known[value]


def _quantity(
    field: Field, wanted: type, stated: dict[type, dict[object, float]], value: object
) -> float:
    kind = type(value)
    if kind is not wanted and (field.whole or kind is not float):
        return stated[kind][value]
    if isinstance(value, str):
        if (known := stated.get(str, {}).get(value)) is not None:
            return known
        value = field.number_of(value)
    if isinstance(value, int | float) and field.takes(value):
        return float(value)
    raise LookupError
