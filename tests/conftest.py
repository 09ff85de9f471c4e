"""Copies of the project in which the tests run the chain, so that the checkout stays untouched."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
# Tests start many processes. Where this is set, each of them compiles all it imports anew, which
# takes longer than what most of them are started for.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Threads of OpenMP that wait for one another spin, which takes the processor from other workers:
# of boosting it is most of the time. To be set before anything loads the library.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# One thread each, also in what they start: for so few rows more of them wait longer than they work.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
# On import jsonschema, which nbformat brings along, would build a grammar of internationalized
# addresses. In each worker that takes seconds, and no notebook of the tests holds one.
sys.modules["rfc3987_syntax"] = None
# Hints repeat how the program was started; how the tests are is no part of what they expect.
os.environ.pop("UV", None)
sys.orig_argv = ["python", *sys.orig_argv[1:]]
# A shell that starts the tests in the background has them ignore Ctrl-C, nohup a lost terminal, and
# all they start as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long one example takes is the machine's affair; each run draws the same ones.
hypothesis.settings.register_profile("any machine", deadline=None, derandomize=True)
hypothesis.settings.load_profile("any machine")

pytest_plugins = ["browser", "sharedfixtures"]  # the fixtures of more than one folder

# The files that take longest. test_evidence.py needs the chain that test_chain.py starts with, and
# would have to wait for it if it came sooner.
FIRST = [
    "test_chain.py",
    "test_odd_settings.py",
    "test_dask_cluster.py",
    "test_interrupted.py",
    "test_evidence.py",
    "test_altered_models.py",
    "test_any_notebook.py",
    "test_reading.py",
    "test_kernels.py",
    "test_page.py",
]
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
#: What a copy of the project does less of, by file: its way matters, not how well it goes.
SHORTENED = {
    "creditrisk/modelling/candidates.py": {
        "n_estimators=300": "n_estimators=10",
        "RandomForestClassifier(random": "RandomForestClassifier(10, random",
        "BoostingClassifier(random": "BoostingClassifier(max_iter=10, random",
        "max_iter=randint(30, 201)": "max_iter=randint(5, 11)",
        "INNER_FOLDS = 5": "INNER_FOLDS = 2",
    },
    "creditrisk/modelling/effort.py": {"(10, 3, 100, 50, 500)": "(10, 3, 5, 5, 100)"},
    "notebooks/06_explanation.ipynb": {"shuffles: int = 20 ": "shuffles: int = 5 "},
    "notebooks/08_review.ipynb": {"refits: int = 20 ": "refits: int = 5 "},
}


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: browsers, databases and signals are mostly waited for."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand out long files first, so that the workers end together."""
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(FIRST)))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what has been imported, which no test gives up.

    It also looks less often, which takes time as well. What it finds later is found all the same:
    pytest collects all there is before it ends.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def copy_project(place: Path) -> Path:
    """What a fresh clone holds, and what Python has compiled of it, which saves doing it again."""
    made = shutil.ignore_patterns(".ipynb_checkpoints", "*.pyc.*")  # half-written ones
    for part in PARTS:
        (place / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, place / part, ignore=made)
        else:
            shutil.copy2(ROOT / part, place / part)
    return place


def with_small_models(project: Path) -> Path:
    """Have the forests and the boosting of a copy grow few trees, and little be repeated.

    Its other candidates and their cross-validation are as ever. Trees are what a chain spends most
    of its time on, and none of them is the champion; then come single splits and refits.
    """
    for file, changes in SHORTENED.items():
        text = (project / file).read_text("utf-8")
        for long, short in changes.items():
            assert text.count(long) == 1, long
            text = text.replace(long, short)
        (project / file).write_text(text, "utf-8")
    return project


def run_all(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Type ``python run_all.py ...`` in a project."""
    inherited = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    return subprocess.run(
        [sys.executable, "run_all.py", *arguments],
        cwd=project,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def install_on_build_machine(package: str) -> None:
    """Install a Debian package where that is nobody's own machine; elsewhere do nothing."""
    if not (os.environ.get("CI") and shutil.which("apt-get") and os.geteuid() == 0):
        return
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 900}
    for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *command], **quiet, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy in which nothing has run."""
    return copy_project(tmp_path / "project")


@contextmanager
def only_one(lock: Path):
    """Hold a lock that the workers of one test run share; each has its turn."""
    if os.name == "nt":  # no flock: each worker makes what it needs
        yield
        return
    import fcntl

    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # the system drops it with the process
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id) -> tuple[Path, subprocess.CompletedProcess]:
    """A copy in which the whole chain has run once, with its defaults but small models.

    Tests only read it. It takes longer than all else: whichever worker needs it first makes it,
    for the others too.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" or os.name == "nt" else base.parent
    place, told = shared / "finished" / "project", shared / "finished.json"
    with only_one(shared / "finished.lock"):
        if not told.exists():
            ran = run_all(with_small_models(copy_project(place)))
            told.write_text(json.dumps([ran.args, ran.returncode, ran.stdout, ran.stderr]), "utf-8")
    return place, subprocess.CompletedProcess(*json.loads(told.read_text("utf-8")))
