"""The cells of raw tables: read into their typed form, and refused where the contract says so."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from creditrisk.data.cells import Cells, dtype, read_cells
from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.fields import ID, LARGEST, WEIGHT, Field
from creditrisk.data.raw_files.tables import RawTable

#: Sentences on the cells of one column; of more, only the number is given.
_MOST_PROBLEMS = 100


def typed_frame(
    tables: Sequence[RawTable], contract: Contract, name: str, remedy: str
) -> pd.DataFrame:
    """The rows of some tables, one after the other, in the typed form of the contract's columns.

    Parameters
    ----------
    name, remedy
        What a refusal calls the tables, and what else can be done than to correct the cells.

    Returns
    -------
    DataFrame, shape (rows that were read, columns of the contract)
        Indexed by row number, or by the rows' positions from 0.

    Raises
    ------
    ContractError
        Naming each cell that is not allowed, ids and row numbers that occur twice, and weights
        that are not above 0.
    """
    problems = _Problems(tables)
    columns = {}
    for field in contract.columns:
        columns[field.name] = _column(tables, field, contract, problems)
    index = _index(tables, contract, problems)
    if problems.count:
        raise ContractError(
            name, problems.sentences, f"correct these cells, or {remedy}", problems.count
        )
    series = {name: pd.Series(each, dtype=dtype(contract[name])) for name, each in columns.items()}
    return pd.DataFrame(series).set_axis(index, axis=0)


class _Problems:
    """What is wrong with cells: the first sentences of each column, and the number of all."""

    def __init__(self, tables: Sequence[RawTable]):
        self._tables = tables
        self._begins = np.cumsum([0, *(table.read for table in tables)])
        self.sentences: list[str] = []
        self.count = 0

    def add(self, rows: np.ndarray, sentence: Callable[[int], str]) -> None:
        """Note rows, counted from 0 over all tables, and what is said of each."""
        self.count += len(rows)
        for row in rows[:_MOST_PROBLEMS].tolist():
            number = int(np.searchsorted(self._begins, row, side="right")) - 1
            self.sentences.append(f"{self._place(number, row)}: {sentence(row)}")

    def add_faults(self, read: Sequence[Cells]) -> None:
        """Note the cells of a column that are not allowed, in one table after the other."""
        begin = 0
        for cells in read:
            faulty = np.flatnonzero(cells.faults)
            self.add(faulty + begin, partial(_sentence, cells, begin))
            begin += len(cells.values)

    def _place(self, number: int, row: int) -> str:
        table = self._tables[number]
        place = table.row(row - int(self._begins[number]))
        return f"{table.file.name}, {place}" if len(self._tables) > 1 else place


def _column(
    tables: Sequence[RawTable], field: Field, contract: Contract, problems: _Problems
) -> np.ndarray:
    """The typed values of a column; NaN where one is missing or not allowed."""
    missing = contract.missing_values
    read = [read_cells(table.columns[field.name], field, missing) for table in tables]
    problems.add_faults(read)
    values = np.concatenate([cells.values for cells in read])
    if field.role == ID:
        problems.add(*_twice(values, field.name))
    if field.role == WEIGHT:
        low = np.flatnonzero(values <= 0)
        problems.add(low, lambda row: f"{field.name} is {values[row]:.15g}; allowed above 0")
    return values


def _sentence(cells: Cells, begin: int, row: int) -> str:
    """What is said of a row over all tables, where the cells begin with another than the first."""
    return f"{cells.field.name} {cells.fault(row - begin)}"


def _twice(values: np.ndarray, name: str) -> tuple[np.ndarray, Callable[[int], str]]:
    """The rows whose value an earlier row has, and what is said of them."""
    column = pd.Series(values)
    doubled = np.flatnonzero(column.duplicated() & column.notna())
    return doubled, lambda row: f"{name} {_plain(values[row])} occurs twice"


def _plain(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else repr(value)


def _index(tables: Sequence[RawTable], contract: Contract, problems: _Problems) -> pd.Index:
    """The row numbers, or the rows' positions."""
    name = contract.row_number
    if name is None or not all(name in table.columns for table in tables):
        begins = np.cumsum([0, *(table.rows for table in tables)])
        places = [
            begin + (np.arange(table.rows) if table.positions is None else table.positions)
            for begin, table in zip(begins, tables)
        ]
        return pd.Index(np.concatenate(places).astype(np.int64), name="row")
    number = Field(
        *("row number", "", "", "integer", "", "linear"),
        required=True,
        levels=None,
        ordered=False,
        minimum=0,
        maximum=LARGEST,
    )
    read = [read_cells(table.columns[name], number, ()) for table in tables]
    problems.add_faults(read)
    values = np.concatenate([cells.values for cells in read])
    problems.add(*_twice(values, "row number"))
    return pd.Index(np.nan_to_num(values).astype(np.int64), name="row")
