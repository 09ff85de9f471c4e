"""Whatever befalls the runner's own files: no traceback, no wait, good outputs stay."""

import dataclasses
import os
import random
import shutil
from pathlib import Path

import pytest
from damage import damage, no_longer_than, remove
from toy import CHAIN, make, run

from papermill_chain.execution import runner
from papermill_chain.execution.publication import reuse_last
from papermill_chain.grid.combinations import Combination, Grid, Result
from papermill_chain.grid.results import results_before, write_results
from papermill_chain.grid.workspace import copy_source, fill
from papermill_chain.reports.index import write_index
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.files import publish
from papermill_chain.runs.lock import Busy, only_run
from papermill_chain.runs.manifest import Run, read_run
from papermill_chain.runs.record_files import parsed
from papermill_chain.runs.records import last_good, remember
from papermill_chain.runs.start import new_run
from work_units.regular_files import Damaged

pytestmark = pytest.mark.skipif(os.name == "nt", reason="neither pipes nor flock")

#: Below experiments/, or below the project. What is JSON can be wrong in more ways than the others.
JSON = ["stages.json", ".publishing.json", "manifest"]
RECORDS = [*JSON, ".lock", "index.html", "picture"]
LEFTOVERS = ["models/.model.txt.old", "models/.model.txt.new", "models/.card.txt.old"]


class Project:
    """A project that can be put back to how it was, and whose runs execute nothing."""

    def __init__(self, root: Path, monkeypatch):
        self.root, self.experiments = root, root / "experiments"
        self.run_folder = next(self.experiments.glob("runs/*"))
        self.outside = root.with_name("outside")
        self.outside.mkdir(exist_ok=True)
        self.good = last_good(self.experiments)
        picture = self.run_folder / "02_split.headline.png"
        picture.write_bytes(b"\x89PNG\r\n\x1a\n")
        manifest = read_run(self.run_folder)
        manifest.records["02_split"].picture = {"file": picture.name, "alt": "rows"}
        manifest.save()
        self.places = {
            "manifest": self.run_folder / "manifest.json",
            "picture": picture,
            ".publishing.json": self.experiments / ".publishing.json",
            **{name: self.experiments / name for name in ("stages.json", ".lock", "index.html")},
            **{name: root / name for name in LEFTOVERS},
        }
        self.outputs = {path: path.read_bytes() for path in (root / "models").iterdir()}
        self.before = {
            path: path.read_bytes() for path in self.places.values() if path.is_file()
        } | self.outputs
        monkeypatch.setattr(runner, "run_chain", self.run_without_kernels)

    def run_without_kernels(self, plan, last, to_run, view, cache=None):
        """In the place of the runner's: each notebook has succeeded as it did before."""
        new = Run(self.experiments / "runs/9", "9", "Toy", "2026-01-01T00:00:00+00:00", {}, [])
        new.folder.mkdir()
        for stage in plan.stages:
            record = plan.planned(stage)
            new.stages.append(record)
            if stage.name in to_run:
                vars(record).update(vars(self.good[stage.name]))
                remember(self.experiments, record)
            else:
                reuse_last(plan, new, record, last[stage.name])
        new.status = "succeeded"
        new.save()
        write_index(self.experiments, "Toy", "compare")
        return new, 0

    def restore(self, state: dict[Path, bytes]) -> None:
        """Put all back to where it was."""
        for place in self.places.values():
            for path in [place, *place.parent.glob(f"{place.name}.damaged-*")]:
                remove(path)
        shutil.rmtree(self.experiments / "runs/9", ignore_errors=True)
        for path, content in state.items():
            path.write_bytes(content)
        (self.outside / "file").write_text("outside")

    def killed_while_publishing(self) -> dict[Path, bytes]:
        """What is in all places once a run was killed that had just moved a new model there."""
        files = {name: self.outside / name for name in ("model.txt", "card.txt")}
        for file in files.values():
            file.write_text("new")
        if (child := os.fork()) == 0:
            unlink = Path.unlink

            def killed(path: Path, **how: bool) -> None:
                os._exit(9) if path == self.places[".publishing.json"] else unlink(path, **how)

            Path.unlink = killed
            new = {file: self.root / "models" / name for name, file in files.items()}
            publish(new, self.places[".publishing.json"])
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        paths = {*self.before, *self.places.values()}
        return {path: path.read_bytes() for path in paths if path.is_file()}


def test_a_run_gets_over_whatever_befalls_its_records(toy_that_has_run, monkeypatch, capsys):
    toy, luck = Project(toy_that_has_run, monkeypatch), random.Random(21)
    killed, names = toy.killed_while_publishing(), [*JSON, *JSON, *RECORDS, *LEFTOVERS]
    assert (toy.root / "models/model.txt").read_text() == "new"
    with no_longer_than(900):
        for number in range(300):  # 60 of each that is JSON, 20 of each other one
            name = names[number % len(names)]
            toy.restore(killed if name in RECORDS and luck.random() < 0.5 else toy.before)
            what = damage(toy.places[name], luck, toy.outside / "file")
            for asked in ["--dry-run", "--quiet"] if name == "stages.json" else ["--quiet"]:
                assert run(toy.root, asked) == 0, what
                said = capsys.readouterr().err
                assert "Traceback" not in said and said.count("\n") <= 2, (what, said)
            assert {path: path.read_bytes() for path in toy.outputs} == toy.outputs, what
            assert (toy.outside / "file").read_text() == "outside", what
            assert last_good(toy.experiments).keys() == {stage.name for stage in CHAIN}, what
            assert not os.path.lexists(toy.places[".publishing.json"]), what
            assert not any(os.path.lexists(toy.root / name) for name in LEFTOVERS), what
            if os.path.lexists(toy.experiments / "runs/9"):
                assert b"<html" in toy.places["index.html"].read_bytes(), what


def test_a_grid_gets_over_whatever_befalls_its_records(tmp_path, capsys):
    luck, outside = random.Random(22), tmp_path / "outside"
    chain = tmp_path / "chain.py"
    chain.write_text("chain")
    combinations = [
        Combination(1, "1", {"seed": "1"}, {}, Result("succeeded", 2.5, "r", {"auc": Figure(0.7)})),
        Combination(2, "2", {"seed": "2"}, {}, Result("failed", error="x")),
    ]
    rest = ("", [], [], (), None)
    grid = Grid(tmp_path, "seed", "Toy", "chain.py", {"chain.py": chain}, combinations, {}, *rest)
    grid = dataclasses.replace(grid, jobs=1)
    grid.folder.mkdir(parents=True)
    workspace, results = grid.folder / "1", grid.folder / "grid.json"
    places = [results, grid.folder / "grid.csv", grid.page, workspace / ".source"]
    places += [grid.source / "chain.py", workspace / "chain.py", results, results]
    with no_longer_than(900):
        for number in range(160):
            for old in grid.folder.rglob("*.damaged-*"):
                remove(old)
            outside.write_text("outside")
            copy_source(grid.files, grid.source)
            fill(workspace, grid.source)
            write_results(grid, "succeeded")
            assert results_before(grid) == {"1": combinations[0].result}
            place = places[number % len(places)]
            what = damage(place, luck, outside)
            before = results_before(grid)
            assert before.keys() <= {"1", "2"} or place == results, what
            again = dataclasses.replace(
                grid,
                combinations=[
                    dataclasses.replace(one, result=before.get(one.folder, one.result))
                    for one in combinations
                ],
            )
            write_results(again, "succeeded")
            copy_source(grid.files, grid.source)
            fill(workspace, grid.source)
            assert (workspace / "chain.py").read_text() == "chain", what
            assert outside.read_text() == "outside" and chain.read_text() == "chain", what
            said = capsys.readouterr().err
            assert said.count("\n") <= 2 and "Traceback" not in said, (what, said)


def test_a_number_that_no_float_holds_is_damage():
    with pytest.raises(Damaged, match="OverflowError"):
        parsed(b"1" + b"0" * 400, float)


@pytest.mark.parametrize("kind", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/no/where")])
def test_two_runs_keep_apart_where_a_lock_was_damaged(tmp_path, kind, capsys):
    kind(tmp_path / ".lock")
    with only_run(tmp_path, "run 1"):
        assert ".lock.damaged-1 and made anew" in capsys.readouterr().err
        (tmp_path / ".lock").write_bytes(b"\xff run\x1b[2J")
        with pytest.raises(Busy, match=r"run\\x1b\[2J$"), only_run(tmp_path):
            pass
    with only_run(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".lock", ".lock.damaged-1"}


def test_no_run_starts_in_a_link_that_leads_nowhere(tmp_path):
    root = tmp_path / "project"
    (root / "experiments").mkdir(parents=True)
    (root / "experiments/runs").symlink_to("/no/where")
    with no_longer_than(60), pytest.raises(FileExistsError):
        new_run(root, root / "experiments", "Toy", {}, [])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (os.mkfifo, "a named pipe"),
        (os.mkdir, "a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_an_input_that_is_no_file_is_refused_before_a_run(tmp_path, capsys, kind, words):
    root = make(tmp_path / "project")
    (root / "data/raw.csv").unlink()
    kind(root / "data/raw.csv")
    with no_longer_than(60):
        for more in [], ["--set", f"raw={root}/data/raw.csv"]:
            assert run(root, *more) == 2
            said = capsys.readouterr().err
            assert "raw.csv" in said and f"{words}; " in said and said.count("\n") == 1
    assert not list(root.glob("experiments/runs/*"))
