"""The codes of a batch's cells, and what the API says of those that are not allowed."""

import math

import numpy as np
import pandas as pd

from creditrisk.data.applications.domain import Domain
from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.cells import Cells, distinct, read_cells
from creditrisk.data.contract import Contract
from creditrisk.data.fields import Field
from creditrisk.data.notation.values import BLANK, FINE, INFINITE, OTHER, OUTSIDE
from creditrisk.portfolio.reader.table import Batch


def numbered_values(batch: Batch, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """The codes of each row's values and what is wrong with each, both (n, fields)."""
    contract, size = domain.contract, len(batch.ids)
    codes = np.zeros((size, len(contract.fields)))
    faults = np.zeros(codes.shape, np.int8)
    for number, each in enumerate(contract.fields):
        values, numbers = distinct(batch.columns[each.name])
        cells = read_cells(values, each, contract.missing_values, of_applicant=True)
        codes[:, number] = _codes(cells, domain.missing(number)).take(numbers)
        if cells.faults.any():
            faults[:, number] = cells.faults.take(numbers)
    return codes, faults


def _codes(cells: Cells, missing: float) -> np.ndarray:
    """The codes of cells, 0 for those that are not allowed."""
    values, levels = cells.values, cells.field.levels
    if levels is None:
        codes = values.astype(float)
    else:
        order = {level: float(number) for number, level in enumerate(levels)}
        codes = np.array([order.get(value, 0.0) for value in values.tolist()])
    codes[pd.isna(values)] = missing
    codes[cells.faults != FINE] = 0
    return codes


def complaints(contract: Contract) -> list[dict[int, str]]:
    """By field and kind of fault, what the API says of it."""
    found = []
    for each in contract.fields:
        # A date out of range need not be one of Python's.
        words = {OUTSIDE: f"is out of range; allowed {each.accepted}"}
        for kind, value in _faulty(each).items():
            for problem in record_problems({each.name: value}, contract):
                if problem.field == each.name:
                    words[kind] = problem.message
        found.append(words)
    return found


def _faulty(field: Field) -> dict[int, object]:
    """By kind of fault, a value that has it."""
    values: dict[int, object] = {BLANK: None, INFINITE: math.inf, OTHER: []}
    if field.levels is not None:
        texts = [str(level) for level in field.levels]
        # Where any other text is allowed, blanks around a level are not.
        other = "?".join(texts) + "?" if field.unlisted is None else f" {texts[0]}"
        values[OUTSIDE] = int(max(field.levels)) + 1 if field.type == "integer" else other
        return values
    if not field.is_dated:
        values[OUTSIDE] = max(field.limits[1], *field.special_values, 0) + 1
    return values
