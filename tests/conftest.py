"""Copies of the project in which the tests run the chain, so that the checkout stays untouched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Tests start many processes. Where this is set, each of them compiles all it imports anew, which
# takes longer than what most of them are started for.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

PARTS = ["notebooks", "creditrisk", "papermill_chain", "data/raw", "run_all.py", "uv.lock"]


def copy_project(place: Path) -> Path:
    """What a fresh clone holds, without anything that a run has made."""
    made = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for part in PARTS:
        (place / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, place / part, ignore=made)
        else:
            shutil.copy2(ROOT / part, place / part)
    return place


def run_all(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Type ``python run_all.py ...`` in a project."""
    inherited = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    return subprocess.run(
        [sys.executable, "run_all.py", *arguments],
        cwd=project, env=inherited | environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def install_on_build_machine(package: str) -> None:
    """Install a Debian package where that is nobody's own machine; elsewhere do nothing."""
    if not (os.environ.get("CI") and shutil.which("apt-get") and os.geteuid() == 0):
        return
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 300}
    for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *command], **quiet)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy in which nothing has run."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A copy in which the whole chain has run once, with its defaults; tests only read it."""
    place = copy_project(tmp_path_factory.mktemp("chain") / "project")
    return place, run_all(place)
