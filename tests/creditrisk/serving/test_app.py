"""Real servers on loopback, asked by real clients: what is answered and what is refused."""

import io
import json
import random
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import published
import pytest
from conftest import ROOT
from published import CONTRACT, ONE, RAW_FILE, THREE, TWO, publish, trained
from servers import JSON, creditrisk, head, posted, start
from waitress import wasyncore

from creditrisk import cli
from creditrisk.modelling import candidates
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.model_manifest import sealed
from creditrisk.serving import http_server
from creditrisk.serving.api.app import create_app
from creditrisk.serving.client import client, posting
from creditrisk.serving.client.posting import FLASK, MLFLOW, NoAnswer, Outcome
from creditrisk.serving.model_reload import serve_from

GOOD = json.dumps(ONE).encode()


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("first") / "models", "Logistic Regression", 1)


@pytest.fixture(scope="module")
def server(first, tmp_path_factory):
    """One server for all tests that leave it as it was; it must still decide at the end."""
    running = start(first, tmp_path_factory.mktemp("server") / "log")
    expected = load_scorer(first).score([ONE])[0].probability
    yield running
    assert running.post(ONE)[1]["probability"] == expected
    assert running.stop() == 0
    assert "failure" not in running.errors.read_text()


# What is answered


def test_the_answer_mirrors_the_question(server, first):
    scorer = load_scorer(first)
    expected = scorer.score([ONE, TWO, THREE])
    status, one = server.post(ONE)
    assert status == 200
    assert one["probability"] == expected[0].probability
    assert (one["prediction"], one["decision"]) == (expected[0].prediction, expected[0].decision)
    assert one["cutoff"] == 0.7
    assert one["model"] == {"name": "Credit_Risk_Model", "version": 1, "alias": None}
    status, several = server.post([ONE, TWO, THREE])
    assert [each["probability"] for each in several] == [each.probability for each in expected]
    assert [each["id"] for each in several] == [
        f"{several[0]['request_id']}-{n}" for n in (1, 2, 3)
    ]
    assert server.post([ONE])[1][0]["probability"] == one["probability"]


def test_recourse_is_told_if_asked_and_holds_when_it_is_tried(tmp_path):
    ranges = {"Age": [19, 75], "Credit amount": [250, 18424], "Duration": [4, 72]}
    estimator = candidates.estimator("Logistic Regression", CONTRACT, 7)
    folder = published.put(tmp_path / "models", trained(estimator), 1, training_ranges=ranges)
    asked = create_app(serve_from(str(folder))).test_client()
    far = ONE | {"Duration": 72, "Credit amount": 18425}
    plain = asked.post("/predict", json=far).json
    assert plain["decision"] == "decline" and "recourse" not in plain
    assert plain["outside_training"] == ["Credit amount"]
    safe = TWO | {"Checking account": "200 DM or more or salary account", "Duration": 6}
    told = asked.post("/predict?recourse=true&reasons=true", json=[far, safe]).json
    assert told[0]["reasons"] and told[1]["decision"] == "approve" and "recourse" not in told[1]
    assert 1 <= len(told[0]["recourse"]) <= 3 and told[0]["recourse_complete"]
    for each in told[0]["recourse"]:
        changed = far | {change["field"]: change["to"] for change in each["changes"]}
        again = asked.post("/predict", json=changed).json
        assert (again["decision"], again["probability"]) == ("approve", each["probability"])
        assert each["words"].startswith("approved with ")
    assert asked.post("/predict?recourse=1", json=far).json["detail"].endswith("true or false.")
    refused = asked.post("/predict?recourse=true", json=[far] * 21)
    assert refused.status_code == 422 and "for recourse" in refused.json["detail"]
    lines = client.table([Outcome(1, told, [])]).splitlines()
    first = told[0]["recourse"][0]["words"]
    assert f"{'':8}- recourse: {first}" in lines
    assert f"{'':8}- Credit amount is beyond what the model has learned from" in lines
    none = told[0] | {"recourse": []}
    assert client.table([Outcome(1, [none], [])]).endswith("none within three columns")
    open_ = none | {"recourse_complete": False}
    assert client.table([Outcome(1, [open_], [])]).endswith(
        "- recourse: not searched to the end, there may be a smaller change"
    )


def test_reasons_are_told_if_asked_and_if_the_model_can(server, first, tmp_path):
    expected = load_scorer(first).score([ONE, TWO, THREE], reasons=True)
    assert expected[0].reasons and expected[1].reasons == ()  # the second is the reference
    status, several = server.post([ONE, TWO, THREE], "?reasons=true")
    assert status == 200
    told = [[asdict(reason) for reason in each.reasons] for each in expected]
    assert [each.pop("reasons") for each in several] == told
    plain = server.post([ONE, TWO, THREE], "?reasons=false")[1]
    assert [list(each) for each in plain] == [list(each) for each in several]
    assert server.post(ONE, "?reasons=true")[1]["reasons"] == told[0]
    assert server.post(ONE, "?reasons=1")[1]["detail"] == "The query's reasons is true or false."
    status, problem = server.post([ONE] * 101, "?reasons=true")
    assert (status, problem["limit"]) == (422, 100) and "for reasons" in problem["detail"]
    assert server.post([ONE] * 101)[0] == 200
    assert server.post(ONE | {"Age": 5}, "?reasons=true")[1]["problems"][0]["field"] == "Age"
    done = creditrisk(
        "predict",
        "--url",
        server.url,
        "--reasons",
        "-",
        cwd=tmp_path,
        given=json.dumps([ONE, TWO] * 60),
    )
    words = [f"        - {reason['words']}" for reason in told[0]]
    assert done.stdout.splitlines()[2 : 2 + len(words)] == words
    assert done.stdout.count(words[0]) == 60 and done.stdout.splitlines()[-1].startswith("   120")
    shutil.copytree(first, tmp_path / "old")
    manifest = json.loads((first / "manifest.json").read_text())
    del manifest["reference"]
    (tmp_path / "old/manifest.json").write_text(json.dumps(sealed(manifest)))
    asked = create_app(serve_from(str(tmp_path / "old"))).test_client()
    assert asked.post("/predict", json=ONE).status_code == 200
    refused = asked.post("/predict?reasons=true", json=ONE)
    assert refused.status_code == 422
    assert "saved without a reference application" in refused.json["detail"]
    assert "data-reasons" not in asked.get("/").text


def test_all_problems_of_all_records_are_told_and_no_value(server):
    bad = ONE | {"Age": "zz-secret", "Job": 77123, "Housing": None}
    status, problem = server.post([ONE, bad, {**TWO, "Income": "zz-secret"}])
    assert status == 422
    told = [(each["record"], each["field"]) for each in problem["problems"]]
    assert told == [(2, "Age"), (2, "Job"), (2, "Housing"), (3, "Income")]
    assert "allowed 18 to 120 years" in problem["problems"][0]["message"]
    # of 24 digits at random, five of which may be 77123
    assert re.fullmatch("[0-9a-f]{24}", problem.pop("request_id"))
    assert "secret" not in str(problem) and "77123" not in str(problem)


def test_pages_load_nothing_from_outside_and_name_every_field(server):
    for path in ("/", "/docs"):
        page = server.ask("GET", path)
        text = page.content.decode()
        assert page.status == 200
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "http://" not in text.replace(server.url, "").replace("http://127.0.0.1", "")
        assert "https://" not in text and "<style" not in text and " style=" not in text
        for field in CONTRACT.fields:
            assert (field.title if path == "/" else field.name) in text
    form = server.ask("GET", "/").content.decode()
    assert form.count("<label for=") == len(CONTRACT.fields)
    assert 'min="18" max="120"' in form and "Age (years)" in form
    for script in ("form.js", "house.css", "page.css", "icon.svg"):
        assert server.ask("GET", f"/static/{script}").status == 200


def test_figures_and_log_lines_hold_no_applicant(server):
    server.post(ONE | {"Purpose": "zz-secret"})
    server.ask("GET", "/zz-secret?zz-secret=1")
    figures = server.ask("GET", "/metrics").content.decode()
    assert 'creditrisk_decisions_total{decision="approve"}' in figures
    assert 'creditrisk_requests_total{route="/predict",status="422"}' in figures
    assert "creditrisk_model_version 1.0" in figures
    lines = server.errors.read_text()
    assert "secret" not in figures + lines
    events = [json.loads(line)["event"] for line in lines.splitlines()]
    assert all(events) and "model in use" in events


def test_the_description_is_what_the_contract_says(server):
    _, api = server.get("/openapi.json")
    schema = api["components"]["schemas"]["Application"]
    assert schema["required"] == list(schema["properties"]) == list(ONE)
    assert schema["properties"]["Age"]["maximum"] == 120
    assert schema["properties"]["Saving accounts"]["enum"][-1] == "1000 DM or more"
    assert schema["properties"]["Saving accounts"]["type"] == "string"
    example = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert server.post(example["examples"]["one"]["value"])[0] == 200
    assert server.post(example["examples"]["several"]["value"])[0] == 200


# What is refused


def changed(**values) -> bytes:
    return json.dumps(
        ONE | {name.replace("_", " "): value for name, value in values.items()}
    ).encode()


REFUSED = {
    "text for a number": (posted(changed(Age="35")), 422),
    "fraction": (posted(changed(Age=35.5)), 422),
    "true": (posted(changed(Age=True)), 422),
    "out of range": (posted(changed(Age=-5)), 422),
    "forty digits": (posted(changed(Age=10**40)), 422),
    "overflow": (posted(GOOD.replace(b'"Age": 38', b'"Age": 1e309')), 422),
    "unknown level": (posted(changed(Purpose="zz-secret")), 422),
    "null where none may be": (posted(changed(Age=None)), 422),
    "nested value": (posted(changed(Age={"a": [1]})), 422),
    "null where it would be a state": (posted(changed(Checking_account=None)), 422),
    "nothing where it would be a state": (posted(changed(Saving_accounts="")), 422),
    "field missing": (posted(b'{"Age": 35}'), 422),
    "a number alone": (posted(b"17"), 422),
    "list of text": (posted(b'["zz-secret"]'), 422),
    "half a character as name": (posted(rb'{"\ud800": 1}'), 422),
    "empty list": (posted(b"[]"), 422),
    "list too long": (posted(json.dumps([{}] * 1001).encode()), 422),
    "NaN": (posted(GOOD.replace(b"38", b"NaN")), 400),
    "Infinity": (posted(GOOD.replace(b"38", b"-Infinity")), 400),
    "five thousand digits": (posted(GOOD.replace(b"38", b"9" * 5000)), 400),
    "name twice": (posted(b'{"Age": 1, "Age": 35}'), 400),
    "truncated": (posted(GOOD[:-9]), 400),
    "two texts": (posted(GOOD + GOOD), 400),
    "empty body": (posted(b""), 400),
    "byte order mark": (posted(b"\xef\xbb\xbf" + GOOD), 400),
    "UTF-16": (posted(GOOD.decode().encode("utf-16")), 400),
    "invalid UTF-8": (posted(GOOD.replace(b"male", b"m\xfele")), 400),
    "deep lists": (posted(b"[" * 400_000), 400),
    "deep objects": (posted(b'{"a":' * 100_000), 400),
    "deep behind names of brackets": (posted(b'{"}":' * 5000 + b"1" + b"}" * 5000), 400),
    "no deeper than it looks": (posted(b'{"}": "{", "[": "{{[["}'), 422),
    "deep and closed": (posted(b"[" * 50 + b"]" * 50), 400),
    "quotes in quotes": (posted(b'[[{"' + rb"\"" * 400_000), 400),
    "no content type": (head("Content-Length: 2") + b"{}", 415),
    "form": (posted(b"Age=35", kind="Content-Type: application/x-www-form-urlencoded"), 415),
    "text": (posted(GOOD, kind="Content-Type: text/plain; charset=application/json"), 415),
    "compressed": (posted(GOOD, "Content-Encoding: gzip"), 415),
    "no length": (head(JSON), 411),
    "chunked": (head(JSON, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n", 411),
    "chunked, large": (
        head(JSON, "Transfer-Encoding: chunked")
        + (b"%x\r\n" % 100_000 + b" " * 100_000 + b"\r\n") * 15
        + b"0\r\n\r\n",
        411,
    ),
    "ten megabytes": (posted(b" " * 10_000_000), 413),
    "one byte too many": (posted(b" " * 1_000_001), 413),
    "length in words": (head(JSON, "Content-Length: ten"), 400),
    "negative length": (head(JSON, "Content-Length: -1"), 400),
    "length of five thousand digits": (head(JSON, "Content-Length: " + "9" * 5000), 400),
    "half a bracket": (head(first="GET http://[ HTTP/1.1"), 400),
    "two lengths": (head(JSON, "Content-Length: 2", "Content-Length: 3") + b"{}", 400),
    "waits to be asked": (head(JSON, "Expect: 100-continue", "Content-Length: 5000000"), 413),
    "unknown coding": (head(JSON, "Transfer-Encoding: zz-secret"), 501),
    "foreign host": (head("Content-Length: 0", host="Host: 10.evil.com"), 421),
    "host with our name in it": (head("Content-Length: 0", host="Host: localhost.evil.com"), 421),
    "two hosts": (head("Host: evil.com", "Content-Length: 0"), 421),
    "host with a trick": (head("Content-Length: 0", host="Host: localhost:80@evil.com"), 421),
    "no host": (b"POST /predict HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
    "GET": (head(first="GET /predict HTTP/1.1"), 405),
    "unknown path": (head(first="GET /zz-secret HTTP/1.1"), 404),
    "out of the folder": (head(first="GET /static/../form.html HTTP/1.1"), 404),
    "no request line": (b"zz-secret\r\n\r\n", 400),
    "header too large": (head("X-Long: " + "zz-secret" * 10_000), 431),
    "broken header": (head("zz-secret"), 400),
    "control character in a header": (head("Content-Type: \x01", "Content-Length: 2") + b"{}", 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(server, name):
    content, status = REFUSED[name]
    answer = server.send(content)
    assert answer.status == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.content)
    assert problem["status"] == status and problem["title"] and problem["detail"]
    for echoed in (b"secret", b"evil", b"Traceback", b".py", b"999999", b"waitress"):
        assert echoed not in answer.content
    assert server.post(ONE)[0] == 200


def test_a_list_too_long_names_the_limit(server):
    status, problem = server.post([ONE] * 1001)
    assert status == 422 and problem["limit"] == 1000
    assert "1001 applications; send at most 1000" in problem["detail"]
    status, answer = server.post([ONE] * 1000)
    assert status == 200 and len(answer) == 1000


def nonsense(dice: random.Random) -> bytes:
    """A body that no contract allows, made by breaking a good one."""
    values = ["zz-secret", "35", 35.5, True, None, -1, 10**30, [], {"a": 1}, "", " male", "\ud800"]
    kind = dice.randrange(8)
    if kind == 0:
        return GOOD[: dice.randrange(len(GOOD))]
    if kind == 1:
        place = dice.randrange(len(GOOD))
        return GOOD[:place] + bytes([dice.choice([0, 9, 34, 92, 123, 255])]) * 3 + GOOD[place:]
    if kind == 2:
        number = dice.choice([b"NaN", b"-Infinity", b"1e309", b"-0.0", b"017", b"9" * 5000])
        return GOOD.replace(b"38", number)
    if kind == 3:
        opened = dice.choice([b"[", b'{"a":', b'{"}":', b'[{"]":'])
        return opened * dice.choice([17, 200, 1100, 30_000])
    record = dict(ONE)
    for name in dice.sample(list(record), dice.randint(1, 4)):
        if kind == 4:
            del record[name]
        elif kind == 5:
            record[name + dice.choice(["x", " ", "\u00e9", "\n"])] = record.pop(name)
        else:
            record[name] = dice.choice(values)
    return json.dumps([ONE] * dice.randrange(3) + [record] if kind == 7 else record).encode()


def malformed(dice: random.Random) -> tuple[bytes, bytes]:
    """A request that is to be refused, after which the connection goes on; and its body."""
    body, kind = nonsense(dice), dice.randrange(40)
    if kind == 0:
        wrong = dice.choice(["text/html", "application", "application/jsonp", ""])
        return posted(body, kind=f"Content-Type: {wrong}"), body
    if kind == 1:
        return head(f"Content-Length: {len(body)}") + body, body
    if kind == 2:
        return head(JSON), b""
    if kind == 3:
        host = dice.choice(["evil.com", "localhost.evil.com", "10.evil.com:80", "localhost:x", ""])
        return head(JSON, f"Content-Length: {len(body)}", host=f"Host: {host}") + body, b""
    return posted(body), body


def test_two_thousand_malformed_requests(server):
    dice, seen = random.Random(7), set()
    for _ in range(20):
        sent = [malformed(dice) for _ in range(100)]
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
            # One after the other without waiting: it takes a fifth of the time.
            sender = threading.Thread(target=line.sendall, args=[b"".join(r for r, _ in sent)])
            sender.start()
            with line.makefile("rb") as answers:
                for _, body in sent:
                    status, content = next_answer(answers)
                    seen.add(status)
                    assert status in (400, 411, 415, 421, 422) or _is_good(body), (status, body)
                    assert b"secret" not in content and b"Traceback" not in content
            sender.join()
    assert {400, 411, 415, 421, 422} <= seen
    assert server.post(ONE)[0] == 200


def next_answer(answers) -> tuple[int, bytes]:
    """Status and content of the next of several answers on a connection."""
    status, length = int(answers.readline().split()[1]), 0
    while (line := answers.readline()) != b"\r\n":
        assert line, "the connection was closed"
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, answers.read(length)


def _is_good(body: bytes) -> bool:
    """Whether the dice left the application as it was."""
    try:
        return json.loads(body) == ONE
    except ValueError:
        return False


def test_requests_made_up_from_the_description(server):
    # JSON Schema counts 14.0 among the integers, the contract does not: valid by the one, it may be
    # refused by the other.
    done = subprocess.run(
        check=False,
        args=[
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{server.url}/openapi.json",
            "--max-examples",
            "20",
            "--seed",
            "7",
            "--exclude-checks",
            "positive_data_acceptance",
            "--generation-database",
            "none",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=server.errors.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_slow_senders_hold_nobody_up(server):
    starts = [
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        head(JSON, "Content-Length: 500"),
        b"GET /hea",
    ]
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(150)]
    try:
        for round_ in range(4):
            for number, line in enumerate(slow):
                line.sendall(starts[number % 3] if round_ == 0 else b"a")
            began = time.monotonic()
            assert server.post(ONE)[0] == 200
            assert time.monotonic() - began < 20
            time.sleep(0.1)
    finally:
        for line in slow:
            line.close()


@pytest.mark.filterwarnings("ignore:send_bytes will be removed")
def test_a_request_that_takes_too_long_to_come_is_closed():
    sockets: dict = {}
    listeners = http_server._listeners(lambda *_: [], sockets, "127.0.0.1", 0, threads=1)
    port = int(listeners[0].effective_port)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(b"GET /hea")
        while not (channels := http_server._channels(listeners)) or channels[0].request is None:
            wasyncore.loop(timeout=1, map=sockets, use_poll=True, count=1)
        for seconds, closed in ((29, False), (31, True)):
            channels[0].close_if_overdue(time.time() + seconds, http_server.REQUEST_SECONDS)
            assert channels[0].will_close == closed
        wasyncore.loop(timeout=1, map=sockets, use_poll=True, count=1)
        assert line.recv(1) == b""
    listeners[0].task_dispatcher.shutdown()
    wasyncore.close_all(sockets)


def test_no_model_no_server(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(http_server, "_log_lines", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", "--port", "0"]) == 2
    assert "run the chain first: uv run run_all.py" in capsys.readouterr().err
    for never in ("-1", "0", "nan"):
        with pytest.raises(SystemExit):
            cli.main(["serve", "--watch", never])
        assert "give 0.1 to 86400 seconds" in capsys.readouterr().err


@pytest.fixture
def predict(server, tmp_path, monkeypatch, capsys):
    """``creditrisk predict`` in this process: how it ends, and its two outputs."""

    def asked(*arguments: str, given: str = "", cwd: Path = tmp_path) -> tuple[int, str, str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        code = cli.main(["predict", "--url", server.url, *arguments])
        return code, *capsys.readouterr()

    return asked


def test_the_client_reads_json_and_csv_and_shows_the_same_decisions(predict, first, tmp_path):
    expected = load_scorer(first).score([ONE, TWO, THREE])
    lines = [
        f"{each.prediction} ({'good' if each.prediction else 'bad'})".ljust(12)
        + f"  {each.decision:<8}  {each.probability:>12.4f}"
        for each in expected
    ]
    header = ["", *ONE, "Risk"]
    rows = [
        [str(n), *("NA" if v is None else str(v) for v in each.values()), "good"]
        for n, each in enumerate((ONE, TWO, THREE))
    ]
    table = "\n".join(",".join(row) for row in [header, *rows]) + "\n"
    (tmp_path / "a.json").write_text(json.dumps([ONE, TWO, THREE]))
    (tmp_path / "a.csv").write_text(table)
    contract = str(first / "manifest.json")
    for arguments, given in [
        (["a.json"], ""),
        (["a.csv", "--contract", contract], ""),
        (["-"], json.dumps([ONE, TWO, THREE])),
        (["-", "--contract", contract], table),
        (["--contract", contract], ""),
    ]:
        code, shown, refused = predict(*arguments, given=given)
        assert code == 0, refused
        assert [line[8:] for line in shown.splitlines()[1:]] == lines


def test_the_client_sends_the_raw_file_in_parts(predict):
    code, _, refused = predict(str(RAW_FILE), cwd=ROOT)
    assert code == 1 and "as '1000 DM or more', never by a blank" in refused
    code, shown, _ = predict(str(RAW_FILE), "--blank-is-level", cwd=ROOT)
    assert code == 0 and len(shown.splitlines()) == 1001
    assert shown.splitlines()[-1].split()[0] == "1000"


def test_the_client_shows_the_servers_words(predict):
    records = [ONE] * 600 + [ONE | {"Age": 5}, ONE | {"Purpose": "boat"}]
    code, shown, refused = predict("-", given=json.dumps(records))
    assert code == 1
    assert "record 601: Age is out of range; allowed 18 to 120 years" in refused
    assert "record 602: Purpose is not an allowed value; allowed business, car" in refused
    assert len(shown.splitlines()) == 501  # the first part was decided
    records = [ONE | {"Age": 5}] * 999 + [ONE, ONE | {"Age": 5, "Purpose": "boat"}]
    code, _, refused = predict("-", given=json.dumps(records))
    status, *_, age, purpose = refused.splitlines()
    assert (code, status) == (1, "refused with status 422")
    assert age.startswith("records 1, 2, 3 and 997 more: Age is out of range; allowed 18 to 120")
    assert purpose.startswith("record 1001: Purpose is not an allowed value; allowed business")
    for given in ("", "[]", "[1", "a,a\n1,2\n", "a\n1,2\n", '"a'):
        code, _, refused = predict("-", given=given, cwd=ROOT)
        assert code == 2 and refused.startswith("creditrisk: -: "), refused


class Unreliable(socketserver.StreamRequestHandler):
    """Answers like ``mlflow models serve``, after losing two connections."""

    received: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif line.startswith(b"POST"):
                path = line.split()[1]
        self.received.append(path + b" " + self.rfile.read(length))
        if len(self.received) <= 2:
            return
        rows = [{"prediction": 1, "decision": "approve", "probability": 0.9}] * 3
        code, content = 200, {"predictions": rows}
        if len(self.received) > 3:
            code, content = 400, {"error_code": "BAD_REQUEST", "message": "record 2: Age is null"}
        body = json.dumps(content).encode()
        self.wfile.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (code, len(body)) + body)


class Refusing(socketserver.BaseRequestHandler):
    """Answers a handshake as what it is not."""

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.request.recv(4096)


def test_the_client_tries_again_and_speaks_mlflow(monkeypatch, capsys):
    monkeypatch.setattr(posting, "WAIT", 0.01)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Unreliable) as fake:
        threading.Thread(target=fake.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{fake.server_address[1]}"
        package = str(ROOT / "data/raw/datapackage.json")
        assert client.predict(None, url, MLFLOW, package) == 0
        assert client.predict(None, url, MLFLOW, package) == 1
        fake.shutdown()
    path, body = Unreliable.received[0].split(b" ", 1)
    assert path == b"/invocations"
    assert json.loads(body) == {"dataframe_records": [ONE, TWO, THREE]}
    shown = capsys.readouterr()
    assert shown.out.count("approve") == 3 and "record 2: Age is null" in shown.err
    with pytest.raises(NoAnswer, match="tried 5 times"):
        client.predict(None, url, FLASK, package)
    for nowhere in ("http://127.0.0.1:99999", "ftp://x", "127.0.0.1:8000", "http://[::1"):
        with pytest.raises(NoAnswer, match="is no address of a server"):
            client.predict(None, nowhere, FLASK, package)


def test_who_does_not_encrypt_is_not_asked_to_for_long(monkeypatch):
    monkeypatch.setattr(posting, "TO_CONNECT", 0.2)
    package = str(ROOT / "data/raw/datapackage.json")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,  # waits for the rest of a plain request
        socketserver.TCPServer(("127.0.0.1", 0), Refusing) as refusing,
    ):
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        for port in (silent.getsockname()[1], refusing.server_address[1]):
            with pytest.raises(NoAnswer, match=r"takes no secure connection \(.*write http://$"):
                client.predict(None, f"https://127.0.0.1:{port}", FLASK, package)
        refusing.shutdown()


# The command line


def test_help_is_quick():
    code = (
        "import sys\nfrom creditrisk.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted(set(sys.modules) & {'pandas', 'sklearn', 'mlflow', 'flask', 'waitress'}))"
    )
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert shown.endswith("[]\n") and "creditrisk replay" in shown
