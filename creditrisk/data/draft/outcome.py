"""Which spellings of the target are good, bad, or no outcome at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.contract import ContractError, did_you_mean
from creditrisk.data.fields import Level

_BAD = re.compile(r"(?i)bad|default|charged.?off|late|loss|write|schlecht|ausfall|fail|delinq|npl")
_GOOD = re.compile(r"(?i)good|paid|gut|no.?default|non.?default|perform|ok|repaid")
_OPEN = re.compile(r"(?i)current|grace|issued|pending|open|indeterminate|laufend|unknown")

#: Distinct values from which on a column is no outcome.
MOST_VALUES = 20


@dataclass
class Outcome:
    """The target: its entry in the descriptor, and which rows ended how."""

    name: str
    entry: dict[str, Any]
    good: list[Level]
    bad: list[Level]
    excluded: list[Level]
    is_bad: np.ndarray  # float: 1 for bad, 0 for good, NaN where the row is left out
    review: list[str] = field(default_factory=list)

    @property
    def target(self) -> dict[str, Any]:
        """The resource's ``target``."""
        mapping: dict[str, Any] = {"field": self.name, "good": self.good, "bad": self.bad}
        return mapping | ({"exclude": self.excluded} if self.excluded else {})

    @property
    def why(self) -> str:
        """Which spelling counts as what, in words."""
        said = f"good: {_listed(self.good)}; bad: {_listed(self.bad)}"
        return said + (f"; left out: {_listed(self.excluded)}" if self.excluded else "")


def outcome(
    subject: str,
    name: str,
    cells: pd.Series,
    markers: Sequence[str],
    good: Sequence[str],
    bad: Sequence[str],
) -> Outcome:
    """What the target's spellings stand for; what is not given is guessed and asked about.

    Parameters
    ----------
    subject
        The file, as an error names it.
    markers
        What stands for a missing value.
    good, bad
        Spellings that count as good and as bad, as far as the user has said so.

    Raises
    ------
    ContractError
        If the column holds fewer than two outcomes, or a spelling that is given does not occur.
    """
    missing = cells.isin(list(markers))
    counts = cells[~missing].value_counts()
    found = list(counts.index)
    known = [*found, *(markers if missing.any() else ())]
    problems = [
        f"{name}: {text!r} does not occur{did_you_mean(text, found)}"
        for text in [*good, *bad]
        if text not in known
    ]
    problems += [f"{name}: {text!r} is given as good and as bad" for text in good if text in bad]
    if not 2 <= len(found) <= MOST_VALUES:
        problems.append(
            f"{name}: has {len(found)} distinct values, and an outcome has at least two"
        )
    if missing.any() and not problems:
        problems.append(
            f"{name}: {missing.sum()} rows have no value; name the outcome or drop them"
        )
    if problems:
        occurring = ", ".join(map(repr, found[:MOST_VALUES]))
        raise ContractError(subject, problems, f"choose another --target, or from {occurring}")
    taken_good, taken_bad = _sides(counts, list(good), list(bad))
    left = [text for text in found if text not in taken_good and text not in taken_bad]
    is_bad = np.where(cells.isin(taken_bad), 1.0, np.where(cells.isin(taken_good), 0.0, np.nan))
    is_whole = all(re.fullmatch(r"0|-?[1-9]\d{0,14}", text) for text in found)

    def typed(spellings: Sequence[str]) -> list[Level]:
        return sorted(map(int, spellings)) if is_whole else sorted(spellings)

    entry: dict[str, Any] = {
        "name": name,
        "title": name,
        "type": "integer" if is_whole else "string",
        "constraints": {"required": True, "enum": typed(found)},
    }
    result = Outcome(name, entry, typed(taken_good), typed(taken_bad), typed(left), is_bad)
    if not (good and bad):
        _ask(result, counts)
    return result


def _sides(counts: pd.Series, good: list[str], bad: list[str]) -> tuple[list[str], list[str]]:
    """Good and bad spellings: as given, else by their words, else bad is the rarer of two."""
    found = list(counts.index)  # the most frequent first
    free = [text for text in found if text not in (*good, *bad)]
    if good and not bad:
        return good, [text for text in free if not _OPEN.search(text)] or free
    if bad and not good:
        return [text for text in free if not _OPEN.search(text)] or free, bad
    if good and bad:
        return good, bad
    closed = [text for text in free if not _OPEN.search(text)]
    by_word_good = [text for text in closed if _GOOD.search(text) and not _BAD.search(text)]
    by_word_bad = [text for text in closed if _BAD.search(text) and text not in by_word_good]
    by_word_good += [t for t in closed if _GOOD.fullmatch(t) and t not in by_word_good]
    if by_word_good and by_word_bad:
        return by_word_good, by_word_bad
    two = closed if len(closed) >= 2 else found
    return [two[0]], [two[1]]


def _ask(result: Outcome, counts: pd.Series) -> None:
    shares = ", ".join(f"{text!r} {share:.1%}" for text, share in (counts / counts.sum()).items())
    result.review.append(
        f"Target: which values of {result.name!r} are good, and which bad? Taken for now: "
        f'{result.why}. They occur: {shares}. Correct "good", "bad" and "exclude" of "target".'
    )


def _listed(values: Sequence[Level]) -> str:
    return ", ".join(map(str, values))
