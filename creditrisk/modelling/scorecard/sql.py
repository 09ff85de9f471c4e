"""The scorecard as a query that scores a table of raw applications."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

import numpy as np
from sklearn.pipeline import Pipeline

from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field, Value
from creditrisk.data.missing_values import VALUE, WORST
from creditrisk.modelling.scorecard.scorecard import USUAL, Bin, Scale, scorecard_of


def to_sql(
    model: Pipeline,
    contract: Contract,
    table: str = "applications",
    scale: Scale = USUAL,
    names: Mapping[str, str] | None = None,
) -> str:
    """A query that scores a table of raw applications as the model does.

    It runs in SQLite (with its mathematical functions) and in PostgreSQL. What the contract does
    not allow gets NULL for a score, and so does NULL where the contract refuses a blank; for a
    table in the coding of the model's data, give ``contract.taking_blanks()``.

    Parameters
    ----------
    table
        Name of a table with the contract's columns.
    names
        Of columns that are called otherwise there.

    Returns
    -------
    str
        Every column of the table, then ``log_odds``, ``points`` and ``probability_of_good``; if
        the contract has such a column, ``model_`` is put before the name.

    Raises
    ------
    ValueError
        As :func:`scorecard_of`.
    """
    found, called = scorecard_of(model, contract), names or {}
    named = [
        replace(each, field=replace(each.field, name=called.get(each.field.name, each.field.name)))
        for each in found.bins
    ]
    by_field = groupby(named, key=lambda each: each.field)
    cases = "\n".join([repr(found.base), *(_case(list(bins)) for _, bins in by_field)])
    taken = {column.name.casefold() for column in contract.columns}
    log_odds, points, probability = (
        _free(name, taken) for name in ("log_odds", "points", "probability_of_good")
    )
    return f"""SELECT scored.*,
    {scale.offset!r} + {scale.factor!r} * {log_odds} AS {points},
    1.0 / (1.0 + EXP(-{log_odds})) AS {probability}
FROM (
    SELECT applicants.*, CAST({cases}
        AS DOUBLE PRECISION) AS {log_odds}
    FROM {_name(table)} AS applicants
) AS scored
"""


def _free(name: str, taken: set[str]) -> str:
    """A name that no column has."""
    while name in taken:
        name = f"model_{name}"
    return name


def names_apart(contract: Contract) -> dict[str, str]:
    """Names for those columns whose own differ from another's in upper and lower case alone.

    SQLite takes such names for one, as some other databases do; PostgreSQL does not.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for field in contract.fields:
        name, number = field.name, 1
        while name.lower() in taken:
            number += 1
            name = f"{field.name} {number}"
        taken.add(name.lower())
        if name != field.name:
            found[field.name] = name
    return found


def add_exp(database: sqlite3.Connection) -> None:
    """Give SQLite the function ``exp`` that :func:`to_sql` needs; not every build has it."""
    database.create_function("exp", 1, _exp)


def _exp(value: float | None) -> float | None:
    """The exponential as SQL has it: of nothing it is nothing."""
    return None if value is None else float(np.exp(value))


def _case(bins: list[Bin]) -> str:
    """A field's part of the log-odds."""
    field = bins[0].field
    shares = [each.weight * each.woe for each in bins]
    lines = [
        f"WHEN {condition} THEN {share!r}"
        for each, share in zip(bins, shares)
        if (condition := _condition(each))
    ]
    if field.unlisted is not None:
        other = next(share for each, share in zip(bins, shares) if each.state == field.unlisted)
        lines.append(f"WHEN {_name(field.name)} <> '' THEN {other!r}")
    if field.missing_means == WORST:
        lines.append(f"WHEN {_name(field.name)} IS NULL THEN {min(shares)!r}")
    return "\n            ".join(["        + CASE", *lines, "END"])


def _condition(bin: Bin) -> str:
    """When a value is in a bin; empty if nothing that the contract allows is."""
    field, name = bin.field, _name(bin.field.name)
    if bin.is_range:
        low, high = field.limits
        low = low if bin.lowest is None else bin.lowest
        high = high if bin.highest is None else bin.highest
        if bin.over is not None and not field.whole:
            return f"{name} > {_literal(bin.over, field)} AND {name} <= {_literal(high, field)}"
        return f"{name} BETWEEN {_literal(low, field)} AND {_literal(high, field)}"
    if bin.state is not None:
        return f"{name} = {_literal(bin.state, field)}"
    stated = field.missing_label
    quantity = field.levels is None and not field.is_dated  # no number is equal to a label
    conditions = [] if stated is None or quantity else [f"{name} = {_text(stated)}"]
    if field.missing_means == VALUE:
        conditions.append(f"{name} IS NULL")
    return " OR ".join(conditions)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(value: Value, field: Field) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return _text(value)
    if field.is_dated:
        return _text(field.shown(value))
    return repr(value)
