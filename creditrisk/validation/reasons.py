"""What the reasons for declines are worth: the fields' shares in scores, and whether they hold."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from creditrisk.scoring.reasons import ORDERS
from creditrisk.scoring.scorer import Scorer


def effects_of_some(
    scorer: Scorer, applications: pd.DataFrame, most: int, seed: int
) -> np.ndarray | None:
    """Each field's share in the scores of applicants, of all of them or of some drawn at random.

    Parameters
    ----------
    most
        Applicants whose shares are computed, unless the model is additive, which costs nothing.
    seed
        Of the draw.

    Returns
    -------
    ndarray or None
        Shape (n, fields), the contributions of :meth:`~creditrisk.scoring.scorer.Scorer.effects`;
        NaN for those who were not drawn. None if the model has no reference.
    """
    if scorer.reference is None:
        return None
    found = np.full((len(applications), len(scorer.contract.fields)), np.nan)
    rows = np.arange(len(applications))
    if len(rows) > most and not scorer.additive:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    found[rows] = scorer.effects(applications.iloc[rows])[0]
    return found


def some_of(applications: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """All applications, or so many of them drawn at random, in their order."""
    if len(applications) <= most:
        return applications
    rows = np.random.default_rng(seed).choice(len(applications), most, replace=False)
    return applications.iloc[np.sort(rows)]


def top_reasons(scorer: Scorer, applications: pd.DataFrame) -> pd.DataFrame:
    """Whether the change that the strongest reason names raises the score, by declined applicant.

    The strongest reason is the field with the lowest contribution of all that may be named, whether
    or not its change raises the score by itself; reasons that are shown are filtered by that.

    Returns
    -------
    DataFrame
        Indexed as the declined applications: field, effect (its contribution), error (of that, 0
        if it is exact), gain (of the log-odds, if that field alone had the reference's value),
        rises, whether that is > 0, and turns, whether that change alone would have the application
        approved.
    """
    columns = ["field", "effect", "error", "gain", "rises", "turns"]
    if applications.empty:
        return pd.DataFrame(columns=columns)
    scores = scorer.probabilities(applications)
    declined, scores = applications[scores < scorer.cutoff], scores[scores < scorer.cutoff]
    found, gains, errors = scorer.effects(declined)
    top = strongest(found, scorer.nameable(declined))
    row = np.arange(len(declined))
    names = np.array([field.name for field in scorer.contract.fields], dtype=object)
    return pd.DataFrame(
        {
            "field": names[top],
            "effect": found[row, top],
            "error": errors[row, top],
            "gain": gains[row, top],
            "rises": gains[row, top] > 0,
            "turns": expit(logit(scores) + gains[row, top]) >= scorer.cutoff,
        },
        index=declined.index,
    )


def sampling_error(checked: pd.DataFrame) -> dict[str, float] | None:
    """How uncertain the strongest reasons' shares are where sampled; None if all are exact.

    Parameters
    ----------
    checked
        From :func:`top_reasons`.

    Returns
    -------
    dict or None
        Of the applicants whose shares are sampled: their number, the orders of the fields for each,
        the mean and the largest standard error, and the mean size of the share, on the log-odds.
    """
    sampled = checked[checked.error > 0]
    if sampled.empty:
        return None
    return {
        "applicants": len(sampled),
        "orders": 2 * ORDERS,
        "standard_error": float(sampled.error.mean()),
        "largest_standard_error": float(sampled.error.max()),
        "share": float(sampled.effect.abs().mean()),
    }


def strongest(effects: np.ndarray, nameable: np.ndarray) -> np.ndarray:
    """The number of the field with the lowest contribution of all that may be named, shape (n,).

    Parameters
    ----------
    effects, nameable
        Shape (n, fields), of :meth:`~creditrisk.scoring.scorer.Scorer.effects` and
        :meth:`~creditrisk.scoring.scorer.Scorer.nameable`.
    """
    found: np.ndarray = np.where(nameable, effects, np.inf).argmin(axis=1)
    return found
