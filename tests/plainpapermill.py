"""Notebooks run by themselves, with plain papermill: in cold kernels, and without the runner."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat

PLAINLY = """
import json, sys
sys.modules["rfc3987_syntax"] = None  # as conftest.py does it, and for its reason
import papermill
for stage, parameters in json.loads(sys.argv[2]).items():
    papermill.execute_notebook(
        f"{stage}.ipynb", f"{sys.argv[1]}/{stage}.ipynb", parameters, progress_bar=False
    )
"""


def plainly(project: Path, folder: Path, stages: dict[str, dict]) -> None:
    """Run notebooks with parameters of their own; they succeed, and their cells print nothing.

    They stand executed in `folder`.
    """
    environment = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", PLAINLY, str(folder), json.dumps(stages)],
        cwd=project / "notebooks",
        capture_output=True,
        text=True,
        timeout=900,
        env=environment | {"PYTHONPATH": str(project)},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert not any(printed(folder / f"{stage}.ipynb") for stage in stages)


def printed(executed: Path) -> list[nbformat.NotebookNode]:
    """What the cells of a notebook have printed, rather than shown."""
    outputs = [o for cell in nbformat.read(executed, 4).cells for o in cell.get("outputs", [])]
    return [output for output in outputs if output.output_type == "stream"]
