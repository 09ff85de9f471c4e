"""One column of a descriptor, read into a field."""

from collections.abc import Callable, Sequence

from creditrisk.data import dates
from creditrisk.data.contract import Json
from creditrisk.data.fields import (
    ID,
    INPUT,
    QUANTITIES,
    TYPES,
    WEIGHT,
    Field,
    Level,
    SpecialCode,
    TextFormat,
)
from creditrisk.data.missing_values import REFUSE
from creditrisk.data.package.properties import CONSTRAINTS, FIELD, is_number, misused, shown

_OF_TYPE = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
}


def column(entry: Json, is_target: bool = False, spellings: Sequence[Level] = ()) -> Field:
    """The field that an entry of ``schema.fields`` describes.

    Parameters
    ----------
    is_target
        Whether the column is the outcome; it is never missing, as little as an id or a weight.
    spellings
        The values that the target's description names; without an enum these are its levels.

    Raises
    ------
    ValueError
        With one problem each as arguments: a property that is unknown, of another type or holds a
        value of another type than the column.
    """
    name = str(entry.get("name", "a column without a name"))
    rules = entry.get("constraints", {})
    problems = misused(entry, FIELD, name, "name type")
    if isinstance(rules, dict):
        problems += misused(rules, CONSTRAINTS, name)
    type = entry.get("type")
    if isinstance(type, str) and type not in TYPES:
        problems.append(f"{name}: type is {type!r}; allowed {', '.join(TYPES)}")
    if not problems:
        problems = _misread(entry, name)
    if problems:
        raise ValueError(*problems)

    def typed(value: object) -> int | float | None:
        return None if value is None else _number(value, entry)

    return Field(
        name=name,
        title=entry.get("title") or name,
        description=entry.get("description", ""),
        type=entry["type"],
        unit=entry.get("unit", ""),
        scale=entry.get("scale", "linear"),
        required=rules.get("required", entry.get("role") == ID)
        or is_target
        or entry.get("role") == WEIGHT,
        levels=_levels(entry, spellings),
        ordered=entry.get("categoriesOrdered", False),
        minimum=typed(rules.get("minimum")),
        maximum=typed(rules.get("maximum")),
        protected=entry.get("protected", False),
        groups_up_to=tuple(_number(value, entry) for value in entry.get("groupsUpTo", ())),
        missing_means=entry.get("missingMeans", REFUSE),
        missing_label=entry.get("missingLabel"),
        labels=_labels(entry, _levels(entry, spellings) or ()),
        role=entry.get("role", INPUT),
        special=_special_codes(entry),
        unlisted=entry.get("unlisted"),
        direction=entry.get("expectedDirection"),
        immutable=entry.get("immutable", False),
        missing_values=tuple(entry["missingValues"]) if "missingValues" in entry else None,
        written=_format(entry),
        example=_example(entry),
    )


def _special_codes(entry: Json) -> tuple[SpecialCode, ...]:
    codes = [
        (_number(code["value"], entry), code["label"]) for code in entry.get("specialCodes", ())
    ]
    return tuple(SpecialCode(*code) for code in sorted(codes))


def _misread(entry: Json, name: str) -> list[str]:
    """One sentence for each value that is not of the column's type."""
    type, rules = entry["type"], entry.get("constraints", {})
    problems, form = [], entry.get("format", "default")
    if type in dates.TYPES:
        if form == "any":
            problems.append(f"{name}: format 'any' is not supported; give a pattern as %d.%m.%Y")
        elif form != "default" and not dates.can_be_read(type, form):
            example = "%d.%m.%Y" if type == "date" else "%b-%Y"
            problems.append(f"{name}: format is {form!r}; allowed default, or such as {example}")
    elif form != "default":
        problems.append(f"{name}: format is {form!r}; allowed default")
    if problems:
        return problems
    is_value = _holds(entry)
    wanted = _OF_TYPE.get(type) or f"a date such as {dates.written(type, _pattern(entry))}"
    for code in entry.get("specialCodes", ()):
        problems += misused(code, _CODE, f"{name}: a special code", "value label")
    given = [("minimum", rules.get("minimum")), ("maximum", rules.get("maximum"))]
    given += [("enum", value) for value in rules.get("enum", ())]
    given += [("groupsUpTo", value) for value in entry.get("groupsUpTo", ())]
    given += [("specialCodes", code.get("value")) for code in entry.get("specialCodes", ())]
    given += [("example", entry.get("example"))]
    problems += [
        f"{name}: {place} has {shown(value)}; a value of type {type} is {wanted}"
        for place, value in given
        if value is not None and not is_value(value)
    ]
    return problems


_CODE = {"value": FIELD["example"], "label": FIELD["name"]}


def _holds(entry: Json) -> Callable[[object], bool]:
    """Whether a value of the descriptor is of the column's type."""
    type = entry["type"]
    if type in dates.TYPES:
        return lambda value: isinstance(value, str) and _is_date(value, entry)
    if type == "integer":
        return lambda value: is_number(value) and isinstance(value, int)
    if type == "number":
        return is_number
    return lambda value: isinstance(value, bool if type == "boolean" else str)


def _pattern(entry: Json) -> str:
    form: str = entry.get("format", "default")
    return "" if form == "default" else form


def _is_date(text: str, entry: Json) -> bool:
    try:
        _number(text, entry)
    except ValueError:
        return False
    return True


def _number(value: object, entry: Json) -> int | float:
    """A quantity of the descriptor; a date is written there as in the file, or as ISO 8601."""
    if not isinstance(value, str):
        assert isinstance(value, int | float)
        return value
    try:
        return dates.number_of(value, entry["type"])
    except ValueError:
        return dates.number_of(value, entry["type"], _pattern(entry))


def _example(entry: Json) -> int | float | str | bool | None:
    value: int | float | str | bool | None = entry.get("example")
    return _number(value, entry) if entry["type"] in dates.TYPES and value is not None else value


def _levels(entry: Json, spellings: Sequence[Level]) -> tuple[Level, ...] | None:
    enum = entry.get("constraints", {}).get("enum")
    if enum is not None:
        return tuple(enum)
    if entry["type"] == "boolean":
        return False, True
    if spellings:
        return tuple(spellings)
    return None if entry["type"] in QUANTITIES else ()


def _labels(entry: Json, levels: tuple[Level, ...]) -> tuple[str, ...]:
    """The levels in words, as Frictionless' ``categories`` give them; none if it gives none."""
    given = {
        (type(each["value"]), each["value"]): str(each["label"])
        for each in entry.get("categories", ())
        if isinstance(each, dict) and "label" in each
    }
    words = [given.get((type(level), level)) for level in levels]
    return tuple(word for word in words if word is not None) if all(words) else ()


def _format(entry: Json) -> TextFormat:
    usual = TextFormat()
    return TextFormat(
        decimal_char=entry.get("decimalChar", usual.decimal_char),
        group_char=entry.get("groupChar", usual.group_char),
        bare=entry.get("bareNumber", usual.bare),
        true_values=tuple(entry.get("trueValues", usual.true_values)),
        false_values=tuple(entry.get("falseValues", usual.false_values)),
        pattern=_pattern(entry) if entry["type"] in dates.TYPES else "",
    )
