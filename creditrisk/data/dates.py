"""Dates as numbers: days since 1 January 1970, and months since January 1970."""

import re
from datetime import UTC, date, datetime

#: The types of a field that holds one.
TYPES = ("date", "yearmonth")

_EPOCH = date(1970, 1, 1).toordinal()
_ISO = {"date": "[0-9]{4}-[0-9]{2}-[0-9]{2}", "yearmonth": "[0-9]{4}-[0-9]{2}"}


def number_of(text: str, type: str, pattern: str = "") -> int:
    """The number of a date or a year and month.

    Parameters
    ----------
    type
        ``"date"`` or ``"yearmonth"``.
    pattern
        How it is written, as ``strptime`` has it; empty for ISO 8601. A time of day is left out.

    Raises
    ------
    ValueError
        If the text is not so written, or there is no such day.
    """
    if pattern:
        day = datetime.strptime(text, pattern).date()
    elif re.fullmatch(_ISO[type], text):
        day = date.fromisoformat(text if type == "date" else f"{text}-01")
    else:
        raise ValueError(f"{text!r} is not written as {written(type)}")
    return days(day) if type == "date" else months(day)


def days(day: date) -> int:
    """The days since 1 January 1970."""
    return day.toordinal() - _EPOCH


def months(day: date) -> int:
    """The months since January 1970."""
    return 12 * (day.year - 1970) + day.month - 1


def text_of(number: int, type: str) -> str:
    """A day or a month, given by its number, as ISO 8601 writes it."""
    if type == "date":
        return date.fromordinal(_EPOCH + number).isoformat()
    return f"{1970 + number // 12:04d}-{number % 12 + 1:02d}"


#: By type, the first and the last day or month that there is.
LIMITS = {
    "date": (days(date.min), days(date.max)),
    "yearmonth": (months(date.min), months(date.max)),
}


def written(type: str, pattern: str = "") -> str:
    """How a date is written, by an example."""
    form = pattern or ("%Y-%m-%d" if type == "date" else "%Y-%m")
    return datetime(2024, 1, 31, tzinfo=UTC).strftime(form)


def can_be_read(type: str, pattern: str) -> bool:
    """Whether a date so written can be read again."""
    day = date(2024, 1, 31)
    try:
        text = written(type, pattern)
        return number_of(text, type, pattern) == (days if type == "date" else months)(day)
    except ValueError:
        return False
