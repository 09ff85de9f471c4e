"""What in an application lowers its score, found by asking the model about a reference as well."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from creditrisk.data.applications.domain import Domain
from creditrisk.data.fields import Value
from creditrisk.scoring.lookup_tables import LookupTables, additive
from creditrisk.scoring.reasons import (
    Reason,
    effects_in_one_call,
    field_effects,
    find_reasons,
    nameable,
)

#: Applications whose reasons are sought together, so that their mixtures fit into memory.
AT_ONCE = 50


class NoReasons(Exception):
    """Why a model has no reasons, in one sentence."""


@dataclass(frozen=True)
class ReasonFinder:
    """Finds the reasons of a model for applications that are given by their codes."""

    domain: Domain = field(repr=False)
    source: Domain = field(repr=False)  # for applications in the coding of the model's data
    many: Callable[[np.ndarray], np.ndarray] = field(repr=False)  # probabilities of codes
    tables: LookupTables | None = field(repr=False)
    reference: dict[str, Value] | None = field(repr=False)  # the application to compare with

    def find(self, codes: np.ndarray, blank: np.ndarray | None = None) -> list[tuple[Reason, ...]]:
        """The fields that lower the score of each application.

        Parameters
        ----------
        codes
            Shape (n, fields).
        blank
            Which values were not given, bool (n, fields); by default none.

        Raises
        ------
        NoReasons
            As :attr:`typical`.
        """
        typical, found = self.typical, self.effects(codes)
        blank = np.zeros(np.shape(codes), bool) if blank is None else blank
        return [
            find_reasons(each, typical, self.domain, of_each, left_out)
            for each, of_each, left_out in zip(codes, found, blank)
        ]

    def nameable(self, codes: np.ndarray) -> np.ndarray:
        """Which fields may be named as reasons for each application, bool (n, fields).

        Raises
        ------
        NoReasons
            As :attr:`typical`.
        """
        found = [nameable(each, self.typical, self.source) for each in codes]
        return np.array(found, bool).reshape(len(codes), len(self.domain.contract.fields))

    def effects(self, codes: np.ndarray) -> np.ndarray:
        """Contributions, gains, errors, (n, 3, fields), of applications as codes (n, fields).

        Raises
        ------
        NoReasons
            As :attr:`typical`.
        """
        typical, codes = self.typical, np.asarray(codes)
        regression = additive(self.tables)
        if regression is None:
            found = [
                effects
                for start in range(0, len(codes), AT_ONCE)
                for effects in self._effects_of(codes[start : start + AT_ONCE], typical)
            ]
            return np.array(found).reshape(-1, 3, codes.shape[1])
        rows = np.vstack([typical, codes])
        shares = np.column_stack(
            [regression.shares(number, column) for number, column in enumerate(rows.T)]
        )
        contributions = shares[1:] - shares[0]
        exact = np.zeros_like(contributions)
        return np.stack([contributions, 0.0 - contributions, exact], axis=1)

    @cached_property
    def typical(self) -> np.ndarray:
        """The codes of the reference application, shape (fields,).

        Raises
        ------
        NoReasons
            If the model was saved without one.
        """
        if self.reference is None:
            raise NoReasons(
                "the model was saved without a reference application, so it has no reasons; "
                "register it again"
            )
        return np.array(self.source.codes(self.reference))

    def _effects_of(
        self, codes: np.ndarray, typical: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """As :func:`field_effects` of a few applications; scikit-learn is best asked once."""
        if self.tables is None:
            return effects_in_one_call(codes, typical, self.many)
        return [field_effects(each, typical, self.many) for each in codes]
