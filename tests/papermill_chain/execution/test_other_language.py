"""Notebooks in bash, whose kernel keeps a shell of its own: they end in time, and wholly."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from toy import REPOSITORY, family, manifests, wait_for

SPEC = {"argv": [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]}
SPEC |= {"display_name": "Bash", "language": "bash", "env": {"PS1": "$"}}
ENDLESS = {  # each leaves the file that says that it has begun
    "deaf": "trap '' INT TERM HUP; touch ../deaf; while :; do sleep 1000; done",
    "loud": "touch ../loud; yes",
    "away": "setsid nohup sleep 1000 >/dev/null & touch ../away; sleep 1000",
}
PROGRAM = """
import sys
from pathlib import Path
from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
sys.exit(main([Stage("deaf"), Stage("loud"), Stage("away")], Path(__file__).parent, "Toy"))
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A project with an endless notebook of each kind."""
    (tmp_path / "jupyter/kernels/bash").mkdir(parents=True)
    (tmp_path / "jupyter/kernels/bash/kernel.json").write_text(json.dumps(SPEC))
    (tmp_path / "notebooks").mkdir()
    about = {"name": "bash", "display_name": "Bash", "language": "bash"}
    for name, source in ENDLESS.items():
        cells = [new_code_cell("echo one"), new_code_cell(source), new_code_cell("echo two")]
        notebook = new_notebook(cells=cells, metadata={"kernelspec": about})
        nbformat.write(notebook, tmp_path / f"notebooks/{name}.ipynb")
    (tmp_path / "run_all.py").write_text(PROGRAM)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    return tmp_path


def start(root: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "run_all.py", "--jobs", "3", *arguments]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, start_new_session=True, **pipes)


def ends(root: Path) -> dict[str, tuple[str, str]]:
    """Of each stage of the last run its status and the name of its error."""
    stages = manifests(root)[-1]["stages"]
    return {each["name"]: (each["status"], (each["error"] or {}).get("ename")) for each in stages}


def test_a_cell_that_takes_too_long_is_ended_with_all_it_has_started(root):
    ran = start(root, "--cell-timeout", "3")
    said = ran.communicate(timeout=300)[1]
    assert ran.returncode == 1 and not family(root)
    assert all((root / name).exists() for name in ENDLESS)
    assert ends(root) == dict.fromkeys(ENDLESS, ("failed", "Timeout"))
    assert said.count("in cell 2: Timeout: the cell took longer than 3 s") == 3
    assert "--debug" not in said  # it makes no copies of notebooks in bash


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_shell_behind(root, number):
    ran = start(root)
    try:
        wait_for(lambda: all((root / name).exists() for name in ENDLESS))
        ran.send_signal(number)
        ran.communicate(timeout=300)
    finally:
        ran.kill()
    wait_for(lambda: not family(root))
    if number == signal.SIGINT:
        assert ran.returncode == 128 + number
        assert ends(root) == dict.fromkeys(ENDLESS, ("interrupted", "Interrupted"))
