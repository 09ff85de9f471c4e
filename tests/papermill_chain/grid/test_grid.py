"""The chain run for each combination of some parameters: apart from all else, resumed, compared."""

import csv
import json
import os
import pickle
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from browser import barriers, visit
from gridproject import (
    CHAIN,
    grids,
    ran,
    start,
    state,
    statuses_of,
)
from toy import family, run, wait_for

from papermill_chain.grid.combinations import Combination, Result
from papermill_chain.grid.page import figures_of
from papermill_chain.grid.workspace import copy_source, fill, run_one
from papermill_chain.runs.figures import Figure
from papermill_chain.runs.lock import only_run


@dataclass
class Go:
    """One go at a grid: its answer, its record, and the run it was at."""

    code: int
    out: str
    err: str
    seconds: float = 0.0  # from the signal to the end of all its processes
    statuses: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)  # of the combination that waits, as they ended


@dataclass
class Explored:
    """A grid of three seeds that was killed, then stopped, and then went on to its end."""

    before: dict[str, bytes]  # what the checkout held
    folder: Path
    killed: Go
    stopped: Go
    went_on: Go


@pytest.fixture(scope="module")
def explored(grid_project) -> Explored:
    request = ["--grid", "seed=4,9,3", "--set", "mood=fine", "--grid-jobs", "1"]
    with only_run(grid_project / "experiments"):  # it leaves an empty file
        pass
    before = state(grid_project)
    killed = ended_by(signal.SIGKILL, grid_project, request, runs=1)
    stopped = ended_by(signal.SIGINT, grid_project, request, runs=2)
    (folder,) = grids(grid_project)
    with only_run(grid_project / "experiments"):  # a plain run beside it does no harm
        last = Go(*ran(grid_project, *request, "--json", TOY_STORE="x", TOY_GO="yes"))
    last.statuses, last.runs = statuses_of(folder), statuses_of_runs(folder)
    return Explored(before, folder, killed, stopped, last)


def ended_by(number: signal.Signals, project: Path, request: list[str], runs: int) -> Go:
    """A go at a grid that a signal ends, once the combination that waits is at its n-th run."""
    grid = start(project, *request, TOY_STORE="x")
    waiting = "experiments/grids/*/2/experiments/runs/*/04_judge.ipynb"
    wait_for(lambda: len(list(project.glob(waiting))) == runs)
    (folder,) = grids(project)
    wait_for(lambda: len(family(folder)) >= 2)
    grid.send_signal(number)
    asked = time.monotonic()
    out, err = grid.communicate(timeout=300)
    wait_for(lambda: not family(folder))
    go = Go(grid.returncode, out, err, time.monotonic() - asked)
    # chains that lost their grid write their last lines when their kernels are gone already
    wait_for(lambda: "running" not in statuses_of_runs(folder))
    go.statuses, go.runs = statuses_of(folder), statuses_of_runs(folder)
    return go


def statuses_of_runs(folder: Path) -> list[str]:
    """How each run of the second combination has ended, the first one first."""
    manifests = sorted((folder / "2/experiments/runs").glob("*/manifest.json"))
    return [json.loads(path.read_text())["status"] for path in manifests]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_or_stopped_grid_leaves_no_process_and_the_same_command_goes_on(explored):
    """Whatever ends the grid, its chains end in good order; what has succeeded is not run again."""
    killed, stopped, went_on = explored.killed, explored.stopped, explored.went_on
    assert (killed.code, killed.statuses) == (-9, ["succeeded", "running", "not run"])
    assert killed.runs == ["interrupted"] and killed.seconds < 150
    assert (stopped.code, stopped.err) == (130, "")
    assert stopped.statuses == ["up to date", "interrupted", "not run"]
    assert stopped.runs == ["interrupted"] * 2 and stopped.seconds < 150
    assert "1 of 3  seed=4: up to date\n" in stopped.out
    assert "Next: python run_all.py --grid seed=4,9,3 --set mood=fine    # goes on" in stopped.out
    assert went_on.statuses == ["up to date", "succeeded", "failed"]
    assert went_on.runs == ["interrupted"] * 2 + ["succeeded"]


def test_each_combination_runs_apart_and_one_that_fails_stops_no_other(grid_project, explored):
    folder, done = explored.folder, explored.went_on
    assert done.code == 1
    assert (
        state(grid_project) == explored.before
    )  # neither data nor models nor experiments of its own
    rows = list(csv.DictReader((folder / "grid.csv").read_text().splitlines()))
    assert [row["combination"] + row["seed"] for row in rows] == ["14", "29", "33"]
    assert [row["score"] for row in rows] == ["0.4", "0.9", ""]
    assert [row["score low"] + row["score high"] for row in rows] == ["01", "01", ""]
    assert [row["store"] for row in rows] == [
        "none",
        "none",
        "",
    ]  # shared stores are not for a grid
    assert (folder / "2/models/verdict.txt").read_text() == "fine 9"
    failed, report = done.err.splitlines()
    assert failed == (
        "seed=3 failed: 04_judge, under “What it does”: ValueError: no <b>luck</b> with 3"
    )
    assert "no &lt;b&gt;luck" in (grid_project / report.strip()).read_text()
    events = [json.loads(line) for line in done.out.splitlines()]
    ended = [event for event in events if event["event"] == "combination ended"]
    assert [(event["parameters"]["seed"], event["done"]) for event in ended] == [
        ("4", 1),
        ("9", 2),
        ("3", 3),
    ]
    assert (events[-1]["event"], events[-1]["status"]) == ("grid ended", "failed")
    assert events[-1]["page"] == str(folder / "index.html")


def test_what_has_changed_is_copied_anew_and_links_to_the_old_stay_as_they_are(tmp_path):
    here, source, workspace = tmp_path / "here", tmp_path / "source", tmp_path / "workspace"
    here.mkdir()
    for name in "a.py", "b.py", "c.py":
        (here / name).write_text("old")
    first = {name: here / name for name in ("a.py", "b.py", "c.py")}
    assert copy_source(first, source) and not copy_source(first, source)
    fill(workspace, source)
    (workspace / "made.txt").write_text("by a run")
    kept = (source / "b.py").stat().st_ino
    (here / "a.py").write_text("new")
    assert copy_source({name: here / name for name in ("a.py", "b.py")}, source)
    assert (workspace / "a.py").read_text() == "old" and (source / "b.py").stat().st_ino == kept
    assert sorted(path.name for path in source.iterdir()) == ["a.py", "b.py"]
    fill(workspace, source)
    assert (workspace / "a.py").read_text() == "new" and not (workspace / "c.py").exists()
    assert (workspace / "made.txt").read_text() == "by a run"


@pytest.mark.skipif(os.name == "nt", reason="no flock")
def test_one_grid_at_a_time(grid_project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(grid_project / "run_all.py")])
    with only_run(grid_project / "experiments" / "grids", "grid seed-1"):
        assert run(grid_project, "--grid", "seed=1,2", chain=CHAIN) == 75
    assert f"grid seed-1, process {os.getpid()}, is going on" in capsys.readouterr().err


def test_a_dry_run_lists_the_combinations_and_which_are_done(
    grid_project, explored, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", [str(grid_project / "run_all.py")])
    request = ["--grid", "seed=4,9,3", "--set", "mood=fine", "--dry-run", "--grid-jobs", "2"]
    assert run(grid_project, *request, chain=CHAIN) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines == ["seed=4  done", "seed=9  done", "seed=3  would run"]
    assert last.startswith("1 of 3 to run, 2 at a time; page: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--grid sed=1..3", "no notebook has a parameter sed; did you mean seed"),
        ("--grid seed=1,x", "seed=x: seed is of type int in 04_judge"),
        ("--grid seed=3..1", "seed=3..1 is an empty range"),
        ("--grid seed=1..9..0", "seed=1..9..0 is an empty range"),
        ("--grid seed", "--grid takes NAME=1..10 or NAME=A,B,C, not seed"),
        ("--grid seed=1 --grid seed=2", "seed is twice in --grid"),
        ("--grid seed=1..3,02", "--grid asks twice for seed=2"),
        ("--grid seed=1..3 --set seed=4", "seed is in --set as well as in --grid"),
        ("--grid seed=1..201", "201 combinations are more than 200; add --yes"),
        ("--grid seed=1..999999999999999999999", "has more than 100,000 values"),
        ("--grid verdict=a,b", "verdict cannot be set: it is models/verdict.txt"),
        ("--grid raw=no.csv,raw.csv", "raw=no.csv: there is no such file"),
        ("--grid seed=1..3 --only 4", "a grid runs the whole chain"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(
    grid_project, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.setattr(sys, "argv", [str(grid_project / "run_all.py")])
    before = grids(grid_project)
    assert run(grid_project, *arguments.split(), chain=CHAIN) == 2
    assert sentence in capsys.readouterr().err
    assert grids(grid_project) == before


def test_a_program_outside_of_the_project_cannot_be_copied(grid_project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/nowhere/run_all.py"])
    assert run(grid_project, "--grid", "seed=1..3", chain=CHAIN) == 2
    assert "a grid copies the program that runs the chain" in capsys.readouterr().err


def test_what_runs_one_combination_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(run_one)) is run_one
    one = Combination(1, "1", {"seed": "1"}, {"seed": "1"}, Result("succeeded", 1.5, "id"))
    assert pickle.loads(pickle.dumps(one)) == one


def table(*rows: tuple[str, str, dict]) -> list[Combination]:
    """Combinations of seed and size with the figures they have found."""
    return [
        Combination(
            number,
            str(number),
            {"seed": seed, "size": size},
            {},
            Result("succeeded" if figures else "failed", 1.0, "id", figures),
        )
        for number, (seed, size, figures) in enumerate(rows, start=1)
    ]


def found(score: float, best: str) -> dict[str, Figure]:
    return {"score": Figure(score, 0, 1), "best": Figure(best), "rows": Figure(2)}


def test_the_summary_of_a_grid_by_hand():
    """Four good combinations: scores .2, .4, .6, 1.0; medians and means by value as on paper."""
    names, constant, (score,), (best,) = figures_of(
        table(
            ("1", ".2", found(0.2, "forest")),
            ("1", ".3", found(0.4, "line")),
            ("2", ".2", found(1.0, "line")),
            ("2", ".3", found(0.6, "line")),
            ("3", ".2", {}),  # it failed
        )
    )
    assert names == ["score", "best", "rows"] and constant == {"rows": Figure(2)}
    assert (score.low, score.middle, score.high) == (0.2, 0.5, 1.0)  # (.4 + .6) / 2
    # from 10 to 630 of 640: .2 and 1.0 at the ends, .4 and .6 at a quarter and a half between
    assert [round(x) for x, _, _ in score.dots] == [10, 165, 320, 630]
    assert next(label for *_, label in score.dots) == "seed=1 size=.2: 0.2"
    means = {
        name: [(level.value, round(level.mean, 9), level.count) for level in levels]
        for name, levels in score.levels.items()
    }
    assert means == {
        "seed": [("1", 0.3, 2), ("2", 0.8, 2)],  # (.2 + .4) / 2, (1.0 + .6) / 2
        "size": [(".2", 0.6, 2), (".3", 0.5, 2)],  # (.2 + 1.0) / 2, (.4 + .6) / 2
    }
    assert best.bars == [("line", 3, 0.75), ("forest", 1, 0.25)]  # 3 and 1 of 4


def test_the_page_is_read_and_sorted_in_a_browser(explored, browser):
    folder = explored.folder
    with visit(browser, folder.parent.parent / "index.html") as page:  # at once, without a run
        page.get_by_role("link", name=folder.name).click()
        assert page.title() == f"{folder.name} · Toy"
    with visit(browser, folder / "index.html", width=390, color_scheme="dark") as page:
        assert page.locator("b:text('luck')").count() == 0  # shown as it is, not as HTML
        assert not barriers(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with visit(browser, folder / "index.html", color_scheme="light") as page:
        assert page.title() == f"{folder.name} · Toy"
        assert not barriers(page)
        seeds = lambda: page.locator("#table tbody td:nth-child(2)").all_inner_texts()
        assert seeds() == ["4", "9", "3"]
        button = page.get_by_role("button", name="score")
        for expected in ["4", "9", "3"], ["9", "4", "3"]:  # what has no score is last either way
            button.press("Enter")
            assert seeds() == expected
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("score")
        page.get_by_role("link", name="Report of seed=3").click()
        assert "The notebook 04_judge" in page.title()
