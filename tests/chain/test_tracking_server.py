"""The same chain against a tracking server: no code changes, only MLFLOW_TRACKING_URI.

The server keeps its runs in PostgreSQL where PostgreSQL is installed or can be, else in SQLite;
which of the two is printed in the test's name. Artifacts travel through the server.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import copy_project, install_on_build_machine, run_all, with_small_models


def free_port():
    """A free port below those that systems hand out to whoever asks for any, also seconds later."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def postgres_programs():
    """The folder of PostgreSQL's server programs; a build machine may install Debian's package."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        install_on_build_machine("postgresql")
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def database(folder):
    """The address of an empty database, on this machine only."""
    programs = postgres_programs()
    if programs is None:
        yield f"sqlite:///{folder}/server.db"
        return
    port = free_port()
    # a folder of its own: PostgreSQL refuses to run as root, and pytest's are closed to others
    with TemporaryDirectory() as place:
        owner = {"user": "postgres"} if os.geteuid() == 0 else {}
        if owner:
            shutil.chown(place, "postgres")
        how = {"cwd": place, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **owner}
        init = [programs / "initdb", "-D", place, "-U", "mlflow", "-A", "trust", "--no-sync"]
        subprocess.run(init, check=True, timeout=300, **how)
        serve = [
            programs / "postgres",
            "-D",
            place,
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            place,
        ]
        server = subprocess.Popen(serve, **how)
        try:
            address = ["-h", "127.0.0.1", "-p", str(port), "-U", "mlflow"]
            asked = [programs / "pg_isready", *address]
            wait_for(lambda: not subprocess.run(asked, **how, check=False).returncode, server)
            subprocess.run([programs / "createdb", *address, "mlflow"], check=True, **how)
            yield f"postgresql://mlflow@127.0.0.1:{port}/mlflow"
        finally:
            server.terminate()
            server.wait(60)


def wait_for(ready, server, seconds=300):
    until = time.monotonic() + seconds
    while not ready():
        assert server.poll() is None and time.monotonic() < until, "the server did not start"
        time.sleep(0.3)


def answers(address):
    try:
        return urllib.request.urlopen(f"{address}/health", timeout=2).status == 200
    except OSError:
        return False


@contextmanager
def tracking_server(folder, store):
    """The address of a real ``mlflow server`` that stores artifacts itself."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--workers",
        "1",
        "--artifacts-destination",
        str(folder / "artifacts"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | quiet,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}"), server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def on_server(tmp_path_factory):
    """A project whose chain ran against a server, the server's address and its kind of store."""
    folder = tmp_path_factory.mktemp("server")
    project = with_small_models(copy_project(tmp_path_factory.mktemp("chain") / "project"))
    with database(folder) as store, tracking_server(folder, store) as address:
        light = ["repeats=1", "folds=2", "splits=4", "draws=300", "shuffles=2", "refits=5"]
        typed = ["--from", "02", *(word for each in light for word in ("--set", each))]
        yield project, run_all(project, *typed, MLFLOW_TRACKING_URI=address), address, store


def test_chain_runs_unchanged_against_a_server(on_server, record_property):
    project, ran, address, store = on_server
    print(f"backend store: {store.split(':')[0]}")
    record_property("backend store", store.split(":")[0])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not (project / "mlflow.db").exists() and not (project / "mlartifacts").exists()
    registration = json.loads((project / "experiments/registration.json").read_text("utf-8"))
    code = f"""
import json, pickle, mlflow, pandas as pd
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import decode
client = mlflow.MlflowClient()
raw = decode(pd.read_csv("data/training/X_test.csv"), read_contract("data/raw/datapackage.json"))
saved = pickle.load(open("models/credit_risk_model.pkl", "rb"))
registered = mlflow.sklearn.load_model("models:/Credit_Risk_Model@production")
print(json.dumps({{
    "apart": abs(registered.predict_proba(raw) - saved.predict_proba(raw)).max(),
    "place": client.get_run("{registration["run_id"]}").info.artifact_uri,
    "reports": len(client.list_artifacts("{registration["run_id"]}", "reports")),
}}))
"""
    asked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"MLFLOW_TRACKING_URI": address, "PYTHONPATH": str(project)},
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout.splitlines()[-1])
    # one report for each stage that ran, 02 to 06 and 08, lab and card
    assert found["apart"] <= 1e-12 and found["reports"] == 8
    assert found["place"].startswith("mlflow-artifacts:")
