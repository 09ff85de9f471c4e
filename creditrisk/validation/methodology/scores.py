"""Checks of the scores: folds, calibration, and how often the test set was used."""

import numpy as np
from scipy import integrate, stats

from creditrisk.metrics.calibration import calibration_line
from creditrisk.metrics.placements import placement_shares, variance_of_mean
from creditrisk.validation.looks import Looks
from creditrisk.validation.methodology.checks import ALPHA, Check, Verdict, verdict_of


def steady_folds(sd: float, folds: int, y: np.ndarray, score: np.ndarray) -> Check:
    """Whether the ROC-AUCs of the folds spread more than their size explains.

    Parameters
    ----------
    sd
        Standard deviation of the champion's ROC-AUC over the held-out folds.
    folds
        Folds a repeat.
    y, score
        Shape (n,), the outcomes of the training set and its held-out scores.

    Notes
    -----
    A fold holds 1/folds of the good and of the bad, so that chance alone gives its ROC-AUC DeLong's
    variance of all rows times the folds. The test is that of a variance, chi-squared with folds - 1
    degrees of freedom however many repeats there were, since they share their rows.
    """
    by_chance = float(np.sqrt(folds)) * _standard_error(y, score)
    why = (
        "Folds that differ more than their size explains hold different applicants, or the fit is "
        "unsteady; a mean over them then says little about the next sample."
    )
    name = "folds differ no more than chance makes them"
    if not by_chance > 0:
        return Check(name, Verdict.NOT_JUDGED, "the scores separate good from bad", why)
    p = float(stats.chi2.sf((folds - 1) * (sd / by_chance) ** 2, folds - 1))
    figure = f"standard deviation {sd:.3f}, {by_chance:.3f} by chance; p = {p:.3f}"
    values = {"fold_sd": sd, "fold_sd_by_chance": by_chance, "fold_p": p}
    return Check(name, verdict_of(p >= ALPHA), figure, why, values)


def calibrated(
    y: np.ndarray, score: np.ndarray, who: str, weight: np.ndarray | None = None
) -> Check:
    """Whether probabilities are what came of them: slope 1 and intercept 0 are not excluded.

    Parameters
    ----------
    who
        Whose scores these are, as the end of "calibrated on ...".
    weight
        Shape (n,), how many applications each row stands for; None: each counts once.

    Notes
    -----
    Either may be off, so that each interval excludes the ideal by chance half as often.
    """
    line = calibration_line(y, score, 1 - ALPHA / 2, weight)
    name = f"probabilities are calibrated on {who}"
    why = (
        "The cut-off and every expected loss take the probabilities at their word. The intervals "
        f"are of {1 - ALPHA / 2:.1%}, since two are looked at."
    )
    if line.slope is None or line.intercept is None:
        return Check(name, Verdict.NOT_JUDGED, str(line), why)
    holds = (
        line.slope.low <= 1 <= line.slope.high and line.intercept.low <= 0 <= line.intercept.high
    )
    return Check(name, verdict_of(holds), str(line), why, line.figures)


def seldom_looked_at(looks: Looks, y: np.ndarray, score: np.ndarray) -> Check:
    """Whether the test set was used for so many models that their choice flatters its figures.

    Whoever takes the best of m models by the same test set gains at most what the best of m draws
    of chance does. The check fails if that is more than half of the 95% interval's half width,
    which four models reach.

    Parameters
    ----------
    looks
        From the ledger.
    y, score
        Shape (n,), of the test set.
    """
    best, half = best_of(looks.models), float(stats.norm.ppf(0.975) / 2)
    gain = best * _standard_error(y, score)
    times = "once" if looks.looks == 1 else f"{looks.looks} times"
    models = "1 model" if looks.models == 1 else f"{looks.models} models"
    figure = f"{times}, for {models}; picking the best adds up to {gain:.3f} to the ROC-AUC"
    why = "Each model that is chosen after a look at the test set fits its chance a little more."
    values = {"looks": looks.looks, "models": looks.models, "gain_by_choice": gain}
    return Check("the test set was seldom used", verdict_of(best <= half), figure, why, values)


def best_of(count: int) -> float:
    """The expected largest of so many draws of a standard normal variable; 0 of one."""

    def density(x: float) -> float:
        return float(x * count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1))

    return 0.0 if count < 2 else float(integrate.quad(density, -10, 10)[0])


def _standard_error(y: np.ndarray, score: np.ndarray) -> float:
    """DeLong's standard error of the ROC-AUC."""
    return float(np.sqrt(sum(variance_of_mean(each) for each in placement_shares(y, score))))
