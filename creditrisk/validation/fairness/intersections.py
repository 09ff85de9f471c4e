"""Groups where several protected columns meet, down to ten applicants."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.contract import Contract
from creditrisk.metrics.intervals import share_interval
from creditrisk.metrics.ranking import FEW
from creditrisk.modelling.significance import holm
from creditrisk.validation.fairness.disparity import groups_of

#: Columns that are crossed at most: of more, each two, three and so on up to this many.
MOST = 4
COLUMNS = ["grouping", "group", "applicants", "approved", "low", "high", "others", "ratio", "p"]


def intersections(
    applications: pd.DataFrame, approve: np.ndarray, contract: Contract
) -> pd.DataFrame:
    """Approval in every combination of protected groups that enough applicants are in.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application).
    approve
        Shape (n,), True where the application is approved.

    Returns
    -------
    DataFrame
        One row a group of one column, and of all combinations of two and more, with at least
        :data:`~creditrisk.metrics.ranking.FEW` applicants inside and outside; of two groups only
        the smaller. The lowest ratio first: grouping (the columns), group, applicants, approved
        with Wilson bounds low and high, others (approval of all who are not in it), ratio of the
        two (NaN if no other is approved), p (Fisher's exact test of no difference) and
        p_corrected, for the number of groups that were looked at (Holm).

    Notes
    -----
    Intersections are where a model may fail groups that look well served one column at a time
    (Buolamwini and Gebru 2018). The smaller the group, the larger a difference has to be to be
    told from chance, and the more groups, the more differ by chance: hence the corrected p.
    """
    approve = np.asarray(approve, dtype=bool)
    rows = []
    for grouping, group in _combinations(applications, contract):
        sizes = group.value_counts()
        for name, count in sizes.iloc[int(len(sizes) == 2) :].items():  # of two the smaller
            inside = (group == name).to_numpy()
            if min(count, len(inside) - count) < FEW:
                continue
            yes, others = int(approve[inside].sum()), approve[~inside]
            share, rest = share_interval(yes, count), float(others.mean())
            counts = [[yes, count - yes], [int(others.sum()), int((~others).sum())]]
            p = float(stats.fisher_exact(counts).pvalue)
            ratio = share.estimate / rest if rest else np.nan
            figures = share.estimate, share.low, share.high, rest, ratio, p
            rows.append((grouping, name, int(count), *figures))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_corrected"] = holm(table.p.to_numpy())
    return table.sort_values("ratio", kind="stable", ignore_index=True)


def _combinations(
    applications: pd.DataFrame, contract: Contract
) -> Iterator[tuple[str, pd.Series]]:
    """Each applicant's group by one protected column, by two, and so on, with their titles."""
    single = {each.title: groups_of(applications[each.name], each) for each in contract.protected}
    for count in range(1, min(len(single), MOST) + 1):
        for titles in combinations(single, count):
            first, *others = (single[title] for title in titles)
            yield " and ".join(titles), first.str.cat(others, sep=", ") if others else first
