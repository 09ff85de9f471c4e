"""The promotion gate: rules with their verdicts, and the decision that follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from creditrisk.data.contract import Json, counted


class Verdict(StrEnum):
    """What a rule comes to."""

    PASSED = "passed"
    WARNING = "warning"  # broken or not shown, and not serious enough to stop
    NOT_JUDGED = "not judged"  # there is nothing to judge by
    WAITS = "waits for approval"  # a named person may take responsibility
    STOP = "stop"


class Result(StrEnum):
    """What the gate decides on a version."""

    PASSED = "passed"
    APPROVED = "approved"  # it waited, and a named person has approved it
    WAITS = "waits for approval"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Rule:
    """One rule, the figure it is judged by, the verdict, and the reason why the rule exists."""

    name: str  # completes "The model ..."
    figure: str
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Decision:
    """What the gate decides on one version, from all of its rules."""

    version: int
    rules: tuple[Rule, ...]
    approved_by: str = ""
    approval_reason: str = ""

    @property
    def result(self) -> Result:
        """Passed unless a rule stops the version, or one waits and nobody has approved it."""
        if self._names(Verdict.STOP):
            return Result.STOPPED
        if not self._names(Verdict.WAITS):
            return Result.PASSED
        return Result.APPROVED if self.approved_by else Result.WAITS

    @property
    def promotes(self) -> bool:
        """Whether the version goes into production."""
        return self.result in (Result.PASSED, Result.APPROVED)

    @property
    def verdict(self) -> str:
        """In one word, how the result is to look: passed, warning or stop."""
        if not self.promotes:
            return "stop"
        open_ = self._names(Verdict.WARNING) + self._names(Verdict.NOT_JUDGED)
        doubted = open_ or self.result == Result.APPROVED
        return "warning" if doubted else "passed"

    @property
    def outcome(self) -> str:
        """The result and the number of warnings, as a short text."""
        stops, warnings = len(self._names(Verdict.STOP)), len(self._names(Verdict.WARNING))
        texts = {
            Result.APPROVED: f"approved by {self.approved_by}",
            Result.STOPPED: f"stopped by {counted(stops, 'rule')}",
        }
        text = texts.get(self.result, str(self.result))
        return text + (f", {counted(warnings, 'warning')}" if warnings else "")

    @property
    def headline(self) -> str:
        """The result in one sentence; warnings are counted, not named."""
        first, warnings = self._first_sentence(), len(self._names(Verdict.WARNING))
        if self.result == Result.STOPPED or not warnings:
            return first
        return f"{first[:-1]} with {counted(warnings, 'warning')}."

    @property
    def sentence(self) -> str:
        """The result, and the rules that are the reason for it, in a few sentences."""
        parts = [self._first_sentence()]
        warnings, open_ = self._names(Verdict.WARNING), self._names(Verdict.NOT_JUDGED)
        if warnings:
            count = counted(len(warnings), "warning").capitalize()
            parts.append(f"{count}, for what is not kept or not shown: {_quoted(warnings)}.")
        if open_:
            parts.append(f"Not judged: {_quoted(open_)}.")
        return " ".join(parts)

    @property
    def reason(self) -> str:
        """Why the version goes into production, as the record of promotions has it."""
        if self.result == Result.APPROVED:
            return self.approval_reason
        warnings = len(self._names(Verdict.WARNING))
        return "passed the gate" + (f" with {counted(warnings, 'warning')}" if warnings else "")

    @property
    def record(self) -> Json:
        """The decision and its rules as JSON, for ``validation.json``."""
        return {
            "promoted": self.promotes,
            "result": str(self.result),
            "verdict": self.sentence,
            "approved_by": self.approved_by,
            "rules": [
                {
                    "rule": rule.name,
                    "figure": rule.figure,
                    "verdict": str(rule.verdict),
                    "why": rule.why,
                }
                for rule in self.rules
            ],
        }

    def _first_sentence(self) -> str:
        name = f"Version {self.version}"
        if self.result == Result.PASSED:
            return f"{name} passed the gate."
        if self.result == Result.STOPPED:
            return f"{name} did not pass the gate: it breaks {_rules(self._names(Verdict.STOP))}."
        waiting = _rules(self._names(Verdict.WAITS))
        if self.result == Result.WAITS:
            return (
                f"{name} waits for the approval of a named person, as it is not shown to keep "
                f"{waiting}."
            )
        return (
            f"{name} is approved by {self.approved_by} ({self.approval_reason}), though it is not "
            f"shown to keep {waiting}."
        )

    def _names(self, verdict: Verdict) -> list[str]:
        return [rule.name for rule in self.rules if rule.verdict == verdict]


def decide(
    rules: Sequence[Rule], version: int, approved_by: str = "", approval_reason: str = ""
) -> Decision:
    """The decision on a version.

    Parameters
    ----------
    approved_by, approval_reason
        Who takes responsibility for a version that waits for approval, and why; both or neither.
        A rule that stops is not lifted by it.

    Raises
    ------
    ValueError
        If one of the two is missing, or does not fit in one line.
    """
    who, why = approved_by.strip(), approval_reason.strip()
    if bool(who) != bool(why):
        missing = "approval_reason" if who else "approved_by"
        raise ValueError(
            f"{missing} is empty; an approval needs a name and a reason: "
            '--set approved_by="NAME" --set approval_reason="TEXT"'
        )
    if not (who + why).isprintable():
        raise ValueError(
            "approved_by or approval_reason holds control characters; give each in one line"
        )
    return Decision(version, tuple(rules), who, why)


def table(rules: Sequence[Rule]) -> pd.DataFrame:
    """One row a rule: the rule, its figure, its verdict and why it exists."""
    rows = [(rule.name, rule.figure, str(rule.verdict), rule.why) for rule in rules]
    return pd.DataFrame(rows, columns=["rule: the model ...", "figure", "verdict", "why"])


def _quoted(names: Sequence[str]) -> str:
    *most, last = [f"“{name}”" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _rules(names: Sequence[str]) -> str:
    return f"the rule{'s' * (len(names) > 1)} {_quoted(names)}"
