"""The rules of the promotion gate that a version is judged by alone: figures in, a verdict out.

"Beyond doubt" means by the whole 95% interval. The rules that compare with the version in
production are in :mod:`creditrisk.validation.gate.incumbent`.
"""

import pandas as pd
from scipy import stats

from creditrisk.metrics.calibration import CalibrationLine
from creditrisk.metrics.costs import Saving
from creditrisk.metrics.intervals import Interval
from creditrisk.validation.gate.verdicts import Rule, Verdict

#: Half the width of Wald's 90% interval over that of the 95% interval.
_NINETY = stats.norm.ppf(0.95) / stats.norm.ppf(0.975)

#: How the names of the two rules on groups begin.
APPROVES_GROUPS, APPROVES_THE_GOOD = "approves every group", "approves the good of every group"


def passes_or(kept: bool, otherwise: Verdict = Verdict.STOP) -> Verdict:
    """Passed if a rule is kept, else the verdict on a broken one."""
    return Verdict.PASSED if kept else otherwise


def better_than_chance(auc: Interval, held_out: Interval) -> list[Rule]:
    """The whole interval of the ROC-AUC lies above that of a coin, on the test set and before.

    Parameters
    ----------
    auc, held_out
        ROC-AUC on the test set, and that of the scores of applicants held out in training.
    """
    return [
        Rule(
            "ranks better than chance",
            f"ROC-AUC {auc}",
            passes_or(auc.low > 0.5),
            "A model that ranks no better than a coin decides by luck.",
        ),
        Rule(
            "ranks better than chance in cross-validation",
            f"ROC-AUC {held_out}, the folds of one repeat taken together",
            passes_or(held_out.low > 0.5),
            "Where nothing can be learned, one test set in forty still looks as if something "
            "had been.",
        ),
    ]


def better_than_base_rate(gain: Interval) -> Rule:
    """Its Brier score is beyond doubt lower than that of giving everybody the base rate."""
    return Rule(
        "predicts better than the base rate",
        f"Brier score lower by {gain}",
        passes_or(gain.low > 0),
        "Probabilities that predict no better than the share of good risks carry no information "
        "about an applicant.",
    )


def not_too_good(auc: Interval, limit: float) -> Rule:
    """Its ROC-AUC is not of the kind that only a column known after the outcome explains."""
    leak = "" if auc.estimate < limit else "; look for a leaked column"
    return Rule(
        f"is not too good to be true (ROC-AUC under {limit:g})",
        f"ROC-AUC {auc}{leak}",
        passes_or(auc.estimate < limit),
        "A ranking that good nearly always comes from a column known only after the outcome.",
    )


def calibrated(line: CalibrationLine, within: float) -> Rule:
    """Its calibration slope is shown to lie between one over a factor and the factor.

    Notes
    -----
    A test of equivalence (Schuirmann 1987, two one-sided tests at 5%): it passes if the whole 90%
    interval lies inside, so that a small sample does not pass more easily than a large one. It
    stops if the whole 95% interval lies outside.
    """
    low, high = 1 / within, within
    why = (
        "With a slope far from 1 the probabilities are too extreme or too timid, and so is every "
        "price or provision built on them."
    )
    name = "has a calibration slope near 1"
    if line.slope is None:
        return Rule(name, f"slope {line.why_not}", Verdict.NOT_JUDGED, why)
    slope = line.slope
    near = [slope.estimate + _NINETY * (end - slope.estimate) for end in (slope.low, slope.high)]
    text = f"slope {slope.estimate:.2f}, 90% interval {near[0]:.2f} to {near[1]:.2f}; "
    allowed = f"allowed {low:.2f} to {high:.2f}"
    if low <= near[0] and near[1] <= high:
        return Rule(name, text + allowed, Verdict.PASSED, why)
    if slope.high < low or slope.low > high:
        return Rule(name, f"{text}{allowed}, beyond doubt outside", Verdict.STOP, why)
    inside = low <= slope.estimate <= high
    doubt = "not shown: sample too small" if inside else "outside, but its 95% interval overlaps"
    return Rule(name, f"{text}{allowed}, {doubt}", Verdict.WARNING, why)


def same_data(registered: str, found: str) -> Rule:
    """The training files are those that the registered model learned from."""
    return Rule(
        "was trained on the data at hand",
        f"sha256 {registered[:12]} registered, {found[:12]} found",
        passes_or(registered == found),
        "If the training rows differ, the test rows may be among those it learned from.",
    )


def approves_enough(approved: Interval, lowest: float) -> Rule:
    """At its cut-off it approves no fewer than a share of the applicants."""
    return Rule(
        "approves enough applicants",
        f"{approved.estimate:.1%} approved, at least {lowest:.1%} asked for",
        passes_or(approved.estimate >= lowest),
        "Who lends to next to nobody has few bad loans, and no business.",
    )


def saves(saving: Saving, require: bool) -> Rule:
    """Its decisions cost beyond doubt less than the cheaper of approving everybody and nobody.

    Dearer beyond doubt, it stops.

    Parameters
    ----------
    require
        What is not distinguishable from the rule of thumb waits for a named person's approval;
        otherwise it is a warning.
    """
    interval = saving.per_applicant
    figure = f"{interval} saved per applicant against {saving.over}"
    unclear = Verdict.WAITS if require else Verdict.WARNING
    verdict = passes_or(interval.low > 0, unclear)
    if interval.high < 0:
        verdict, figure = Verdict.STOP, f"{figure}: dearer beyond doubt"
    elif verdict != Verdict.PASSED:
        figure = f"{figure}: not distinguishable"
    return Rule(
        "costs less than approving everybody or nobody",
        figure,
        verdict,
        "Approving everybody or nobody needs no model; one that saves nothing is not worth its "
        "risks.",
    )


def fair(
    approved: pd.Series | str, good_approved: pd.Series | str, floor: float, stops: bool
) -> list[Rule]:
    """No group is approved at less than a share of the best group's rate, nor are its good risks.

    Both are judged by the ratio itself and not by its interval, as the four-fifths rule is: doubt
    does not excuse.

    Parameters
    ----------
    approved, good_approved
        The row with the lowest ratio, of
        :func:`~creditrisk.validation.fairness.disparity.impact_ratios` and of
        :func:`~creditrisk.validation.fairness.disparity.opportunity_ratios`; or why no two groups
        can be compared, and the rule is not judged then.
    """
    share = f"at no less than {floor:g} of the best group's rate"
    four_fifths = (
        "The four-fifths rule of the Uniform Guidelines (1978): a lower ratio is evidence of "
        "adverse impact."
    )
    opportunity = (
        "Base rates may differ; those who would pay back should have the same chance (equal "
        "opportunity, Hardt and others 2016)."
    )
    broken = Verdict.STOP if stops else Verdict.WARNING
    return [
        _ratio(f"{APPROVES_GROUPS} {share}", approved, floor, broken, four_fifths),
        _ratio(f"{APPROVES_THE_GOOD} {share}", good_approved, floor, broken, opportunity),
    ]


def holds_in_mixes(lowest: Interval | None, floor: float) -> list[Rule]:
    """It ranks beyond doubt no worse than a floor in every mix of applicants, if that is asked.

    Beyond doubt worse, it stops; what is not shown waits for a named person's approval.

    Parameters
    ----------
    lowest
        The lowest ROC-AUC over the mixes, of :class:`~creditrisk.validation.gate.mixes.MixShift`;
        None if none can be judged.
    floor
        0: nothing is asked, and there is no rule.
    """
    if not floor:
        return []
    name = f"ranks at no less than {floor:g} in every mix of applicants"
    why = "Who applies changes sooner than how they pay back; a model should not hold by its mix."
    if lowest is None:
        return [Rule(name, "no mix can be judged", Verdict.NOT_JUDGED, why)]
    verdict = passes_or(lowest.low >= floor, Verdict.WAITS)
    figure = f"lowest ROC-AUC {lowest}"
    if lowest.high < floor:
        verdict, figure = Verdict.STOP, f"{figure}: below beyond doubt"
    elif verdict != Verdict.PASSED:
        figure = f"{figure}: not shown"
    return [Rule(name, figure, verdict, why)]


def _ratio(name: str, lowest: pd.Series | str, floor: float, broken: Verdict, why: str) -> Rule:
    if isinstance(lowest, str):
        return Rule(name, lowest, Verdict.NOT_JUDGED, why)
    interval = Interval(lowest.ratio, lowest.low, lowest.high)
    doubt = "; its interval allows both" if interval.low < floor <= interval.high else ""
    figure = f"{lowest.name} against {lowest.against}: {interval}{doubt}"
    return Rule(name, figure, passes_or(lowest.ratio >= floor, broken), why)
