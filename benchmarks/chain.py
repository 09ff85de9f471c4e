"""How long the chain takes, beside the other ways to run the same notebooks and beside no runner.

    uv run --with ploomber-engine python benchmarks/chain.py            # light comparison, 3 rounds
    uv run --with ploomber-engine python benchmarks/chain.py --defaults --rounds 2

The contestants take turns, round after round, each in a fresh copy of the project, so that a busy
moment of the machine hits them all. The floor is the code cells of all notebooks as one plain
Python process, without reports. A ratio is taken within a round; shown are the median of the rounds
and, in brackets, the lowest and the highest. Wall and processor seconds count all processes. Only
ratios travel from one machine to another.
"""

import argparse
import importlib.util
import json
import os
import pickle
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = [
    "notebooks",
    "creditrisk",
    "papermill_chain",
    "page_style",
    "work_units",
    "data/raw",
    "run_all.py",
    "uv.lock",
]
SHARE = "../../../share/jupyter"  # with nbconvert's templates, which `uv run --with` hides
# Few and small fits, so that the way of running the notebooks is timed and not the forests.
LIGHT = {"repeats": 1, "folds": 3, "splits": 10}

FLOOR = """
import json, sys
settings = json.loads(sys.argv[1])
for path in sys.argv[2:]:
    space = {"__name__": "__main__"}
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
            if "parameters" in cell["metadata"].get("tags", []):
                space.update((k, v) for k, v in settings.items() if k in space)
"""

ONE_PROCESS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import nbconvert, nbformat, papermill
settings = json.loads(sys.argv[1])
for path in sys.argv[2:]:
    known = papermill.inspect_notebook(path)
    parameters = {name: value for name, value in settings.items() if name in known}
    papermill.execute_notebook(path, f"../out/{path}", parameters, progress_bar=False)
    html, _ = nbconvert.HTMLExporter().from_filename(f"../out/{path}")
    open(f"../out/{path}.html", "w").write(html)
"""

PLOOMBER = """
import json, sys, warnings
warnings.simplefilter("ignore")
import papermill
from ploomber_engine import execute_notebook
settings = json.loads(sys.argv[1])
for path in sys.argv[2:]:
    known = papermill.inspect_notebook(path)
    parameters = {name: value for name, value in settings.items() if name in known}
    execute_notebook(path, f"../out/{path}", parameters=parameters,
                     progress_bar=False, verbose=False)
"""


@dataclass
class Contestant:
    """A way to run the notebooks of a project."""

    name: str
    commands: Callable[[list[str], dict], list[list[str]]]  # for these notebooks and settings
    here: str = "notebooks"
    fresh: bool = True  # else in the copy that the one before it has run in
    path: list[str] = field(default_factory=list)  # folders it imports from besides
    change: Callable[[Path], None] = lambda project: None


@dataclass
class Taken:
    """Seconds of time and of processor time."""

    wall: float
    cpu: float


def contestants() -> list[Contestant]:
    """Who is compared, with the floor first."""
    python = sys.executable

    def one_process(program: str):
        return lambda notebooks, settings: [
            [python, "-c", program, json.dumps(settings), *notebooks]
        ]

    def ours(notebooks, settings):
        sets = [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]
        return [[python, "run_all.py", "--quiet", *sets]]

    def floor_of_05(notebooks, settings):
        only = [path for path in notebooks if path.startswith("05")]
        return one_process(FLOOR)(only, settings)

    def shell_loop(notebooks, settings):
        commands = []
        for path in notebooks:
            text = Path(ROOT, "notebooks", path).read_text("utf-8")
            own = [p for k, v in settings.items() if f"{k}: " in text for p in ("-p", k, str(v))]
            out = f"../out/{path}"
            commands += [
                [python, "-m", "papermill", "--no-progress-bar", path, out, *own],
                [python, "-m", "nbconvert", "--to", "html", out],
            ]
        return commands

    def nbconvert(notebooks, settings):
        write = "import sys; exec(sys.argv[1])"
        return [
            [python, "-c", write, WITH_SETTINGS, json.dumps(settings), *notebooks],
            *(
                [
                    python,
                    "-m",
                    "nbconvert",
                    "--execute",
                    "--to",
                    "html",
                    "--output-dir",
                    "../out",
                    path,
                ]
                for path in notebooks
            ),
        ]

    found = [
        Contestant("floor: the code cells, one plain process", one_process(FLOOR)),
        Contestant("ours, cold run", ours, here="."),
        Contestant("ours, unchanged rerun", ours, here=".", fresh=False),
        Contestant("ours, 05's notebook changed", ours, here=".", fresh=False, change=_change_05),
        Contestant("floor of 05 alone", floor_of_05, fresh=False),
        Contestant("papermill CLI and nbconvert in a loop", shell_loop),
        Contestant("papermill and nbconvert, one process", one_process(ONE_PROCESS)),
        Contestant("jupyter nbconvert --execute in a loop", nbconvert),
    ]
    if there := importlib.util.find_spec("ploomber_engine"):
        path = [str(Path(there.origin).parent.parent)]
        found.append(Contestant("ploomber-engine, no HTML", one_process(PLOOMBER), path=path))
    return found


WITH_SETTINGS = """
import json
settings = json.loads(sys.argv[2])
for path in sys.argv[3:]:
    notebook = json.load(open(path))
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            text = "".join(cell["source"])
            cell["source"] = text + "".join(
                f"\\n{k} = {v!r}" for k, v in settings.items() if f"\\n{k}: " in text)
    json.dump(notebook, open(path, "w"))
"""


def _change_05(project: Path) -> None:
    """A remark in a code cell, as one who works on a notebook would make it."""
    (path,) = (project / "notebooks").glob("05_*.ipynb")
    notebook = json.loads(path.read_text("utf-8"))
    cell = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][-1]
    cell["source"] = "# changed\n" + "".join(cell["source"])
    path.write_text(json.dumps(notebook), "utf-8")


def copy_project(place: Path) -> Path:
    """What a fresh clone holds."""
    for part in PARTS:
        (place / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            made = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
            shutil.copytree(ROOT / part, place / part, ignore=made)
        else:
            shutil.copy2(ROOT / part, place / part)
    (place / "out").mkdir()
    return place


def take(contestant: Contestant, project: Path, settings: dict) -> Taken:
    """Run the notebooks of a project in one way; what that took."""
    contestant.change(project)
    notebooks = sorted(path.name for path in (project / "notebooks").glob("*.ipynb"))
    environment = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    environment["JUPYTER_PATH"] = str(distribution("nbconvert").locate_file(SHARE))
    environment["PYTHONPATH"] = os.pathsep.join([str(project), *contestant.path])
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for command in contestant.commands(notebooks, settings):
        done = subprocess.run(
            command,
            cwd=project / contestant.here,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{contestant.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall, cpu)


def unlike(ours: Path, plain: Path) -> list[str]:
    """What our forked kernels have made otherwise than plain cold ones, down to the bit."""
    import pandas as pd

    sys.path.insert(0, str(ROOT))
    places = ours, plain
    tables = [p.relative_to(ours) for p in sorted((ours / "data/training").iterdir())]
    tables.append(Path("experiments/results.csv"))
    found = [str(path) for path in tables if len({(p / path).read_bytes() for p in places}) > 1]
    X = pd.read_csv(ours / "data/training/X_test.csv")
    models = [pickle.loads((p / "models/credit_risk_model.pkl").read_bytes()) for p in places]
    if len({model[-1].predict_proba(X).tobytes() for model in models}) > 1:
        found.append("probabilities")
    (run,) = sorted((ours / "experiments/runs").iterdir())[:1]
    for path in sorted(run.glob("*.ipynb")):
        pictures = [_pictures(path), _pictures(plain / "out" / path.name)]
        if pictures[0] != pictures[1]:
            apart = sum(a != b for a, b in zip(*pictures, strict=False))
            found.append(f"{apart} of {len(pictures[0])} figures of {path.stem}")
    return found


def _pictures(path: Path) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return ["".join(o["data"]["image/png"]) for o in outputs if "image/png" in o.get("data", {})]


def spread(values: list[float], digits: int = 2) -> str:
    """The median of some values, and their range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--defaults", action="store_true", help="not the light comparison")
    parser.add_argument("--only", nargs="*", default=[], help="contestants with one of these words")
    asked = parser.parse_args()
    settings = {} if asked.defaults else LIGHT
    chosen = [
        c
        for c in contestants()
        if c.name.startswith("floor")
        or not asked.only
        or any(word in c.name for word in asked.only)
    ]
    taken: dict[str, list[Taken]] = {c.name: [] for c in chosen}
    alike: list[str] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            projects: dict[str, Path] = {}
            project = Path(folder)
            for contestant in chosen:
                if contestant.fresh:
                    project = copy_project(Path(folder) / f"{number} {contestant.name[:12]}")
                projects[contestant.name] = project
                result = take(contestant, project, settings)
                taken[contestant.name].append(result)
                label = f"round {number + 1}  {contestant.name:<42}"
                print(f"{label} {result.wall:7.2f} s wall {result.cpu:7.2f} s CPU", flush=True)
            both = "ours, cold run", "papermill and nbconvert, one process"
            if alike is None and all(name in projects for name in both):
                alike = unlike(*(projects[name] for name in both))
    floor = taken[chosen[0].name]
    print(
        f"\nsettings {settings or 'defaults'}, {asked.rounds} rounds,"
        f" load {os.getloadavg()[0]:.1f}\n"
    )
    print("| | wall, s | CPU, s | wall / floor | CPU / floor |\n|---|---|---|---|---|")
    for name, results in taken.items():
        walls, cpus = [r.wall for r in results], [r.cpu for r in results]
        per_floor = [r.wall / f.wall for r, f in zip(results, floor, strict=True)]
        cpu_per_floor = [r.cpu / f.cpu for r, f in zip(results, floor, strict=True)]
        print(
            f"| {name} | {spread(walls)} | {spread(cpus)} | {spread(per_floor)}"
            f" | {spread(cpu_per_floor)} |"
        )
    ours = taken.get("ours, cold run", [])
    print()
    for name, results in taken.items():
        if ours and not name.startswith(("floor", "ours")):
            ratio = [r.wall / o.wall for r, o in zip(results, ours, strict=True)]
            print(f"our cold run is {spread(ratio, 1)} times as fast as: {name}")
    if alike is not None:
        print(f"forked and plain kernels differ in: {', '.join(alike) or 'nothing'}")


if __name__ == "__main__":
    main()
