"""The notebooks as they are committed: clean, readable, and wired as the chain says."""

import ast
import re
import sys

import nbformat
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT))
from run_all import CHAIN

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
    assert 15 <= len(notebook.cells) <= 40
    assert re.match(r"# .+\n> .+\n\nWhat you will learn:\n\n(- .+\n?){3,4}$", prose[0])
    assert notebook.cells[1].metadata.tags == ["parameters"]
    assert any("## What we found" in text for text in prose) and ".ipynb)" in prose[-1]
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    # The first cell is a table, one line a parameter, and as long as there are parameters.
    assert max(len([x for x in c.source.splitlines() if x.strip()]) for c in code[1:]) <= 12
    assert max(len(line) for line in lines) <= 100
    assert 4 <= sum(len(text.split()) for text in prose) / len(lines) <= 10
    forbidden = ("class ", "sys.path", "!pip", "%pip", "filterwarnings", "papermill")
    assert not [line for line in lines if line.strip().startswith(forbidden)]


def test_links_between_notebooks_carry_the_title_they_lead_to():
    titles = {path.name: read(path).cells[0].source.splitlines()[0][2:] for path in NOTEBOOKS}
    prose = "\n".join(c.source for path in NOTEBOOKS for c in read(path).cells if c.source)
    links = re.findall(r"\[(\d\d) – ([^\]]+)\]\((\w+\.ipynb)\)", prose)
    assert len(links) >= len(NOTEBOOKS)  # each ends with one
    assert not [(title, name) for _, title, name in links if titles[name] != title]
    assert all(name.startswith(number) for number, _, name in links)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_is_used(path):
    """A seed that stands beside one that is set changes nothing, and nobody sees it."""
    notebook = read(path)
    code = [c.source for c in notebook.cells[2:] if c.cell_type == "code"]
    used = {node.id for node in ast.walk(ast.parse("\n".join(code))) if is_read(node)}
    assert parameters(notebook).keys() <= used


def is_read(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


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


def test_nobody_who_could_learn_from_it_is_handed_the_test_set():
    readers = [s.name for s in CHAIN if any("_test" in path for path in s.reads.values())]
    assert readers == ["05_validation", "06_explanation", "08_review"]
