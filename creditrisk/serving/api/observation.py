"""Each answered request gets an id and headers, is counted for ``/metrics``, and is logged."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from creditrisk.serving.api.predict import EXCHANGE, Exchange
from creditrisk.serving.model_reload import Served

log = logging.getLogger("creditrisk")

HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
]


@dataclass(frozen=True)
class Metrics:
    """What ``/metrics`` counts."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    approved: Counter
    declined: Counter

    @classmethod
    def of(cls, served: Served) -> "Metrics":
        """Counters at zero, and the state of what is served."""
        registry = CollectorRegistry()
        counted = Counter(
            "creditrisk_decisions", "Decisions made.", ["decision"], registry=registry
        )
        by_status = ["route", "status"]
        requests = Counter(
            "creditrisk_requests", "Requests answered.", by_status, registry=registry
        )
        seconds = Histogram(
            "creditrisk_request_seconds",
            "Time to answer.",
            ["route"],
            registry=registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5),
        )
        states: list[tuple[str, str, Callable[[], float]]] = [
            ("version", "Version of the model that answers.", lambda: served.scorer.version or 0),
            ("fast", "1 if the model's fast path answers.", lambda: served.scorer.fast),
            ("swaps", "Models taken since the start.", lambda: served.swaps),
            ("refusals", "Models refused since the start.", lambda: served.refusals),
        ]
        for name, description, state in states:
            gauge = Gauge(f"creditrisk_model_{name}", description, registry=registry)
            gauge.set_function(state)
        return cls(
            registry, requests, seconds, counted.labels("approve"), counted.labels("decline")
        )


def observed(
    application: WSGIApplication,
    metrics: Metrics,
    log_request: Callable[[dict[str, Any]], None] | None,
) -> WSGIApplication:
    """The application, each of whose answers gets an id, is counted and logged."""
    write = log_request or _log_request

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange = environ[EXCHANGE] = Exchange()
        status = ""

        def start(line: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal status
            status = line[:3]
            headers = [*headers, *HEADERS, ("X-Request-ID", exchange.id)]
            return start_response(line, headers, *error)

        body = application(environ, start)
        seconds = time.perf_counter() - exchange.started
        metrics.requests.labels(exchange.route, status).inc()
        metrics.seconds.labels(exchange.route).observe(seconds)
        metrics.approved.inc(exchange.approved)
        metrics.declined.inc(exchange.declined)
        write(
            {
                "id": exchange.id,
                "method": exchange.method,
                "route": exchange.route,
                "status": int(status),
                "ms": round(1000 * seconds, 3),
                "records": exchange.approved + exchange.declined,
            }
        )
        return body

    return answer


def _log_request(line: dict[str, Any]) -> None:
    log.info("request", extra=line)
