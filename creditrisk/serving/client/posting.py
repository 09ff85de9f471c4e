"""Applications go to a server, some hundred a request, and its answers come back."""

import http.client
import json
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from creditrisk.data.contract import Json

BATCH = 500  # applications in one request
REASONED, RECOURSE = 100, 20  # in one that asks for reasons, or for recourse
TRIES = 5
WAIT = 0.25  # seconds before the second try, doubled before each further one
TIMEOUT = 30.0  # seconds without an answer
TO_CONNECT = 10.0  # seconds to be connected in, and as long to agree on how to encrypt

_RECORD = re.compile(r"^record (\d+):", re.MULTILINE)


class NoAnswer(Exception):
    """The server could not be reached, or what answered is not one of ours."""


@dataclass(frozen=True)
class Endpoint:
    """One kind of server: where it takes applications, and how they and its answers are packed."""

    path: str
    mlflow: bool

    def asked(self, reasons: bool, recourse: bool) -> str:
        """The path, with the query that asks for reasons and recourse."""
        if self.mlflow:
            return self.path
        asked = {"reasons": reasons, "recourse": recourse}
        query = [f"{name}=true" for name, wanted in asked.items() if wanted]
        return self.path + ("?" + "&".join(query) if query else "")

    def packed(self, records: list[Any], reasons: bool) -> bytes:
        """A request's body."""
        if not self.mlflow:
            return json.dumps(records).encode()
        params = {"params": {"reasons": True}} if reasons else {}
        return json.dumps({"dataframe_records": records, **params}).encode()

    def decisions(self, answer: Any) -> list[Json]:
        """The decisions in a good answer, in the order of the applications."""
        found: list[Json] = answer["predictions"] if self.mlflow else answer
        return found

    def words(self, answer: Any, first: int) -> list[str]:
        """The server's words in a refusal, record by record; ``first`` is the first's number."""
        if self.mlflow:
            words = str(answer.get("message") or answer.get("detail") or "refused without a word")
            return _RECORD.sub(lambda m: f"record {first + int(m[1]) - 1}:", words).splitlines()
        problems = answer.get("problems") or []
        return [answer.get("detail", "refused without a word")] + [
            f"record {first + each['record'] - 1}: {each['field']} {each['message']}"
            for each in problems
        ]


FLASK = Endpoint("/predict", mlflow=False)
MLFLOW = Endpoint("/invocations", mlflow=True)


@dataclass(frozen=True)
class Outcome:
    """What became of a run of applications: decisions, or the server's words."""

    first: int  # number of the first of them, from 1
    decisions: list[Json]
    refusal: list[str]


def post(
    records: list[Any],
    url: str,
    endpoint: Endpoint,
    token: str | None = None,
    reasons: bool = False,
    recourse: bool = False,
) -> Iterator[Outcome]:
    """Send applications, some hundred a request; one outcome a request.

    Raises
    ------
    NoAnswer
        If the connection is lost again and again, or the answer cannot be understood.
    """
    path = endpoint.asked(reasons, recourse)
    batch = RECOURSE if recourse else REASONED if reasons else BATCH
    for start in range(0, len(records), batch):
        body = endpoint.packed(records[start : start + batch], reasons)
        status, answer = _exchange(url, path, body, token)
        try:
            if status == 200:
                yield Outcome(start + 1, _complete(endpoint.decisions(answer)), [])
            else:
                words = endpoint.words(answer, start + 1)
                yield Outcome(start + 1, [], [f"refused with status {status}", *words])
        except (KeyError, TypeError, AttributeError):
            raise NoAnswer(f"{url} answered {status}, but not as a server of ours does") from None


def _complete(decisions: list[Json]) -> list[Json]:
    for decision in decisions:
        decision["prediction"], decision["decision"], decision["probability"] + 0.0
    return decisions


def _exchange(url: str, path: str, body: bytes, token: str | None) -> tuple[int, Any]:
    """Status and content of the answer; a lost connection is tried again, with growing patience."""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT * 2 ** (attempt - 1))
        try:
            status, content = _request(url, path, body, token)
        except (OSError, http.client.HTTPException) as error:
            lost = error
            continue
        try:
            return status, json.loads(content)
        except ValueError:
            raise NoAnswer(f"{url} answered {status}, but not in JSON") from None
    raise NoAnswer(
        f"{url} does not answer ({lost}); tried {TRIES} times. Is the server running?"
    ) from lost


def _request(url: str, path: str, body: bytes, token: str | None) -> tuple[int, bytes]:
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is looked up by
    except ValueError as error:
        raise NoAnswer(f"{url} is no address of a server ({error})") from None
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise NoAnswer(f"{url} is no address of a server, such as http://127.0.0.1:8000")
    connection = kinds[parts.scheme](parts.hostname, port, timeout=TO_CONNECT)
    where = parts.path.rstrip("/") + path
    if not (where.isascii() and where.isprintable()) or " " in where:
        raise NoAnswer(f"{url} is no address of a server: write its path with %, as browsers do")
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        _connect(connection, url)
        connection.request("POST", where, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _connect(connection: http.client.HTTPConnection, url: str) -> None:
    """Connect; who does not encrypt will not do so at the next try, either."""
    try:
        connection.connect()
    except (ssl.SSLError, TimeoutError) as error:
        if connection.sock is None:  # nobody there, so far
            raise
        certificate = isinstance(error, ssl.SSLCertVerificationError)
        hint = "" if certificate else "; if the server speaks plain HTTP, write http://"
        raise NoAnswer(f"{url} takes no secure connection ({error}){hint}") from error
    connection.sock.settimeout(TIMEOUT)
