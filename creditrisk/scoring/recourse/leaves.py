"""Which leaves of a forest the values of a few columns lead to, while all others stay."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from creditrisk.scoring.lookup_tables import Forest

#: Of each of some columns, the first of its groups and the one after the last.
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Place:
    """Which groups of one column's values lead to some leaves, an axis of the box of each leaf."""

    first: np.ndarray  # (leaves,): of a quantity, the first group that leads to each leaf
    after: np.ndarray  # (leaves,): and the one after the last
    leads: np.ndarray | None = None  # of levels instead, bool (leaves, groups)

    def of(self, leaves: np.ndarray) -> "Place":
        """The same of some of the leaves."""
        leads = None if self.leads is None else self.leads.take(leaves, axis=0)
        return Place(self.first.take(leaves), self.after.take(leaves), leads)

    def joined(self, begins: np.ndarray) -> "Place":
        """The same where neighbouring groups are joined; where each of the new ones begins."""
        if self.leads is not None:
            return self
        return Place(np.searchsorted(begins, self.first), np.searchsorted(begins, self.after))

    def meets(self, start: int, stop: int) -> np.ndarray:
        """To which leaves some of a span of groups leads, bool (leaves,)."""
        if self.leads is not None:
            return np.asarray(self.leads[:, start:stop].any(axis=1))
        return (self.first < stop) & (self.after > start)


@dataclass(frozen=True)
class Leaves:
    """Leaves of a forest, those of a tree together, each a box of mixtures of columns' values.

    Each mixture lies in the box of one leaf of each tree.
    """

    answers: np.ndarray  # (leaves,): the share of good risks
    trees: np.ndarray  # (leaves,): the number of each leaf's tree, ascending
    count: int  # the trees
    places: tuple[Place, ...]  # by column

    def within(self, spans: Spans) -> "Leaves":
        """The leaves to which some mixture of spans of the columns' groups leads."""
        keep = np.ones(len(self.answers), bool)
        for place, (start, stop) in zip(self.places, spans):
            keep &= place.meets(start, stop)
        found = np.flatnonzero(keep)
        places = tuple(place.of(found) for place in self.places)
        return Leaves(self.answers[found], self.trees[found], self.count, places)

    def bound(self) -> float:
        """The mean over the trees of the best leaf: no mixture reaches more."""
        begins = np.flatnonzero(np.diff(self.trees, prepend=-1))
        return float(np.maximum.reduceat(self.answers, begins).sum() / self.count)

    def table(self, spans: Spans) -> np.ndarray:
        """The forest's answer to each mixture of spans of the columns' groups.

        A leaf adds its answer where its box begins on an axis and takes it off where it ends; the
        sums along the axes are then the answers.
        """
        shape = [stop - start for start, stop in spans]
        strides = np.cumprod([1, *shape[:0:-1]])[::-1]
        leaf, total = np.arange(len(self.answers)), self.answers
        index = np.zeros(len(leaf), np.int64)
        for place, (start, stop), stride in zip(self.places, spans, strides):
            if place.leads is not None:  # first: they only drop entries
                entry, level = place.leads[leaf, start:stop].nonzero()
                leaf, total, index = leaf[entry], total[entry], index[entry] + stride * level
        for place, (start, stop), stride in zip(self.places, spans, strides):
            if place.leads is None:
                begin = np.maximum(place.first[leaf] - start, 0)
                end = place.after[leaf] - start
                ends = end < stop - start
                total = np.concatenate([total, -total[ends]])
                index = np.concatenate([index + stride * begin, index[ends] + stride * end[ends]])
                leaf = np.concatenate([leaf, leaf[ends]])
        table: np.ndarray = np.bincount(index, total, int(np.prod(shape))).reshape(shape)
        for axis, place in enumerate(self.places):
            if place.leads is None:
                np.cumsum(table, axis=axis, out=table)
        return np.asarray(table / self.count)


@dataclass(frozen=True)
class LeafIndex:
    """Where the leaves of a forest lie on each field."""

    forest: Forest

    def blocked(self, codes: list[float]) -> np.ndarray:
        """To which leaves an application's values do not lead, bool (fields, leaves)."""
        forest = self.forest
        rows = forest.allowed[[pieces.one(code) for pieces, code in zip(forest.pieces, codes)]]
        words = rows.reshape(len(codes), forest.words, -1).swapaxes(1, 2).astype("<u8", order="C")
        bits = np.unpackbits(
            words.reshape(len(codes), -1).view(np.uint8), axis=1, bitorder="little"
        )
        return np.asarray(bits == 0)

    def place(self, number: int, rows: np.ndarray, leaves: np.ndarray) -> Place:
        """Where some leaves lie on a field's axis.

        Parameters
        ----------
        rows
            By group, the row of its values in the forest's tables; of a quantity ascending.
        """
        pieces = self.forest.pieces[number]
        first, after = (each[leaves] for each in self._spans[number])
        if pieces.cuts is None:
            tree, leaf = np.divmod(leaves, 64 * self.forest.words)
            words = self.forest.allowed[rows][:, leaf // 64 * len(self.forest.first) + tree]
            return Place(first, after, (words >> (leaf % 64).astype(np.uint64) & 1 == 1).T)
        begin = pieces.start + len(pieces.states)
        positions = np.searchsorted(rows, np.arange(begin, pieces.start + pieces.count + 1))
        return Place(positions[first], positions[after])

    @cached_property
    def _spans(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """By field, the first piece of a quantity that leads to each leaf, and the one after."""
        return [self._span(number) for number in range(len(self.forest.pieces))]

    def _span(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        forest, pieces = self.forest, self.forest.pieces[number]
        first, after = np.zeros((2, len(forest.answers)), np.int32)
        if pieces.cuts is None:
            return first, after
        rows = forest.allowed[pieces.start + len(pieces.states) : pieces.start + pieces.count]
        padded = np.pad(rows, ((1, 1), (0, 0)))
        for found, bits in (
            (first, padded[1:] & ~padded[:-1]),
            (after, padded[:-1] & ~padded[1:]),
        ):
            piece, word = bits.nonzero()
            each = bits[piece, word].astype("<u8")[:, None].view(np.uint8)
            entry, bit = np.unpackbits(each, axis=1, bitorder="little").nonzero()
            part, tree = np.divmod(word[entry], len(forest.first))
            found[forest.first[tree] + 64 * part + bit] = piece[entry]
        return first, after


@dataclass(frozen=True)
class OwnLeaves:
    """The leaves that an application leads to if a few of its values change."""

    index: LeafIndex
    blocked: (
        np.ndarray
    )  # bool (fields, leaves of all trees): to which leaves its values do not lead
    rows: dict[int, np.ndarray]  # of each field that may change, the row of each group
    changes: int  # the fields that change at once

    def leaves(self, numbers: tuple[int, ...]) -> Leaves:
        """Those that some mixture of these fields' groups leads to."""
        near, forest = self._near, self.index.forest
        keep = near.count == sum(near.blocked[number] for number in numbers)
        for number in numbers:
            keep &= near.open[number]
        found = np.flatnonzero(keep)
        leaves = near.leaves[found]
        places = tuple(near.places[number].of(found) for number in numbers)
        trees = leaves // (64 * forest.words)
        return Leaves(forest.answers[leaves], trees, len(forest.first), places)

    @cached_property
    def _near(self) -> "_Near":
        blocked = self.blocked
        fixed = np.setdiff1d(np.arange(len(blocked)), list(self.rows))
        count = blocked.sum(axis=0, dtype=np.int8)
        found = np.flatnonzero(~blocked[fixed].any(axis=0) & (count <= self.changes))
        places = {each: self.index.place(each, rows, found) for each, rows in self.rows.items()}
        return _Near(
            found,
            count[found],
            {each: blocked[each, found].astype(np.int8) for each in self.rows},
            places,
            {each: places[each].meets(0, len(rows)) for each, rows in self.rows.items()},
        )


@dataclass(frozen=True)
class _Near:
    """The leaves that a few changes of an application's values lead to."""

    leaves: np.ndarray
    count: np.ndarray  # (leaves,): how many of the values do not lead there
    blocked: dict[int, np.ndarray]  # by field, (leaves,): 1 if its value does not, else 0
    places: dict[int, Place]  # by field
    open: dict[int, np.ndarray]  # by field, bool (leaves,): whether any of its groups leads there
