"""What a model's decisions save against rules that look at no applicant.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

from dataclasses import dataclass

import numpy as np

from creditrisk.metrics.costs import expected_cost
from creditrisk.metrics.intervals import Interval, bootstrap_interval


@dataclass(frozen=True)
class Saving:
    """Cost per applicant saved against the cheaper of approving everybody and nobody."""

    per_applicant: Interval
    over: str  # the cheaper of the two rules


def flat_costs(y: np.ndarray, bad_accepted: float, good_rejected: float) -> dict[str, float]:
    """Cost per applicant of approving everybody and of approving nobody, by name."""
    bad = float((np.asarray(y) == 0).mean())
    return {
        "approving everybody": bad_accepted * bad,
        "approving nobody": good_rejected * (1 - bad),
    }


def saving_interval(
    y: np.ndarray,
    score: np.ndarray,
    cutoff: float,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
) -> Saving:
    """What deciding at a cut-off saves, with the interval of a paired bootstrap over applicants.

    Model and rule meet the same applicants in every sample, and the cheaper rule is found anew in
    each. Samples have the share of bad applicants that ``y`` has.

    Parameters
    ----------
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant, in the same unit.
    """
    prices = bad_accepted, good_rejected

    def saved(y: np.ndarray, score: np.ndarray) -> float:
        paid = expected_cost(y, score, np.array([cutoff]), *prices)[0]
        return float(min(flat_costs(y, *prices).values()) - paid)

    flat = flat_costs(y, *prices)
    interval = bootstrap_interval(saved, y, score, draws=draws, seed=seed)
    return Saving(interval, min(flat, key=lambda name: flat[name]))
