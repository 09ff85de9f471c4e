"""Events on their way: a thread adds them to a file or posts them, so that no run waits for it."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPMessage
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from papermill_chain.openlineage.target import API_KEY, Target

SECONDS_TO_ANSWER = 5  # for a server, to each event
SECONDS_AT_THE_END = 3  # that a run waits for events that are still on their way

Send = Callable[[bytes], None]


class NoRedirect(HTTPRedirectHandler):
    """A server that sends a request on to another would have the key go there, too."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


class Delivery:
    """Sends events in their order; after the first that cannot be delivered it sends no more."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.send: Send = _adding_to(target.file) if target.file else _posting_to(target)
        self.waiting: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
        self.failed = ""  # why an event was not delivered
        self.thread = threading.Thread(target=self._send_all, daemon=True)
        self.thread.start()

    def put(self, event: Mapping[str, Any]) -> None:
        """Have an event sent as soon as can be."""
        self.waiting.put(event)

    def close(self) -> None:
        """Wait a little for what is still on its way; what then is, is lost."""
        self.waiting.put(None)
        self.thread.join(SECONDS_AT_THE_END)
        if self.thread.is_alive() and not self.failed:
            self.failed = "it takes too long"

    def _send_all(self) -> None:
        while (event := self.waiting.get()) is not None:
            if not self.failed:
                try:
                    self.send(json.dumps(event, default=str).encode())
                except Exception as error:  # noqa: BLE001  no event is worth a run
                    self.failed = _reason(error)


def _adding_to(file: Path) -> Send:
    def send(event: bytes) -> None:
        with open(file, "ab+") as events:
            if events.tell():
                events.seek(-1, os.SEEK_END)
                if events.read(1) != b"\n":  # a line that was cut off stays one of its own
                    event = b"\n" + event
            events.write(event + b"\n")

    return send


def _posting_to(target: Target) -> Send:
    headers = {"Content-Type": "application/json"}
    if target.key:
        headers["Authorization"] = f"Bearer {target.key}"
    opener = build_opener(NoRedirect)

    def send(event: bytes) -> None:
        request = Request(target.url, event, headers, method="POST")
        opener.open(request, timeout=SECONDS_TO_ANSWER).close()

    return send


def _reason(error: Exception) -> str:
    """Why an event was not delivered, without anything that was sent."""
    if isinstance(error, HTTPError):
        error.close()
    match error:
        case HTTPError(code=401 | 403 as code):
            return f"the server refuses it with status {code}; set {API_KEY}"
        case HTTPError(code=code):
            return f"the server answers with status {code}"
        case TimeoutError() | URLError(reason=TimeoutError()):
            return f"the server has not answered within {SECONDS_TO_ANSWER} s"
        case URLError(reason=OSError() as reason) | (OSError() as reason):
            return reason.strerror or type(reason).__name__
    return type(error).__name__
