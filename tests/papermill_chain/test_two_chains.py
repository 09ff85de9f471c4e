"""Two chains in one root, as of two data sets: each keeps its runs, files and commands apart."""

import argparse
import os
import sys

import nbformat
from toy import make, manifests, run, write_notebook

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
