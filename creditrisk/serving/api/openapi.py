"""The API's description in OpenAPI 3.1, made from the contract of the model that is served."""

from creditrisk.data.applications.examples import applications
from creditrisk.data.contract import Contract, Json
from creditrisk.scoring.scorer import Scorer
from creditrisk.serving.api.predict import MAX_BODY, MAX_REASONED, MAX_RECORDS, MAX_RECOURSE
from creditrisk.serving.api.schemas import component_schemas

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
        "components": {"schemas": component_schemas(scorer.contract)},
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


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
