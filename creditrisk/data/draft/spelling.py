"""How the numbers, dates and yes-or-no of a column are written: found from its distinct values.

The words of the result are those of Table Schema: ``decimalChar``, ``groupChar``, ``bareNumber``,
``format``, ``trueValues``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from creditrisk.data import dates
from creditrisk.data.fields import LARGEST, TextFormat
from creditrisk.data.missing_values import MISSING
from creditrisk.data.notation.numbers import numbers

#: Spellings of a missing value that are never anything else, in lower case.
MARKERS = frozenset(
    {"", "na", "n/a", "n.a.", "nan", "null", "<na>", "#n/a", "#nv", "?", "-", "--", ".", "\\n"}
    | {"k.a.", "k. a.", "keine angabe", "not available", MISSING}
)

#: Other texts that a column of numbers or dates may hold and still be one.
MOST_STRAYS = 3

#: Spellings of yes and of no. A column may mix those of one line, as people who type do.
YES_NO = (
    (("true", "t"), ("false", "f")),
    (("yes", "y"), ("no", "n")),
    (("ja", "j"), ("nein", "n")),
    (("oui",), ("non",)),
    (("1",), ("0",)),
)

#: Patterns of days and of months; "" is ISO 8601. Of two that fit, the first is taken.
DAYS: tuple[str, ...] = ("", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d")
DAYS += ("%d-%b-%Y", "%d%b%Y", "%d %b %Y", "%d.%m.%y")
DAYS += tuple(
    f"%Y-%m-%d{between}{time}{zone}"  # a zone is +02:00, +0200 or Z
    for between in " T"
    for time in ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
    for zone in ("", "%z")
)
DAYS += tuple(
    f"{day} {time}"
    for day in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
    for time in ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
)
MONTHS = ("", "%b-%Y", "%b %Y", "%m/%Y", "%m.%Y", "%Y/%m", "%Y%m", "%m%Y", "%b-%y")

_CODE = re.compile(r"-?0\d+")  # a postcode, not a quantity
_SIGN = "[%‰€$£¥]|EUR|USD|GBP|CHF|DEM|DM|JPY|CNY|INR|PLN|SEK|NOK|DKK|CZK|HUF|BRL|CAD|AUD"
_SIGNED = re.compile(rf"[-+]?(({_SIGN}) ?)?[-+]?[\d.,' \u00a0\u202f]*\d ?({_SIGN})?")
_BELOW_ZERO = re.compile(r"\([^()-]*\d[^()-]*\)|[^()-]*\d[^()-]*-")
#: Years in which a number of eight or six digits is taken for a date.
_YEARS = range(1850, 2150)
#: Patterns of digits alone: how many, and where the year is.
_DIGITS = {"%Y%m%d": (8, slice(0, 4)), "%Y%m": (6, slice(0, 4)), "%m%Y": (6, slice(2, 6))}


@dataclass(frozen=True)
class Spelling:
    """What a column's distinct values are, and how they are written."""

    type: str  # of Table Schema
    values: dict[str, float]  # by spelling; dates and months as days and months since 1970
    strays: tuple[str, ...] = ()  # texts that are none of these
    properties: dict[str, Any] = field(default_factory=dict)  # of the descriptor
    said: str = ""  # in words, if it is not the usual way
    doubt: str = ""  # what else the same text could be


def spelling(texts: Sequence[str], decimal: str = ".") -> Spelling | None:
    """How numbers, dates or yes-or-no are written in a column; None if it holds text.

    Parameters
    ----------
    texts
        The distinct values of the column, without spellings of a missing value.
    decimal
        The decimal sign that the file's other columns show.
    """
    return _yes_no(texts) or _dates(texts) or _numbers(texts, decimal)


def needs_comma(texts: Sequence[str]) -> bool:
    """Whether the numbers of a column can only be read with a decimal comma."""
    written = _number_format(texts, ".") if texts else None
    return written is not None and written.decimal_char == ","


def _yes_no(texts: Sequence[str]) -> Spelling | None:
    lower = {text.strip().lower() for text in texts}
    pair = next((pair for pair in YES_NO if _says_both(lower, *pair)), None)
    if pair is None:
        return None
    yes = sorted({text.strip() for text in texts if text.strip().lower() in pair[0]})
    no = sorted({text.strip() for text in texts if text.strip().lower() in pair[1]})
    values = {text: float(text.strip().lower() in pair[0]) for text in texts}
    said = f"{', '.join(yes)} is true, {', '.join(no)} is false"
    # Booleans of a Parquet file come as true and false; in a CSV file they may be True or TRUE.
    usual = (yes, no) == (["true"], ["false"])
    properties = {} if usual else {"trueValues": yes, "falseValues": no}
    return Spelling("boolean", values, (), properties, said)


def _says_both(lower: set[str], yes: Sequence[str], no: Sequence[str]) -> bool:
    """Whether there are spellings of yes and of no, and nothing else."""
    return lower <= {*yes, *no} and not (lower.isdisjoint(yes) or lower.isdisjoint(no))


def minus_elsewhere(texts: Sequence[str]) -> str:
    """An amount whose minus is written in a way that no contract describes; empty if there is none.

    Book-keepers put what is below zero in brackets, and some systems the minus behind the number.
    """
    marked = [text for text in texts if _BELOW_ZERO.fullmatch(text.strip())]
    rest = [text for text in texts if text not in set(marked)]
    plain = [text.strip().strip("()").strip("-").strip() for text in marked]
    if not marked or _numbers([*rest, *plain], ".") is None:
        return ""
    return marked[0].strip()


def _dates(texts: Sequence[str]) -> Spelling | None:
    for kind, patterns in (("date", DAYS), ("yearmonth", MONTHS)):
        for pattern in patterns:
            # A few tell most columns that hold no dates.
            if not (_are_dates(texts[:20], kind, pattern) and _are_dates(texts, kind, pattern)):
                continue
            values = _parsed(texts, kind, pattern)
            strays = tuple(text for text in texts if text not in values)
            doubt = ""
            swapped = pattern.replace("%d/%m/", "%m/%d/")
            if swapped != pattern and _are_dates(texts, kind, swapped):
                doubt = "Does the day come first, or the month? If the month, set "
                doubt += f'"format": "{swapped}".'
            properties = {"format": pattern} if pattern else {}
            said = f"written as {pattern}" if pattern else ""
            return Spelling(kind, values, strays, properties, said, doubt)
    return None


def _are_dates(texts: Sequence[str], kind: str, pattern: str) -> bool:
    strays = len(texts) - len(_parsed(texts, kind, pattern))
    return strays == 0 or (pattern not in _DIGITS and _mostly(strays, len(texts)))


def _parsed(texts: Sequence[str], kind: str, pattern: str) -> dict[str, float]:
    """Days or months since 1970 of those texts that are dates."""
    digits, year = _DIGITS.get(pattern, (0, slice(0)))
    found = {}
    for text in texts:
        bare = text.strip()
        if digits and not (len(bare) == digits and bare.isdecimal() and int(bare[year]) in _YEARS):
            continue
        try:
            found[text] = float(dates.number_of(bare, kind, pattern))
        except ValueError:
            continue
    return found


def _mostly(strays: int, of: int) -> bool:
    return strays <= MOST_STRAYS and strays * 2 < of


def _numbers(texts: Sequence[str], decimal: str) -> Spelling | None:
    written = _number_format(texts, decimal)
    if written is None:
        return None
    values = dict(zip(texts, _read(texts, written).tolist()))
    strays = tuple(text for text, value in values.items() if not abs(value) <= LARGEST)
    values = {text: value for text, value in values.items() if abs(value) <= LARGEST}
    whole = not any(written.decimal_char in text or "e" in text.lower() for text in values)
    properties: dict[str, Any] = {}
    if written.decimal_char != "." and not whole:
        properties["decimalChar"] = written.decimal_char
    if written.group_char:
        properties["groupChar"] = written.group_char
    if not written.bare:
        properties["bareNumber"] = False
    kind = "integer" if whole else "number"
    return Spelling(kind, values, strays, properties, _in_words(properties))


def _in_words(properties: dict[str, Any]) -> str:
    said = []
    if "decimalChar" in properties:
        said.append("decimal comma")
    if "groupChar" in properties:
        said.append(f"{properties['groupChar']!r} between thousands")
    if "bareNumber" in properties:
        said.append("signs beside the number")
    return ", ".join(said)


def _number_format(texts: Sequence[str], decimal: str) -> TextFormat | None:
    """Decimal sign, sign between thousands, and whether other signs stand beside the number."""
    if any(_CODE.fullmatch(text.strip()) for text in texts):
        return None
    other = "," if decimal == "." else "."
    # 1,234 is a thousand, rather than a fraction of three digits in a file of decimal points
    ways = [(decimal, ""), (decimal, other), (decimal, " "), (decimal, "'")]
    ways += [(other, ""), (other, decimal), (other, " ")]
    written = [TextFormat(sign, group, bare) for bare in (True, False) for sign, group in ways]
    few, best, fewest = texts[:20], None, len(texts) + 1
    for way in written:
        if _mostly(_strays(few, way), len(few)) and (strays := _strays(texts, way)) < fewest:
            best, fewest = way, strays
        if fewest == 0:  # of several the first
            break
    return best if best and _mostly(fewest, len(texts)) else None


def _strays(texts: Sequence[str], written: TextFormat) -> int:
    """How many texts are no numbers that are so written."""
    return int(np.sum(~(np.abs(_read(texts, written)) <= LARGEST)))


def _read(texts: Sequence[str], written: TextFormat) -> np.ndarray:
    """The numbers, NaN for a text that is none."""
    if written.bare:
        return numbers(pa.array(texts, pa.string()), written, False)
    signed = [text if _SIGNED.fullmatch(text.strip()) else "" for text in texts]
    return numbers(pa.array(signed, pa.string()), written, False)


def is_marker(text: str) -> bool:
    """Whether a text can only say that there is no value."""
    return text.strip().lower() in MARKERS
