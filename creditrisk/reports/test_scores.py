"""The scores of the test set as a file, with the outcomes and what made each score."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError

#: The column of a score, and what those with a field's share in it begin with.
SCORE, EFFECT = "probability_of_good", "effect: "
#: What the first column begins with, if the contract names one by which applicants are known.
IDENTITY = "id: "


def write_scores(
    path: str | Path,
    applications: pd.DataFrame,
    y: np.ndarray,
    score: np.ndarray,
    effects: np.ndarray | None,
    contract: Contract,
    ids: "pd.Series[str] | None" = None,
) -> None:
    """Write what a model says of applicants, with their outcomes, one row an applicant.

    Parameters
    ----------
    applications
        Raw, shape (n, columns of an application); an empty cell stands for a missing value.
    effects
        Shape (n, fields), each field's share in the log-odds' difference to the usual applicant,
        from :meth:`creditrisk.scoring.scorer.Scorer.effects`; None, if nothing is usual, leaves the
        cells empty, and so does NaN.
    ids
        Shape (n,), of the applicants; named as the contract's column with the role id.
    """
    names = [field.name for field in contract.fields]
    table = applications[names].astype(object).where(applications[names].notna(), "")
    table[contract.target.name] = np.where(np.asarray(y) == 1, contract.positive, contract.bad[0])
    table[SCORE] = [repr(each) for each in np.asarray(score, dtype=float).tolist()]
    shares = np.full((len(table), len(names)), np.nan) if effects is None else effects
    for number, name in enumerate(names):
        given = shares[:, number].tolist()
        table[EFFECT + name] = ["" if math.isnan(each) else str(each) for each in given]
    if ids is not None:
        table.insert(0, f"{IDENTITY}{ids.name}", np.asarray(ids))
    table.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a ``test_scores.csv`` as it was written: empty cells are NaN, all else is a value.

    Returns
    -------
    DataFrame
        Without the ids: the columns of an application, the outcome under the target's name, then
        ``probability_of_good`` to the last bit, then ``effect: <column>`` for each column.

    Raises
    ------
    ContractError
        If the file is missing or is none of ours.
    """
    remedy = "run the chain again from 06_explanation on, which writes it"
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise ContractError(str(path), [f"cannot be read ({problem})"], remedy) from error
    table = table.drop(columns=[name for name in table.columns[:1] if name.startswith(IDENTITY)])
    columns = list(table.columns)
    place = columns.index(SCORE) if SCORE in columns else 0
    if place < 2 or columns[place + 1 :] != [EFFECT + name for name in columns[: place - 1]]:
        raise ContractError(str(path), ["holds no scores with the shares of all fields"], remedy)
    return table
