"""What the validation found: figures in, one sentence or list out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.metrics.calibration import CalibrationLine
from creditrisk.metrics.intervals import Interval, percent
from creditrisk.metrics.stability import FALSE_ALARMS
from creditrisk.reports.findings.comparison import worth
from creditrisk.validation.gate.mixes import MixShift
from creditrisk.validation.looks import Looks


def candidate(
    version: Mapping[str, Any], cutoff: float, y: np.ndarray, weight: np.ndarray | None = None
) -> str:
    """Which version is judged, and by whom; ``version`` is the content of ``registration.json``."""
    return (
        f"**{version['model']} version {version['version']}**: {version['champion']}, cut-off "
        f"{cutoff:.2f}. {len(y):,} applicants who had no part in fitting, in the choice among the "
        f"models or in its cut-off, {(y == 0).sum():,} of them bad{worth(weight)}. The recipe as "
        "such was developed on the data that comes with this project; on that file the figures are "
        "flattered by an unknown amount."
    )


def ranking(
    test: Mapping[str, float], auc: Interval, expected: Interval, in_training: float
) -> str:
    """How well the model ranks, beside what cross-validation and the training set show.

    Parameters
    ----------
    test
        From :func:`~creditrisk.metrics.ranking.measures`.
    auc
        ROC-AUC on the test set.
    expected
        The same by cross-validation.
    in_training
        The same on the applicants that the model learned from.
    """
    if auc.low <= expected.estimate <= auc.high:
        gap = round(expected.estimate - auc.low, 2)
        verdict = "no loss is shown" + f", though one of {gap:.2f} cannot be excluded" * (gap > 0)
    elif auc.low > expected.estimate:
        verdict = "these applicants were ranked better than expected"
    else:
        verdict = "**these applicants were ranked worse than expected**"
    return (
        f"Gini {test['gini']:.3f}, KS {test['ks']:.3f}. Cross-validation expected a ROC-AUC of "
        f"{expected}: {verdict}. On the applicants it learned from the model reaches "
        f"{in_training:.3f}, which flatters it."
    )


def looks(found: Looks) -> str:
    """How often this test set was looked at, the present time included."""
    if found.looks == 1:
        return (
            "This is the first validation on this test set that is on record; 01, 06 and 08 use "
            "these outcomes as well."
        )
    return (
        f"This test set was used {found.looks} times to validate, for {found.models} "
        f"model{'s' * (found.models > 1)}; each choice made after a look flatters the figures."
    )


def too_good(auc: float, limit: float) -> str:
    """A warning if a ROC-AUC is of the kind that only a leaked column explains; else empty."""
    if auc < limit:
        return ""
    return (
        f"**Warning: ROC-AUC {auc:.3f} is too good to be true.** Look for a column that is known "
        "only after the outcome. This version will not go into production."
    )


def agreeing_bins(bins: pd.DataFrame) -> int:
    """In how many bins the predicted share lies in the interval of the observed one."""
    return int(((bins.low <= bins.predicted) & (bins.predicted <= bins.high)).sum())


def calibration(bins: pd.DataFrame) -> str:
    """How many bins agree; ``bins`` is from ``calibration.calibration_table``."""
    return f"{agreeing_bins(bins)} of {len(bins)} bins agree with their score"


def probabilities(
    brier: float,
    of_base_rate: float,
    gain: Interval,
    line: CalibrationLine,
    parts: Mapping[str, float],
) -> str:
    """How good the probabilities are, and what the Brier score is made of."""
    return (
        f"Brier score {brier:.3f}, against {of_base_rate:.3f} for giving everybody the base rate: "
        f"an improvement of {gain}; {line}. The score's parts: reliability "
        f"{parts['reliability']:.3f} (0 is ideal), resolution {parts['resolution']:.3f} (more is "
        f"better), uncertainty of the sample {parts['uncertainty']:.3f}, and "
        f"{parts['within']:+z.3f} from within the bins."
    )


def decisions(
    approved: float,
    bad_among: Interval | None,
    paid: Interval,
    simple: Mapping[str, float],
    before: Mapping[str, Any],
) -> str:
    """What the decisions cost, beside rules that look at nobody.

    Parameters
    ----------
    bad_among
        Share of bad among those approved; None if nobody is.
    paid
        Cost per applicant of the model's decisions.
    simple
        Cost per applicant of each simple rule, by name.
    before
        What cross-validation expected: ``expected_cost`` of applicants who had no part in choosing
        the cut-off, and the share ``bad_among_approved``; as in ``registration.json``.
    """
    bad = f" and {bad_among.estimate:.0%} of those go bad" if bad_among else ""
    rules = ", ".join(f"{name} {flat:.3f}" for name, flat in simple.items())
    cheaper = [name for name, flat in simple.items() if paid.high < flat]
    dearer = [name for name, flat in simple.items() if paid.low > flat]
    open_ = [name for name in simple if name not in (*cheaper, *dearer)]
    verdict = []
    if dearer:
        verdict.append(f"**That is dearer than {' and '.join(dearer)} beyond doubt.**")
    if cheaper:
        verdict.append(f"That is cheaper than {' and '.join(cheaper)} beyond doubt.")
    if open_:
        verdict.append(f"It is not shown to be cheaper than {' or '.join(open_)}.")
    return (
        f"{approved:.0%} are approved{bad}. The decisions cost **{paid}** per applicant; "
        f"{rules}. {' '.join(verdict)} {_expected(paid, before)}"
    )


def _expected(paid: Interval, before: Mapping[str, Any]) -> str:
    """What cross-validation expected of the decisions, and whether that holds."""
    expected, bad = before["expected_cost"], before["bad_among_approved"]
    among = f", with {percent(bad)} bad among those approved" if bad is not None else ""
    if paid.low <= expected <= paid.high:
        verdict = "the difference is not shown to be more than chance"
    else:
        verdict = "**they cost more**" if paid.low > expected else "they cost less"
    return f"Cross-validation expected a cost of {expected:.3f}{among}: {verdict}."


def other_bad_rate(rate: float, there: float, in_sample: float) -> str:
    """What the mean probability would be where another share of applicants is bad."""
    if abs(there - in_sample) < 1e-9:
        return f"Probabilities are for a share of {percent(rate)} bad, that of the training set."
    return (
        f"At a share of {percent(rate)} bad, which is an assumption, the same applicants' mean "
        f"probability of good is {there:.3f}, not {in_sample:.3f}."
    )


def stability(psi: pd.DataFrame, by: str = "random") -> str:
    """Which columns differ more from the training set than chance explains.

    Parameters
    ----------
    by
        How the sets were split, as :attr:`creditrisk.data.contract.Split.by`.
    """
    shifted = list(psi.index[psi.psi > psi.by_chance])
    beyond = (
        f"Beyond its mark: {', '.join(shifted) or 'none'}. One or more of {len(psi)} would be in "
        f"{FALSE_ALARMS:.0%} of random splits"
    )
    if by != "random":
        return f"{beyond}; this split was by {by}, so a mark that is passed is a difference."
    return f"{beyond}, and this split was random: a mark that is passed is the draw, not drift."


def weak_segments(segments: pd.DataFrame, who: str) -> str:
    """Segments in which the model ranks worse than its own scores imply for their applicants.

    Parameters
    ----------
    segments
        From :func:`creditrisk.validation.segments.in_words`.
    who
        Which applicants these are, as the start of a sentence.
    """
    judged, weak = segments[segments.note == ""], segments[segments.high < segments.implied]
    named = "".join(
        f"; {name} {level} ({row.roc_auc:.3f}, implied {row.implied:.3f})"
        for (name, level), row in weak.iterrows()
    )
    return (
        f"**{who}**: segments large enough to be judged: {len(judged)} of {len(segments)}. "
        "The interval lies wholly below what the scores imply in "
        f"{len(weak) or 'none'} of them{named}; by luck alone it would in about "
        f"{0.025 * len(judged):.1f}."
    )


def mixes(found: MixShift, auc: float, floor: float) -> str:
    """The lowest ROC-AUC and the highest cost over the mixes, and whether the gate asks for them.

    Parameters
    ----------
    auc
        ROC-AUC of the test set as it is.
    floor
        The lowest ROC-AUC that the gate asks for; 0 if it asks for none.
    """
    lowest, highest, worst = found.lowest_auc, found.highest_cost, found.worst
    parts = []
    if lowest is None or highest is None:
        parts.append("No mix can be judged.")
    else:
        whose = "that the contract names" if found.stated else "with one segment doubled"
        parts.append(
            f"Over {len(found.table)} mix{'es' * (len(found.table) > 1)} {whose} the ROC-AUC is "
            f"{lowest} at its lowest ({worst['roc_auc']}), against {auc:.3f} as the test set "
            f"is; the cost is {highest} per applicant at its highest ({worst['cost']})."
        )
        if not floor:
            parts.append("The gate asks for no floor here (`lowest_auc_over_mixes`).")
    parts += [f"Not judged: {name}, {reason}." for name, reason in found.not_judged.items()]
    return " ".join(parts)


def protected(contract: Contract) -> str:
    """What the contract says of each protected column, one line each."""
    lines = [f"- **{of.title}**: {of.description}".removesuffix(": ") for of in contract.protected]
    return "\n".join(lines) or "No column is protected."


def approval_range(name: str, groups: pd.DataFrame) -> str:
    """From where to where the approval rates of the groups go that are large enough to judge."""
    if groups.approved.notna().sum() < 2:
        return f"{name}: no two groups are large enough to be compared"
    return f"{name}: approved from {groups.approved.min():.0%} to {groups.approved.max():.0%}"


def disparate_impact(ratios: pd.DataFrame, who: str) -> str:
    """Each group's approval rate over that of the group approved most.

    Parameters
    ----------
    ratios
        From :func:`creditrisk.validation.fairness.disparity.audit`.
    who
        Which applicants these are, as the start of a sentence.
    """
    found = "; ".join(
        f"{name} against {row.against} {row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
        for name, row in ratios.iterrows()
    )
    return (
        f"**{who}**, approval rate over that of the group approved most: "
        f"{found or 'no groups to compare'}."
    )


def not_judged(groups: pd.DataFrame) -> str:
    """Which groups are too small to be judged, and why; ``groups`` is from ``fairness.audit``."""
    if groups.empty:
        return ""
    notes = groups.note[groups.note != ""]
    return " ".join(f"**{name[1]}**: {note}." for name, note in notes.items())


def summary(
    auc: Interval,
    test: Mapping[str, float],
    line: CalibrationLine,
    bins: pd.DataFrame,
    paid: Interval,
    approve: np.ndarray,
    weight: np.ndarray | None = None,
) -> str:
    """What the validation found, one line a promise."""
    ranks = f"Gini {test['gini']:.2f}, KS {test['ks']:.2f} on {len(approve):,} unseen applicants"
    agree = f"{agreeing_bins(bins)} of {len(bins)} bins agree"
    share = np.average(approve, weights=weight)
    lines = [
        f"**Discrimination**: ROC-AUC {auc}, {ranks}.",
        f"**Calibration**: Brier {test['brier']:.3f}, {line}; {agree}.",
        f"**Decisions**: {share:.0%} approved, cost {paid} per applicant.",
    ]
    return "\n".join(f"- {each}" for each in lines)
