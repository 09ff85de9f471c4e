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
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from creditrisk.scoring.reasons import Many
from creditrisk.scoring.recourse.mixtures import Mixtures, Spans, outer

#: Mixtures of groups that are tabulated at once.
BOX = 2**16

#: Work that is done for one applicant at most. One mixture in a table is 1.
MOST_WORK = 20_000_000

#: The work of a bound, and of scoring one application.
BOUNDED, SCORED = 1000, 100

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

        Of equal efforts the first one that is found.
        """
        best = None
        boxes: list[tuple[float, int, Spans]] = [
            (mixtures.effort(mixtures.spans), 0, mixtures.spans)
        ]
        count = 1
        while boxes and not self.work.done:
            effort, _, spans = heapq.heappop(boxes)
            if effort >= ceiling:
                break
            self.work.left -= BOUNDED
            if mixtures.bound(spans) < self.cutoff - ROUNDING:
                continue
            if np.prod([stop - start for start, stop in spans]) > BOX:
                for half in _halves(spans):
                    heapq.heappush(boxes, (mixtures.effort(half), count, half))
                    count += 1
                continue
            if (found := self._in_box(mixtures, spans, ceiling)) is not None:
                best, ceiling = found, found.effort
        return best

    def _in_box(self, mixtures: Mixtures, spans: Spans, ceiling: float) -> Found | None:
        """The mixture of least effort in a box."""
        chosen = list(zip(mixtures.chosen, spans))
        efforts = outer([each.least[slice(*span)] for each, span in chosen])
        self.work.left -= efforts.size
        keep, forests = efforts < ceiling, mixtures.forests(spans)
        if mixtures.members:
            most = [
                [each.most[number][slice(*span)] for each, span in chosen]
                for number in range(len(mixtures.scores))
            ]
            keep &= mixtures.with_regressions(forests, most) >= self.cutoff - ROUNDING
        places = np.flatnonzero(keep)
        places = places[np.argsort(efforts.ravel()[places], kind="stable")]
        groups = [
            place + start
            for place, (start, _) in zip(np.unravel_index(places, efforts.shape), spans)
        ]
        if all(each.single for each in mixtures.chosen):
            codes = np.column_stack([each.codes[g] for each, g in zip(mixtures.chosen, groups)])
            return self._first(mixtures, codes, efforts.ravel()[places])
        best = None
        for place, *group in zip(places, *groups):
            if efforts.ravel()[place] >= ceiling or self.work.done:
                break
            found = self._in_groups(mixtures, group, forests.ravel()[place], ceiling)
            if found is not None:
                best, ceiling = found, found.effort
        return best

    def _in_groups(
        self, mixtures: Mixtures, group: list[int], forests: float, ceiling: float
    ) -> Found | None:
        """The mixture of least effort of one group of each column."""
        parts = [slice(o.starts[g], o.starts[g + 1]) for o, g in zip(mixtures.chosen, group)]
        efforts = outer([o.efforts[part] for o, part in zip(mixtures.chosen, parts)])
        self.work.left -= efforts.size
        shares = [
            [o.shares[number][part] for o, part in zip(mixtures.chosen, parts)]
            for number in range(len(mixtures.scores))
        ]
        reached = mixtures.with_regressions(forests, shares) >= self.cutoff - ROUNDING
        places = np.flatnonzero(reached & (efforts < ceiling))
        places = places[np.argsort(efforts.ravel()[places], kind="stable")]
        inner = np.unravel_index(places, efforts.shape)
        codes = np.column_stack(
            [o.codes[part][at] for o, part, at in zip(mixtures.chosen, parts, inner)]
        )
        return self._first(mixtures, codes, efforts.ravel()[places])

    def _first(self, mixtures: Mixtures, codes: np.ndarray, efforts: np.ndarray) -> Found | None:
        """The first of some mixtures, in order of effort, that the model approves."""
        numbers = [each.number for each in mixtures.chosen]
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


def _halves(spans: Spans) -> Iterator[Spans]:
    """A box cut in two, across its longest side."""
    longest = max(range(len(spans)), key=lambda axis: spans[axis][1] - spans[axis][0])
    start, stop = spans[longest]
    middle = (start + stop) // 2
    for half in ((start, middle), (middle, stop)):
        yield (*spans[:longest], half, *spans[longest + 1 :])
