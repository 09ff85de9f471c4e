"""The descriptor of the data, ``datapackage.json``, read into a contract.

It is a Frictionless Data Package with a Table Schema, and a few properties of our own beside those.
"""

import json
from pathlib import Path

from creditrisk.data import missing_values
from creditrisk.data.contract import Contract, ContractError, Json
from creditrisk.data.fields import Field, Level
from creditrisk.data.missing_values import MISSING, REFUSE
from creditrisk.data.remedies import restore
from work_units.regular_files import open_regular

#: Of a descriptor; what is longer is cut off, and then no JSON.
MOST_BYTES = 10_000_000

_REMEDY = "mend the part that is named"


def read_contract(path: str | Path) -> Contract:
    """Read the contract of the one table that a data package describes.

    Parameters
    ----------
    path
        A ``datapackage.json``.

    Raises
    ------
    ContractError
        If the descriptor is missing, is no JSON, or lacks a part the project needs.
    """
    try:
        with open_regular(path) as file:
            package = json.loads(file.read(MOST_BYTES).decode("utf-8"))
        return parse_contract(package, str(path))
    except OSError as error:
        cause: Exception = error
        problems = [f"cannot be read ({error.strerror})"]
    except ContractError as error:
        problems, cause = error.problems, error
    except (ValueError, RecursionError) as error:
        problems, cause = [f"is no JSON ({error})"], error
    raise ContractError(str(path), problems, f"{_REMEDY}, or {restore(Path(path))}") from cause


def parse_contract(package: Json, subject: str = "the contract") -> Contract:
    """The contract that a data package's content describes; ``subject`` names it in errors.

    Raises
    ------
    ContractError
        If the content lacks a part the project needs or contradicts itself.
    """
    try:
        resource = package["resources"][0]
        fields = [_field(entry) for entry in resource["schema"]["fields"]]
        target = resource["target"]
        contract = Contract(
            fields=tuple(field for field in fields if field.name != target["field"]),
            target=next(field for field in fields if field.name == target["field"]),
            good=(target["positive"],),
            bad=_other_levels(resource, target),
            row_number=resource.get("rowNumber"),
            missing_values=tuple(resource["schema"].get("missingValues", [""])),
            sha256=resource.get("hash", "").removeprefix("sha256:") or None,
            rows=resource.get("rows"),
            title=package["title"],
            source=package["sources"][0]["title"],
            licence=package["licenses"][0]["title"],
            caveats=tuple(resource.get("caveats", ())),
            period=resource.get("period", ""),
            default_definition=resource.get("defaultDefinition", ""),
            package=package,
        )
    except (KeyError, IndexError, StopIteration) as error:
        raise ContractError(subject, [f"has no {error or 'target field'}"], _REMEDY) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ContractError(subject, [f"is no data package ({error})"], _REMEDY) from error
    problems = _contradictions(contract)
    if problems:
        raise ContractError(subject, problems, _REMEDY)
    return contract


def _other_levels(resource: Json, target: Json) -> tuple[Level, ...]:
    entry = next(each for each in resource["schema"]["fields"] if each["name"] == target["field"])
    levels = entry.get("constraints", {}).get("enum", ())
    return tuple(level for level in levels if level != target["positive"])


def _field(entry: Json) -> Field:
    rules = entry.get("constraints", {})
    return Field(
        name=entry["name"],
        title=entry.get("title") or entry["name"],
        description=entry.get("description", ""),
        type=entry["type"],
        unit=entry.get("unit", ""),
        scale=entry.get("scale", "linear"),
        required=rules.get("required", False),
        levels=tuple(rules["enum"]) if "enum" in rules else None,
        ordered=entry.get("categoriesOrdered", False),
        minimum=rules.get("minimum"),
        maximum=rules.get("maximum"),
        protected=entry.get("protected", False),
        groups_up_to=tuple(entry.get("groupsUpTo", ())),
        missing_means=entry.get("missingMeans", REFUSE),
        missing_label=entry.get("missingLabel"),
        labels=_labels(entry, rules.get("enum", [])),
    )


def _labels(entry: Json, levels: list[Level]) -> tuple[str, ...]:
    """The levels in words, as Frictionless' ``categories`` give them; none if it gives none.

    Raises
    ------
    ValueError
        If it gives words for some levels only.
    """
    given = {
        each["value"]: each["label"]
        for each in entry.get("categories", [])
        if isinstance(each, dict) and "label" in each
    }
    if given and set(given) != set(levels):
        raise ValueError(f"{entry['name']}: categories need a label for each level of the enum")
    return tuple(str(given[level]) for level in levels) if given else ()


def _contradictions(contract: Contract) -> list[str]:
    """One sentence for each part of the descriptor that the project does not support."""
    problems = []
    for field in contract.columns:
        if field.scale not in ("linear", "log") or (
            field.scale == "log" and (field.minimum or 0) < 1
        ):
            problems.append(f"{field.name}: scale is linear, or log with a minimum of at least 1")
        if field.type not in ("integer", "string"):
            problems.append(f"{field.name}: type {field.type!r}; allowed integer, string")
        if field.levels is None:
            if field.type != "integer" or field.minimum is None or field.maximum is None:
                problems.append(f"{field.name}: give an enum, or type integer, minimum and maximum")
            elif not field.required:
                problems.append(f"{field.name}: a quantity must be required")
        elif MISSING in field.levels:
            problems.append(f"{field.name}: {MISSING!r} is reserved for missing values")
        if field.protected and field.levels is None and not field.groups_up_to:
            problems.append(f"{field.name}: a protected quantity needs groupsUpTo")
    problems += _missing_values_contradictions(contract)
    levels = contract.target.levels or ()
    if contract.positive not in levels:
        problems.append(f"positive class {contract.positive!r} is no level of the target")
    elif len(levels) != 2:
        problems.append("the target needs exactly two levels")
    return problems


def _missing_values_contradictions(contract: Contract) -> list[str]:
    """What is wrong with the descriptor's ``missingMeans`` and ``missingLabel``."""
    problems = []
    entries = {e["name"]: e for e in contract.package["resources"][0]["schema"]["fields"]}
    for field in contract.columns:
        found = missing_values.problems(
            entries[field.name], field.required, field.levels or (), contract.missing_values
        )
        problems += [f"{field.name}: {problem}" for problem in found]
    if not problems:
        problems += missing_values.too_many_combinations(
            {
                field.name: len(field.levels or ()) + 1
                for field in contract.fields
                if field.missing_means == missing_values.WORST
            }
        )
    return problems
