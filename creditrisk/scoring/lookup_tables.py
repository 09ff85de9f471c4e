"""A classifier's answers from lookup tables, without data frames.

:mod:`creditrisk.scoring.tabulation` makes the tables of a fitted classifier. An application is
the codes of its values (see :class:`creditrisk.data.applications.domain.Domain`), and each code
leads to a row (see :class:`creditrisk.scoring.pieces.Pieces`):

- of a logistic regression, the value's share in the score; within a piece of a quantity it is a
  polynomial, so that scaling and splines are included;
- of a forest, the leaves of each tree that the value still allows, one bit a leaf. One leaf of a
  tree is allowed by all values of an application, the one the tree ends in (after QuickScorer:
  Lucchese and others, SIGIR 2015, who find it as the leftmost of several).

The first is exact up to rounding, the second to the last bit. Both grow with the model and not with
the values that the contract allows.
"""

import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType

import numpy as np
from scipy.special import expit

from creditrisk.scoring.pieces import Pieces

_log = logging.getLogger(__name__)

#: Applications answered at once, so that their leaf bits stay in the processor's cache.
CHUNK = 64

#: From so many applications on, machine code saves more time than its import takes, 0.8 s.
WORTH_COMPILED = 20_000


@dataclass(frozen=True)
class Linear:
    """A logistic regression: the share of each value in the score, which is the log-odds.

    In row r the share is c0 + c1 u + c2 u² + c3 u³ with the coefficients of that row; u is the
    value, or its logarithm, less the row's origin. Of a level and of a state only c0 counts.
    """

    pieces: tuple[Pieces, ...]  # by field
    logarithmic: tuple[bool, ...]  # by field: whether the polynomials are in the logarithm
    curved: tuple[bool, ...]  # by field: whether a share varies within a row
    coefficients: np.ndarray  # (rows, 4)
    origins: np.ndarray  # (rows,)
    intercept: float

    def one(self, codes: list[float]) -> float:
        """The probability of a good risk for one application, given by its codes."""
        score = self.intercept
        for rows, code, log, curved in zip(self.pieces, codes, self.logarithmic, self.curved):
            row = rows.one(code)
            c0, c1, c2, c3 = self._lists[row]
            if curved and (c1 or c2 or c3):
                u = (np.log(code) if log else code) - self._origins[row]
                c0 += u * (c1 + u * (c2 + u * c3))
            score += c0
        return float(expit(score))

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        score = np.full(len(codes), self.intercept)
        for number in range(len(self.pieces)):
            score += self.shares(number, codes[:, number])
        probabilities: np.ndarray = expit(score)
        return probabilities

    def shares(self, number: int, codes: np.ndarray) -> np.ndarray:
        """What a field's values, given by codes (n,), add to the log-odds, shape (n,)."""
        rows = self.pieces[number].many(codes)
        found: np.ndarray = self.coefficients[rows, 0]
        if not self.curved[number]:
            return found
        c1, c2, c3 = self.coefficients[rows, 1:].T
        bent = (c1 != 0) | (c2 != 0) | (c3 != 0)
        u = codes[bent]
        u = (np.log(u) if self.logarithmic[number] else u) - self.origins[rows[bent]]
        found[bent] += u * (c1[bent] + u * (c2[bent] + u * c3[bent]))
        return found

    @cached_property
    def _lists(self) -> list[list[float]]:  # lists are faster for one application
        found: list[list[float]] = self.coefficients.tolist()
        return found

    @cached_property
    def _origins(self) -> list[float]:
        found: list[float] = self.origins.tolist()
        return found


@dataclass(frozen=True)
class Forest:
    """A random forest: the leaves that each value allows, and the probability in each leaf."""

    pieces: tuple[Pieces, ...]  # by field: the row of each value in `allowed`
    allowed: np.ndarray  # uint64, (rows, words * trees): bit b of word w is a tree's leaf 64 w + b
    answers: np.ndarray  # (trees * 64 * words,): by tree and leaf, the share of good risks
    first: np.ndarray  # (trees,): where a tree's leaves begin in `answers`
    words: int  # 64-bit words that hold the leaves of one tree
    #: By row: its bits as one integer, a tree's bits together, in the order of `answers`. For one
    #: application Python's integers take half the time of numpy's many small steps.
    masks: list[int]

    def one(self, codes: list[float]) -> float:
        """The probability of a good risk for one application, given by its codes."""
        masks, bits = self.masks, -1
        for rows, code in zip(self.pieces, codes):
            bits &= masks[rows.one(code)]
        words = np.frombuffer(bits.to_bytes(8 * self.allowed.shape[1], "little"), np.uint64)
        [found] = words.nonzero()
        answers = self.answers.take(64 * found + np.bitwise_count(words[found] - np.uint64(1)))
        # Tree after tree as scikit-learn adds; sum() and np.sum() round in another order.
        return float(np.add.accumulate(answers)[-1] / len(self.first))

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        if (machine_code := compiled(len(codes))) is None:
            return self.many_by_numpy(codes)
        total = np.empty(len(codes))
        machine_code.add_answers(self._rows(codes), self.allowed, self.answers, self.first, total)
        total /= len(self.first)
        if (total[:CHUNK] == self.many_by_numpy(codes[:CHUNK])).all():
            return total
        _log.warning("THE COMPILED FOREST IS REFUSED, numpy answers: they differ.")
        return self.many_by_numpy(codes)

    def many_by_numpy(self, codes: np.ndarray) -> np.ndarray:
        """As :meth:`many`, by numpy alone."""
        rows, total = self._rows(codes), np.empty(len(codes))
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

    def _rows(self, codes: np.ndarray) -> np.ndarray:
        """The row of each value in `allowed`, (n, fields)."""
        rows = np.empty(codes.shape, np.int64)
        for number, pieces in enumerate(self.pieces):
            rows[:, number] = pieces.many(codes[:, number])
        return rows

    def _leaves(self, bits: np.ndarray) -> np.ndarray:
        """The allowed leaf of each tree, (n, words * trees) -> (n, trees)."""
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

    def one(self, codes: list[float]) -> float:
        """The probability of a good risk for one application, given by its codes."""
        total = self.members[0].one(codes)
        for member in self.members[1:]:
            total += member.one(codes)
        return total / len(self.members)

    def cuts(self, number: int) -> np.ndarray:
        """The values, in ascending order, after which a quantity's effect changes its course."""
        found = [member.pieces[number].cuts for member in self.members]
        return np.unique(np.concatenate([each for each in found if each is not None]))

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities (n,) for applications given by their codes (n, fields)."""
        total = self.members[0].many(codes)
        for member in self.members[1:]:
            total = total + member.many(codes)
        return total / len(self.members)


def additive(tables: LookupTables | None) -> Linear | None:
    """The regression whose log-odds are a sum over the fields; None for any other model."""
    if tables is None or len(tables.members) > 1:
        return None
    return tables.members[0] if isinstance(tables.members[0], Linear) else None


def compiled(applications: int) -> ModuleType | None:
    """The module ``compiled`` if it is worth its import and the extra ``scale`` is installed."""
    name = "creditrisk.scoring.compiled"
    if name in sys.modules or applications >= WORTH_COMPILED:
        with suppress(ImportError, RuntimeError):  # the latter if it can be cached nowhere
            return import_module(name)
    return None
