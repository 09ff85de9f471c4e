"""Posts applications to a server of ours or of MLflow's, and shows what it decided."""

import csv
import http.client
import io
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from creditrisk.data.applications.examples import applications
from creditrisk.data.contract import Contract, Json
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.fields import Field

BATCH = 500  # applications in one request
REASONED, RECOURSE = 100, 20  # in one that asks for reasons, or for recourse
TRIES = 5
WAIT = 0.25  # seconds before the second try, doubled before each further one
TIMEOUT = 30.0  # seconds without an answer

#: Where the contract is looked for: beside a model, then beside the raw data.
CONTRACTS = ("models/manifest.json", "data/raw/datapackage.json")

_RECORD = re.compile(r"^record (\d+):", re.MULTILINE)


class Unreadable(Exception):
    """A file that holds no applications, or no contract to read them by."""


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


def table(outcomes: list[Outcome]) -> str:
    """The decisions as lines of text, each with what it assumes and its reasons below it."""
    lines = [f"{'record':>6}  {'prediction':<12}  {'decision':<8}  {'P(good risk)':>12}"]
    for outcome in outcomes:
        for number, decision in enumerate(outcome.decisions, outcome.first):
            prediction = f"{decision['prediction']} ({'good' if decision['prediction'] else 'bad'})"
            lines.append(
                f"{number:>6}  {prediction:<12}  {decision['decision']:<8}"
                f"  {decision['probability']:>12.4f}"
            )
            notes = [*(decision.get("assumed") or ()), *decision.get("reasons", ())]
            words = [note["words"] for note in notes] + _more(decision)
            lines += [f"{'':8}- {each}" for each in words]
    return "\n".join(lines)


def _more(decision: Json) -> list[str]:
    """What is said of extrapolation and recourse below a decision."""
    beyond = decision.get("outside_training", ())
    lines = [f"{name} is beyond what the model has learned from" for name in beyond]
    recourse = decision.get("recourse")
    if recourse is not None:
        found = [f"recourse: {each['words']}" for each in recourse]
        if not decision.get("recourse_complete", True):
            found.append("recourse: not searched to the end, there may be a smaller change")
        lines += found or ["recourse: none within three columns"]
    return lines


def predict(
    path: str | None,
    url: str,
    endpoint: Endpoint,
    contract: str | None,
    token: str | None = None,
    reasons: bool = False,
    recourse: bool = False,
    blank_is_level: bool = False,
) -> int:
    """Send a file's applications, print the decisions, and return the exit code.

    Parameters
    ----------
    path
        JSON or CSV, ``-`` for standard input; None sends three made-up applications.
    contract
        A ``manifest.json`` or ``datapackage.json``, needed for CSV and made-up applications.
    blank_is_level
        Whether a blank in the file stands for the level that the contract names; the server is
        sent that name.

    Raises
    ------
    Unreadable, NoAnswer
    """
    records = applications(find_contract(contract)) if path is None else read(path, contract)
    if blank_is_level:
        records = _labelled(records, find_contract(contract))
    outcomes = list(post(records, url, endpoint, token, reasons, recourse))
    if any(outcome.decisions for outcome in outcomes):
        print(table(outcomes))
    for line in (line for outcome in outcomes for line in outcome.refusal):
        print(line, file=sys.stderr)
    return 1 if any(outcome.refusal for outcome in outcomes) else 0


def read(path: str, contract: str | None) -> list[Any]:
    """The applications of a JSON or CSV file; what they hold is for the server to judge.

    Raises
    ------
    Unreadable
        If the file cannot be read or holds neither.
    """
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror})") from error
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
        described = find_contract(contract)
        return _csv_records(_text(content, path, described.encoding), path, described)
    try:
        found = json.loads(_text(content, path, "utf-8"))
    except ValueError as error:
        raise Unreadable(f"{path}: is no JSON ({error})") from error
    records = found if isinstance(found, list) else [found]
    if not records:
        raise Unreadable(f"{path}: holds no applications")
    return records


def _text(content: bytes, path: str, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise Unreadable(f"{path}: is not {name} (byte {error.start + 1})") from error


def find_contract(path: str | None) -> Contract:
    """The contract in a file, by default in the first of :data:`CONTRACTS` that is there.

    Raises
    ------
    Unreadable
        If there is none.
    """
    chosen = path or next((each for each in CONTRACTS if Path(each).exists()), None)
    if chosen is None:
        raise Unreadable(f"no contract here ({', '.join(CONTRACTS)}); name one with --contract")
    try:
        if Path(chosen).name == "manifest.json":
            return parse_contract(json.loads(Path(chosen).read_text("utf-8"))["contract"], chosen)
        return read_contract(chosen)
    except (OSError, ValueError, KeyError) as error:
        raise Unreadable(f"{chosen}: holds no contract ({error})") from error


def _csv_records(text: str, path: str, contract: Contract) -> list[Json]:
    """Rows as applications; whatever else the raw file has, as row numbers, is left out."""
    table = csv.reader(
        io.StringIO(text),
        delimiter=contract.delimiter,
        quotechar=contract.quote_char,
        skipinitialspace=contract.skip_initial_space,
    )
    header, *rows = [row for row in table if row] or [[]]
    header = [name.strip() for name in header]
    if len(set(header)) < len(header):
        raise Unreadable(f"{path}: a column stands in the header twice")
    if not rows:
        raise Unreadable(f"{path}: holds no applications")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise Unreadable(f"{path}: row {number} has {len(row)} cells, the header {len(header)}")
    others = {field.name for field in (*contract.others, contract.target)}
    fields = {field.name: field for field in contract.fields}
    columns = {
        name: _values(cells, fields[name], contract) if name in fields else cells
        for name, cells in zip(header, zip(*rows))
        if name not in others and name != contract.row_number
    }
    return [{name: cells[row] for name, cells in columns.items()} for row in range(len(rows))]


def _labelled(records: list[Any], contract: Contract) -> list[Any]:
    """Applications in which blanks have the label that the contract gives them."""
    labels = {f.name: f.missing_label for f in contract.fields if f.missing_label is not None}
    return [
        {k: labels.get(k) if value is None else value for k, value in record.items()}
        if isinstance(record, dict)
        else record
        for record in records
    ]


def _values(texts: Sequence[str], field: Field, contract: Contract) -> list[object]:
    """A column's cells as JSON has their values.

    A cell that is not allowed stays as it is: the server has the words for what it should be.
    """
    import pyarrow as pa  # like pandas, which cells need, not for applications in JSON

    from creditrisk.data.cells import read_cells
    from creditrisk.data.notation.values import BLANK, FINE

    cells = read_cells(pa.array(texts), field, contract.missing_values, of_applicant=True)
    values: list[object] = []
    for text, value, fault in zip(texts, cells.values.tolist(), cells.faults.tolist()):
        missing = isinstance(value, float) and math.isnan(value)
        if fault == BLANK or (missing and fault == FINE):  # a blank, or the label for one
            values.append(text if text == field.missing_label else None)
        elif fault != FINE:
            values.append(text)
        elif field.is_dated:
            values.append(field.shown(value))
        else:
            values.append(int(value) if field.type == "integer" else value)
    return values


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
    except ValueError as error:
        raise NoAnswer(f"{url} is no address of a server ({error})") from None
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise NoAnswer(f"{url} is no address of a server, such as http://127.0.0.1:8000")
    connection = kinds[parts.scheme](parts.hostname, port, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("POST", parts.path.rstrip("/") + path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def token_from_environment() -> str | None:
    """The bearer token to show the server, if one is set."""
    return os.environ.get("CREDITRISK_TOKEN") or None
