"""Recourse: how many of those who are declined have any, and how much, by group."""

import numpy as np
import pandas as pd

from creditrisk.data.applications.frame_codes import frame_codes
from creditrisk.metrics.intervals import Interval, mean_interval, share_interval
from creditrisk.scoring.recourse.answers import MOST_COLUMNS
from creditrisk.scoring.scorer import Scorer


def recourse_of(scorer: Scorer, declined: pd.DataFrame) -> pd.DataFrame:
    """The smallest recourse of each declined application, in the coding of the model's data.

    Returns
    -------
    DataFrame
        Indexed as the applications: columns, how many are changed, 0 if there is no recourse within
        :data:`~creditrisk.scoring.recourse.answers.MOST_COLUMNS`; effort, NaN then; fields, those
        that are changed, joined; words, the change as a sentence; complete, whether the search
        came to its end. If it did not, there may be a recourse of less effort, or one at all where
        none was found, but none of fewer columns than were found.
    """
    of_all = scorer.taking_blanks()
    found = [of_all.recourse(codes) for codes in frame_codes(declined, of_all.domain)]
    smallest = [each.smallest[0] if each.smallest else None for each in found]
    return pd.DataFrame(
        {
            "columns": [len(each.changes) if each else 0 for each in smallest],
            "effort": [each.effort if each else np.nan for each in smallest],
            "fields": [
                " and ".join(change.field for change in each.changes) if each else ""
                for each in smallest
            ],
            "words": [each.words if each else "" for each in smallest],
            "complete": [each.complete for each in found],
        },
        index=declined.index,
    )


def by_group(found: pd.DataFrame, groups: dict[str, pd.Series], fewest: int = 10) -> pd.DataFrame:
    """The share of the declined with recourse in each group, and how many columns it takes.

    Parameters
    ----------
    found
        From :func:`recourse_of`.
    groups
        Names of groups by grouping, of at least the applications in ``found``.
    fewest
        Groups of fewer declined applicants are left out.

    Returns
    -------
    DataFrame
        Indexed by grouping and group: declined; share with recourse with Wilson's bounds, and
        columns, the mean number that are changed where there is recourse, with Student's bounds
        (NaN below two applicants), each as name, name_low and name_high. All of them stand first.
    """
    everybody = {"all": pd.Series("everybody", found.index)}
    rows = {}
    for name, group in (everybody | groups).items():
        for value, part in found.groupby(group.loc[found.index], observed=True):
            if len(part) >= fewest or name == "all":
                rows[name, str(value)] = _figures(part)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["grouping", "group"])
    return table


def counted(found: pd.DataFrame) -> dict[str, int]:
    """How many applications have a recourse of 1, 2 ... columns, how many none, how many are open.

    Open are those of which none was found in a search that was not carried to its end.
    """
    counts = {str(n): int((found["columns"] == n).sum()) for n in range(1, MOST_COLUMNS + 1)}
    without = found["columns"] == 0
    none = int((without & found["complete"]).sum())
    return counts | {"none": none, "open": int(without.sum()) - none}


def share(found: pd.DataFrame) -> Interval:
    """The share of declined applications with a recourse, with its 95% interval."""
    return share_interval(int((found["columns"] > 0).sum()), len(found))


def _figures(part: pd.DataFrame) -> dict[str, float]:
    columns = part["columns"][part["columns"] > 0].to_numpy()
    found = share(part)
    mean = mean_interval(columns) if len(columns) else Interval(np.nan, np.nan, np.nan)
    return {
        "declined": len(part),
        "share": found.estimate,
        "share_low": found.low,
        "share_high": found.high,
        "columns": mean.estimate,
        "columns_low": mean.low,
        "columns_high": mean.high,
    }
