"""Servers of this machine that keep what is mailed or posted to them, or treat it badly."""

import json
import socket
import socketserver
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Letters:
    """What a mail server was given."""

    port: int
    commands: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Letters]:
    """A mail server without TLS that takes everything."""

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            for line in self.rfile:
                command = line.decode().strip()
                letters.commands.append(command)
                if command.upper().startswith("EHLO"):
                    self.say("250-here\r\n250 AUTH PLAIN")
                elif command.startswith("AUTH PLAIN "):
                    letters.passwords.append(b64decode(command[11:]).decode())
                    self.say("235 welcome")
                elif command.upper() == "DATA":
                    self.say("354 go on")
                    letters.mails.append(self.mail())
                    self.say("250 kept")
                elif command.upper() == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def mail(self) -> EmailMessage:
            lines = iter(self.rfile.readline, b".\r\n")
            return message_from_bytes(
                b"".join(line.removeprefix(b".") for line in lines), policy=policy.default
            )

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)) as port:
        letters = Letters(port)
        yield letters


@contextmanager
def web_server() -> Iterator[tuple[str, list[tuple[str, dict]]]]:
    """A server that keeps what is posted to it: its address, and path and content of each.

    /500 and /redirect answer with an error and with a way to /elsewhere.
    """
    posted = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, json.loads(content)))
            self.answer({"/500": 500, "/redirect": 302}.get(self.path, 200))

        def do_GET(self) -> None:
            posted.append((self.path, {}))
            self.answer(200)

        def answer(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Answer)) as port:
        yield f"http://127.0.0.1:{port}", posted


@contextmanager
def endless_server() -> Iterator[int]:
    """The port of a server whose answer never comes to an end, without ever falling silent."""
    over = threading.Event()

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.05):
                    self.wfile.write(b"x")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)) as port:
        yield port
        over.set()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
