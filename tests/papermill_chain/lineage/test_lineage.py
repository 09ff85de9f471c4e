"""Who made which file from what: `lineage.json` of each good run, and what `--lineage` answers."""

import json
import shutil
from hashlib import sha256

import pytest
from toy import make, manifests, run

RAW, TRAIN, CARD = "data/raw.csv", "data/split/train.csv", "models/card.txt"
EXTERNAL = "external input"


@pytest.fixture(scope="module")
def made(toy_that_has_run):
    """A project that has run; then its model alone, on a training set altered by hand."""
    root = toy_that_has_run
    assert run(root, "--quiet", "--only", "03", "--set", "mood=glad") == 0
    (root / TRAIN).write_text("altered")
    assert run(root, "--quiet", "--only", "03", "--set", "mood=sad") == 0
    return root


@pytest.fixture
def project(made, tmp_path):
    return shutil.copytree(made, tmp_path / "project")


def lineage(root, number):
    folder = sorted(root.glob("experiments/runs/*"))[number]
    recorded = json.loads((folder / "lineage.json").read_text())
    assert (recorded["chain"], recorded["run"]) == ("Toy", folder.name)
    return folder.name, {file.pop("path"): file for file in recorded["files"]}


def file_of(text, made_by, *readers, run):
    by = [{"stage": name, "run": run} for name in readers]
    hash = sha256(text.encode()).hexdigest()
    return {"sha256": hash, "bytes": len(text), "made_by": made_by, "read_by": by}


def test_each_good_run_records_every_file_its_maker_and_its_readers(made):
    id, files = lineage(made, 0)
    split, model = ({"stage": name, "run": id} for name in ("02_split", "03_model"))
    assert files == {
        RAW: file_of("raw\n", EXTERNAL, "01_look", "02_split", run=id),
        TRAIN: file_of("raw\n7", split, "03_model", run=id),
        "data/split/test.csv": file_of("test", split, "04_judge", run=id),
        "models/model.txt": file_of("good", model, "04_judge", run=id),
        CARD: file_of("good", model, run=id),
    }
    # a run of one stage names the maker in the earlier run; what nobody made comes from outside
    second, files = lineage(made, 1)
    assert files[TRAIN] == file_of("raw\n7", split, "03_model", run=second)
    assert files[CARD]["made_by"] == {"stage": "03_model", "run": second} and len(files) == 3
    third, files = lineage(made, 2)
    assert files[TRAIN] == file_of("altered", EXTERNAL, "03_model", run=third)


def test_a_run_that_failed_records_none(project):
    assert run(project, "--quiet", "--only", "03", "--set", "mood=bad") == 1
    assert len(list(project.glob("experiments/runs/*"))) == 4
    assert len(list(project.glob("experiments/runs/*/lineage.json"))) == 3


def test_a_file_is_followed_to_what_came_from_outside(project, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    first, _, third = (recorded["id"] for recorded in manifests(project))

    def lines(path):
        assert run(project, "--lineage", path) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    raw, sad, good, altered, train = (
        sha256(text).hexdigest()[:12] for text in (b"raw\n", b"sad", b"good", b"altered", b"raw\n7")
    )
    assert lines(CARD) == [
        f"{CARD} {sad} 3 bytes of 03_model",
        f"made by 03_model in run {third} from",
        f"{TRAIN} {altered} 7 bytes external input, in place of what 02_split writes",
    ]
    # put back what an earlier run has made: that run's makers are named, down to the raw file
    (project / CARD).write_text("good")
    (project / RAW).write_text("newer\n")
    assert lines(str(project / CARD)) == [
        f"{CARD} {good} 4 bytes of 03_model",
        f"made by 03_model in run {first} from",
        f"{TRAIN} {train} 5 bytes of 02_split ! another file lies there now",
        f"made by 02_split in run {first} from",
        f"{RAW} {raw} 4 bytes external input ! another file lies there now",
    ]

    (project / CARD).unlink()
    assert lines(CARD)[0].endswith("of 03_model ! it is gone")
    assert run(project, "--lineage", CARD, "--json") == 0
    card, train = json.loads(capsys.readouterr().out)["files"]
    assert card["on_disk"] == "gone" and card["made_by"] == {"stage": "03_model", "run": third}
    assert card["made_from"] == [{"path": TRAIN, "sha256": train["sha256"]}]
    assert train["on_disk"] == "as recorded" and train["made_by"] == EXTERNAL


def test_records_that_are_damaged_hide_nothing_that_others_have(project, capsys):
    for name in "manifest.json", "lineage.json":
        for file in project.glob(f"experiments/runs/*/{name}"):
            file.write_text("{")
    assert run(project, "--lineage", CARD) == 0
    assert "made by 03_model" in capsys.readouterr().out
    assert run(project, "--quiet", "--only", "04") == 0


def test_what_is_no_file_of_the_chain_is_refused(project, tmp_path, capsys):
    assert run(project, "--lineage", "models/crad.txt") == 2
    said = capsys.readouterr().err
    assert "models/crad.txt is no file that this chain reads or writes" in said
    assert f"did you mean {CARD}?" in said
    assert run(project, "--lineage", "\0") == 2
    fresh = make(tmp_path / "fresh")
    capsys.readouterr()
    assert run(fresh, "--lineage", RAW) == 2
    assert f"no run has recorded {RAW} yet; run the chain first" in capsys.readouterr().err
