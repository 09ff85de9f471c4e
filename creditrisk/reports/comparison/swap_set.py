"""Which applicants are decided differently by two models, and why.

A decision turns because the score has moved, because the cut-off has moved, or both. What moved
the score follows from the difference of the two models' Shapley contributions on the log-odds: they
and the move of the usual applicant's own score add up to the move of the applicant's.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from creditrisk.data.contract import Contract
from creditrisk.reports.comparison.run_results import Scores
from creditrisk.scoring.reasons import FLOOR, LEAST

#: So many fields are named for one applicant.
NAMED = 3

#: The rows, in each of two test sets, of the applicants who are in both.
Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
NO_ROWS: Rows = (np.empty(0, np.int64), np.empty(0, np.int64))

#: A number as a file of scores has it; an older run's column may hold other text.
_NUMBER = re.compile(r"-?\d+(\.\d+)?")

#: What alone would have turned a decision: the score, the cut-off.
ALONE = {
    (True, False): "the score alone",
    (False, True): "the cut-off alone",
    (True, True): "either alone",
    (False, False): "only both together",
}


@dataclass(frozen=True)
class Move:
    """What one field adds to an applicant's log-odds in each of two models."""

    field: str  # its title, or the usual applicant
    value: str  # the applicant's, with its unit
    before: float
    after: float

    @property
    def shows(self) -> bool:
        """Whether it is more than nothing to the two decimals in which it is stated."""
        if not self.value:
            return f"{abs(self.after - self.before):.2f}" != "0.00"
        return f"{self.after:+z.2f}" != f"{self.before:+z.2f}"

    def __str__(self) -> str:
        """The move as a sentence without its end."""
        if not self.value:
            moved = self.after - self.before
            return f"{self.field} is {abs(moved):.2f} {'higher' if moved > 0 else 'lower'}"
        return f"{self.field} ({self.value}) counts {self.after:+z.2f} and not {self.before:+z.2f}"


@dataclass(frozen=True)
class Flip:
    """One applicant whom the second model decides differently from the first."""

    applicant: dict[str, str]
    outcome: str
    good: bool
    before: float  # probability of good
    after: float
    approved: bool  # by the second model
    turned_by: str  # one of ALONE
    moves: tuple[Move, ...]  # what moved the score that way, strongest first; empty if not known


def pairs(a: Scores, b: Scores) -> Rows:
    """The rows of the applicants who are in both test sets, by content.

    Applicants who look alike are paired in order of occurrence. Compared is what both files hold;
    if they disagree on what the target is, nobody is in both.
    """
    if a.target != b.target:
        return NO_ROWS
    shared = [name for name in a.applicants.columns if name in b.applicants.columns]
    place = {key: row for row, key in enumerate(_contents(b.applicants[shared]))}
    found = [
        (row, place[key]) for row, key in enumerate(_contents(a.applicants[shared])) if key in place
    ]
    rows = np.array(found, int).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _contents(applicants: pd.DataFrame) -> Iterator[tuple[tuple[Any, ...], int]]:
    """What distinguishes each applicant: the content, and the how manieth with it this is."""
    alike: Counter[tuple[Any, ...]] = Counter()
    for content in applicants.itertuples(index=False, name=None):
        alike[content] += 1
        yield content, alike[content]


def flips(
    a: Scores,
    b: Scores,
    rows: Rows,
    cutoffs: tuple[float, float],
    contract: Contract | None = None,
) -> list[Flip]:
    """The applicants in both test sets whose decision has turned, the largest moves first.

    Parameters
    ----------
    rows
        As :func:`pairs` gives them.
    cutoffs
        From which probability on the first and the second model approve.
    contract
        Knows the titles and units of the fields.
    """
    before, after = a.probability[rows[0]], b.probability[rows[1]]
    turned = (before >= cutoffs[0]) != (after >= cutoffs[1])
    size = np.abs((after - cutoffs[1]) - (before - cutoffs[0]))
    order = sorted(np.flatnonzero(turned).tolist(), key=lambda n: -size[n])
    return [_flip(a, b, rows[0][n], rows[1][n], cutoffs, contract) for n in order]


def _flip(
    a: Scores,
    b: Scores,
    row_a: int,
    row_b: int,
    cutoffs: tuple[float, float],
    contract: Contract | None,
) -> Flip:
    before, after = float(a.probability[row_a]), float(b.probability[row_b])
    approved = after >= cutoffs[1]
    by_score, by_cutoff = (after >= cutoffs[0]) == approved, (before >= cutoffs[1]) == approved
    *content, outcome = a.applicants.columns
    applicant = a.applicants.iloc[row_a]
    return Flip(
        applicant={name: applicant[name] for name in content},
        outcome=applicant[outcome],
        good=bool(a.y[row_a]),
        before=before,
        after=after,
        approved=bool(approved),
        turned_by=ALONE[bool(by_score), bool(by_cutoff)],
        moves=_moves(a, b, row_a, row_b, contract)[:NAMED],
    )


def _moves(
    a: Scores, b: Scores, row_a: int, row_b: int, contract: Contract | None
) -> tuple[Move, ...]:
    """What moved a score in the direction in which it moved, strongest first."""
    if a.effects is None or b.effects is None:
        return ()
    odds = [
        float(logit(np.clip(scores.probability[row], FLOOR, 1 - FLOOR)))
        for scores, row in ((a, row_a), (b, row_b))
    ]
    shares = [a.effects.iloc[row_a], b.effects.iloc[row_b]]
    if any(share.isna().any() for share in shares):  # 06 explains a sample of many applicants
        return ()
    names = list(dict.fromkeys([*shares[0].index, *shares[1].index]))
    usual = [float(whole - share.sum()) for whole, share in zip(odds, shares, strict=True)]
    found = [Move("the usual applicant's own score", "", *usual)]
    for name in names:
        value = a.applicants[name].iloc[row_a] if name in a.applicants else ""
        ends = (float(share.get(name, 0.0)) for share in shares)
        found.append(Move(title(name, contract), value_text(name, value, contract), *ends))
    way = 1 if odds[1] >= odds[0] else -1
    found.sort(key=lambda move: way * (move.before - move.after))
    moved = [move for move in found if way * (move.after - move.before) > LEAST]
    return tuple(move for move in moved if move.shows) or tuple(moved[:1])


def title(name: str, contract: Contract | None) -> str:
    """What a field is called in front of people."""
    if contract is None or name not in {field.name for field in contract.columns}:
        return name
    return contract[name].title


def value_text(name: str, value: str, contract: Contract | None) -> str:
    """A value with its unit, a quantity with separators; what is missing by its name."""
    if contract is None or name not in {field.name for field in contract.columns}:
        return value or "not given"
    field = contract[name]
    if not value:
        return field.missing_label or "not given"
    if field.levels is None and not field.is_dated and _NUMBER.fullmatch(value):
        value = field.worded(float(value) if "." in value else int(value))
    return f"{value} {field.unit}".rstrip()
