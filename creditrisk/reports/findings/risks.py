"""What a risk manager has to know first: verdict, greatest risks, what was not tested."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.metrics.intervals import Interval
from creditrisk.metrics.stability import FALSE_ALARMS
from creditrisk.validation.gate.mixes import MixShift

HIGH, MEDIUM, LOW = 3, 2, 1
#: What each weight means.
WEIGHTS = {
    HIGH: "beyond doubt past a limit, not shown to be of use, or against the contract",
    MEDIUM: "past a limit, though not beyond doubt, or shown by two samples",
    LOW: "shown by one sample of many looked at, or not excluded by this data",
}


@dataclass(frozen=True)
class Risk:
    """One thing that may go wrong with the model in use."""

    weight: int  # HIGH, MEDIUM or LOW
    text: str  # one sentence


def of_cost(paid: Interval, simple: Mapping[str, float]) -> list[Risk]:
    """It is not shown to be cheaper than the cheapest rule that looks at nobody."""
    name = min(simple, key=lambda rule: simple[rule])
    flat = simple[name]
    if paid.high < flat:
        return []
    figure = f"it costs {paid} per applicant, {name} {flat:.3f}"
    if paid.low > flat:
        return [Risk(HIGH, f"It is dearer than {name}: {figure}.")]
    return [Risk(HIGH, f"It is not shown to be cheaper than {name}: {figure}.")]


def of_groups(test: pd.DataFrame, training: pd.DataFrame, floor: float) -> list[Risk]:
    """A group of one column is approved far less often, on the test set or for sure in training.

    Parameters
    ----------
    test, training
        From :func:`creditrisk.validation.fairness.disparity.impact_ratios`, of the test set and
        of the held-out scores of the training set.
    floor
        The lowest ratio that is acceptable.
    """
    single = [name for name in training.index.union(test.index) if ", " not in str(name)]
    found = []
    for name in single:
        here = test.loc[name] if name in test.index else None
        there = training.loc[name] if name in training.index else None
        low_here = here is not None and here.ratio < floor
        if not low_here and (there is None or there.high >= floor):
            continue
        known = [row for row in (here, there) if row is not None]
        sure = any(row.high < floor for row in known)
        places = [
            f"{place} {row.ratio:.2f} ({row.low:.2f} to {row.high:.2f}) of that of “{row.against}”"
            for place, row in (("on the test set", here), ("in training", there))
            if row is not None
        ]
        text = f"Approval of “{name}” is {' and '.join(places)}."
        found.append((min(row.ratio for row in known), Risk(HIGH if sure else MEDIUM, text)))
    return [risk for _, risk in sorted(found, key=lambda pair: pair[0])]


def of_segments(test: pd.DataFrame, training: pd.DataFrame) -> list[Risk]:
    """In a segment it ranks worse than its own scores imply, in training or on the test set.

    Parameters
    ----------
    test, training
        From :func:`creditrisk.validation.segments.in_words`, of the test set and of the
        held-out scores of the training set.
    """
    found = []
    for where, here, there in (
        ("in training", training, test),
        ("on the test set", test, training),
    ):
        weak = here[here.high < here.implied]
        for key, row in weak.iterrows():
            other = there[there.high < there.implied].index
            if here is test and key in other:
                continue  # stands there already
            both = " and on the test set" if key in other else ""
            text = (
                f"In {' '.join(map(str, key))} it ranks worse ({row.roc_auc:.3f}) than its scores "
                f"imply ({row.implied:.3f}) {where}{both}."
            )
            found.append(Risk(MEDIUM if both else LOW, text))
    return found


def of_refits(refits: Mapping[str, float] | None) -> list[Risk]:
    """Decisions would be others with other applicants in the training set."""
    if refits is None:
        return []
    weight = MEDIUM if refits["unsteady"] >= 0.1 else LOW
    text = (
        f"{refits['unsteady']:.1%} of the training applicants are decided otherwise by a fifth or "
        "more of the refits that had not drawn them."
    )
    return [Risk(weight, text)] if refits["unsteady"] > 0 else []


def of_drop(auc: Interval, expected: Interval) -> list[Risk]:
    """It ranks worse than cross-validation expected, or a loss could not have been noticed."""
    noise = ((auc.high - auc.low) ** 2 + (expected.high - expected.low) ** 2) ** 0.5 / 2
    if auc.estimate + noise < expected.estimate:  # the interval of a difference of two samples
        text = f"It ranks worse than expected: {auc} on the test set, {expected} in training."
        return [Risk(HIGH, text)]
    unnoticed = expected.estimate - auc.low
    text = (
        f"With this many applicants a loss of {unnoticed:.2f} in ROC-AUC against the "
        f"{expected.estimate:.3f} of cross-validation cannot be excluded."
    )
    return [Risk(LOW, text)] if round(unnoticed, 2) > 0 else []


def of_mixes(found: MixShift, floor: float) -> list[Risk]:
    """It ranks worse than was asked for if other applicants come, or may.

    Parameters
    ----------
    floor
        The lowest ROC-AUC over the mixes that the gate asks for; 0 if it asks for none.
    """
    lowest = found.lowest_auc
    if not floor or lowest is None or lowest.low >= floor:
        return []
    figure = f"ROC-AUC {lowest} in the mix “{found.worst['roc_auc']}”, asked for {floor:g}"
    if lowest.high < floor:
        return [Risk(HIGH, f"With other applicants it ranks too low: {figure}.")]
    weight = MEDIUM if lowest.estimate < floor else LOW
    return [Risk(weight, f"With other applicants it may rank too low: {figure}.")]


def of_calibration(slope: Interval | None, within: float) -> list[Risk]:
    """Its probabilities are too extreme or too timid, or may be."""
    if slope is None:
        return [Risk(MEDIUM, "Its calibration cannot be judged.")]
    low, high = 1 / within, within
    if low <= slope.low and slope.high <= high:
        return []
    if slope.high < low or slope.low > high:
        return [Risk(HIGH, f"Its probabilities are off: calibration slope {slope}.")]
    text = (
        f"Its calibration is not shown: the slope's interval, {slope.low:.2f} to "
        f"{slope.high:.2f}, goes beyond {low:.2f} to {high:.2f}."
    )
    return [Risk(LOW, text)]


def of_shift(psi: pd.DataFrame, by: str = "random") -> list[Risk]:
    """A column is spread otherwise than in training.

    Parameters
    ----------
    by
        How the sets were split, as :attr:`creditrisk.data.contract.Split.by`.
    """
    shifted = list(psi.index[psi.psi > psi.by_chance])
    if not shifted:
        return []
    text = (
        f"{', '.join(shifted)} {'is' if len(shifted) == 1 else 'are'} spread otherwise than in "
        f"training; in {FALSE_ALARMS:.0%} of random splits some column is."
    )
    return [Risk(LOW if by == "random" else MEDIUM, text)]


def of_looks(looks: int, models: int) -> list[Risk]:
    """The test set has been used before, so that its figures may be flattered."""
    if models < 2:
        return []
    text = (
        f"This test set was looked at {looks} times for {models} models: its figures may flatter."
    )
    return [Risk(MEDIUM if models > 5 else LOW, text)]


def of_protected(contract: Contract, left_out: Iterable[str]) -> list[Risk]:
    """It decides by protected columns."""
    used = [field.title for field in contract.protected if field.name not in set(left_out)]
    if not used:
        return []
    return [Risk(HIGH, f"It decides by {' and '.join(used)}, which the contract protects.")]


def limitations(contract: Contract) -> list[str]:
    """What no figure of the validation covers, one sentence each."""
    of_period = f", of {contract.period}" if contract.period else ""
    default = (
        f"Bad means: {contract.default_definition.rstrip('.')}"
        if contract.default_definition
        else "What makes a loan bad, and how long it was observed, is not given by the source"
    )
    tested = {
        "date": f"No other place was tested: the test set is the last part of a file{of_period}.",
        "group": f"No other time was tested: the test set is some groups of a file{of_period}.",
    }
    random = (
        f"No other time or place was tested: the test set is a random part of a file{of_period}."
    )
    return [
        tested.get(contract.split.by, random),
        f"{default}.",
        "Applicants without an outcome were not observed, and no reject inference was made.",
        "The share of bad loans outside this sample and the costs are assumptions of this run.",
        "Regulatory validation (IFRS 9, the ECB's guide to internal models) is out of scope.",
    ]


def briefing(risks: Iterable[Risk], limits: Iterable[str], count: int = 3) -> str:
    """The greatest risks and what was not tested, for somebody who reads nothing else.

    Parameters
    ----------
    risks
        In the order in which equals are to stand.
    limits
        From :func:`limitations`.
    count
        How many risks are named; the others are counted.
    """
    ordered = _by_weight(risks)
    if not ordered:
        return " ".join(["The checks of this page found no risk.", *limits])
    named = "\n".join(f"{place}. {risk.text}" for place, risk in enumerate(ordered[:count], 1))
    rest = len(ordered) - count
    more = f" {rest} more under “Risks and limits”." if rest > 0 else ""
    greatest = "risk is" if len(ordered) == 1 else "risks are"
    return f"The greatest {greatest}:\n\n{named}\n\n{' '.join(limits)}{more}"


def listed(risks: Iterable[Risk]) -> str:
    """All risks, the greatest first, one line each, and what the weights mean."""
    word = {HIGH: "high", MEDIUM: "medium", LOW: "low"}
    ordered = _by_weight(risks)
    lines = "\n".join(f"- **{word[risk.weight]}**: {risk.text}" for risk in ordered)
    meant = "; ".join(f"{word[weight]}: {meaning}" for weight, meaning in WEIGHTS.items())
    return f"{lines}\n\nThe weights: {meant}." if ordered else "The checks above found no risk."


def as_records(risks: Iterable[Risk]) -> list[dict[str, Any]]:
    """The risks as JSON holds them."""
    return [{"weight": risk.weight, "text": risk.text} for risk in risks]


def _by_weight(risks: Iterable[Risk]) -> list[Risk]:
    return sorted(risks, key=lambda risk: -risk.weight)
