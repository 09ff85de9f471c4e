"""Lookup tables of a fitted classifier.

The contract lists every value that a field may take. So scikit-learn is asked once, at load, what
each allowed value of each field does to the columns of the classifier; all answers follow from
that, see :mod:`creditrisk.scoring.lookup_tables`.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from creditrisk.data.domain import Domain
from creditrisk.scoring.lookup_tables import Forest, Linear, LookupTables

#: A classifier that needs more values, or more bytes of leaf bits, gets no tables.
MOST_VALUES, MOST_BYTES = 1_000_000, 256 * 2**20

#: The splits of one column: thresholds, the word of leaves each is about, the bits that stay.
Splits = tuple[np.ndarray, np.ndarray, np.ndarray]


class NotTabulated(Exception):
    """Why a classifier's answers do not follow from tables, in one sentence."""


def tabulate(classifier: BaseEstimator, domain: Domain) -> LookupTables:
    """Lookup tables that answer like a fitted classifier on the encoded matrix.

    Raises
    ------
    NotTabulated
        If the classifier is not made of forests and logistic regressions, or if one of their
        columns depends on more than one field.
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
    columns = _columns(steps, domain)
    linear = type(classifier) is LogisticRegression
    return _linear(classifier, columns) if linear else _forest(classifier, columns)


@dataclass(frozen=True)
class Columns:
    """The columns that the steps before a classifier hand to it, by the field they depend on."""

    constants: np.ndarray  # (columns,): the value of each constant column, 0 in all others
    constant_columns: np.ndarray  # the numbers of the columns that depend on no field
    by_field: list[tuple[np.ndarray, np.ndarray]]  # numbers of columns, (values, those columns)


def _columns(steps: list[BaseEstimator], domain: Domain) -> Columns:
    sweeps = [domain.sweep(number) for number in range(len(domain.values))]
    matrix = domain.matrix(np.vstack(sweeps))
    for step in steps:
        matrix = step.transform(matrix)
    ends = list(accumulate(map(len, sweeps)))
    by_field, taken = [], np.array([], int)
    for field, part in zip(domain.contract.fields, np.split(np.asarray(matrix, float), ends[:-1])):
        columns = np.flatnonzero((part != part[0]).any(axis=0))
        if np.intersect1d(columns, taken).size:
            raise NotTabulated(f"{field.name} acts together with another field")
        taken = np.union1d(taken, columns)
        by_field.append((columns, part[:, columns]))
    constants = part[0].copy()
    constants[taken] = 0.0
    return Columns(constants, np.setdiff1d(np.arange(len(constants)), taken), by_field)


def _linear(regression: LogisticRegression, columns: Columns) -> Linear:
    weights = regression.coef_[0]
    shares = np.concatenate([values @ weights[own] for own, values in columns.by_field])
    intercept = float(regression.intercept_[0] + columns.constants @ weights)
    return Linear(shares, shares.tolist(), intercept)


def _forest(forest: RandomForestClassifier, columns: Columns) -> Forest:
    trees = [tree.tree_ for tree in forest.estimators_]
    words = -(-max(tree.n_leaves for tree in trees) // 64)
    leaves = [_leaf_ranges(tree) for tree in trees]
    answers = np.zeros((len(trees), 64 * words))
    for number, (tree, (start, _)) in enumerate(zip(trees, leaves)):
        ends = tree.children_left < 0
        answers[number, start[ends]] = tree.value[ends, 0, 1]
    splits = _splits(trees, leaves, words)
    if np.intersect1d(list(splits), columns.constant_columns).size:
        raise NotTabulated("the forest uses a column that depends on no field")
    parts: list[np.ndarray] = []
    row_parts: list[np.ndarray] = []
    size = 0
    for own, values in columns.by_field:
        row, bits = _allowed(own, values, splits, words * len(trees))
        row_parts.append(size + row)
        parts.append(bits)
        size += len(bits)
    rows, allowed = np.concatenate(row_parts), np.vstack(parts)
    first = 64 * words * np.arange(len(trees))
    as_int = [_as_integer(row, words) for row in allowed]
    masks, ones = [as_int[row] for row in rows], sum(1 << int(start) for start in first)
    return Forest(rows, allowed, answers.ravel(), first, words, masks, ones)


def _as_integer(row: np.ndarray, words: int) -> int:
    """A row of leaf bits as one integer, in which the words of a tree follow each other."""
    return int.from_bytes(row.reshape(words, -1).T.astype("<u8").tobytes(), "little")


def _leaf_ranges(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """By node of a tree, the leaves below it: the first, counted from the left, and how many."""
    left, right = tree.children_left, tree.children_right
    count, start = np.ones(tree.node_count, int), np.zeros(tree.node_count, int)
    inner = np.flatnonzero(left >= 0)
    for node in inner[::-1]:  # children are stored after their parent
        count[node] = count[left[node]] + count[right[node]]
    for node in inner:
        start[left[node]] = start[node]
        start[right[node]] = start[node] + count[left[node]]
    return start, count


def _splits(
    trees: list[Any], leaves: list[tuple[np.ndarray, np.ndarray]], words: int
) -> dict[int, Splits]:
    """The trees' splits by column.

    A value above a node's threshold goes right: the leaves below the left child are not allowed,
    and the bits are those of the leaves that are.
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
    column, threshold, concerned, bits = (np.concatenate(part) for part in zip(*parts))
    return {
        int(c): (threshold[column == c], concerned[column == c], bits[column == c])
        for c in np.unique(column)
    }


def _ones(count: np.ndarray) -> np.ndarray:
    """64-bit words with ``count`` of their low bits set: none if negative, all 64 at most."""
    shift = np.uint64(64) - np.clip(count, 1, 64).astype(np.uint64)
    return np.where(count > 0, ~np.uint64(0) >> shift, np.uint64(0))


def _allowed(
    columns: np.ndarray, values: np.ndarray, splits: dict[int, Splits], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each value of a field the number of its row of allowed leaves, and the rows.

    Values between the same two thresholds share a row.
    """
    used = [
        (splits[int(column)], value)
        for column, value in zip(columns, values.T)
        if int(column) in splits
    ]
    if not used:
        return np.zeros(len(values), int), np.full((1, size), ~np.uint64(0))
    # scikit-learn compares the value as float32 with the threshold as float64.
    above = [
        np.searchsorted(np.unique(of_column[0]), value.astype(np.float32).astype(float))
        for of_column, value in used
    ]
    patterns, row = np.unique(np.column_stack(above), axis=0, return_inverse=True)
    if len(patterns) * size * 8 > MOST_BYTES:
        raise NotTabulated(f"the forest's tables would take more than {MOST_BYTES >> 20} MB")
    rows = np.full((len(patterns), size), ~np.uint64(0))
    for (of_column, _), thresholds_passed in zip(used, patterns.T):
        rows &= _bits_left(*of_column, size)[thresholds_passed]
    return row.ravel(), rows


def _bits_left(
    threshold: np.ndarray, concerned: np.ndarray, bits: np.ndarray, size: int
) -> np.ndarray:
    """The leaves allowed to a value above none, one, two ... of a column's sorted thresholds."""
    steps, step = np.unique(threshold, return_inverse=True)
    left = np.full((len(steps) + 1, size), ~np.uint64(0))
    np.bitwise_and.at(left, (step + 1, concerned), bits)
    return np.bitwise_and.accumulate(left, axis=0)
