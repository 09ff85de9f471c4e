"""From a failure to its fix: a copy of the notebook as it failed, and its changes taken over."""

import io
import json
import os
import shutil
import sys
from contextlib import redirect_stderr
from pathlib import Path

import nbformat
import pytest
from damage import no_longer_than
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from toy import RAW, SPLIT, make, manifests, run, write_notebook

from papermill_chain import debug_copy
from papermill_chain.chain.stages import External, Stage

CHAIN = [
    Stage("02_split", reads=RAW, writes=SPLIT),
    Stage("04_judge", reads={"test": SPLIT["test"]}, writes={"verdict": "models/verdict.txt"}),
]
JUDGE = [
    (
        'test: str = "../data/split/test.csv"\nverdict: str = "../models/verdict.txt"\n'
        "level: int = 7  # how strict\nmood: str = 'good'"
    ),
    "from toolbox import words\nprint('äöü', mood, level)",
    "text = words.strip(open(test).read())\nopen(verdict, 'w').write(text + 'ed')",
    "if mood == 'bad':\n    raise ValueError(f'{text} at {level}')",
]


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> Path:
    """A project whose last notebook has failed once it had succeeded."""
    root = make(tmp_path_factory.mktemp("debug") / "project")
    write_notebook(root / "notebooks/04_judge.ipynb", *JUDGE)
    assert run(root, "--quiet", chain=CHAIN) == 0
    said = io.StringIO()
    with redirect_stderr(said):
        assert run(root, "--quiet", "--set", "mood=bad", "--set", "level=3", chain=CHAIN) == 1
    assert "--debug 04_judge" in said.getvalue().splitlines()[-1]
    return root


@pytest.fixture
def project(failed, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(sys, "argv", ["run_all.py"])
    root = tmp_path / "project"
    shutil.copytree(failed, root)
    monkeypatch.chdir(root)
    return root


def execute(copy: Path) -> nbformat.NotebookNode:
    """Run a copy as JupyterLab would, from its own folder; its cells as they are afterwards."""
    notebook = nbformat.read(copy, as_version=4)
    try:
        NotebookClient(notebook, resources={"metadata": {"path": str(copy.parent)}}).execute()
    finally:
        nbformat.write(notebook, copy)
    return notebook


def change(copy: Path, old: str, new: str) -> None:
    """Edit and save a copy as an editor does, that may also bring the format up to date."""
    notebook = nbformat.read(copy, as_version=4)
    (cell,) = [cell for cell in notebook.cells if old in cell.source]
    cell.source = cell.source.replace(old, new)
    cell.metadata["execution"] = {"iopub.status.busy": "now"}
    nbformat.write(notebook, copy)


def test_a_failure_is_found_in_the_copy_fixed_there_and_the_chain_goes_on(
    project, capsys, monkeypatch
):
    published = (project / "models/verdict.txt").read_text()
    before = nbformat.read(project / "notebooks/04_judge.ipynb", as_version=4)
    capsys.readouterr()
    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "debug/04_judge.ipynb"
    assert said[1] == "04_judge stopped in cell 5, under “What it does”: ValueError: test at 3"
    assert (
        "Next: python -m jupyter lab debug/04_judge.ipynb    # find the cause, change the cells"
        in said
    )
    fixed = "      python run_all.py --fixed 04_judge --set level=3 --set mood=bad    # take"
    assert any(line.startswith(fixed) for line in said), said
    assert said[-1] == "      python run_all.py --set level=3 --set mood=bad"

    went = []
    monkeypatch.setattr(os, "execv", lambda program, command: went.append(command))
    assert run(project, "--debug", "judge", "--open", chain=CHAIN) is None  # it is JupyterLab now
    copy = project / "debug/04_judge.ipynb"
    assert went == [[sys.executable, "-m", "jupyter", "lab", str(copy)]]
    cells = nbformat.read(copy, as_version=4).cells
    assert cells[2].metadata.tags == ["injected-parameters"]  # right after the parameters
    assert {"level = 3", "mood = 'bad'", "test = '../data/split/test.csv'"} <= set(
        cells[2].source.splitlines()
    )
    assert cells[-1].outputs[-1].evalue == "test at 3"  # one sees the error before one runs it
    with pytest.raises(CellExecutionError, match="test at 3"):
        execute(copy)
    assert (project / "debug/files/models/verdict.txt").read_text() == "tested"
    assert (project / "models/verdict.txt").read_text() == published

    change(copy, "raise ValueError(f'{text} at {level}')", "print('not so bad')")
    ran = len(manifests(project))
    arguments = ["--fixed", "judge", "--set", "level=3", "--set", "mood=bad"]
    assert run(project, *arguments, chain=CHAIN) == 0
    said = capsys.readouterr().out
    assert "took the changes of debug/04_judge.ipynb over into notebooks/04_judge.ipynb" in said
    told = manifests(project)[ran]
    assert [stage["status"] for stage in told["stages"]] == ["up to date", "succeeded"]
    # the notebook is as it was but for that line: neither outputs nor ids nor what was injected
    before.cells[-1].source = "if mood == 'bad':\n    print('not so bad')"
    notebook = (project / "notebooks/04_judge.ipynb").read_text()
    assert notebook == nbformat.writes(before) + "\n"
    assert run(project, *arguments, chain=CHAIN) == 0
    assert "notebooks/04_judge.ipynb is already as debug/04_judge.ipynb has it" in (
        capsys.readouterr().out
    )


def test_neither_side_of_a_double_change_is_lost(project, capsys):
    assert run(project, "--debug", "4", chain=CHAIN) == 0
    change(project / "debug/04_judge.ipynb", "mood, level", "level, mood")
    mine = (project / "debug/04_judge.ipynb").read_text()
    assert run(project, "--debug", "4", chain=CHAIN) == 2
    assert "debug/04_judge.ipynb holds changes that are not taken over" in capsys.readouterr().err
    write_notebook(project / "notebooks/04_judge.ipynb", *JUDGE[:-1], "1")
    theirs = (project / "notebooks/04_judge.ipynb").read_text()
    assert run(project, "--fixed", "4", chain=CHAIN) == 2
    assert (
        "notebooks/04_judge.ipynb has changed since debug/04_judge.ipynb was made of it, and that "
        "would be lost; to see both: git diff --no-index notebooks/04_judge.ipynb "
        "debug/04_judge.ipynb"
    ) in capsys.readouterr().err
    assert (project / "debug/04_judge.ipynb").read_text() == mine
    assert (project / "notebooks/04_judge.ipynb").read_text() == theirs


def test_a_copy_of_what_has_changed_or_not_failed_is_of_how_it_is(project, capsys):
    write_notebook(project / "notebooks/04_judge.ipynb", *JUDGE[:-1], "1")
    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    assert "has changed since; the copy is of how it is now, not yet run" in capsys.readouterr().out
    cells = nbformat.read(project / "debug/04_judge.ipynb", as_version=4).cells
    assert cells[-1].source == "1" and not any(c.get("outputs") for c in cells)
    assert run(project, "--debug", "split", chain=CHAIN) == 0
    said = capsys.readouterr().out
    assert "02_split has not failed in its last run" in said and "--set" not in said
    external = [CHAIN[0], Stage("04_judge", external=External(prepare=print))]
    assert run(project, "--debug", "judge", chain=external) == 0
    assert "What it writes outside the project" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--debug jugde", "there is no stage jugde; did you mean 04_judge?"),
        ("--debug judge --set level=x", "level=x: level is of type int in 04_judge"),
        ("--fixed judge", "no copy of 04_judge to take over; make one: python run_all.py --debug"),
        ("--fixed judge --dry-run", "--fixed changes a notebook; --dry-run"),
    ],
)
def test_what_makes_no_sense_is_refused(project, capsys, arguments, sentence):
    assert run(project, *arguments.split(), chain=CHAIN) == 2
    assert sentence in capsys.readouterr().err
    assert not (project / "debug").exists()


def test_files_that_are_missing_come_with_the_command_that_makes_them(project, capsys):
    (project / "data/split/test.csv").unlink()
    assert run(project, "--debug", "judge", chain=CHAIN) == 2
    assert "python run_all.py --only 02_split --only 04_judge" in capsys.readouterr().err


def test_a_copy_that_is_no_notebook_of_a_chain_any_more_changes_nothing(project, capsys):
    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    before = (project / "notebooks/04_judge.ipynb").read_text()
    copy = project / "debug/04_judge.ipynb"
    told = json.loads(copy.read_text())
    told["cells"] = [
        cell for cell in told["cells"] if "parameters" not in cell["metadata"].get("tags", [])
    ]
    copy.write_text(json.dumps(told))
    assert run(project, "--fixed", "judge", chain=CHAIN) == 2
    assert (
        "debug/04_judge.ipynb has no cell tagged `parameters` any more" in capsys.readouterr().err
    )
    copy.write_text("{")
    assert run(project, "--fixed", "judge", chain=CHAIN) == 2
    assert "debug/04_judge.ipynb is not a copy that --debug has made" in capsys.readouterr().err
    assert (project / "notebooks/04_judge.ipynb").read_text() == before


def _link(copy: Path) -> None:
    copy.rename(outside := copy.with_name("outside"))
    outside.write_text("precious")
    copy.symlink_to(outside)


IN_ITS_PLACE = {
    "link": (_link, "debug/04_judge.ipynb is not a copy that --debug has made; move it away"),
    "endless": (lambda copy: copy.symlink_to("/dev/zero"), "is a device, not a file; move it away"),
    "pipe": (os.mkfifo, "is a named pipe, not a file; move it away"),
    "folder": (lambda copy: (copy / "inside").mkdir(parents=True), "is a folder, not a file; move"),
    "bytes": (lambda copy: copy.write_bytes(b"\x89\xff\0" * 99), "is not a copy that --debug has"),
    "nested": (lambda copy: copy.write_text("[" * 100_000), "is not a copy that --debug has made"),
    "large": (
        lambda copy: os.truncate(os.open(copy, os.O_CREAT | os.O_WRONLY), 300_000_000),
        "has more than 200,000,000 bytes; move it away",
    ),
}


@pytest.mark.skipif(os.name == "nt", reason="no such files")
@pytest.mark.parametrize(("lie", "sentence"), IN_ITS_PLACE.values(), ids=IN_ITS_PLACE)
def test_whatever_lies_in_the_place_of_a_copy_is_named_and_kept(project, capsys, lie, sentence):
    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    copy, before = project / "debug/04_judge.ipynb", tree(project / "notebooks")
    if lie is not _link:
        copy.unlink()
    lie(copy)
    kind = copy.lstat().st_mode
    capsys.readouterr()
    with no_longer_than(30):
        assert run(project, "--fixed", "judge", chain=CHAIN) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert sentence in said and "python run_all.py --debug judge" in said
    with no_longer_than(30):
        assert run(project, "--debug", "judge", chain=CHAIN) == 0
    assert "it is set aside as 04_judge.ipynb.damaged-1 and made anew" in capsys.readouterr().err
    assert copy.with_name("04_judge.ipynb.damaged-1").lstat().st_mode == kind
    assert nbformat.read(copy, as_version=4).cells[2].metadata.tags == ["injected-parameters"]
    assert tree(project / "notebooks") == before
    assert lie is not _link or (project / "debug/outside").read_text() == "precious"


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_copy_that_was_cut_is_kept_and_a_file_in_the_place_of_its_folder_named(project, capsys):
    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    copy = project / "debug/04_judge.ipynb"
    copy.write_text(half := copy.read_text()[:-300])  # as of a disk that is full
    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    assert (project / "debug/04_judge.ipynb.damaged-1").read_text() == half
    shutil.rmtree(project / "debug")
    (project / "debug").write_text("mine")
    capsys.readouterr()
    assert run(project, "--debug", "judge", chain=CHAIN) == 2
    assert "copies of notebooks go into that folder: move away" in capsys.readouterr().err
    assert (project / "debug").read_text() == "mine"


def test_killed_while_it_takes_over_a_rerun_goes_on(project, monkeypatch, capsys):
    """The notebook is replaced, and the copy does not know it yet."""

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    assert run(project, "--debug", "judge", chain=CHAIN) == 0
    copy, arguments = project / "debug/04_judge.ipynb", ["--fixed", "judge", "--quiet"]
    change(copy, "mood, level", "level, mood")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(debug_copy, "write_copy", kill)
        run(project, *arguments, chain=CHAIN)
    assert "level, mood" in (project / "notebooks/04_judge.ipynb").read_text()
    assert run(project, *arguments, chain=CHAIN) == 0
    change(copy, "level, mood", "mood")
    assert run(project, *arguments, chain=CHAIN) == 0, capsys.readouterr()
    assert "level, mood" not in (project / "notebooks/04_judge.ipynb").read_text()
