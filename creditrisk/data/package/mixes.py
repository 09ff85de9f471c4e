"""The mixes of a descriptor: how else the applicants might be spread over one column."""

import math
from collections.abc import Sequence
from itertools import pairwise

from creditrisk.data.contract import Json, Mix, did_you_mean
from creditrisk.data.fields import INPUT, Field
from creditrisk.data.package.contradictions import twice
from creditrisk.data.package.properties import BOUNDS, NAME, Kind, is_number, misused, shown

#: Shares add up to 1 but for what rounding them takes.
ROUNDED = 1e-3


def _are_shares(value: object) -> bool:
    shares = list(value.values()) if isinstance(value, dict) else value
    return isinstance(shares, list) and all(is_number(each) and each >= 0 for each in shares)


MIX = {
    **dict.fromkeys(("name", "field"), NAME),
    "shares": Kind(_are_shares, "a share from 0 on for each level, or a list of them for groups"),
    "groupsUpTo": BOUNDS,
}


def mixes(listed: Sequence[Json], fields: Sequence[Field], target: str) -> tuple[Mix, ...]:
    """The mixes that a descriptor lists.

    Parameters
    ----------
    fields
        All columns of the table.
    target
        The name of the column that is to be predicted.

    Raises
    ------
    ValueError
        With one problem each as arguments.
    """
    inputs = {field.name: field for field in fields if field.role == INPUT and field.name != target}
    problems, found = [], []
    for number, entry in enumerate(listed, 1):
        where = f"mix {entry['name']!r}" if NAME.holds(entry.get("name")) else f"mix {number}"
        faults = misused(entry, MIX, where, "name field shares")
        if not faults and entry["field"] not in inputs:
            hint = did_you_mean(entry["field"], list(inputs))
            faults = [f"{where}: field {entry['field']!r} is no column of an application{hint}"]
        if not faults:
            field = inputs[entry["field"]]
            of_field = _of_quantity if field.levels is None else _of_levels
            faults = [f"{where}: {field.name}: {fault}" for fault in of_field(entry, field)]
        if not faults:
            found.append(_mix(entry, field))
        problems += faults
    names = twice(each.name for each in found)
    problems += [f"mixes has the name {name!r} twice" for name in names]
    if problems:
        raise ValueError(*problems)
    return tuple(found)


def _of_levels(entry: Json, field: Field) -> list[str]:
    """What is wrong with the shares of a category's levels."""
    if "groupsUpTo" in entry:
        return ["groupsUpTo is for a quantity; remove it"]
    if not isinstance(entry["shares"], dict):
        return [f"shares is {shown(entry['shares'])}; allowed a share for each level by its name"]
    known = list(map(_spelt, field.all_levels))
    unknown = [name for name in entry["shares"] if name not in known]
    if unknown:
        return [
            f"shares has {name!r}, which is no level; allowed {', '.join(known)}"
            for name in unknown
        ]
    return _sum(list(entry["shares"].values()))


def _of_quantity(entry: Json, field: Field) -> list[str]:
    """What is wrong with the groups of a quantity and their shares."""
    ends, shares = entry.get("groupsUpTo", []), entry["shares"]
    if not ends:
        return ["a quantity needs groupsUpTo, the upper ends of its groups"]
    try:
        numbers = [_end(end, field) for end in ends]
    except ValueError:
        return [f"groupsUpTo is {shown(ends)}; allowed values of type {field.type}"]
    if any(first >= second for first, second in pairwise(numbers)):
        return ["groupsUpTo does not rise from value to value"]
    if not isinstance(shares, list) or len(shares) != len(ends) + 1:
        wanted = f"a list of {len(ends) + 1}, one for each group up to an end and one for the rest"
        return [f"shares is {shown(shares)}; allowed {wanted}"]
    return _sum(shares)


def _sum(shares: list[float]) -> list[str]:
    total = math.fsum(shares)
    return [] if abs(total - 1) <= ROUNDED else [f"shares add up to {total:.15g}; allowed 1"]


def _mix(entry: Json, field: Field) -> Mix:
    shares = entry["shares"]
    if field.levels is not None:
        shares = [shares.get(_spelt(level), 0.0) for level in field.all_levels]
    ends = tuple(_end(end, field) for end in entry.get("groupsUpTo", ()))
    total = math.fsum(shares)
    return Mix(entry["name"], field.name, tuple(share / total for share in shares), ends)


def _end(end: object, field: Field) -> int | float:
    """The upper end of a group as a number; a date is written as ISO 8601 has it."""
    if field.is_dated and isinstance(end, str):
        return field.number_of(end)
    if field.is_dated or not is_number(end) or field.whole and not isinstance(end, int):
        raise ValueError
    assert isinstance(end, int | float)
    return end


def _spelt(level: object) -> str:
    """A level as the name of a JSON property."""
    return str(level).lower() if isinstance(level, bool) else str(level)
