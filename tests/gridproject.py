"""A small project whose chain is run as a grid, and what is asked of its grids."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy import HEADLINE, RAW, REPOSITORY, make, write_notebook

from papermill_chain.chain.stages import Stage

CHAIN = [Stage("04_judge", reads=RAW, writes={"verdict": "models/verdict.txt"})]
PROGRAM = f"""
import sys
from pathlib import Path
from papermill_chain.chain.stages import External, Stage
import toy

ROOT = Path(__file__).resolve().parent
sys.exit(toy.run(ROOT, *sys.argv[1:], chain={CHAIN!r}, shared=["TOY_STORE"]))
"""
# it fails for one seed, waits for ever for another, and tells of a store that it should not see
JUDGE = f"""
import os, time
from IPython.display import display
if seed == 3:
    raise ValueError("no <b>luck</b> with 3")
while seed == 9 and "TOY_GO" not in os.environ:
    time.sleep(0.1)
open(verdict, "w").write(f"{{mood}} {{seed}}")
figures = {{
    "score": {{"value": seed / 10, "low": 0, "high": 1}},
    "winner": ["even", "odd"][seed % 2],
    "rows": 2,
    "store": os.environ.get("TOY_STORE", "none"),
}}
display({{"{HEADLINE}": {{"text": "judged", "figures": figures}}, "text/plain": ""}}, raw=True)
"""


@pytest.fixture(scope="module")
def grid_project(tmp_path_factory) -> Path:
    root = make(tmp_path_factory.mktemp("grid") / "project")
    (root / "run_all.py").write_text(PROGRAM)
    parameters = 'raw: str = "r"\nverdict: str = "v"\nseed: int = 7\nmood: str = "good"'
    write_notebook(root / "notebooks/04_judge.ipynb", parameters, JUDGE)
    return root


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_left():
    """Whatever a failing test has left running ends with it."""
    yield
    while STARTED:
        with STARTED.pop() as chain:
            chain.terminate()


def start(root: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """Type ``python run_all.py ...`` in a project."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    chain = subprocess.Popen(
        [sys.executable, "run_all.py", *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": path} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    STARTED.append(chain)
    return chain


def ran(root: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    chain = start(root, *arguments, **environment)
    said = chain.communicate(timeout=300)
    return (chain.returncode, *said)


def state(root: Path) -> dict[str, bytes]:
    """All files of a checkout but those of its grids, and the index that lists them."""
    return {
        str(path): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
        and not {"grids", "__pycache__"} & set(path.parts)
        and path != root / "experiments/index.html"
    }


def grids(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("experiments/grids/*/grid.json"))


def statuses_of(folder: Path) -> list[str]:
    """What the record says of each combination."""
    return [one["result"]["status"] for one in json.loads((folder / "grid.json").read_text())]
