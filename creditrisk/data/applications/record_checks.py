"""Whether the contract allows an application as it came out of JSON, and what is wrong if not."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from creditrisk.data.applications.domain import Domain
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

#: By type of a column, the types of Python that its values have.
_WANTED: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
    "date": (str,),
    "yearmonth": (str,),
}
_TYPE_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "date": "a date as text",
    "yearmonth": "a year and month as text",
}


def record_problems(record: object, contract: Contract) -> list[Problem]:
    """Everything the contract does not allow in one application, as it came out of JSON.

    Nothing is coerced: ``"35"``, ``35.0`` and ``true`` are no whole number. What a blank means
    is the contract's affair, see :mod:`creditrisk.data.missing_values`.

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
        if is_allowed(value, field):
            continue
        problems.append(Problem(field.name, f"{_fault(value, field)}; {_remedy(value, field)}"))
    if len(record) > found:
        problems += _unknown_fields(record, contract)
    return problems


def record_codes(records: Sequence[Json], allowed: Domain) -> list[list[float]]:
    """The codes of applications as they come out of JSON, each of as many as there are fields.

    Raises
    ------
    InvalidRecords
        If the contract does not allow one of them; it names every problem of all.
    """
    found = [allowed.codes(record) for record in records]
    codes = [each for each in found if each is not None]
    if len(codes) < len(found):
        raise InvalidRecords(
            [
                RecordProblem(number, *problem)
                for number, (record, each) in enumerate(zip(records, found), 1)
                if each is None
                for problem in record_problems(record, allowed.contract)
            ]
        )
    return codes


def is_allowed(value: object, field: Field) -> bool:
    """Whether an application may have a value in a column, as it came out of JSON."""
    if value is None:
        return field.takes_blank
    if isinstance(value, str) and value and value == field.missing_label:
        return True
    # The type itself, not isinstance: to Python true is an int.
    if type(value) not in _WANTED[field.type]:
        return False
    if isinstance(value, str) and field.levels is None:
        return _is_dated(value, field) and field.takes(field.number_of(value))
    return value != "" and field.takes(value)  # type: ignore[arg-type]  # its type was looked at


def _is_dated(value: object, field: Field) -> bool:
    try:
        return isinstance(value, str) and field.number_of(value) is not None
    except ValueError:
        return False


def _fault(value: object, field: Field) -> str:
    wanted = _WANTED[field.type]
    if value is _ABSENT:
        return "is missing"
    if value is None:
        return "is null"
    if value == "" and not field.required:
        return "is empty"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if type(value) not in wanted or (field.is_dated and not _is_dated(value, field)):
        return f"is not {_TYPE_NAMES[field.type]}"
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
