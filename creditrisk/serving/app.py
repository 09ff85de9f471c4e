"""The Flask API: applications in, decisions out, and words that help for whatever is refused.

No layer that validates stands between Flask and the scorer. The scorer checks every record
against the contract anyway, with the same words at every door; a second check would cost more
than the decision and say it differently. ``/openapi.json`` is made from the same contract.
"""

import hmac
import json
import logging
import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import parse_qs

from flask import Flask, Response, render_template, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from werkzeug.exceptions import HTTPException

from creditrisk.scoring.scorer import Decision, InvalidRecords, NoReasons, Scorer
from creditrisk.serving.decision_log import DecisionLog, LogError, entry
from creditrisk.serving.model_reload import Served
from creditrisk.serving.openapi import document
from creditrisk.serving.strict_json import NoJson, parse

log = logging.getLogger("creditrisk")

MAX_BODY = 1_000_000  # bytes
MAX_RECORDS = 1000  # in one request
MAX_REASONED = 100  # in one request for reasons, each of which takes some hundred answers
TOKEN = "CREDITRISK_TOKEN"  # environment variable that holds the bearer token, if one is wanted

LOCAL = ("localhost", "127.0.0.1", "[::1]")

#: What answers without a token: whether the server lives, and how to use it.
OPEN = {"home", "docs", "openapi", "health", "ready", "static"}

HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
]
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


#: Where an application finds the :class:`Exchange` that it answers.
EXCHANGE = "creditrisk.exchange"
#: And where it finds what went wrong with a decision.
ERROR = "creditrisk.error"

WSGI = Callable[[dict, Callable], Iterable[bytes]]

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Refused(Exception):
    """A request that is not answered as asked: an HTTP status and what to do about it."""

    def __init__(self, status: int, detail: str, headers: dict | None = None, **more):
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, more
        super().__init__(detail)


@dataclass(slots=True)
class Exchange:
    """What may be told of a request: nothing that the applicant or a prober has sent."""

    id: str
    started: float
    method: str = "-"  # these two only if the path is one of ours
    route: str = "none"
    records: int = 0  # decided


@dataclass(frozen=True)
class Figures:
    """What ``/metrics`` counts."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    decisions: dict[str, Counter]


def create_app(
    served: Served,
    *,
    hosts: tuple[str, ...] = LOCAL,
    decision_log: DecisionLog | None = None,
    token: str | None = None,
    tell: Callable[[dict], None] | None = None,
) -> Flask:
    """The API over a served model.

    Parameters
    ----------
    hosts
        Names under which the server may be addressed. A page of somebody else's, whose name was
        made to point here, is not served.
    decision_log
        Where each decision is recorded before it is answered.
    token
        If given, decisions and metrics need it as a bearer token.
    tell
        Takes what may be told of each answered request; by default it is logged.
    """
    app = Flask(__name__, template_folder="pages", static_folder="pages/static")
    allowed = frozenset(host.lower() for host in hosts)
    wanted = f"Bearer {token}".encode() if token else None
    figures = _figures(served)

    def admit(environ: dict, endpoint: str | None) -> None:
        _check_host(environ.get("HTTP_HOST"), allowed)
        if wanted is not None and endpoint not in OPEN:
            # A wrong path is answered like a right one: nobody learns without the token.
            _check_token(environ.get("HTTP_AUTHORIZATION", ""), wanted)

    @app.before_request
    def begin() -> None:
        environ, rule = request.environ, request.url_rule
        if rule is not None:
            exchange = environ[EXCHANGE]
            exchange.method, exchange.route = environ["REQUEST_METHOD"], rule.rule
        admit(environ, request.endpoint)

    def decide(environ: dict) -> bytes:
        admit(environ, "predict")
        scorer = served.scorer  # the same for the whole request, whatever is swapped meanwhile
        reasons = _wants_reasons(environ)
        exchange, sent = environ[EXCHANGE], _sent(environ, MAX_REASONED if reasons else MAX_RECORDS)
        records = sent if type(sent) is list else [sent]
        try:
            decisions = scorer.score(records, reasons)
        except NoReasons as error:
            raise Refused(422, f"Nothing was decided: {error}.") from None
        except InvalidRecords as error:
            listed = [problem._asdict() for problem in error.problems]
            raise Refused(
                422,
                "Nothing was decided: the contract does not allow what was sent.",
                problems=listed,
            ) from None
        answers = _answers(scorer, decisions, exchange.id, one=sent is not records)
        if decision_log is not None:
            _keep(decision_log, scorer, records, answers)
        exchange.records = len(answers)
        good = sum(decision.prediction for decision in decisions)
        figures.decisions["approve"].inc(good)
        figures.decisions["decline"].inc(len(decisions) - good)
        return _encode(answers if sent is records else answers[0]).encode()

    app.wsgi_app = _direct(app.wsgi_app, decide, figures, tell or _log_request)

    @app.post("/predict")
    def predict() -> Response:
        raise request.environ[ERROR]  # all else has been answered by then

    @app.get("/health")
    def health() -> Response:
        return _json({"status": "alive"})

    @app.get("/ready")
    def ready() -> Response:
        scorer, refused = served.scorer, served.refused
        broken = decision_log.broken if decision_log else None
        state = {
            "status": "decisions cannot be recorded" if broken else "ready",
            "model": _model(scorer) | {"sha256": scorer.sha256},
            "cutoff": scorer.cutoff,
            "fast": scorer.fast,
            "source": served.source,
            "refused_swap": {"time": refused.time, "reason": refused.reason} if refused else None,
        }
        if decision_log is not None:
            head = decision_log.head
            state["decision_log"] = {"decisions": head.number, "sha256": head.sha256}
        return _json(state, status=503 if broken else 200)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(figures.registry), content_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return _json(_document(served, wanted))

    @app.get("/docs")
    def docs() -> Response:
        return _page("docs.html", api=_document(served, wanted), contract=served.scorer.contract)

    @app.get("/")
    def home() -> Response:
        return _page("form.html", scorer=served.scorer, needs_token=wanted is not None)

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return _problem(error.status, error.detail, error.headers, **error.more)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        details = {
            404: "There is nothing here. GET /docs tells what there is.",
            405: "This path is not asked with that method.",
        }
        headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Location")}
        return _problem(
            error.code or 500, details.get(error.code, "The request is malformed."), headers
        )

    @app.errorhandler(Exception)
    def failure(error: Exception) -> Response:
        # Where and what kind, but not the message: it may quote the application.
        kind, trace = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        log.error("failure", extra={"id": _request_id(), "kind": kind, "trace": trace})
        return _problem(500, "The server failed here. The request id finds it in the log.")

    return app


def _wants_reasons(environ: dict) -> bool:
    """Whether the query asks for reasons.

    Raises
    ------
    Refused
        If it says neither true nor false.
    """
    if not environ.get("QUERY_STRING"):
        return False
    sent = parse_qs(environ["QUERY_STRING"], keep_blank_values=True).get("reasons", ["false"])
    if sent[-1] not in ("true", "false"):
        raise Refused(422, "The query's reasons is true or false.")
    return sent[-1] == "true"


def _sent(environ: dict, most: int) -> object:
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
        raise Refused(400, str(error)) from None
    if type(sent) is list and not 0 < len(sent) <= most:
        if not sent:
            raise Refused(422, "The list holds no application.")
        asked = " for reasons" if most < MAX_RECORDS else ""
        raise Refused(
            422,
            f"The list holds {len(sent)} applications; send at most {most} in one request{asked}.",
            limit=most,
        )
    return sent


def _answers(scorer: Scorer, decisions: list[Decision], request_id: str, one: bool) -> list[dict]:
    """What is answered for each decision, in the order of the applications."""
    model = _model(scorer)
    return [
        {
            "id": request_id if one else f"{request_id}-{number}",
            "prediction": decision.prediction,
            "decision": decision.decision,
            "probability": decision.probability,
            "cutoff": scorer.cutoff,
            "model": model,
            "request_id": request_id,
            **_reasons(decision),
        }
        for number, decision in enumerate(decisions, 1)
    ]


def _reasons(decision: Decision) -> dict:
    """What holds the score down, if that was asked."""
    if decision.reasons is None:
        return {}
    return {"reasons": [asdict(reason) for reason in decision.reasons]}


def _keep(decision_log: DecisionLog, scorer: Scorer, records: list, answers: list[dict]) -> None:
    """Record decisions before they are told.

    Raises
    ------
    Refused
        If they cannot be recorded; then they have not been made.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    model = _model(scorer) | {"sha256": scorer.sha256}
    told = ("prediction", "decision", "probability", "cutoff", "reasons")
    lines = [
        entry(answer["id"], now, model, record, {n: answer[n] for n in told if n in answer})
        for record, answer in zip(records, answers)
    ]
    try:
        decision_log.append(lines)
    except LogError as error:
        log.error("decision log", extra={"id": answers[0]["request_id"], "reason": str(error)})
        raise Refused(503, "Nothing was decided: decisions cannot be recorded now.") from None


def _check_host(host: str | None, allowed: frozenset[str]) -> None:
    if host is None:
        raise Refused(400, "The request names no Host.")
    host = host.lower()
    name, _, port = host.rpartition(":")
    if host not in allowed and not (name in allowed and port.isdecimal()):
        raise Refused(421, "This server does not answer under that name; --allow-host adds one.")


def _check_token(sent: str, wanted: bytes) -> None:
    if not hmac.compare_digest(sent.encode("latin-1", "replace"), wanted):
        raise Refused(
            401,
            "Send the server's token: Authorization: Bearer ...",
            {"WWW-Authenticate": "Bearer"},
        )


def _request_id() -> str:
    return request.environ[EXCHANGE].id


def _model(scorer: Scorer) -> dict:
    return {"name": scorer.name, "version": scorer.version, "alias": scorer.alias}


def _document(served: Served, wanted: bytes | None) -> dict:
    return document(served.scorer, MAX_RECORDS, MAX_REASONED, MAX_BODY, wanted is not None)


def _json(content: object, status: int = 200, kind: str = "application/json") -> Response:
    return Response(_encode(content), status, content_type=kind)


def _problem(status: int, detail: str, headers: dict | None = None, **more) -> Response:
    """An error in the form of RFC 9457."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": _request_id(),
        **more,
    }
    response = _json(content, status, "application/problem+json")
    response.headers.extend(headers or {})
    return response


def _page(template: str, **content) -> Response:
    text = render_template(template, **content)
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers.extend(PAGE_HEADERS)
    return response


def _direct(
    application: WSGI, decide: Callable[[dict], bytes], figures: Figures, tell: Callable
) -> WSGI:
    """The application, each of whose answers is numbered, counted and told of.

    What is asked all day is answered here. The way through Flask, with a context, a route and
    headers that might come from anywhere, takes longer than decision and answer together. Whatever
    goes wrong goes that way all the same and is put in words there, as for all other paths.
    """

    def answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        exchange = environ[EXCHANGE] = Exchange(secrets.token_hex(12), time.perf_counter())
        status = ""

        def start(line: str, headers: list, *error) -> Callable:
            nonlocal status
            status = line[:3]
            headers = [*headers, *HEADERS, ("X-Request-ID", exchange.id)]
            return start_response(line, headers, *error)

        body = None
        if environ["PATH_INFO"] == "/predict" and environ["REQUEST_METHOD"] == "POST":
            try:
                body = [decide(environ)]
            except Exception as error:  # refused or failed: Flask tells the one from the other
                environ[ERROR] = error
            else:
                exchange.method, exchange.route = "POST", "/predict"
                start(
                    "200 OK",
                    [("Content-Type", "application/json"), ("Content-Length", str(len(body[0])))],
                )
        body = body or application(environ, start)
        seconds = time.perf_counter() - exchange.started
        figures.requests.labels(exchange.route, status).inc()
        figures.seconds.labels(exchange.route).observe(seconds)
        tell(
            {
                "id": exchange.id,
                "method": exchange.method,
                "route": exchange.route,
                "status": int(status),
                "ms": round(1000 * seconds, 3),
                "records": exchange.records,
            }
        )
        return body

    return answer


def _log_request(told: dict) -> None:
    log.info("request", extra=told)


def _figures(served: Served) -> Figures:
    registry = CollectorRegistry()
    decisions = Counter("creditrisk_decisions", "Decisions made.", ["decision"], registry=registry)
    by_status = ["route", "status"]
    figures = Figures(
        registry,
        Counter("creditrisk_requests", "Requests answered.", by_status, registry=registry),
        Histogram(
            "creditrisk_request_seconds",
            "Time to answer.",
            ["route"],
            registry=registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5),
        ),
        {name: decisions.labels(name) for name in ("approve", "decline")},
    )
    states: list[tuple[str, str, Callable[[], float]]] = [
        ("model_version", "Version of the model that answers.", lambda: served.scorer.version or 0),
        ("model_fast", "1 if the model's fast path answers.", lambda: served.scorer.fast),
        ("model_swaps", "Models taken since the start.", lambda: served.swaps),
        ("model_refusals", "Models refused since the start.", lambda: served.refusals),
    ]
    for name, words, state in states:
        Gauge(f"creditrisk_{name}", words, registry=registry).set_function(state)
    return figures


def token_from_environment() -> str | None:
    """The bearer token that this server wants, None if it wants none."""
    return os.environ.get(TOKEN) or None
