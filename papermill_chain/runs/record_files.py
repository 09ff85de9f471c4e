"""The runner's own JSON files, read in this module alone: their form is checked before use.

Nobody but the runner writes them, yet a full disk, a tool or a person may have damaged one. Such a
file counts as absent: it is set aside under another name, with a line on standard error.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from work_units.regular_files import Damaged, kind_of, read_record, set_aside

LONGEST_NAME = 200  # bytes; file systems take 255, and a file is named after a stage with an ending
MOST_BYTES = 100_000_000  # a manifest of a thousand cells has half a million

#: What reading a record of another form raises.
OTHER_FORM = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

Record = TypeVar("Record")


def read_json(path: Path, form: Callable[[Any], Record]) -> Record:
    """A JSON file as `form` reads it.

    Raises
    ------
    Damaged
        If it is no regular file, no JSON, or of another form than `form` takes.
    FileNotFoundError
        If there is none.
    """
    return parsed(read_record(path, MOST_BYTES), form)


def parsed(content: bytes, form: Callable[[Any], Record]) -> Record:
    """The JSON in some bytes as `form` reads it; Damaged if it is none, or of another form."""
    try:
        recorded = json.loads(content.decode("utf-8"), parse_constant=_refuse)
        json.dumps(recorded, ensure_ascii=False).encode("utf-8")  # no halves of characters
        return form(recorded)
    except OTHER_FORM as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error


def read_or_absent(
    path: Path, form: Callable[[Any], Record], absent: Record, *, clear: bool
) -> Record:
    """A JSON file as `form` reads it, or `absent` if there is none or it is damaged.

    Parameters
    ----------
    clear : whether a damaged one is set aside, which only whoever holds the lock may do.
    """
    try:
        return read_json(path, form)
    except FileNotFoundError:
        if clear and kind_of(path):  # a link that leads nowhere
            set_aside(path, "is a link, not a file")
    except Damaged as damage:
        if clear:
            set_aside(path, damage)
        else:
            print(f"{path} is damaged ({damage}) and counts as absent", file=sys.stderr)
    return absent


def text_of(recorded: Any) -> str:
    """A text, if it is one.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(recorded, str):
        raise TypeError(f"{type(recorded).__name__} where a text belongs")
    return recorded


def file_name(recorded: Any) -> str:
    """The name of a file or folder without any folder above it.

    Raises
    ------
    TypeError, ValueError
        If it is no text, or more or less than a name.
    """
    name = text_of(recorded)
    if name != os.path.basename(name) or name in ("", ".", "..") or "\0" in name:
        raise ValueError(f"{name[:LONGEST_NAME]!r} is no name of a file")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ValueError(f"a name of {len(name):,} characters is none of a file")
    return name


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
