"""What the README promises, held against what is there."""

import re
import shlex
import subprocess
from itertools import takewhile
from pathlib import Path

from conftest import ROOT

from creditrisk import cli
from creditrisk.data.descriptor import read_contract
from papermill_chain.arguments import argument_parser
from papermill_chain.chain.notebooks import read_notebook
from run_all import CHAIN, own_options

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
    page = (ROOT / "docs/data.md").read_text("utf-8")
    for field in contract.columns:
        row = f"| {field.name} | {field.description} | {field.allowed} | {field.if_missing} |"
        assert row in page, row


def test_links_lead_somewhere():
    made = ("experiments/", "docs/sample/")  # by a run, and by docs/sample.py
    pages = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md", "models/README.md")
    pages = (*pages, "data/raw/README.md")
    for page in [*(ROOT / name for name in pages), *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in link and not link.startswith(made):
                assert (page.parent / link).exists(), f"{page}: {link}"


def commands(program: str) -> list[tuple[str, list[str]]]:
    """All commands of a program in the code blocks of README and docs: page, arguments."""
    found = []
    for page in (ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/*.md")):
        text = page.read_text("utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in re.findall(rf"^.*\b{program}\b.*$", block, re.MULTILINE):
                typed = shlex.split(line, comments=True)
                if program in typed:
                    given = typed[typed.index(program) + 1 :]
                    own = takewhile(lambda each: each not in ("|", ">", "&", "&&"), given)
                    found.append((page.name, list(own)))
    return found


def test_the_chain_takes_every_command_of_the_documentation():
    parser = argument_parser("Credit risk", CHAIN, can_compare=True, own=own_options())
    taken = {
        name
        for notebook in (ROOT / "notebooks").glob("*.ipynb")
        for name in read_notebook(notebook).parameters
    }
    typed = [arguments for _, arguments in commands("run_all.py")]
    assert len(typed) >= 15
    for arguments in typed:
        asked = parser.parse_args(arguments)
        for each in [*(asked.set or ()), *(asked.grid or ())]:
            stage, _, name = each.partition("=")[0].rpartition(".")
            assert name in taken, arguments
            assert any(known.name.startswith(stage) for known in CHAIN), arguments


def test_creditrisk_takes_every_command_of_the_documentation():
    typed = [arguments for _, arguments in commands("creditrisk")]
    assert len(typed) >= 10 and all(cli.argument_parser().parse_args(each).run for each in typed)


def test_a_visitor_reads_it_in_two_minutes():
    assert len(README.splitlines()) <= 120


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
