"""One verdict on a watched model: quiet, look or act, with cause, evidence and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from creditrisk.data.contract import Json
from creditrisk.monitoring.alarms.relation import LEVEL, SLOPE
from creditrisk.monitoring.watch import Watch

#: A column that moves this far from one month to the next is more likely a fault than another
#: clientele: the rule of thumb for "shifted" (Siddiqi 2006), and only beyond the limit by chance.
FAULT = 0.25


class Level(StrEnum):
    """How much a verdict asks for, the most last."""

    QUIET = "quiet"
    LOOK = "look"
    ACT = "act"


#: The exit code of each level, for a scheduler.
EXIT_CODES = {Level.QUIET: 0, Level.LOOK: 3, Level.ACT: 4}


@dataclass(frozen=True)
class Alarm:
    """One cause with what shows it and what to do."""

    level: Level
    month: str  # in which it was first passed
    cause: str  # a sentence without its end
    evidence: str
    remedy: str
    action: str  # in a word or two


@dataclass(frozen=True)
class Verdict:
    """The alarms of the current year, the gravest first."""

    alarms: tuple[Alarm, ...]
    months: tuple[str, ...]  # of the current year
    alpha: float

    @property
    def level(self) -> Level:
        """That of the gravest alarm."""
        levels = list(Level)
        return max((alarm.level for alarm in self.alarms), key=levels.index, default=Level.QUIET)

    @property
    def sentence(self) -> str:
        """The verdict, its cause and what to do, in one or two sentences."""
        if not self.months:
            return "Nothing to judge: there is no decision."
        if not self.alarms:
            begin, end = self.months[0], self.months[-1]
            when = f"in {begin}" if begin == end else f"from {begin} to {end}"
            return f"Quiet: no limit is passed {when}."
        first, more = self.alarms[0], len(self.alarms) - 1
        others = f" {more} more alarm{'s' * (more > 1)}: see the table." if more else ""
        return f"{self.level.capitalize()}: {first.cause}. {first.remedy}{others}"

    @property
    def promise(self) -> str:
        """How often a year in which nothing changes ends otherwise than quiet."""
        return (
            "If nothing changes, a year of twelve months ends with an alarm, of whatever kind, "
            f"with a probability of {self.alpha:.1%}."
        )

    @property
    def record(self) -> Json:
        """The verdict as JSON."""
        return {
            "verdict": str(self.level),
            "exit_code": EXIT_CODES[self.level],
            "sentence": self.sentence,
            "false_alarms_a_year": self.alpha,
            "months": list(self.months),
            "alarms": [
                {
                    "level": str(alarm.level),
                    "month": alarm.month,
                    "cause": alarm.cause,
                    "evidence": alarm.evidence,
                    "what_to_do": alarm.remedy,
                    "action": alarm.action,
                }
                for alarm in self.alarms
            ],
        }


def judge(watched: Watch) -> Verdict:
    """The verdict on a watched log."""
    this_year = watched.this_year
    alarms = [
        *_of_drift(_in(watched.drift, this_year), _jumped(watched.drift, watched.score_title)),
        *_of_relation(_in(watched.relation, this_year)),
        *_of_challenger(watched),
    ]
    levels = list(Level)
    alarms.sort(key=lambda alarm: -levels.index(alarm.level))  # stable: data first, then outcomes
    return Verdict(tuple(alarms), this_year, watched.alpha)


def _in(table: pd.DataFrame, months: Sequence[str]) -> pd.DataFrame:
    """The rows of some months that pass their limit."""
    return table[table.month.isin(months) & table.alarm.astype(bool)]


def _jumped(drift: pd.DataFrame, score: str) -> set[str]:
    """The columns that ever passed their limit by a jump; the score follows, and is no cause."""
    alone = drift[(drift.window == 1) & drift.alarm.astype(bool) & (drift.column != score)]
    return set(alone.column[(alone.psi > FAULT) & (alone.jump > FAULT)])


def _of_drift(passed: pd.DataFrame, jumped: set[str]) -> list[Alarm]:
    """A column that jumped is a matter of the data; columns that move, one of the clientele."""
    if passed.empty:
        return []
    faults = passed[(passed.window == 1) & (passed.psi > FAULT) & passed.column.isin(jumped)]
    found = []
    if len(faults):
        found.append(
            Alarm(
                Level.ACT,
                faults.month.iloc[0],
                f"{_listed(_named(faults))} jumped from one month to the next",
                _drift_evidence(faults),
                "Investigate the data: was a code changed, a feed broken, a form altered? Until "
                "that is known, decisions that rest on it should not go out unseen.",
                "investigate data",
            )
        )
    moving = passed[~passed.column.isin(faults.column)]
    if len(moving):
        step = moving[(moving.window == 1) & (moving.jump > moving.psi_limit)]
        first = (
            f"It came in one step, in {step.month.iloc[0]}: rule out a changed code or form first. "
            if len(step)
            else ""
        )
        found.append(
            Alarm(
                Level.LOOK,
                moving.month.iloc[0],
                f"the applicants differ from the training sample in {_listed(_named(moving))}",
                _drift_evidence(moving),
                f"{first}Check that the expected bad rate and approvals still suit you; retrain "
                "once enough of these applicants have outcomes.",
                "look at the mix",
            )
        )
    return found


def _named(passed: pd.DataFrame) -> list[str]:
    names: list[str] = passed.column.unique().tolist()
    return names


def _drift_evidence(passed: pd.DataFrame) -> str:
    """The most surprising window of each column."""
    strongest = passed.sort_values("score", ascending=False).drop_duplicates("column")
    parts = [
        f"{row.column} {row.month}, {_window(row.window)}: PSI {row.psi:.3f} (limit "
        f"{row.psi_limit:.3f}){_direction(row.move)}, {row.moved}"
        for row in strongest.itertuples()
    ]
    return "; ".join(parts)


def _direction(move: float) -> str:
    """Which way ordered values went; the mean rank is the chance to exceed a reference row."""
    if move == 0:
        return ""
    return f", {'higher' if move > 0 else 'lower'} values (mean rank {move:+z.2f})"


def _of_relation(passed: pd.DataFrame) -> list[Alarm]:
    """Outcomes that do not follow the scores as before."""
    found = []
    slope, level = (passed[passed.what == what] for what in (SLOPE, LEVEL))
    weaker = slope[slope.difference < 0]
    if len(weaker):
        found.append(
            Alarm(
                Level.ACT,
                weaker.month.iloc[0],
                "high scores are no longer as much better than low ones as they were",
                _relation_evidence(weaker),
                "Retrain with the matured outcomes: the relation of inputs and outcome has "
                "changed, which no recalibration mends.",
                "retrain",
            )
        )
    elif len(slope):
        found.append(
            Alarm(
                Level.LOOK,
                slope.month.iloc[0],
                "scores separate good from bad more than they did",
                _relation_evidence(slope),
                "Recalibrate: the probabilities are too timid.",
                "recalibrate",
            )
        )
    if len(level):
        worse = level.difference.iloc[0] < 0
        found.append(
            Alarm(
                Level.ACT,
                level.month.iloc[0],
                f"{'more' if worse else 'fewer'} approved applicants go bad than expected",
                _relation_evidence(level),
                "Recalibrate and choose the cut-off anew for now. Among approved applicants alone "
                "a weaker relation looks the same: retrain with the matured outcomes as well, "
                "and let the gate compare.",
                "recalibrate",
            )
        )
    return found


def _relation_evidence(passed: pd.DataFrame) -> str:
    row = passed.sort_values("score", ascending=False).iloc[0]
    what = {
        LEVEL: "share of good against what the scores expect, less the same at validation",
        SLOPE: "residual times log-odds, less the same at validation",
    }[row.what]
    return (
        f"{row.month}, {_window(row.window)}, {row.outcomes} outcomes: {what}, "
        f"{row.difference:+z.3f} ({row.low:+z.3f} to {row.high:+z.3f})"
    )


def _of_challenger(watched: Watch) -> list[Alarm]:
    """The challenger is better beyond doubt."""
    comparison = watched.comparison
    if comparison is None or not comparison.is_better(watched.challenger_alpha):
        return []
    return [
        Alarm(
            Level.ACT,
            watched.months.names[-1],
            "the challenger's probabilities are closer to the outcomes than production's",
            f"Brier score lower by {comparison.brier_gain} on {comparison.outcomes} outcomes; "
            f"evidence {comparison.evidence:.0f} (limit {1 / watched.challenger_alpha:.0f})",
            "Promote the challenger once the swap set suits you.",
            "promote the challenger",
        )
    ]


def _window(months: int) -> str:
    return "one month" if months == 1 else f"{months} months together"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else str(last)
