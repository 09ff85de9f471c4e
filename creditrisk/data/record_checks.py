"""Whether the contract allows an application as it came out of JSON, and what is wrong if not."""

import math
from typing import NamedTuple

from creditrisk.data.contract import Contract, Json, did_you_mean
from creditrisk.data.fields import Field


class Problem(NamedTuple):
    """What is wrong with one field of an application; the message never repeats the value sent."""

    field: str
    message: str


class RecordProblem(NamedTuple):
    """What is wrong with one field of one of several applications, counted from 1."""

    record: int
    field: str
    message: str


class InvalidRecords(ValueError):
    """Applications that the contract does not allow; ``problems`` holds all that is wrong."""

    def __init__(self, problems: list[RecordProblem]):
        self.problems = problems
        lines = [f"record {p.record}: {f'{p.field} ' * bool(p.field)}{p.message}" for p in problems]
        if len(lines) > 10:
            lines[10:] = [f"... and {len(lines) - 10} more"]
        super().__init__("\n".join(lines))


_ABSENT = object()
_TYPE_NAMES = {int: "a whole number", str: "text"}


def record_problems(record: object, contract: Contract) -> list[Problem]:
    """Everything the contract does not allow in one application, as it came out of JSON.

    Nothing is coerced: ``"35"``, ``35.0`` and ``true`` are no age. What a blank means is the
    contract's affair, see :mod:`creditrisk.data.missing_values`.

    Parameters
    ----------
    record
        A dict of plain Python values by column name.

    Returns
    -------
    list of Problem
        In the contract's order, unknown fields last; empty if the application is allowed.
    """
    if not isinstance(record, dict):
        return [Problem("", "the application is no object of named values")]
    problems, found = [], 0
    for field in contract.fields:
        value = record.get(field.name, _ABSENT)
        found += value is not _ABSENT
        # The type itself, not isinstance: to Python true is an int. An allowed record, which is
        # nearly every one, gets no further than this.
        if type(value) is (int if field.type == "integer" else str):
            if field.takes(value):
                continue
        elif value is None and field.takes_blank:
            continue
        if type(value) is str and value == field.missing_label:
            continue
        problems.append(Problem(field.name, f"{_fault(value, field)}; {_remedy(value, field)}"))
    if len(record) > found:
        problems += _unknown_fields(record, contract)
    return problems


def _fault(value: object, field: Field) -> str:
    wanted = int if field.type == "integer" else str
    if value is _ABSENT:
        return "is missing"
    if value is None:
        return "is null"
    if value == "" and not field.required:
        return "is empty"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if type(value) is not wanted:
        return f"is not {_TYPE_NAMES[wanted]}"
    return "is out of range" if field.levels is None else "is not an allowed value"


def _remedy(value: object, field: Field) -> str:
    """What is allowed; if nothing was given, also how to state what the data record as missing."""
    blank = value is _ABSENT or value is None or value == ""
    if blank and field.missing_label is not None and not field.takes_blank:
        return (
            f"allowed {field.accepted}; what the data record as missing is stated as "
            f"{field.missing_label!r}, never by a blank"
        )
    return f"allowed {field.accepted}"


def _unknown_fields(record: Json, contract: Contract) -> list[Problem]:
    """One problem for each name that is not in the contract, with the most similar one that is."""
    names = [field.name for field in contract.fields]
    unknown = [name for name in record if name not in names]
    problems = []
    for name in unknown[:10]:
        shown = str(name)[:40]  # a name comes from the sender as well, and may be of any length
        hint = did_you_mean(shown, names)
        problems.append(Problem(shown, f"is not a field of an application{hint}"))
    if unknown[10:]:
        more = f"{len(unknown) - 10} more fields are no fields of an application"
        problems.append(Problem("", more))
    return problems
