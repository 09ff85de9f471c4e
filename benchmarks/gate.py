"""How often the promotion gate lets good and bad models pass, by simulation.

    uv run python benchmarks/gate.py                # some three minutes
    uv run python benchmarks/gate.py --runs 50

Applicants: 70% are good, their evidence is normal with a shift that makes the ROC-AUC of the
right probabilities .77; a quarter belong to a group that differs in nothing. A bad loan costs 5, a
good applicant declined 1; the cut-off is the break-even, 5/6. Scores held out in training are those
of four times as many applicants. The gate has the defaults of 05_validation, and nothing is in
production. With 100 runs, a share's standard error is at most 5 points.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm

from creditrisk.metrics import calibration, ranking
from creditrisk.metrics.costs import break_even, saving_interval
from creditrisk.metrics.intervals import share_interval
from creditrisk.validation.fairness import disparity
from creditrisk.validation.gate import rules as gate_rules
from creditrisk.validation.gate.verdicts import Decision, Verdict, decide

GOOD, AUC, PRICES = 0.7, 0.77, (5.0, 1.0)
SHIFT = float(np.sqrt(2) * norm.ppf(AUC))
SIZES = (200, 2000)


@dataclass(frozen=True)
class Applicants:
    """Outcomes, right probabilities of good and groups of a sample."""

    y: np.ndarray
    right: np.ndarray
    minority: np.ndarray


@dataclass(frozen=True)
class Model:
    """A score by name, and the share of applicants it approves, if not those over break-even."""

    name: str
    score: Callable[[Applicants, np.random.Generator], np.ndarray]
    approves: float | None = None


def honest(people: Applicants, _: np.random.Generator) -> np.ndarray:
    """The right probabilities."""
    return people.right


def useless(people: Applicants, generator: np.random.Generator) -> np.ndarray:
    """The right probabilities, given to the wrong applicants."""
    return generator.permutation(people.right)


def too_extreme(people: Applicants, _: np.random.Generator) -> np.ndarray:
    """Log-odds spread about their centre, so that the calibration slope is .6."""
    centre = logit(GOOD)
    return expit(centre + (logit(people.right) - centre) / 0.6)


def unfair(people: Applicants, _: np.random.Generator) -> np.ndarray:
    """The right probabilities, but for a group whose log-odds are lowered by 1.5."""
    return expit(logit(people.right) - 1.5 * people.minority)


MODELS = [
    Model("honest and good", honest),
    Model("useless", useless),
    Model("too extreme (slope .6)", too_extreme),
    Model("unfair to a group", unfair),
    Model("good, lends to 1%", honest, approves=0.01),
]


def main() -> None:
    """Run the simulation and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="of each cell (default: 100)")
    parser.add_argument("--draws", type=int, default=300, help="bootstrap samples (default: 300)")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    print(
        "| model | test applicants | passed | without a warning | stopped "
        "| passed if savings are required | stops most: the model ... | warns most |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for model in MODELS:
        for n in SIZES:
            print(line(model, n, asked.runs, asked.draws, asked.seed), flush=True)


def line(model: Model, n: int, runs: int, draws: int, seed: int) -> str:
    """One row of the table: what the gate makes of a model in many samples of ``n``."""
    generator = np.random.default_rng([seed, n, MODELS.index(model)])
    decisions = [judged(model, n, draws, generator) for _ in range(runs)]
    passed = [decision for decision, _ in decisions if decision.promotes]
    clean = sum(decision.outcome == "passed" for decision in passed)
    stopped = sum(decision.result == "stopped" for decision, _ in decisions)
    strict = sum(decision.promotes for _, decision in decisions)
    reasons = [most(decisions, verdict) for verdict in (Verdict.STOP, Verdict.WARNING)]
    shares = [f"{count / runs:.0%}" for count in (len(passed), clean, stopped, strict)]
    return f"| {model.name} | {n:,} | {' | '.join(shares + reasons)} |"


def most(decisions: list[tuple[Decision, Decision]], verdict: Verdict) -> str:
    """The rule that comes to a verdict most often, and in how many of the samples."""
    names = Counter(
        rule.name for each, _ in decisions for rule in each.rules if rule.verdict == verdict
    )
    return "; ".join(f"{name}, {n / len(decisions):.0%}" for name, n in names.most_common(1))


def judged(
    model: Model, n: int, draws: int, generator: np.random.Generator
) -> tuple[Decision, Decision]:
    """The gate's decisions on a new sample, by default and with savings required."""
    people, before = sample(n, generator), sample(4 * n, generator)
    y, score = people.y, model.score(people, generator)
    cutoff = break_even(*PRICES)
    if model.approves is not None:
        cutoff = float(np.quantile(score, 1 - model.approves))
    approve = score >= cutoff
    auc = ranking.auc_interval(y, score)
    held_out = ranking.auc_interval(before.y, model.score(before, generator))
    how = {"draws": draws, "seed": int(generator.integers(2**31))}
    saving = saving_interval(y, score, cutoff, *PRICES, **how)
    groups = {"group": pd.Series(np.where(people.minority, "few", "many"))}
    by_group, ratios = disparity.audit(y, score, approve, groups)
    of_good = disparity.opportunity_ratios(y, approve, groups)
    lowest = [disparity.lowest_ratio(each, by_group, approve) for each in (ratios, of_good)]
    rules = [
        *gate_rules.better_than_chance(auc, held_out),
        gate_rules.better_than_base_rate(calibration.brier_gain(y, score, GOOD, **how)),
        gate_rules.not_too_good(auc, 0.95),
        gate_rules.calibrated(calibration.calibration_line(y, score), 1.25),
        gate_rules.approves_enough(share_interval(approve.sum(), n), 0.05),
        *gate_rules.fair(*lowest, 0.8, stops=False),
    ]
    by_default, required = (gate_rules.saves(saving, require) for require in (False, True))
    return decide([*rules, by_default], 1), decide([*rules, required], 1)


def sample(n: int, generator: np.random.Generator) -> Applicants:
    """Applicants of the world described at the top."""
    y = (generator.random(n) < GOOD).astype(int)
    evidence = generator.normal(SHIFT * (y - 0.5), 1)
    right = expit(logit(GOOD) + SHIFT * evidence)
    return Applicants(y, right, generator.random(n) < 0.25)


if __name__ == "__main__":
    main()
