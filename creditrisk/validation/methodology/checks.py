"""What a check comes to, and how a list of them is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pandas as pd

from creditrisk.data.contract import Json

#: A check that is a test of chance fails below this p-value. A review has five of them, so that
#: sound evidence fails one in at most five reviews of a hundred.
ALPHA = 0.01


class Verdict(StrEnum):
    """What a check comes to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"  # there is nothing to judge by


@dataclass(frozen=True)
class Check:
    """One check, what it comes to, the figure it is judged by, and why it is made."""

    name: str  # what holds if it is passed
    verdict: Verdict
    figure: str
    why: str
    values: Mapping[str, float | None] = field(default_factory=dict)  # those in the figure


def verdict_of(passed: bool) -> Verdict:
    """Passed or failed."""
    return Verdict.PASSED if passed else Verdict.FAILED


def table(checks: Iterable[Check]) -> pd.DataFrame:
    """One row a check: check, verdict, figure, why."""
    rows = [(each.name, str(each.verdict), each.figure, each.why) for each in checks]
    return pd.DataFrame(rows, columns=["check", "verdict", "figure", "why"])


def as_records(checks: Iterable[Check]) -> list[Json]:
    """The checks as JSON holds them, the numbers of their figures by name."""
    return [
        {
            "check": each.name,
            "verdict": str(each.verdict),
            "figure": each.figure,
            "values": dict(each.values),
            "why": each.why,
        }
        for each in checks
    ]
