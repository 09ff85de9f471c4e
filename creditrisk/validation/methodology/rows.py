"""Checks of the rows: the same applicant in both sets, and outcomes that depend on the order."""

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.contract import Contract
from creditrisk.modelling.significance import holm
from creditrisk.validation.methodology.checks import ALPHA, Check, Verdict, verdict_of
from creditrisk.validation.similarity import nearest

#: The share of test rows that may have a twin in the training set, or a near one.
TWINS, NEAR_TWINS = 0.01, 0.05
#: A near twin is no farther away, and so much nearer than the next applicant.
NEAR, RATIO = 0.01, 0.1
#: Distances of two rows that are computed, and the fewest test rows that are compared.
PAIRS, FEWEST = 20_000_000, 200


def no_twins(
    training: pd.DataFrame, y_train: np.ndarray, applicants: pd.DataFrame, y: np.ndarray
) -> Check:
    """Whether test rows are alike to the last value to rows of the training set.

    Parameters
    ----------
    training, applicants
        Raw, shapes (m, columns of an application) and (n, columns of an application).
    y_train, y
        Their outcomes.
    """
    alike = _with_a_twin(applicants, training)
    same = int((alike & _with_a_twin(applicants, training, y, y_train)).sum())
    count, share = int(alike.sum()), float(alike.mean())
    figure = f"{count:,} of {len(alike):,} test rows, at most {TWINS:.0%} allowed"
    if count:
        figure += f"; {same:,} with the same outcome"
    why = (
        "A model knows the outcome of an applicant whom it has learned from. In data of few "
        "columns two applicants may be alike without being the same."
    )
    values = {"twins": count, "twins_share": share, "twins_with_the_same_outcome": same}
    return Check(
        "no test row is in the training set", verdict_of(share <= TWINS), figure, why, values
    )


def _with_a_twin(rows: pd.DataFrame, others: pd.DataFrame, *outcomes: np.ndarray) -> np.ndarray:
    """Which rows are among others, gaps and outcomes counting as values, shape (n,), bool."""
    both = []
    for number, frame in enumerate((rows, others[list(rows.columns)])):
        # numbers as names: a column may have any
        numbered = frame.set_axis(range(frame.shape[1]), axis=1)
        both.append(numbered.assign(outcome=outcomes[number]) if outcomes else numbered)
    known = both[1].drop_duplicates()
    merged = both[0].merge(known, how="left", on=list(known.columns), indicator="where")
    found: np.ndarray = (merged["where"] == "both").to_numpy()
    return found


def no_near_twins(
    training: pd.DataFrame, applicants: pd.DataFrame, contract: Contract, seed: int
) -> Check:
    """Whether test rows are all but alike to rows of the training set.

    A near twin is within :data:`NEAR` by Gower's distance without being alike to the last value,
    and within :data:`RATIO` of the distance of the second nearest: where applicants lie close
    together, being near says nothing.

    Parameters
    ----------
    seed
        Of the draw of test rows, if there are too many to compare all.
    """
    name = "no test row is nearly in the training set"
    why = (
        f"A copy with a slip of the pen is a copy. Near is a distance of at most {NEAR} (the mean "
        "over columns of 0 to 1) that is a tenth of that to the next applicant or less."
    )
    if len(training) < 2:
        return Check(name, Verdict.NOT_JUDGED, f"{len(training):,} training rows", why)
    most = max(FEWEST, PAIRS // len(training))
    drawn = applicants
    if len(applicants) > most:
        rows = np.random.default_rng(seed).choice(len(applicants), most, replace=False)
        drawn = applicants.iloc[np.sort(rows)]
    first, second = nearest(drawn, training, contract, 2)[0].T
    # the distance is a sum of small floats: alike to the last value is 0
    near = (first > 0) & (first <= NEAR) & (first <= RATIO * second)
    count, share, middle = int(near.sum()), float(near.mean()), float(np.median(first))
    of_whom = "test rows" if drawn is applicants else f"test rows, a sample of {len(applicants):,}"
    figure = (
        f"{count:,} of {len(drawn):,} {of_whom}, at most {NEAR_TWINS:.0%} allowed; the nearest is "
        f"at {middle:.3f} at the median"
    )
    values = {"near_twins": count, "near_twins_share": share, "median_distance": middle}
    return Check(name, verdict_of(share <= NEAR_TWINS), figure, why, values)


def no_drift(y: np.ndarray) -> Check:
    """Whether outcomes depend on where in the file a row stands.

    Parameters
    ----------
    y
        Shape (n,), 1 = good and 0 = bad, in the order of the file.

    Notes
    -----
    Two tests, corrected for their number (Holm): that of Mann and Whitney, whether good or bad
    rows come later, and the runs test of Wald and Wolfowitz (1940, Annals of Mathematical
    Statistics 11), whether equal outcomes stand together.
    """
    y = np.asarray(y)
    name = "outcomes do not depend on the order of the rows"
    why = (
        "Sorted rows, or several sources one after the other, make folds differ and a random split "
        "hide it; a trend is a population that changes."
    )
    positions = np.arange(len(y))
    if min((y == 1).sum(), (y == 0).sum()) < 10:
        return Check(name, Verdict.NOT_JUDGED, "fewer than 10 good or bad rows", why)
    trend = float(stats.mannwhitneyu(positions[y == 1], positions[y == 0]).pvalue)
    runs = runs_p(y)
    first, *_, last = (float((part == 0).mean()) for part in np.array_split(y, 3))
    p = float(holm(np.array([trend, runs])).min())
    figure = (
        f"bad rate {first:.1%} in the first third of the file, {last:.1%} in the last; "
        f"p = {trend:.3f} for a trend, {runs:.3f} for runs"
    )
    values = {"bad_rate_first": first, "bad_rate_last": last, "p_trend": trend, "p_runs": runs}
    return Check(name, verdict_of(p >= ALPHA), figure, why, values)


def runs_p(y: np.ndarray) -> float:
    """The two-sided p-value of the runs test: equal outcomes stand together, or alternate.

    Parameters
    ----------
    y
        Shape (n,), of two values, both of which occur.
    """
    y, n = np.asarray(y), len(y)
    runs = 1 + int((y[1:] != y[:-1]).sum())
    expected = 2 * float((y == 1).sum()) * float((y == 0).sum()) / n + 1
    variance = (expected - 1) * (expected - 2) / (n - 1)
    return float(2 * stats.norm.sf(abs(runs - expected) / np.sqrt(variance)))
