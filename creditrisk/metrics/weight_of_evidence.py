"""Bad rate, weight of evidence and information value of the levels of a variable."""

import numpy as np
import pandas as pd

from creditrisk.metrics.intervals import share_interval


def risk_by_level(levels: pd.Series, y: pd.Series) -> pd.DataFrame:
    """Bad rate, weight of evidence and information value of each level of a variable.

    Parameters
    ----------
    levels
        Shape (n,), no missing values; a categorical keeps its order.
    y
        Shape (n,), 1 = good and 0 = bad.

    Returns
    -------
    DataFrame
        Indexed by level: applicants, good, bad, bad_rate with Wilson bounds low and high,
        woe = ln(share of all good / share of all bad), and iv, the level's part of the
        information value (share of good - share of bad) · woe. Half an applicant is added
        to both counts of a level in which one class is absent, so that woe stays finite.
    """
    counts = pd.crosstab(levels, y).reindex(columns=[1, 0], fill_value=0)
    table = pd.DataFrame({"applicants": counts.sum(axis=1), "good": counts[1], "bad": counts[0]})
    intervals = [share_interval(bad, n) for bad, n in zip(table.bad, table.applicants, strict=True)]
    table["bad_rate"] = [interval.estimate for interval in intervals]
    table["low"] = [interval.low for interval in intervals]
    table["high"] = [interval.high for interval in intervals]
    padding = 0.5 * ((table.good == 0) | (table.bad == 0))
    good = (table.good + padding) / table.good.sum()
    bad = (table.bad + padding) / table.bad.sum()
    table["woe"] = np.log(good / bad)
    table["iv"] = (good - bad) * table.woe
    return table
