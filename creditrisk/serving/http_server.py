"""The server process: sockets, signals and log lines around the application.

Waitress reads a request completely before anything is made of it. That is why it serves here and
not gunicorn's threads or granian: forty clients that send one byte now and then stopped the first
at headers and bodies alike, the second at bodies (though it answers a third more requests a second
than we do), and hardly show here. Waitress also runs wherever Python does. What it lacks is added:
:func:`_drain` answers what is in flight when SIGTERM comes, and
:mod:`creditrisk.serving.connections` refuses as the API promises.

One process serves. More cores are used by more servers, on ports of their own behind a proxy.
"""

import gc
import json
import logging
import os
import select
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore
from waitress.server import BaseWSGIServer

from creditrisk.scoring.sources.production import Home
from creditrisk.serving.api.app import LOCAL, create_app
from creditrisk.serving.api.predict import MAX_BODY
from creditrisk.serving.connections import SENT_AT_ONCE, Channel, SameThread
from creditrisk.serving.model_reload import Served, log_standing, serve_from, watch
from creditrisk.serving.recording import open_recorder
from creditrisk.serving.token import token_from_environment

log = logging.getLogger("creditrisk")

STDERR = 2  # its descriptor
CONNECTIONS = 2000  # open at once; each costs memory, not a thread
REQUEST_SECONDS = 30  # to send one request completely, or to read some of an answer
DRAIN_SECONDS = 30  # to finish what is in flight when asked to stop

LOGGING_THREADS = 8  # they share the wait for the disk if decisions are logged

_encode = json.JSONEncoder(default=str).encode
_OWN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def serve(
    source: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    home: Home | None = None,
    hosts: tuple[str, ...] = (),
    decision_log: str | None = None,
    shadow: str | None = None,
    watch_seconds: float = 3.0,
) -> None:
    """Serve decisions until stopped by SIGTERM or SIGINT; SIGHUP loads the model anew.

    Parameters
    ----------
    source
        Folder or registry URI of the model; by default what is in production.
    home
        The data set of which that is meant.
    hosts
        Further names under which the server may be addressed, beside the local ones.
    decision_log
        Where decisions are recorded before they are answered; refused requests beside it.
    shadow
        Folder or registry URI of a model that is scored on the same applications and never
        decides; its probabilities are in the decision log only.
    watch_seconds
        How often to look for a newer model.

    Raises
    ------
    ModelRefused, LogError, NoToken, OSError
        If there is no model to serve, the log cannot be written, no request could carry the
        token, or host and port cannot be listened on.
    """
    _log_lines()
    token = token_from_environment()
    beside = serve_from(shadow) if shadow else None
    recorder = open_recorder(decision_log, beside) if decision_log else None
    served = serve_from(source, home)
    if recorder and (torn := recorder.decisions.torn):
        log.warning("unfinished decision cut off", extra={"log": decision_log, "bytes": torn})
    app = create_app(
        served, hosts=LOCAL + hosts, recorder=recorder, token=token, log_request=_log_request
    )
    sockets: dict[int, Any] = {}
    listeners = _listeners(app, sockets, host, port, LOGGING_THREADS if recorder else 1)
    stopping, same_thread = threading.Event(), SameThread()
    _on_signals(served, stopping, listeners[0].pull_trigger)
    for listener in listeners if not recorder else ():
        listener.task_dispatcher = same_thread
        listener.pull_trigger = lambda: None  # nobody to wake: it is the same thread
    watch(served, watch_seconds)
    if beside:
        watch(beside, watch_seconds)
    log_standing(served.use)
    _announce(listeners, served, host, token)
    gc.freeze()  # what has been loaded stays: no need to look through it again and again

    def turn(seconds: float) -> None:
        seconds = 0 if same_thread.ready else seconds
        wasyncore.loop(timeout=seconds, map=sockets, use_poll=True, count=1)
        same_thread.answer()

    check = time.time()
    while not stopping.is_set():
        turn(1)
        if (now := time.time()) > check:
            check = now + 5
            for channel in _channels(listeners):
                channel.close_if_overdue(now, REQUEST_SECONDS)
    _drain(listeners, turn)
    if recorder:
        recorder.close()
    log.info("stopped")


def _listeners(
    app: Flask, sockets: dict[int, Any], host: str, port: int, threads: int
) -> list[BaseWSGIServer]:
    """Waitress' listening sockets, one for each address of the host, entered into ``sockets``."""
    _check_known(host)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "send_bytes", DeprecationWarning)  # which is known
        create_server(
            app,
            map=sockets,
            host=host,
            port=port,
            threads=threads,
            ident=None,
            # Up to so many bytes an answer goes out whole, sent by the thread that waits for
            # sockets. Without this setting, which Waitress means to drop one day, half as many
            # requests get through on 8 connections.
            send_bytes=SENT_AT_ONCE,
            recv_bytes=65536,
            # No thread waits for a client to read: the answers to what is read at once are fewer
            # bytes.
            outbuf_high_watermark=2**27,
            connection_limit=_connections(),
            backlog=1024,
            max_request_body_size=32 * MAX_BODY,  # of a refused one; what is longer is cut off
            max_request_header_size=32768,
            channel_timeout=60,
            cleanup_interval=5,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
        )
    listeners = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
    for listener in listeners:
        listener.channel_class = Channel
    return listeners


def _check_known(host: str) -> None:
    """Raise OSError if no address has that name; Waitress would raise what says nothing."""
    try:
        socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:
        raise OSError("this cannot be the name of a host") from None


def _connections() -> int:
    """How many connections may be open: fewer than files, or accepting them would fail."""
    try:
        import resource  # not on Windows
    except ImportError:
        return 400
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else min(CONNECTIONS, soft - 64)


def _on_signals(served: Served, stopping: threading.Event, wake: Callable[[], object]) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            raise SystemExit(128 + number)  # asked twice: at once
        stopping.set()
        wake()  # ends the wait for sockets

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda number, frame: served.wake.set())


def _channels(listeners: list[BaseWSGIServer]) -> list[Channel]:
    """The connections that are open."""
    return [each for listener in listeners for each in listener.active_channels.values()]


def _drain(listeners: list[BaseWSGIServer], turn: Callable[[float], None]) -> None:
    """Take no more connections, answer every request that has come, and close."""
    for listener in listeners:
        # Who has connected already is let in; closing the socket would turn them away.
        for _ in range(CONNECTIONS):
            if not select.select([listener.socket], [], [], 0)[0]:
                break
            listener.handle_accept()
        wasyncore.dispatcher.close(listener)
    log.info("stopping", extra={"connections": len(_channels(listeners))})
    began = time.monotonic()
    while (channels := _channels(listeners)) and time.monotonic() < began + DRAIN_SECONDS:
        turn(0.05)
        for channel in channels:
            # For 0.2 seconds more, requests may be on their way.
            if not channel.unanswered and time.monotonic() > began + 0.2:
                channel.close_when_flushed = True


def _announce(
    listeners: list[BaseWSGIServer], served: Served, host: str, token: str | None
) -> None:
    for listener in listeners:
        name = listener.effective_host
        name = f"[{name}]" if ":" in name else name
        log.info(
            "listening",
            extra={
                "url": f"http://{name}:{listener.effective_port}",
                "source": served.use.source,
                "model": served.scorer.name,
                "version": served.scorer.version,
                "sha256": served.scorer.sha256,
                "fast": served.scorer.fast,
            },
        )
    if token is None and host not in ("127.0.0.1", "localhost", "::1"):
        log.warning("open to the network without a token; set CREDITRISK_TOKEN")


class _JsonLine(logging.Formatter):
    """One JSON object a line, from us and from the libraries."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[0]:
            line["kind"] = record.exc_info[0].__name__
        return _encode(line)


def _log_lines() -> None:
    """Log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a queue is what it is for
    logging.raiseExceptions = False  # a reader of the log who has gone stops no decision


def _log_request(content: dict[str, Any]) -> None:
    """The line about a request: the same, but without the way through logging.

    There is one for each decision, and that way takes longer than the decision.
    """
    line = {"time": _time(time.time()), "level": "info", "event": "request", **content}
    with suppress(OSError):  # whoever reads the log has gone
        os.write(STDERR, _encode(line).encode() + b"\n")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
