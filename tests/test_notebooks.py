"""The notebooks as they are committed, and each of them run on its own."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT, copy_project

sys.path.insert(0, str(ROOT))
from run_all import CHAIN  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PARAMETER = re.compile(r"(\w+): (str|int|float|bool) = (.+?)  # \S.*")


def read(path):
    return nbformat.read(path, 4)


def parameters(notebook):
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    lines = [PARAMETER.fullmatch(line) for line in cell.source.splitlines()]
    assert all(lines), f"each parameter: name: type = literal  # why\n{cell.source}"
    return {line[1]: line[3] for line in lines}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean_and_reads_well(path):
    notebook = read(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "outputs are committed"
    assert 15 <= len(notebook.cells) <= 30
    assert re.match(r"# .+\n> .+\n\nWhat you will learn:\n\n(- .+\n?){3,4}$", prose[0])
    assert notebook.cells[1].metadata.tags == ["parameters"]
    assert any("## What we found" in text for text in prose) and ".ipynb)" in prose[-1]
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    assert max(len([x for x in c.source.splitlines() if x.strip()]) for c in code) <= 15
    assert 4 <= sum(len(text.split()) for text in prose) / len(lines) <= 10
    forbidden = ("class ", "sys.path", "!pip", "%pip", "filterwarnings", "papermill")
    assert not [line for line in lines if line.strip().startswith(forbidden)]


def test_table_and_notebooks_agree():
    """Every path the table hands out is a parameter, with the table's path as default."""
    written = {}
    assert [stage.name for stage in CHAIN] == [path.stem for path in NOTEBOOKS]
    for stage in CHAIN:
        declared = parameters(read(ROOT / "notebooks" / f"{stage.name}.ipynb"))
        for name, path in {**stage.reads, **stage.writes}.items():
            assert declared[name] == f'"../{path}"', f"{stage.name}: {name}"
        for name, path in stage.reads.items():
            assert written.get(path) == name or (ROOT / path).exists(), f"{stage.name}: {path}"
        written |= {path: name for name, path in stage.writes.items()}


def test_nobody_but_the_validation_is_handed_the_test_set():
    readers = [s.name for s in CHAIN if any("_test" in path for path in s.reads.values())]
    assert readers == ["05_validation"]


def test_every_notebook_runs_under_plain_papermill(tmp_path):
    """In order, with their defaults (but few folds), from their own folder as JupyterLab does."""
    project = copy_project(tmp_path / "project")
    environment = {k: v for k, v in os.environ.items() if "MLFLOW" not in k}
    environment |= {"PYTHONPATH": str(project), "PYTHONWARNINGS": "ignore"}
    for path in NOTEBOOKS:
        light = ["-p", "folds", "3", "-p", "repeats", "1"] if "comparison" in path.stem else []
        output = tmp_path / path.name
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", path.name, str(output)]
        ran = subprocess.run(
            [*command, *light], cwd=project / "notebooks", env=environment, capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr[-3000:]
        streams = [
            output.text
            for cell in read(output).cells
            for output in cell.get("outputs", [])
            if output.output_type == "stream"
        ]
        assert not streams, streams
    assert (project / "models/credit_risk_model.pkl").exists()
    assert sorted(p.name for p in (project / "notebooks").iterdir()) == [p.name for p in NOTEBOOKS]


def test_notebook_run_too_early_names_the_one_to_run_first(tmp_path):
    project = copy_project(tmp_path / "project")
    command = [sys.executable, "-m", "papermill", "03_comparison.ipynb", str(tmp_path / "out.ipynb")]
    ran = subprocess.run(
        command, cwd=project / "notebooks", env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode != 0 and "run 02_preparation first" in ran.stderr
