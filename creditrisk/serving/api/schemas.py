"""Applications, decisions and problems as JSON Schema, made from a contract."""

from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import Field
from creditrisk.data.missing_values import WORST
from creditrisk.scoring.reasons import MOST
from creditrisk.scoring.recourse.answers import MOST_ANSWERS, MOST_COLUMNS

#: How ISO 8601 writes a date, and a year and month.
_NOTATIONS: dict[str, Json] = {
    "date": {"type": "string", "format": "date"},
    "yearmonth": {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
}

_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


def component_schemas(contract: Contract) -> Json:
    """The schemas that the paths of the API refer to, by name."""
    text, number = {"type": "string"}, {"type": "integer"}
    decision = {
        "id": text | {"description": "Id of the decision, also in the decision log."},
        "prediction": number | {"enum": [0, 1], "description": "1 good risk, 0 bad risk."},
        "decision": {"type": "string", "enum": ["approve", "decline"]},
        "probability": _PROBABILITY | {"description": "Probability that the risk is good."},
        "cutoff": _PROBABILITY | {"description": "Approved from this probability on."},
        "model": _object(
            {
                "name": text,
                "version": {"type": ["integer", "null"]},
                "alias": {"type": ["string", "null"]},
            }
        ),
        "request_id": text,
    }
    value = {"type": ["string", "number", "boolean", "null"]}
    reason = {
        "field": text,
        "value": value | {"description": "The applicant's."},
        "better": value | {"description": "What is usual among approved applicants."},
        "effect": {"type": "number", "exclusiveMaximum": 0, "description": "On the log-odds."},
        "words": text,
    }
    reasons = {
        "type": "array",
        "maxItems": MOST,
        "items": _object(reason),
        "description": "What holds the score down, the strongest first; only if asked.",
    }
    assumed = {"field": text, "value": value | {"description": "The worst one."}, "words": text}
    answer = _object(decision)
    answer["properties"]["reasons"] = reasons
    answer["properties"]["recourse"] = _recourse(value)
    answer["properties"]["recourse_complete"] = {
        "type": "boolean",
        "description": "Whether the search for recourse came to its end; only where recourse is. "
        "False: it took too much work, and there may be a smaller change than any given.",
    }
    answer["properties"]["outside_training"] = {
        "type": "array",
        "minItems": 1,
        "items": text,
        "description": "Quantities beyond what the model has learned from; only if there are any.",
    }
    if any(field.takes_blank for field in contract.fields):
        answer["properties"]["assumed"] = {
            "type": "array",
            "items": _object(assumed),
            "description": "What blanks were scored as; only if there are any.",
        }
    fault = _object({"record": number | {"minimum": 1}, "field": text, "message": text})
    problem = {"type": text, "title": text, "status": number, "detail": text, "request_id": text}
    problems = {"type": "array", "items": fault}
    return {
        "Application": application_schema(contract),
        "Decision": answer,
        "Problem": _object(problem)
        | {
            "description": "RFC 9457. No message repeats a value that was sent.",
            "properties": problem | {"problems": problems, "limit": number},
        },
    }


def application_schema(contract: Contract) -> Json:
    """One application as JSON Schema."""
    return {
        "type": "object",
        "title": contract.title,
        "required": [field.name for field in contract.fields],
        "additionalProperties": False,
        "properties": {field.name: _property(field) for field in contract.fields},
    }


def _recourse(value: Json) -> Json:
    text = {"type": "string"}
    change = {
        "field": text,
        "value": value | {"description": "The applicant's."},
        "to": value,
        "words": text,
    }
    answer = {
        "changes": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_COLUMNS,
            "items": _object(change),
        },
        "effort": {"type": "number", "minimum": 0, "description": "By which they are in order."},
        "probability": _PROBABILITY | {"description": "With these changes."},
        "words": text,
    }
    return {
        "type": "array",
        "maxItems": MOST_ANSWERS,
        "items": _object(answer),
        "description": "The smallest changes that turn a decline; only if asked. Empty, and "
        f"recourse_complete true: none within {MOST_COLUMNS} columns.",
    }


def _property(field: Field) -> Json:
    """What a field may hold; the description says what a schema cannot."""
    words = [field.description, f"In {field.unit}." if field.unit else ""]
    if field.missing_label is not None:
        words.append(f"{field.missing_label!r} is what the data record as missing.")
    if field.takes_blank:
        worst = "null is scored as the value with the lowest probability."
        value = "null is a value like any other: nothing is known."
        words.append(worst if field.missing_means == WORST else value)
    schema = _quantity(field, words) if field.levels is None else _levels(field, words)
    return {"title": field.title, "description": " ".join(filter(None, words))} | schema


def _levels(field: Field, words: list[str]) -> Json:
    types = [field.type]
    if field.missing_label is not None and field.type != "string":
        types.append("string")
    if field.takes_blank:
        types.append("null")
    schema: Json = {"type": types if types[1:] else field.type}
    if field.unlisted is not None:
        words.append(f"One of {', '.join(map(str, field.levels or ()))}; other text counts as")
        words.append(f"{field.unlisted}, but a level with blanks around it is refused.")
        return schema | {"pattern": r"\S", "examples": list(field.choices)}
    return schema | {"enum": [*field.choices, *([None] if field.takes_blank else [])]}


def _quantity(field: Field, words: list[str]) -> Json:
    bounds = {"minimum": field.minimum, "maximum": field.maximum}
    schema = _NOTATIONS.get(field.type) or {
        "type": field.type,
        **{name: bound for name, bound in bounds.items() if bound is not None},
    }
    if field.is_dated:
        words.append(f"Allowed {field.allowed}.")
    states: list[Json] = [{"const": code.value, "title": code.label} for code in field.special]
    words += [f"{field.worded(code.value)}." for code in field.special]
    if field.missing_label is not None:
        states.append({"const": field.missing_label, "title": field.missing_label})
    if not states:
        return schema | ({"type": [schema["type"], "null"]} if field.takes_blank else {})
    return {"anyOf": [schema, *states, *([{"type": "null"}] if field.takes_blank else [])]}


def _object(properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}
