"""The cheapest cut-off on held-out scores, and how much cheaper it looks than it is.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from creditrisk.metrics.costs import CUTOFFS, break_even, decisions_by_cutoff, expected_cost

#: A cut-off is about as cheap as the cheapest if it costs no more than this more per applicant.
ABOUT_AS_CHEAP = 0.02


@dataclass(frozen=True)
class CutoffChoice:
    """The cheapest cut-off on held-out scores, and what it is compared with."""

    cutoff: float  # an application whose probability of good reaches it is approved
    cost: float  # per applicant, at the cut-off
    about_as_cheap: tuple[float, float]  # lowest and highest cut-off that cost about the same
    break_even: float  # the cheapest cut-off if the probabilities were right
    approved: float  # share of applicants, at the cut-off
    bad_among_approved: float | None  # None if nobody is approved
    approving_everybody: float  # cost per applicant
    approving_nobody: float  # cost per applicant
    by_cutoff: pd.DataFrame  # from :func:`decisions_by_cutoff`
    #: Share approved at the lowest and at the highest cut-off that cost about the same.
    approved_about_as_cheap: tuple[float, float]

    @property
    def figures(self) -> dict[str, float | list[float] | None]:
        """The choice as JSON holds it, apart from the cut-off and its cost."""
        return {
            "break_even": self.break_even,
            "cutoffs_about_as_cheap": list(self.about_as_cheap),
            "approved_about_as_cheap": list(self.approved_about_as_cheap),
            "approved": self.approved,
            "bad_among_approved": self.bad_among_approved,
            "cost_approving_everybody": self.approving_everybody,
            "cost_approving_nobody": self.approving_nobody,
        }


def cheapest_cutoff(
    y: np.ndarray,
    scores: np.ndarray,
    bad_accepted: float,
    good_rejected: float,
    weight: np.ndarray | None = None,
) -> CutoffChoice:
    """The cut-off of :data:`CUTOFFS` with the lowest expected cost on held-out scores.

    Parameters
    ----------
    y
        Shape (n,).
    scores
        Shape (repeats, n): each applicant's score once a repeat; costs are averaged over them.
    bad_accepted, good_rejected
        Cost of approving a bad and of declining a good applicant, in the same unit.
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.
    """
    prices = bad_accepted, good_rejected
    bad_rate = float(np.average(np.asarray(y) == 0, weights=weight))
    cost = np.mean([expected_cost(y, once, CUTOFFS, *prices, weight) for once in scores], axis=0)
    cheapest = int(cost.argmin())
    far = np.flatnonzero(cost > cost[cheapest] + ABOUT_AS_CHEAP)
    first = max(far[far < cheapest], default=-1) + 1
    last = min(far[far > cheapest], default=len(CUTOFFS))
    near = CUTOFFS[first:last]  # the stretch around the cheapest, without a dearer one between
    repeated = None if weight is None else np.tile(weight, len(scores))
    table = decisions_by_cutoff(np.tile(y, len(scores)), np.ravel(scores), CUTOFFS, repeated)
    approved, bad = map(float, table.iloc[cheapest][["approved", "bad_among_approved"]])
    most, least = (float(table.approved[end]) for end in (near.min(), near.max()))
    return CutoffChoice(
        cutoff=float(CUTOFFS[cheapest]),
        cost=float(cost[cheapest]),
        about_as_cheap=(float(near.min()), float(near.max())),
        break_even=break_even(*prices),
        approved=approved,
        bad_among_approved=bad if approved else None,
        approving_everybody=bad_accepted * bad_rate,
        approving_nobody=good_rejected * (1 - bad_rate),
        by_cutoff=table,
        approved_about_as_cheap=(most, least),
    )


@dataclass(frozen=True)
class CutoffOptimism:
    """What the cheapest cut-off costs applicants who took no part in its choice."""

    in_bag: float  # mean cost per applicant at the cut-off that is cheapest for those drawn
    out_of_bag: float  # mean cost of the same cut-offs for those who were not drawn
    chosen: tuple[float, float]  # the central 95% of the cut-offs that were chosen

    @property
    def figures(self) -> dict[str, float | list[float]]:
        """The optimism as JSON holds it."""
        return {
            "cutoff_cost_in_bag": self.in_bag,
            "cutoff_cost_out_of_bag": self.out_of_bag,
            "cutoffs_chosen": list(self.chosen),
        }


def cutoff_optimism(
    y: np.ndarray,
    scores: np.ndarray,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> CutoffOptimism:
    """How much cheaper the chosen cut-off looks on the scores that it was chosen by.

    Parameters
    ----------
    y, scores, weight
        As :func:`cheapest_cutoff` takes them: shapes (n,), (repeats, n) and (n,).
    draws
        Bootstrap samples of the applicants; in each the cheapest cut-off is chosen anew and judged
        by the applicants who were not drawn (Efron 1983, JASA 78, out-of-bag estimate).
    """
    costs = _costs_by_cutoff(y, scores, bad_accepted, good_rejected)
    drawn = _times_drawn(len(costs), draws, seed)
    counts = np.ones(len(costs)) if weight is None else weight
    chosen, rest = (drawn * counts @ costs).argmin(axis=1), (drawn == 0) * counts
    cost = drawn * counts @ costs / (drawn @ counts)[:, None]
    outside = (rest @ costs)[np.arange(draws), chosen] / rest.sum(axis=1)
    low, high = np.quantile(CUTOFFS[chosen], [0.025, 0.975])
    return CutoffOptimism(float(cost.min(axis=1).mean()), float(outside.mean()), (low, high))


def cutoffs_chosen(
    y: np.ndarray,
    scores: np.ndarray,
    bad_accepted: float,
    good_rejected: float,
    *,
    draws: int,
    seed: int,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """The cheapest cut-off of each of the bootstrap samples of :func:`cutoff_optimism`.

    Returns
    -------
    ndarray, shape (draws,)
    """
    costs = _costs_by_cutoff(y, scores, bad_accepted, good_rejected)
    drawn = _times_drawn(len(costs), draws, seed)
    drawn = drawn if weight is None else drawn * weight
    chosen: np.ndarray = CUTOFFS[(drawn @ costs).argmin(axis=1)]
    return chosen


def _costs_by_cutoff(
    y: np.ndarray, scores: np.ndarray, bad_accepted: float, good_rejected: float
) -> np.ndarray:
    """The cost of each applicant at each of :data:`CUTOFFS`, the mean over repeats, (n, 99)."""
    y = np.asarray(y)
    prices = np.where(y == 0, bad_accepted, good_rejected)
    costs = np.zeros((len(y), len(CUTOFFS)))
    for once in np.asarray(scores):
        wrong = (once[:, None] >= CUTOFFS) == (y == 0)[:, None]
        costs += wrong * prices[:, None] / len(scores)
    return costs


def _times_drawn(n: int, draws: int, seed: int) -> np.ndarray:
    """How often each of n applicants is in each bootstrap sample, shape (draws, n)."""
    generator = np.random.default_rng(seed)
    return np.array([np.bincount(generator.integers(0, n, n), minlength=n) for _ in range(draws)])
