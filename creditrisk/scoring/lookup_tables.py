"""The fitted classifier, flattened: the same answers from tables, without data frames.

The contract lists every value a field may take. So whatever the classifier makes of one field's
value is asked of scikit-learn once, at load, for every allowed value, and looked up ever after:

- of a logistic regression, the value's share in the score, splines or scaling included;
- of a forest, the leaves of each tree that the value still allows, one bit a leaf. Of the leaves
  that all values of an application allow, the leftmost is the one its tree ends in. (The idea is
  QuickScorer's: Lucchese and others, SIGIR 2015.)

The first is exact up to the order of a sum, the second to the last bit.
"""

import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from creditrisk.data.domain import Domain

_log = logging.getLogger(__name__)

#: Applications walked at once: their leaf bits stay in the processor's cache.
CHUNK = 64

#: From so many applications at once the compiled walk pays for its import, 0.8 s.
WORTH_COMPILED = 20_000

#: Beyond so many values, or bytes of leaf bits, tables are no longer the small way to answer.
MOST_VALUES, MOST_BYTES = 1_000_000, 256 * 2**20


#: What trees ask of a column: thresholds, the word of leaves each concerns, the bits that stay.
Question = tuple[np.ndarray, np.ndarray, np.ndarray]


class NotTabulated(Exception):
    """The classifier is of a kind, or so composed, that its answers do not follow from tables."""


@dataclass(frozen=True)
class Linear:
    """A logistic regression: the share of each code in the score."""

    shares: np.ndarray
    as_list: list[float]  # the same; a list answers faster for one application
    intercept: float

    def one(self, codes: list[int]) -> float:
        """The probability for one application."""
        score, shares = self.intercept, self.as_list
        for code in codes:
            score += shares[code]
        return float(expit(score))

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities for applications of shape (n, fields)."""
        score = np.full(len(codes), self.intercept)
        for column in codes.T:
            score += self.shares[column]
        probabilities: np.ndarray = expit(score)
        return probabilities


@dataclass(frozen=True)
class Forest:
    """A random forest: the leaves that each code allows, and what the leaves answer."""

    rows: np.ndarray  # by code: its row in `allowed`
    allowed: np.ndarray  # uint64, (rows, words * trees): bit b of word w is a tree's leaf 64 w + b
    answers: np.ndarray  # by tree and leaf, flat: the share of good risks
    first: np.ndarray  # by tree: where its leaves begin in `answers`
    words: int
    #: By code: its row as one whole number, a tree's bits together, in the order of `answers`.
    #: For one application Python's long arithmetic takes half the time of numpy's many small steps.
    masks: list[int]
    ones: int  # in the same order, each tree's first leaf

    def one(self, codes: list[int]) -> float:
        """The probability for one application."""
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
        """The probabilities for applications of shape (n, fields)."""
        if (walk := compiled(len(codes))) is None:
            return self.interpreted(codes)
        total = np.empty(len(codes))
        walk.add_answers(self.rows[codes], self.allowed, self.answers, self.first, total)
        total /= len(self.first)
        if (total[:CHUNK] == self.interpreted(codes[:CHUNK])).all():
            return total
        _log.warning("THE COMPILED WALK IS REFUSED, numpy answers: they differ.")
        return self.interpreted(codes)

    def interpreted(self, codes: np.ndarray) -> np.ndarray:
        """The same by numpy alone."""
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
        """The leftmost leaf left in each tree, (n, words * trees) -> (n, trees)."""
        # A word's trailing zeros; 64 if it is empty, which sends us on to the next word.
        zeros = np.bitwise_count(~bits & (bits - np.uint64(1)))
        zeros = zeros.reshape(len(bits), self.words, -1).astype(np.uint16)
        leaves = zeros[:, 0]
        for word in range(1, self.words):
            leaves += np.where(leaves == 64 * word, zeros[:, word], 0)
        return np.asarray(leaves)


@dataclass(frozen=True)
class LookupTables:
    """The mean of one or more flattened classifiers' probabilities of a good risk."""

    members: tuple[Linear | Forest, ...]

    def one(self, codes: list[int]) -> float:
        """The probability for one application."""
        total = self.members[0].one(codes)
        for member in self.members[1:]:
            total += member.one(codes)
        return total / len(self.members)

    def many(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities for applications of shape (n, fields)."""
        total = self.members[0].many(codes)
        for member in self.members[1:]:
            total = total + member.many(codes)
        return total / len(self.members)


def compiled(applications: int) -> ModuleType | None:
    """The module of that name, where it is worth its import and the extra `scale` is installed."""
    name = "creditrisk.scoring.compiled"
    if name in sys.modules or applications >= WORTH_COMPILED:
        with suppress(ImportError, RuntimeError):  # the latter if it can be cached nowhere
            return import_module(name)
    return None


def flatten(classifier: BaseEstimator, domain: Domain) -> LookupTables:
    """Tables that answer like a fitted classifier on the encoded matrix.

    Raises
    ------
    NotTabulated
        If the classifier is not made of forests and logistic regressions, or if what these see
        of one field depends on another.
    """
    if sum(map(len, domain.values)) > MOST_VALUES:
        raise NotTabulated(f"the contract allows more than {MOST_VALUES} values")
    if type(classifier) is not VotingClassifier:
        return LookupTables((_member(classifier, domain),))
    if classifier.voting != "soft" or classifier.weights is not None:
        raise NotTabulated("the vote is not the plain mean of probabilities")
    return LookupTables(tuple(_member(member, domain) for member in classifier.estimators_))


def _member(classifier: BaseEstimator, domain: Domain) -> Linear | Forest:
    steps = []
    if type(classifier) is Pipeline:
        steps = [step for _, step in classifier.steps[:-1]]
        classifier = classifier.steps[-1][1]
    if type(classifier) not in (LogisticRegression, RandomForestClassifier):
        raise NotTabulated(f"a {type(classifier).__name__} is not made of tables")
    if list(classifier.classes_) != [0, 1]:
        raise NotTabulated("the classes are not 0 and 1")
    view = _view(steps, domain)
    linear = type(classifier) is LogisticRegression
    return _linear(classifier, view) if linear else _forest(classifier, view)


@dataclass(frozen=True)
class View:
    """What a classifier sees of applications, once the steps before it are through."""

    still: np.ndarray  # the columns that no field moves, by number; those moved are 0
    fixed: np.ndarray  # the numbers of the columns that no field moves
    moved: list[tuple[np.ndarray, np.ndarray]]  # by field: the columns it moves, (values, columns)


def _view(steps: list[BaseEstimator], domain: Domain) -> View:
    sweeps = [domain.sweep(number) for number in range(len(domain.values))]
    matrix = domain.matrix(np.vstack(sweeps))
    for step in steps:
        matrix = step.transform(matrix)
    ends = list(accumulate(map(len, sweeps)))
    moved, taken = [], np.array([], int)
    for field, part in zip(domain.contract.fields, np.split(np.asarray(matrix, float), ends[:-1])):
        columns = np.flatnonzero((part != part[0]).any(axis=0))
        if np.intersect1d(columns, taken).size:
            raise NotTabulated(f"{field.name} acts together with another field")
        taken = np.union1d(taken, columns)
        moved.append((columns, part[:, columns]))
    fixed = np.setdiff1d(np.arange(part.shape[1]), taken)
    return View(np.where(np.isin(np.arange(part.shape[1]), fixed), part[0], 0.0), fixed, moved)


def _linear(regression: LogisticRegression, view: View) -> Linear:
    weights = regression.coef_[0]
    shares = np.concatenate([values @ weights[columns] for columns, values in view.moved])
    intercept = float(regression.intercept_[0] + view.still @ weights)
    return Linear(shares, shares.tolist(), intercept)


def _forest(forest: RandomForestClassifier, view: View) -> Forest:
    trees = [tree.tree_ for tree in forest.estimators_]
    words = -(-max(tree.n_leaves for tree in trees) // 64)
    leaves = [_leaf_ranges(tree) for tree in trees]
    answers = np.zeros((len(trees), 64 * words))
    for number, (tree, (start, _)) in enumerate(zip(trees, leaves)):
        ends = tree.children_left < 0
        answers[number, start[ends]] = tree.value[ends, 0, 1]
    questions = _questions(trees, leaves, words)
    if np.intersect1d(list(questions), view.fixed).size:
        raise NotTabulated("the forest asks for a column that no field moves")
    parts: list[np.ndarray] = []
    row_parts: list[np.ndarray] = []
    size = 0
    for columns, values in view.moved:
        row, bits = _allowed(columns, values, questions, words * len(trees))
        row_parts.append(size + row)
        parts.append(bits)
        size += len(bits)
    rows, allowed = np.concatenate(row_parts), np.vstack(parts)
    first = 64 * words * np.arange(len(trees))
    as_int = [_whole_number(row, words) for row in allowed]
    masks, ones = [as_int[row] for row in rows], sum(1 << int(start) for start in first)
    return Forest(rows, allowed, answers.ravel(), first, words, masks, ones)


def _whole_number(row: np.ndarray, words: int) -> int:
    """A row of leaf bits as one number, in which the words of a tree stand together."""
    return int.from_bytes(row.reshape(words, -1).T.astype("<u8").tobytes(), "little")


def _leaf_ranges(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """The leaves below each node of a tree, numbered from left to right: first and number."""
    left, right = tree.children_left, tree.children_right
    count, start = np.ones(tree.node_count, int), np.zeros(tree.node_count, int)
    inner = np.flatnonzero(left >= 0)
    for node in inner[::-1]:  # children are stored after their parent
        count[node] = count[left[node]] + count[right[node]]
    for node in inner:
        start[left[node]] = start[node]
        start[right[node]] = start[node] + count[left[node]]
    return start, count


def _questions(
    trees: list[Any], leaves: list[tuple[np.ndarray, np.ndarray]], words: int
) -> dict[int, Question]:
    """What the trees ask of each column: thresholds, the word of leaves concerned, its bits.

    A value above a node's threshold goes right: the leaves below the left child are out, and
    the bits are those of the leaves that stay.
    """
    parts = []
    for number, (tree, (start, count)) in enumerate(zip(trees, leaves)):
        inner = np.flatnonzero(tree.children_left >= 0)
        begin = start[tree.children_left[inner]]
        end = begin + count[tree.children_left[inner]]
        for word in range(words):
            bits = ~(_ones(end - 64 * word) ^ _ones(begin - 64 * word))
            concerned = np.full(len(inner), word * len(trees) + number)
            parts.append((tree.feature[inner], tree.threshold[inner], concerned, bits))
    column, *asked = (np.concatenate(part) for part in zip(*parts))
    threshold, concerned, bits = asked
    return {
        int(c): (threshold[column == c], concerned[column == c], bits[column == c])
        for c in np.unique(column)
    }


def _ones(count: np.ndarray) -> np.ndarray:
    """Words with so many of their low bits set, none for a negative number, at most all 64."""
    shift = np.uint64(64) - np.clip(count, 1, 64).astype(np.uint64)
    return np.where(count > 0, ~np.uint64(0) >> shift, np.uint64(0))


def _allowed(
    columns: np.ndarray, values: np.ndarray, questions: dict[int, Question], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each value of a field the row of leaves it allows, and the rows.

    Values that no threshold tells apart share a row.
    """
    asked = [
        (questions[int(column)], value)
        for column, value in zip(columns, values.T)
        if int(column) in questions
    ]
    if not asked:
        return np.zeros(len(values), int), np.full((1, size), ~np.uint64(0))
    # scikit-learn compares the value as float32 with the threshold as float64.
    above = [
        np.searchsorted(np.unique(question[0]), value.astype(np.float32).astype(float))
        for question, value in asked
    ]
    patterns, row = np.unique(np.column_stack(above), axis=0, return_inverse=True)
    if len(patterns) * size * 8 > MOST_BYTES:
        raise NotTabulated(f"the forest's tables would take more than {MOST_BYTES >> 20} MB")
    rows = np.full((len(patterns), size), ~np.uint64(0))
    for (question, _), thresholds_passed in zip(asked, patterns.T):
        rows &= _bits_left(*question, size)[thresholds_passed]
    return row.ravel(), rows


def _bits_left(
    threshold: np.ndarray, concerned: np.ndarray, bits: np.ndarray, size: int
) -> np.ndarray:
    """The leaves left above none, one, two ... of a column's thresholds in rising order."""
    steps, step = np.unique(threshold, return_inverse=True)
    left = np.full((len(steps) + 1, size), ~np.uint64(0))
    np.bitwise_and.at(left, (step + 1, concerned), bits)
    return np.bitwise_and.accumulate(left, axis=0)
