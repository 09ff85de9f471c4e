"""Two runs of the chain side by side: what went in, what came out, and who is decided differently.

The first run is the one before, the second the one after: differences are second less first.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from creditrisk.metrics.intervals import Interval, bootstrap_interval
from creditrisk.metrics.placements import placements
from creditrisk.metrics.ranking import auc_difference, too_few_to_judge
from creditrisk.reports.comparison import run_differences
from creditrisk.reports.comparison.run_differences import Fact, KeyFigureFact, MeasureFact
from creditrisk.reports.comparison.run_results import RunResults, Scores, number
from creditrisk.reports.comparison.swap_set import NO_ROWS, Flip, Rows, flips, pairs

#: Samples of the applicants behind a paired interval, and where their drawing starts.
DRAWS, SEED = 2000, 7

#: What each of some applicants adds to a figure.
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """A figure of both models on the same applicants, and their difference with its interval."""

    name: str
    a: float
    b: float
    difference: Interval | None  # None if the applicants are too few to judge

    @property
    def verdict(self) -> str:
        """What follows from the interval."""
        if self.difference is None:
            return "too few to judge"
        if self.a == self.b and self.difference.low == self.difference.high:
            return "the same"
        if self.difference.low <= 0 <= self.difference.high:
            return "not distinguishable"
        return "higher" if self.difference.low > 0 else "lower"

    def __str__(self) -> str:
        change = f"{self.name} {self.a:.3f} -> {self.b:.3f}, {signed(self.b - self.a)}"
        if self.difference is not None:
            change += f" ({signed(self.difference.low)} to {signed(self.difference.high)})"
        return f"{change}, {self.verdict}"


@dataclass(frozen=True)
class Comparison:
    """Two runs, and all that can be known about their differences."""

    a: RunResults
    b: RunResults
    stages: list[Fact]  # that only one of them was asked for
    parameters: list[Fact]
    data: list[Fact]  # rows, and the files that came from outside
    made: list[Fact]  # files that one stage wrote and another read
    environment: list[Fact]
    code: list[Fact]
    headline: list[KeyFigureFact]
    figures: list[MeasureFact]
    rows: Rows
    paired: list[Paired]
    flips: list[Flip]
    notes: list[str]  # what is missing, and what that means

    @property
    def common(self) -> int:
        """How many applicants are in both test sets."""
        return len(self.rows[0])

    @cached_property
    def cutoffs(self) -> tuple[float, float] | None:
        """From which probability of good on each run approves, if both are known."""
        return _cutoffs(self.a, self.b)

    def counts(self, approved: bool) -> tuple[int, int]:
        """How many decisions have turned that way, and how many of those loans went bad."""
        turned = [flip for flip in self.flips if flip.approved is approved]
        return len(turned), sum(not flip.good for flip in turned)

    @property
    def test_sets(self) -> str:
        """How the two test sets relate, in one sentence."""
        if self.a.scores is None or self.b.scores is None:
            return "Decisions cannot be compared: that takes the test scores of both runs."
        sizes = len(self.a.scores.y), len(self.b.scores.y)
        if self.common == sizes[0] == sizes[1]:
            return f"Both runs were tested on the same {self.common:,} applicants."
        both = f"{sizes[0]:,} and {sizes[1]:,} applicants, {_or_none(self.common)} in both"
        if not self.common:
            return f"The test sets differ: {both}. Each run's figures stand on its own."
        return f"The test sets differ: {both}; only those are compared one by one."

    @property
    def decisions(self) -> str:
        """How many decisions have turned, in one sentence."""
        if not self.common or self.cutoffs is None:
            return "Decisions cannot be compared"
        if not self.flips:
            return f"The same decisions for all {self.common:,} applicants in both test sets"
        turned = []
        for way, approved in (("approved", True), ("declined", False)):
            count, bad = self.counts(approved)
            went = f" ({_or_none(bad)} went bad)" if count else ""
            turned.append(f"{_or_none(count)} newly {way}{went}")
        turn = "turns" if len(self.flips) == 1 else "turn"
        return f"{len(self.flips):,} of {self.common:,} decisions {turn}: {', '.join(turned)}"

    @property
    def _left_out(self) -> str:
        """The stages that a run was not asked for, to stand at the end of a line."""
        sides = [
            (fact.a, fact.name) if fact.b == "run" else (fact.b, fact.name) for fact in self.stages
        ]
        lines = [
            f"{where}: {', '.join(name for side, name in sides if side == where)}"
            for where in dict.fromkeys(where for where, _ in sides)
        ]
        return "".join(f"; {line}" for line in lines)

    @property
    def summary(self) -> list[str]:
        """Five lines for a terminal."""
        changed = [fact.name for fact in self.parameters if not fact.same]
        return [
            f"A: {_one_line(self.a)}",
            f"B: {_one_line(self.b)}",
            "Parameters that differ: " + (", ".join(changed) or "none") + self._left_out,
            "; ".join(map(str, self.paired[:2])) or self.test_sets,
            self.decisions,
        ]


def compare(a: RunResults, b: RunResults) -> Comparison:
    """Two runs side by side, the one before and the one after."""
    rows = pairs(a.scores, b.scores) if a.scores and b.scores else NO_ROWS
    cutoffs, turned = _cutoffs(a, b), list[Flip]()
    if a.scores and b.scores and len(rows[0]) and cutoffs:
        turned = flips(a.scores, b.scores, rows, cutoffs, b.contract or a.contract)
    records = a.record, b.record
    return Comparison(
        a,
        b,
        stages=run_differences.stages(*records),
        parameters=run_differences.parameters(*records),
        data=run_differences.rows(a, b) + run_differences.files(*records, made=False),
        made=run_differences.files(*records, made=True),
        environment=run_differences.environment(*records),
        code=run_differences.code(*records),
        headline=run_differences.key_figures(*records),
        figures=run_differences.measures(a, b),
        rows=rows,
        paired=_paired(a, b, rows, cutoffs),
        flips=turned,
        notes=_notes(a, b),
    )


def _or_none(count: int) -> str:
    return f"{count:,}" if count else "none"


def signed(difference: float) -> str:
    """A difference to three digits; what rounds to nothing has no sign."""
    return f"{difference:+.3f}" if abs(difference) >= 0.0005 else "0.000"


def _cutoffs(a: RunResults, b: RunResults) -> tuple[float, float] | None:
    return None if a.cutoff is None or b.cutoff is None else (a.cutoff, b.cutoff)


def _one_line(run: RunResults) -> str:
    figures = run.record.figures
    cutoff = run.cutoff
    if "cutoff" not in run.registered and "cut-off" in figures:
        cutoff = figures["cut-off"].number
    model = run.registered.get("champion", figures.get("champion"))
    parts = [run.id, run.record.status, model, cutoff and f"cut-off {cutoff:g}"]
    return ", ".join(str(part) for part in parts if part)


def _paired(
    a: RunResults, b: RunResults, rows: Rows, cutoffs: tuple[float, float] | None
) -> list[Paired]:
    """The figures of both models on the applicants they share, and their differences."""
    if a.scores is None or b.scores is None or not len(rows[0]):
        return []
    before, after = a.scores.probability[rows[0]], b.scores.probability[rows[1]]
    y = b.scores.y[rows[1]]
    good, bad = int((y == 1).sum()), int((y == 0).sum())
    judged = not too_few_to_judge(good, bad)
    found = []
    if min(good, bad) >= 2:
        then, now = (float(placements(y, score)[0].mean() / bad) for score in (before, after))
        gained = auc_difference(y, after, before) if judged else None
        found.append(Paired("ROC-AUC", then, now, gained))
    each: dict[str, tuple[Values, Values]] = {}  # name: what each applicant adds, before and after
    if cutoffs:
        approved = (before >= cutoffs[0], after >= cutoffs[1])
        for name, prices in _prices(a, b).items():
            each[name] = (_costs(y, approved[0], *prices), _costs(y, approved[1], *prices))
        each["share approved"] = (approved[0].astype(float), approved[1].astype(float))
    each["Brier score"] = ((before - y) ** 2, (after - y) ** 2)
    for name, values in each.items():
        difference = _mean(y, values[1] - values[0]) if judged else None
        means = [float(each.mean()) for each in values]
        found.append(Paired(name, means[0], means[1], difference))
    return found


def _costs(
    y: npt.NDArray[np.int64],
    approved: npt.NDArray[np.bool_],
    bad_accepted: float,
    good_rejected: float,
) -> Values:
    """What each decision costs."""
    costs: Values = bad_accepted * (approved & (y == 0)) + good_rejected * (~approved & (y == 1))
    return costs


def _mean(y: npt.NDArray[np.int64], differences: Values) -> Interval:
    """The mean of paired differences, with its bootstrap interval."""
    return bootstrap_interval(lambda _, each: each.mean(), y, differences, draws=DRAWS, seed=SEED)


def _prices(a: RunResults, b: RunResults) -> dict[str, tuple[float, float]]:
    """What decisions cost in either run; where they differ, both models are judged by both."""
    names = ("cost_bad_accepted", "cost_good_rejected")
    recorded = [tuple(number(run.registered.get(name)) for name in names) for run in (a, b)]
    known = [
        (bad, good) for bad, good in dict.fromkeys(recorded) if bad is not None and good is not None
    ]
    if len(known) == 1:
        return {"cost per applicant": known[0]}
    return {f"cost per applicant at {bad:g} : {good:g}": (bad, good) for bad, good in known}


def _notes(a: RunResults, b: RunResults) -> list[str]:
    """What is missing, each in a sentence."""
    notes = [f"{why[0].upper()}{why[1:]}." for run in (a, b) for why in run.missing]
    for run in (a, b):
        if run.record.status != "succeeded":
            stages = run.record.stages
            ended = [stage.name for stage in stages if stage.status in ("failed", "interrupted")]
            notes.append(f"Run {run.id}: {' in '.join([run.record.status, *ended[:1]])}.")
    for run in (a, b):
        if run.scores and run.registration and run.cutoff is None:
            notes.append(f"Run {run.id} does not record its cut-off: decisions are not compared.")
    if a.scores and b.scores:
        notes += _columns(a, b, a.scores, b.scores)
    return notes


def _columns(a: RunResults, b: RunResults, first: Scores, second: Scores) -> list[str]:
    """How the applicants of two test sets differ in their columns, if they do."""
    if first.target != second.target:
        targets = f"{first.target} and {second.target}"
        return [
            f"The runs predict different columns, {targets}: their applicants cannot be matched."
        ]
    columns, others = first.applicants.columns, second.applicants.columns
    alone = [(a.id, columns.difference(others)), (b.id, others.difference(columns))]
    only = "; ".join(f"only {id} has {', '.join(names)}" for id, names in alone if len(names))
    if not only:
        return []
    matched = "matched by those both have, in order of occurrence where several look alike"
    return [f"The applicants have other columns: {only}. They are {matched}."]
