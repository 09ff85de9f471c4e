"""Sentences on recourse: what would turn a decline."""

from collections.abc import Mapping

import pandas as pd

#: Said wherever recourse is shown.
NO_PROMISE = (
    "This is about the model and no promise of a loan: it ranks by what went together with paying "
    "back, and not by what makes somebody pay back."
)


def recourse(counts: Mapping[str, int], table: pd.DataFrame) -> str:
    """How many of the declined have recourse, and of how many columns.

    Parameters
    ----------
    counts
        From :func:`creditrisk.validation.recourse.counted`.
    table
        From :func:`creditrisk.validation.recourse.by_group`.
    """
    declined = sum(counts.values())
    if not declined:
        return "Nobody is declined: there is no recourse to look for."
    share = table.iloc[0]
    by_columns = ", ".join(
        f"{count} by {_columns(number)}" for number, count in counts.items() if number.isdigit()
    )
    left = counts["open"]
    not_ended = f", and for {left} the search was not carried to its end" if left else ""
    return (
        f"{share.share:.0%} ({share.share_low:.0%} to {share.share_high:.0%}) of {declined:,} "
        f"declined would be approved with a change of up to three columns: {by_columns}; "
        f"{counts['none']} have none{not_ended}. {NO_PROMISE}"
    )


def groups(table: pd.DataFrame) -> str:
    """Whether some group has recourse less often than another, as far as intervals can tell.

    Groups are told apart if their intervals do not meet, which is stricter than a test.
    """
    apart = []
    for name, part in table.iloc[1:].groupby(level=0, sort=False):
        if len(part) < 2:
            continue
        least, most = part.share.idxmin(), part.share.idxmax()
        if part.share_high[least] < part.share_low[most]:
            apart.append(
                f"{least[1]} {part.share[least]:.0%} against {most[1]} {part.share[most]:.0%}"
            )
    if len(table) < 3:
        return "There are too few declined applicants in the protected groups to compare them."
    if not apart:
        return "No protected group is distinguishable from another in how many have recourse."
    return f"Recourse is not as frequent in all protected groups: {'; '.join(apart)}."


def example(words: str) -> str:
    """One applicant's recourse in words."""
    return f"For example: {words}." if words else ""


def _columns(number: str) -> str:
    return "one column" if number == "1" else f"{number} columns"
