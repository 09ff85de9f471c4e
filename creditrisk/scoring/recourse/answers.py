"""Recourse: the smallest changes by which an applicant who is declined would be approved.

What may change follows from the contract: no immutable and no protected column, an
``expectedDirection`` only towards the side that is expected to be safer, and neither to nor from a
missing value, a special code or the level for texts that are not listed, which say what is known
of an applicant and not how the applicant is. A quantity stays within the values of training.

The smallest change is, first, that of the fewest columns, and among those the one of the least
effort: of a quantity the share of its range in training that it moves by, of an ordered level the
share of the steps there are, of any other level 1; efforts of columns add up. It is exact over all
values that can be stated, see :mod:`creditrisk.scoring.recourse.values`, and each answer was scored
by the model. If the search would take too much work it ends before, and says so.

This is about the model and no promise of a loan: the model ranks by what went together with
paying back, and not by what makes somebody pay back.

References: Ustun, Spangher and Liu (2019), "Actionable Recourse in Linear Classification";
Karimi, Barthe, Schölkopf and Valera (2022), "A Survey of Algorithmic Recourse".
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from creditrisk.data.applications.domain import Domain
from creditrisk.data.fields import Field, Value
from creditrisk.scoring.lookup_tables import Forest, Linear, LookupTables
from creditrisk.scoring.reasons import Many
from creditrisk.scoring.recourse.leaves import LeafIndex
from creditrisk.scoring.recourse.mixtures import applicant
from creditrisk.scoring.recourse.options import Options, options
from creditrisk.scoring.recourse.search import MOST_WORK, Found, Search, Work
from creditrisk.scoring.recourse.values import Column, columns_of

#: Columns that are changed at most, and answers that are given at most.
MOST_COLUMNS, MOST_ANSWERS = 3, 3


@dataclass(frozen=True, slots=True)
class Change:
    """One column of a recourse."""

    field: str
    value: Value  # the applicant's
    to: Value
    words: str


@dataclass(frozen=True, slots=True)
class Recourse:
    """Changes that together would turn the decision."""

    changes: tuple[Change, ...]
    effort: float
    probability: float  # of a good risk, once they are made: scored by the model

    @property
    def words(self) -> str:
        """The changes as one sentence."""
        return "approved with " + " and ".join(change.words for change in self.changes)


@dataclass(frozen=True, slots=True)
class Recourses:
    """What would turn the decision on one application, the least effort first.

    There are up to three, of other columns each, all of as many columns. If there are none and the
    search is complete, no change of up to three columns does.
    """

    smallest: tuple[Recourse, ...]
    complete: bool  # False: not searched to the end; there may be a smaller one


@dataclass(frozen=True)
class RecourseFinder:
    """The search for recourse under one model.

    Parameters
    ----------
    cutoff
        An application is approved from this probability on.
    many
        From codes (n, fields) to probabilities of a good risk (n,).
    tables
        The model's; None of one that has none, which is asked about each mixture of values.
    ranges
        By quantity, the lowest and the highest value of training; one without stays as it is.
    """

    domain: Domain
    cutoff: float
    many: Many
    tables: LookupTables | None
    ranges: dict[str, tuple[float, float]]

    def find(self, codes: np.ndarray, fixed: np.ndarray | None = None) -> Recourses:
        """The smallest changes that turn the decision on one declined application.

        Parameters
        ----------
        codes
            The application, shape (fields,), as it was scored.
        fixed
            Shape (fields,): columns that stay as they are, such as those that were left blank.
        """
        search = Search(codes, self.cutoff, self.many, Work(MOST_WORK))
        choices = self._options(codes, fixed)
        own = applicant(codes, choices, self._indexes, self._regressions)
        found: list[Found] = []
        for count in range(1, MOST_COLUMNS + 1):
            own = own.changing(count)
            for chosen in combinations(choices, count):
                ceiling = found[-1].effort if len(found) == MOST_ANSWERS else np.inf
                best = search.least(own.mixtures(chosen), ceiling)
                if best is not None:
                    found = sorted([*found, best], key=lambda each: each.effort)[:MOST_ANSWERS]
            if found or search.work.done:
                break
        answers = tuple(_recourse(codes, each, self.domain) for each in found)
        return Recourses(answers, not search.work.done)

    @cached_property
    def _columns(self) -> list[Column]:
        return columns_of(self.domain, self.tables, self.ranges)

    @cached_property
    def _indexes(self) -> tuple[LeafIndex, ...]:
        members = () if self.tables is None else self.tables.members
        return tuple(LeafIndex(each) for each in members if isinstance(each, Forest))

    @property
    def _regressions(self) -> tuple[Linear, ...]:
        members = () if self.tables is None else self.tables.members
        return tuple(each for each in members if isinstance(each, Linear))

    def _options(self, codes: np.ndarray, fixed: np.ndarray | None) -> list[Options]:
        found = []
        for column in self._columns:
            code, field = float(codes[column.number]), self.domain.contract.fields[column.number]
            if (fixed is None or not fixed[column.number]) and self._may_change(
                code, column.number
            ):
                allowed = _is_safer(column.codes - code, field)
                found.append(options(column, allowed, column.efforts(code)))
        return [each for each in found if each is not None]

    def _may_change(self, code: float, number: int) -> bool:
        """Whether a value says how the applicant is, and not only what is known of it."""
        levels = self.domain.contract.fields[number].levels
        if levels is None:
            return code not in self.domain.states(number)
        known = code < len(levels)
        return known and levels[int(code)] != self.domain.contract.fields[number].unlisted


def _is_safer(differences: np.ndarray, field: Field) -> np.ndarray:
    """Which changes go the way that is expected to be safer, or any way if nothing is expected."""
    allowed: np.ndarray = differences != 0
    if field.direction is not None:
        allowed = differences > 0 if field.direction == "safer" else differences < 0
    return allowed


def _recourse(codes: np.ndarray, found: Found, domain: Domain) -> Recourse:
    changes = (_change(number, float(codes[number]), to, domain) for number, to in found.changes)
    return Recourse(tuple(changes), found.effort, found.probability)


def _change(number: int, code: float, to: float, domain: Domain) -> Change:
    field = domain.contract.fields[number]
    value, other = (domain.value(number, each) for each in (code, to))
    stated, better = field.stated(value), field.stated(other)
    unit = f" {field.unit}" if field.unit else ""
    words = f"{field.title} {field.worded(better)}{unit} instead of {field.worded(stated)}"
    return Change(field.name, stated, better, words)
