"""From raw applications to the matrix the classifiers train on, and back."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from creditrisk.data.cells import dtype
from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.fields import ID, WEIGHT, Field
from creditrisk.data.missing_values import MISSING


def target(frame: pd.DataFrame, contract: Contract) -> pd.Series:
    """The target of each row as int64: 1 = good risk, 0 = bad risk."""
    return contract.is_good(frame).astype("int64")


def levels_with_missing(values: pd.Series, field: Field) -> pd.Series:
    """A category's values as an ordered categorical in which a missing value is the last level."""
    filled = values.astype(object).where(values.notna(), MISSING)
    kind = pd.CategoricalDtype(list(field.all_levels), ordered=True)
    return pd.Series(filled, index=values.index).astype(kind)


def encoder(contract: Contract) -> ColumnTransformer:
    """The encoder, raw applications in, matrix out; its columns follow from the contract.

    Nothing is learned from data. A quantity passes. If it may be missing or has special codes, it
    is NaN there, and each of these states gets a 0/1 column. So does each level of a category,
    named ``<column>_<level>``, and a missing value is one more level.

    Returns
    -------
    ColumnTransformer
        Ready to ``transform`` a frame of shape (n, columns) to one of shape (n, encoded columns).
    """
    quantities = [
        part for number, field in enumerate(contract.numbers) for part in _quantity(number, field)
    ]
    categories = [
        (f"category {number}", _category(field), [field.name])
        for number, field in enumerate(contract.categories)
    ]
    columns = ColumnTransformer([*quantities, *categories], verbose_feature_names_out=False)
    return columns.set_output(transform="pandas").fit(_any_application(contract))


def _category(field: Field) -> BaseEstimator:
    """The part of the encoder that takes a category."""
    # True and false count as text; whole numbers are floats where a value may be missing.
    as_text = [("text", _applied(np.asarray, dtype="U"))] if field.type == "boolean" else []
    one_hot = OneHotEncoder(
        categories=[np.array(level_names(field), dtype=None if field.type == "integer" else "O")],
        sparse_output=False,
        dtype=np.int64,
    )
    # pandas hands over NaN, and JSON's null arrives as None; as text they are what they are called.
    gaps = [] if field.required or field.type == "integer" else [np.nan, None]
    fill = {"strategy": "constant", "fill_value": MISSING, "keep_empty_features": True}
    filled = [
        (str(gap), SimpleImputer(missing_values=str(gap) if as_text else gap, **fill))
        for gap in gaps
    ]
    steps = [*as_text, *filled, ("levels", one_hot)]
    return Pipeline(steps) if len(steps) > 1 else one_hot


def level_names(field: Field) -> list[str] | list[int] | list[float]:
    """A category's levels as the encoder has them, that of a missing value last."""
    levels = field.levels or ()
    if field.type != "integer":
        return [str(level) for level in (*levels, *([] if field.required else [MISSING]))]
    if field.required:
        return [int(level) for level in levels]
    return [*map(float, levels), np.nan]


def _quantity(number: int, field: Field) -> list[tuple[str, BaseEstimator | str, list[str]]]:
    """The parts of the encoder that take a quantity: its values, and its states if it has any."""
    name = [field.name]
    if not (states := quantity_states(field)):
        return [(f"quantity {number}", "passthrough", name)]
    masks = [(str(code), _applied(np.ma.masked_equal, value=code)) for code in field.special_values]
    one_hot = OneHotEncoder(
        categories=[np.array(states, float)],
        handle_unknown="ignore",  # a quantity is in no state
        sparse_output=False,
        dtype=np.int64,
    )
    return [
        (f"quantity {number}", Pipeline(masks) if masks else "passthrough", name),
        (f"states {number}", one_hot, name),
    ]


def _applied(function: Callable[..., np.ndarray], **arguments: object) -> FunctionTransformer:
    """A transformer that applies a function of numpy; the columns keep their names."""
    return FunctionTransformer(function, kw_args=arguments, feature_names_out="one-to-one")


def quantity_states(field: Field) -> list[float]:
    """What a quantity's value may be instead of a quantity: special codes, NaN for missing."""
    return [*map(float, field.special_values), *([] if field.required else [np.nan])]


def encoded_columns(contract: Contract, field: Field) -> list[str]:
    """The matrix columns of one raw column: its levels, or the quantity and then its states."""
    if field.levels is not None:
        return [f"{field.name}_{level}" for level in level_names(field)]
    # Named as scikit-learn does it, which gives the states the type of the column.
    states = np.array(quantity_states(field)).astype(dtype(field))
    return [field.name, *(f"{field.name}_{state}" for state in states)]


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
            values = matrix[field.name]
            for column, code in zip(columns[1:], field.special_values):
                values = values.mask(matrix[column] == 1, code)
        else:
            level = matrix[columns].to_numpy().argmax(axis=1)
            values = np.array([*field.levels, np.nan], dtype=object)[level]
        raw[field.name] = pd.Series(values, matrix.index).astype(dtype(field))
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
    """Read a ``y_*.csv``: 1 = good risk and 0 = bad risk.

    Applicants' ids stand before it and weights after it, if the file has them.

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
    id, name, weight = contract.of_role(ID), contract.target.name, contract.of_role(WEIGHT)
    expected = [name, *([weight.name] if weight else [])]
    if list(column.columns) not in (expected, [id.name if id else None, *expected]):
        raise ContractError(str(path), [f"must hold {' and '.join(expected)} only"], remedy)
    if len(column) != rows:
        raise ContractError(str(path), [f"has {len(column)} rows, its matrix {rows}"], remedy)
    if not column[name].isin([0, 1]).all():
        raise ContractError(str(path), ["holds a value other than 0 and 1"], remedy)
    return column[name]


def with_ids(y: pd.Series, applications: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The target of some raw applications as a table, after the column with the role id, if any."""
    id = contract.of_role(ID)
    if id is None:
        return y.to_frame()
    return y.to_frame().assign(
        **{id.name: applications[id.name].map(id.shown, na_action="ignore")}
    )[[id.name, y.name]]


def with_weights(
    table: pd.DataFrame, applications: pd.DataFrame, contract: Contract
) -> pd.DataFrame:
    """A table of some raw applications with their weights last, if the contract has a column."""
    weight = contract.of_role(WEIGHT)
    return table if weight is None else table.assign(**{weight.name: applications[weight.name]})


def weights(frame: pd.DataFrame, contract: Contract) -> np.ndarray | None:
    """How many applications each row stands for, shape (n,); None if each row counts once.

    Parameters
    ----------
    frame
        Raw applications, with the columns that are carried along.
    """
    weight = contract.of_role(WEIGHT)
    return None if weight is None else frame[weight.name].to_numpy(float)


def read_weights(path: str | Path, contract: Contract) -> np.ndarray | None:
    """How many applications each row of a ``y_*.csv`` stands for; None if each counts once.

    Raises
    ------
    ContractError
        If the file cannot be read, lacks the column, or a weight is not above 0.
    """
    column = contract.of_role(WEIGHT)
    if column is None:
        return None
    table, remedy = _read_made(path), "run 02_preparation again"
    if column.name not in table:
        raise ContractError(str(path), [f"has no column {column.name}"], remedy)
    if not (table[column.name] > 0).all():
        raise ContractError(
            str(path), [f"{column.name} holds a weight that is not above 0"], remedy
        )
    return weights(table, contract)


def read_ids(path: str | Path, contract: Contract) -> pd.Series | None:
    """The applicants' ids in a ``y_*.csv``, as texts; None if the contract names no such column.

    Raises
    ------
    ContractError
        If the file cannot be read or lacks the column.
    """
    id = contract.of_role(ID)
    if id is None:
        return None
    table = _read_made(path, dtype=str, keep_default_na=False)
    if id.name not in table:
        raise ContractError(str(path), [f"has no column {id.name}"], "run 02_preparation again")
    return table[id.name]


def _read_made(path: str | Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError) as error:  # pandas raises ValueErrors for bad text
        problem = (
            "does not exist"
            if isinstance(error, FileNotFoundError)
            else f"cannot be read ({error})"
        )
        raise ContractError(str(path), [problem], "run 02_preparation first") from error


def _any_application(contract: Contract) -> pd.DataFrame:
    """One allowed application; the encoder needs to see columns and types, not values."""
    values = {field.name: [(field.levels or (1,))[0]] for field in contract.fields}
    return pd.DataFrame(values).astype({each.name: dtype(each) for each in contract.fields})


def training_sha256(X_path: str | Path, y_path: str | Path) -> str:
    """The sha256 of the two training files' content, one after the other, as hexadecimal."""
    return sha256(Path(X_path).read_bytes() + Path(y_path).read_bytes()).hexdigest()
