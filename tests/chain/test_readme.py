"""What the README promises, held against what is there."""

import re
import subprocess
from pathlib import Path

from conftest import ROOT

from creditrisk.data.descriptor import read_contract
from run_all import CHAIN

README = (ROOT / "README.md").read_text("utf-8")
LINES = re.findall(r"^python3 -m pip install .+$", README, re.MULTILINE)


def test_two_lines_install_what_they_need_and_ci_runs_the_second():
    main, tests = LINES
    assert main == "python3 -m pip install -q uv && python3 -m uv run run_all.py"
    assert tests == "python3 -m pip install -q uv && python3 -m uv run --group dev pytest"
    ci = (ROOT / ".ci/run").read_text("utf-8").splitlines()
    assert ci[-1] == tests and len([line for line in ci if "pytest" in line]) == 1


def test_data_dictionary_is_the_contract():
    contract = read_contract(ROOT / "data/raw/datapackage.json")
    for field in contract.columns:
        row = f"| {field.name} | {field.description} | {field.allowed} | {field.if_missing} |"
        assert row in README, row


def test_links_lead_somewhere():
    made = ("experiments/",)  # by a run
    pages = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md", "models/README.md")
    pages = (*pages, "data/raw/README.md")
    for page in [*(ROOT / name for name in pages), *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in link and not link.startswith(made):
                assert (page.parent / link).exists(), f"{page}: {link}"


def test_each_folder_names_the_files_that_a_run_puts_there():
    written = {Path(path) for stage in CHAIN for path in stage.writes.values()}
    assert {path.parts[0] for path in written} == {"data", "experiments", "models"}
    for path in written:
        assert f"`{path.name}`" in (ROOT / path.parts[0] / "README.md").read_text("utf-8"), path


def test_nothing_that_a_run_makes_is_in_git():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    made = ("data/training/", "experiments/", "models/", "mlflow.db", "mlartifacts/", "mlruns/")
    assert listed and not [
        path
        for path in listed.splitlines()
        if path.startswith(made) and not path.endswith("/README.md")
    ]
