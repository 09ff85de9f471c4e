"""The API: decisions under ``/predict``, pages for people, figures and states for machines.

No layer that validates stands between a request and the scorer. The scorer checks every record
against the contract anyway, with the same messages for every client; a second check would cost
more than the decision. ``/openapi.json`` is made from the same contract.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from creditrisk.data.applications.examples import applications
from creditrisk.serving.api.observation import Metrics, observed
from creditrisk.serving.api.openapi import document
from creditrisk.serving.api.predict import (
    EXCHANGE,
    Predict,
    Refused,
    answers,
    encode,
    problem,
)
from creditrisk.serving.model_reload import Served
from creditrisk.serving.recording import Recorder
from page_style.style import house_style

#: By type of a quantity, what the form asks for.
QUANTITY_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "date": "a date",
    "yearmonth": "a year and month",
}

LOCAL = ("localhost", "127.0.0.1", "[::1]")

#: What answers without a token: whether the server lives, and how to use it.
OPEN = {"home", "docs", "openapi", "health", "ready", "static", "style"}

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def create_app(
    served: Served,
    *,
    hosts: tuple[str, ...] = LOCAL,
    recorder: Recorder | None = None,
    token: str | None = None,
    log_request: Callable[[dict[str, Any]], None] | None = None,
) -> Flask:
    """The API over a served model.

    Parameters
    ----------
    hosts
        Names under which the server may be addressed. A page of somebody else's, whose name was
        made to point here, is not served.
    recorder
        Records each decision before it is answered, and scores the model in the shadow.
    token
        If given, decisions and metrics need it as a bearer token.
    log_request
        Takes what may be logged of each answered request; by default it is logged.
    """
    app = Flask(__name__, template_folder="pages", static_folder="pages/static")
    allowed = frozenset(host.lower() for host in hosts)
    wanted = f"Bearer {token}".encode() if token else None
    metrics = Metrics.of(served)

    def check_access(environ: WSGIEnvironment, endpoint: str | None) -> None:
        _check_host(environ.get("HTTP_HOST"), allowed)
        if wanted is not None and endpoint not in OPEN:
            # A wrong path is answered like a right one: nobody learns without the token.
            _check_token(environ.get("HTTP_AUTHORIZATION", ""), wanted)

    predict = Predict(served, check_access, recorder)
    pages = app.wsgi_app

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chosen = predict if environ["PATH_INFO"] == "/predict" else pages
        return chosen(environ, start_response)

    # Flask's documentation wraps an application in the same way.
    counted = observed(answer, metrics, log_request)
    app.wsgi_app = counted  # type: ignore[method-assign, assignment]  # a function, not a method

    @app.before_request
    def begin() -> None:
        environ, rule = request.environ, request.url_rule
        if rule is not None:
            exchange = environ[EXCHANGE]
            exchange.method, exchange.route = environ["REQUEST_METHOD"], rule.rule
        check_access(environ, request.endpoint)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return problem(error, request.environ)

    @app.get("/health")
    def health() -> Response:
        return _json({"status": "alive"})

    @app.get("/ready")
    def ready() -> Response:
        state = _state(served, recorder)
        return _json(state, 200 if state["status"] == "ready" else 503)

    @app.get("/metrics", endpoint="metrics")
    def exposition() -> Response:
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    _add_pages(app, served, wanted is not None)
    return app


def _add_pages(app: Flask, served: Served, needs_token: bool) -> None:
    """What people read: the description of the API, its documentation, and the form."""

    def description() -> dict[str, Any]:
        return document(served.scorer, needs_token)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return _json(description())

    @app.get("/docs")
    def docs() -> Response:
        scorer, use = served.scorer, served.use
        example = applications(scorer.contract)[0]
        (answer,) = answers(scorer, scorer.score([example]), "5f0c31a2b4d96e7788a0c1d2", False)
        return _page("docs.html", api=description(), scorer=scorer, use=use, answer=answer)

    @app.get("/")
    def home() -> Response:
        scorer = served.scorer
        examples = applications(scorer.contract)
        return _page(
            "form.html",
            scorer=scorer,
            use=served.use,
            examples=examples,
            needs_token=needs_token,
            quantities=QUANTITY_NAMES,
        )

    @app.get("/static/house.css", endpoint="style")
    def style() -> Response:
        return Response(house_style(), content_type="text/css; charset=utf-8")


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


def _state(served: Served, recorder: Recorder | None) -> dict[str, Any]:
    """What ``/ready`` answers: which model decides, and which newer one was refused."""
    scorer, refused = served.scorer, served.refused
    broken = recorder.decisions.broken if recorder else None
    state: dict[str, Any] = {
        "status": "decisions cannot be recorded" if broken else "ready",
        "model": scorer.about,
        "cutoff": scorer.cutoff,
        "fast": scorer.fast,
        "source": served.use.source,
        "in_production": served.use.in_production,
        "why": served.use.why,
        "refused_swap": {"time": refused.time, "reason": refused.reason} if refused else None,
    }
    if recorder is not None:
        head = recorder.decisions.head
        state["decision_log"] = {"decisions": head.number, "sha256": head.sha256}
        if recorder.shadow is not None:
            state["shadow"] = recorder.shadow.scorer.about
    return state


def _json(content: object, status: int = 200) -> Response:
    return Response(encode(content), status, content_type="application/json")


def _page(template: str, **content: object) -> Response:
    text = render_template(template, **content)
    return Response(text, headers=PAGE_HEADERS, content_type="text/html; charset=utf-8")
