"""What a descriptor says that cannot be true, column by column and for the table."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from creditrisk.data import dates, missing_values
from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import (
    DATE,
    DIRECTIONS,
    GROUP,
    ID,
    INPUT,
    LARGEST,
    ROLES,
    WEIGHT,
    Field,
    Level,
)
from creditrisk.data.missing_values import MISSING

_SINGLE = (ID, DATE, WEIGHT, GROUP)
_TYPES_OF_ROLE = {
    ID: ("string", "integer"),
    DATE: dates.TYPES,
    WEIGHT: ("integer", "number"),
    GROUP: ("string", "integer", "boolean", *dates.TYPES),
}


def in_column(field: Field, entry: Json, is_target: bool, markers: tuple[str, ...]) -> list[str]:
    """One sentence, without the column's name, for each contradiction in what is said of it.

    Parameters
    ----------
    entry
        The column as the descriptor has it.
    markers
        What stands for a missing value in the whole file.
    """
    problems = [*_values(field, entry), *_quantity(field, entry), *_text(field, entry)]
    problems += _role(field, entry, is_target)
    if field.role == INPUT and not is_target and field.levels == ():
        problems.append(
            "a string needs an enum (other text may count as one of its levels: unlisted), or a"
            " role such as ignore"
        )
    own = markers if field.missing_values is None else field.missing_values
    problems += missing_values.problems(entry, field.required, field.levels or (), own)
    if field.levels is None and field.missing_means == missing_values.WORST:
        problems.append("missingMeans 'worst' is for a category; allowed level, refuse, value")
    return problems


def in_table(contract: Contract, fields: Iterable[Field]) -> list[str]:
    """One sentence for each contradiction between columns, or with what is said of the table.

    Parameters
    ----------
    fields
        All columns in the order of the descriptor.
    """
    fields = list(fields)
    counts = Counter(field.name for field in fields)
    problems = [f"{name}: is described {n} times" for name, n in counts.items() if n > 1]
    for role in _SINGLE:
        found = [field.name for field in fields if field.role == role]
        if len(found) > 1:
            problems.append(f"{' and '.join(found)}: one column at most has the role {role!r}")
    if contract.row_number in counts:
        problems.append(
            f"{contract.row_number}: is also the rowNumber; describe it once, as rowNumber or as"
            f" a field with the role {ID!r}"
        )
    if not contract.fields:
        problems.append("the table has no column to learn from besides the target")
    if len(contract.delimiter) == 1 and contract.delimiter == contract.quote_char:
        problems.append("the dialect: delimiter and quoteChar are the same character")
    problems += _split(contract)
    problems += missing_values.too_many_combinations(
        {
            field.name: len(field.levels or ()) + 1
            for field in contract.fields
            if field.missing_means == missing_values.WORST and not field.required
        }
    )
    return problems


def twice(values: Iterable[Level | float]) -> list[Level | float]:
    """The values that occur more than once; to JSON, true is not 1."""
    counts = Counter((isinstance(value, bool), value) for value in values)
    return [value for (_, value), count in counts.items() if count > 1]


def _values(field: Field, entry: Json) -> list[str]:
    """What is wrong with the levels and bounds."""
    rules, problems = entry.get("constraints", {}), []
    if "enum" in rules:
        if field.type not in ("integer", "string"):
            problems.append(f"enum with type {field.type}; allowed for integer and string")
        problems += [f"enum has {value!r} twice" for value in twice(rules["enum"])]
        if "minimum" in rules or "maximum" in rules:
            problems.append("has an enum, which minimum and maximum cannot go with; remove one")
    elif field.levels is not None and ("minimum" in rules or "maximum" in rules):
        problems.append(f"minimum and maximum with type {field.type}; give an enum")
    low, high = field.minimum, field.maximum
    if low is not None and high is not None and low > high:
        problems.append(f"minimum {field.shown(low)} is above maximum {field.shown(high)}")
    problems += [
        f"{name} is {value}; at most {LARGEST:,} either way"
        for name, value in (("minimum", low), ("maximum", high))
        if value is not None and abs(value) > LARGEST
    ]
    if rules.get("unique") and field.role != ID:
        problems.append(f"unique is for the column with the role {ID!r}; remove it")
    if MISSING in (field.levels or ()):
        problems.append(f"{MISSING!r} is reserved for missing values; name the level differently")
    blank = [level for level in field.levels or () if isinstance(level, str) and not level.strip()]
    if blank:
        problems.append(f"enum has {blank[0]!r}; a level has a name, and a blank is a missingValue")
    return problems


def _quantity(field: Field, entry: Json) -> list[str]:
    """What is wrong with the properties that only a quantity can have, or only a level."""
    problems = []
    low, is_number = field.minimum, field.type in ("integer", "number")
    if field.scale not in ("linear", "log") or (
        field.scale == "log"
        and (not is_number or field.levels is not None or low is None or low <= 0)
    ):
        problems.append(
            f"scale is {field.scale!r}; allowed linear, or log for a number with a minimum above 0"
        )
    codes = field.special_values
    if field.levels is not None:
        problems += [
            f"{name} is for a quantity; remove it"
            for name in ("specialCodes", "groupsUpTo")
            if name in entry
        ]
    problems += [f"specialCodes has {field.shown(value)} twice" for value in twice(codes)]
    labels = twice(code.label for code in field.special)
    problems += [f"specialCodes has the label {label!r} twice" for label in labels]
    if MISSING in [code.label for code in field.special]:
        problems.append(f"specialCodes: the label {MISSING!r} is reserved for missing values")
    ends = field.groups_up_to
    if any(first >= second for first, second in pairwise(ends)):
        problems.append("groupsUpTo does not rise from value to value")
    if not field.protected and ends:
        problems.append("groupsUpTo is for a protected column; remove it or set protected")
    if field.protected and field.levels is None and not ends:
        problems.append("a protected quantity needs groupsUpTo")
    if field.levels is None and ("categories" in entry or field.ordered):
        problems.append("categories and categoriesOrdered need an enum")
    return problems


def _text(field: Field, entry: Json) -> list[str]:
    """What is wrong with the ways in which values are written, and with words for them."""
    problems, written, levels = [], field.written, field.levels or ()
    for names, types in (
        (("decimalChar",), ("number",)),
        (("groupChar", "bareNumber"), ("integer", "number")),
        (("trueValues", "falseValues"), ("boolean",)),
    ):
        problems += [
            f"{name} is for type {' or '.join(types)}, not {field.type}; remove it"
            for name in names
            if name in entry and field.type not in types
        ]
    signs = {"decimalChar": written.decimal_char, "groupChar": written.group_char}
    problems += [
        f"{name} is {sign!r}, which a number is written with already"
        for name, sign in signs.items()
        if sign and (sign.isdigit() or sign in "+-eE")
    ]
    if len(written.group_char) > 1:
        problems.append(f"groupChar is {written.group_char!r}; allowed a single character")
    if field.type == "number" and written.decimal_char == written.group_char:
        problems.append(f"decimalChar and groupChar are both {written.decimal_char!r}")
    spelt = [*dict.fromkeys(written.true_values), *dict.fromkeys(written.false_values)]
    problems += [f"trueValues and falseValues both have {text!r}" for text in twice(spelt)]
    if field.unlisted is not None:
        if field.type != "string" or "enum" not in entry.get("constraints", {}):
            problems.append("unlisted is for a string with an enum; remove it")
        elif field.unlisted not in levels:
            problems.append(f"unlisted is {field.unlisted!r}, which is no level of the enum")
    listed = entry.get("categories", ())
    given = [each["value"] if isinstance(each, dict) else each for each in listed]
    problems += [f"categories has {value!r} twice" for value in twice(given)]
    named = [each for each in listed if isinstance(each, dict) and "label" in each]
    if set(given) - set(levels) or (named and (set(given) != set(levels) or not field.labels)):
        problems.append("categories need a label for each level of the enum, and for no other")
    if field.example is not None and not (field.levels == () or field.takes(field.example)):
        problems.append(f"example {field.worded(field.example)} is not allowed: {field.allowed}")
    return problems


def _role(field: Field, entry: Json, is_target: bool) -> list[str]:
    """What is wrong with the column's role, and with what only inputs have."""
    problems = []
    if field.role not in ROLES:
        return [f"role is {field.role!r}; allowed {', '.join(ROLES)}"]
    if is_target and "role" in entry:
        problems.append("is the target, which has no role; remove it")
    if is_target and field.levels is None and field.type not in ("integer", "string", "boolean"):
        problems.append(f"is the target, of type {field.type}; allowed integer, string, boolean")
    if is_target or field.role != INPUT:
        kind = "the target" if is_target else f"of the role {field.role!r}"
        problems += [
            f"{name} is for a column that a model may use, and this one is {kind}; remove it"
            for name in ("protected", "immutable", "expectedDirection")
            if entry.get(name)
        ]
    if field.direction is not None:
        if field.direction not in DIRECTIONS:
            allowed = ", ".join(DIRECTIONS)
            problems.append(f"expectedDirection is {field.direction!r}; allowed {allowed}")
        if field.levels is not None and field.type != "boolean" and not field.ordered:
            problems.append("expectedDirection is for a quantity or an ordered category")
    types = _TYPES_OF_ROLE.get(field.role)
    if types and field.type not in types:
        problems.append(f"role {field.role} needs type {' or '.join(types)}, not {field.type}")
    return problems


def _split(contract: Contract) -> list[str]:
    """What is wrong with the way in which the test set is kept apart."""
    by = contract.split.by
    if by not in ("random", DATE, GROUP):
        return [f"split: by is {by!r}; allowed random, {DATE}, {GROUP}"]
    if by == "random":
        return ["split: testFrom needs by 'date'"] if contract.split.test_from else []
    column = contract.of_role(by)
    if column is None:
        return [f"split: by {by!r} needs a column with the role {by!r}"]
    if not column.required:
        return [f"{column.name}: the split is by it, so set constraints.required to true"]
    return []
