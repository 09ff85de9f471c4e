"""What a model answers if a few columns of an application change and all others stay."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
from scipy.special import expit

from creditrisk.scoring.lookup_tables import Linear
from creditrisk.scoring.recourse.leaves import LeafIndex, Leaves, OwnLeaves, Spans
from creditrisk.scoring.recourse.options import Options
from creditrisk.scoring.recourse.values import TOGETHER


@dataclass(frozen=True)
class Applicant:
    """An application as the members of a model see it."""

    forests: tuple[OwnLeaves, ...]
    scores: tuple[float, ...]  # by regression: the log-odds
    shares: tuple[list[float], ...]  # by regression, the share of each field in them

    def changing(self, count: int) -> "Applicant":
        """The same if so many columns change at once."""
        return replace(self, forests=tuple(replace(each, changes=count) for each in self.forests))

    def mixtures(self, chosen: tuple[Options, ...]) -> "Mixtures":
        """What the model answers if some columns change."""
        numbers = tuple(each.number for each in chosen)
        scores = (
            score - sum(shares[number] for number in numbers)
            for score, shares in zip(self.scores, self.shares)
        )
        spans = tuple((0, len(each)) for each in chosen)
        leaves = tuple(each.leaves(numbers) for each in self.forests)
        return Mixtures(chosen, spans, leaves, tuple(scores))


def applicant(
    codes: np.ndarray,
    choices: list[Options],
    indexes: tuple[LeafIndex, ...],
    regressions: tuple[Linear, ...],
) -> Applicant:
    """An application as the forests and the regressions of a model see it.

    Parameters
    ----------
    choices
        What may change, one column at first.
    """
    forests = (
        OwnLeaves(
            index,
            index.blocked(codes.tolist()),
            {each.number: each.rows[place] for each in choices},
            changes=1,
        )
        for place, index in enumerate(indexes)
    )
    shares = tuple(
        [float(each.shares(number, codes[[number]])[0]) for number in range(len(codes))]
        for each in regressions
    )
    scores = tuple(each.intercept + sum(own) for each, own in zip(regressions, shares))
    return Applicant(tuple(forests), scores, shares)


@dataclass(frozen=True)
class Mixtures:
    """Mixtures of some columns' groups of values: a box, as each column is an axis."""

    chosen: tuple[Options, ...]
    spans: Spans  # the groups of each column
    leaves: tuple[Leaves, ...]  # by forest
    scores: tuple[float, ...]  # by regression: the log-odds without these columns

    @cached_property
    def effort(self) -> float:
        """The least effort of a mixture."""
        return float(sum(each.min() for each in self._least))

    @property
    def size(self) -> int:
        """The number of mixtures of groups."""
        return int(np.prod([stop - start for start, stop in self.spans]))

    def joined(self) -> "Mixtures":
        """All mixtures, where groups are one if they lead to the same leaves whatever else changes.

        In a group of a quantity remain few values, so that its bounds are tight.
        """
        begins = [self._begins(axis) for axis in range(len(self.chosen))]
        leaves = tuple(
            replace(each, places=tuple(p.joined(b) for p, b in zip(each.places, begins)))
            for each in self.leaves
        )
        chosen = tuple(each.joined(begin) for each, begin in zip(self.chosen, begins))
        return Mixtures(chosen, tuple((0, len(each)) for each in chosen), leaves, self.scores)

    def _begins(self, axis: int) -> np.ndarray:
        """Where the joined groups of a column begin."""
        places = [each.places[axis] for each in self.leaves]
        if any(place.leads is not None for place in places):
            return np.arange(len(self.chosen[axis]))
        begins = np.diff(self.chosen[axis].starts[:-1] // TOGETHER, prepend=-1) > 0
        begins = np.append(begins, True)
        for place in places:
            begins[place.first] = begins[place.after] = True
        return np.flatnonzero(begins[:-1])

    def halves(self) -> Iterator["Mixtures"]:
        """The box cut in two, across its longest side."""
        start, stop = longest = max(self.spans, key=lambda span: span[1] - span[0])
        axis, middle = self.spans.index(longest), (start + stop) // 2
        for half in ((start, middle), (middle, stop)):
            spans = (*self.spans[:axis], half, *self.spans[axis + 1 :])
            leaves = tuple(each.within(spans) for each in self.leaves)
            yield Mixtures(self.chosen, spans, leaves, self.scores)

    def bound(self) -> float:
        """A probability that no mixture exceeds.

        Each regression is given the best value of each column on its own, and each tree of a forest
        the best leaf that some mixture leads to.
        """
        if not self._members:
            return 1.0
        return (sum(each.bound() for each in self.leaves) + self._regressions) / self._members

    def candidates(
        self, cutoff: float, ceiling: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mixtures of groups that may reach a cut-off, the least effort first.

        What the forests answer is exact; of each regression it is the highest answer in the groups.
        Without tables each mixture may reach it.

        Parameters
        ----------
        ceiling
            Mixtures of so much effort or more are left out.

        Returns
        -------
        efforts, forests : ndarray, shape (n,)
            The least effort of each, and the sum of the forests' answers.
        groups : ndarray of int, shape (columns, n)
        """
        efforts = reduce(np.add.outer, self._least)
        forests, keep = np.zeros(efforts.shape), efforts < ceiling
        if self.leaves:
            forests = sum((each.table(self.spans) for each in self.leaves), forests)
            keep &= forests >= self._members * cutoff - self._regressions
        places = keep.nonzero()
        groups = np.array([each + start for each, (start, _) in zip(places, self.spans)])
        efforts, forests = efforts[places], forests[places]
        most = [[each.most[number] for each in self.chosen] for number in range(len(self.scores))]
        reached = self._probabilities(forests, most, groups) >= cutoff
        efforts, forests, groups = efforts[reached], forests[reached], groups[:, reached]
        order = np.argsort(efforts, kind="stable")
        return efforts[order], forests[order], groups[:, order]

    def values_in(self, group: np.ndarray) -> int:
        """The mixtures of the values in one group of each column."""
        return int(np.prod([o.starts[at + 1] - o.starts[at] for o, at in zip(self.chosen, group)]))

    def values(
        self, group: np.ndarray, forests: float, cutoff: float, ceiling: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mixtures of the values in one group of each column that may reach a cut-off.

        Returns
        -------
        efforts : ndarray, shape (n,)
            Ascending.
        codes : ndarray, shape (n, columns)
        """
        inside = [
            np.arange(each.starts[number], each.starts[number + 1])
            for each, number in zip(self.chosen, group)
        ]
        places = np.array([axis.ravel() for axis in np.meshgrid(*inside, indexing="ij")])
        efforts = np.sum([o.efforts[at] for o, at in zip(self.chosen, places)], axis=0)
        shares = [[each.shares[n] for each in self.chosen] for n in range(len(self.scores))]
        reached = self._probabilities(forests, shares, places) >= cutoff
        found = np.flatnonzero(reached & (efforts < ceiling))
        found = found[np.argsort(efforts[found], kind="stable")]
        codes = [each.codes[at] for each, at in zip(self.chosen, places[:, found])]
        return efforts[found], np.column_stack(codes)

    def _probabilities(
        self, forests: np.ndarray | float, shares: list[list[np.ndarray]], places: np.ndarray
    ) -> np.ndarray:
        """The model's answers to mixtures, given where each value's share is, (columns, n)."""
        if not self._members:
            return np.ones(places.shape[1])
        total = forests
        for score, parts in zip(self.scores, shares):
            total = total + expit(score + sum(part[at] for part, at in zip(parts, places)))
        return np.asarray(total) / self._members

    @property
    def _members(self) -> int:
        """The members of the model; none if it has no tables."""
        return len(self.leaves) + len(self.scores)

    @property
    def _least(self) -> list[np.ndarray]:
        """By column, the least effort of each group."""
        return [each.least[slice(*span)] for each, span in zip(self.chosen, self.spans)]

    @cached_property
    def _regressions(self) -> float:
        """The sum of the highest answers of the regressions, each column at its best."""
        total = 0.0
        for number, score in enumerate(self.scores):
            best = (o.most[number][slice(*at)].max() for o, at in zip(self.chosen, self.spans))
            total += float(expit(score + sum(best)))
        return total
