"""Connections of the HTTP server: what is refused before the application is asked, and how.

Waitress has no settings for this, so its classes are extended. Each of the three is here because
``test_what_is_refused`` or the test of SIGTERM in ``tests/creditrisk/serving`` fails
without it. ``type: ignore[misc]`` is there because Waitress comes without types.
"""

import json
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask

from creditrisk.serving.api.predict import MAX_BODY

log = logging.getLogger("creditrisk")

SENT_AT_ONCE = 65536  # bytes of an answer up to which it goes out whole

_DETAILS = {
    400: "The request is malformed.",
    411: "Send the body with its Content-Length, not in chunks.",
    413: f"The body has more than {MAX_BODY} bytes.",
    431: "The request's headers are too large.",
    501: "That transfer coding is not known to this server.",
}


class Problem:
    """The answer to a request that never reached the application, in the form of RFC 9457."""

    def __init__(self, code: int) -> None:
        self.code = code

    def to_response(self, ident: str | None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body, as Waitress asks an error for them."""
        phrase = HTTPStatus(self.code).phrase
        content = {
            "type": "about:blank",
            "title": phrase,
            "status": self.code,
            "detail": _DETAILS.get(self.code, "The server failed on this request."),
        }
        headers = [
            ("Content-Type", "application/problem+json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return f"{self.code} {phrase}", headers, json.dumps(content).encode()


class _Discarded:
    """Takes the place of a buffer and holds nothing."""

    def append(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def __len__(self) -> int:
        return 0


class RequestParser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request, and refuses by its headers a body that the API would not take.

    Waitress would unpack chunks, ask for a body of any size that waits to be asked for, and close
    the connection without an answer on a length of thousands of digits.
    """

    expect_continue: bool  # whether the client waits to be asked for the body

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.began = time.time()

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError:  # a length of thousands of digits, an address with half a bracket
            raise ParsingError("malformed") from None
        if self.chunked or self.content_length > MAX_BODY:
            self.error = Problem(411 if self.chunked else 413)
            # The body is read to its end and discarded: a connection closed on a client that is
            # still sending would take the answer with it, and a body that is held fills the disk.
            # Unless the client waits to be asked for it: then there is nothing to read.
            self.body_rcv.buf = _Discarded()
            self.completed = self.expect_continue
            self.expect_continue = False


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """Answers what the parser refuses; Waitress would quote the request, and not in JSON."""

    def execute(self) -> None:
        self.request.error = Problem(self.request.error.code)
        log.info("request", extra={"route": "none", "status": self.request.error.code})
        super().execute()


class AnswerTask(WSGITask):  # type: ignore[misc]
    """Asks the application; while the server stops, the client learns to come no more."""

    def start(self) -> None:
        super().start()
        if not self.channel.server.accepting:
            self.set_close_on_finish()


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class = RequestParser
    task_class = AnswerTask
    error_task_class = ProblemTask

    @property
    def unanswered(self) -> bool:
        """Whether a request has begun to come and is not answered yet."""
        return bool(self.requests) or (self.request is not None and not self.request.empty)

    @property
    def clogged(self) -> bool:
        """Whether the other side does not read its answers; it gets no more before it does."""
        return bool(self.connected and self.total_outbufs_len >= SENT_AT_ONCE)

    def close_if_overdue(self, now: float, limit: float) -> None:
        """Close it if a request takes longer to come, or an answer to be read, than the limit.

        Waitress counts from the last byte: one byte now and then would hold a connection for ever.
        """
        if self.request is not None and now - self.request.began > limit:
            self.will_close = True
        if self.total_outbufs_len and now - self.last_activity > limit:
            self.handle_close()


@dataclass
class SameThread:
    """Takes the place of Waitress's threads: requests are answered by who waits for the sockets.

    A decision takes less time than waking a thread for it; ``docs/serving.md`` has what this is
    worth. Only a decision log is worth threads, which wait for the disk together.
    """

    waiting: deque[Channel] = field(default_factory=deque)

    def add_task(self, channel: Channel) -> None:
        """Take a connection that has a request to answer; Waitress calls this."""
        self.waiting.append(channel)

    @property
    def ready(self) -> bool:
        """Whether a request can be answered now."""
        return not all(channel.clogged for channel in self.waiting)

    def answer(self) -> None:
        """Answer one request of each connection, so that none keeps the others waiting."""
        for _ in range(len(self.waiting)):
            channel = self.waiting.popleft()
            if channel.clogged:
                self.waiting.append(channel)
                continue
            channel.service()
            channel.handle_write()  # header and body in one, and not only on the next turn
