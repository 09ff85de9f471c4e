"""Two chains in one root, as of two data sets: each keeps its runs, files and commands apart."""

import argparse
import json
import os
import subprocess
import sys

import nbformat
from toy import REPOSITORY, make, manifests, run, write_notebook

from papermill_chain.chain.stages import Stage

PARAMETERS = (
    'raw: str = "../data/raw.csv"\nout: str = "../models/out.txt"\n'
    'log: str = "../experiments/log.txt"\nmood: str = "good"  # how it ends'
)
CELL = """
if mood == "bad":
    raise ValueError("../data/other/more.csv: row 3 is no loan")
text = open(raw).read()
open(out, "w").write(text)
open(log, "a").write(text)
"""
FIRST = [
    Stage("1", {"raw": "data/raw.csv"}, {"out": "models/out.txt"}, in_place={"log": "log.txt"})
]
OTHER = [
    Stage(
        "1",
        reads={"raw": "data/other/raw.csv"},
        writes={"out": "models/other/out.txt"},
        files=["data/other/more.csv"],
        in_place={"log": "experiments/other/log.txt"},
    )
]


def test_two_chains_keep_apart_what_they_read_write_and_suggest(tmp_path, capsys, monkeypatch):
    root = make(tmp_path / "project")
    write_notebook(root / "notebooks/1.ipynb", PARAMETERS, CELL)
    (root / "data/other").mkdir()
    for name in ("raw", "more"):
        (root / f"data/other/{name}.csv").write_text("other\n")
    monkeypatch.setattr(sys, "argv", ["run_all.py"])
    monkeypatch.chdir(root)
    own, begun = argparse.ArgumentParser(add_help=False), []
    own.add_argument("--data")

    def run_other(*arguments: str) -> int:
        return run(
            root,
            *["--data", "data/other", *arguments],
            chain=OTHER,
            experiments="experiments/other",
            own_options=own,
            repeated=["--data", "data/other"],
            before=lambda: begun.append(arguments),
        )

    assert run(root, "--quiet", chain=FIRST) == 0 == run_other("--quiet")
    written = ["models/out.txt", "log.txt", "models/other/out.txt", "experiments/other/log.txt"]
    texts = [(root / path).read_text() for path in written]
    assert texts == ["raw\n", "raw\n", "other\n", "other\n"]
    assert len(manifests(root)) == 1 == len(list(root.glob("experiments/other/runs/*/1.html")))
    (report,) = root.glob("experiments/other/runs/*/1.html")
    assert "all at their defaults" in report.read_text(), "no path is a setting of a user's"

    # each is up to date until a file changes that it reads, with or without a parameter
    assert run(root, "--dry-run", chain=FIRST) == 0 == run_other("--dry-run")
    assert capsys.readouterr().out.split("\n") == ["1  up to date"] * 2 + [""]
    (root / "data/other/more.csv").write_text("changed\n")
    assert run(root, "--dry-run", chain=FIRST) == 0 == run_other("--dry-run")
    assert "1  up to date\n1  would run: more.csv changed" in capsys.readouterr().out

    # the commands that are suggested name the other data set, and find its failure
    assert run_other("--set", "mood=bad") == 1
    said = capsys.readouterr().err
    assert f"{os.path.join('data', 'other', 'more.csv')}: row 3 is no loan" in said
    assert "run_all.py --data data/other --debug 1" in said
    assert run_other("--debug", "1") == 0
    said = capsys.readouterr().out
    assert "1 stopped in cell 3" in said and "log=" not in said
    assert "run_all.py --data data/other --fixed 1 --set mood=bad" in said
    cells = nbformat.read(root / "debug/1.ipynb", as_version=4).cells
    assert "log = '../experiments/other/log.txt'" in cells[2].source
    assert begun == [("--quiet",), ("--set", "mood=bad")], "only what runs begins"

    # the first chain's commands do not, and its page leads to the other's and back
    assert run(root, "--force", "--set", "mood=bad", chain=FIRST) == 1
    assert "run_all.py --debug 1" in capsys.readouterr().err
    pages = [root / "experiments/index.html", root / "experiments/other/index.html"]
    links = ['href="other/index.html"', 'href="../index.html"']
    assert [link in page.read_text() for link, page in zip(links, pages, strict=True)] == [True] * 2


PROGRAM = f"""
import argparse, sys
from pathlib import Path
from papermill_chain.chain.stages import External, Stage
import toy

own = argparse.ArgumentParser(add_help=False)
own.add_argument("--data")
asked, _ = own.parse_known_args()
assert asked.data == "data/other", "a workspace is of the same data set"
more = dict(experiments="experiments/other", own_options=own, repeated=["--data", asked.data])
sys.exit(toy.run(Path(__file__).resolve().parent, *sys.argv[1:], chain={OTHER!r}, **more))
"""


def test_a_grid_is_of_the_chain_that_was_asked_for(tmp_path):
    root = make(tmp_path / "project")
    write_notebook(root / "notebooks/1.ipynb", PARAMETERS, CELL)
    (root / "data/other").mkdir()
    for name in ("raw", "more"):
        (root / f"data/other/{name}.csv").write_text("other\n")
    (root / "run_all.py").write_text(PROGRAM)
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    ran = subprocess.run(
        [sys.executable, "run_all.py", "--data", "data/other", "--grid", "mood=good,bad"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1 and "no loan" in ran.stderr, ran.stderr
    (grid,) = (page.parent for page in root.glob("experiments/other/grids/*/grid.json"))
    assert not (root / "experiments/grids").exists()
    good, bad = (one["result"] for one in json.loads((grid / "grid.json").read_text()))
    assert (good["status"], bad["status"]) == ("succeeded", "failed")
    assert good["index"] == bad["index"] == "experiments/other/index.html"
    assert (grid / "2" / bad["report"]).is_file() and good["report"] is None
    assert (grid / "1/models/other/out.txt").read_text() == "other\n"
    assert (grid / "1/data/other/more.csv").is_file() and not (root / "models").exists()
