"""Parameters from files: what they hold, what counts more, and what cannot be meant."""

import json
import os
import re
from pathlib import Path

import pytest
from toy import manifests, write_notebook

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main

CHAIN = [
    Stage("01_cut", reads={"raw": "raw.csv"}, writes={"cut": "cut.csv"}),
    Stage("02_fit", reads={"cut": "cut.csv"}, secrets={"token": "FIT_TOKEN"}),
]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A chain of two that share a seed; commands are typed in a folder beside it."""
    write_notebook(
        tmp_path / "chain/notebooks/01_cut.ipynb",
        'raw: str = "../raw.csv"\ncut: str = "../cut.csv"\nseed: int = 7\nshare: float = .2',
        "open(cut, 'w').write(open(raw).read() + str(seed))",
    )
    write_notebook(
        tmp_path / "chain/notebooks/02_fit.ipynb",
        'cut: str = "../cut.csv"\nseed: int = 7\ntoken: str = ""\ndepths: list[int] = [1, 2]\n'
        "day: str | None = None\nextra: dict = {}\nlimit: float | None = None\npair = (1, 2)",
        "pair",
    )
    for name in ("raw", "mine"):
        (tmp_path / f"chain/{name}.csv").write_text(name)
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path / "beside")
    monkeypatch.setenv("FIT_TOKEN", "a long secret")
    return tmp_path / "chain"


def reasons(root: Path, capsys, *arguments: str) -> list[str]:
    """Why the two notebooks would run if the chain were asked so."""
    assert main(CHAIN, root, "Toy", argv=["--dry-run", *arguments]) == 0
    said = " ".join(capsys.readouterr().out.split())
    return [text.strip() for text in re.split(r"0\d_\w+", re.sub(r" \(about.*?\)", "", said))[1:]]


def test_later_files_texts_and_set_count_more_and_a_run_can_be_repeated(project, capsys):
    Path("a.yaml").write_text(
        "seed: 8\nshare: 1          # a float all the same\nraw: ../chain/mine.csv\n"
        "fit:\n  seed: 9\n  day: 2024-02-29  # stays a text\n  depths: [3, 4]\n"
    )
    Path("b.json").write_text('{\n\t"02_fit": {"limit": 2, "extra": {"a": {"b": null}}}}')
    both = ["-f", "a.yaml", "--params", "b.json", "-y", "{share: 1e-1}"]
    assert main(CHAIN, project, "Toy", argv=["--quiet", *both]) == 0
    (run,) = manifests(project)
    cut, fit = (stage["parameters"] for stage in run["stages"])
    assert (cut["seed"], cut["share"], cut["raw"]) == (8, 0.1, "../mine.csv")
    assert (fit["seed"], fit["day"], fit["depths"]) == (9, "2024-02-29", [3, 4])
    assert (fit["limit"], fit["extra"]) == (2.0, {"a": {"b": None}})
    assert (project / "cut.csv").read_text() == "mine8"
    assert run["parameters"] == {
        "share": 0.1,
        "raw": "../mine.csv",
        "day": "2024-02-29",
        "depths": [3, 4],
        "limit": 2.0,
        "extra": {"a": {"b": None}},
        "01_cut.seed": 8,  # the stages differ in it
        "02_fit.seed": 9,
    }
    # what is set counts more than files; what no file has is at its default
    cut, fit = reasons(project, capsys, *both[:2], "--set", "seed=3")
    assert cut == "would run: parameter seed 8 → 3, parameter share 0.1 → 1.0"
    assert fit == (
        "would run: parameter extra {'a': {'b': None}} → {}, parameter limit 2.0 → None,"
        " parameter seed 9 → 3"
    )
    # with all that was recorded of the run, nothing is new, whatever the defaults are by now
    recorded = os.path.relpath(project / f"experiments/runs/{run['id']}/manifest.json")
    assert reasons(project, capsys, "--params", recorded) == ["up to date"] * 2
    notebook = project / "notebooks/02_fit.ipynb"
    notebook.write_text(
        notebook.read_text().replace("limit: float | None = None", "limit: float = 9")
    )
    assert reasons(project, capsys, "--params", recorded)[1] == "would run: notebook changed"
    notebook.write_text(notebook.read_text().replace("day: str", "date: str"))
    assert main(CHAIN, project, "Toy", argv=["--params", recorded]) == 2
    assert f"{recorded}: 02_fit has no parameter day; see --list" in capsys.readouterr().err


def test_a_value_typed_for_one_stage_alone_counts_more(project, capsys):
    Path("a.yaml").write_text("fit: {seed: 5}")
    typed = ["--set", "fit.seed=9", "--set", "seed=8", "-f", "a.yaml"]  # in whatever order
    assert main(CHAIN, project, "Toy", argv=["--quiet", *typed]) == 0
    (run,) = manifests(project)
    assert [stage["parameters"]["seed"] for stage in run["stages"]] == [8, 9]
    for wrong, sentence in {
        "fit.sed=1": "02_fit has no parameter sed; did you mean seed?",
        "03.seed=1": "there is no stage 03; ",
        "2.seed=x": "02_fit.seed=x: seed is of type int in 02_fit",
        "fit.cut=x": "cut cannot be set: it is cut.csv, which 01_cut writes",
        "01.seed": "--set takes NAME=VALUE or STAGE.NAME=VALUE, not 01.seed",
    }.items():
        assert main(CHAIN, project, "Toy", argv=["--set", wrong]) == 2
        assert sentence in capsys.readouterr().err
    assert main(CHAIN, project, "Toy", argv=["--set", "1.seed=1", "--set", "cut.seed=2"]) == 2
    assert "01_cut.seed is set twice" in capsys.readouterr().err
    assert main(CHAIN, project, "Toy", argv=["--set", "1.seed=1", "--only", "2"]) == 2
    assert "01_cut.seed is of 01_cut, which this run leaves out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sed: 1", "p.yaml: no notebook has a parameter sed; did you mean seed, of 01_cut and"),
        ("fit: {sed: 1}", "p.yaml: 02_fit has no parameter sed; did you mean seed?"),
        ("01_cut: {day: x}", "p.yaml: 01_cut has no parameter day; see --list"),
        ("03_fit: {seed: 1}", "p.yaml: there is no stage or parameter 03_fit; did you mean 02_fit"),
        ("seed: 1.5", "p.yaml: seed=1.5: seed is of type int in 01_cut"),
        ("seed: yes", "p.yaml: seed=True: seed is of type int in 01_cut"),
        ("limit: .nan", "p.yaml: limit=nan: limit is of type float | None in 02_fit"),
        ("pair: 3", "p.yaml: pair=3: pair is of type tuple in 02_fit"),
        ("raw: no.csv", "p.yaml: raw=no.csv: there is no such file"),
        ("02_fit: {cut: x}", "p.yaml: cut cannot be set: it is cut.csv, which 01_cut writes"),
        ("token: x", "p.yaml: token is a secret and cannot be set here"),
        ("seed: 1\nshare: 2\nseed: 3", "p.yaml: seed is there twice"),
        ("a: [1", "p.yaml, line 1: not YAML: expected ',' or ']'"),
        ("- seed", "p.yaml holds no parameters: write one a line, as `seed: 7`"),
        ("", "p.yaml holds no parameters"),
        ("!!python/name:os.system a: 1", "p.yaml, line 1: not YAML: could not determine"),
    ],
)
def test_what_cannot_be_meant_is_refused(project, capsys, text, sentence):
    Path("p.yaml").write_text(text)
    assert main(CHAIN, project, "Toy", argv=["-f", "p.yaml"]) == 2
    assert sentence in capsys.readouterr().err
    assert not (project / "experiments/runs").exists()


def test_files_that_cannot_be_read_are_refused(project, capsys):
    Path("folder.yaml").mkdir()
    Path("latin.yaml").write_bytes(b"a: \xe4")
    Path("manifest.json").write_text('{"id": 1}')
    for file, sentence in {
        "none.yaml": "none.yaml: No such file or directory",
        "folder.yaml": "folder.yaml: is a folder, not a file",
        "latin.yaml": "latin.yaml is no text in UTF-8",
        "manifest.json": "manifest.json cannot be read as the record of a run: KeyError: 'started'",
    }.items():
        assert main(CHAIN, project, "Toy", argv=["--dry-run", "-f", file]) == 2
        assert sentence in capsys.readouterr().err


def test_a_grid_hands_all_its_chains_what_a_file_gives(project, monkeypatch):
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from papermill_chain.chain.stages import External, Stage\n"
        "from papermill_chain.cli import main\n"
        f"sys.exit(main({CHAIN!r}, Path(__file__).parent, 'Toy'))\n"
    )
    (project / "run_all.py").write_text(program)
    Path("p.yaml").write_text("raw: ../chain/mine.csv\nfit: {limit: 4}")
    monkeypatch.setattr("sys.argv", [str(project / "run_all.py")])
    assert main(CHAIN, project, "Toy", argv=["-f", "p.yaml", "--grid", "seed=1,2"]) == 0
    (grid,) = (project / "experiments/grids").glob("seed-*")
    texts = [(grid / f"{number}/cut.csv").read_text() for number in (1, 2)]
    assert texts == ["mine1", "mine2"]
    told = json.loads(next(grid.glob("1/experiments/runs/*/manifest.json")).read_text())
    assert told["stages"][1]["parameters"]["limit"] == 4.0
