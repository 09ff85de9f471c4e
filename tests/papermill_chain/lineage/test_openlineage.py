"""A run as OpenLineage events, in a file or at a server, which nothing of the run depends on."""

import json
import os
import signal
import threading
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import UUID

import pytest
from toy import make, run, start, wait_for, write_notebook

from papermill_chain.chain.stages import Stage

KEY = "a-key-that-nobody-sees"
ONE = [Stage("1", {"raw": "data/raw.csv"}, {"out": "out.txt"})]


@pytest.fixture
def root(tmp_path):
    """A project of one small notebook, which writes down the key if it finds it."""
    root = make(tmp_path / "project")
    parameters = 'raw: str = "../data/raw.csv"\nout: str = "../out.txt"\nfails: bool = False'
    cell = """
    import os
    assert not fails, "told to"
    seen = [value for name, value in os.environ.items() if "OPENLINEAGE_API" in name]
    open(out, "w").write(str(seen))
    """
    write_notebook(root / "notebooks/1.ipynb", parameters, cell)
    return root


def events_in(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def of_stages(events):
    """The events by the name of the job's stage; those of the chain itself are under ""."""
    found = {}
    for event in events:
        found.setdefault(event["job"]["name"].partition(".")[2], []).append(event)
    return found


def test_a_run_is_added_to_a_file_as_the_standard_has_it(root, tmp_path):
    file = tmp_path / "events.ndjson"
    file.write_text('{"cut": "off"')  # by a process that was killed while it wrote
    assert run(root, "--quiet", "--openlineage", str(file), chain=ONE) == 0
    torn, *lines = file.read_text().splitlines()
    assert torn == '{"cut": "off"'
    chain, begun, done, ended = events = [json.loads(line) for line in lines]
    assert [event["eventType"] for event in events] == ["START", "START", "COMPLETE", "COMPLETE"]
    jobs = [event["job"]["name"] for event in events]
    assert jobs == ["Toy", "Toy.1", "Toy.1", "Toy"]
    assert {event["job"]["namespace"] for event in events} == {"default"}
    # START and end of a run share an id, which is a UUID; a stage names the run of the chain
    ids = [str(UUID(event["run"]["runId"])) for event in events]
    assert ids[0] == ids[3] != ids[1] == ids[2]
    parent = begun["run"]["facets"]["parent"]
    assert parent["run"] == {"runId": ids[0]} and "parent" not in chain["run"]["facets"]
    assert parent["job"] == {"namespace": "default", "name": "Toy"}
    assert begun["job"]["facets"]["documentation"]["description"] == "The notebook 1"
    (tag,) = ended["run"]["facets"]["tags"]["tags"]
    (folder,) = root.glob("experiments/runs/*")
    assert (tag["key"], tag["value"]) == ("run", folder.name)

    raw, out = str(root / "data/raw.csv"), str(root / "out.txt")
    assert begun["inputs"] == [{"namespace": "file", "name": raw}]
    (read,), (written,) = done["inputs"], done["outputs"]
    assert (read["namespace"], read["name"], written["name"]) == ("file", raw, out)
    hashes = [each["facets"]["version"]["datasetVersion"] for each in (read, written)]
    assert hashes == [f"sha256:{sha256(text).hexdigest()}" for text in (b"raw\n", b"[]")]
    assert written["outputFacets"]["outputStatistics"]["size"] == 2
    schema = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    assert {event["schemaURL"] for event in events} == {schema}
    for event in events:
        facets = [*event["run"]["facets"].values(), *event["job"]["facets"].values()]
        facets += [facet for each in event["inputs"] for facet in each.get("facets", {}).values()]
        assert all({"_producer", "_schemaURL"} <= facet.keys() for facet in facets)
    # nothing runs, nothing is sent
    assert run(root, "--quiet", "--openlineage", str(file), chain=ONE) == 0
    assert len(file.read_text().splitlines()) == 5


@contextmanager
def server(status=201, **headers):
    """A server that answers every request so, and the requests that it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            got.append((self.path, self.headers["Authorization"], json.loads(body or b"null")))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # what a redirected POST becomes

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", got
        finally:
            listening.shutdown()
            thread.join()


def test_a_server_gets_them_with_the_key_that_no_notebook_sees(root, capsys, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_API_KEY", KEY)
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "bank")
    with server() as (url, got):
        monkeypatch.setenv("OPENLINEAGE_URL", f"{url}/")
        assert run(root, "--set", "fails=True", chain=ONE) == 1
        assert "OPENLINEAGE_API_KEY" not in os.environ
        monkeypatch.setenv("OPENLINEAGE_API_KEY", KEY)
        assert run(root, chain=ONE) == 0
    said = capsys.readouterr()
    assert "OpenLineage" not in said.out + said.err and KEY not in said.out + said.err
    assert {(path, key) for path, key, _ in got} == {("/api/v1/lineage", f"Bearer {KEY}")}
    events = [event for _, _, event in got]
    states = [event["eventType"] for event in events]
    assert states == ["START", "START", "FAIL", "FAIL", "START", "START", "COMPLETE", "COMPLETE"]
    for event in events[2:4]:
        error = event["run"]["facets"]["errorMessage"]
        assert error["message"] == "AssertionError: told to" and not event["outputs"]
        assert error["programmingLanguage"] == "python"
    assert {event["job"]["namespace"] for event in events} == {"bank"}
    assert (root / "out.txt").read_text() == "[]"
    assert not [f for f in root.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]


def test_what_cannot_be_delivered_costs_a_note_and_no_run(root, capsys, monkeypatch):
    monkeypatch.setenv("OPENLINEAGE_API_KEY", KEY)
    with server() as (elsewhere, stolen), server(302, Location=elsewhere) as (url, got):
        assert run(root, "--json", "--openlineage", url, chain=ONE) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (note,) = (line["text"] for line in lines if line["event"] == "note")
    assert note.startswith(f"No OpenLineage events reach {url} from here on: ")
    assert "status 302" in note
    assert len(got) == 1 and not stolen, "the key goes to nobody else, and one refusal is enough"


def test_what_is_cut_off_is_aborted(tmp_path):
    root, file = make(tmp_path / "project"), tmp_path / "events.ndjson"
    (root / "data/split").mkdir()
    (root / "data/split/train.csv").write_text("train")
    asked = ["--only", "03", "--set", "mood=late", "--openlineage", str(file)]
    environment = os.environ | {"OPENLINEAGE_DISABLED": "false"}
    process = start(root, *asked, env=environment)
    wait_for(lambda: list(root.glob("experiments/runs/*/late")))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT
    stages = of_stages(events_in(file))
    for name in "", "03_model":
        assert [event["eventType"] for event in stages[name]] == ["START", "ABORT"], name


@pytest.mark.parametrize(
    "target, remedy",
    [
        ("ftp://host/x", "name one as http://host:5000"),
        ("http://user:hidden@host", "put a key into OPENLINEAGE_API_KEY instead"),
        ("http://host?token=hidden", "name it up to there"),
        ("http://host:hidden", "name one as http://host:5000"),
        ("absent/hidden.ndjson", "make it"),
        ("notebooks", "is a folder; name a file, or a URL"),
    ],
)
def test_no_target_is_refused_before_anything_runs(root, capsys, monkeypatch, target, remedy):
    monkeypatch.chdir(root)
    assert run(root, "--openlineage", target, chain=ONE) == 2
    said = capsys.readouterr().err
    assert remedy in said and "hidden" not in said and len(said.splitlines()) == 1
    assert not (root / "experiments").exists()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert run(root, "--dry-run", "--openlineage", target, chain=ONE) == 0


def test_the_chains_of_a_grid_send_nothing(root, capsys):
    assert run(root, "--grid", "fails=True,False", "--openlineage", "x", chain=ONE) == 2
    assert "only explore" in capsys.readouterr().err
