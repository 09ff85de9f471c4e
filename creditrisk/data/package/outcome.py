"""The target: which of its values are good, which bad, and which leave a row out."""

from collections.abc import Sequence

from creditrisk.data.contract import Json, did_you_mean
from creditrisk.data.fields import Field, Level
from creditrisk.data.package.contradictions import twice


def spellings(target: Json) -> list[Level]:
    """The values that the target's description names; only an enum completes ``positive``."""
    if "positive" in target:
        return []
    return [*target.get("bad", ()), *target.get("good", ()), *target.get("exclude", ())]


def problems(target: Json, fields: Sequence[Field]) -> list[str]:
    """What is wrong with which of the target's values are good and which bad."""
    found = [field for field in fields if field.name == target["field"]]
    if not found:
        hint = did_you_mean(target["field"], [field.name for field in fields])
        return [f"the target's field {target['field']!r} is no column{hint}"]
    levels, name = found[0].levels or (), found[0].name
    if "positive" in target:
        if {"good", "bad", "exclude"} & set(target):
            return ["the target: give either positive, or good and bad (and exclude)"]
        positive = target["positive"]
        if not any(type(level) is type(positive) and level == positive for level in levels):
            return [f"positive class {positive!r} is no level of the target"]
        if len(levels) != 2:
            return ["the target needs exactly two levels; with more, give good, bad and exclude"]
        return []
    if "good" not in target or "bad" not in target:
        return ["the target: give positive, or good and bad, which are lists of its values"]
    named = spellings(target)
    faults = [
        f"the target names {value!r} twice among good, bad and exclude" for value in twice(named)
    ]
    kinds = {"integer": int, "boolean": bool}
    kind = kinds.get(found[0].type, str)
    faults += [
        f"the target names {value!r}, which is no value of {name} of type {found[0].type}"
        for value in named
        if type(value) is not kind
    ]
    if not faults and set(named) != set(levels):
        odd = sorted(map(repr, set(named) ^ set(levels)))
        faults.append(
            f"the target: good, bad and exclude name each level of {name} once; {', '.join(odd)}"
            " is in one of the lists or in the enum only"
        )
    return faults
