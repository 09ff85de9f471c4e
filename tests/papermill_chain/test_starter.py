"""A chain of one's own, begun with `init` or from the page, where there is nothing of credit."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy import REPOSITORY, manifests

from papermill_chain.__main__ import begin

#: What the runner's wheel does not bring.
ABSENT = ("creditrisk", "mlflow", "sklearn", "pandas", "numpy", "matplotlib", "seaborn", "flask")


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, str]:
    """An environment that has the runner's three packages, and nothing of the other ones."""
    place = tmp_path_factory.mktemp("packages")
    for package in ("papermill_chain", "page_style", "work_units"):
        made = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, place / package, ignore=made)
    for package in ABSENT:
        (place / package).mkdir()
        (place / package / "__init__.py").write_text(f"raise ImportError('no {package}')")
    return os.environ | {"PYTHONPATH": str(place)}


def run(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "run_all.py", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def files_of_page() -> dict[str, str]:
    """The files that docs/runner.md shows."""
    page = (REPOSITORY / "docs/runner.md").read_text("utf-8")
    return dict(re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", page, re.DOTALL))


def test_the_chain_of_the_page_runs_in_an_empty_folder_without_creditrisk(tmp_path, alone):
    files = files_of_page()
    assert list(files) == ["run_all.py", "notebooks/1_draw.py", "notebooks/2_mean.py"]
    assert len(list(filter(None, files["run_all.py"].split("\n")))) == 5
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    absent = subprocess.run(
        [sys.executable, "-c", "import creditrisk"],
        cwd=tmp_path,
        env=alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ImportError: no creditrisk" in absent.stderr
    ran = run(tmp_path, alone, "--set", "count=2")
    assert ran.returncode == 0 and "The mean of 2 numbers is" in ran.stdout, ran.stderr
    # the first two numbers of random.Random(7), by hand: 0.32383276 and 0.15084918
    assert manifests(tmp_path)[-1]["figures"]["mean"]["value"] == pytest.approx(0.23734097)
    assert (tmp_path / "experiments/index.html").is_file()


def test_init_writes_the_same_chain_for_jupyter_and_writes_over_nothing(tmp_path, alone, capsys):
    folder = tmp_path / "new/chain"
    assert begin(["init", str(folder)]) == 0
    assert f"python {folder / 'run_all.py'}" in capsys.readouterr().out
    assert (folder / "run_all.py").read_text() == files_of_page()["run_all.py"]
    ran = run(folder, alone, "--json", "--set", "count=2")
    assert ran.returncode == 0, ran.stderr
    assert manifests(folder)[-1]["figures"]["mean"]["value"] == pytest.approx(0.23734097)
    assert json.loads(ran.stdout.splitlines()[-1])["status"] == "succeeded"

    (folder / "run_all.py").unlink()
    (folder / "notebooks/2_mean.ipynb").write_text("mine")
    (folder / "notebooks/1_draw.ipynb").unlink()
    assert begin(["init", str(folder)]) == 2
    assert "notebooks/2_mean.ipynb is there already, and stays" in capsys.readouterr().err
    assert not (folder / "run_all.py").exists()
    (tmp_path / "file").write_text("")
    assert begin(["init", str(tmp_path / "file")]) == 2
    assert "the chain cannot be written" in capsys.readouterr().err


def test_help_has_examples_and_the_first_of_them_works(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as left:
        begin(["--help"])
    words = re.search(r"python -m papermill_chain (init \w+) ", capsys.readouterr().out)
    monkeypatch.chdir(tmp_path)
    assert left.value.code == 0 and words and begin(words[1].split()) == 0
    assert (tmp_path / words[1].split()[1] / "run_all.py").is_file()
