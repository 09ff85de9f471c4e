"""What the review found: figures in, one sentence or list out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from creditrisk.validation.choice import NEAR, CutoffSpread, ReasonStability
from creditrisk.validation.methodology.checks import Check, Verdict
from creditrisk.validation.slices import TOO_FEW, Slices

#: Below this share of resampled training sets the winner is one of several that are alike.
LOTTERY = 0.8


def subject(version: Mapping[str, Any], training: int, test: int) -> str:
    """Which version is reviewed, and on whom; ``version`` as in ``registration.json``."""
    return (
        f"**{version['model']} version {version['version']}**, {version['champion']}; "
        f"{training:,} applicants it was trained on and {test:,} it never saw."
    )


def checks(made: Sequence[Check]) -> str:
    """How many checks are passed, and which are not."""
    failed = [check for check in made if check.verdict == Verdict.FAILED]
    open_ = [check for check in made if check.verdict == Verdict.NOT_JUDGED]
    text = f"**{_passed(made)}.**"
    for word, those in (("Failed", failed), ("Not judged", open_)):
        if those:
            named = "\n".join(f"- {check.name}: {check.figure}" for check in those)
            text += f"\n\n{word}:\n\n{named}"
    return text


def _passed(made: Sequence[Check]) -> str:
    """How many of the checks that could be judged are passed."""
    judged = [check for check in made if check.verdict != Verdict.NOT_JUDGED]
    passed = sum(check.verdict == Verdict.PASSED for check in judged)
    return f"{passed} of {len(judged)} checks are passed"


def alone(titled: "pd.Series[float]", limit: float) -> str:
    """Which column ranks best alone; ``titled`` has the ROC-AUC by title, the highest first."""
    suspects = int((titled >= limit).sum())
    if suspects:
        return f"{suspects} of {len(titled)} columns reach {limit} alone"
    return f"{titled.index[0]} ranks best alone, with a ROC-AUC of {titled.iloc[0]:.3f}"


def slices(searched: Slices) -> str:
    """How many segments were searched, which were found, and what the test rows say to them."""
    found, confirmed = searched.found, searched.confirmed
    text = (
        f"{searched.searched:,} segments of at least {searched.smallest:,} applicants of the "
        "training set were searched"
    )
    if not searched.searched:
        return "No segment is large enough to be searched, let alone confirmed."
    if found.empty:
        return f"{text}. In none of them does the model err beyond chance."
    those = f"{len(found)} segment{'s' * (len(found) > 1)} found"
    unclear = int((found.verdict == TOO_FEW).sum())
    too_few = f" {unclear} of them have too few test rows to be judged." if unclear else ""
    if confirmed.empty:
        return f"{text}. **Nothing is confirmed** of the {those}.{too_few}"
    named = "\n".join(
        f"- **{row.segment}**: {row.test_predicted:.1%} of {row.test_applicants:,} predicted good, "
        f"{row.test_observed:.1%} are; log loss {row.test_excess:.3f} more than expected "
        f"(p = {row.p_corrected:.3f})"
        for row in confirmed.itertuples()
    )
    text += f". **Of the {those}, the test rows confirm {len(confirmed)}**:\n\n{named}"
    return f"{text}\n\n{too_few.strip()}".rstrip()


def winners(shares: "pd.Series[float]", champion: str) -> str:
    """How often each candidate wins over resampled applicants.

    Parameters
    ----------
    shares
        By model, share of the samples in which it is picked; see
        :class:`creditrisk.modelling.optimism.Selection`.
    champion
        The model that was registered.
    """
    own = float(shares.get(champion, 0.0))
    others = shares[shares.index != champion].sort_values(ascending=False, kind="stable")
    text = f"**{champion}** wins in {own:.1%} of the samples"
    if len(others):
        text += ", " + ", ".join(f"{name} in {share:.1%}" for name, share in others.items())
    if own < LOTTERY:
        return f"{text}. The choice is a lottery among models that are alike."
    return f"{text}. Other applicants would hardly have led to another model."


def cutoff(spread: CutoffSpread) -> str:
    """How far the cut-off moves, and what that does to decisions on the test set."""
    return (
        f"Registered is {spread.cutoff:.2f}; 95% of the samples choose from {spread.low:.2f} to "
        f"{spread.high:.2f}, {spread.near:.0%} within {NEAR} of it. Of the test applicants "
        f"{spread.approved:.1%} are approved, {spread.approved_at_low:.1%} at the lower end and "
        f"{spread.approved_at_high:.1%} at the upper; the cut-off of a sample decides on "
        f"{spread.turned:.1%} of them otherwise, on average."
    )


def reasons(steady: ReasonStability | None, titles: Mapping[str, str]) -> str:
    """How often refits name another field first; ``titles`` are those of fields, by name."""
    if steady is None:
        return (
            "No reasons to compare: nobody is declined, nothing was refitted, or the model has "
            "no reasons."
        )
    if not steady.highest:
        return (
            f"All of {steady.refits} refits name the same field first as the model, for each of "
            f"{steady.declined:,} declined test applicants."
        )
    text = (
        f"{steady.refits} refits name another field first for {steady.differs:.1%} of "
        f"{steady.declined:,} declined test applicants, from {steady.lowest:.1%} in one refit to "
        f"{steady.highest:.1%} in another."
    )
    if steady.unsteady:
        name = max(steady.by_field, key=lambda field: steady.by_field[field])
        text += (
            f" For {steady.unsteady:.1%} of them at least half of the refits do. Least steady is "
            f"{titles[name]}: where it stands first, {steady.by_field[name]:.1%} of the refits "
            "name another."
        )
    return text


def summary(
    made: Sequence[Check],
    searched: Slices,
    shares: "pd.Series[float]",
    champion: str,
    spread: CutoffSpread,
    steady: ReasonStability | None,
) -> str:
    """What the review found, one line a promise."""
    confirmed = len(searched.confirmed)
    depends = [
        f"the champion wins in {shares.get(champion, 0.0):.1%} of the samples",
        f"95% of the cut-offs are from {spread.low:.2f} to {spread.high:.2f}",
    ]
    if steady is not None:
        depends.append(f"refits name another reason first for {steady.differs:.1%}")
    *others, last = depends
    listed = f"{', '.join(others)}, and {last}"
    lines = [
        f"**Checks**: {_passed(made)}.",
        f"**Segments**: {len(searched.found)} found, {confirmed or 'none'} confirmed.",
        f"**The choice**: {listed}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def verdict(made: Sequence[Check], searched: Slices, to_settle: str) -> str:
    """How the page is to look: a warning if there is anything to look into.

    That is a failed check, a confirmed segment, or what ``fairness.to_settle`` names.
    """
    failed = any(check.verdict == Verdict.FAILED for check in made)
    return "warning" if failed or len(searched.confirmed) or to_settle else "passed"


def headline(made: Sequence[Check], searched: Slices, share: float, to_settle: str) -> str:
    """The page in one sentence, and in a second what has to be settled, if anything.

    Parameters
    ----------
    share
        Of the samples in which the champion wins.
    to_settle
        From ``fairness.to_settle``.
    """
    confirmed = len(searched.confirmed)
    segments = f"{confirmed or 'no'} segment{'s' * (confirmed != 1)} with larger errors confirmed"
    text = f"{_passed(made)}; {segments}; the champion wins in {share:.0%} of resampled comparisons"
    return f"{text}. To settle: {to_settle}" if to_settle else text
