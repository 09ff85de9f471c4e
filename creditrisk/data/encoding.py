"""From raw applications to the matrix the classifiers train on, and back."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.fields import Field
from creditrisk.data.missing_values import MISSING


def target(frame: pd.DataFrame, contract: Contract) -> pd.Series:
    """The target of each row as int64: 1 = good risk, 0 = bad risk."""
    return frame[contract.target.name].isin(contract.good).astype("int64")


def levels_with_missing(values: pd.Series, field: Field) -> pd.Series:
    """A category's values as an ordered categorical in which a missing value is the last level."""
    filled = values.astype(object).where(values.notna(), MISSING)
    kind = pd.CategoricalDtype(list(field.all_levels), ordered=True)
    return pd.Series(filled, index=values.index).astype(kind)


def encoder(contract: Contract) -> ColumnTransformer:
    """The one-hot encoder, raw applications in, matrix out; its columns follow from the contract.

    Nothing is learned from data: quantities pass, each level of a category gets a 0/1 column
    named ``<column>_<level>``, and a missing value is one more level.

    Returns
    -------
    ColumnTransformer
        Ready to ``transform`` a frame of shape (n, columns) to int64 of shape (n, levels).
    """
    categories = [field.name for field in contract.categories]
    levels = [np.array(field.all_levels, dtype=object) for field in contract.categories]
    # Two imputers because pandas hands over NaN, and JSON's null arrives as None.
    fill = {"strategy": "constant", "fill_value": MISSING, "keep_empty_features": True}
    one_hot = Pipeline(
        [
            ("nan", SimpleImputer(missing_values=np.nan, **fill)),
            ("none", SimpleImputer(missing_values=None, **fill)),
            ("levels", OneHotEncoder(categories=levels, sparse_output=False, dtype=np.int64)),
        ]
    )
    columns = ColumnTransformer(
        [
            ("quantity", "passthrough", [field.name for field in contract.numbers]),
            ("category", one_hot, categories),
        ],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return columns.fit(_any_application(contract))


def encoded_columns(contract: Contract, field: Field) -> list[str]:
    """The matrix columns of one raw column, in the order of its levels."""
    return [f"{field.name}_{level}" for level in field.all_levels] if field.levels else [field.name]


def matrix_columns(contract: Contract) -> list[str]:
    """The encoded columns in the order of the matrix."""
    return [
        column
        for field in (*contract.numbers, *contract.categories)
        for column in encoded_columns(contract, field)
    ]


def decode(matrix: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Turn matrix rows back into raw applications; the encoding loses nothing.

    Parameters
    ----------
    matrix
        Shape (n, encoded columns), as written to ``X_train.csv``.

    Returns
    -------
    DataFrame, shape (n, columns of an application)
    """
    raw = {}
    for field in contract.fields:
        columns = encoded_columns(contract, field)
        if field.levels is None:
            raw[field.name] = matrix[field.name]
        else:
            level = matrix[columns].to_numpy().argmax(axis=1)
            values = np.array([*field.levels, np.nan], dtype=object)[level]
            raw[field.name] = pd.Series(values, matrix.index, column_dtype(field))
    return pd.DataFrame(raw)


def read_matrix(path: str | Path, contract: Contract) -> pd.DataFrame:
    """Read an ``X_*.csv``, whose columns must be those of the contract's encoder.

    Returns
    -------
    DataFrame, shape (n, encoded columns)

    Raises
    ------
    ContractError
        If the file cannot be read or has other columns.
    """
    matrix = _read_made(path)
    expected = matrix_columns(contract)
    if list(matrix.columns) != expected:
        wrong = sorted(set(matrix.columns) ^ set(expected)) or ["their order"]
        remedy = "run 02_preparation again with this contract"
        raise ContractError(str(path), [f"columns differ: {', '.join(wrong)}"], remedy)
    return matrix


def read_target(path: str | Path, contract: Contract, rows: int) -> pd.Series:
    """Read a ``y_*.csv``: one column, 1 = good risk and 0 = bad risk.

    Parameters
    ----------
    rows
        Rows of the matrix that belongs to it.

    Returns
    -------
    Series, shape (rows,)

    Raises
    ------
    ContractError
        If the file cannot be read, has another column, another value or another length.
    """
    column = _read_made(path)
    remedy = "run 02_preparation again"
    if list(column.columns) != [contract.target.name]:
        raise ContractError(str(path), [f"must hold {contract.target.name} only"], remedy)
    if len(column) != rows:
        raise ContractError(str(path), [f"has {len(column)} rows, its matrix {rows}"], remedy)
    if not column.iloc[:, 0].isin([0, 1]).all():
        raise ContractError(str(path), ["holds a value other than 0 and 1"], remedy)
    return column.iloc[:, 0]


def _read_made(path: str | Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas raises ValueErrors for bad text
        problem = (
            "does not exist"
            if isinstance(error, FileNotFoundError)
            else f"cannot be read ({error})"
        )
        raise ContractError(str(path), [problem], "run 02_preparation first") from error


def column_dtype(field: Field) -> str:
    """The pandas dtype of a raw column: int64, or str if it is text or a value may be missing."""
    return "int64" if field.type == "integer" and field.required else "str"


def _any_application(contract: Contract) -> pd.DataFrame:
    """One allowed application; the encoder needs to see columns and types, not values."""
    values = {field.name: (field.levels or [field.minimum])[0] for field in contract.fields}
    return pd.DataFrame([values])


def training_sha256(X_path: str | Path, y_path: str | Path) -> str:
    """The sha256 of the two training files' content, one after the other, as hexadecimal."""
    return sha256(Path(X_path).read_bytes() + Path(y_path).read_bytes()).hexdigest()
