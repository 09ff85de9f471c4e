"""The descriptor of the data, ``datapackage.json``, read into a contract.

It is a Frictionless Data Package with a Table Schema, and a few properties of our own beside those.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from creditrisk.data import dates
from creditrisk.data.contract import Contract, ContractError, Costs, Json, Split
from creditrisk.data.fields import INPUT, Field
from creditrisk.data.package import contradictions, outcome, properties
from creditrisk.data.package.columns import column
from creditrisk.data.package.mixes import mixes
from creditrisk.data.package.properties import misused
from creditrisk.data.package.remedies import restore
from work_units.regular_files import open_regular

#: Of a descriptor; what is longer is cut off, and then no JSON.
MOST_BYTES = 10_000_000

_REMEDY = "mend the part that is named"
_ANSWER = "set the property that answers a question, and delete the question from its review"


def read_contract(path: str | Path, *, open_questions: bool = False) -> Contract:
    """Read the contract of the one table that a data package describes.

    Parameters
    ----------
    path
        A ``datapackage.json``.
    open_questions
        Whether the descriptor may hold questions (``review``) that nobody has answered yet.

    Raises
    ------
    ContractError
        If the descriptor is missing, is no JSON, lacks a part the project needs, contradicts
        itself, has a property that is unknown, or asks a question.
    """
    try:
        with open_regular(path) as file:
            text = file.read(MOST_BYTES).decode("utf-8-sig")
        package = json.loads(text, object_pairs_hook=_object)
        return parse_contract(package, str(path), open_questions=open_questions)
    except OSError as error:
        cause: Exception = error
        problems = [f"cannot be read ({error.strerror})"]
    except _OpenQuestions:
        raise
    except ContractError as error:
        problems, cause = error.problems, error
    except (ValueError, RecursionError) as error:
        problems, cause = [f"is no JSON ({error})"], error
    raise ContractError(str(path), problems, f"{_REMEDY}, or {restore(Path(path))}") from cause


def parse_contract(
    package: Json, subject: str = "the contract", *, open_questions: bool = False
) -> Contract:
    """The contract that a data package's content describes; ``subject`` names it in errors.

    Raises
    ------
    ContractError
        As :func:`read_contract`.
    """
    problems = _misused(package)
    if problems:
        raise ContractError(subject, problems, _REMEDY)
    resource = package["resources"][0]
    fields: list[Field] = []
    for entry in resource["schema"]["fields"]:
        is_target = entry.get("name") == resource["target"]["field"]
        spellings = outcome.spellings(resource["target"]) if is_target else ()
        try:
            fields.append(column(entry, is_target, spellings))
        except ValueError as error:
            problems += error.args
    if problems:
        raise ContractError(subject, problems, _REMEDY)
    problems = outcome.problems(resource["target"], fields)
    if problems:
        raise ContractError(subject, problems, _REMEDY)
    contract = _contract(package, resource, fields)
    try:
        stated = mixes(resource.get("mixes", ()), fields, contract.target.name)
        contract = replace(contract, mixes=stated)
    except ValueError as error:
        problems += error.args
    for field, entry in zip(fields, resource["schema"]["fields"]):
        found = contradictions.in_column(
            field, entry, field is contract.target, contract.missing_values
        )
        problems += [f"{field.name}: {problem}" for problem in found]
    problems += contradictions.in_table(contract, fields) + _test_from_problems(contract)
    problems += _key_problems(resource["schema"], contract)
    if problems:
        raise ContractError(subject, problems, _REMEDY)
    questions = [f"the table: {question}" for question in resource.get("review", ())]
    for entry in resource["schema"]["fields"]:
        questions += [f"{entry['name']}: {question}" for question in entry.get("review", ())]
    if questions and not open_questions:
        raise _OpenQuestions(subject, questions, _ANSWER)
    return contract


class _OpenQuestions(ContractError):
    """A descriptor that is sound but for questions that are not answered."""


def _object(pairs: list[tuple[str, object]]) -> Json:
    """A JSON object, which names each of its properties once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object names {doubled!r} twice")
    return found


def _misused(package: Json) -> list[str]:
    """What is wrong with the properties of all parts but the columns."""
    if not isinstance(package, dict):
        return ["is no data package (it is no object)"]
    problems = misused(package, properties.PACKAGE, "the package", "resources")
    if "title" not in package and "name" not in package:
        problems.append("the package has no 'title'")
    resources = package.get("resources", [])
    if not problems and len(resources) != 1:
        problems.append(
            f"the package has {len(resources)} resources; allowed exactly one, as a model reads"
            " one table"
        )
    if problems:
        return problems
    resource = resources[0]
    parts = [
        ("dialect", properties.DIALECT, ""),
        ("schema", properties.SCHEMA, "fields"),
        ("target", properties.TARGET, "field"),
        ("split", properties.SPLIT, ""),
        ("costs", properties.COSTS, "badAccepted goodRejected"),
    ]
    problems = misused(resource, properties.RESOURCE, "the table", "schema target")
    for name, known, needed in parts:
        if isinstance(resource.get(name), dict):
            problems += misused(resource[name], known, name, needed)
    try:
        "a,b\n".encode(resource.get("encoding", "utf-8")).decode("ascii", "ignore")
    except (LookupError, UnicodeError, TypeError, ValueError):
        problems.append(f"the table: encoding {resource['encoding']!r} is unknown; such as utf-8")
    return problems


def _test_from_problems(contract: Contract) -> list[str]:
    text = contract.split.test_from
    for type in ("date", "yearmonth") if text else ():
        try:
            dates.number_of(text, type)
            return []
        except ValueError:
            pass
    return [f"split: testFrom is {text!r}; allowed a date such as 2024-01-31"] if text else []


def _key_problems(schema: Json, contract: Contract) -> list[str]:
    key, id = schema.get("primaryKey"), contract.of_role("id")
    if key is None or (id is not None and key in (id.name, [id.name])):
        return []
    return [f"primaryKey is {key!r}; allowed the column with the role 'id'"]


def _contract(package: Json, resource: Json, fields: Sequence[Field]) -> Contract:
    target, dialect = resource["target"], resource.get("dialect", {})
    result = next(field for field in fields if field.name == target["field"])
    others = [level for level in result.levels or () if level != target.get("positive")]
    path, costs, split = resource.get("path", ()), resource.get("costs"), resource.get("split", {})
    title = package.get("title") or package["name"]
    name = re.sub("[^A-Za-z0-9_.-]", "_", package.get("name") or title)
    return Contract(
        fields=tuple(each for each in fields if each.role == INPUT and each is not result),
        target=result,
        good=(target["positive"],) if "positive" in target else tuple(target["good"]),
        bad=tuple(others) if "positive" in target else tuple(target["bad"]),
        row_number=resource.get("rowNumber"),
        missing_values=tuple(resource["schema"].get("missingValues", [""])),
        sha256=resource.get("hash", "").removeprefix("sha256:") or None,
        rows=resource.get("rows"),
        title=title,
        source=_title(resource.get("sources") or package.get("sources")),
        licence=_title(resource.get("licenses") or package.get("licenses")),
        caveats=tuple(resource.get("caveats", ())),
        period=resource.get("period", ""),
        default_definition=resource.get("defaultDefinition", ""),
        excluded=tuple(target.get("exclude", ())),
        others=tuple(each for each in fields if each.role != INPUT),
        population=resource.get("population", ""),
        purpose=resource.get("purpose", ""),
        costs=Costs(costs["badAccepted"], costs["goodRejected"]) if costs else None,
        real_bad_rate=resource.get("realBadRate"),
        model_name=package.get("modelName") or f"Credit_Risk_Model_{name}",
        split=Split(split.get("by", "random"), split.get("testFrom", "")),
        paths=(path,) if isinstance(path, str) else tuple(path),
        delimiter=dialect.get("delimiter", ","),
        encoding=resource.get("encoding", "utf-8"),
        quote_char=dialect.get("quoteChar", '"'),
        skip_initial_space=dialect.get("skipInitialSpace", False),
        package=package,
    )


def _title(listed: list[Json] | None) -> str:
    """The title of the first source or licence."""
    first = listed[0] if listed else {}
    return str(first.get("title") or first.get("name") or first.get("path") or "not stated")
