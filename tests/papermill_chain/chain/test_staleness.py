"""What is up to date is left alone, what is not runs, and either way the runner says why."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy import CHAIN, REPOSITORY, make, manifests, registry_of, run, write_notebook


@pytest.fixture
def project(toy_that_has_run) -> Path:
    """A project whose whole chain has run once; each test brings it up to date again."""
    return toy_that_has_run


def planned(root: Path, capsys, *arguments: str) -> dict[str, str]:
    """What --dry-run says of each stage, and that it has done nothing."""
    before = sorted(path for path in root.rglob("*") if path.suffix != ".pyc")
    capsys.readouterr()
    assert run(root, "--dry-run", *arguments) == 0
    assert sorted(path for path in root.rglob("*") if path.suffix != ".pyc") == before
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]).split(" (about")[0] for line in lines}


def test_an_unchanged_rerun_is_quick_and_links_the_last_reports(project):
    ran = manifests(project)[-1]["id"]
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import toy, pathlib\n"
        "code = toy.run(pathlib.Path(sys.argv.pop(1)), *sys.argv[1:])\n"
        "print(code, {'papermill', 'nbformat', 'psutil', 'asyncio', 'rich'} & set(sys.modules))"
    )
    began = os.times()
    done = subprocess.run(
        [sys.executable, "-c", program, str(REPOSITORY / "tests"), str(project)],
        cwd=project,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    ended = os.times()
    assert ended.children_user - began.children_user < 2  # about 0.1 s
    lines = done.stdout.split("\n")
    assert lines[-2] == "0 set()", done
    assert [line.split(maxsplit=1)[1] for line in lines if "up to date" in line] == [
        "up to date"
    ] * 4
    assert f"    experiments/runs/{ran}/03_model.html" in lines
    assert "    published early: False" in lines  # the headline of 02
    assert "Nothing to do; all runs: experiments/index.html" in lines
    assert len(manifests(project)) == 1


@pytest.mark.parametrize(
    ("change", "arguments", "expected"),
    [
        (None, "", {}),
        (None, "--set seed=8", {"02_split": "parameter seed 7 → 8"}),
        (None, "--only model", {"03_model": "asked for"}),
        (
            None,
            "--force",
            dict.fromkeys(["01_look", "02_split", "03_model", "04_judge"], "asked for"),
        ),
        ("data/raw.csv", "", {"01_look": "raw.csv changed", "02_split": "raw.csv changed"}),
        ("toolbox/words.py", "", {"02_split": "toolbox/words.py changed"}),  # by way of cut.py
        ("toolbox/pages/letter.txt", "", {"02_split": "letter.txt changed"}),  # words.py names it
        ("toolbox/pages/other.txt", "", {}),
        ("toolbox/unused.py", "", {}),
        ("models/card.txt", "", {"03_model": "card.txt was altered"}),
        ("models/card.txt gone", "", {"03_model": "card.txt is gone"}),
        ("experiments/runs/first/card.txt gone", "", {"03_model": "its run has no copy of card"}),
        (
            "data/split/test.csv",
            "",
            {"02_split": "test.csv was altered", "04_judge": "test.csv changed"},
        ),
        (
            "uv.lock",
            "",
            dict.fromkeys(["01_look", "02_split", "03_model", "04_judge"], "uv.lock changed"),
        ),
        ("../project registry/model gone", "", {"03_model": "the model is not in the registry"}),
    ],
)
def test_a_stage_runs_only_for_a_reason_and_names_it(project, capsys, change, arguments, expected):
    first = manifests(project)[-1]["id"]
    path = project / (change or "nothing").removesuffix(" gone").replace("first", first)
    before = path.read_bytes() if path.is_file() else None
    try:
        if change and change.endswith("gone"):
            path.unlink()
        elif change:
            path.write_bytes((before or b"") + b"#")
        plan = planned(project, capsys, *arguments.split())
    finally:
        path.write_bytes(before) if before is not None else path.unlink(missing_ok=True)
    reasons = {name: told for name, told in plan.items() if told.startswith("would run: ")}
    assert reasons == {name: f"would run: {why}" for name, why in expected.items()}
    # what comes after it may have to run; what comes before it has not
    if list(expected) == ["02_split"]:
        assert plan["03_model"] == "would run if 02_split changes its files"
        assert plan["01_look"] == "up to date"


def test_a_notebook_counts_by_its_cells_not_by_its_outputs(project, capsys):
    path = project / "notebooks/04_judge.ipynb"
    before = path.read_text()
    notebook = json.loads(before)
    notebook["cells"][-1] |= {"outputs": [], "execution_count": 7}
    notebook["metadata"]["language_info"] = {"name": "python"}
    path.write_text(json.dumps(notebook, indent=4))
    assert planned(project, capsys)["04_judge"] == "up to date"
    notebook["cells"][-1]["source"] = "2"
    path.write_text(json.dumps(notebook))
    assert planned(project, capsys)["04_judge"] == "would run: notebook changed"
    path.write_text(before)


def test_a_stage_whose_inputs_came_out_alike_is_left_alone(project, capsys):
    """02 runs for a change that changes none of its files: 03 and 04 need not run after it."""
    words = project / "toolbox/words.py"
    words.write_text(words.read_text() + "# a remark\n")
    assert run(project) == 0
    said = capsys.readouterr().out.splitlines()
    told = manifests(project)[-1]
    assert [(stage["name"], stage["status"], stage["why"]) for stage in told["stages"]] == [
        ("01_look", "up to date", []),
        ("02_split", "succeeded", ["toolbox/words.py changed"]),
        ("03_model", "up to date", []),
        ("04_judge", "up to date", []),
    ]
    assert any(line.endswith("s   toolbox/words.py changed") for line in said)
    # the run is whole all the same: every report is in its folder, and the figures are all there
    folder = project / "experiments/runs" / told["id"]
    assert all((folder / f"{stage.name}.html").is_file() for stage in CHAIN)
    assert told["figures"] == {"rows": {"value": 2, "low": None, "high": None, "unit": ""}}
    assert told["stages"][2]["run"] == manifests(project)[0]["id"]
    index = (project / "experiments/index.html").read_text()
    assert f"runs/{told['id']}/03_model.html" in index
    assert run(project) == 0 and manifests(project)[-1]["id"] == told["id"]


def test_a_failure_is_resumed_by_a_plain_rerun(tmp_path, capsys):
    """What has succeeded stays, and what failed runs: once it is mended, nothing else does."""
    root = make(tmp_path / "project")
    write_notebook(root / "notebooks/04_judge.ipynb", 'model: str = "m"\ntest: str = "t"', "1 / 0")
    assert run(root, "--quiet") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    write_notebook(root / "notebooks/04_judge.ipynb", 'model: str = "m"\ntest: str = "t"', "1")
    assert run(root, "--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ended = [(e["stage"], e["status"]) for e in events if e["event"] == "stage ended"]
    assert ended == [
        ("01_look", "up to date"),
        ("02_split", "up to date"),
        ("03_model", "up to date"),
        ("04_judge", "succeeded"),
    ]
    # and what was once good stays so when a change is tried, fails, and is taken back
    assert run(root, "--quiet", "--set", "mood=bad") == 1
    assert len(manifests(root)) == 3 and run(root) == 0 and len(manifests(root)) == 3


def test_what_is_gone_from_the_registry_is_made_again(project):
    model = registry_of(project) / "model"
    model.unlink()
    assert run(project, "--quiet") == 0
    assert model.exists()
    statuses = [stage["status"] for stage in manifests(project)[-1]["stages"]]
    assert statuses == ["up to date", "up to date", "succeeded", "up to date"]
