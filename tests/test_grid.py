"""The chain run for each combination of some parameters: apart from all else, resumed, compared."""

import csv
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import barriers, browser, visit  # noqa: F401
from toy import HEADLINE, RAW, REPOSITORY, SPLIT, family, make, run, wait_for, write_notebook

from papermill_chain import Stage
from papermill_chain.grid import Combination, Result, run_one
from papermill_chain.gridpage import figures_of, number_in

CHAIN = [
    Stage("02_split", reads=RAW, writes=SPLIT),
    Stage("04_judge", reads={"test": SPLIT["test"]}),
]
PROGRAM = f"""
import sys
from pathlib import Path
from papermill_chain import Stage
from papermill_chain.stages import Elsewhere
import toy

ROOT = Path(__file__).resolve().parent
sys.exit(toy.run(ROOT, *sys.argv[1:], chain={CHAIN!r}, shared=["TOY_STORE"]))
"""
# it fails for one seed, waits for ever for another, and tells of a store that it should not see
JUDGE = f"""
import os, time
from IPython.display import display
if seed == 3:
    raise ValueError("no <b>luck</b> with 3")
while seed == 9 and "TOY_GO" not in os.environ:
    time.sleep(0.1)
figures = {{"score": f"{{seed / 10}} (0 to 1)", "winner": ["even", "odd"][seed % 2], "rows": 2,
           "store": os.environ.get("TOY_STORE", "none")}}
display({{"{HEADLINE}": {{"text": "judged", "figures": figures}}, "text/plain": ""}}, raw=True)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = make(tmp_path_factory.mktemp("grid") / "project")
    (root / "run_all.py").write_text(PROGRAM)
    parameters = 'test: str = "t"\nseed: int = 7\nmood: str = "good"'
    write_notebook(root / "notebooks/04_judge.ipynb", parameters, JUDGE)
    return root


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_left():
    """Whatever a failing test has left running ends with it."""
    yield
    while STARTED:
        with STARTED.pop() as chain:
            chain.terminate()


def start(root: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    """Type ``python run_all.py ...`` in a project."""
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")])
    chain = subprocess.Popen(
        [sys.executable, "run_all.py", *arguments], cwd=root,
        env=os.environ | {"PYTHONPATH": path} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    STARTED.append(chain)
    return chain


def ran(root: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    chain = start(root, *arguments, **environment)
    said = chain.communicate(timeout=120)
    return (chain.returncode, *said)


def state(root: Path) -> dict[str, bytes]:
    """All files of a checkout but those of its grids."""
    return {
        str(path): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "grids" not in path.parts and "__pycache__" not in path.parts
    }


def grids(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("experiments/grids/*/grid.json"))


@pytest.fixture(scope="module")
def explored(project) -> tuple[dict[str, bytes], Path, tuple[int, str, str]]:
    """A grid of two seeds, of which one fails; and what the checkout held before."""
    before = state(project)
    done = ran(
        project, "--grid", "seed=3..4", "--set", "mood=fine", "--grid-jobs", "2", TOY_STORE="x"
    )
    (folder,) = grids(project)
    return before, folder, done


def test_each_combination_runs_apart_and_one_that_fails_stops_no_other(project, explored):
    before, folder, (code, out, err) = explored
    assert code == 1
    assert state(project) == before  # neither data nor models nor experiments of its own
    rows = list(csv.DictReader((folder / "grid.csv").read_text().splitlines()))
    assert [row["combination"] + row["seed"] for row in rows] == ["13", "24"]
    assert [row["status"] for row in rows] == ["failed", "succeeded"]
    assert [row["score"] for row in rows] == ["", "0.4 (0 to 1)"]
    assert {row["store"] for row in rows} == {"none", ""}  # shared stores are not for a grid
    assert (folder / "2/data/split/train.csv").read_text() == "raw\n4"
    failed = [line for line in err.splitlines() if line]
    assert failed[0] == (
        "seed=3 failed: 04_judge, under “What it does”: ValueError: no <b>luck</b> with 3"
    )
    assert (project / failed[1].strip()).name == "04_judge.html"
    assert (project / failed[1].strip()).is_file()
    assert "2 of 2  seed=" in out
    assert f"Grid {folder.name} failed: 1 of 2 combinations have results" in out


def test_the_same_request_goes_on_with_what_has_changed(project, explored):
    """A changed notebook is copied anew, and what rests on the old one runs again, and no more."""
    _, folder, _ = explored
    request = ["--grid", "seed=3..4", "--set", "mood=fine", "--json"]
    began = time.monotonic()
    code, out, _ = ran(project, *request, "--dry-run")
    assert code == 0 and [line.split()[-1] for line in out.splitlines()[:2]] == ["run", "done"]
    notebook = project / "notebooks/04_judge.ipynb"
    before = notebook.read_text()
    try:
        notebook.write_text(before.replace("seed == 3", "seed == 33"))
        code, out, err = ran(project, *request)
    finally:
        notebook.write_text(before)
    assert (code, err, grids(project)) == (0, "", [folder])
    events = [json.loads(line) for line in out.splitlines()]
    ended = [e for e in events if e["event"] == "combination ended"]
    assert [e["figures"]["score"][:3] for e in ended] == ["0.3", "0.4"]
    # both had to judge again, since that notebook has changed, and nothing else
    stages = [(e["stage"], e["status"]) for e in events if e["event"] == "stage ended"]
    assert [status for name, status in stages if name == "04_judge"] == ["succeeded"] * 2
    assert {status for name, status in stages if name != "04_judge"} == {"up to date"}
    assert events[-1]["status"] == "succeeded" and time.monotonic() - began < 60


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_grid_leaves_no_process_and_the_same_command_goes_on(project, number):
    """One seed waits for ever; a grid that is killed outright takes its chains along, too."""
    seeds = "seed=5,9" if number == signal.SIGINT else "seed=9"
    before = grids(project)
    grid = start(project, "--grid", seeds, "--grid-jobs", "1")
    wait_for(lambda: len(grids(project)) > len(before))
    (folder,) = set(grids(project)) - set(before)
    judging = f"{len(seeds.split(','))}/experiments/runs/*/04_judge.ipynb"
    wait_for(lambda: list(folder.glob(judging)))
    assert len(family(folder)) >= 2
    if number == signal.SIGINT:
        code, _, said = ran(project, "--grid", "seed=1,2")
        assert (code, f"grid {folder.name}, process {grid.pid}, is going on" in said) == (75, True)
    asked = time.monotonic()
    grid.send_signal(number)
    grid.communicate(timeout=15)
    wait_for(lambda: not family(folder), seconds=5)
    assert time.monotonic() - asked < 6
    told = json.loads((folder / "grid.json").read_text())
    statuses = [one["result"]["status"] for one in told]
    (manifest,) = folder.glob(f"{len(told)}/experiments/runs/*/manifest.json")
    # it has ended in good order, and said so
    wait_for(lambda: json.loads(manifest.read_text())["status"] == "interrupted", seconds=5)
    if number == signal.SIGINT:
        assert (grid.returncode, statuses) == (130, ["succeeded", "interrupted"])
        code, out, _ = ran(project, "--grid", seeds, TOY_GO="yes")
        assert code == 0
        assert "1 of 2  seed=5: up to date\n" in out and "2 of 2  seed=9: succeeded" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--grid sed=1..3", "no notebook has a parameter sed; did you mean seed"),
        ("--grid seed=1,x", "seed=x: seed is of type int in 02_split"),
        ("--grid seed=3..1", "seed=3..1 is an empty range"),
        ("--grid seed=1..9..0", "seed=1..9..0 is an empty range"),
        ("--grid seed", "--grid takes NAME=1..10 or NAME=A,B,C, not seed"),
        ("--grid seed=1 --grid seed=2", "seed is twice in --grid"),
        ("--grid seed=1..3,02", "--grid asks twice for seed=2"),
        ("--grid seed=1..3 --set seed=4", "seed is in --set as well as in --grid"),
        ("--grid seed=1..201", "201 combinations are more than 200; add --yes"),
        ("--grid seed=1..999999999999999999999", "has more than 100,000 values"),
        ("--grid train=a,b", "train cannot be set: it is data/split/train.csv"),
        ("--grid raw=no.csv,raw.csv", "raw=no.csv: there is no such file"),
        ("--grid seed=1..3 --only 2", "a grid runs the whole chain"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(project, monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(sys, "argv", [str(project / "run_all.py")])
    before = grids(project)
    assert run(project, *arguments.split(), chain=CHAIN) == 2
    assert sentence in capsys.readouterr().err
    assert grids(project) == before


def test_a_program_outside_of_the_project_cannot_be_copied(project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/nowhere/run_all.py"])
    assert run(project, "--grid", "seed=1..3", chain=CHAIN) == 2
    assert "a grid copies the program that runs the chain" in capsys.readouterr().err


def test_what_runs_one_combination_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(run_one)) is run_one
    one = Combination(1, "1", {"seed": "1"}, {"seed": "1"}, Result("succeeded", 1.5, "id"))
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("figure", "number"),
    [
        (0.5, 0.5), (3, 3.0), ("0.757 (0.681 to 0.833)", 0.757), ("-1e-3", -0.001), ("−2 %", -2.0),
        ("1,200", 1200.0), ("0.768 ± 0.055", 0.768), (".5", 0.5), ("yes", None), (True, None),
        ("2026-11-24", None), ("3 of 7", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_figures_that_are_numbers_or_begin_with_one(figure, number):
    assert number_in(figure) == number


def table(*rows: tuple[str, str, dict]) -> list[Combination]:
    """Combinations of seed and size with the figures they have found."""
    return [
        Combination(number, str(number), {"seed": seed, "size": size}, {},
                    Result("succeeded" if figures else "failed", 1.0, "id", figures))
        for number, (seed, size, figures) in enumerate(rows, start=1)
    ]  # fmt: skip


def test_the_summary_of_a_grid_by_hand():
    """Four good combinations: scores .2, .4, .6, 1.0; medians and means by value as on paper."""
    names, constant, (score,), (best,) = figures_of(
        table(
            ("1", ".2", {"score": "0.2 (0 to 1)", "best": "forest", "rows": 2}),
            ("1", ".3", {"score": "0.4 (0 to 1)", "best": "line", "rows": 2}),
            ("2", ".2", {"score": "1.0 (0 to 1)", "best": "line", "rows": 2}),
            ("2", ".3", {"score": "0.6 (0 to 1)", "best": "line", "rows": 2}),
            ("3", ".2", {}),  # it failed
        )
    )
    assert names == ["score", "best", "rows"] and constant == {"rows": 2}
    assert (score.low, score.middle, score.high) == (0.2, 0.5, 1.0)  # (.4 + .6) / 2
    # from 10 to 630 of 640: .2 and 1.0 at the ends, .4 and .6 at a quarter and a half between
    assert [round(x) for x, _, _ in score.dots] == [10, 165, 320, 630]
    assert [told for *_, told in score.dots][0] == "seed=1 size=.2: 0.2"
    means = {name: [(level.value, round(level.mean, 9), level.count) for level in levels]
             for name, levels in score.levels.items()}  # fmt: skip
    assert means == {
        "seed": [("1", 0.3, 2), ("2", 0.8, 2)],  # (.2 + .4) / 2, (1.0 + .6) / 2
        "size": [(".2", 0.6, 2), (".3", 0.5, 2)],  # (.2 + 1.0) / 2, (.4 + .6) / 2
    }
    assert [(word, count) for word, count, _ in best.bars] == [("line", 3), ("forest", 1)]


def test_the_page_is_read_and_sorted_in_a_browser(explored, browser):  # noqa: F811
    _, folder, _ = explored
    for width, scheme in [(1280, "light"), (390, "dark")]:
        with visit(browser, folder / "index.html", width=width, color_scheme=scheme) as page:
            assert page.title() == f"{folder.name} · Toy"
            assert page.locator("b:text('luck')").count() == 0  # shown as it is, not as HTML
            assert not barriers(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    with visit(browser, folder / "index.html") as page:
        seeds = lambda: page.locator("#table tbody td:nth-child(2)").all_inner_texts()  # noqa: E731
        button = page.get_by_role("button", name="seed")
        assert seeds() == ["3", "4"]
        button.press("Enter")
        assert seeds() == ["3", "4"]
        button.press("Enter")
        assert seeds() == ["4", "3"]
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("seed")
        page.get_by_role("link", name="Reports of seed=4").click()
        assert page.title() == "Toy"
