"""Which leaves of a forest the values of a few columns lead to, while all others stay."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from creditrisk.scoring.lookup_tables import Forest

#: Where a leaf begins and ends on a column's axis, each (leaves,), or which values lead to it,
#: bool (leaves, values).
Place = tuple[np.ndarray, np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Leaves:
    """Leaves of a forest, those of a tree together, each with the values that lead to it.

    Each mixture of the columns' values leads to one leaf of each tree.
    """

    answers: np.ndarray  # (leaves,): the share of good risks
    trees: np.ndarray  # (leaves,): the number of each leaf's tree, ascending
    count: int  # the trees
    places: tuple[Place, ...]  # by column

    def within(self, spans: tuple[tuple[int, int], ...]) -> "Leaves":
        """The leaves to which some mixture of spans of the columns' values may lead."""
        keep = np.ones(len(self.answers), bool)
        for place, (start, stop) in zip(self.places, spans):
            if isinstance(place, tuple):
                keep &= (place[0] < stop) & (place[1] > start)
            else:
                keep &= place[:, start:stop].any(axis=1)
        places = tuple(
            (place[0][keep], place[1][keep]) if isinstance(place, tuple) else place[keep]
            for place in self.places
        )
        return Leaves(self.answers[keep], self.trees[keep], self.count, places)

    def bound(self) -> float:
        """The mean over the trees of the best leaf: no mixture reaches more."""
        begins = np.flatnonzero(np.diff(self.trees, prepend=-1))
        return float(np.maximum.reduceat(self.answers, begins).sum() / self.count)

    def table(self, spans: tuple[tuple[int, int], ...]) -> np.ndarray:
        """The forest's answer to each mixture of spans of the columns' values.

        A leaf is a box of mixtures. It adds its answer where the box begins on an axis and takes it
        off where it ends; the sums along the axes are then the answers.
        """
        total, index, shape = self.answers, np.zeros(len(self.answers), np.int64), []
        for place, (start, stop) in zip(self.places, spans):
            if isinstance(place, tuple):
                ends = np.clip(np.stack(place, axis=-1) - start, 0, stop - start)
                signs = np.array([1.0, -1.0])
                shape.append(stop - start + 1)
            else:
                ends, signs = np.arange(stop - start), place[:, start:stop].astype(float)
                shape.append(stop - start)
            ends, signs = (
                np.broadcast_to(each, (len(self.answers), ends.shape[-1])) for each in (ends, signs)
            )
            more = (slice(None), *(None,) * (index.ndim - 1), slice(None))
            index = index[..., None] * shape[-1] + ends[more]
            total = total[..., None] * signs[more]
        flat = np.bincount(index.ravel(), total.ravel(), int(np.prod(shape)))
        table = flat.reshape(shape)
        for axis, place in enumerate(self.places):
            if isinstance(place, tuple):
                table = np.cumsum(table, axis=axis)
                table = table[(*(slice(None),) * axis, slice(None, -1))]
        return table / self.count


@dataclass(frozen=True)
class LeafIndex:
    """Where the leaves of a forest lie on each field."""

    forest: Forest

    def leaves(
        self, codes_rows: list[int], numbers: tuple[int, ...], rows: tuple[np.ndarray, ...]
    ) -> Leaves:
        """The leaves that an application leads to if some of its fields may change.

        Parameters
        ----------
        codes_rows
            By field, the row of the application's value in the forest's tables.
        numbers, rows
            The fields that change, and of each the rows of the values in question, (values,); those
            of a quantity are ascending.
        """
        forest = self.forest
        kept = [row for number, row in enumerate(codes_rows) if number not in numbers]
        bits = (
            np.bitwise_and.reduce(forest.allowed[kept], axis=0)
            if kept
            else ~np.zeros(forest.allowed.shape[1], np.uint64)
        )
        trees = len(forest.first)
        words = np.ascontiguousarray(bits.reshape(forest.words, trees).T).astype("<u8")
        found = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
        places = tuple(self._place(*each, found) for each in zip(numbers, rows))
        leaves = Leaves(forest.answers[found], found // (64 * forest.words), trees, places)
        return leaves.within(tuple((0, len(each)) for each in rows))

    def _place(self, number: int, rows: np.ndarray, leaves: np.ndarray) -> Place:
        pieces = self.forest.pieces[number]
        if pieces.cuts is None:
            column, bit = self._bit(leaves)
            leads: np.ndarray = self.forest.allowed[rows[:, None], column] >> bit & np.uint64(1)
            return leads.T.astype(bool)
        first, last = self._spans[number]
        begin = pieces.start + len(pieces.states)
        positions = np.searchsorted(rows, np.arange(begin, pieces.start + pieces.count + 1))
        return positions[first[leaves]], positions[last[leaves]]

    def _bit(self, leaves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The word of each leaf in a row of ``allowed``, and the bit in it."""
        tree, within = np.divmod(leaves, 64 * self.forest.words)
        return within // 64 * len(self.forest.first) + tree, (within % 64).astype(np.uint64)

    @cached_property
    def _spans(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """By field, the first piece that leads to each leaf, and the one after the last."""
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
