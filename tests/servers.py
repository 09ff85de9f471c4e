"""Servers and what asks them: processes of their own for the tests that need them, or threads."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

JSON = "Content-Type: application/json"
PROGRAM = sys.executable, "-m", "creditrisk.cli"


@dataclass
class Running:
    """A server and where it listens."""

    process: subprocess.Popen | None  # None of one in a thread of this process
    port: int
    errors: Path | None = None
    token: str = ""  # shown with each question

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def shown(self) -> dict:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str) -> tuple[int, object]:
        answer = self.ask("GET", path)
        return answer.status, json.loads(answer.content)

    def post(self, content: object, query: str = "") -> tuple[int, object]:
        answer = self.ask(
            "POST",
            f"/predict{query}",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        return answer.status, json.loads(answer.content)

    def ask(self, method: str, path: str, body=None, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, self.shown | dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def send(self, content: bytes) -> "Answer":
        """Send bytes as they are and read the one answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            line.sendall(content)
            return read_answer(line)

    def until(self, path: str, condition, seconds: float = 60) -> object:
        """The content of a page, once it is as wished."""
        deadline = time.monotonic() + seconds
        while not condition(found := self.get(path)[1]):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@dataclass
class Answer:
    status: int
    headers: dict
    content: bytes


def read_answer(line: socket.socket) -> Answer:
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return Answer(answer.status, dict(answer.headers), answer.read())


def start(
    source: Path | str,
    errors: Path,
    *options: str,
    program: tuple[str, ...] = PROGRAM,
    **environment: str,
) -> Running:
    """Type ``creditrisk serve`` and wait until it listens."""
    with errors.open("wb") as file:
        process = subprocess.Popen(
            [
                *program,
                "serve",
                "--models",
                str(source),
                "--port",
                "0",
                *options,
            ],
            stderr=file,
            cwd=errors.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT)} | environment,
        )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        for line in errors.read_text().splitlines(keepends=True):
            if '"listening"' in line and line.endswith("\n"):
                port = int(json.loads(line)["url"].rpartition(":")[2])
                return Running(process, port, errors, environment.get("CREDITRISK_TOKEN", ""))
        time.sleep(0.05)
    process.kill()
    raise AssertionError(errors.read_text())


@contextmanager
def in_a_thread(app: Flask) -> Iterator[Running]:
    """A server of an application in this process, for what needs no process of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Running(None, server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Print no line a request."""


@contextmanager
def load(server: Running, content: bytes, connections: int = 4) -> Iterator[list]:
    """A stream of requests over several connections; status and content of every answer."""
    answers, stop, failed = [], threading.Event(), []

    def post() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        headers = {"Content-Type": "application/json"} | server.shown
        try:
            while not stop.is_set():
                connection.request("POST", "/predict", content, headers)
                answer = connection.getresponse()
                answers.append((answer.status, json.loads(answer.read())))
                stop.wait(0.01)  # the server is busy, and its processor is left to others too
        except (OSError, http.client.HTTPException, ValueError) as error:
            failed.append(error)
            stop.set()
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        # A server that is to be killed under load is killed inside.
        gone = server.process is not None and server.process.poll() is not None
        stop.set()
        for thread in threads:
            thread.join()
    assert gone or not failed, failed


def creditrisk(
    *arguments: str, cwd: Path, given: str = "", program: tuple[str, ...] = PROGRAM
) -> subprocess.CompletedProcess:
    """Type ``creditrisk ...``."""
    return subprocess.run(
        [*program, *arguments],
        cwd=cwd,
        input=given,
        text=True,
        capture_output=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def head(
    *lines: str, first: str = "POST /predict HTTP/1.1", host: str = "Host: localhost"
) -> bytes:
    return "\r\n".join([first, host, *lines, "", ""]).encode("latin-1")


def posted(body: bytes, *lines: str, kind: str = JSON) -> bytes:
    return head(kind, *lines, f"Content-Length: {len(body)}") + body


def end(running: Running) -> None:
    """End a server that a test may have ended."""
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()
