"""Made-up decisions over time in which something may go wrong, to see whether it is noticed.

Applicants are drawn from the data, the real scorer decides, and outcomes follow from known
probabilities. All of it is marked as simulated.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from creditrisk.monitoring.population import Population, log_odds
from creditrisk.monitoring.records import input_name, version_text
from creditrisk.scoring.scorer import Scorer

#: What may go wrong, in words for a help text.
SHIFTS = {
    "none": "nothing changes",
    "mix": "within six months riskier applicants come more often, and the relation of what they "
    "state to their outcome stays",
    "rising-bad-rate": "within a year the odds of a good outcome fall for everybody alike",
    "recoded": "a level of the category that matters most arrives as its neighbour",
    "broken-feed": "the column that matters most arrives with one and the same value",
    "relation": "what applicants state says less about their outcome; the bad rate of all stays",
}

#: At strength 1: standard deviations of the score's log-odds by which applicants get riskier,
#: log-odds by which good outcomes get rarer, and the share of the relation that is lost.
MIX, RISE, LOST = 0.75, 1.0, 0.7

_MIX_MONTHS, _RISE_MONTHS = 6, 12


@dataclass(frozen=True)
class _Story:
    """What goes wrong, from when on and how much."""

    shift: str
    from_month: int
    strength: float

    def lasted(self, months: int) -> np.ndarray:
        """Months that the shift has lasted up to the end of each month, 0 before it."""
        return np.clip(np.arange(months) - self.from_month + 2, 0, None)


def simulate(
    population: Population,
    *,
    months: int,
    per_month: int,
    seed: int,
    shift: str = "none",
    from_month: int = 13,
    strength: float = 1.0,
    outcomes: str = "approved",
    maturity: int = 12,
    start: str = "2024-01",
) -> pd.DataFrame:
    """Draw applications over some months, and what became of them by the end of the last one.

    Parameters
    ----------
    months, per_month
        How many, and applications in each.
    shift
        One of :data:`SHIFTS`.
    from_month
        The first month that is concerned, counted from 1.
    strength
        Of the shift: the share of applications that are recoded or come through the broken feed;
        of the others a factor to the change at strength 1. Between 0 and 1.
    outcomes
        ``"approved"`` for the outcomes of approved applications only, as a bank has them, or
        ``"all"``.
    maturity
        Months from decision to outcome.
    start
        The first month.

    Returns
    -------
    DataFrame, shape (months * per_month, columns)
        As ``frame`` of :class:`creditrisk.monitoring.records.Decisions`.

    Raises
    ------
    ValueError
        If an argument is not one of those, or the data have no category to recode.
    """
    story = _Story(shift, from_month, strength)
    counts = {"months": months, "per_month": per_month, "from_month": from_month}
    _check(population, story, counts, outcomes, maturity)
    generator = np.random.default_rng(seed)
    rows = _drawn(population, story, months, per_month, generator)
    lasted = np.repeat(story.lasted(months), per_month)
    frame = _arrived(population, story, rows, lasted, generator)
    good = generator.random(len(rows)) < _true(population, story, rows, lasted)
    within = np.sort(generator.random((months, per_month)), axis=1)
    times, outcome_times = _moments(start, 0, within), _moments(start, maturity, within)
    known = outcome_times < (np.datetime64(start, "M") + months).astype("datetime64[us]")
    if outcomes == "approved":
        known &= frame["approved"].to_numpy()
    numbers = pd.Series(np.arange(1, len(rows) + 1)).astype(str).str.zfill(len(str(len(rows))))
    frame.insert(0, "id", (f"simulated-{seed}-" + numbers).astype(object))
    frame.insert(1, "caller_id", _throughout(None, len(rows)))
    frame.insert(2, "time", _utc(times))
    frame.insert(3, "model_version", _throughout(_version(population.scorer), len(rows)))
    frame["simulated"], frame["overridden"], frame["final"] = True, False, frame["approved"]
    frame["outcome"] = np.where(known, good, np.nan)
    frame["outcome_time"] = _utc(np.where(known, outcome_times, np.datetime64("NaT")))
    return frame


def _throughout(value: str | None, size: int) -> pd.Series:
    return pd.Series([value] * size, dtype=object)


def _version(scorer: Scorer) -> str:
    return version_text(scorer.version, scorer.sha256)


def _utc(moments: np.ndarray) -> pd.Series:
    return pd.Series(moments.astype("datetime64[us]")).dt.tz_localize("UTC")


def _check(
    population: Population, story: _Story, counts: dict[str, int], outcomes: str, maturity: int
) -> None:
    problems = [f"{name} is {value}; give 1 or more" for name, value in counts.items() if value < 1]
    if maturity < 0:
        problems.append(f"maturity is {maturity}; give 0 or more months")
    if story.shift not in SHIFTS:
        problems.append(f"shift is {story.shift!r}; allowed {', '.join(SHIFTS)}")
    elif story.shift != "none" and story.from_month > counts["months"]:
        problems.append(f"from_month is {story.from_month}, after the last of the months")
    elif story.shift == "recoded" and story.shift not in population.faulty:
        problems.append("shift is 'recoded', and the model uses no category that could be recoded")
    if not 0 <= story.strength <= 1:
        problems.append(f"strength is {story.strength}; give 0 to 1")
    if outcomes not in ("approved", "all"):
        problems.append(f"outcomes is {outcomes!r}; allowed approved, all")
    if problems:
        raise ValueError("; ".join(problems))


def _drawn(
    population: Population,
    story: _Story,
    months: int,
    per_month: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Rows of the population, (months * per_month,), month by month, drawn with replacement.

    Where applicants get riskier, each is drawn in proportion to ``exp(-riskier * z)``, z being the
    standardised log-odds of the score: an exponential tilt, by which the mean of a normal z falls
    by ``riskier`` standard deviations.
    """
    n = len(population.good)
    rows = generator.integers(0, n, (months, per_month))
    if story.shift == "mix":
        scores = log_odds(population.recorded.probability)
        z = (scores - scores.mean()) / (scores.std() or 1)
        riskier = MIX * story.strength * np.minimum(story.lasted(months) / _MIX_MONTHS, 1)
        for month in np.flatnonzero(riskier > 0):
            weights = np.exp(-riskier[month] * z)
            rows[month] = generator.choice(n, per_month, p=weights / weights.sum())
    return rows.ravel()


def _arrived(
    population: Population,
    story: _Story,
    rows: np.ndarray,
    lasted: np.ndarray,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """The drawn applications as they arrive, and what the models make of them."""
    scores, cutoff = population.recorded, population.scorer.cutoff
    frame = scores.applicants.take(rows).reset_index(drop=True)
    probability, shadow = scores.probability[rows], scores.shadow[rows]
    if story.shift in population.faulty:
        name, faulty = population.faulty[story.shift]
        hit = (lasted > 0) & (generator.random(len(rows)) < story.strength)
        arrived = faulty.applicants[name].take(rows).reset_index(drop=True)
        frame[name] = frame[name].where(~hit, arrived)
        probability = np.where(hit, faulty.probability[rows], probability)
        shadow = np.where(hit, faulty.shadow[rows], shadow)
    version = _version(population.shadow) if population.shadow else None
    frame = frame.rename(columns=input_name)
    frame["probability"], frame["cutoff"] = probability, cutoff
    frame["approved"] = probability >= cutoff
    frame["shadow_version"] = _throughout(version, len(rows))
    frame["shadow_probability"] = shadow
    return frame


def _true(
    population: Population, story: _Story, rows: np.ndarray, lasted: np.ndarray
) -> np.ndarray:
    """The true probability of a good outcome of each drawn application, (n,)."""
    true: np.ndarray = population.good[rows]
    if story.shift == "rising-bad-rate":
        fall = RISE * story.strength * np.minimum(lasted / _RISE_MONTHS, 1)
        true = np.where(lasted > 0, expit(log_odds(true) - fall), true)
    elif story.shift == "relation":
        weaker = _weakened(population.good, 1 - LOST * story.strength)
        true = np.where(lasted > 0, weaker[rows], true)
    return true


def _weakened(good: np.ndarray, slope: float) -> np.ndarray:
    """Probabilities whose log-odds spread by the factor ``slope``, with the same mean."""
    scores = log_odds(good)
    mean = expit(scores).mean()
    centre = brentq(lambda shift: expit(shift + slope * scores).mean() - mean, -30, 30)
    weakened: np.ndarray = expit(centre + slope * scores)
    return weakened


def _moments(start: str, later: int, within: np.ndarray) -> np.ndarray:
    """Moments so many months later, by the share of the month that has passed; microseconds."""
    months = np.datetime64(start, "M") + np.arange(len(within) + 1) + later
    begins = months.astype("datetime64[s]").astype(np.int64)
    seconds = begins[:-1, None] + (within * np.diff(begins)[:, None]).astype(np.int64)
    moments: np.ndarray = seconds.ravel().astype("datetime64[s]").astype("datetime64[us]")
    return moments
