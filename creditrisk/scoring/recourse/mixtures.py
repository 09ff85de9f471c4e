"""What a model answers if a few columns of an application change and all others stay."""

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from scipy.special import expit

from creditrisk.scoring.lookup_tables import Linear, LookupTables
from creditrisk.scoring.recourse.leaves import LeafIndex, Leaves
from creditrisk.scoring.recourse.values import Column

#: Of each of some columns, the first of its groups and the one after the last.
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Options:
    """The values that one applicant may change one column to, in groups as the column's."""

    number: int
    codes: np.ndarray  # (n,), group after group
    efforts: np.ndarray  # (n,)
    starts: np.ndarray  # (groups + 1,): where each group begins, and n
    least: np.ndarray  # (groups,): the least effort
    rows: tuple[np.ndarray, ...]  # by forest, (groups,)
    shares: tuple[np.ndarray, ...]  # by regression, (n,)
    most: tuple[np.ndarray, ...]  # by regression, (groups,): the highest share

    def __len__(self) -> int:
        return len(self.least)

    @property
    def single(self) -> bool:
        """Whether each group is one value."""
        return len(self.least) == len(self.codes)


def options(column: Column, allowed: np.ndarray, efforts: np.ndarray) -> Options | None:
    """Those values of a column that an applicant may change to; None if there are none.

    Parameters
    ----------
    allowed, efforts
        By value of the column, shape (n,). Where a group's values differ in nothing but their
        effort, the nearest is enough.
    """
    [places] = allowed.nonzero()
    if not len(places):
        return None
    if not column.curved:
        places = places[np.lexsort((efforts[places], column.groups[places]))]
        places = places[np.unique(column.groups[places], return_index=True)[1]]
    begins = np.flatnonzero(np.diff(column.groups[places], prepend=-1))
    shares = tuple(each[places] for each in column.shares)
    return Options(
        column.number,
        column.codes[places],
        efforts[places],
        np.append(begins, len(places)),
        np.minimum.reduceat(efforts[places], begins),
        tuple(each[places[begins]] for each in column.rows),
        shares,
        tuple(np.maximum.reduceat(each, begins) for each in shares),
    )


def outer(parts: list[np.ndarray]) -> np.ndarray:
    """The sums of one number from each of some arrays, an axis for each."""
    found: np.ndarray = reduce(np.add.outer, parts)
    return found


@dataclass(frozen=True)
class Applicant:
    """An application as the members of a model see it."""

    tables: LookupTables | None
    indexes: tuple[LeafIndex, ...]  # by forest
    codes: np.ndarray  # (fields,)

    def mixtures(self, chosen: tuple[Options, ...]) -> "Mixtures":
        """What the model answers if some columns change."""
        numbers = tuple(each.number for each in chosen)
        leaves = tuple(
            index.leaves(rows, numbers, tuple(each.rows[place] for each in chosen))
            for place, (index, rows) in enumerate(zip(self.indexes, self._rows))
        )
        kept = np.setdiff1d(np.arange(len(self.codes)), numbers)
        scores = tuple(float(shares[-1] + shares[kept].sum()) for shares in self._shares)
        return Mixtures(chosen, leaves, scores)

    @cached_property
    def _rows(self) -> list[list[int]]:
        return [
            [pieces.one(code) for pieces, code in zip(index.forest.pieces, self.codes.tolist())]
            for index in self.indexes
        ]

    @cached_property
    def _shares(self) -> list[np.ndarray]:
        """By regression, each field's share in the log-odds, and last the intercept."""
        members = () if self.tables is None else self.tables.members
        return [
            np.array(
                [
                    *(each.shares(n, self.codes[n : n + 1])[0] for n in range(len(self.codes))),
                    each.intercept,
                ]
            )
            for each in members
            if isinstance(each, Linear)
        ]


@dataclass(frozen=True)
class Mixtures:
    """All mixtures of some columns' values."""

    chosen: tuple[Options, ...]
    leaves: tuple[Leaves, ...]  # by forest
    scores: tuple[float, ...]  # by regression: the log-odds without these columns

    @property
    def members(self) -> int:
        """The members of the model; none if it has no tables."""
        return len(self.leaves) + len(self.scores)

    @property
    def spans(self) -> Spans:
        """All groups of each column."""
        return tuple((0, len(each)) for each in self.chosen)

    def effort(self, spans: Spans) -> float:
        """The least effort of a mixture of these groups."""
        return float(sum(o.least[slice(*span)].min() for o, span in zip(self.chosen, spans)))

    def bound(self, spans: Spans) -> float:
        """A probability that no mixture of these groups exceeds.

        Each regression is given the best value of each column on its own, and each tree of a forest
        the best leaf that some mixture leads to.
        """
        if not self.members:
            return 1.0
        found = [each.within(spans).bound() for each in self.leaves]
        for number, score in enumerate(self.scores):
            most = (o.most[number][slice(*span)].max() for o, span in zip(self.chosen, spans))
            found.append(float(expit(score + sum(most))))
        return sum(found) / self.members

    def forests(self, spans: Spans) -> np.ndarray:
        """The sum of the forests' answers, exact for each mixture of groups."""
        total = np.zeros([stop - start for start, stop in spans])
        for each in self.leaves:
            total += each.within(spans).table(spans)
        return total

    def with_regressions(
        self, forests: np.ndarray | float, shares: list[list[np.ndarray]]
    ) -> np.ndarray:
        """The model's probabilities, of all members.

        Parameters
        ----------
        forests
            The sum of the forests' answers.
        shares
            By regression and column, the shares in the log-odds.
        """
        total = forests
        for score, parts in zip(self.scores, shares):
            total = total + expit(score + outer(parts))
        return np.asarray(total / self.members)
