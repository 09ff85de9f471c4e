"""A server whose folder gets another model, that wants a token, and that is asked to stop."""

import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT
from published import ONE, publish
from servers import Running, creditrisk, end, head, load, posted, read_answer, start
from toy import wait_for

from creditrisk.scoring.sources.loading import load_scorer

GOOD = json.dumps(ONE).encode()


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("first") / "models", "Logistic Regression", 1)


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("second") / "models", "Random Forest", 2)


def put(model: Path, folder: Path) -> None:
    """Replace a folder's model file by file, as a run of the chain does."""
    for file in sorted(model.iterdir()):
        shutil.copy(file, folder / (file.name + ".new"))
        os.replace(folder / (file.name + ".new"), folder / file.name)


@pytest.fixture(scope="module")
def swapping(first, tmp_path_factory):
    """A server that wants a token and whose folder gets other models; and that folder."""
    place = tmp_path_factory.mktemp("swapping")
    folder = shutil.copytree(first, place / "models")
    options = "--watch", "0.3", "--allow-host", "scoring.example"
    running = start(folder, place / "log", *options, CREDITRISK_TOKEN="s3cret")
    yield running, folder
    end(running)


def test_a_token_is_wanted_if_one_is_set(swapping, monkeypatch):
    server, _ = swapping
    assert server.post(ONE)[0] == 200
    monkeypatch.setattr(server, "token", "")
    assert server.post(ONE)[0] == 401
    for sent in (
        "",
        "Bearer",
        "Bearer wrong",
        "bearer s3cret ",
        "Basic s3cret",
        "Bearer s3cr\xe9t",
    ):
        assert server.send(posted(GOOD, f"Authorization: {sent}")).status == 401
    refused = server.ask("GET", "/metrics")
    assert refused.status == 401 and refused.headers["Www-Authenticate"] == "Bearer"
    assert server.send(posted(GOOD, "Authorization: Bearer s3cret")).status == 200
    assert server.get("/health")[0] == server.get("/ready")[0] == 200
    assert 'id="token"' in server.ask("GET", "/").content.decode()
    assert (
        server.send(head(first="GET /health HTTP/1.1", host="Host: scoring.example:80")).status
        == 200
    )
    done = creditrisk("predict", "--url", server.url, cwd=ROOT)
    assert done.returncode == 1 and "Bearer" in done.stderr


def test_a_new_model_is_taken_under_load_and_a_tampered_one_is_not(swapping, first, second):
    server, folder = swapping
    with load(server, GOOD) as answers:
        put(second, folder)
        server.until(
            "/ready", lambda found: found["model"]["version"] == 2 and not found["refused_swap"]
        )
        tampered = bytearray((folder / "credit_risk_model.pkl").read_bytes())
        tampered[len(tampered) // 2] ^= 1
        (folder / "credit_risk_model.pkl").write_bytes(tampered)
        state = server.until("/ready", lambda found: found["refused_swap"])
        assert state["model"]["version"] == 2
        assert "sha256 differs" in state["refused_swap"]["reason"]
        put(first, folder)
        server.until(
            "/ready", lambda found: found["model"]["version"] == 1 and not found["refused_swap"]
        )
    assert {status for status, _ in answers} == {200}
    by_version = {}
    for _, answer in answers:
        by_version.setdefault(answer["model"]["version"], set()).add(answer["probability"])
    expected = {
        n: {load_scorer(model).score([ONE])[0].probability}
        for n, model in ((1, first), (2, second))
    }
    assert by_version == expected


def swaps(server: Running) -> int:
    figures = server.ask("GET", "/metrics").content.decode()
    return int(float(figures.split("\ncreditrisk_model_swaps ")[1].split()[0]))


def accepted(server: Running) -> set[int]:
    """The ports of those whose connections the server has."""
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return {connection.raddr.port for connection in found if connection.raddr}


def test_sighup_loads_anew_and_sigterm_finishes_requests_in_flight(swapping):
    server, _ = swapping
    before = swaps(server)
    time.sleep(0.7)
    assert swaps(server) == before, "an unchanged folder is left alone"
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: swaps(server) > before)
    many = posted(json.dumps([ONE] * 1000).encode(), "Authorization: Bearer s3cret")
    half = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    half.sendall(many[:50_000])
    whole = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(12)]
    for line in whole:
        line.sendall(many)
    ours = {line.getsockname()[1] for line in (*whole, half)}
    wait_for(lambda: ours <= accepted(server))
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    half.sendall(many[50_000:])
    answers = [read_answer(line) for line in (*whole, half)]
    for line in (*whole, half):
        line.close()
    assert [answer.status for answer in answers] == [200] * 13
    assert answers[-1].headers["Connection"] == "close"
    assert {len(json.loads(answer.content)) for answer in answers} == {1000}
    assert server.process.wait(60) == 0
    with pytest.raises(ConnectionRefusedError):
        server.get("/health")
