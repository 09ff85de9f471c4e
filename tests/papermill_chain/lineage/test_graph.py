"""`--graph`: the chain in layers in the terminal, how the last run left it, what would run next."""

import json
import os

import pytest
from toy import make, manifests, run, start


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A project whose last run has failed in its third stage, and whose raw file has changed."""
    root = make(tmp_path_factory.mktemp("graph") / "project")
    assert run(root, "--quiet") == 0
    assert run(root, "--quiet", "--set", "mood=bad") == 1
    (root / "data/raw.csv").write_text("changed\n")
    return root


@pytest.mark.parametrize("width, beside", [(80, 2), (120, 2), (50, 1)])
def test_it_shows_layers_states_and_what_would_run(failed, capsys, monkeypatch, width, beside):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(failed, "--graph") == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == f"Toy: last run {manifests(failed)[-1]['id']} failed"
    # from outside, then the layers 01 and 02; 03; 04: three arrows between four
    assert shown.count("▼") == 3
    tops = [line for line in lines if line.startswith("╭─ 0")]
    assert [top.count("╭") for top in tops] == [beside, *[1] * (4 - beside)]
    assert [name for top in tops for name in top.split() if name[0] == "0"] == [
        "01_look",
        "02_split",
        "03_model",
        "04_judge",
    ]
    words = " ".join(shown.replace("│", " ").split())
    assert words.count("next: would run: raw.csv changed") == 2
    assert "✕ failed · " in words and "next: would run if 02_split changes its files" in words
    assert "reads train.csv of 02_split writes model.txt +1" in words
    assert len(manifests(failed)) == 2, "nothing was run"


def test_as_json_it_has_every_file(failed, capsys):
    assert run(failed, "--graph", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    graph = json.loads(line)
    assert graph["event"] == "graph" and graph["last"]["status"] == "failed"
    stages = {stage["name"]: stage for stage in graph["stages"]}
    assert [stage["layer"] for stage in stages.values()] == [1, 1, 2, 3]
    judge = stages["04_judge"]
    assert judge["reads"] == {"models/model.txt": "03_model", "data/split/test.csv": "02_split"}
    assert judge["after"] == ["02_split", "03_model"]
    assert stages["02_split"]["writes"] == ["data/split/train.csv", "data/split/test.csv"]
    assert stages["02_split"]["reads"] == {"data/raw.csv": None}
    assert stages["02_split"]["next"] == {
        "would_run": True,
        "why": ["raw.csv changed"],
        "if_files_change_of": [],
    }
    assert stages["03_model"]["last"]["why"] == ["parameter mood good → bad"]


def test_what_the_encoding_lacks_is_drawn_with_plain_characters(failed):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    ended = start(failed, "--graph", env=environment)
    shown, errors = ended.communicate(timeout=60)
    assert ended.returncode == 0 and not errors
    assert shown.isascii() and "?" not in shown
    assert "+- 01_look ---" in shown and "| x failed - " in shown


def test_before_the_first_run_it_says_so(tmp_path, capsys):
    root = make(tmp_path / "project")
    assert run(root, "--graph") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Toy: no run yet\n") and shown.count("○ not run") == 4
    assert not (root / "experiments").exists()
