"""--notify and --keep with --grid: word of the whole, and each combination keeps few runs."""

import json
import os
import sys
from pathlib import Path

from gridproject import CHAIN, grids
from toy import REPOSITORY, run
from wordservers import web_server

from papermill_chain.runs.lookup import read_runs


def runs_of(folder: Path, combination: int) -> list[str]:
    return [run.id for run in read_runs(folder / str(combination) / "experiments")]


def test_a_grid_sends_word_once_and_its_combinations_keep_the_newest_runs(
    grid_project, monkeypatch, capsys
):
    """Seeds 5 and 8 score 0.5 and 0.8, 3 fails; then again after a change of the notebook."""
    request = ["--grid", "seed=5,8,3", "--keep", "1", "--notify", "env:HOOK"]
    monkeypatch.setattr(sys, "argv", [str(grid_project / "run_all.py")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")]))

    def ran(*arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("HOOK", web)  # a run takes it out of its environment
        code = run(grid_project, *arguments, chain=CHAIN)
        return code, capsys.readouterr().out

    with web_server() as (web, posted):
        code, out = ran(*request)
        assert code == 1 and "Sent word to env:HOOK" in out
        ((_, said),) = posted  # by the grid; not by each of its chains
        (folder,) = grids(grid_project)
        assert said["grid"] == {
            "id": folder.name,
            "combinations": 3,
            "good": 2,
            "failed": ["seed=3"],
        }
        assert said["status"] == "failed"
        assert said["summary"] == "2 of 3 combinations have results, 1 failed"
        assert said["report"] == str(folder / "index.html")
        assert "seed=3 failed: 04_judge, under “What it does”: ValueError" in said["reason"]
        assert "score: lowest 0.500 (0.000 to 1.000) with seed=5, highest 0.800" in said["text"]
        first = runs_of(folder, 1), runs_of(folder, 3)

        notebook = grid_project / "notebooks/04_judge.ipynb"
        notebook.write_text(notebook.read_text().replace("What it does", "What it judges"))
        code, out = ran(*request, "--json")
        events = [json.loads(line) for line in out.splitlines()]
        removed = [event for event in events if event["event"] == "runs removed"]
        # of two runs each, the older one of those that came to a good end
        assert {event["combination"]: len(event["runs"]) for event in removed} == {1: 1, 2: 1}
        assert len(runs_of(folder, 1)) == 1 and runs_of(folder, 1) != first[0]
        assert len(runs_of(folder, 3)) == 2 and runs_of(folder, 3)[1:] == first[1]

        # all is up to date: word of it only if it is always wanted; nothing is left to remove
        good = ["--grid", "seed=5", "--keep", "1", "--notify", "env:HOOK"]
        assert ran(*good)[0] == 0
        code, out = ran(*good)
        assert code == 0 and "Sent word" not in out and "Removed" not in out
        assert [each["status"] for _, each in posted] == ["failed", "failed", "succeeded"]
        code, out = ran(*good, "--notify-on", "always")
        assert code == 0 and posted[-1][1]["status"] == "up to date"
        assert posted[-1][1]["summary"] == "1 of 1 combinations have results"
