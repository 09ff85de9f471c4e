"""The runner, on a small chain of its own: what it publishes, what it refuses, how it fails."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import nbformat
import pytest
from toy import (
    CHAIN,
    NOTEBOOKS,
    RAW,
    REPOSITORY,
    family,
    make,
    manifests,
    registry_of,
    run,
    write_notebook,
)

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.execution.publication import failure_from


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A project whose whole chain has run once, beside a run that was killed long ago."""
    root = make(tmp_path_factory.mktemp("place") / "a {strange} one")
    killed = root / "experiments" / "runs" / "20200101-000000"
    abandoned = {
        "id": killed.name,
        "started": "2020-01-01T00:00:00+00:00",
        "status": "running",
        "finished": None,
        "stages": [{"name": "01_look", "status": "running"}],
    }
    (killed / "staged").mkdir(parents=True)
    (killed / "manifest.json").write_text(json.dumps(abandoned))
    seen = []
    assert run(root, "--set", "meet=true", "--set", "seed=11", after=seen.append) == 0
    (root / "seen.json").write_text(
        json.dumps([[run.id, run.status, *run.headlines] for run in seen])
    )
    return root


@pytest.fixture
def project(ready) -> Path:
    """The same project, its model as the first run has left it."""
    for name in ("model.txt", "card.txt"):
        (ready / "models" / name).write_text("good")
    return ready


def refusal(root: Path, capsys, *arguments: str, chain=CHAIN) -> str:
    """What the command line says when it refuses to run; nothing must have been run."""
    before = list(root.glob("experiments/runs/*"))
    assert main(chain, root, "Toy", argv=arguments) == 2
    assert list(root.glob("experiments/runs/*")) == before
    return capsys.readouterr().err


def test_stages_run_in_order_side_by_side_and_publish_what_they_write(ready):
    killed, run = manifests(ready)[:2]
    assert (killed["status"], killed["stages"][0]["status"]) == ("interrupted", "interrupted")
    assert run["status"] == "succeeded"
    assert [stage["name"] for stage in run["stages"]] == [
        "01_look",
        "02_split",
        "03_model",
        "04_judge",
    ]
    assert (ready / "data/split/train.csv").read_text() == "raw\n11"
    assert (ready / "models/model.txt").read_text() == "good"
    folder = ready / "experiments" / "runs" / run["id"]
    assert not (folder / "staged").exists()
    assert all((folder / f"{name}.html").is_file() for name in NOTEBOOKS)
    # nobody waits for 01, so it leaves the processor to those who are waited for
    (nice, *session), (usual, *other) = [
        (folder / name).read_text().split() for name in ("look", "split")
    ]
    assert int(nice) == 10 > int(usual)
    assert session[-1:] == ["19"] * bool(session) and other[-1:] == ["0"] * bool(other)
    assert run["stages"][2]["kept"] == {"card": "card.txt"}
    assert (folder / "card.txt").read_text() == (ready / "models/card.txt").read_text()
    assert run["id"] in (ready / "experiments/index.html").read_text()


def test_manifest_tells_what_was_read_written_set_and_found(ready):
    run = manifests(ready)[1]
    split, model = run["stages"][1:3]
    raw, train, test = (sha256(text).hexdigest() for text in (b"raw\n", b"raw\n11", b"test"))
    assert split["title"] == "The notebook 02_split"
    assert split["reads"] == {"data/raw.csv": raw}
    assert split["writes"] == {"data/split/train.csv": train, "data/split/test.csv": test}
    assert split["parameters"] == {
        "raw": "../data/raw.csv",
        "train": "../data/split/train.csv",
        "test": "../data/split/test.csv",
        "meet": True,
        "seed": 11,
        "share": None,
    }
    assert model["reads"] == {"data/split/train.csv": train}
    assert run["parameters"] == {"meet": True, "seed": 11}
    assert split["headline"] == "published early: False"
    assert run["figures"]["rows"]["value"] == 2
    assert json.loads((ready / "seen.json").read_text()) == [[run["id"], "succeeded", "02_split"]]


@pytest.mark.parametrize(
    ("mood", "error", "cell"),
    [
        ("bad", "ValueError: the model is bad", 5),
        ("leaving", "SystemExit: 0, so the cells below did not run", 6),
        ("dying", "KernelDied: the kernel ended by itself with exit code 1", 6),
        ("killed", "KernelDied: the kernel was killed, as the system does when memory runs out", 6),
        ("slow", "Timeout: the cell took longer than 2 s", 6),
        ("forgetful", "MissingOutput: 03_model finished but did not write model.txt", None),
    ],
)
def test_a_stage_that_fails_publishes_nothing_and_ends_the_run(project, capsys, mood, error, cell):
    limit = ["--cell-timeout", "2"] if mood == "slow" else []
    assert run(project, "--from", "model", "--set", f"mood={mood}", *limit) == 1
    said = " ".join(capsys.readouterr().err.split())
    # two parameter cells, the notebook's and this run's, then the third or fourth of its own
    place = f" in cell {cell}, under “What it does”" if cell else ""
    assert f"03_model failed{place}: {error}" in said
    told = manifests(project)[-1]
    assert told["status"] == "failed"
    assert [stage["status"] for stage in told["stages"]] == ["failed", "not run"]
    assert (project / "models/model.txt").read_text() == "good"
    folder = project / "experiments" / "runs" / told["id"]
    assert told["stages"][0]["error"]["evalue"] in (folder / "03_model.html").read_text()
    executed = nbformat.read(folder / "03_model.ipynb", 4)
    assert (executed.cells[-1].execution_count is None) == (cell is not None)
    assert (executed.cells[-1].metadata.papermill.status == "pending") == (cell is not None)
    assert not family(project) and not (folder / "staged").exists()
    assert [path.name for path in registry_of(project).iterdir()] == [
        "model"
    ]  # nothing is left open


def test_a_failure_stops_what_reads_from_the_stage_and_nothing_else(tmp_path):
    root = make(tmp_path / "project")
    write_notebook(root / "notebooks/01_look.ipynb", NOTEBOOKS["01_look"][0], "1 / 0")
    assert run(root, "--jobs", "1", "--quiet") == 1
    found = {stage["name"]: stage["status"] for stage in manifests(root)[-1]["stages"]}
    # nobody reads from 01, which came first
    assert found.pop("01_look") == "failed" and set(found.values()) == {"succeeded"}

    write_notebook(root / "notebooks/02_split.ipynb", NOTEBOOKS["02_split"][0], "1 / 0")
    write_notebook(root / "notebooks/01_look.ipynb", *NOTEBOOKS["01_look"])
    assert run(root, "--force", "--jobs", "1", "--quiet") == 1
    found = {stage["name"]: stage["status"] for stage in manifests(root)[-1]["stages"]}
    # 04 reads from 02 itself and over 03
    assert found == {
        "01_look": "succeeded",
        "02_split": "failed",
        "03_model": "not run",
        "04_judge": "not run",
    }
    assert manifests(root)[-1]["status"] == "failed" and not family(root)


def test_what_follows_the_last_stage_can_fail_the_run(project, capsys):
    def attach(run):
        raise RuntimeError("the server is away")

    assert run(project, "--only", "4", after=attach) == 1
    assert "RuntimeError: the server is away" in capsys.readouterr().err
    assert manifests(project)[-1]["after"] == "RuntimeError: the server is away"
    assert manifests(project)[-1]["status"] == "failed"


def test_a_kernel_that_is_not_there_is_named(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks/1_far.ipynb", "x = 1", "1", kernel="nowhere")
    assert main([Stage("1_far")], tmp_path, "Toy", argv=[]) == 1
    said = capsys.readouterr().err
    assert "1_far failed: NoSuchKernel: there is no kernel nowhere here" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--set sed=1", "no notebook has a parameter sed; did you mean seed, of 02_split?"),
        ("--set seed=abc", "seed=abc: seed is of type int in 02_split"),
        ("--set share=nan", "share=nan: share is of type float | None in 02_split"),
        ("--set model=x", "model cannot be set: it is models/model.txt, which 03_model writes"),
        ("--set raw=no.csv", "raw=no.csv: there is no such file"),
        ("--only 4 --set seed=1", "seed is of 02_split, which this run leaves out"),
        ("--only modle", "there is no stage modle; did you mean 03_model?"),
        ("--from 9", "there is no stage 9; there are 01_look, 02_split, 03_model, 04_judge"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(project, capsys, arguments, sentence):
    assert sentence in refusal(project, capsys, *arguments.split())


def test_missing_files_come_with_the_command_that_makes_them(project, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run_all.py"])
    (project / "models/model.txt").unlink()
    assert (
        "04_judge reads models/model.txt, which 03_model writes and has not yet; to run what it "
        "needs as well: python run_all.py --only 03_model --only 04_judge"
    ) in refusal(project, capsys, "--only", "judge")


@pytest.mark.parametrize(
    ("chain", "sentence"),
    [
        (
            [
                Stage("01_look", RAW, {"meet": "a"}),
                Stage("02_split", {"seed": "a"}, {"raw": "data/raw.csv"}),
            ],
            "the chain runs in a circle: 01_look or 02_split would have to go first",
        ),
        (
            [Stage("01_look", {}, {"raw": "a"}), Stage("02_split", {}, {"raw": "./a"})],
            "01_look and 02_split both write a",
        ),
        ([Stage("05_gone")], "notebooks/05_gone.ipynb does not exist"),
        (
            [Stage("01_look", {"rwa": "a"})],
            "01_look is handed rwa, but notebooks/01_look.ipynb has no",
        ),
        (
            [Stage("01_look", {"raw": "b"})],
            "01_look reads b, which no stage writes and is not there",
        ),
        (
            [Stage("01_look", {}, {"raw": "../b"})],
            "01_look writes ../b, which is outside the project",
        ),
        ([Stage("01_look", RAW, kept=["raw"])], "01_look is to keep raw, which it does not write"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(project, capsys, chain, sentence):
    assert sentence in refusal(project, capsys, chain=chain)


def test_a_parameter_cell_that_is_no_python_is_refused(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks/1.ipynb", "a = 1\nb = = 1")
    said = refusal(tmp_path, capsys, chain=[Stage("1")])
    assert "notebooks/1.ipynb, parameter cell, line 2: not Python" in said


def test_help_list_and_debug_do_without_the_heavy_libraries(project):
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from papermill_chain.chain.stages import Stage; from papermill_chain.cli import main\n"
        "heavy = {'papermill', 'nbformat', 'rich', 'asyncio', 'rfc3987_syntax'}\n"
        "try: main([Stage('04_judge')], '.', 'Toy')\n"
        "finally: print(heavy & set(sys.modules))"
    )
    for arguments, expected, needed in [
        (["--help"], "examples:", "set()"),
        (["--list"], "The notebook 04_judge", "set()"),
        (["--debug", "04_judge"], "debug/04_judge.ipynb", "{'nbformat'}"),
    ]:
        command = [sys.executable, "-c", program, str(REPOSITORY), *arguments]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert expected in done.stdout
        assert done.stdout.strip().endswith(needed)


def test_a_file_that_may_not_be_read_is_named_with_what_to_do():
    denied = PermissionError(13, "Permission denied", "loans.csv")
    text = "Permission denied: loans.csv; give whoever runs this the right to it"
    assert failure_from(denied).evalue == text
