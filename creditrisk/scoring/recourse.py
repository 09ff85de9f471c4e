"""Recourse: the smallest changes by which an applicant who is declined would be approved.

What may change follows from the contract: no immutable and no protected column, an
``expectedDirection`` only towards the side that is expected to be safer, and neither to nor from a
missing value, a special code or the level for texts that are not listed, which say what is known
of an applicant and not how the applicant is. A quantity stays within the values of training.

The smallest change is, first, that of the fewest columns, and among those the one of the least
effort: of a quantity the share of its range in training that it moves by, of an ordered level the
share of the steps there are, of any other level 1; efforts of columns add up. A quantity moves on
a grid of round steps, some forty over its range. On that grid the search is complete: columns are
taken in order of their number, a set of them is left out only if no mixture of their values can
reach the cut-off, and mixtures are scored by the model in order of their effort. Between the grid's
values a smaller change may do, as in a narrow piece of a forest.

This is about the model and no promise of a loan: the model ranks by what went together with
paying back, and not by what makes somebody pay back.

References: Ustun, Spangher and Liu (2019), "Actionable Recourse in Linear Classification";
Karimi, Barthe, Schölkopf and Valera (2022), "A Survey of Algorithmic Recourse".
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from creditrisk.data.applications.domain import Domain
from creditrisk.data.fields import Field, Value
from creditrisk.scoring.lookup_tables import Forest, Linear, LookupTables
from creditrisk.scoring.reasons import Many

#: Columns that are changed at most, and answers that are given at most.
MOST_COLUMNS, MOST_ANSWERS = 3, 3

#: A quantity's grid has about so many steps over its range in training.
STEPS = 40

#: Mixtures that are scored at once.
ROWS = 4096

#: A bound that is missed by less than this may be a rounding error.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """One column of a recourse."""

    field: str
    value: Value  # the applicant's
    to: Value
    words: str


@dataclass(frozen=True, slots=True)
class Recourse:
    """Changes that together would turn the decision."""

    changes: tuple[Change, ...]
    effort: float
    probability: float  # of a good risk, once they are made: scored by the model

    @property
    def words(self) -> str:
        """The changes as one sentence."""
        return "approved with " + " and ".join(change.words for change in self.changes)


@dataclass(frozen=True)
class _Options:
    """The values that one column may be changed to, by effort, the least first."""

    number: int
    codes: np.ndarray  # (n,)
    efforts: np.ndarray  # (n,)


def find_recourse(
    codes: np.ndarray,
    cutoff: float,
    domain: Domain,
    many: Many,
    tables: LookupTables | None,
    ranges: dict[str, tuple[float, float]],
    fixed: np.ndarray | None = None,
) -> tuple[Recourse, ...]:
    """The smallest changes that turn the decision on one declined application.

    Parameters
    ----------
    codes
        The application, shape (fields,), as it was scored.
    cutoff
        It is approved from this probability on.
    many
        From codes (n, fields) to probabilities of a good risk (n,).
    tables
        The model's, by which sets of columns are left out that cannot do; None tries them all.
    ranges
        By quantity, the lowest and the highest value of training; one without stays as it is.
    fixed
        Shape (fields,): columns that stay as they are, such as those that were left blank.

    Returns
    -------
    tuple of Recourse
        Up to three, of other columns each, all of as many columns, the least effort first. Empty:
        none within three columns.
    """
    options = _all_options(codes, domain, ranges, fixed)
    for count in range(1, MOST_COLUMNS + 1):
        found = [
            best
            for chosen in combinations(options, count)
            if _within_reach(codes, chosen, tables, cutoff)
            and (best := _least(codes, chosen, many, cutoff)) is not None
        ]
        if found:
            found.sort(key=lambda each: each[0])
            return tuple(_recourse(codes, each, domain) for each in found[:MOST_ANSWERS])
    return ()


def _all_options(
    codes: np.ndarray,
    domain: Domain,
    ranges: dict[str, tuple[float, float]],
    fixed: np.ndarray | None,
) -> list[_Options]:
    found = []
    for number, field in enumerate(domain.contract.fields):
        if field.immutable or field.protected or (fixed is not None and fixed[number]):
            continue
        if field.levels is not None:
            values, efforts = _levels(float(codes[number]), field)
        elif codes[number] in domain.states(number) or field.name not in ranges:
            continue
        else:
            values, efforts = _quantities(float(codes[number]), field, ranges[field.name])
        order = np.argsort(efforts, kind="stable")
        if len(order):
            found.append(_Options(number, values[order], efforts[order]))
    return found


def _levels(code: float, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """The levels that one may be changed to, and the effort of each."""
    levels = field.levels or ()
    place = int(code)
    if place >= len(levels) or levels[place] == field.unlisted:
        return np.empty(0), np.empty(0)
    allowed = [
        other
        for other, level in enumerate(levels)
        if other != place and level != field.unlisted and _is_safer(other - place, field)
    ]
    steps = [abs(other - place) / (len(levels) - 1) if field.ordered else 1.0 for other in allowed]
    return np.array(allowed, float), np.array(steps)


def _quantities(
    code: float, field: Field, known: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The values on the grid that a quantity may be changed to, and the effort of each."""
    low, high = max(known[0], field.limits[0]), min(known[1], field.limits[1])
    if not low < high:
        return np.empty(0), np.empty(0)
    values = _grid(low, high, field.whole)
    values = values[(values != code) & ~np.isin(values, field.special_values)]
    values = values[[_is_safer(value - code, field) for value in values]]
    return values, np.abs(values - code) / (high - low)


@lru_cache
def _grid(low: float, high: float, whole: bool) -> np.ndarray:
    """Round values of equal steps, and both ends."""
    rough = (high - low) / STEPS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * min(round_ for round_ in (1, 2, 5, 10) if unit * round_ >= rough * (1 - ROUNDING))
    step = max(1.0, round(step)) if whole else step
    inner = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    # A multiple of a decimal step has a tail of binary digits that nobody would write.
    inner = np.array([float(f"{value:.12g}") for value in inner])
    values = np.unique(np.concatenate([[low], inner, [high]]))
    return np.asarray(values[(values >= low) & (values <= high)])


def _is_safer(difference: float, field: Field) -> bool:
    """Whether a change goes the way that is expected to be safer, or nothing is expected."""
    if field.direction is None:
        return True
    return difference > 0 if field.direction == "safer" else difference < 0


def _within_reach(
    codes: np.ndarray, chosen: tuple[_Options, ...], tables: LookupTables | None, cutoff: float
) -> bool:
    """Whether some mixture of a set of columns' values may reach the cut-off.

    Each member of the model is given the best value of each column on its own, and each tree of a
    forest the best leaf that some value allows: no mixture reaches more than that.
    """
    if tables is None:
        return True
    bounds = [
        _linear_bound(member, codes, chosen)
        if isinstance(member, Linear)
        else _forest_bound(member, codes, chosen)
        for member in tables.members
    ]
    return float(np.mean(bounds)) >= cutoff - ROUNDING


def _linear_bound(member: Linear, codes: np.ndarray, chosen: tuple[_Options, ...]) -> float:
    score = member.intercept
    by_number = {each.number: each for each in chosen}
    for number, code in enumerate(codes):
        tried = np.array([code])
        if number in by_number:
            tried = np.append(tried, by_number[number].codes)
        score += float(member.shares(number, tried).max())
    return 1 / (1 + math.exp(-score)) if score > -700 else 0.0


def _forest_bound(member: Forest, codes: np.ndarray, chosen: tuple[_Options, ...]) -> float:
    by_number = {each.number: each for each in chosen}
    bits = np.full(member.allowed.shape[1], ~np.uint64(0))
    for number, code in enumerate(codes):
        tried = np.array([code])
        if number in by_number:
            tried = np.append(tried, by_number[number].codes)
        rows = np.unique(member.pieces[number].many(tried))
        bits &= np.bitwise_or.reduce(member.allowed[rows], axis=0)
    trees = len(member.first)
    words = np.ascontiguousarray(bits.reshape(member.words, trees).T).astype("<u8")
    allowed = np.unpackbits(words.view(np.uint8).reshape(trees, -1), axis=1, bitorder="little")
    answers = member.answers.reshape(trees, -1)
    return float(np.where(allowed == 1, answers, 0.0).max(axis=1).mean())


def _least(
    codes: np.ndarray, chosen: tuple[_Options, ...], many: Many, cutoff: float
) -> tuple[float, list[tuple[int, float]], float] | None:
    """The mixture of least effort that reaches the cut-off: effort, changes, probability."""
    numbers = [each.number for each in chosen]
    for efforts, mixtures in _by_effort(chosen):
        rows = np.tile(codes, (len(mixtures), 1))
        rows[:, numbers] = mixtures
        found = many(rows)
        reached = np.flatnonzero(found >= cutoff)
        if len(reached):
            first = int(reached[0])
            changes = list(zip(numbers, mixtures[first].tolist()))
            return float(efforts[first]), changes, float(found[first])
    return None


def _by_effort(chosen: tuple[_Options, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All mixtures of the columns' values in order of their effort, some at once."""
    axes = np.meshgrid(*(np.arange(len(each.codes)) for each in chosen), indexing="ij")
    places = np.stack([axis.ravel() for axis in axes], axis=1)
    efforts = np.sum(
        [each.efforts[place] for each, place in zip(chosen, places.T)], axis=0, dtype=float
    )
    order, size = np.argsort(efforts, kind="stable"), 64
    start = 0
    while start < len(order):  # few at first: the cheapest often do
        part = order[start : start + size]
        codes = [each.codes[place] for each, place in zip(chosen, places[part].T)]
        yield efforts[part], np.column_stack(codes)
        start, size = start + size, min(ROWS, 4 * size)


def _recourse(
    codes: np.ndarray, found: tuple[float, list[tuple[int, float]], float], domain: Domain
) -> Recourse:
    effort, changes, probability = found
    return Recourse(
        tuple(_change(number, float(codes[number]), to, domain) for number, to in changes),
        effort,
        probability,
    )


def _change(number: int, code: float, to: float, domain: Domain) -> Change:
    field = domain.contract.fields[number]
    value, other = (domain.value(number, each) for each in (code, to))
    stated, better = field.stated(value), field.stated(other)
    unit = f" {field.unit}" if field.unit else ""
    words = f"{field.title} {field.worded(better)}{unit} instead of {field.worded(stated)}"
    return Change(field.name, stated, better, words)
