"""The flip test: whose decision turns if a protected value is another one, all else being equal."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from creditrisk.data.cells import dtype
from creditrisk.metrics.intervals import Interval, mean_interval, share_interval
from creditrisk.metrics.ranking import FEW
from creditrisk.scoring.scorer import Scorer
from creditrisk.validation.fairness.disparity import groups_of

COLUMNS = ["column", "to", "applicants", "turned", "share", "low", "high"]
CHANGES = ["to_approved", "mean_change", "mean_low", "mean_high", "largest_change"]


def flips(scorer: Scorer, applications: pd.DataFrame) -> pd.DataFrame:
    """What happens to those outside a group if their protected value were that of the group.

    A level stands for itself. A group of a quantity is stood for by the value in the middle of
    those of its applicants, the lower one of two.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application).

    Returns
    -------
    DataFrame
        One row a protected column and group, none if no column is protected or all applicants are
        in one group: column, to (the group), applicants (those outside of it), turned, how many
        decisions turn, and their share with Wilson bounds low and high; to_approved, how many of
        them to an approval; mean_change of the probability of good with the 95% interval
        mean_low to mean_high (Student's, paired), and largest_change. Bounds of fewer than
        :data:`~creditrisk.metrics.ranking.FEW` applicants are NaN.

    Notes
    -----
    Kusner and others (2017), "Counterfactual Fairness", without a model of how the columns hang
    together: nothing but the one column changes. A model that reads the same from other columns
    passes, which is why the proxies are audited as well.
    """
    before, rows = scorer.probabilities(applications), []
    for field in scorer.contract.protected:
        groups = groups_of(applications[field.name], field)
        for name, members in applications[field.name].groupby(groups).groups.items():
            values = applications.loc[members, field.name].sort_values(na_position="last")
            other = values.iloc[(len(values) - 1) // 2]
            outside = (groups != name).to_numpy()
            if not outside.any():
                continue
            column = pd.Series([other] * int(outside.sum()), dtype=object).astype(dtype(field))
            changed = applications[outside].assign(**{field.name: column.array})
            after = scorer.probabilities(changed)
            rows.append((field.title, name, *_change(before[outside], after, scorer.cutoff)))
    return pd.DataFrame(rows, columns=COLUMNS + CHANGES)


def _change(before: np.ndarray, after: np.ndarray, cutoff: float) -> tuple[float, ...]:
    """The figures of one row, but for its names."""
    n, change = len(before), after - before
    approved, was_approved = after >= cutoff, before >= cutoff
    turned = int((approved != was_approved).sum())
    share, mean = share_interval(turned, n), mean_interval(change)
    if n < FEW:
        share = Interval(share.estimate, np.nan, np.nan)
        mean = Interval(mean.estimate, np.nan, np.nan)
    return (
        n,
        turned,
        share.estimate,
        share.low,
        share.high,
        int((approved & ~was_approved).sum()),
        mean.estimate,
        mean.low,
        mean.high,
        float(change[np.abs(change).argmax()]),
    )


def unused(scorer: Scorer, left_out: Iterable[str]) -> list[str]:
    """The titles of the protected columns that the model was not given."""
    names = set(left_out)
    return [field.title for field in scorer.contract.protected if field.name in names]
