"""Two runs of the chain side by side: what went in, what came out, and who is decided differently.

The first run is the one before, the second the one after: differences are second less first.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from posixpath import normpath

import numpy as np

from creditrisk.metrics.intervals import Interval, bootstrap_interval
from creditrisk.metrics.ranking import auc_difference, placements, too_few_to_judge
from creditrisk.reports.kept_runs import KeptRun, KeyFigure, NoRun, Scores, find_run, read_run
from creditrisk.reports.swap_set import Flip, flips, pairs

#: Samples of the applicants behind a paired interval, and where their drawing starts.
DRAWS, SEED = 2000, 7


@dataclass(frozen=True)
class Fact:
    """What both runs say of one thing; None is what a run does not know."""

    name: str
    a: object
    b: object

    @property
    def same(self) -> bool:
        """Whether it is the same in both; 1 and 1.0 are, 1 and True are not."""
        return self.a == self.b and isinstance(self.a, bool) == isinstance(self.b, bool)


@dataclass(frozen=True)
class Figure(Fact):
    """A figure of both runs, with its interval where the run has one."""

    ends_a: tuple[float, float] | None = None
    ends_b: tuple[float, float] | None = None

    @property
    def difference(self) -> float | None:
        """Second less first, if both are numbers."""
        numbers = [_number(value) for value in (self.a, self.b)]
        return None if None in numbers else numbers[1] - numbers[0]


@dataclass(frozen=True)
class KeyFigureFact(Fact):
    """A key figure that notebooks have put forward, in both runs."""

    a: KeyFigure | None
    b: KeyFigure | None

    @property
    def difference(self) -> float | None:
        """Second less first, if both are numbers."""
        numbers = [each and each.number for each in (self.a, self.b)]
        return None if None in numbers else numbers[1] - numbers[0]


@dataclass(frozen=True)
class Paired:
    """A figure of both models on the same applicants, and their difference with its interval."""

    name: str
    a: float
    b: float
    difference: Interval | None  # None if the applicants are too few to judge

    @property
    def verdict(self) -> str:
        """What the interval allows to say."""
        if self.difference is None:
            return "too few to judge"
        if self.a == self.b and self.difference.low == self.difference.high:
            return "the same"
        if self.difference.low <= 0 <= self.difference.high:
            return "not distinguishable"
        return "higher" if self.difference.low > 0 else "lower"


@dataclass(frozen=True)
class Comparison:
    """Two runs, and all that can be said about their differences."""

    a: KeptRun
    b: KeptRun
    parameters: list[Fact]
    data: list[Fact]  # rows, and the files that came from outside
    made: list[Fact]  # files that one stage wrote and another read
    environment: list[Fact]
    code: list[Fact]
    headline: list[KeyFigureFact]
    figures: list[Figure]
    rows: tuple[np.ndarray, np.ndarray]  # of the applicants in both test sets
    paired: list[Paired]
    flips: list[Flip]
    notes: list[str]  # what is missing, and what that means

    @property
    def common(self) -> int:
        """How many applicants are in both test sets."""
        return len(self.rows[0])

    @cached_property
    def cutoffs(self) -> tuple[float, float] | None:
        """From which probability of good on each run approves, if both tell."""
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
        sizes = [len(run.scores.y) for run in (self.a, self.b)]
        if self.common == sizes[0] == sizes[1]:
            return f"Both runs were tested on the same {self.common} applicants."
        both = f"{sizes[0]} and {sizes[1]} applicants, {self.common or 'none'} in both"
        if not self.common:
            return f"The test sets differ: {both}. Each run's figures stand on its own."
        return f"The test sets differ: {both}; only those are compared one by one."

    @property
    def decisions(self) -> str:
        """How many decisions have turned, in one sentence."""
        if not self.common or self.cutoffs is None:
            return "Decisions cannot be compared"
        if not self.flips:
            return f"The same decisions for all {self.common} applicants in both test sets"
        turned = []
        for way, approved in (("approved", True), ("declined", False)):
            count, bad = self.counts(approved)
            turned.append(f"{count} newly {way} ({bad or 'none'} went bad)")
        return f"{len(self.flips)} of {self.common} decisions turn: {', '.join(turned)}"

    @property
    def summary(self) -> list[str]:
        """Five lines for a terminal."""
        changed = [fact.name for fact in self.parameters if not fact.same]
        lines = [_one_line(run, self) for run in (self.a, self.b)]
        lines.append("Parameters that differ: " + (", ".join(changed) or "none"))
        judged = [
            f"{each.name} {each.a:.3f} -> {each.b:.3f}, {spoken(each)}" for each in self.paired[:2]
        ]
        lines.append("; ".join(judged) or self.test_sets)
        return [*lines, self.decisions]


def compare(
    run_a: str | Path, run_b: str | Path, experiments: str | Path = "experiments"
) -> Comparison:
    """Two runs side by side, named as :func:`creditrisk.reports.kept_runs.find_run` takes them.

    Raises
    ------
    NoRun
        If one cannot be found or read, or both are the same.
    """
    folders = [find_run(wanted, experiments) for wanted in (run_a, run_b)]
    if folders[0].resolve() == folders[1].resolve():
        raise NoRun(f"both are the same run, {folders[0].name}: name two")
    a, b = map(read_run, folders)
    rows = pairs(a.scores, b.scores) if a.scores and b.scores else (np.empty(0, int),) * 2
    cutoffs, turned = _cutoffs(a, b), []
    if len(rows[0]) and cutoffs:
        turned = flips(a.scores, b.scores, rows, cutoffs, b.contract or a.contract)
    return Comparison(
        a,
        b,
        parameters=_parameters(a, b),
        data=_rows(a, b) + _files(a, b, made=False),
        made=_files(a, b, made=True),
        environment=_side_by_side(a.environment, b.environment),
        code=_code(a, b),
        headline=_headline(a, b),
        figures=_validation(a, b),
        rows=rows,
        paired=_paired(a, b, rows, cutoffs),
        flips=turned,
        notes=_notes(a, b),
    )


def spoken(paired: Paired) -> str:
    """A paired difference in words."""
    change = signed(paired.b - paired.a)
    if paired.difference is None:
        return f"{change}, {paired.verdict}"
    ends = f"{signed(paired.difference.low)} to {signed(paired.difference.high)}"
    return f"{change} ({ends}), {paired.verdict}"


def signed(difference: float) -> str:
    """A difference to three digits; what rounds to nothing has no sign."""
    return f"{difference:+.3f}" if abs(difference) >= 0.0005 else "0.000"


def _cutoffs(a: KeptRun, b: KeptRun) -> tuple[float, float] | None:
    told = (_cutoff(a), _cutoff(b))
    return None if None in told else told


def _cutoff(run: KeptRun) -> float | None:
    return _number((run.registration or {}).get("cutoff"))


def _one_line(run: KeptRun, comparison: Comparison) -> str:
    letter = "A" if run is comparison.a else "B"
    model = (run.registration or {}).get("champion", run.figures.get("champion"))
    named = run.figures.get("cut-off")
    cutoff = _number((run.registration or {}).get("cutoff", named and named.number))
    parts = [run.id, run.status, model, cutoff and f"cut-off {cutoff:g}"]
    return f"{letter}: " + ", ".join(str(part) for part in parts if part)


def _parameters(a: KeptRun, b: KeptRun) -> list[Fact]:
    """What the notebooks were given, less the files they are wired to; what differs comes first."""
    stages = [*a.stages, *b.stages]
    wired = {path for stage in stages for path in (*stage.reads, *stage.writes)}
    told: dict[str, dict[str, list]] = {}
    for place, run in enumerate((a, b)):
        for stage in run.stages:
            for name, value in stage.parameters.items():
                if not (isinstance(value, str) and normpath(f"notebooks/{value}") in wired):
                    told.setdefault(name, {}).setdefault(stage.name, [None, None])[place] = value
    facts = []
    for name, given in told.items():
        if all(len(set(map(repr, column))) == 1 for column in zip(*given.values())):
            facts.append(Fact(name, *next(iter(given.values()))))
        else:
            facts += [Fact(f"{name} ({stage})", *pair) for stage, pair in given.items()]
    return sorted(facts, key=lambda fact: fact.same)


def _rows(a: KeptRun, b: KeptRun) -> list[Fact]:
    """How many applicants the models have learnt from, and how many they were tested on."""
    return [
        Fact("training rows", *((run.registration or {}).get("training_rows") for run in (a, b))),
        Fact("test rows", *(_test(run).get("rows") for run in (a, b))),
    ]


def _files(a: KeptRun, b: KeptRun, *, made: bool) -> list[Fact]:
    """The files that stages read, by hash: those that other stages made, or those from outside."""
    own = {path for run in (a, b) for stage in run.stages for path in stage.writes}
    read = [
        {
            path: hash
            for stage in run.stages
            for path, hash in stage.reads.items()
            if (path in own) is made
        }
        for run in (a, b)
    ]
    return _side_by_side(*read)


def _code(a: KeptRun, b: KeptRun) -> list[Fact]:
    """The notebooks and modules that stages ran, by hash, those that differ."""
    ran = []
    for run in (a, b):
        files = {f"notebooks/{each.name}.ipynb": each.basis.get("notebook") for each in run.stages}
        for stage in run.stages:
            files |= dict(stage.basis.get("code") or {})
        ran.append(files)
    return [fact for fact in _side_by_side(*ran) if not fact.same]


def _side_by_side(a: dict, b: dict) -> list[Fact]:
    return [Fact(str(name), a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])]


def _headline(a: KeptRun, b: KeptRun) -> list[KeyFigureFact]:
    names = dict.fromkeys([*a.figures, *b.figures])
    return [KeyFigureFact(str(name), a.figures.get(name), b.figures.get(name)) for name in names]


def _validation(a: KeptRun, b: KeptRun) -> list[Figure]:
    """Every figure of the validation on the test set; bounds go with what they bound."""
    tests = [_test(run) for run in (a, b)]
    names = list(dict.fromkeys([*tests[0], *tests[1]]))
    bounds = {f"{name}{end}" for name in names for end in ("_low", "_high")}
    return [
        Figure(name, *(test.get(name) for test in tests), *(_ends(test, name) for test in tests))
        for name in names
        if name not in bounds
    ]


def _test(run: KeptRun) -> dict:
    test = (run.validation or {}).get("test")
    return test if isinstance(test, dict) else {}


def _ends(test: dict, name: str) -> tuple[float, float] | None:
    found = [_number(test.get(f"{name}{end}")) for end in ("_low", "_high")]
    return None if None in found else (found[0], found[1])


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _paired(a: KeptRun, b: KeptRun, rows, cutoffs) -> list[Paired]:
    """The figures of both models on the applicants they share, and their differences."""
    if not len(rows[0]):
        return []
    before, after = a.scores.probability[rows[0]], b.scores.probability[rows[1]]
    y = b.scores.y[rows[1]]
    judged = not too_few_to_judge(int((y == 1).sum()), int((y == 0).sum()))
    found = []
    if min((y == 1).sum(), (y == 0).sum()) >= 2:
        aucs = [float(placements(y, score)[0].mean() / (y == 0).sum()) for score in (before, after)]
        found.append(Paired("ROC-AUC", *aucs, auc_difference(y, after, before) if judged else None))
    each = {}
    if cutoffs:
        approve = (before >= cutoffs[0], after >= cutoffs[1])
        for label, prices in _prices(a, b).items():
            each[label] = tuple(_costs(y, chosen, *prices) for chosen in approve)
        each["share approved"] = tuple(chosen.astype(float) for chosen in approve)
    each["Brier score"] = ((before - y) ** 2, (after - y) ** 2)
    for name, (then, now) in each.items():
        difference = _mean(y, now - then) if judged else None
        found.append(Paired(name, float(then.mean()), float(now.mean()), difference))
    return found


def _costs(
    y: np.ndarray, approved: np.ndarray, bad_accepted: float, good_rejected: float
) -> np.ndarray:
    """What each decision costs."""
    return bad_accepted * (approved & (y == 0)) + good_rejected * (~approved & (y == 1))


def _mean(y: np.ndarray, differences: np.ndarray) -> Interval:
    """The mean of paired differences, with its bootstrap interval."""
    return bootstrap_interval(lambda _, each: each.mean(), y, differences, draws=DRAWS, seed=SEED)


def _prices(a: KeptRun, b: KeptRun) -> dict[str, tuple[float, float]]:
    """What decisions cost in either run; where they differ, both models are judged by both."""
    names = ("cost_bad_accepted", "cost_good_rejected")
    told = [tuple(_number((run.registration or {}).get(name)) for name in names) for run in (a, b)]
    known = [prices for prices in dict.fromkeys(told) if None not in prices]
    if len(known) == 1:
        return {"cost per applicant": known[0]}
    return {f"cost per applicant at {bad:g} : {good:g}": (bad, good) for bad, good in known}


def _notes(a: KeptRun, b: KeptRun) -> list[str]:
    """What is missing or odd, each in a sentence."""
    notes = [f"{why[0].upper()}{why[1:]}." for run in (a, b) for why in run.missing]
    for run in (a, b):
        if run.status != "succeeded":
            ended = [
                stage.name for stage in run.stages if stage.status in ("failed", "interrupted")
            ]
            notes.append(f"Run {run.id}: {' in '.join([run.status, *ended[:1]])}.")
    for run in (a, b):
        if run.scores and run.registration and _cutoff(run) is None:
            notes.append(f"Run {run.id} does not tell its cut-off: decisions are not compared.")
    if a.scores and b.scores:
        notes += _columns(a, b, a.scores, b.scores)
    return notes


def _columns(a: KeptRun, b: KeptRun, first: Scores, second: Scores) -> list[str]:
    if first.target != second.target:
        return [
            f"The runs predict different columns, {first.target} and {second.target}: "
            "their applicants cannot be matched."
        ]
    mine, other = first.applicants.columns, second.applicants.columns
    alone = [(a.id, mine.difference(other)), (b.id, other.difference(mine))]
    told = "; ".join(f"only {id} has {', '.join(names)}" for id, names in alone if len(names))
    if not told:
        return []
    return [
        f"The applicants have other columns: {told}. They are matched by those both have, "
        "in order of occurrence where several look alike."
    ]
