"""A classifier's answers from lookup tables, without data frames.

:mod:`creditrisk.scoring.tabulation` makes the tables of a fitted classifier. An application is
the codes of its values (see :class:`creditrisk.data.domain.Domain`), and each code has a row:

- of a logistic regression, the value's share in the score, splines or scaling included;
- of a forest, the leaves of each tree that the value still allows, one bit a leaf. Of the leaves
  that all values of an application allow, the leftmost is the one its tree ends in (QuickScorer:
  Lucchese and others, SIGIR 2015).

The first is exact up to the order of a sum, the second to the last bit.
"""

import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
from scipy.special import expit

_log = logging.getLogger(__name__)

#: Applications answered at once, so that their leaf bits stay in the processor's cache.
CHUNK = 64

#: From so many applications on, machine code saves more time than its import takes, 0.8 s.
WORTH_COMPILED = 20_000


@dataclass(frozen=True)
class Linear:
    """A logistic regression: the share of each code in the score, which is the log-odds."""

    shares: np.ndarray  # (codes,)
    as_list: list[float]  # the same; a list is faster for one application
    intercept: float

    def one(self, codes: list[int]) -> float:
        """The probability of a good risk for one application, given by its codes."""
        score, shares = self.intercept, self.as_list
        for code in codes:
            score += shares[code]
        return float(expit(score))

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        score = np.full(len(codes), self.intercept)
        for column in codes.T:
            score += self.shares[column]
        probabilities: np.ndarray = expit(score)
        return probabilities


@dataclass(frozen=True)
class Forest:
    """A random forest: the leaves that each code allows, and the probability in each leaf."""

    rows: np.ndarray  # (codes,): the row of each code in `allowed`
    allowed: np.ndarray  # uint64, (rows, words * trees): bit b of word w is a tree's leaf 64 w + b
    answers: np.ndarray  # (trees * 64 * words,): by tree and leaf, the share of good risks
    first: np.ndarray  # (trees,): where a tree's leaves begin in `answers`
    words: int  # 64-bit words that hold the leaves of one tree
    #: By code: its row as one integer, a tree's bits together, in the order of `answers`. For one
    #: application Python's integers take half the time of numpy's many small steps.
    masks: list[int]
    ones: int  # an integer like these, with the bit of each tree's first leaf set

    def one(self, codes: list[int]) -> float:
        """The probability of a good risk for one application, given by its codes."""
        masks = self.masks
        bits = masks[codes[0]]
        for code in codes[1:]:
            bits &= masks[code]
        # The lowest bit of each tree. Every tree has one left, so the subtraction stays within it.
        lowest = bits ^ (bits & (bits - self.ones))
        words = np.frombuffer(lowest.to_bytes(8 * self.allowed.shape[1], "little"), np.uint64)
        [found] = words.nonzero()
        answers = self.answers.take(64 * found + np.bitwise_count(words[found] - np.uint64(1)))
        # Tree after tree as scikit-learn adds; sum() and np.sum() round in another order.
        return float(np.add.accumulate(answers)[-1] / len(self.first))

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        if (machine_code := compiled(len(codes))) is None:
            return self.many_by_numpy(codes)
        total = np.empty(len(codes))
        machine_code.add_answers(self.rows[codes], self.allowed, self.answers, self.first, total)
        total /= len(self.first)
        if (total[:CHUNK] == self.many_by_numpy(codes[:CHUNK])).all():
            return total
        _log.warning("THE COMPILED FOREST IS REFUSED, numpy answers: they differ.")
        return self.many_by_numpy(codes)

    def many_by_numpy(self, codes: np.ndarray) -> np.ndarray:
        """As :meth:`many`, by numpy alone."""
        rows, total = self.rows[codes], np.empty(len(codes))
        buffers = np.empty((2, CHUNK, self.allowed.shape[1]), np.uint64)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            bits, more = buffers[:, : len(chunk)]
            self.allowed.take(chunk[:, 0], axis=0, out=bits, mode="clip")
            for column in chunk.T[1:]:
                self.allowed.take(column, axis=0, out=more, mode="clip")
                np.bitwise_and(bits, more, out=bits)
            answers = self.answers.take(self._leaves(bits) + self.first)
            total[start : start + CHUNK] = np.add.accumulate(answers, axis=1)[:, -1]
        return total / len(self.first)

    def _leaves(self, bits: np.ndarray) -> np.ndarray:
        """The leftmost allowed leaf of each tree, (n, words * trees) -> (n, trees)."""
        # The trailing zeros of a word are the leaf; 64 if it is empty, then the next word counts.
        zeros = np.bitwise_count(~bits & (bits - np.uint64(1)))
        zeros = zeros.reshape(len(bits), self.words, -1).astype(np.uint16)
        leaves = zeros[:, 0]
        for word in range(1, self.words):
            leaves += np.where(leaves == 64 * word, zeros[:, word], 0)
        return np.asarray(leaves)


@dataclass(frozen=True)
class LookupTables:
    """The mean of one or more tabulated classifiers' probabilities of a good risk."""

    members: tuple[Linear | Forest, ...]

    def one(self, codes: list[int]) -> float:
        """The probability of a good risk for one application, given by its codes."""
        total = self.members[0].one(codes)
        for member in self.members[1:]:
            total += member.one(codes)
        return total / len(self.members)

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        total = self.members[0].many(codes)
        for member in self.members[1:]:
            total = total + member.many(codes)
        return total / len(self.members)


def compiled(applications: int) -> ModuleType | None:
    """The module ``compiled`` if it is worth its import and the extra ``scale`` is installed."""
    name = "creditrisk.scoring.compiled"
    if name in sys.modules or applications >= WORTH_COMPILED:
        with suppress(ImportError, RuntimeError):  # the latter if it can be cached nowhere
            return import_module(name)
    return None
