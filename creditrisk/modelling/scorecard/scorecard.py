"""The WoE scorecard as bins and as a table of points."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.pipeline import Pipeline

from creditrisk.data.applications.domain import Domain, domain
from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field, Value
from creditrisk.data.missing_values import MISSING
from creditrisk.modelling.columns import steps_of


@dataclass(frozen=True)
class Scale:
    """How log-odds of a good risk become points: so many at these odds, so many more double them.

    Notes
    -----
    points = offset + factor · ln(odds), with factor = double / ln 2 and offset = score - factor ·
    ln(odds at that score). The defaults and the way the offset and the regression's intercept are
    shared out, to each field alike, are those of Siddiqi (2006), Credit Risk Scorecards, chapter 6.
    """

    score: float = 600  # points at the odds below
    odds: float = 50  # good risks for one bad
    double: float = 20  # points that double the odds

    @property
    def factor(self) -> float:
        """Points for each unit of log-odds."""
        return self.double / math.log(2)

    @property
    def offset(self) -> float:
        """Points at odds of 1:1."""
        return self.score - self.factor * math.log(self.odds)

    def points_of(self, probability: float) -> float:
        """The points at which the probability of good is the one given, between 0 and 1."""
        return self.offset + self.factor * float(logit(probability))


#: The scale of cards on which nobody has decided.
USUAL = Scale()


@dataclass(frozen=True)
class Bin:
    """Values of one field that score alike."""

    field: Field
    #: Of a quantity the range, without its lower end; None for a bin that is no range.
    over: float | None
    up_to: float | None
    state: Value  # a level or a special code, None for missing; of a range nothing
    code: float  # the bin's number in the model
    woe: float  # ln(share of all good risks / share of all bad ones), small bins shrunk to 0
    weight: float  # of the field in the regression

    @property
    def is_range(self) -> bool:
        """Whether it holds a range of a quantity."""
        return self.up_to is not None

    @property
    def lowest(self) -> int | float | None:
        """The lowest value of a range of whole numbers, or of one that begins at the minimum."""
        if self.over is None:
            return self.field.minimum
        return int(self.over) + 1 if self.field.whole else None

    @property
    def highest(self) -> int | float | None:
        """The highest value of a range; None if it has no end."""
        if self.up_to is None or math.isinf(self.up_to):
            return self.field.maximum
        return int(self.up_to) if self.field.whole else self.up_to

    @property
    def label(self) -> str:
        """The values as text, as files have it."""
        if self.is_range:
            return self._range(self.field.shown)
        if self.state is None:
            return self.field.missing_label or MISSING
        return self.field.worded(self.state) if self.field.levels is None else str(self.state)

    @property
    def to_read(self) -> str:
        """The values as a page has them: numbers with separators, codes with their words."""
        if self.is_range:
            return self._range(self.field.read)
        return self.label if self.state is None else self.field.worded(self.state)

    def _range(self, written: Callable[[Value], str]) -> str:
        low, high = self.lowest, self.highest
        if self.over is not None and high == np.nextafter(self.over, np.inf):
            low = high  # one frequent fraction makes a bin of its own
        if low is not None and low == high:
            return f"{written(low)} {self.field.unit}".rstrip()
        begin = "" if low is None else written(low)
        if low is None and self.over is not None:
            begin = f"over {written(self.over)}"
        if high is None:
            text = begin if begin.startswith("over") else f"from {begin} on" if begin else "any"
        else:
            end = written(high)
            text = f"{begin} to {end}" if begin else f"up to {end}"
        return f"{text} {self.field.unit}".rstrip()


@dataclass(frozen=True)
class Scorecard:
    """A scorecard's bins, by field in the contract's order, and the log-odds they are added to."""

    bins: tuple[Bin, ...]
    base: float
    columns: dict[str, int]  # field name -> its column among the model's codes

    def points(self, bin: Bin, scale: Scale) -> float:
        """The points of a bin, with its field's equal part of the offset and the intercept."""
        common = scale.offset + scale.factor * self.base
        return float(common / len(self.columns) + scale.factor * bin.weight * bin.woe)


def scorecard_of(model: Pipeline, contract: Contract) -> Scorecard:
    """The bins of a fitted "WoE Scorecard".

    Parameters
    ----------
    model
        As :func:`creditrisk.modelling.candidates.decision_model` makes it, fitted.

    Raises
    ------
    ValueError
        If the model is of another kind.
    """
    classifier = model["decide"].estimator_
    if list(getattr(classifier, "named_steps", ())) != ["bins", "share", "evidence", "regression"]:
        raise ValueError(f"a {type(classifier).__name__} is no WoE scorecard and has no points")
    weights, average = classifier["regression"].coef_[0], logit(classifier["share"].target_mean_)
    coded = steps_of((classifier["bins"],), domain(contract))
    weighed = replace(coded, steps=tuple(step for _, step in classifier.steps[:-1]))
    courses = coded.courses()
    owned = coded.own_columns(coded.responses(courses))
    ends = coded.last_of_each_bin(courses)
    columns: dict[str, int] = {}
    bins: list[Bin] = []
    for number, (field, own) in enumerate(zip(contract.fields, owned)):
        for column in own:  # one, or none if the field was left out
            columns[field.name] = int(column)
            values = coded.representatives(number, ends[number])
            codes = coded.varied(number, values)[:, column]
            woe = weighed.varied(number, values)[:, column] - average
            weight = float(weights[column])
            bins += _bins(coded.domain, number, ends[number], codes, woe, weight)
    base = classifier["regression"].intercept_[0] + average * weights[[*columns.values()]].sum()
    return Scorecard(tuple(bins), float(base), columns)


def scorecard(
    model: Pipeline,
    contract: Contract,
    scale: Scale = USUAL,
    X: pd.DataFrame | None = None,
    y: pd.Series | None = None,
    weight: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row a bin: field, bin as text, weight of evidence and points; more points are better.

    Parameters
    ----------
    X, y
        Encoded matrix and outcomes (1 = good) to count from, usually the training set; they add
        the columns ``applicants`` and ``bad_rate``, the latter NaN for a bin without applicants.
    weight
        Shape (n,), how many applications each row stands for in ``bad_rate``; None: each counts
        once. ``applicants`` are rows.

    Returns
    -------
    DataFrame
        The points of an applicant's bins add up to the score on the scale, without rounding.

    Raises
    ------
    ValueError
        As :func:`scorecard_of`.
    """
    found = scorecard_of(model, contract)
    table = pd.DataFrame(
        [(b.field.name, b.label, b.woe, found.points(b, scale)) for b in found.bins],
        columns=["field", "bin", "woe", "points"],
    )
    if X is None:
        return table
    codes = model["decide"].estimator_["bins"].transform(X)
    inside = [codes[:, found.columns[b.field.name]] == b.code for b in found.bins]
    table.insert(2, "applicants", [int(rows.sum()) for rows in inside])
    counts = np.ones(len(X)) if weight is None else weight
    bad = np.array([counts[rows & (np.asarray(y) == 0)].sum() for rows in inside])
    all_inside = pd.Series([counts[rows].sum() for rows in inside])
    table.insert(3, "bad_rate", bad / all_inside.where(table.applicants > 0))
    return table


def bins_to_read(model: Pipeline, contract: Contract) -> list[str]:
    """The bins of :func:`scorecard`'s table as a page writes them, in their order."""
    return [bin.to_read for bin in scorecard_of(model, contract).bins]


def reversed_fields(table: pd.DataFrame) -> list[str]:
    """The fields whose points fall where their weight of evidence rises, in the table's order.

    Parameters
    ----------
    table
        From :func:`scorecard`.
    """
    together = {
        name: float(((bins.woe - bins.woe.mean()) * (bins.points - bins.points.mean())).sum())
        for name, bins in table.groupby("field", sort=False)
    }
    return [str(name) for name, product in together.items() if product < -1e-9]


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a scorecard's table as CSV, in full precision."""
    table.to_csv(path, index=False)


def _bins(
    allowed: Domain,
    number: int,
    ends: np.ndarray,
    codes: np.ndarray,
    woe: np.ndarray,
    weight: float,
) -> list[Bin]:
    """The bins of one field: its states, then the ranges of a quantity."""
    field, states = allowed.contract.fields[number], allowed.states(number)
    stated = [allowed.value(number, code) for code in states]
    ranges = []
    if field.levels is None:
        cuts = [None, *ends.tolist(), math.inf]
        ranges = [*pairwise(cuts)]
    places = [*((None, None, value) for value in stated), *((*each, None) for each in ranges)]
    return [
        Bin(field, over, up_to, state, float(code), float(evidence), weight)
        for (over, up_to, state), code, evidence in zip(places, codes, woe, strict=True)
    ]
