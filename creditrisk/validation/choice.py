"""How far cut-off and reasons depend on who happened to be in the training set.

Which model wins is picked again by the comparison itself, see
:class:`creditrisk.modelling.optimism.Selection`, and how far decisions depend on the fit is known
from the registration, see :mod:`creditrisk.modelling.refit_stability`.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from creditrisk.data.contract import Json
from creditrisk.data.encoding import encoder
from creditrisk.metrics.intervals import weight_of
from creditrisk.modelling.candidates import decision_model
from creditrisk.modelling.pipelines import fit
from creditrisk.modelling.refit_stability import resampled
from creditrisk.scoring.scorer import Scorer
from creditrisk.validation.reasons import strongest
from work_units.units import run_units

#: A cut-off is near another within this distance.
NEAR = 0.05


@dataclass(frozen=True)
class CutoffSpread:
    """The cut-offs that resampled applicants would have led to, and what they would decide."""

    cutoff: float  # the one that was registered
    low: float  # the central 95% of those that were chosen
    high: float
    near: float  # share of the samples whose cut-off is within NEAR of the registered one
    turned: float  # mean share of the test applicants whom they decide otherwise
    approved: float  # shares of the test applicants approved: at the registered cut-off,
    approved_at_low: float
    approved_at_high: float

    @property
    def figures(self) -> dict[str, float]:
        """The spread as JSON holds it."""
        return asdict(self) | {"near_is_within": NEAR}


def cutoff_spread(chosen: np.ndarray, cutoff: float, score: np.ndarray) -> CutoffSpread:
    """How far the cut-off moves over resampled applicants.

    Parameters
    ----------
    chosen
        The cut-off of each sample, from :func:`creditrisk.metrics.cutoff_choice.cutoffs_chosen`.
    cutoff
        The one that was registered.
    score
        Shape (n,), the registered model's probabilities of applicants to be decided on.
    """
    low, high = map(float, np.quantile(chosen, [0.025, 0.975]))
    ordered = np.sort(score)

    def declined(cutoffs: np.ndarray | float) -> np.ndarray:
        """The share of applicants below each cut-off."""
        return np.asarray(np.searchsorted(ordered, cutoffs) / len(ordered))

    return CutoffSpread(
        cutoff,
        low,
        high,
        near=float((np.abs(chosen - cutoff) <= NEAR + 1e-9).mean()),
        # two cut-offs decide otherwise on those whose scores lie between them
        turned=float(np.abs(declined(chosen) - declined(cutoff)).mean()),
        approved=float(1 - declined(cutoff)),
        approved_at_low=float(1 - declined(low)),
        approved_at_high=float(1 - declined(high)),
    )


@dataclass(frozen=True)
class ReasonStability:
    """What fitting again on resampled training sets does to the strongest reason of a decline."""

    refits: int
    declined: int  # applicants whose reasons were looked at
    differs: float  # mean share of the refits whose strongest reason is another field
    lowest: float  # the same share of the applicants in the refit in which it is lowest,
    highest: float  # and in the one in which it is highest
    unsteady: float  # share of applicants for whom at least half of the refits name another field
    by_field: dict[str, float]  # by the field of the registered model's reason: the share

    @property
    def figures(self) -> Json:
        """The stability as JSON holds it."""
        return asdict(self)


def reason_stability(
    scorer: Scorer,
    estimator: BaseEstimator,
    X: pd.DataFrame,
    y: pd.Series,
    declined: pd.DataFrame,
    *,
    refits: int,
    seed: int,
    workers: int = -1,
    weight: np.ndarray | None = None,
) -> ReasonStability | None:
    """Fit again on bootstrap samples of the training set, and ask each refit for its reasons.

    Every refit compares with the reference of the registered model, so that only the fit differs.
    The samples are those of :func:`~creditrisk.modelling.refit_stability.refit_stability`.

    Parameters
    ----------
    scorer
        The registered model.
    estimator
        The same, of encoded columns and unfitted.
    X, y
        Encoded matrix (n, columns) and outcomes (n,) of the training set.
    declined
        Raw applications that it declines, and that it has not learned from.
    weight
        Shape (n,), how many applications each training row stands for; None: each counts once.

    Returns
    -------
    ReasonStability or None
        None without refits, without declined applicants, or if the model has no reasons.
    """
    if not refits or declined.empty or scorer.reference is None:
        return None
    registered = strongest(scorer.effects(declined)[0], scorer.nameable(declined))
    # the tables are the registered model's, and slower to make than a refit is to ask without
    bare = replace(scorer, tables=None)
    units = [(bare, estimator, X, y, weight, declined, seed + number) for number in range(refits)]
    other = np.array(run_units(_strongest_of_a_refit, units, workers)) != registered
    by_refit, by_applicant = other.mean(axis=1), other.mean(axis=0)
    names = [field.name for field in scorer.contract.fields]
    return ReasonStability(
        refits=refits,
        declined=len(declined),
        differs=float(other.mean()),
        lowest=float(by_refit.min()),
        highest=float(by_refit.max()),
        unsteady=float((by_applicant >= 0.5).mean()),
        by_field={
            names[number]: float(by_applicant[registered == number].mean())
            for number in np.unique(registered)
        },
    )


def _strongest_of_a_refit(
    scorer: Scorer,
    estimator: BaseEstimator,
    X: pd.DataFrame,
    y: pd.Series,
    weight: np.ndarray | None,
    declined: pd.DataFrame,
    seed: int,
) -> np.ndarray:
    """The number of the field that one refit names first, by applicant."""
    rows, _ = resampled(y, seed)
    pipeline = decision_model(encoder(scorer.contract), clone(estimator), scorer.cutoff)
    counted = weight_of(weight, rows)
    fit(pipeline.named_steps["decide"], X.iloc[rows], y.iloc[rows], counted)
    return strongest(
        replace(scorer, pipeline=pipeline).effects(declined)[0], scorer.nameable(declined)
    )
