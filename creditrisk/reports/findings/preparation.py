"""What the preparation found: figures in, one sentence or list out."""

from collections.abc import Sequence

import pandas as pd

from creditrisk.data.contract import Contract
from creditrisk.data.missing_values import MISSING


def gaps(missing: "pd.Series[int]") -> str:
    """What becomes of missing values; ``missing`` counts them by column."""
    counts = [f"{name} ({n} applicants)" for name, n in missing[missing > 0].items()]
    if not counts:
        return "No column has a gap; nothing has to be done."
    return (
        f"Columns with gaps: {', '.join(counts)}. Each gap becomes a level named `{MISSING}`; "
        "nothing is filled in and no row is dropped."
    )


def encoding(contract: Contract, columns: int) -> str:
    """How many columns the encoder makes of how many."""
    quantities = len(contract.numbers)
    return (
        f"{len(contract.fields)} columns of an application become **{columns} columns**: "
        f"{quantities} quantities and {columns - quantities} levels."
    )


def separation(train: int, test: int, alike: int) -> str:
    """Whether an applicant is in both sets; ``alike`` counts equal rows of different applicants."""
    twins = "no application of the test set occurs with the same values in the training set"
    if alike:
        twins = f"{alike} pairs of different applicants have the same values"
    return f"{train} + {test} = {train + test} applicants, none in both; {twins}."


def largest_difference(shares: pd.DataFrame) -> str:
    """The largest difference of a level's share between the columns training and test."""
    points = 100 * (shares.training - shares.test).abs().max()
    return f"No level's share differs by more than {points:.1f} points"


def similarity(p: "pd.Series[float]", latest: int = 0) -> str:
    """Whether a column differs between the sets beyond chance (Bonferroni over the columns).

    Parameters
    ----------
    latest
        Rows at the end of the file that are the test set; 0 if it was drawn at random.
    """
    surprises = list(p.index[p * len(p) < 0.05])
    if surprises and latest:
        return f"The latest {latest} applicants differ from the others in {', '.join(surprises)}"
    if surprises:
        return f"The draw was unlucky in {', '.join(surprises)}; keep that in mind in 05"
    return f"No column differs beyond chance at this number of tests ({len(p)})"


def summary(
    missing: "pd.Series[int]",
    contract: Contract,
    columns: int,
    sizes: Sequence[int],
    bad_rates: Sequence[float],
    p: "pd.Series[float]",
    latest: int = 0,
) -> str:
    """What the preparation did, one line a promise; sizes and bad rates: training, then test."""
    with_gaps = int((missing > 0).sum())
    stay = f"stay, as a level of their own, in {with_gaps} columns"
    return (
        f"- **Missing values** {stay if with_gaps else 'do not occur'}.\n"
        f"- **{len(contract.fields)} columns become {columns}**, by the contract and not by the "
        "data; nothing is lost.\n"
        f"- **{sizes[0]} applicants to learn from, {sizes[1]} to be judged by**, none in both; bad "
        f"rate {bad_rates[0]:.1%} and {bad_rates[1]:.1%}.\n"
        f"- **Are the sets alike?** {similarity(p, latest)}."
    )
