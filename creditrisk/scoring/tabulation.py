"""Lookup tables of a fitted classifier.

How the columns of the classifier depend on each field is asked of scikit-learn once, at load (see
:mod:`creditrisk.modelling.columns`); all answers follow from that, see
:mod:`creditrisk.scoring.lookup_tables`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.domain import Domain
from creditrisk.data.fields import Field
from creditrisk.modelling.columns import Course, NotTabulated, Steps, probes, steps_of
from creditrisk.scoring.lookup_tables import Forest, Linear, LookupTables
from creditrisk.scoring.pieces import Pieces, float32_cuts

#: A forest whose leaf bits take more bytes gets no tables.
MOST_BYTES = 256 * 2**20

#: The splits of one column: thresholds, the word of leaves each is about, and the bits that stay
#: of a value above the threshold and of any other.
Splits = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def tabulate(classifier: BaseEstimator, domain: Domain) -> LookupTables:
    """Lookup tables that answer like a fitted classifier on the encoded matrix.

    Raises
    ------
    NotTabulated
        If the classifier is not made of forests and logistic regressions, if one of their columns
        depends on more than one field, or if the tables would be too large.
    """
    if type(classifier) is not VotingClassifier:
        return LookupTables((_member(classifier, domain),))
    if classifier.voting != "soft" or classifier.weights is not None:
        raise NotTabulated("the vote is not the plain mean of probabilities")
    return LookupTables(tuple(_member(member, domain) for member in classifier.estimators_))


def _member(classifier: BaseEstimator, domain: Domain) -> Linear | Forest:
    before: tuple[BaseEstimator, ...] = ()
    if type(classifier) is Pipeline:
        before = tuple(step for _, step in classifier.steps[:-1])
        classifier = classifier.steps[-1][1]
    if type(classifier) not in (LogisticRegression, RandomForestClassifier):
        raise NotTabulated(f"a {type(classifier).__name__} is not made of tables")
    if list(classifier.classes_) != [0, 1]:
        raise NotTabulated("the classes are not 0 and 1")
    steps = steps_of(before, domain)
    linear = type(classifier) is LogisticRegression
    return _linear(classifier, steps) if linear else _forest(classifier, steps)


def _linear(regression: LogisticRegression, steps: Steps) -> Linear:
    fields, weights = steps.domain.contract.fields, regression.coef_[0]
    courses = steps.courses()
    responses = steps.responses(courses)
    owned = steps.own_columns(responses)
    bins = steps.last_of_each_bin(courses)
    pieces: list[Pieces] = []
    coefficients: list[np.ndarray] = []
    origins: list[np.ndarray] = []
    start = 0
    for number, (field, own, course) in enumerate(zip(fields, owned, courses)):
        states = steps.domain.states(number)
        constant = np.zeros((len(states), 4))
        constant[:, 0] = responses[number][: len(states), own] @ weights[own]
        cuts, curves, begins = None, np.empty((0, 4)), np.empty(0)
        if field.levels is None:
            last = bins[number]
            cuts, curves, begins = _curves(steps, number, course, last, own, weights[own])
        pieces.append(Pieces(start, len(states) + len(curves), tuple(states), cuts))
        coefficients += [constant, curves]
        origins += [np.zeros(len(states)), begins]
        start += pieces[-1].count
    everything = np.concatenate(owned)
    alone = np.setdiff1d(np.arange(len(weights)), everything)  # columns that depend on no field
    constants = steps.columns(np.array([steps.base]))[0, alone]
    intercept = float(regression.intercept_[0] + constants @ weights[alone])
    table = np.vstack(coefficients)
    curved = [bool(table[each.start : each.start + each.count, 1:].any()) for each in pieces]
    logarithmic = tuple(course.logarithmic for course in courses)
    return Linear(
        tuple(pieces), logarithmic, tuple(curved), table, np.concatenate(origins), intercept
    )


def _curves(
    steps: Steps,
    number: int,
    course: Course,
    bins: np.ndarray,
    own: np.ndarray,
    weights: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A quantity's cuts, the coefficients of its share in each piece (pieces, 4), and origins."""

    off = partial(steps.off_states, number)

    def columns(values: np.ndarray) -> np.ndarray:
        return steps.varied(number, off(values))

    def shares(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = columns(values)[:, own] @ weights
        return found

    field = steps.domain.contract.fields[number]
    if course.edges:
        inside = steps.representatives(number, bins)[len(steps.domain.states(number)) :]
        table = np.zeros((len(inside), 4))
        table[:, 0] = shares(inside)
        return bins, table, np.zeros(len(inside))
    if not course.knots:
        return _straight_line(shares, off, field)
    knots = np.array(course.knots)
    values = np.exp(knots) if course.logarithmic else knots
    table, origins = np.zeros((len(knots) + 1, 4)), np.append(knots[0], knots)
    nodes, widths = np.array([0.05, 0.35, 0.65, 0.95]), np.diff(knots)
    at = (knots[:-1, None] + widths[:, None] * nodes).ravel()
    asked = [values[[0, -1]], np.exp(at) if course.logarithmic else at]
    # Multiplied piece by piece: the last bit of a larger product is another in another process.
    ends, *found = np.split(columns(np.concatenate(asked)), range(2, 2 + len(at), len(nodes)))
    table[[0, -1], 0] = ends[:, own] @ weights
    for piece, (width, inside) in enumerate(zip(widths, found), 1):
        cubic = np.linalg.solve(np.vander(nodes, 4, increasing=True), inside[:, own] @ weights)
        table[piece] = cubic / width ** np.arange(4)
    return values, table, origins


def _straight_line(
    shares: Callable[[np.ndarray], np.ndarray],
    off: Callable[[np.ndarray], np.ndarray],
    field: Field,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The share of a quantity that is scaled at most; that it is, is seen from its values.

    The slope is that between the ends of the range, which rounding of the difference spoils least.
    The origin is where the line crosses zero, or the rounding of a large share would be that of
    every small one; for the same reason it is found once more from where it was found first.
    """
    ends = off(np.array(field.limits, float))
    first, last = shares(ends)
    slope = (last - first) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0
    origin = ends[:1]
    for _ in range(2 if slope else 0):
        zero = np.clip(origin - shares(origin) / slope, *ends)
        origin = off(np.floor(zero) if field.whole else zero)
    return np.empty(0), np.array([[shares(origin)[0], slope, 0, 0]]), origin


def _forest(forest: RandomForestClassifier, steps: Steps) -> Forest:
    trees = [tree.tree_ for tree in forest.estimators_]
    words = -(-max(tree.n_leaves for tree in trees) // 64)
    leaves = [_leaf_ranges(tree) for tree in trees]
    answers = np.zeros((len(trees), 64 * words))
    for number, (tree, (start, _)) in enumerate(zip(trees, leaves)):
        ends = tree.children_left < 0
        answers[number, start[ends]] = tree.value[ends, 0, 1]
    _check_size(trees, words)
    splits, own_leaves = _splits(trees, leaves, words), _own_leaves(trees, words)
    owned = steps.own_columns(steps.responses(steps.courses()))
    if not set(splits) <= set(np.concatenate(owned).tolist()):
        raise NotTabulated("the forest uses a column that depends on no field")
    pieces: list[Pieces] = []
    parts: list[np.ndarray] = []
    for number, own in enumerate(owned):
        begin = sum(each.count for each in pieces)
        rows, bits = _allowed(steps, number, own, splits, begin, own_leaves)
        pieces.append(rows)
        parts.append(bits)
    allowed = np.vstack(parts)
    first = 64 * words * np.arange(len(trees))
    masks = [_as_integer(row, words) for row in allowed]
    return Forest(tuple(pieces), allowed, answers.ravel(), first, words, masks)


def _check_size(trees: list[Any], words: int) -> None:
    """Refuse tables that would be too large, before anything is made of them."""
    column = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    used = np.unique(np.column_stack([column, threshold])[column >= 0], axis=0)
    rows = len(used) + len(np.unique(used[:, 0]))
    if rows * words * len(trees) * 8 > MOST_BYTES:
        raise NotTabulated(f"the forest's tables would take more than {MOST_BYTES >> 20} MB")


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

    A value above a node's threshold goes right: the leaves below the left child are not allowed.
    Any other value goes left, and those below the right child are not.
    """
    parts = []
    for number, (tree, (start, count)) in enumerate(zip(trees, leaves)):
        inner = np.flatnonzero(tree.children_left >= 0)
        begin, end = start[inner], start[inner] + count[inner]
        middle = start[tree.children_right[inner]]
        for word in range(words):
            low, mid, high = (_ones(leaf - 64 * word) for leaf in (begin, middle, end))
            concerned = np.full(len(inner), word * len(trees) + number)
            parts.append(
                (tree.feature[inner], tree.threshold[inner], concerned, ~(low ^ mid), ~(mid ^ high))
            )
    column, *rest = (np.concatenate(part) for part in zip(*parts))
    found = {}
    for used in np.unique(column):
        threshold, concerned, above, below = (each[column == used] for each in rest)
        found[int(used)] = threshold, concerned, above, below
    return found


def _own_leaves(trees: list[Any], words: int) -> np.ndarray:
    """The bits of the leaves that the trees have, shape (words * trees,)."""
    leaves = np.array([tree.n_leaves for tree in trees])
    return np.concatenate([_ones(leaves - 64 * word) for word in range(words)])


def _ones(count: np.ndarray) -> np.ndarray:
    """64-bit words with ``count`` of their low bits set: none if negative, all 64 at most."""
    shift = np.uint64(64) - np.clip(count, 1, 64).astype(np.uint64)
    return np.where(count > 0, ~np.uint64(0) >> shift, np.uint64(0))


def _allowed(
    steps: Steps,
    number: int,
    own: np.ndarray,
    splits: dict[int, Splits],
    start: int,
    own_leaves: np.ndarray,
) -> tuple[Pieces, np.ndarray]:
    """The rows of a field, and the leaves that each allows, (rows, words * trees)."""
    field, states = steps.domain.contract.fields[number], steps.domain.states(number)
    used = [int(column) for column in own if int(column) in splits]
    cuts = _quantity_cuts(steps, number, used, splits) if field.levels is None else None
    tried = steps.representatives(number, np.empty(0) if cuts is None else cuts)
    values = steps.varied(number, tried)
    rows = np.tile(own_leaves, (len(tried), 1))
    for column in used:
        threshold = np.unique(splits[column][0])
        # scikit-learn compares the value as float32 with the threshold as float64.
        passed = np.searchsorted(threshold, values[:, column].astype(np.float32).astype(float))
        rows &= _bits_left(*splits[column], len(own_leaves))[passed]
    return Pieces(start, len(tried), tuple(states), cuts), rows


def _quantity_cuts(
    steps: Steps, number: int, used: list[int], splits: dict[int, Splits]
) -> np.ndarray:
    """The highest value of each piece but the last into which thresholds divide a quantity."""
    field = steps.domain.contract.fields[number]
    some = np.array(probes(field))
    found = steps.varied(number, some)
    moving = [column for column in used if (found[:, column] != found[0, column]).any()]
    if any((found[:, column] != some).any() for column in moving):
        raise NotTabulated(f"the forest does not see {field.name} as it is")
    parts = [float32_cuts(np.unique(splits[column][0])) for column in moving]
    cuts = np.concatenate([np.empty(0), *parts])
    return np.unique(np.floor(cuts) if field.whole else cuts)


def _bits_left(
    threshold: np.ndarray, concerned: np.ndarray, above: np.ndarray, below: np.ndarray, size: int
) -> np.ndarray:
    """The leaves allowed to a value above none, one, two ... of a column's sorted thresholds."""
    steps, step = np.unique(threshold, return_inverse=True)
    right, left = np.full((2, len(steps) + 1, size), ~np.uint64(0))
    np.bitwise_and.at(right, (step + 1, concerned), above)
    np.bitwise_and.at(left, (step, concerned), below)
    right = np.bitwise_and.accumulate(right, axis=0)
    right &= np.bitwise_and.accumulate(left[::-1], axis=0)[::-1]
    return right
