"""The API's description in OpenAPI 3.1, made from the contract of the model that is served."""

from creditrisk.data.applications.examples import applications
from creditrisk.data.contract import Contract, Json
from creditrisk.data.fields import Field
from creditrisk.data.missing_values import WORST
from creditrisk.scoring.reasons import MOST
from creditrisk.scoring.recourse.answers import MOST_ANSWERS, MOST_COLUMNS
from creditrisk.scoring.scorer import Scorer
from creditrisk.serving.predict import MAX_BODY, MAX_REASONED, MAX_RECORDS, MAX_RECOURSE

_ERRORS = {
    "400": "The body is no JSON, or JSON that can be read in two ways.",
    "401": "The bearer token is missing or wrong.",
    "411": "The body came without Content-Length.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "421": "The server does not answer under the Host that was named.",
    "422": "The contract does not allow an application; every problem of every record is listed.",
    "503": "The decision could not be recorded, so none was made.",
}
#: How ISO 8601 writes a date, and a year and month.
_NOTATIONS: dict[str, Json] = {
    "date": {"type": "string", "format": "date"},
    "yearmonth": {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"},
}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


def document(scorer: Scorer, needs_token: bool) -> Json:
    """The description of the API as it is served now."""
    errors = {
        status: _problem(description)
        for status, description in _ERRORS.items()
        if needs_token or status != "401"
    }
    api: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Credit risk",
            "version": str(scorer.version or 0),
            "description": f"Decisions of {scorer.name or 'a model'} version {scorer.version}: "
            f"approve from a probability of good risk of {scorer.cutoff:g} on. "
            f"{scorer.contract.title}.",
        },
        "paths": {
            "/predict": {"post": _predict(scorer.contract, errors)},
            "/health": {"get": _get("Whether the server lives", "The server lives.")},
            "/ready": {
                "get": _get(
                    "Which model answers, and which newer one was refused", "The server decides."
                )
            },
            "/metrics": {"get": _metrics(errors, needs_token)},
            "/openapi.json": {"get": _get("This description", "The description.")},
        },
        "components": {"schemas": _schemas(scorer.contract)},
    }
    api["paths"]["/ready"]["get"]["responses"]["503"] = {
        "description": "Decisions cannot be recorded.",
        **_content({"type": "object"}),
    }
    if needs_token:
        api["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, method in (("/predict", "post"), ("/metrics", "get")):
            api["paths"][path][method]["security"] = [{"token": []}]
    return api


def application_schema(contract: Contract) -> Json:
    """One application as JSON Schema."""
    return {
        "type": "object",
        "title": contract.title,
        "required": [field.name for field in contract.fields],
        "additionalProperties": False,
        "properties": {field.name: _property(field) for field in contract.fields},
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


def _predict(contract: Contract, errors: Json) -> Json:
    one, several = _reference("Application"), _reference("Decision")
    examples = applications(contract)
    return {
        "summary": "Decide on one application or several",
        "description": f"An object is answered by a decision, a list of 1 to {MAX_RECORDS} by the "
        f"list of decisions in the same order. All or none are decided. At most {MAX_BODY} bytes. "
        f"With ?reasons=true, for at most {MAX_REASONED} applications, each decision has what "
        f"holds its score down; with ?recourse=true, for at most {MAX_RECOURSE}, each decline the "
        "smallest changes by which the model would approve.",
        "operationId": "predict",
        "parameters": [
            {
                "name": "reasons",
                "in": "query",
                "schema": {"type": "boolean", "default": False},
                "description": "Whether to give reasons; a model saved without a reference "
                "application has none.",
            },
            {
                "name": "recourse",
                "in": "query",
                "schema": {"type": "boolean", "default": False},
                "description": "Whether to search for recourse. It is about the model, and no "
                "promise of a loan.",
            },
            {
                "name": "X-Caller-ID",
                "in": "header",
                "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,98}[!-~])?$"},
                "description": "The caller's own id of the request, kept in the decision log.",
            },
        ],
        "requestBody": {
            "required": True,
            **_content(
                {
                    "oneOf": [
                        one,
                        {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_RECORDS},
                    ]
                },
                examples={
                    "one": {"summary": "One application", "value": examples[0]},
                    "several": {"summary": "A list", "value": examples[1:]},
                },
            ),
        },
        "responses": {
            "200": {
                "description": "Decided.",
                **_content({"oneOf": [several, {"type": "array", "items": several}]}),
            },
            **errors,
        },
    }


def _schemas(contract: Contract) -> Json:
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


def _metrics(errors: Json, needs_token: bool) -> Json:
    found = _get("Figures for Prometheus", "The figures.")
    found["responses"]["200"] = {
        "description": "The figures.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    if needs_token:
        found["responses"]["401"] = errors["401"]
    return found


def _get(summary: str, description: str) -> Json:
    return {
        "summary": summary,
        "responses": {"200": {"description": description, **_content({"type": "object"})}},
    }


def _problem(description: str) -> Json:
    return {
        "description": description,
        **_content(_reference("Problem"), "application/problem+json"),
    }


def _content(schema: Json, kind: str = "application/json", **more: Json) -> Json:
    return {"content": {kind: {"schema": schema, **more}}}


def _object(properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
