"""The challenger in the shadow: is it better than production on the same applicants?

Outcomes are known of those that production has approved. Among them production's own ranking looks
weaker than it is, since it has cut off its low end; a comparison of ROC-AUC favours the challenger.
Probabilities do not have this fault: whoever is chosen by what was known before the outcome, the
right probabilities have the lowest expected Brier score. The claim rests on that score alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.metrics.intervals import Interval, share_interval
from creditrisk.metrics.ranking import FEW, auc_difference
from creditrisk.monitoring.alarms.sequential import Floats

#: The largest bet on one applicant, so that no single outcome can lose more than half.
LARGEST_BET = 0.5


@dataclass(frozen=True)
class Comparison:
    """What production and the challenger made of the same applicants."""

    applicants: int
    outcomes: int  # of those with a score of both
    brier_gain: Interval | None  # production's Brier score less the challenger's; above 0 is better
    auc_gain: Interval | None  # the challenger's ROC-AUC less production's, among those with one
    evidence: float  # the e-value reached so far: against "it is not better"
    swap_set: pd.DataFrame

    def is_better(self, alpha: float) -> bool:
        """Whether "not better" is refuted at a level that holds whenever one looks."""
        return self.evidence >= 1 / alpha


def evidence(gains: Floats) -> Floats:
    """The e-process against "the challenger's Brier score is not lower", outcome by outcome.

    Parameters
    ----------
    gains
        Shape (n,), in order of time: production's squared error less the challenger's.

    Returns
    -------
    ndarray, shape (n,)
        If the challenger is not better, it ever reaches 1 / alpha with probability alpha at most
        (Ville 1939), however often one looks.

    Notes
    -----
    Henzi and Ziegel (2022), Biometrika 109, with the bets of Waudby-Smith and Ramdas (2024),
    Journal of the Royal Statistical Society B 86: each is fixed by the outcomes before it.
    """
    gains = np.asarray(gains, dtype=float)
    seen = np.arange(1, len(gains) + 1)
    mean = np.cumsum(gains) / (seen + 1)
    square = (np.cumsum(gains**2) + 0.25) / (seen + 1)
    bets = np.concatenate([[0.0], np.clip(mean / square, 0, LARGEST_BET)[:-1]])[: len(gains)]
    process: Floats = np.exp(np.cumsum(np.log1p(bets * gains)))
    return process


def compare(decisions: pd.DataFrame, cutoff: float, shadow_cutoff: float) -> Comparison:
    """Production and challenger on the applicants that both have scored.

    Parameters
    ----------
    decisions
        Columns score (production's probability of good), shadow_probability, outcome (1 good,
        0 bad, NaN unknown) and known_since, a time.
    cutoff, shadow_cutoff
        From which probability each approves.
    """
    both = decisions[decisions.shadow_probability.notna()]
    known = both[both.outcome.notna()].sort_values("known_since", kind="stable")
    y = known.outcome.to_numpy()
    ours, theirs = known.score.to_numpy(), known.shadow_probability.to_numpy()
    gains = (ours - y) ** 2 - (theirs - y) ** 2
    enough = min((y == 1).sum(), (y == 0).sum()) >= FEW
    reached = evidence(gains)
    return Comparison(
        len(both),
        len(known),
        _mean(gains) if enough else None,
        auc_difference(y, theirs, ours) if enough else None,
        float(reached.max()) if len(reached) else 1.0,
        swap_set(both, cutoff, shadow_cutoff),
    )


def _mean(gains: Floats) -> Interval:
    error = stats.sem(gains)
    mean, half = float(gains.mean()), float(stats.norm.ppf(0.975) * error)
    p = float(2 * stats.norm.sf(abs(mean) / error)) if error > 0 else 1.0
    return Interval(mean, mean - half, mean + half, p)


def swap_set(both: pd.DataFrame, cutoff: float, shadow_cutoff: float) -> pd.DataFrame:
    """Whom the challenger would decide differently, and what is known of them.

    Returns
    -------
    DataFrame
        One row for each pair of decisions: production, challenger ("approve" or "decline"),
        applicants, known (outcomes), bad, bad_rate with Wilson bounds low and high, and the shares
        of bad that production and the challenger expect among all of these applicants.
    """
    first, second = both.score >= cutoff, both.shadow_probability >= shadow_cutoff
    rows = []
    for ours in (True, False):
        for theirs in (True, False):
            cell = both[(first == ours) & (second == theirs)]
            known = cell.outcome.dropna()
            bad = int((known == 0).sum())
            rate = share_interval(bad, len(known)) if len(known) else Interval(*[np.nan] * 3)
            words = ["approve" if each else "decline" for each in (ours, theirs)]
            counts = len(cell), len(known), bad, rate.estimate, rate.low, rate.high
            expected = 1 - cell.score.mean(), 1 - cell.shadow_probability.mean()
            rows.append((*words, *counts, *expected))
    names = ["production", "challenger", "applicants", "known", "bad", "bad_rate", "low", "high"]
    return pd.DataFrame(rows, columns=[*names, "expected_by_production", "expected_by_challenger"])
