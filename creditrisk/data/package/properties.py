"""The properties that a descriptor may have, and of what type each is."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from creditrisk.data.contract import Json, did_you_mean


class Kind(NamedTuple):
    """What the value of a property may be."""

    holds: Callable[[Any], bool]
    words: str


def is_number(value: object) -> bool:
    """Whether a value is a finite number; to Python true is one, to JSON it is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool) or is_number(value)


def _values(value: object, kind: Kind) -> bool:
    return isinstance(value, list) and all(map(kind.holds, value))


TEXT = Kind(lambda value: isinstance(value, str), "a text")
NAME = Kind(
    lambda value: isinstance(value, str) and bool(value.strip()), "a text that is not empty"
)
TEXTS = Kind(_texts, "a list of texts")
SOME_TEXTS = Kind(lambda value: _texts(value) and bool(value), "a list of at least one text")
PATHS = Kind(
    lambda value: SOME_TEXTS.holds([value] if isinstance(value, str) else value) and all(value),
    "a file name, a pattern such as loans-*.csv, a URL, or a list of these",
)
FLAG = Kind(lambda value: isinstance(value, bool), "true or false")
TRUE = Kind(lambda value: value is True, "true")
COUNT = Kind(
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "a whole number from 0 on",
)
COST = Kind(lambda value: is_number(value) and value > 0, "a number above 0")
SHARE = Kind(lambda value: is_number(value) and 0 < value < 1, "a number between 0 and 1")
VALUE = Kind(lambda value: isinstance(value, str) or _is_scalar(value), "a value of the column")
BOUNDS = Kind(lambda value: _values(value, VALUE), "a list of values of the column")
VALUES = Kind(
    lambda value: _values(value, VALUE) and bool(value),
    "a list of at least one value of the column",
)
CATEGORY = Kind(
    lambda value: (
        VALUE.holds(value)
        or (
            isinstance(value, dict)
            and VALUE.holds(value.get("value"))
            and NAME.holds(value.get("label", "none"))
        )
    ),
    "a value",
)
CATEGORIES = Kind(
    lambda value: _values(value, CATEGORY) and bool(value),
    "a list of values, or of values and labels",
)
OBJECT = Kind(lambda value: isinstance(value, dict), "an object")
OBJECTS = Kind(
    lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
    "a list of objects",
)
LIST = Kind(lambda value: isinstance(value, list), "a list")
SIGN = Kind(lambda value: isinstance(value, str) and len(value) == 1, "a single character")
HASH = Kind(
    lambda value: isinstance(value, str) and bool(re.fullmatch("(sha256:)?[0-9a-f]{64}", value)),
    "sha256: and 64 hexadecimal digits",
)
ANY = Kind(lambda value: True, "anything")

PACKAGE: Mapping[str, Kind] = {
    **dict.fromkeys(("name", "title"), NAME),
    **dict.fromkeys(("description", "version", "homepage", "created", "profile", "id"), TEXT),
    **dict.fromkeys(("image", "$schema"), TEXT),
    "modelName": Kind(
        lambda value: isinstance(value, str) and bool(re.fullmatch("[A-Za-z0-9_.-]+", value)),
        "letters, digits and the signs _ . -",
    ),
    **dict.fromkeys(("sources", "licenses", "resources"), OBJECTS),
    "keywords": TEXTS,
    "contributors": LIST,
}
RESOURCE: Mapping[str, Kind] = {
    **dict.fromkeys(("name", "title", "description", "profile", "format", "mediatype"), TEXT),
    **dict.fromkeys(("$schema", "type", "rowNumber", "period", "population"), TEXT),
    **dict.fromkeys(("defaultDefinition", "encoding", "purpose"), TEXT),
    **dict.fromkeys(("sources", "licenses", "mixes"), OBJECTS),
    **dict.fromkeys(("dialect", "schema", "target", "split", "costs"), OBJECT),
    **dict.fromkeys(("rows", "bytes"), COUNT),
    **dict.fromkeys(("caveats", "review"), TEXTS),
    "path": PATHS,
    "hash": HASH,
    "realBadRate": SHARE,
}
DIALECT: Mapping[str, Kind] = {
    **dict.fromkeys(("delimiter", "quoteChar"), SIGN),
    **dict.fromkeys(("doubleQuote", "header"), TRUE),
    "skipInitialSpace": FLAG,
    "lineTerminator": TEXT,
    "csvddfVersion": ANY,
    "$schema": TEXT,
}
SCHEMA: Mapping[str, Kind] = {
    **dict.fromkeys(("profile", "$schema"), TEXT),
    "fields": OBJECTS,
    "missingValues": TEXTS,
    "primaryKey": ANY,
}
FIELD: Mapping[str, Kind] = {
    "name": NAME,
    **dict.fromkeys(("title", "description", "type", "format", "rdfType", "unit"), TEXT),
    **dict.fromkeys(("scale", "role", "missingMeans", "missingLabel", "unlisted"), TEXT),
    **dict.fromkeys(("expectedDirection", "groupChar"), TEXT),
    **dict.fromkeys(("categoriesOrdered", "bareNumber", "protected", "immutable"), FLAG),
    **dict.fromkeys(("trueValues", "falseValues"), SOME_TEXTS),
    **dict.fromkeys(("missingValues", "review"), TEXTS),
    "example": VALUE,
    "constraints": OBJECT,
    "categories": CATEGORIES,
    "specialCodes": OBJECTS,
    "decimalChar": SIGN,
    "groupsUpTo": BOUNDS,
}
CONSTRAINTS: Mapping[str, Kind] = {
    **dict.fromkeys(("required", "unique"), FLAG),
    **dict.fromkeys(("minimum", "maximum"), VALUE),
    "enum": VALUES,
}
TARGET: Mapping[str, Kind] = {
    "field": NAME,
    "positive": VALUE,
    **dict.fromkeys(("good", "bad"), VALUES),
    "exclude": BOUNDS,
}
SPLIT: Mapping[str, Kind] = {"by": TEXT, "testFrom": TEXT}
COSTS: Mapping[str, Kind] = dict.fromkeys(("badAccepted", "goodRejected"), COST)

#: Properties of the standard that are refused, and what to do instead.
INSTEAD = {
    "foreignKeys": "a model reads one table; join the tables into one file",
    "pattern": "list the allowed values as enum",
    "minLength": "list the allowed values as enum",
    "maxLength": "list the allowed values as enum",
    "data": "write the rows to a file and name it as path",
}


def misused(entry: Json, known: Mapping[str, Kind], where: str, needed: str = "") -> list[str]:
    """One sentence for each property that is unknown, absent or of another type.

    Parameters
    ----------
    entry
        A part of the descriptor.
    known
        What it may have.
    where
        Its name in the sentences.
    needed
        The properties that it must have, separated by blanks.
    """
    problems = [f"{where} has no {name!r}" for name in needed.split() if name not in entry]
    for name, value in entry.items():
        if name in INSTEAD and name not in known:
            problems.append(f"{where}: {name} is not supported; {INSTEAD[name]}")
        elif name not in known:
            hint = did_you_mean(name, list(known)) or "; remove it"
            problems.append(f"{where}: property {name!r} is unknown{hint}")
        elif not known[name].holds(value):
            problems.append(f"{where}: {name} is {shown(value)}; allowed {known[name].words}")
    return problems


def shown(value: object) -> str:
    """A value of a descriptor for a message, shortened."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
