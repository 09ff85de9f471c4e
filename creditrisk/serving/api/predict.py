"""``POST /predict``: applications in, decisions out, or a problem that says what to change.

It is a WSGI application of its own beside the Flask pages. The way through Flask takes longer than
the decision; ``docs/serving.md`` has what the shorter one is worth.
"""

import json
import logging
import secrets
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from creditrisk.data.applications.record_checks import InvalidRecords
from creditrisk.records.chain import LogError
from creditrisk.scoring.reason_finder import NoReasons
from creditrisk.scoring.scorer import Decision, Scorer
from creditrisk.serving.api.strict_json import NoJson, parse
from creditrisk.serving.model_reload import Served
from creditrisk.serving.recording import Recorder, reasons_of

log = logging.getLogger("creditrisk")

MAX_BODY = 1_000_000  # bytes
MAX_RECORDS = 1000  # in one request
MAX_REASONED = 100  # in one request for reasons, each of which takes some hundred answers
MAX_RECOURSE = 20  # in one request for recourse, each of which may take a second at worst

#: Where the WSGI environment holds the :class:`Exchange`.
EXCHANGE = "creditrisk.exchange"

#: The header by which callers give a request their own id, and the most characters of it.
CALLER_ID, MAX_CALLER_ID = "X-Caller-ID", 100

encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Refused(Exception):
    """A request that is not answered as asked: an HTTP status and what to do about it."""

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, **more: object
    ) -> None:
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, more
        super().__init__(detail)


@dataclass(slots=True)
class Exchange:
    """What may be logged of a request: nothing that the applicant or a prober has sent."""

    id: str = field(default_factory=lambda: secrets.token_hex(12))
    started: float = field(default_factory=time.perf_counter)
    method: str = "-"  # these two only if the path is one of ours
    route: str = "none"
    approved: int = 0
    declined: int = 0


@dataclass(frozen=True)
class Predict:
    """Answers ``/predict``, as a WSGI application."""

    served: Served
    check_access: Callable[[WSGIEnvironment, str], None]
    recorder: Recorder | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            self.check_access(environ, "predict")
            if environ["REQUEST_METHOD"] != "POST":
                raise MethodNotAllowed(["POST"])
            exchange: Exchange = environ[EXCHANGE]
            exchange.method, exchange.route = "POST", "/predict"
            try:
                body = self._answer(environ, exchange).encode()
            except Refused as refused:
                self._record_refusal(exchange, refused)
                raise
        except Exception as error:  # noqa: BLE001  # answered as a problem, whatever it is
            return problem(error, environ)(environ, start_response)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    def _answer(self, environ: WSGIEnvironment, exchange: Exchange) -> str:
        """The decisions as JSON: an object for an object, a list for a list."""
        scorer = self.served.scorer  # the same for the whole request, whatever is swapped meanwhile
        reasons, recourse = _wants(environ.get("QUERY_STRING", ""))
        caller_id = _caller_id(environ)
        most = MAX_RECOURSE if recourse else MAX_REASONED if reasons else MAX_RECORDS
        sent = _content(environ, most)
        records = sent if isinstance(sent, list) else [sent]
        decisions = _decide(scorer, records, reasons, recourse)
        answered = answers(scorer, decisions, exchange.id, several=records is sent)
        if self.recorder is not None:
            self._record(self.recorder, scorer, records, answered, caller_id)
        exchange.approved = sum(decision.prediction for decision in decisions)
        exchange.declined = len(decisions) - exchange.approved
        return encode(answered if records is sent else answered[0])

    def _record(
        self,
        recorder: Recorder,
        scorer: Scorer,
        records: list[Any],
        answered: list[dict[str, Any]],
        caller_id: str | None,
    ) -> None:
        try:
            recorder.decided(scorer, records, answered, caller_id)
        except LogError as error:
            log.error("decision log", extra={"id": answered[0]["request_id"], "reason": str(error)})
            raise Refused(503, "Nothing was decided: decisions cannot be recorded now.") from None

    def _record_refusal(self, exchange: Exchange, refused: Refused) -> None:
        if self.recorder is None or refused.status >= 500:
            return
        known = [field.name for field in self.served.scorer.contract.fields]
        problems: Any = refused.more.get("problems", [])
        self.recorder.refused(exchange.id, reasons_of(refused.status, problems, known))


def problem(error: Exception, environ: WSGIEnvironment) -> Response:
    """An error in the form of RFC 9457; what was not foreseen goes to the log."""
    request_id = environ[EXCHANGE].id
    headers: dict[str, str] = {}
    more: dict[str, object] = {}
    if isinstance(error, Refused):
        status, detail, headers, more = error.status, error.detail, error.headers, error.more
    elif isinstance(error, HTTPException):
        status, detail = error.code or 500, _DETAILS.get(error.code, "The request is malformed.")
        headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Location")}
    else:
        # Where and what kind, but not the message: it may quote the application.
        kind, trace = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        log.error("failure", extra={"id": request_id, "kind": kind, "trace": trace})
        status, detail = 500, "The server failed. The request id finds the reason in its log."
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
        **more,
    }
    return Response(encode(content), status, headers, content_type="application/problem+json")


_DETAILS: dict[int | None, str] = {
    404: "There is no such page. GET /docs lists what there is.",
    405: "This path is not asked with that method.",
}


def describe(scorer: Scorer) -> dict[str, str | int | None]:
    """A model by name, version and alias."""
    return {"name": scorer.name, "version": scorer.version, "alias": scorer.alias}


def _wants(query: str) -> tuple[bool, bool]:
    """Whether the query asks for reasons, and whether for recourse.

    Raises
    ------
    Refused
        If one of them is neither true nor false.
    """
    if not query:
        return False, False
    asked = parse_qs(query, keep_blank_values=True)
    sent = {name: asked.get(name, ["false"])[-1] for name in ("reasons", "recourse")}
    for name, value in sent.items():
        if value not in ("true", "false"):
            raise Refused(422, f"The query's {name} is true or false.")
    return sent["reasons"] == "true", sent["recourse"] == "true"


def _caller_id(environ: WSGIEnvironment) -> str | None:
    """The caller's own id of the request, None if none was given.

    Raises
    ------
    Refused
        If it is no short text of one line.
    """
    sent: str | None = environ.get(f"HTTP_{CALLER_ID.upper().replace('-', '_')}")
    if sent is not None and not (
        0 < len(sent) <= MAX_CALLER_ID and sent.isascii() and sent.isprintable()
    ):
        raise Refused(
            422, f"{CALLER_ID} is 1 to {MAX_CALLER_ID} printable ASCII characters, or is not sent."
        )
    return sent


def _content(environ: WSGIEnvironment, most: int) -> object:
    """What the request's body holds; a list of so many applications at most.

    Raises
    ------
    Refused
        If it is no JSON of acceptable size.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if "HTTP_TRANSFER_ENCODING" in environ or not length.isdigit():
        raise Refused(411, "Send the body with its Content-Length, not in chunks.")
    if int(length) > MAX_BODY:
        raise Refused(413, f"The body has more than {MAX_BODY} bytes.")
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/json" or "HTTP_CONTENT_ENCODING" in environ:
        raise Refused(415, "Send application/json, not compressed.", {"Accept": "application/json"})
    try:
        sent = parse(environ["wsgi.input"].read(int(length)))
    except NoJson as error:
        raise Refused(400, f"The body {error}.") from None
    if isinstance(sent, list) and not 0 < len(sent) <= most:
        if not sent:
            raise Refused(422, "The list holds no application.")
        asked = {MAX_REASONED: " for reasons", MAX_RECOURSE: " for recourse"}.get(most, "")
        raise Refused(
            422,
            f"The list holds {len(sent)} applications; send at most {most} in one request{asked}.",
            limit=most,
        )
    return sent


def _decide(scorer: Scorer, records: list[Any], reasons: bool, recourse: bool) -> list[Decision]:
    """A decision for each application, in their order; all or none.

    Raises
    ------
    Refused
        If the contract does not allow one of them, or the model has no reasons.
    """
    try:
        return scorer.score(records, reasons, recourse)
    except NoReasons as error:
        raise Refused(422, f"Nothing was decided: {error}.") from None
    except InvalidRecords as error:
        raise Refused(
            422,
            "Nothing was decided: the contract does not allow what was sent.",
            problems=[each._asdict() for each in error.problems],
        ) from None


def answers(
    scorer: Scorer, decisions: list[Decision], request_id: str, several: bool
) -> list[dict[str, Any]]:
    """What is answered for each decision, in the order of the applications."""
    model = describe(scorer)
    answered: list[dict[str, Any]] = [
        {
            "id": f"{request_id}-{number}" if several else request_id,
            "prediction": decision.prediction,
            "decision": decision.decision,
            "probability": decision.probability,
            "cutoff": scorer.cutoff,
            "model": model,
            "request_id": request_id,
        }
        for number, decision in enumerate(decisions, 1)
    ]
    for answer, decision in zip(answered, decisions, strict=True):
        if decision.assumed:
            answer["assumed"] = [asdict(each) for each in decision.assumed]
        if decision.outside:
            answer["outside_training"] = list(decision.outside)
        if decision.reasons is not None:
            answer["reasons"] = [asdict(reason) for reason in decision.reasons]
        if decision.recourse is not None:
            found = decision.recourse
            answer["recourse"] = [asdict(each) | {"words": each.words} for each in found.smallest]
            answer["recourse_complete"] = found.complete
    return answered
