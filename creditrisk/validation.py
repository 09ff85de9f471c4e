"""What one scored sample proves: ranking, probabilities, and whether it is still the same crowd.

Throughout, ``y`` is 1 for a good and 0 for a bad risk, and a score is the probability of good.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from creditrisk.contract import Field
from creditrisk.data import named_levels
from creditrisk.evaluation import Interval, as_figures, share_interval

#: Fewer applicants of a kind than this are not judged.
FEW = 10


def auc_interval(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> Interval:
    """ROC-AUC with DeLong's confidence interval.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: with V10 the share of bad each
    good outranks (ties half) and V01 the share of good each bad is outranked by, the
    variance is var(V10)/m + var(V01)/n. The bounds are kept within 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    return _delong(*wins(y, score), level, (0.0, 1.0))


def auc_difference(
    y: np.ndarray, score: np.ndarray, other: np.ndarray, level: float = 0.95
) -> Interval:
    """ROC-AUC of one score less that of another on the same applicants, with DeLong's interval.

    The p-value is that of no difference. Luck with the applicants, which both share, cancels out.
    """
    (good, bad), (other_good, other_bad) = wins(y, score), wins(y, other)
    return _delong(good - other_good, bad - other_bad, level, (-1.0, 1.0))


def wins(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many bad risks each good one outranks, and how many good ones each bad is outranked by.

    One beside it counts half. The counts take the time of a sort, so that a million applicants are
    no trouble.

    Returns
    -------
    good, bad : ndarray, shapes (good risks,) and (bad risks,)
        In the order of the applicants. Either sum over the number of pairs is the ROC-AUC.

    Raises
    ------
    ValueError
        If there are fewer than two applicants of a class.
    """
    y, score = np.asarray(y), np.asarray(score)
    good, bad = score[y == 1], score[y == 0]
    if min(good.size, bad.size) < 2:
        raise ValueError(f"ROC-AUC needs two good and two bad; here are {good.size} and {bad.size}")
    below, beside = (np.searchsorted(np.sort(bad), good, side) for side in ("left", "right"))
    under, up_to = (np.searchsorted(np.sort(good), bad, side) for side in ("left", "right"))
    return (below + beside) / 2, good.size - (under + up_to) / 2


def _delong(
    good: np.ndarray, bad: np.ndarray, level: float, bounds: tuple[float, float]
) -> Interval:
    by_good, by_bad = good / bad.size, bad / good.size
    error = np.sqrt(by_good.var(ddof=1) / len(by_good) + by_bad.var(ddof=1) / len(by_bad))
    estimate = float(good.sum() / (good.size * bad.size))
    half = float(stats.norm.ppf((1 + level) / 2) * error)
    low, high = max(bounds[0], estimate - half), min(bounds[1], estimate + half)
    p = float(2 * stats.norm.sf(abs(estimate) / error)) if error > 0 else float(estimate == 0)
    return Interval(estimate, low, high, p)


def bootstrap_interval(
    statistic, y: np.ndarray, *scores: np.ndarray, draws: int, seed: int, level: float = 0.95
) -> Interval:
    """Percentile bootstrap of ``statistic(y, *scores)`` over applicants, classes kept in size.

    Parameters
    ----------
    statistic
        Function of arrays of shape (n,) to a float.
    """
    y, generator = np.asarray(y), np.random.default_rng(seed)
    classes = [np.flatnonzero(y == label) for label in (0, 1)]
    drawn = np.empty(draws)
    for number in range(draws):
        rows = np.concatenate([generator.choice(rows, len(rows)) for rows in classes])
        drawn[number] = statistic(y[rows], *(score[rows] for score in scores))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(y, *scores)), float(low), float(high))


def ks(y: np.ndarray, score: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance: the largest between the score distributions of good and bad."""
    y, score = np.asarray(y), np.asarray(score)
    grid = np.sort(score)
    shares = [
        np.searchsorted(np.sort(score[y == kind]), grid, side="right") / (y == kind).sum()
        for kind in (0, 1)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def bounded(
    y: np.ndarray, score: np.ndarray, approve: np.ndarray, *, draws: int, seed: int
) -> dict[str, Interval | None]:
    """KS and Brier score with bootstrap intervals, shares approved and bad among them with Wilson's.

    The last is None if nobody is approved.
    """
    y, approve = np.asarray(y), np.asarray(approve)
    brier = bootstrap_interval(
        lambda y, s: float(((s - y) ** 2).mean()), y, score, draws=draws, seed=seed
    )
    bad = share_interval((approve & (y == 0)).sum(), approve.sum()) if approve.any() else None
    return {
        "ks": bootstrap_interval(ks, y, score, draws=draws, seed=seed),
        "brier": brier,
        "approved": share_interval(approve.sum(), len(y)),
        "bad_among_approved": bad,
    }


def brier_parts(y: np.ndarray, score: np.ndarray, bins: int = 10) -> dict[str, float]:
    """What the Brier score is made of; the parts add up to it.

    Returns
    -------
    dict
        brier = reliability - resolution + uncertainty + within. Reliability is how far the
        scores of a bin lie from what came of it (0 is ideal), resolution how far the bins lie
        apart (more is better), uncertainty is the sample's own, and within is what the bins hide.

    Notes
    -----
    Murphy (1973), Journal of Applied Meteorology 12, over bins of equal size; the last part after
    Stephenson, Coelho and Jolliffe (2008), Weather and Forecasting 23.
    """
    y, score = np.asarray(y, dtype=float), np.asarray(score, dtype=float)
    place = _equal_bins(score, bins)
    size = np.bincount(place)
    good, predicted = np.bincount(place, y) / size, np.bincount(place, score) / size
    base, brier = y.mean(), float(((score - y) ** 2).mean())
    reliability = float((size * (predicted - good) ** 2).sum() / len(y))
    resolution = float((size * (good - base) ** 2).sum() / len(y))
    uncertainty = float(base * (1 - base))
    within = brier - (reliability - resolution + uncertainty)
    return {
        "brier": brier,
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": uncertainty,
        "within": within,
    }


def _equal_bins(score: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each score, from 0; equal scores share one, so there may be fewer bins."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, score, side="left")
    return np.unique(place, return_inverse=True)[1]


def calibration_table(y: np.ndarray, score: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Predicted and observed share of good in bins of equal size, with Wilson bounds."""
    y, score, rows = np.asarray(y), np.asarray(score), []
    place = _equal_bins(score, bins)
    for number in range(place.max() + 1):
        inside = place == number
        observed = share_interval(y[inside].sum(), inside.sum())
        predicted = float(score[inside].mean())
        rows.append((inside.sum(), predicted, observed.estimate, observed.low, observed.high))
    return pd.DataFrame(rows, columns=["applicants", "predicted", "observed", "low", "high"])


@dataclass(frozen=True)
class CalibrationLine:
    """Slope and intercept of the logistic recalibration; None, with the reason, if there is none."""

    slope: Interval | None
    intercept: Interval | None
    why_not: str = ""

    @property
    def figures(self) -> dict[str, float | None]:
        """Slope and intercept with their bounds, by name."""
        return as_figures(
            {f"calibration_{each}": getattr(self, each) for each in ("slope", "intercept")}
        )

    def __str__(self) -> str:
        if self.slope is None:
            return f"calibration slope {self.why_not}"
        return f"calibration slope {self.slope}, intercept {self.intercept}"


def calibration_line(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> CalibrationLine:
    """Slope and intercept of the logistic recalibration of the scores; 1 and 0 are ideal.

    Notes
    -----
    Cox (1958): logit P(y = 1) = intercept + slope · logit(score), by maximum likelihood, with
    Wald's intervals from the observed information. A slope under 1 says that the scores are too
    extreme. There is no such line if all scores are equal or if they separate good from bad.
    """
    y, odds = np.asarray(y), logit(np.clip(score, 1e-6, 1 - 1e-6))
    good, bad = odds[y == 1], odds[y == 0]
    if np.ptp(odds) == 0:
        return CalibrationLine(None, None, "not defined, all scores are equal")
    if good.min() >= bad.max() or good.max() <= bad.min():
        return CalibrationLine(None, None, "not defined, the scores separate good from bad")
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], y)
    slope, intercept = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    p = expit(intercept + slope * odds)
    design = np.column_stack([np.ones(len(odds)), odds])
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))))
    half = stats.norm.ppf((1 + level) / 2) * errors
    return CalibrationLine(
        Interval(slope, slope - half[1], slope + half[1]),
        Interval(intercept, intercept - half[0], intercept + half[0]),
    )


def score_bands(y: np.ndarray, score: np.ndarray, bands: int = 10) -> pd.DataFrame:
    """The sample in bands of equal size by score, the riskiest first.

    Returns
    -------
    DataFrame
        One row a band: score_from, score_to, applicants, bad, bad_rate with Wilson bounds low and
        high, and the shares of all bad and of all good up to and with this band; their largest
        distance is the bands' KS.
    """
    y, score, rows = np.asarray(y), np.asarray(score), []
    place = _equal_bins(score, bands)
    for number in range(place.max() + 1):
        inside = place == number
        bad = int((y[inside] == 0).sum())
        rate = share_interval(bad, inside.sum())
        ends = score[inside].min(), score[inside].max()
        rows.append((*ends, int(inside.sum()), bad, rate.estimate, rate.low, rate.high))
    names = ["score_from", "score_to", "applicants", "bad", "bad_rate", "low", "high"]
    table = pd.DataFrame(rows, columns=names)
    table["bad_so_far"] = table.bad.cumsum() / max(1, (y == 0).sum())
    table["good_so_far"] = (table.applicants - table.bad).cumsum() / max(1, (y == 1).sum())
    return table


@dataclass(frozen=True)
class Stability:
    """A population stability index, and how large it gets by chance alone."""

    psi: float
    by_chance: float  # 95 % of indices of two samples of one population lie below

    @property
    def shifted(self) -> bool:
        """Whether the samples differ by more than chance explains."""
        return self.psi > self.by_chance


def stability(before: np.ndarray, after: np.ndarray) -> Stability:
    """Population stability index of two samples' counts over the same bins.

    Parameters
    ----------
    before, after
        Applicants in each bin, shape (bins,). Bins empty in both are left out; where one of
        them is empty, half an applicant is added to both.

    Notes
    -----
    PSI = sum (a - b) ln(a / b) over the shares b before and a after (Siddiqi 2006, Credit Risk
    Scorecards: under 0.1 stable, above 0.25 shifted). If nothing has changed, PSI is about
    chi-squared with bins - 1 degrees times 1/n + 1/m (Yurdakul and Naranjo 2020, Journal of Risk
    Model Validation 14): for small samples the rule of thumb is far too strict.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    used = before + after > 0
    before, after = before[used], after[used]
    n, m = before.sum(), after.sum()
    padding = 0.5 * ((before == 0) | (after == 0))
    b, a = (before + padding) / n, (after + padding) / m
    by_chance = stats.chi2.ppf(0.95, max(1, len(b) - 1)) * (1 / n + 1 / m) if len(b) > 1 else 0.0
    return Stability(float(((a - b) * np.log(a / b)).sum()), float(by_chance))


def score_stability(before: np.ndarray, after: np.ndarray, bins: int = 10) -> Stability:
    """Stability of a score or quantity, over bins that hold equal shares of the sample before."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    counts = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        for values in (before, after)
    ]
    return stability(*counts)


def column_stability(
    before: pd.Series, after: pd.Series, field: Field, bins: int = 10
) -> Stability:
    """Stability of one raw column: of its levels, missing one of them, or of a quantity's bins."""
    if field.levels is None:
        return score_stability(before.to_numpy(), after.to_numpy(), bins)
    counts = [named_levels(values, field).value_counts(sort=False) for values in (before, after)]
    return stability(*(count.to_numpy() for count in counts))


def by_segment(y: np.ndarray, score: np.ndarray, segment: pd.Series) -> pd.DataFrame:
    """Ranking and calibration in each segment of the sample.

    Returns
    -------
    DataFrame
        Indexed by segment: applicants, bad, roc_auc with DeLong bounds low and high, predicted
        and observed share of good, and note, which says why a segment is not judged: fewer
        than :data:`FEW` good or bad applicants.
    """
    y, score, rows = np.asarray(y), np.asarray(score), {}
    for name, inside in segment.groupby(segment, observed=True).indices.items():
        good, bad = int((y[inside] == 1).sum()), int((y[inside] == 0).sum())
        figures = (np.nan, np.nan, np.nan)
        note = few(good, bad)
        if not note:
            auc = auc_interval(y[inside], score[inside])
            figures = (auc.estimate, auc.low, auc.high)
        shares = (float(score[inside].mean()), float(y[inside].mean()))
        rows[name] = (len(inside), bad, *figures, *shares, note)
    names = ["applicants", "bad", "roc_auc", "low", "high", "predicted", "observed", "note"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names)


def few(good: int, bad: int) -> str:
    """Why applicants are too few to be judged, in words; empty if they are enough."""
    if good and bad:
        return f"too few: {good} good, {bad} bad" if min(good, bad) < FEW else ""
    return f"only {'good' if good else 'bad'} risks"
