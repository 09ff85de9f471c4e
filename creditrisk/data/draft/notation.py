"""How the numbers, dates and yes-or-no of a column are written: found from its distinct values.

The words of the result are those of Table Schema: ``decimalChar``, ``groupChar``, ``bareNumber``,
``format``, ``trueValues``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from creditrisk.data.fields import LARGEST
from creditrisk.data.missing_values import MISSING

#: Spellings of a missing value that are never anything else, in lower case.
MARKERS = frozenset(
    {"", "na", "n/a", "n.a.", "nan", "null", "<na>", "#n/a", "#nv", "?", "-", "--", ".", "\\n"}
    | {"k.a.", "k. a.", "keine angabe", "not available", MISSING}
)

#: Other texts that a column of numbers or dates may hold and still be one.
MOST_STRAYS = 3

YES_NO = (
    ("true", "false"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
    ("ja", "nein"),
    ("j", "n"),
    ("oui", "non"),
    ("1", "0"),
)

#: Patterns of days and of months; "" is ISO 8601. Of two that fit, the first is taken.
DAYS: tuple[str, ...] = ("", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d")
DAYS += ("%d-%b-%Y", "%d%b%Y", "%d %b %Y", "%d.%m.%y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
MONTHS = ("", "%b-%Y", "%b %Y", "%m/%Y", "%m.%Y", "%Y/%m", "%Y%m", "%b-%y")

_ISO = {"date": r"\d{4}-\d\d-\d\d", "yearmonth": r"\d{4}-\d\d"}
_ISO_PATTERN = {"date": "%Y-%m-%d", "yearmonth": "%Y-%m"}
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_CODE = re.compile(r"-?0\d+")  # a postcode, not a quantity
_SIGN = "[%‰€$£¥]|EUR|USD|GBP|CHF|DEM|DM|JPY|CNY|INR|PLN|SEK|NOK|DKK|CZK|HUF|BRL|CAD|AUD"
_SIGNED = re.compile(rf"(({_SIGN}) ?)?(?P<number>[-+]?[\d.,' ]*\d) ?({_SIGN})?")


@dataclass(frozen=True)
class Notation:
    """What a column's distinct values are, and how they are written."""

    type: str  # of Table Schema
    values: dict[str, float]  # by spelling; dates and months as days and months since 1970
    strays: tuple[str, ...] = ()  # texts that are none of these
    properties: dict[str, Any] = field(default_factory=dict)  # of the descriptor
    said: str = ""  # in words, if it is not the usual way
    doubt: str = ""  # what else the same text could be


def notation(texts: Sequence[str], decimal: str = ".") -> Notation | None:
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
    found = _number_format(texts, ".") if texts else None
    return found is not None and found["decimalChar"] == ","


def _yes_no(texts: Sequence[str]) -> Notation | None:
    lower = {text.strip().lower() for text in texts}
    pair = next((pair for pair in YES_NO if lower == set(pair)), None)
    if pair is None:
        return None
    yes = sorted({text.strip() for text in texts if text.strip().lower() == pair[0]})
    no = sorted({text.strip() for text in texts if text.strip().lower() == pair[1]})
    values = {text: float(text.strip().lower() == pair[0]) for text in texts}
    said = f"{', '.join(yes)} is true, {', '.join(no)} is false"
    return Notation("boolean", values, (), {"trueValues": yes, "falseValues": no}, said)


def _dates(texts: Sequence[str]) -> Notation | None:
    for kind, patterns in (("date", DAYS), ("yearmonth", MONTHS)):
        fitting = [pattern for pattern in patterns if _fits(texts[:50], kind, pattern)]
        for pattern in fitting:
            values, strays = _parsed(texts, kind, pattern)
            if strays is None or (pattern in ("%Y%m%d", "%Y%m") and strays):
                continue
            doubt = ""
            if pattern == "%d/%m/%Y" and _fits(texts, kind, "%m/%d/%Y"):
                doubt = (
                    'Does the day come first, or the month? If the month, set "format": "%m/%d/%Y".'
                )
            properties = {"format": pattern} if pattern else {}
            said = f"written as {pattern}" if pattern else ""
            return Notation(kind, values, strays, properties, said, doubt)
    return None


def _fits(texts: Sequence[str], kind: str, pattern: str) -> bool:
    return _parsed(texts, kind, pattern)[1] is not None


def _parsed(
    texts: Sequence[str], kind: str, pattern: str
) -> tuple[dict[str, float], tuple[str, ...] | None]:
    """Days or months since 1970 by spelling, and what is no date; None of these if too much is."""
    stripped = pd.Series([text.strip() for text in texts], dtype=object)
    times = pd.to_datetime(stripped, format=pattern or _ISO_PATTERN[kind], errors="coerce")
    good = times.notna() & times.dt.year.between(1850, 2150)
    if not pattern:
        good &= stripped.str.fullmatch(_ISO[kind])
    elif pattern in ("%Y%m%d", "%Y%m"):
        good &= stripped.str.fullmatch(r"\d{8}" if pattern == "%Y%m%d" else r"\d{6}")
    strays = tuple(np.array(texts, dtype=object)[~good.to_numpy()])
    if not _mostly(len(strays), len(texts)):
        return {}, None
    day = (times - pd.Timestamp("1970-01-01")) // pd.Timedelta(days=1)
    number = day if kind == "date" else (times.dt.year - 1970) * 12 + times.dt.month - 1
    kept = ((text, value) for text, value, is_date in zip(texts, number, good) if is_date)
    return {text: float(value) for text, value in kept}, strays


def _mostly(strays: int, of: int) -> bool:
    return strays <= MOST_STRAYS and strays * 2 < of


def _numbers(texts: Sequence[str], decimal: str) -> Notation | None:
    found = _number_format(texts, decimal)
    if found is None:
        return None
    values, strays = {}, []
    for text in texts:
        number = _number(text, found["decimalChar"], found["groupChar"], found["bareNumber"])
        if number is None or abs(number) > LARGEST:
            strays.append(text)
        else:
            values[text] = number
    if not _mostly(len(strays), len(texts)):
        return None
    whole = not any(found["decimalChar"] in text or "e" in text.lower() for text in values)
    usual = {"decimalChar": ".", "groupChar": "", "bareNumber": True}
    properties = {name: value for name, value in found.items() if value != usual[name]}
    if whole:
        properties.pop("decimalChar", None)
    return Notation(
        "integer" if whole else "number", values, tuple(strays), properties, _in_words(properties)
    )


def _in_words(properties: dict[str, Any]) -> str:
    said = []
    if "decimalChar" in properties:
        said.append("decimal comma")
    if "groupChar" in properties:
        said.append(f"{properties['groupChar']!r} between thousands")
    if "bareNumber" in properties:
        said.append("signs beside the number")
    return ", ".join(said)


def _number_format(texts: Sequence[str], decimal: str) -> dict[str, Any] | None:
    """Decimal sign, sign between thousands, and whether other signs stand beside the number."""
    if any(_CODE.fullmatch(text.strip()) for text in texts):
        return None
    other = "," if decimal == "." else "."
    # 1,234 is a thousand, rather than a fraction of three digits in a file of decimal points
    ways = [(decimal, ""), (decimal, other), (decimal, " "), (decimal, "'")]
    ways += [(other, ""), (other, decimal), (other, " ")]
    for bare in (True, False):
        for sign, group in ways:
            strays = 0
            for text in texts:
                strays += _number(text, sign, group, bare) is None
                if strays > MOST_STRAYS:
                    break
            if _mostly(strays, len(texts)):
                return {"decimalChar": sign, "groupChar": group, "bareNumber": bare}
    return None


def _number(text: str, decimal: str, group: str, bare: bool) -> float | None:
    """A number that is written in one way; None if the text is none."""
    text = text.strip()
    if not bare:
        signed = _SIGNED.fullmatch(text)
        if signed is None:
            return None
        text = signed["number"].strip()
    if group:
        whole, point, rest = text.partition(decimal)
        parts = whole.lstrip("+-").split(group)
        if len(parts) > 1 and not (
            1 <= len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:])
        ):
            return None
        text = whole.replace(group, "") + point + rest
    if decimal != ".":
        if "." in text:
            return None
        text = text.replace(decimal, ".")
    return float(text) if _PLAIN.fullmatch(text) else None


def is_marker(text: str) -> bool:
    """Whether a text can only say that there is no value."""
    return text.strip().lower() in MARKERS
