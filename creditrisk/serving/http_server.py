"""The server process: sockets, threads, signals and log lines around the Flask application.

Waitress reads a request completely before anything is made of it. That is why it serves here and
not gunicorn's threads or granian: forty clients that send one byte now and then stopped the first
at headers and bodies alike, the second at bodies (though it answers a third more requests a second
than we do), and hardly show here. Waitress also runs wherever Python does. What it lacks is added
below: it dropped requests in flight on SIGTERM, which :func:`_drain` finishes; chunked bodies are
refused as the API promises; and its own errors come as problem JSON like all others.

One process serves. More cores are used by more servers, on ports of their own behind a proxy.
"""

import gc
import json
import logging
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from types import SimpleNamespace

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask, WSGITask

from creditrisk.serving.app import LOCAL, MAX_BODY, create_app, token_from_environment
from creditrisk.serving.decision_log import open_log
from creditrisk.serving.model_reload import Served, serve_from, watch

log = logging.getLogger("creditrisk")

STDERR = 2  # its descriptor
WRITERS = 8  # threads that share the wait for the disk if decisions are logged
CONNECTIONS = 2000  # open at once; each costs memory, not a thread
REQUEST_SECONDS = 30  # to send one request completely, or to read some of an answer
DRAIN_SECONDS = 30  # to finish what is in flight when asked to stop
READ_AT_ONCE = 65536  # bytes
SENT_AT_ONCE = 65536  # bytes of an answer up to which it goes out whole
MOST_READ = 32 * MAX_BODY  # of a refused body, so that its sender gets to see the answer

_WORDS = {
    400: "The request is malformed.",
    411: "Send the body with its Content-Length, not in chunks.",
    413: f"The body has more than {MAX_BODY} bytes.",
    431: "The request's headers are too large.",
    501: "That transfer coding is not known here.",
}

_encode = json.JSONEncoder(default=str).encode
_OWN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


@dataclass
class Inline:
    """Runs requests in the thread that reads them, once each is there completely.

    A decision takes less time than waking a thread for it: with eight threads that fight for the
    interpreter, half as many requests a second got through on 8 connections, a third on 32. Only a
    decision log is worth threads: they wait for the disk together.
    """

    waiting: deque[HTTPChannel] = field(default_factory=deque)

    def add_task(self, channel: HTTPChannel) -> None:
        """Take a connection that has a request to answer; Waitress calls this."""
        self.waiting.append(channel)

    @property
    def ready(self) -> bool:
        """Whether a request can be answered now."""
        return not all(map(_clogged, self.waiting))

    def run(self) -> None:
        """Answer one request of each connection, so that none keeps the others waiting."""
        for _ in range(len(self.waiting)):
            channel = self.waiting.popleft()
            if _clogged(channel):
                self.waiting.append(channel)
                continue
            channel.service()
            channel.handle_write()  # header and body in one, and not only on the next turn


def _clogged(channel: HTTPChannel) -> bool:
    """Whether the other side does not read its answers; it gets no more before it does."""
    return channel.connected and channel.total_outbufs_len >= SENT_AT_ONCE


def serve(
    source: str = "models",
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    hosts: tuple[str, ...] = (),
    decision_log: str | None = None,
    watch_seconds: float = 3.0,
) -> None:
    """Serve decisions until told to stop by SIGTERM or SIGINT; SIGHUP loads the model anew.

    Parameters
    ----------
    hosts
        Further names under which the server may be addressed, beside the local ones.
    watch_seconds
        How often to look for a newer model.

    Raises
    ------
    ModelRefused, LogError, OSError
        If there is no model to serve, the log cannot be written, or the port is taken.
    """
    _log_lines()
    book = open_log(decision_log) if decision_log else None
    served = serve_from(source)
    if book and book.torn:
        log.warning(
            "unfinished decision cut off", extra={"log": str(book.path), "bytes": book.torn}
        )
    token = token_from_environment()
    app = create_app(served, hosts=LOCAL + hosts, decision_log=book, token=token, tell=_tell)
    sockets, stopping = {}, threading.Event()
    listeners = _listeners(app, sockets, stopping, host, port, threads=WRITERS if book else 0)
    inline = Inline()
    for listener in listeners if not book else ():
        listener.task_dispatcher = inline
        listener.pull_trigger = lambda: None  # nobody to wake: it is the same thread
    _on_signals(served, stopping, listeners)
    watch(served, watch_seconds)
    _announce(listeners, served, host, token)

    gc.freeze()  # what has been loaded stays: no need to look through it again and again

    def turn(seconds: float) -> None:
        seconds = 0 if inline.ready else seconds
        wasyncore.loop(timeout=seconds, map=sockets, use_poll=True, count=1)
        inline.run()

    while not stopping.is_set():
        turn(1)
    _drain(listeners, turn)
    if book:
        book.close()
    log.info("stopped")


def _listeners(
    app: Flask, sockets: dict, stopping: threading.Event, host: str, port: int, threads: int
) -> list[BaseWSGIServer]:
    """Waitress' listening sockets, one for each address of the host, entered into ``sockets``.

    Without threads nobody else is there to send what an answer has so far: :class:`Inline` does,
    once it is complete.
    """
    create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=threads or 1,
        ident=None,
        send_bytes=1 if threads else SENT_AT_ONCE,
        recv_bytes=READ_AT_ONCE,
        connection_limit=_connections(),
        backlog=1024,
        max_request_body_size=MOST_READ,
        max_request_header_size=32768,
        channel_timeout=60,
        cleanup_interval=5,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
    )
    listeners = [each for each in sockets.values() if isinstance(each, BaseWSGIServer)]
    for listener in listeners:
        listener.channel_class = _channels(stopping)
        listener.maintenance = _maintenance(listener, listener.maintenance)
    return listeners


def _connections() -> int:
    """How many connections may be open: fewer than files, or accepting them would fail."""
    try:
        import resource  # not everywhere
    except ImportError:
        return 400
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else min(CONNECTIONS, soft - 64)


def _on_signals(served: Served, stopping: threading.Event, listeners: list) -> None:
    def stop(number, frame) -> None:
        if stopping.is_set():
            raise SystemExit(128 + number)  # asked twice: at once
        stopping.set()
        listeners[0].trigger.pull_trigger()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda number, frame: served.wake.set())


def _drain(listeners: list[BaseWSGIServer], turn: Callable[[float], None]) -> None:
    """Take no more connections, answer every request that has come, and close."""
    deadline = time.monotonic() + DRAIN_SECONDS
    for listener in listeners:
        # Who has connected already is let in; closing the socket would turn them away.
        for _ in range(CONNECTIONS):
            if not select.select([listener.socket], [], [], 0)[0]:
                break
            listener.handle_accept()
        wasyncore.dispatcher.close(listener)
    log.info("stopping", extra={"connections": sum(len(s.active_channels) for s in listeners)})
    grace = time.monotonic() + 0.2  # for requests that were on their way
    while any(listener.active_channels for listener in listeners) and time.monotonic() < deadline:
        turn(0.05)
        for channel in [c for listener in listeners for c in listener.active_channels.values()]:
            unfinished = channel.request is not None and not channel.request.empty
            if not (channel.requests or unfinished) and time.monotonic() > grace:
                channel.close_when_flushed = True


def _channels(stopping: threading.Event):
    """How connections are made: Waitress' own, with our errors and our limits."""

    def channel(*args, **kwargs) -> HTTPChannel:
        made = HTTPChannel(*args, **kwargs)
        made.parser_class, made.task_class, made.error_task_class = _parser, task, _error_task
        return made

    def task(channel: HTTPChannel, request: HTTPRequestParser) -> WSGITask:
        made = WSGITask(channel, request)
        if stopping.is_set():
            made.set_close_on_finish()
        return made

    return channel


class _Forgotten:
    """A buffer that keeps nothing."""

    def append(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def __len__(self) -> int:
        return 0


def _parser(adjustments) -> HTTPRequestParser:
    """A parser that notes when a request began and refuses a body by its headers."""
    parser = HTTPRequestParser(adjustments)
    parser.begun = time.time()
    parse_header = parser.parse_header

    def checked(header: bytes) -> None:
        try:
            parse_header(header)
        except ValueError:  # a length of thousands of digits, an address with half a bracket
            raise ParsingError("malformed") from None
        if parser.chunked or parser.content_length > MAX_BODY:
            parser.error = SimpleNamespace(code=411 if parser.chunked else 413)
            # Read to the end and forgotten: a connection closed on a client that is still
            # sending would take the answer with it. Unless the client waits to be asked for it.
            parser.body_rcv.buf = _Forgotten()
            parser.completed, parser.expect_continue = parser.expect_continue, False

    parser.parse_header = checked
    return parser


def _error_task(channel: HTTPChannel, request: HTTPRequestParser) -> ErrorTask:
    """The answer to what never reached the application, without quoting it as Waitress would."""
    code = request.error.code
    phrase = HTTPStatus(code).phrase
    content = {
        "type": "about:blank",
        "title": phrase,
        "status": code,
        "detail": _WORDS.get(code, "The server failed on this request."),
    }
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    answer = f"{code} {phrase}", headers, json.dumps(content).encode()
    request.error = SimpleNamespace(code=code, to_response=lambda ident: answer)
    _tell({"route": "none", "status": code})
    return ErrorTask(channel, request)


def _maintenance(listener: BaseWSGIServer, usual):
    """Waitress' closing of idle connections, and of those that send or read for too long."""

    def maintenance(now: float) -> None:
        usual(now)
        for channel in list(listener.active_channels.values()):
            request = channel.request
            if request is not None and now - request.begun > REQUEST_SECONDS:
                channel.will_close = True
            if channel.total_outbufs_len and now - channel.last_activity > REQUEST_SECONDS:
                channel.handle_close()  # Waitress would wait until it can be written to

    return maintenance


def _announce(listeners: list, served: Served, host: str, token: str | None) -> None:
    for listener in listeners:
        name = listener.effective_host
        name = f"[{name}]" if ":" in name else name
        log.info(
            "listening",
            extra={
                "url": f"http://{name}:{listener.effective_port}",
                "source": served.source,
                "model": served.scorer.name,
                "version": served.scorer.version,
                "sha256": served.scorer.sha256,
                "fast": served.scorer.fast,
            },
        )
    if token is None and host not in ("127.0.0.1", "localhost", "::1"):
        log.warning("open to the network without a token; set CREDITRISK_TOKEN")


def _log_lines() -> None:
    """One JSON object a line on standard error, from us and from the libraries."""
    handler = logging.StreamHandler()
    handler.setFormatter(SimpleNamespace(format=_line))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a queue is what it is for
    logging.raiseExceptions = False  # a reader of the log who has gone stops no decision


def _tell(told: dict) -> None:
    """The line about a request: the same, but without the way through logging.

    There is one for each decision, and that way takes longer than the decision.
    """
    line = {"time": _time(time.time()), "level": "info", "event": "request", **told}
    with suppress(OSError):  # whoever reads the log has gone
        os.write(STDERR, _encode(line).encode() + b"\n")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _line(record: logging.LogRecord) -> str:
    line = {
        "time": _time(record.created),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
    }
    line |= {name: value for name, value in vars(record).items() if name not in _OWN}
    if record.exc_info and record.exc_info[0]:
        line["kind"] = record.exc_info[0].__name__
    return _encode(line)
