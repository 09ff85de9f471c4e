"""How often monitoring alarms a quiet year, and how soon it finds what was planted in one.

    uv run python benchmarks/monitoring.py                 # the table of docs/monitoring.md
    uv run python benchmarks/monitoring.py --quiet 50 --shifted 20
    uv run python benchmarks/monitoring.py --decisions 100000     # how long one log takes

In every simulated year all is drawn anew: 800 applicants to train on (from the rows of the raw
file, with outcomes by a logistic model of them, which is the truth), a logistic model fitted to
them with its held-out scores and cheapest cut-off, and twelve months of 300 decisions. Outcomes of
the approved are known three months after the decision. What is planted begins with the fourth
month; the months to detection count from there, the first being 1.

Beside it, on the same draws: PSI above .25 in any column, and a test at 5% of every column each
month, and of the share of bad against the expected one, uncorrected.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from creditrisk.data import encoding
from creditrisk.data.contract import Contract
from creditrisk.data.descriptor import read_contract
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.metrics.cutoff_choice import cheapest_cutoff
from creditrisk.metrics.intervals import share_interval
from creditrisk.monitoring.months import timeline
from creditrisk.monitoring.verdict import judge
from creditrisk.monitoring.watch import Baseline, Watch, known_until, watch

RAW = Path(__file__).resolve().parent.parent / "data/raw"
MONTHS, PER_MONTH, TRAINING, START, MATURE = 12, 300, 800, 3, 3
ALPHA, DRAWS, USUAL_PSI, USUAL_P = 0.05, 500, 0.25, 0.05
WITHIN = 6
METHODS = ("monitoring", "PSI > .25", "every test at 5%")


@dataclass(frozen=True)
class Population:
    """Applicants to draw from: as they are, as they are recorded, and their true log-odds."""

    raw: pd.DataFrame
    matrix: np.ndarray  # what a model sees, shape (n, columns)
    odds: np.ndarray  # of being good
    weight: np.ndarray  # how often each applies


@cache
def population() -> tuple[Contract, Population]:
    """The raw file with a logistic model of it as the truth."""
    contract = read_contract(RAW / "datapackage.json")
    raw = read_raw(RAW / "german_credit_data.csv", contract)
    matrix = encoding.encoder(contract).transform(raw).to_numpy(dtype=float)
    truth = _model().fit(matrix, encoding.target(raw, contract))
    odds = logit(truth.predict_proba(matrix)[:, 1])
    return contract, Population(raw, matrix, odds, np.full(len(raw), 1 / len(raw)))


def _model():
    return make_pipeline(StandardScaler(), LogisticRegression())


def quiet(people: Population, _: Contract) -> Population:
    """Nothing changes."""
    return people


def riskier(people: Population, _: Contract) -> Population:
    """The mix shifts: an applicant whose log-odds are a standard deviation lower comes 1.5 times
    as often."""
    z = (people.odds - people.odds.mean()) / people.odds.std()
    weight = people.weight * 1.5**-z
    return replace(people, weight=weight / weight.sum())


def worse(people: Population, _: Contract) -> Population:
    """Everybody's odds of being good halve."""
    return replace(people, odds=people.odds - np.log(2))


def flat(people: Population, _: Contract) -> Population:
    """The relation changes: a fifth is left of what distinguishes good from bad."""
    return replace(people, odds=people.odds.mean() + 0.2 * (people.odds - people.odds.mean()))


def recoded(people: Population, contract: Contract) -> Population:
    """In a third of the rows the most frequent level of one category is written as another."""
    field = max(contract.categories, key=lambda field: len(field.levels))
    column = people.raw[field.name]
    usual = column.mode().iloc[0]
    other = next(level for level in field.levels if level != usual)
    hit = (column == usual) & (np.arange(len(column)) % 3 == 0)
    return _recorded(people, contract, field.name, column.where(~hit, other))


def broken(people: Population, contract: Contract) -> Population:
    """In a fifth of the rows a feed gives one quantity its median."""
    name = contract.numbers[-1].name
    column = people.raw[name]
    middle = int(column.median())
    hit = np.arange(len(column)) % 5 == 0
    return _recorded(people, contract, name, column.where(~hit, middle))


def _recorded(people: Population, contract: Contract, name: str, column: pd.Series) -> Population:
    raw = people.raw.assign(**{name: column})
    matrix = encoding.encoder(contract).transform(raw).to_numpy(dtype=float)
    return replace(people, raw=raw, matrix=matrix)


PLANTED: dict[str, Callable[[Population, Contract], Population]] = {
    "riskier applicants": riskier,
    "odds of good halved": worse,
    "relation weakened": flat,
    "a third of a level recoded": recoded,
    "a fifth of a feed stuck": broken,
}


def year(
    seed: int, change: Callable[[Population, Contract], Population], n: int, draws: int = DRAWS
) -> Watch:
    """One simulated year, judged."""
    contract, before = population()
    after, generator = change(before, contract), np.random.default_rng(seed)
    rows = generator.choice(len(before.odds), TRAINING, p=before.weight)
    y = (generator.random(TRAINING) < expit(before.odds[rows])).astype(int)
    X = before.matrix[rows]
    fitted = _model().fit(X, y)
    held_out = cross_val_predict(_model(), X, y, cv=10, method="predict_proba")[:, 1]
    cutoff = cheapest_cutoff(y, held_out[None], 5.0, 1.0).cutoff
    baseline = Baseline(before.raw.iloc[rows], y, held_out, cutoff, contract)

    months = []
    for number in range(MONTHS):
        people = after if number >= START else before
        drawn = generator.choice(len(people.odds), n, p=people.weight)
        month = people.raw.iloc[drawn].reset_index(drop=True)
        score = fitted.predict_proba(people.matrix[drawn])[:, 1]
        month["time"] = pd.Timestamp(2026, number + 1, 15, tz="UTC")
        month["score"] = score
        good = generator.random(n) < expit(people.odds[drawn])
        known = (score >= cutoff) & (number + MATURE < MONTHS)
        month["outcome"] = np.where(known, good, np.nan)
        came = pd.Timestamp(2026, min(number + MATURE, 11) + 1, 15, tz="UTC")
        month["known_since"] = pd.Series(came, month.index).where(known)
        months.append(month)
    decisions = pd.concat(months, ignore_index=True)
    line = timeline(decisions)
    return watch(known_until(decisions, line), baseline, line, ALPHA, draws=draws, seed=seed)


def first_alarms(seed: int, shift: str) -> list[float]:
    """The month of each method's first alarm from the planted one on, in the order of METHODS.

    In a quiet year from the first month on; infinite without an alarm.
    """
    watched = year(seed, PLANTED.get(shift, quiet), PER_MONTH)
    start = START if shift else 0
    number = {name: place for place, name in enumerate(watched.months.names)}
    drift = watched.drift.assign(month=watched.drift.month.map(number))
    relation = watched.relation.assign(month=watched.relation.month.map(number))
    alone, level = drift[drift.window == 1], relation[relation.window == 1]
    # a plain test of each column: the index as chi-squared, the bad rate by its normal score
    degrees = alone.column.map(_degrees(watched))
    size = TRAINING * alone.applicants / (TRAINING + alone.applicants)
    passed = [
        pd.concat([drift.month[drift.alarm], relation.month[relation.alarm.astype(bool)]]),
        alone.month[alone.psi > USUAL_PSI],
        pd.concat(
            [
                alone.month[stats.chi2.sf(size * alone.psi, degrees) < USUAL_P],
                level.month[(level.low > 0) | (level.high < 0)],
            ]
        ),
    ]
    return [float(min(found[found >= start], default=np.inf)) - start + 1 for found in passed]


def _degrees(watched: Watch) -> pd.Series:
    """Degrees of freedom by column."""
    return pd.Series(watched.degrees, index=list(watched.columns))


def lines(quiet_years: int, shifted_years: int, workers: int) -> Iterator[str]:
    """The lines of docs/monitoring.md on quiet years and on what is planted, as they are found."""
    with ProcessPoolExecutor(workers) as pool:
        runs = pool.map(partial(first_alarms, shift=""), range(quiet_years), chunksize=10)
        found = np.array(list(runs))
        rates = [share_interval(int(each.sum()), quiet_years) for each in np.isfinite(found).T]
        yield f"{quiet_years} quiet years; nominal rate of alarms {ALPHA:.0%}:"
        for name, rate in zip(METHODS, rates, strict=True):
            interval = f"{rate.low:.1%} to {rate.high:.1%}"
            yield f"- {name}: {rate.estimate:.1%} ({interval}) with an alarm"
        yield f"\n{shifted_years} years each; months to the first alarm (found within six):\n"
        yield f"| planted | {' | '.join(METHODS)} |\n|---|" + "---|" * len(METHODS)
        for shift in PLANTED:
            seeds = range(10_000, 10_000 + shifted_years)
            found = np.array(list(pool.map(partial(first_alarms, shift=shift), seeds, chunksize=5)))
            cells = []
            for each in found.T:
                median = np.median(each)
                months = f"{median:.0f}" if np.isfinite(median) else "not in the year"
                cells.append(f"{months} ({(each <= WITHIN).mean():.0%})")
            yield f"| {shift} | {' | '.join(cells)} |"


def time_one(decisions: int) -> str:
    """How long a log of so many decisions takes to be judged, with the notebook's draws."""
    began = time.perf_counter()
    verdict = judge(year(1, quiet, decisions // MONTHS, draws=2000))
    seconds = time.perf_counter() - began
    return f"{decisions:,} decisions drawn and judged in {seconds:.1f} s: {verdict.level}"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quiet", type=int, default=1000, help="quiet years")
    arguments.add_argument("--shifted", type=int, default=200, help="years for each planted shift")
    arguments.add_argument("--workers", type=int, default=2, help="processes")
    arguments.add_argument("--decisions", type=int, help="time one log of so many instead")
    asked = arguments.parse_args()
    if asked.decisions:
        print(time_one(asked.decisions))
    else:
        for line in lines(asked.quiet, asked.shifted, asked.workers):
            print(line, flush=True)
