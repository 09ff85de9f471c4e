"""What the preparation found: figures in, one sentence or list out."""

from collections.abc import Mapping, Sequence

import pandas as pd

from creditrisk.data.contract import Contract, counted
from creditrisk.data.missing_values import MISSING


def left_out(excluded: Mapping[str, int]) -> str:
    """How many rows were left out because of their outcome; ``excluded`` by the outcome."""
    if not excluded:
        return "No row is left out."
    listed = ", ".join(f"{rows:,} with “{outcome}”" for outcome, rows in excluded.items())
    return f"Left out, because their outcome is neither good nor bad: {listed}."


def remedy(contract: Contract, name: str, missing: int) -> str:
    """What is done about a column's missing values."""
    if not missing:
        return "nothing to do"
    if name not in [field.name for field in contract.fields]:
        return "not learned from"
    quantity = contract[name].levels is None
    return "kept, with a column of its own" if quantity else "kept as a level"


def gaps(missing: "pd.Series[int]") -> str:
    """What becomes of missing values; ``missing`` counts them by column."""
    counts = [
        f"{name} ({n:,} applicant{'s' * (n != 1)})" for name, n in missing[missing > 0].items()
    ]
    if not counts:
        return "No column has a gap; nothing has to be done."
    return (
        f"Columns with gaps: {', '.join(counts)}. In a category a gap becomes a level named "
        f"`{MISSING}`, and beside a quantity a column that says so; nothing is filled in and no "
        "row is dropped."
    )


def encoding(contract: Contract, columns: int) -> str:
    """How many columns the encoder makes of how many."""
    quantities = len(contract.numbers)
    become = "becomes" if len(contract.fields) == 1 else "become"
    return (
        f"{counted(len(contract.fields), 'column')} of an application {become} "
        f"**{counted(columns, 'column')}**: "
        f"{counted(quantities, 'quantity', 'quantities')} and "
        f"{counted(columns - quantities, 'level')}."
    )


def separation(train: int, test: int, alike: int) -> str:
    """Whether an applicant is in both sets; ``alike`` counts equal rows of different applicants."""
    twins = "no application of the test set occurs with the same values in the training set"
    if alike:
        twins = f"{alike:,} pairs of different applicants have the same values"
    return f"{train:,} + {test:,} = {train + test:,} applicants, none in both; {twins}."


def largest_difference(shares: pd.DataFrame) -> str:
    """The largest difference of a level's share between the columns training and test."""
    if not len(shares):
        return "There is no level to compare"
    points = 100 * (shares.training - shares.test).abs().max()
    return f"The largest difference of a level's share is {points:.1f} points"


def similarity(p: "pd.Series[float]", drawn: bool = True) -> str:
    """Whether a column differs between the sets beyond chance (Bonferroni over the columns).

    Parameters
    ----------
    drawn
        Whether the test set was drawn at random, and is not the last part of the time, say.
    """
    surprises = list(p.index[p * len(p) < 0.05])
    if surprises and not drawn:
        return f"The applicants of the test set differ from the others in {', '.join(surprises)}"
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
    drawn: bool = True,
) -> str:
    """What the preparation did, one line a promise; sizes and bad rates: training, then test."""
    with_gaps = int((missing > 0).sum())
    become = counted(len(contract.fields), "column becomes", "columns become")
    stay = f"stay, as a level of their own, in {counted(with_gaps, 'column')}"
    return (
        f"- **Missing values** {stay if with_gaps else 'do not occur'}.\n"
        f"- **{become} {columns}**, by the contract and not by the data; nothing is lost.\n"
        f"- **{sizes[0]:,} applicants to learn from, {sizes[1]:,} to be judged by**, none in both; "
        f"bad rate {bad_rates[0]:.1%} and {bad_rates[1]:.1%}.\n"
        f"- **Are the sets alike?** {similarity(p, drawn)}."
    )
