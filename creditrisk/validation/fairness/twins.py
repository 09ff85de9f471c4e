"""Matched pairs: near twins from two groups, and whether both are approved.

Twins differ in the protected column and hardly in any other, so that what they are decided by is
nearly the same. With a model that does not use the column a difference can come only from what
little they differ by, or from columns that stand for it.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field
from creditrisk.metrics.intervals import paired_difference
from creditrisk.metrics.ranking import FEW
from creditrisk.validation.fairness.disparity import groups_of
from creditrisk.validation.similarity import nearest

#: The nearest of the other group that each applicant may be paired with.
CANDIDATES = 20
#: Applicants of a group that are matched at most: of more, rows at even distances.
MOST = 5_000


@dataclass(frozen=True)
class Pairs:
    """Who is paired with whom, and how far apart they are."""

    first: np.ndarray  # (pairs,): rows of the one group
    second: np.ndarray  # (pairs,): rows of the other
    distance: np.ndarray  # (pairs,): Gower's, over all columns but the protected one


def matched_pairs(
    applications: pd.DataFrame,
    contract: Contract,
    field: Field,
    groups: tuple[str, str],
    caliper: float,
) -> Pairs:
    """Pairs of one applicant of each group, nearest first, each applicant in one pair at most.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application).
    field
        The protected column; it takes no part in the distance, all others do alike.
    groups
        Two groups of :func:`~creditrisk.validation.fairness.disparity.groups_of`.
    caliper
        The largest distance of a pair, see :func:`creditrisk.validation.similarity.nearest`: with m
        columns in it one category that differs counts 1/m.

    Notes
    -----
    Matching is greedy by distance among the :data:`CANDIDATES` nearest of each applicant of the
    smaller group, which is not always the largest possible number of pairs.
    """
    group = groups_of(applications[field.name], field).to_numpy()
    members = [np.flatnonzero(group == name) for name in groups]
    sides = [each[:: -(-len(each) // MOST)] for each in members]
    few, many = sorted(sides, key=len)
    others = contract.without([field.name])
    count = min(CANDIDATES, len(many))
    distance, place = nearest(applications.iloc[few], applications.iloc[many], others, count)
    row, column = np.nonzero(distance <= caliper)
    taken_row, taken_other = set[int](), set[int]()
    chosen: list[tuple[int, int, float]] = []
    for at in distance[row, column].argsort(kind="stable"):
        mine, theirs = int(row[at]), int(place[row[at], column[at]])
        if mine not in taken_row and theirs not in taken_other:
            taken_row.add(mine)
            taken_other.add(theirs)
            chosen.append((few[mine], many[theirs], float(distance[row[at], column[at]])))
    smaller, larger, apart = (
        np.array([each[part] for each in chosen], dtype=kind)
        for part, kind in ((0, int), (1, int), (2, float))
    )
    first, second = (smaller, larger) if few is sides[0] else (larger, smaller)
    return Pairs(first, second, apart)


def twin_table(
    applications: pd.DataFrame, approve: np.ndarray, contract: Contract, caliper: float
) -> pd.DataFrame:
    """The difference of approval between near twins, for each two groups of a protected column.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application).
    approve
        Shape (n,), True where the application is approved.
    caliper
        As :func:`matched_pairs` takes it.

    Returns
    -------
    DataFrame
        One row a column and two of its groups of at least :data:`~.ranking.FEW` applicants: column,
        group, against, pairs, distance (its mean), both, only_group, only_against and neither, the
        numbers of pairs by who is approved; difference of the share approved, the group's less the
        other's, with bounds low and high; p, McNemar's exact test of no difference. With fewer than
        ``FEW`` pairs the last four are NaN.

    Notes
    -----
    McNemar (1947), Psychometrika 12; the interval is Tango's, which inverts that test's score form.
    """
    approve, rows = np.asarray(approve, dtype=bool), []
    for field in contract.protected:
        sizes = groups_of(applications[field.name], field).value_counts()
        names = sizes.index[sizes >= FEW]
        for against, group in combinations(names, 2) if len(contract.fields) > 1 else ():
            pairs = matched_pairs(applications, contract, field, (group, against), caliper)
            mine, theirs = approve[pairs.first], approve[pairs.second]
            only, other = int((mine & ~theirs).sum()), int((~mine & theirs).sum())
            count = len(mine)
            counts = int((mine & theirs).sum()), only, other, int((~mine & ~theirs).sum())
            figures = (np.nan,) * 4
            if count >= FEW:
                gap = paired_difference(only, other, count)
                p = stats.binomtest(only, only + other).pvalue if only + other else 1.0
                figures = gap.estimate, gap.low, gap.high, float(p)
            apart = float(pairs.distance.mean()) if count else np.nan
            rows.append((field.title, group, against, count, apart, *counts, *figures))
    counted = ["both", "only_group", "only_against", "neither"]
    names_of_figures = ["difference", "low", "high", "p"]
    columns = ["column", "group", "against", "pairs", "distance", *counted, *names_of_figures]
    return pd.DataFrame(rows, columns=columns)
