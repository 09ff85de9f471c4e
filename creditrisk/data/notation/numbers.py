"""Numbers as people write them: with a decimal comma, groups of digits, and signs around."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from creditrisk.data.fields import TextFormat

#: Words behind a number that multiply it; a number with one of these is none.
_MULTIPLES = "k|K|M|B|bn|mn|[Mm]io|[Mm]rd|[Tt]sd|thousand|[MmBb]illion"
#: Blanks that group digits; which of them a file has, nobody sees.
_BLANKS = " \u00a0\u202f"


def numbers(texts: pa.Array, written: TextFormat, whole: bool) -> np.ndarray:
    """The numbers that texts stand for.

    Parameters
    ----------
    texts
        Shape (n,), strings without null; blanks around a number are no part of it.
    written
        How the numbers are written.
    whole
        Whether a decimal sign and an exponent are no part of a number.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN for a text that is no number; infinite for one too large for a float.
    """
    found = pc.extract_regex(pc.utf8_trim_whitespace(texts), _pattern(written, whole))
    digits = pc.struct_field(found, "number")
    for sign in _grouping(written):
        digits = pc.replace_substring(digits, sign, "")
    if not whole and written.decimal_char != ".":
        digits = pc.replace_substring(digits, written.decimal_char, ".")
    size = pc.cast(digits, pa.float64()).to_numpy(zero_copy_only=False)
    negative = pc.equal(pc.struct_field(found, "sign"), "-")
    values: np.ndarray = np.where(
        pc.fill_null(negative, False).to_numpy(zero_copy_only=False), -size, size
    )
    if not written.bare:
        behind = pc.struct_field(found, "behind")
        multiple = pc.match_substring_regex(behind, rf"^\s*(?:{_MULTIPLES})(?:[^\p{{L}}]|$)")
        values[pc.fill_null(multiple, False).to_numpy(zero_copy_only=False)] = np.nan
    return values


def hint(text: str, written: TextFormat, whole: bool) -> str:
    """What property of the descriptor would make a number of a text; empty if none would."""
    if whole:
        others = {"bareNumber false": TextFormat(bare=False)}
    else:
        others = {
            "bareNumber false": TextFormat(written.decimal_char, written.group_char, bare=False),
            "decimalChar ','": TextFormat(",", "."),
            "decimalChar '.'": TextFormat(".", ","),
        }
    others |= {
        "groupChar ','": TextFormat(".", ","),
        "groupChar '.'": TextFormat(",", "."),
        "groupChar ' '": TextFormat(written.decimal_char, " "),
    }
    for name, other in others.items():
        if other != written and not np.isnan(numbers(pa.array([text]), other, whole)[0]):
            return f" (it would be one with {name} in the descriptor)"
    return ""


def _grouping(written: TextFormat) -> str:
    """The characters that group digits."""
    return _BLANKS if written.group_char and written.group_char in _BLANKS else written.group_char


def _pattern(written: TextFormat, whole: bool) -> str:
    """The regular expression of a number, in the syntax of RE2."""
    digits, group = "[0-9]+", _class(_grouping(written))
    if group:
        digits = f"(?:[0-9]{{1,3}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}}|[0-9]+)"
    number = digits
    if not whole:
        point = _class(written.decimal_char)
        number = f"(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    if written.bare:
        return f"^(?P<sign>[+-]?)(?P<number>{number})$"
    # Neither a digit nor a dash nor a bracket is dropped: each may change the value.
    marks = written.decimal_char + written.group_char.strip()
    around = rf"[^\p{{N}}+\-\p{{Pd}}−(){re.escape(marks)}]*"
    return f"^{around}(?P<sign>[+-]?){around}(?P<number>{number})(?P<behind>{around})$"


def _class(characters: str) -> str:
    return f"[{re.escape(characters)}]" if characters else ""
