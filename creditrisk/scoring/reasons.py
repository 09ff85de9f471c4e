"""Reasons for a score: the fields that lower it.

An application is compared with a reference application, made of the usual values of those whom
the model approves and who paid. The fields in which the two differ share the difference of their
scores by Shapley's rule: a field gets the mean of what it changes, over all orders in which the
fields could change from the reference's value to the applicant's. From a model's tables all
mixtures of the two are scored in a few milliseconds, so nothing is estimated; only where more than
a dozen fields differ are orders sampled, and the error of that is given. Of a model whose log-odds
are a sum over the fields, the shares are just the differences of its terms.

The score is the log-odds of a good risk, on which a linear model's contributions are just the
differences of its weights, and in which an effect means as much near the cut-off as far from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import comb

import numpy as np
import pandas as pd
from scipy.special import logit

from creditrisk.data.applications.domain import Domain
from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field, Value

#: The largest number of reasons for one application.
MOST = 4

#: If more fields than this differ from the reference, only a sample of mixtures is scored.
EXACT = 12

#: Orders of the fields in the sample, each taken forwards and backwards; the seed is fixed.
ORDERS, SEED = 100, 7

#: Probabilities are clipped to this distance from 0 and 1, whose log-odds are infinite.
FLOOR = 1e-6

#: Smaller effects on the log-odds are rounding errors.
LEAST = 1e-9

#: Codes of applications (n, fields) -> their probabilities (n,).
Many = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Reason:
    """One field that lowers an application's score."""

    field: str
    value: Value  # the applicant's, as one states it
    better: Value  # the reference's
    effect: float  # on the log-odds, below 0
    words: str  # the reason as a sentence


def reference(
    applications: pd.DataFrame, approved: np.ndarray, contract: Contract
) -> dict[str, Value] | None:
    """The usual application: the median of each quantity, the most frequent level of each category.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application); those the model was trained on.
    approved
        Shape (n,), whether the model approves an applicant who turned out good.

    Returns
    -------
    dict or None
        An application as plain values. A median is a value that occurs, the lower one of two. A
        missing value counts as a level where applicants can state it, and else only if nobody
        gave a value.
        None if the model approves no good applicant.
    """
    usual = applications[np.asarray(approved, bool)]
    if not len(usual):
        return None
    return {field.name: _usual(usual[field.name], field) for field in contract.fields}


def field_effects(
    codes: np.ndarray, typical: np.ndarray, many: Many
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each field of an application adds to its log-odds, compared with the reference.

    Parameters
    ----------
    codes, typical
        The application and the reference, shape (fields,), as
        :class:`creditrisk.data.applications.domain.Domain` numbers them.
    many
        From codes (n, fields) to probabilities of a good risk (n,).

    Returns
    -------
    contributions : ndarray, shape (fields,)
        They add up to the difference of the two scores; below 0 if the field lowers the score.
    gains : ndarray, shape (fields,)
        What the score would gain if that field alone had the reference's value.
    errors : ndarray, shape (fields,)
        Standard errors of the contributions: 0 where they are exact, which they are unless more
        than :data:`EXACT` fields differ.
    """
    players = np.flatnonzero(codes != typical)
    found, gains, errors = np.zeros((3, len(codes)))
    shares = _exact if len(players) <= EXACT else _sampled

    def score(mixtures: np.ndarray) -> np.ndarray:
        """The log-odds of mixtures, (n, players): True for the applicant's value."""
        rows = np.tile(typical, (len(mixtures), 1))
        rows[:, players] = np.where(mixtures, codes[players], typical[players])
        odds: np.ndarray = logit(np.clip(many(rows), FLOOR, 1 - FLOOR))
        return odds

    found[players], gains[players], errors[players] = shares(len(players), score)
    return found, gains, errors


def effects_in_one_call(
    codes: np.ndarray, typical: np.ndarray, many: Many
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """As :func:`field_effects` of each application (n, fields), in a single call of the model.

    Which mixtures are scored does not depend on their scores, so they are collected first.
    """
    asked: list[np.ndarray] = []

    def collect(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return np.full(len(rows), 0.5)

    for each in codes:
        field_effects(each, typical, collect)
    if not asked:
        return []
    ends = np.cumsum([len(rows) for rows in asked])
    answers = iter(np.split(many(np.vstack(asked)), ends[:-1]))
    return [field_effects(each, typical, lambda _: next(answers)) for each in codes]


def find_reasons(
    codes: np.ndarray,
    typical: np.ndarray,
    domain: Domain,
    effects: np.ndarray,
    blank: np.ndarray | None = None,
) -> tuple[Reason, ...]:
    """Up to four reasons why an application scores lower than the reference, strongest first.

    Only fields are named whose change to the reference's value would by itself raise the score:
    that is what the sentence claims. A protected field is never named: nobody is advised to be
    somebody else. Nor is one whose better value lies on the side that the contract expects to be
    riskier: a longer loan is no way to a better score. Of an immutable field it is said that it
    cannot be changed. Nor is a blank ever better: where missing is a state that applicants are in,
    it is called by its label, and otherwise it is not compared with.

    Parameters
    ----------
    codes, typical
        The application and the reference, shape (fields,).
    effects
        Contributions and gains, shape (2, fields) or more, as :func:`field_effects` gives them.
    blank
        Shape (fields,), which values were not given, whatever they were scored as; by default none.

    Returns
    -------
    tuple of Reason
    """
    found, gains, *_ = effects
    lowers = (found < -LEAST) & (gains > LEAST)
    lowers &= nameable(codes, typical, domain)
    chosen = [n for n in np.argsort(found, kind="stable").tolist() if lowers[n]][:MOST]
    reasons = []
    for number in chosen:
        field = domain.contract.fields[number]
        value, better = (_stated(domain, number, row[number]) for row in (codes, typical))
        if blank is not None and blank[number]:
            value = None
        usual = f"{_words(better, field)}, as is usual among approved applicants"
        change = "scores higher, but cannot be chosen" if field.immutable else "would score higher"
        words = f"{field.title} is {_words(value, field)}; {usual}, {change}"
        reasons.append(Reason(field.name, value, better, float(found[number]), words))
    return tuple(reasons)


def nameable(codes: np.ndarray, typical: np.ndarray, domain: Domain) -> np.ndarray:
    """Which fields may be named as reasons, bool (fields,); see :func:`find_reasons`."""
    fields = domain.contract.fields
    return np.array(
        [
            not field.protected
            and _stated(domain, number, typical[number]) is not None
            and not _is_riskier(float(codes[number]), float(typical[number]), domain, number)
            for number, field in enumerate(fields)
        ]
    )


def _is_riskier(code: float, usual: float, domain: Domain, number: int) -> bool:
    """Whether the usual value lies on the side that the contract expects to be riskier."""
    field = domain.contract.fields[number]
    states = domain.states(number) if field.levels is None else [domain.missing(number)]
    if field.direction is None or code == usual or code in states or usual in states:
        return False
    return (usual > code) == (field.direction == "riskier")


def _stated(domain: Domain, number: int, code: float) -> Value:
    """The value that a code stands for, as an applicant states it."""
    return domain.contract.fields[number].stated(domain.value(number, code))


def _usual(column: pd.Series, field: Field) -> Value:
    if field.levels is None:
        numbers = column[column.notna() & ~column.isin(field.special_values)]
        if not len(numbers):
            return None
        median = float(np.quantile(numbers, 0.5, method="lower"))
        return field.stated(int(median) if field.whole else median)
    counts = [int((column == level).sum()) for level in field.levels]
    if field.missing_label is not None or not any(counts):
        counts.append(0 if field.required else int(column.isna().sum()))
    return (*field.levels, None)[int(np.argmax(counts))]


def _words(value: Value, field: Field) -> str:
    if value is None:
        return "not given"
    return f"{field.worded(value)} {field.unit}".rstrip()


def _exact(count: int, score: Many) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contributions and gains from the scores of all mixtures; errors of 0."""
    cube = score(_corners(count)).reshape((2,) * count)
    weights = _weights(count)
    # Differences first: a field that changes nothing gets 0 and not the rounding of a sum.
    found = [np.diff(cube, axis=player).ravel() @ weights for player in range(count)]
    whole = cube[(1,) * count]
    gains = [
        cube[(1,) * player + (0,) + (1,) * (count - player - 1)] - whole for player in range(count)
    ]
    return np.array(found), np.array(gains), np.zeros(count)


@lru_cache
def _corners(count: int) -> np.ndarray:
    """The corners of a cube, (2 ** count, count), the last side alternating fastest."""
    return np.array(list(product((False, True), repeat=count)), bool).reshape(2**count, count)


@lru_cache
def _weights(count: int) -> np.ndarray:
    """Shapley's weight of each set of the other ``count - 1`` players, in the corners' order."""
    sizes = _corners(max(count - 1, 0)).sum(axis=1).tolist()
    return np.array([1 / (count * comb(count - 1, size)) for size in sizes if count])


def _sampled(count: int, score: Many) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`_exact`, from a sample of orders; the contributions add up exactly.

    An order and the same backwards are one draw: what a field changes first and last in the row
    balances, so the spread of their means is the smaller one that the error follows from.
    """
    orders = np.tile(np.arange(count), (ORDERS, 1))
    orders = np.random.default_rng(SEED).permuted(orders, axis=1)
    orders = np.vstack([orders, orders[:, ::-1]])
    turn = np.argsort(orders, axis=1)  # a player's position in each order
    walks = turn[:, None, :] < np.arange(count + 1)[None, :, None]
    steps = np.diff(score(walks.reshape(-1, count)).reshape(len(orders), -1), axis=1)
    changes = np.take_along_axis(steps, turn, axis=1)
    draws = changes.reshape(2, ORDERS, count).mean(axis=0)
    errors = draws.std(axis=0, ddof=1) / np.sqrt(ORDERS)
    whole, *without = score(np.vstack([np.ones(count, bool), ~np.eye(count, dtype=bool)]))
    return changes.mean(axis=0), np.array(without) - whole, errors
