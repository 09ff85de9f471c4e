"""Which applicants are learned from, and which judge the model that is finished."""

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.fields import DATE, GROUP, Field


def split_rows(
    applications: pd.DataFrame,
    y: pd.Series,
    contract: Contract,
    test_size: float,
    seed: int,
    latest: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Split applications as the contract asks.

    By ``random`` the split is stratified, so that both sets hold the same share of bad loans. By
    ``date`` the test set is what was applied for from a day on, or else the last part of the time;
    no day is in both. By ``group`` no group is in both, and the shares of bad loans are as alike as
    that allows.

    Parameters
    ----------
    applications
        Raw, with the columns that are carried along, shape (n, columns).
    y
        Shape (n,), 1 = good and 0 = bad.
    test_size
        The share to keep, of the rows; by date and by group about that share.
    seed
        Of the random split, and of the one by group.
    latest
        If not 0, so many rows at the end are the test set, whatever the contract says.

    Returns
    -------
    train, test : ndarray of int
        Positions of rows, together each once.

    Raises
    ------
    ContractError
        If all loans are good or all bad, or one of the sets would lack either.
    ValueError
        If ``latest`` leaves nobody to learn from.
    """
    # Half a second, which checking a file does not need.
    from sklearn.model_selection import StratifiedGroupKFold, train_test_split

    if one_sided := only_outcome(y):
        raise ContractError("the applications", [one_sided], "give a file with good and bad ones")
    if latest:
        if not 0 < latest < len(y):
            raise ValueError(f"latest is {latest}; give 1 to {len(y) - 1:,} rows, or 0")
        train, test = np.split(np.arange(len(y)), [len(y) - latest])
    elif contract.split.by == DATE:
        train, test = _by_date(applications, _column(contract, DATE), contract, test_size)
    elif contract.split.by == GROUP:
        groups = applications[_column(contract, GROUP).name]
        folds = StratifiedGroupKFold(max(2, round(1 / test_size)), shuffle=True, random_state=seed)
        train, test = next(folds.split(applications, y, groups))
    else:
        train, test = train_test_split(
            np.arange(len(y)), test_size=test_size, stratify=y, random_state=seed
        )
    for name, rows in (("training", train), ("test", test)):
        if len(np.unique(y.iloc[rows])) < 2:
            raise ContractError(
                f"split by {contract.split.by}",
                [f"the {name} set would hold {len(rows):,} applicants, all with the same outcome"],
                "move split.testFrom in the descriptor, or split otherwise",
            )
    return train, test


def only_outcome(y: pd.Series) -> str:
    """That all outcomes (n,) are the same, of which nothing can be learned; empty if not so."""
    if y.nunique() > 1:
        return ""
    return f"all {len(y):,} outcomes are {'good' if y.iloc[0] else 'bad'}"


def split_sentence(
    contract: Contract, applications: pd.DataFrame, test: np.ndarray, latest: int = 0
) -> str:
    """How the sets were split, in one or two sentences."""
    if latest:
        return f"The test set are the last {len(test):,} applications of the file."
    if contract.split.by == DATE:
        column = _column(contract, DATE)
        first = column.shown(int(applications[column.name].iloc[test].min()))
        return (
            f"The test set is the last part of the time: {column.title} from {first} on. What it "
            "shows is how the model does on applicants who came later."
        )
    if contract.split.by == GROUP:
        column = _column(contract, GROUP)
        return f"Whole groups of {column.title} are kept for the test set; none is in both sets."
    return "The split is random and stratified, so that both sets hold the same share of bad loans."


def _by_date(
    applications: pd.DataFrame, column: Field, contract: Contract, test_size: float
) -> tuple[np.ndarray, np.ndarray]:
    dates = applications[column.name].to_numpy()
    if contract.split.test_from:
        begin = float(_first_day(contract.split.test_from, column))
    else:
        begin = float(np.quantile(dates, 1 - test_size, method="higher"))
    return np.flatnonzero(dates < begin), np.flatnonzero(dates >= begin)


def _first_day(text: str, column: Field) -> int:
    """The day, or month, from which on an application is in the test set."""
    return column.number_of(text[:7] if column.type == "yearmonth" else text)


def _column(contract: Contract, role: str) -> Field:
    column = contract.of_role(role)
    assert column is not None, f"the contract was checked to have a column with the role {role}"
    return column
