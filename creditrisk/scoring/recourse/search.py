"""The search for the mixture of least effort that reaches the cut-off: branch and bound.

Mixtures of some columns' values are a box. Boxes are taken in order of the least effort in them.
One is left out if the tables show that nothing in it reaches the cut-off, halved if it is large,
and otherwise tabulated: what the forests answer is exact, and of each regression the highest answer
in each group of values. What may reach the cut-off is then scored by the model, in order of effort.
The search ends when no box is left with a smaller effort than what was found, so what was found is
the least there is.

Work is counted and not timed, so that the same question has the same answer on any machine.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from creditrisk.scoring.reasons import Many
from creditrisk.scoring.recourse.mixtures import Mixtures

#: Mixtures of groups that are tabulated at once.
BOX = 2**16

#: A box of fewer mixtures is tabulated as it is.
SMALL = 2**12

#: Work that is done for one applicant at most. One mixture in a table is 1.
MOST_WORK = 10_000_000

#: The work of a bound, and of scoring one application.
BOUNDED, SCORED = 1000, 200

#: Applications that are scored at once, first and at most.
FIRST_ROWS, ROWS = 8, 4096

#: A bound that is missed by less than this may be a rounding error.
ROUNDING = 1e-9


@dataclass
class Work:
    """The work that is left for one applicant."""

    left: int

    @property
    def done(self) -> bool:
        """Whether none is left: the search has not come to its end."""
        return self.left < 0


@dataclass(frozen=True)
class Found:
    """A mixture that reaches the cut-off."""

    effort: float
    changes: tuple[tuple[int, float], ...]  # column and new code
    probability: float


@dataclass(frozen=True)
class Search:
    """The search for one applicant."""

    codes: np.ndarray  # (fields,)
    cutoff: float
    many: Many
    work: Work

    def least(self, mixtures: Mixtures, ceiling: float) -> Found | None:
        """The mixture of least effort that reaches the cut-off; None if none does below a ceiling.

        Of equal efforts it is the first that is found, on any machine the same.
        """
        if mixtures.leaves and mixtures.size > SMALL and mixtures.bound() >= self._reached:
            mixtures = mixtures.joined()
        best, boxes, count = None, [(mixtures.effort, 0, mixtures)], 0
        while boxes and not self.work.done:
            effort, _, box = heapq.heappop(boxes)
            if effort >= ceiling:
                break
            self.work.left -= BOUNDED
            if box.bound() < self._reached:
                continue
            if box.size > BOX:
                for half in box.halves():
                    count += 1
                    heapq.heappush(boxes, (half.effort, count, half))
            elif (found := self._in_box(box, ceiling)) is not None:
                best, ceiling = found, found.effort
        return best

    def _in_box(self, box: Mixtures, ceiling: float) -> Found | None:
        """The mixture of least effort in a box that is tabulated."""
        self.work.left -= box.size
        efforts, forests, groups = box.candidates(self._reached, ceiling)
        if all(each.single for each in box.chosen):
            codes = [each.codes[group] for each, group in zip(box.chosen, groups)]
            return self._first(box, efforts, np.column_stack(codes))
        best = None
        for place, effort in enumerate(efforts):
            if effort >= ceiling or self.work.done:
                break
            group = groups[:, place]
            self.work.left -= BOUNDED + box.values_in(group)
            values = box.values(group, forests[place], self._reached, ceiling)
            if (found := self._first(box, *values)) is not None:
                best, ceiling = found, found.effort
        return best

    def _first(self, box: Mixtures, efforts: np.ndarray, codes: np.ndarray) -> Found | None:
        """The first of some mixtures, in order of effort, that the model approves."""
        numbers = [each.number for each in box.chosen]
        start, size = 0, FIRST_ROWS  # few at first: the first mostly does
        while start < len(codes) and not self.work.done:
            part = codes[start : start + size]
            self.work.left -= SCORED * len(part)
            rows = np.tile(self.codes, (len(part), 1))
            rows[:, numbers] = part
            probabilities = self.many(rows)
            [reached] = np.nonzero(probabilities >= self.cutoff)
            if len(reached):
                first = int(reached[0])
                changes = tuple(zip(numbers, part[first].tolist()))
                return Found(float(efforts[start + first]), changes, float(probabilities[first]))
            start, size = start + size, min(ROWS, 4 * size)
        return None

    @property
    def _reached(self) -> float:
        """What the tables' answer has to be for the model's to be looked at."""
        return self.cutoff - ROUNDING
