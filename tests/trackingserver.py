"""MLflow's tracking server as a process of its own.

It keeps its runs in PostgreSQL where PostgreSQL is installed or can be, else in SQLite. Artifacts
travel through the server.
"""

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

from conftest import install_on_build_machine


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
    with TemporaryDirectory() as place, (folder / "database.log").open("w") as log:
        owner = {"user": "postgres"} if os.geteuid() == 0 else {}
        if owner:
            shutil.chown(place, "postgres")
        how = {"cwd": place, "stdout": log, "stderr": log, **owner}
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
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
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
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)
