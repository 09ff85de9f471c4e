"""The log of a real server: every decision is in it, and what was done to it is found."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from published import CONTRACT, ONE, THREE, TWO, publish
from servers import end, load, start
from toy import wait_for

from creditrisk import cli
from creditrisk.monitoring.records import read_decisions
from creditrisk.records import chained_log, verification
from creditrisk.records.chain import LogError
from creditrisk.records.entries import entry
from creditrisk.scoring.sources.loading import load_scorer

GOOD = json.dumps(ONE).encode()


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("first") / "models", "Logistic Regression", 1)


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> Path:
    return publish(tmp_path_factory.mktemp("second") / "models", "Random Forest", 2)


@pytest.fixture(scope="module")
def recording(first, second, tmp_path_factory):
    """A server with a shadow that keeps a decision log in a folder that it makes; and that log."""
    place = tmp_path_factory.mktemp("recording")
    log = place / "new" / "decisions.jsonl"
    options = ["--decision-log", str(log), "--shadow", str(second)]
    running = start(first, place / "errors", *options)
    yield running, log
    end(running)


def test_every_decision_is_logged_verified_and_replayed(
    recording, first, second, monkeypatch, capsys
):
    server, log = recording
    _, one = server.post(ONE)
    _, several = server.post([TWO, THREE], "?reasons=true")
    server.post(ONE | {"Age": 5})
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["id"] for line in lines] == [one["id"], several[0]["id"], several[1]["id"]]
    assert [line["input"] for line in lines] == [ONE, TWO, THREE]
    assert lines[0]["probability"] == one["probability"] and lines[0]["cutoff"] == 0.7
    assert [line.get("reasons") for line in lines] == [
        None,
        several[0]["reasons"],
        several[1]["reasons"],
    ]
    assert lines[0]["model"]["sha256"] == load_scorer(first).sha256
    found = read_decisions(log.parent, CONTRACT)
    assert found.frame["shadow_version"].tolist() == ["2"] * 3
    assert found.rejected["reason"].tolist() == ["Age is out of range"]
    state = server.get("/ready")[1]["decision_log"]
    assert state == {"decisions": 3, "sha256": lines[-1]["sha256"]}
    assert log.stat().st_mode & 0o077 == 0
    with pytest.raises(LogError, match="another process is writing it"):
        chained_log.open_log(log)
    assert cli.main(["verify-log", str(log)]) == 0
    assert "3 entries" in capsys.readouterr().out
    head = f"{state['decisions']}:{state['sha256']}"
    assert cli.main(["verify-log", str(log), "--head", head]) == 0
    # models/ beside us holds the model of the logged hash: found without being named.
    monkeypatch.chdir(first.parent)
    assert cli.main(["replay", several[1]["id"], "--log", str(log)]) == 0
    assert "the same" in capsys.readouterr().out
    assert cli.main(["replay", one["id"], "--log", str(log), "--models", str(second)]) == 2
    assert "is another model" in capsys.readouterr().err
    assert cli.main(["replay", "nobody", "--log", str(log)]) == 2
    assert "has no decision nobody" in capsys.readouterr().err


def logged(path: Path, count: int) -> list[bytes]:
    """A log of so many decisions, as lines."""
    book = chained_log.open_log(path)
    for number in range(1, count + 1):
        book.append([entry(f"id-{number}", "now", {}, ONE, {"probability": 0.5})])
    book.close()
    return path.read_bytes().splitlines(keepends=True)


def reseal(line: bytes, **changes) -> bytes:
    """A line as a forger would write it, who knows how hashes are made."""
    content = json.loads(line) | changes
    del content["sha256"]
    text = json.dumps(content, separators=(",", ":")).encode()[:-1]
    return text + b',"sha256":"%s"}\n' % hashlib.sha256(text).hexdigest().encode()


@pytest.mark.parametrize(
    "forge, words",
    [
        (
            lambda lines: lines[:2] + [lines[2].replace(b"0.5", b"0.6")] + lines[3:],
            ["line 3: was edited, its hash does not fit its content"],
        ),
        (
            lambda lines: lines[:2] + [reseal(lines[2], probability=0.6)] + lines[3:],
            ["line 4: does not follow line 3, which was replaced"],
        ),
        (lambda lines: lines[:2] + lines[3:], ["line 3: entry 3 is missing"]),
        (lambda lines: lines[:1] + lines[4:], ["line 2: entries 2 to 4 are missing"]),
        (lambda lines: lines[1:], ["line 1: entry 1 is missing"]),
        (lambda lines: lines[:-1], ["end of log: entry 6 is missing"]),
        (lambda lines: [], ["end of log: entries 1 to 6 are missing"]),
        (
            lambda lines: lines[:5] + [reseal(lines[5], probability=0.6)],
            ["entry 6: is not the one that was written; the log was rewritten"],
        ),
        (
            lambda lines: [lines[1], lines[0], *lines[2:]],
            [
                "line 1: entry 1 is missing",
                "line 2: entry 1 stands after entry 2",
                "line 3: entry 2 is missing",
            ],
        ),
        (
            lambda lines: [*lines[:3], lines[2], *lines[3:]],
            ["line 4: entry 3 stands after entry 3"],
        ),
        (
            lambda lines: [*lines, b'{"number":7'],
            ["line 7: not finished; whoever writes the log next cuts it off"],
        ),
        (
            lambda lines: [*lines[:2], b"\n", *lines[2:]],
            [
                "line 3: was edited, its hash does not fit its content",
                "line 4: entry 3 stands after entry 3",
            ],
        ),
    ],
)
def test_what_was_done_to_a_log_is_found(tmp_path, forge, words):
    log = tmp_path / "log"
    lines = logged(log, 6)
    assert list(verification.problems(log)) == []
    log.write_bytes(b"".join(forge(lines)))
    assert list(verification.problems(log)) == words


def test_an_unfinished_line_is_cut_off_and_the_chain_goes_on(tmp_path):
    log = tmp_path / "log"
    lines = logged(log, 3)
    for torn in (b"{", lines[2][:-1], lines[2][:40]):
        log.write_bytes(b"".join(lines) + torn)
        book = chained_log.open_log(log)
        assert book.torn == len(torn) and book.head.number == 3
        book.close()
    book = chained_log.open_log(log)
    book.append([entry("id-4", "now", {}, ONE, {"probability": 0.5})])
    book.close()
    assert list(verification.problems(log)) == []
    log.write_bytes(b"".join(lines[:2]))
    with pytest.raises(LogError, match="does not end where it did"):
        chained_log.open_log(log)


def test_a_full_disk_leaves_neither_decision_nor_half_a_line(tmp_path, monkeypatch):
    log = tmp_path / "log"
    book = chained_log.open_log(log)
    line = entry("id", "now", {}, ONE, {"probability": 0.5})
    book.append([line])
    before = log.read_bytes()

    def full(file: int, content: bytes) -> None:
        os.write(file, content[:50])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(chained_log, "_write_all", full)
        with pytest.raises(LogError, match="No space left"):
            book.append([line, line])
    assert log.read_bytes() == before
    book.append([line])
    book.close()
    assert list(verification.problems(log)) == [] and book.head.number == 2


def test_kill_under_load_loses_no_acknowledged_decision(recording):
    server, log = recording
    with load(server, GOOD, connections=6) as answers:
        wait_for(lambda: len(answers) > 100)
        server.process.kill()
        server.process.wait()
    acknowledged = {answer["id"] for _, answer in answers}
    kept = {json.loads(line)["id"] for line in log.read_bytes().splitlines() if line.endswith(b"}")}
    assert len(acknowledged) > 100 and acknowledged <= kept
    chained_log.open_log(log).close()
    assert list(verification.problems(log)) == []
