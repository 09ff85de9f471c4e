"""The codes of values: every value that the contract allows has a number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.encoding import decode, encoded_columns, matrix_columns
from creditrisk.data.fields import Field, Level


@dataclass(frozen=True)
class Domain:
    """The codes of all allowed values, which are numbered field after field from 0.

    An application is given by the codes of its values, one a field.
    """

    contract: Contract
    values: tuple[Sequence[Level | None], ...]  # by field: the allowed values, None (missing) last
    starts: tuple[int, ...]  # by field: the code of its first value
    #: By field: name, and type -> value -> code. By type first: to Python, true is 1, as is 1.0.
    lookups: tuple[tuple[str, dict[type, dict[object, int]]], ...]

    def taking_blanks(self, *meanings: str) -> "Domain":
        """The same codes for applications in the coding of the data, where a blank is a value.

        Parameters
        ----------
        meanings
            As :meth:`creditrisk.data.contract.Contract.taking_blanks`.
        """
        contract, lookups = self.contract.taking_blanks(*meanings), []
        for field, start, (name, by_type) in zip(contract.fields, self.starts, self.lookups):
            lookups.append((name, _with_blank(by_type, field, start)))
        return replace(self, contract=contract, lookups=tuple(lookups))

    def codes(self, record: object) -> list[int] | None:
        """The codes of one application, None if the contract does not allow it.

        A blank that the contract takes has the code of a missing value.
        """
        if not isinstance(record, dict):
            return None
        try:
            found = [by_type[type(value := record[name])][value] for name, by_type in self.lookups]
        except (LookupError, TypeError):
            return None
        return found if len(record) == len(found) else None

    def matrix(self, codes: np.ndarray) -> pd.DataFrame:
        """The encoded matrix (n, encoded columns) of applications given by codes (n, fields)."""
        columns = {}
        for field, start, code in zip(self.contract.fields, self.starts, codes.T):
            names = encoded_columns(self.contract, field)
            if field.levels is None:
                columns[names[0]] = code - start + field.bounds[0]
            else:
                columns |= {name: (code - start == i).astype(int) for i, name in enumerate(names)}
        return pd.DataFrame(columns)[matrix_columns(self.contract)]

    def frame(self, codes: np.ndarray) -> pd.DataFrame:
        """The raw applications (n, columns of an application) given by codes (n, fields)."""
        return decode(self.matrix(codes), self.contract)

    def sweep(self, number: int) -> np.ndarray:
        """Codes of applications that have every value of one field, and in all others the first.

        Returns
        -------
        ndarray of int, shape (values of the field, fields)
        """
        codes = np.tile(self.starts, (len(self.values[number]), 1))
        codes[:, number] += np.arange(len(codes))
        return codes


def domain(contract: Contract) -> Domain:
    """Number the allowed values of a contract."""
    values = tuple(_allowed(field) for field in contract.fields)
    starts = tuple(accumulate(map(len, values[:-1]), initial=0))
    lookups = []
    for field, start, allowed in zip(contract.fields, starts, values):
        by_type: dict[type, dict[object, int]] = {}
        for code, value in enumerate(field.choices or allowed, start):
            by_type.setdefault(type(value), {})[value] = code
        lookups.append((field.name, _with_blank(by_type, field, start)))
    return Domain(contract, values, starts, tuple(lookups))


def _with_blank(
    by_type: dict[type, dict[object, int]], field: Field, start: int
) -> dict[type, dict[object, int]]:
    """The lookup of a field's values with one more for a blank, if the field takes blanks."""
    if not field.takes_blank:
        return by_type
    return by_type | {type(None): {None: start + len(field.levels or ())}}


def _allowed(field: Field) -> Sequence[Level | None]:
    """Every allowed value of a field, None (missing) last."""
    if field.levels is None:
        low, high = field.bounds
        return range(low, high + 1)
    return field.levels if field.required else (*field.levels, None)
