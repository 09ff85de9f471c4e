"""The runner, on small chains of its own: what it publishes, what it refuses, how it fails."""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import nbformat
import psutil
import pytest

from papermill_chain import Stage, main
from papermill_chain.files import publish, take_back

REPOSITORY = Path(__file__).resolve().parent.parent
HEADLINE = "application/vnd.chain.headline+json"

RAW = {"raw": "data/raw.csv"}
SPLIT = {"train": "data/split/train.csv", "test": "data/split/test.csv"}
MODEL = {"model": "models/model.txt"}
CHAIN = [
    Stage("03_model", reads={"train": SPLIT["train"]}, writes=MODEL),
    Stage("01_look", reads=RAW),
    Stage("02_split", reads=RAW, writes=SPLIT),
    Stage("04_judge", reads=MODEL | {"test": SPLIT["test"]}),
]

NOTEBOOKS = {
    # 01 and 02 each wait for the other: they come to an end only if they run side by side.
    "01_look": [
        'raw: str = "../data/raw.csv"  # the applications\nmeet: bool = False  # wait for 02',
        """
        import os, pathlib, time
        run = pathlib.Path(os.environ["CHAIN_RUN_FOLDER"])
        (run / "look").touch()
        while meet and not (run / "split").exists():
            time.sleep(0.05)
        """,
    ],
    "02_split": [
        'raw: str = "../data/raw.csv"\n'
        'train: str = "../data/split/train.csv"\n'
        'test: str = "../data/split/test.csv"\n'
        "meet: bool = False\n"
        "seed: int = 7  # luck\n"
        "share: float | None = None",
        """
        import os, pathlib, time
        run = pathlib.Path(os.environ["CHAIN_RUN_FOLDER"])
        (run / "split").touch()
        while meet and not (run / "look").exists():
            time.sleep(0.05)
        """,
        """
        text = pathlib.Path(raw).read_text()
        pathlib.Path(train).write_text(f"{text}{seed}")
        pathlib.Path(test).write_text("test")
        published = pathlib.Path("../data/split/train.csv").exists()
        """,
        f"""
        from IPython.display import display
        told = {{"text": f"published early: {{published}}", "figures": {{"rows": 2}}}}
        display({{"{HEADLINE}": told, "text/plain": ""}}, raw=True)
        """,
    ],
    "03_model": [
        'train: str = "../data/split/train.csv"\n'
        'model: str = "../models/model.txt"\n'
        'mood: str = "good"  # how it ends',
        """
        import os, subprocess, sys, time
        if mood == "late":
            subprocess.Popen(["sleep", "60"], start_new_session=True)
            open(os.environ["CHAIN_RUN_FOLDER"] + "/late", "w").close()
            time.sleep(60)
        """,
        """
        with open(model, "w") as file:
            file.write(mood)
        if mood == "bad":
            raise ValueError("the model is bad")
        """,
        """
        if mood == "leaving":
            sys.exit(0)
        if mood == "killed":
            subprocess.Popen(["sleep", "60"], start_new_session=True)
            os._exit(1)
        if mood == "forgetful":
            os.remove(model)
        """,
        "print('the end')",
    ],
    "04_judge": ['model: str = "../models/model.txt"\ntest: str = "../data/split/test.csv"', "1"],
}


def write_notebook(path: Path, parameters: str, *cells: str, kernel: str = "python3") -> None:
    code = nbformat.v4.new_code_cell
    name = path.stem
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"# The notebook {name}"),
            code(parameters, metadata={"tags": ["parameters"]}),
            nbformat.v4.new_markdown_cell("## What it does"),
            *(code(dedent(cell).strip()) for cell in cells),
        ],
        metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A project whose whole chain has run once, beside a run that was killed long ago."""
    root = tmp_path_factory.mktemp("a {strange} place")
    for name, cells in NOTEBOOKS.items():
        write_notebook(root / "notebooks" / f"{name}.ipynb", *cells)
    (root / "data").mkdir()
    (root / "data" / "raw.csv").write_text("raw\n")
    abandoned = {"status": "running", "finished": None, "stages": [{"status": "running"}]}
    killed = root / "experiments" / "runs" / "20200101-000000" / "manifest.json"
    (killed.parent / "staged").mkdir(parents=True)
    killed.write_text(json.dumps(abandoned))
    seen = []
    arguments = ["--set", "meet=true", "--set", "seed=11"]
    assert main(CHAIN, root, "Toy", after=seen.append, argv=arguments) == 0
    (root / "seen.json").write_text(
        json.dumps([[run.id, run.status, *run.headlines] for run in seen])
    )
    return root


@pytest.fixture
def project(ready) -> Path:
    """The same project, its model as the first run has left it."""
    (ready / "models" / "model.txt").write_text("good")
    return ready


def manifests(root: Path) -> list[dict]:
    """What all runs tell, oldest first."""
    return [
        json.loads(path.read_text())
        for path in sorted(root.glob("experiments/runs/*/manifest.json"))
    ]


def refusal(root: Path, capsys, *arguments: str, chain=CHAIN) -> str:
    """What the command line says when it refuses to run; nothing must have been run."""
    before = list(root.glob("experiments/runs/*"))
    assert main(chain, root, "Toy", argv=arguments) == 2
    assert list(root.glob("experiments/runs/*")) == before
    return capsys.readouterr().err


def family(root: Path) -> list[int]:
    """The processes that belong to a run of a project, however they were started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CHAIN_RUN_FOLDER", "").startswith(str(root)):
                found.append(process.pid)
        except psutil.Error:
            pass
    return found


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
    assert run["figures"] == {"rows": 2}
    assert json.loads((ready / "seen.json").read_text()) == [[run["id"], "succeeded", "02_split"]]


@pytest.mark.parametrize(
    ("mood", "error", "cell"),
    [
        ("bad", "ValueError: the model is bad", 4),
        ("leaving", "SystemExit: 0, so the cells below did not run", 5),
        ("killed", "KernelDied: the kernel ended by itself with exit code 1", 5),
        ("forgetful", "MissingOutput: 03_model finished but did not write model.txt", None),
    ],
)
def test_a_stage_that_fails_publishes_nothing_and_ends_the_run(project, capsys, mood, error, cell):
    assert main(CHAIN, project, "Toy", argv=["--from", "model", "--set", f"mood={mood}"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    place = f" in cell {cell}, under “What it does”" if cell else ""
    assert f"03_model failed{place}: {error}" in said
    run = manifests(project)[-1]
    assert run["status"] == "failed"
    assert [stage["status"] for stage in run["stages"]] == ["failed", "not run"]
    assert (project / "models/model.txt").read_text() == "good"
    folder = project / "experiments" / "runs" / run["id"]
    assert run["stages"][0]["error"]["evalue"] in (folder / "03_model.html").read_text()
    executed = nbformat.read(folder / "03_model.ipynb", 4)
    assert (executed.cells[-1].execution_count is None) == (cell is not None)
    assert (executed.cells[-1].metadata.papermill.status == "pending") == (cell is not None)
    assert not family(project)


def test_what_follows_the_last_stage_can_fail_the_run(project, capsys):
    def attach(run):
        raise RuntimeError("the server is away")

    assert main(CHAIN, project, "Toy", after=attach, argv=["--only", "4"]) == 1
    assert "RuntimeError: the server is away" in capsys.readouterr().err
    assert manifests(project)[-1]["after"] == "RuntimeError: the server is away"
    assert manifests(project)[-1]["status"] == "failed"


def test_a_kernel_that_is_not_there_and_a_cell_that_takes_too_long_are_named(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks/1_far.ipynb", "x = 1", "1", kernel="nowhere")
    write_notebook(tmp_path / "notebooks/2_slow.ipynb", "x = 1", "import time; time.sleep(60)")
    chain = [Stage("1_far"), Stage("2_slow")]
    assert main(chain, tmp_path, "Toy", argv=["--cell-timeout", "1", "--jobs", "2"]) == 1
    said = capsys.readouterr().err
    assert "1_far failed: NoSuchKernel: there is no kernel nowhere here" in said
    assert "2_slow failed in cell 2, under “What it does”: Timeout: the cell took longer" in said


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
    ],
)
def test_a_table_that_makes_no_sense_is_refused(project, capsys, chain, sentence):
    assert sentence in refusal(project, capsys, chain=chain)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("a = 1\nb = a + 1", "line 2: only literals can be parameters"),
        ("a = 1\nb: int = 2\nimport os", "line 3: only literals can be parameters"),
        ("a = = 1", "line 1: not Python"),
    ],
)
def test_a_parameter_cell_holds_literals_only(tmp_path, capsys, cell, sentence):
    write_notebook(tmp_path / "notebooks/1.ipynb", cell)
    said = refusal(tmp_path, capsys, chain=[Stage("1")])
    assert f"notebooks/1.ipynb, parameter cell, {sentence}" in said


@pytest.mark.skipif(os.name == "nt", reason="neither flock nor SIGTERM")
def test_one_run_at_a_time_and_a_signal_leaves_nothing_behind(project, capsys):
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import test_runner as t; import pathlib; "
    )
    program += "sys.exit(t.main(t.CHAIN, pathlib.Path(sys.argv.pop(1)), 'Toy'))"
    tests, arguments = str(Path(__file__).parent), ["--only", "3", "--set", "mood=late"]
    first = subprocess.Popen(
        [sys.executable, "-c", program, tests, str(project), *arguments],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(project.glob("experiments/runs/*/late")):
        assert first.poll() is None, first.communicate()
        time.sleep(0.1)
    assert len(family(project)) >= 2
    assert main(CHAIN, project, "Toy", argv=["--only", "4"]) == 75
    run = manifests(project)[-1]
    assert f"run {run['id']}, process {first.pid}, is going on" in capsys.readouterr().err
    asked = time.monotonic()
    first.send_signal(signal.SIGTERM)
    said = first.communicate(timeout=10)
    assert first.returncode == 143, said
    assert time.monotonic() - asked < 5
    assert said[1] == ""
    assert not family(project)
    run = manifests(project)[-1]
    assert [run["status"], run["stages"][0]["status"]] == ["interrupted", "interrupted"]
    assert (project / "models/model.txt").read_text() == "good"


def test_a_set_of_files_is_published_whole_or_not_at_all(tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    for folder, name in [(new, "a"), (new, "b"), (new, "c"), (old, "a")]:
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"{folder.name} {name}")
    (old / "c").mkdir()
    with pytest.raises(OSError, match="c"):
        publish({new / name: old / name for name in "abc"}, tmp_path / "journal")
    assert {path.name for path in old.iterdir()} == {"a", "c"}
    assert (old / "a").read_text() == "old a"


def test_help_and_list_do_without_the_heavy_libraries(project):
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from papermill_chain import Stage, main\n"
        "try: main([Stage('04_judge')], '.', 'Toy')\n"
        "finally: print({'papermill', 'nbformat', 'pandas', 'mlflow'} & set(sys.modules))"
    )
    for argument, expected in [("--help", "examples:"), ("--list", "The notebook 04_judge")]:
        command = [sys.executable, "-c", program, str(REPOSITORY), argument]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert expected in done.stdout
        assert done.stdout.strip().endswith("set()")


def test_kernel_of_the_next_notebook_is_warm_and_clean(tmp_path):
    """Its imports are done before its turn; its namespace, like a cold one, knows none of them."""
    write_notebook(tmp_path / "notebooks/01_slow.ipynb", 'out: str = "../a"', """
        import pathlib, time
        time.sleep(3)
        pathlib.Path(out).write_text("a")
    """)  # fmt: skip
    write_notebook(
        tmp_path / "notebooks/02_next.ipynb",
        'out: str = "../a"',
        'import sys\nassert "colorsys" in sys.modules\nassert not {"colorsys", "_warm_up"} & set(dir())',
        "import colorsys\nfrom colorsys import rgb_to_hls\nimport no_such_module_at_all",
    )
    chain = [Stage("01_slow", writes={"out": "a"}), Stage("02_next", reads={"out": "a"})]
    seen = []
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 1
    (told,) = manifests(tmp_path)
    # the kernel kept the missing module to itself; the notebook's own cell complains
    assert told["stages"][1]["error"]["ename"] == "ModuleNotFoundError"
    assert told["stages"][1]["error"]["number"] == 4
    assert [run.id for run in seen] == [told["id"]] and not family(tmp_path)
