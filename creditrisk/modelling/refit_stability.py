"""How far the decisions depend on which applicants happened to be in the training set."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from creditrisk.metrics.intervals import weight_of
from creditrisk.modelling.pipelines import fit
from work_units.units import run_units

#: An applicant is unsteady if at least this share of the refits decides against the majority.
UNSTEADY = 0.2
#: An applicant is judged by no fewer refits than this that were fitted without him.
FEWEST = 5


@dataclass(frozen=True)
class RefitStability:
    """What fitting again on resampled training sets does to decisions."""

    refits: int
    judged: int  # applicants left out of enough refits to be judged
    turned: float  # mean share of refits that decide against the majority of an applicant's
    unsteady: float  # share of applicants with at least UNSTEADY of their refits against it
    spread: float  # median over applicants of the 5% to 95% range of their probabilities

    @property
    def figures(self) -> dict[str, float]:
        """The stability as JSON holds it."""
        return asdict(self)


def refit_stability(
    estimator: BaseEstimator,
    X: pd.DataFrame,
    y: pd.Series,
    cutoff: float,
    *,
    refits: int,
    seed: int,
    workers: int = -1,
    keep: str | Path | None = None,
    weight: np.ndarray | None = None,
) -> RefitStability | None:
    """Fit again on bootstrap samples of the applicants, and decide on those who were not drawn.

    Parameters
    ----------
    estimator
        Of encoded columns; it is cloned, not changed.
    X, y
        Encoded matrix (n, columns) and outcomes (n,), 1 = good and 0 = bad.
    cutoff
        Probability of good from which on an applicant is approved.
    refits
        Bootstrap samples; about 0.37 of them leave a given applicant out.
    workers, keep, weight
        As :func:`~creditrisk.modelling.cross_validation.cross_validate` takes them.

    Returns
    -------
    RefitStability or None
        None if nobody was left out of enough refits, as with few refits or none.

    Notes
    -----
    The instability of classifications and of probabilities of Riley and Collins (2023, Biometrical
    Journal 65), on applicants outside each sample. The samples keep the number of good and of bad.
    """
    units = [(estimator, X, y, weight, seed + number) for number in range(refits)]
    if not units:
        return None
    scores = np.array(run_units(_scores_left_out, units, workers, keep))  # (refits, n)
    return stability_of(scores, cutoff)


def stability_of(scores: np.ndarray, cutoff: float) -> RefitStability | None:
    """The stability of decisions at a cut-off.

    Parameters
    ----------
    scores
        Shape (refits, n), each refit's probabilities of good; NaN where the applicant was drawn.
    cutoff
        As :func:`refit_stability` takes it.

    Returns
    -------
    RefitStability or None
        None if nobody was left out of enough refits.
    """
    enough = (~np.isnan(scores)).sum(axis=0) >= FEWEST
    if not enough.any():
        return None
    scores = scores[:, enough]
    present = ~np.isnan(scores)
    approved = ((scores >= cutoff) & present).sum(axis=0) / present.sum(axis=0)
    against = np.minimum(approved, 1 - approved)
    low, high = np.nanquantile(scores, [0.05, 0.95], axis=0)
    return RefitStability(
        refits=len(scores),
        judged=int(enough.sum()),
        turned=float(against.mean()),
        unsteady=float((against >= UNSTEADY - 1e-12).mean()),
        spread=float(np.median(high - low)),
    )


def _scores_left_out(
    estimator: BaseEstimator,
    X: pd.DataFrame,
    y: pd.Series,
    weight: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """Probabilities of good of the applicants that one sample leaves out; NaN for the others."""
    rows, rest = resampled(y, seed)
    counted = weight_of(weight, rows)
    fitted = fit(clone(estimator), X.iloc[rows], y.iloc[rows], counted)
    scores = np.full(len(y), np.nan)
    scores[rest] = fitted.predict_proba(X.iloc[rest])[:, 1]
    return scores


def resampled(y: pd.Series, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bootstrap sample of as many good and as many bad applicants, and who is not in it.

    Returns
    -------
    rows, rest : ndarray of int
        Positions: of the sample (n,), some of them several times, and of those it leaves out.
    """
    generator = np.random.default_rng(seed)
    classes = [np.flatnonzero(y.to_numpy() == label) for label in (0, 1)]
    rows = np.concatenate([generator.choice(each, len(each)) for each in classes])
    return rows, np.setdiff1d(np.arange(len(y)), rows)
