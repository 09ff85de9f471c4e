"""What a check comes to, and how a list of them is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pandas as pd

from creditrisk.data.contract import Json

#: A check that is a test of chance fails below this p-value. A review has five of them, so that
#: sound evidence fails one in at most five reviews of a hundred.
ALPHA = 0.01


class Outcome(StrEnum):
    """What a check comes to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"  # there is nothing to judge by


@dataclass(frozen=True)
class Check:
    """One check, what it comes to, the figure it is judged by, and why it is made."""

    name: str  # what holds if it is passed
    outcome: Outcome
    figure: str
    why: str
    values: Mapping[str, float | None] = field(default_factory=dict)  # those in the figure


def outcome(passed: bool) -> Outcome:
    """Passed or failed."""
    return Outcome.PASSED if passed else Outcome.FAILED


def table(checks: Iterable[Check]) -> pd.DataFrame:
    """One row a check: check, outcome, figure, why."""
    rows = [(each.name, str(each.outcome), each.figure, each.why) for each in checks]
    return pd.DataFrame(rows, columns=["check", "outcome", "figure", "why"])


def as_records(checks: Iterable[Check]) -> list[Json]:
    """The checks as JSON holds them, the numbers of their figures by name."""
    return [
        {
            "check": each.name,
            "outcome": str(each.outcome),
            "figure": each.figure,
            "values": dict(each.values),
            "why": each.why,
        }
        for each in checks
    ]
