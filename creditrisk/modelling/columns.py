"""What the fields of an application do to the columns that a classifier sees.

The steps before the classifier are asked, not imitated: each field is varied while all others stay,
and the columns that move are its own. Of a quantity only a few values are tried. Where between them
anything changes its course follows from the thresholds of trees, the knots of splines and the edges
of bins.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    QuantileTransformer,
    SplineTransformer,
)

from creditrisk.data.applications.domain import Domain
from creditrisk.data.encoding import encoded_columns
from creditrisk.data.fields import LARGEST, Field

#: Halvings that tell two neighbouring floats apart wherever they lie, and then some.
HALVINGS = 200


class NotTabulated(Exception):
    """Why a classifier's answers do not follow from tables, in one sentence."""


@dataclass(frozen=True)
class Course:
    """Where a quantity changes its effect: at knots of splines, or at edges of bins."""

    knots: tuple[float, ...] = ()  # in the logarithm, if logarithmic
    logarithmic: bool = False
    edges: tuple[float, ...] = ()  # about where one bin ends and the next begins

    def inside(self, field: Field) -> list[float]:
        """Values of the quantity in each of the parts."""
        knots = np.exp(self.knots) if self.logarithmic else np.array(self.knots)
        return _between(self.edges or tuple(knots.tolist()), field)


@dataclass(frozen=True)
class Steps:
    """The fitted steps before a classifier."""

    steps: tuple[BaseEstimator, ...]
    domain: Domain
    base: tuple[float, ...]  # an application, as codes: what stays while one field varies

    def columns(self, codes: np.ndarray) -> np.ndarray:
        """The columns that the classifier sees, (n, fields) -> (n, columns)."""
        matrix = self.domain.matrix(codes)
        for step in self.steps:
            matrix = step.transform(matrix)
        return np.asarray(matrix, float)

    def varied(self, number: int | np.ndarray, values: np.ndarray) -> np.ndarray:
        """The columns if one field has each of some values (codes), and all others stay."""
        codes = np.tile(self.base, (len(values), 1))
        codes[np.arange(len(values)), number] = values
        return self.columns(codes)

    def representatives(self, number: int, ends: np.ndarray) -> np.ndarray:
        """A code for each state of a field, then one for each piece between a quantity's ends.

        Parameters
        ----------
        ends
            The highest value of each piece but the last, in ascending order; that is its code.
        """
        states, field = self.domain.states(number), self.domain.contract.fields[number]
        if field.levels is not None:
            return np.array(states)
        beyond = max(float(ends[-1]) if len(ends) else -LARGEST, probes(field)[-1])
        beyond = float(np.nextafter(np.float32(beyond), np.float32(np.inf))) + 1
        return np.concatenate([states, self.off_states(number, np.append(ends, beyond))])

    def responses(self, courses: list[Course]) -> list[np.ndarray]:
        """By field the columns in each of its states, then at values that show what it moves.

        The steps are asked once for all fields: a question takes them longer than its answer.
        """
        tried = []
        for number, field in enumerate(self.domain.contract.fields):
            values = self.domain.states(number)
            if field.levels is None:
                values = [*values, *probes(field), *courses[number].inside(field)]
            tried.append(np.array(values, float))
        sizes = [len(values) for values in tried]
        found = self.varied(np.repeat(np.arange(len(tried)), sizes), np.concatenate(tried))
        return np.split(found, np.cumsum(sizes)[:-1])

    def own_columns(self, responses: list[np.ndarray]) -> list[np.ndarray]:
        """By field the numbers of the columns that depend on it.

        Parameters
        ----------
        responses
            From :meth:`responses`.

        Raises
        ------
        NotTabulated
            If a column depends on two fields.
        """
        own: list[np.ndarray] = []
        taken = np.array([], int)
        for field, found in zip(self.domain.contract.fields, responses):
            columns = np.flatnonzero((found != found[0]).any(axis=0))
            if np.intersect1d(columns, taken).size:
                raise NotTabulated(f"{field.name} acts together with another field")
            taken = np.union1d(taken, columns)
            own.append(columns)
        return own

    def courses(self) -> list[Course]:
        """By field where the effect of a quantity changes its course."""
        found = []
        for field in self.domain.contract.fields:
            name = encoded_columns(self.domain.contract, field)[0]
            of_steps = (_course(step, name) for step in self.steps if field.levels is None)
            found.append(next((each for each in of_steps if each is not None), Course()))
        return found

    def off_states(self, number: int, values: np.ndarray) -> np.ndarray:
        """Values of a quantity, a special code moved down to the next that is none.

        Codes may follow one another, such as 97, 98 and 99.
        """
        whole, states = self.domain.contract.fields[number].whole, self.domain.states(number)
        while (special := np.isin(values, states)).any():
            below = np.nextafter(values, -np.inf)
            below = np.minimum(values - 1, below) if whole else below  # 1e17 - 1 is 1e17
            values = np.where(special, below, values)
        return values

    def last_of_each_bin(self, courses: list[Course]) -> list[np.ndarray]:
        """By field the highest value of each bin but the last, to the last bit of a float.

        Between two edges nothing changes; an edge may be a bin of its own, if the value is so
        frequent that a whole bin begins and ends there. So of two such values that follow one
        another and at which the columns differ, halving finds the largest that is still like the
        lower one.
        """
        brackets = []  # field, a value below an edge, one above
        for number, (field, course) in enumerate(zip(self.domain.contract.fields, courses)):
            for low, high in pairwise(_at_and_between(course.edges, field)):
                brackets.append((number, low, high))
        if not brackets:
            return [np.array([]) for _ in courses]
        numbers = np.array([each[0] for each in brackets])
        low, high = np.array([each[1:] for each in brackets], float).T
        whole = np.array([field.whole for field in self.domain.contract.fields])[numbers]
        below, above = self.varied(numbers, low), self.varied(numbers, high)
        moved = (below != above).any(axis=1)
        for _ in range(HALVINGS):
            middle = low + (high - low) / 2
            middle[whole] = np.floor(middle[whole])
            for number in np.unique(numbers):
                middle[numbers == number] = self.off_states(number, middle[numbers == number])
            open_ = moved & (middle > low) & (middle < high)
            if not open_.any():
                break
            like = (self.varied(numbers, middle) == below).all(axis=1)
            low = np.where(open_ & like, middle, low)
            high = np.where(open_ & ~like, middle, high)
        return [np.unique(low[moved & (numbers == n)]) for n in range(len(courses))]


def steps_of(steps: tuple[BaseEstimator, ...], domain: Domain) -> Steps:
    """Fitted steps, and an application from which one field after the other is varied."""
    base = tuple(
        0.0 if field.levels is not None else probes(field)[0] for field in domain.contract.fields
    )
    return Steps(steps, domain, base)


def probes(field: Field) -> list[float]:
    """A few values that a quantity may take, in ascending order."""
    low, high = field.limits
    low = max(low, min(-1e6, high - 1e6)) if field.minimum is None else low
    high = min(high, max(1e6, low + 1e6)) if field.maximum is None else high
    share = np.array([0, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.5, 0.7, 1])
    values = low + share * (high - low)
    tried = np.unique(np.floor(values) if field.whole else values)
    return [value for value in tried.tolist() if value not in field.special_values]


def _between(edges: tuple[float, ...], field: Field) -> list[float]:
    """One value between every two edges, and one beyond each end."""
    if not edges:
        return []
    middles = [low + (high - low) / 2 for low, high in pairwise(edges)]
    low = max(field.limits[0], edges[0] - 1 - abs(edges[0]))
    high = min(field.limits[1], edges[-1] + 1 + abs(edges[-1]))
    values = np.array([low, *middles, high])
    values = values[~np.isin(values, field.special_values)]
    found: list[float] = np.unique(np.floor(values) if field.whole else values).tolist()
    return found


def _at_and_between(edges: tuple[float, ...], field: Field) -> list[float]:
    """The edges themselves, as far as the quantity can have such a value, and what lies between."""
    low, high = field.limits
    at = [edge for edge in edges if low <= edge <= high and edge not in field.special_values]
    if field.whole:
        at = [edge for edge in at if edge == np.floor(edge)]
    return sorted({*_between(edges, field), *at})


def _course(step: BaseEstimator, name: str) -> Course | None:
    """The course of one column in a step; None if the step has nothing to do with splines, bins."""
    if type(step) is not ColumnTransformer:
        return None
    for _, part, columns in step.transformers_:
        if not isinstance(part, str) and name in list(columns):
            parts = [each for _, each in part.steps] if type(part) is Pipeline else [part]
            inner = [_course(each, name) for each in parts]
            found = next((each for each in inner if each is not None), None)
            return found or _course_of(parts, list(columns).index(name))
    return None


def _course_of(parts: list[BaseEstimator], column: int) -> Course | None:
    by_type = {type(part): part for part in parts}
    logarithmic = any(type(p) is FunctionTransformer and p.func is np.log for p in parts)
    if (spline := by_type.get(SplineTransformer)) is not None:
        if spline.extrapolation != "constant" or spline.degree > 3:
            raise NotTabulated("a spline goes on beyond its knots, or is of a higher degree")
        knots = spline.bsplines_[column].t[spline.degree : -spline.degree or None]
        return Course(tuple(np.unique(knots).tolist()), logarithmic)
    if (bins := by_type.get(KBinsDiscretizer)) is not None:
        edges = bins.bin_edges_[column]
        if (ranks := by_type.get(QuantileTransformer)) is not None:
            edges = np.interp(edges, ranks.references_, ranks.quantiles_[:, column])
        return Course(edges=tuple(np.unique(edges).tolist()))
    return None
