"""One source of versions: what conda users get is what the lock says."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import yaml
from conftest import ROOT

EXPORT = "export --frozen --no-emit-project --no-hashes --no-annotate -o requirements.txt"


def uv(*arguments):
    """What the uv that runs these tests answers; `uv run` names itself in the environment."""
    command = os.environ.get("UV") or shutil.which("uv")
    assert command, "run the tests with `uv run --group dev pytest`"
    ran = subprocess.run(
        [command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_requirements_txt_pins_what_uv_lock_pins(tmp_path):
    exported = tmp_path / "requirements.txt"
    uv(*EXPORT.replace("requirements.txt", str(exported)).split())
    committed = (ROOT / "requirements.txt").read_text("utf-8")
    pins = [line for line in committed.splitlines() if not line.startswith("#")]
    expected = [line for line in exported.read_text("utf-8").splitlines() if line[0] != "#"]
    assert pins == expected, f"uv.lock has changed: refresh the list with `uv {EXPORT}`"
    assert all(re.match(r"[\w.-]+==[\w.]+( ; |$)", pin) for pin in pins)  # no path and no host


def test_environment_yml_installs_those_and_the_project():
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    assert conda == ["python=3.12", "pip"]
    assert pip == {"pip": ["-r requirements.txt", "-e ."]}


def test_lock_is_up_to_date_with_pyproject():
    uv("lock", "--check", "--offline")


providers_of = cache(packages_distributions)  # of each package, in every installed one's files


@cache
def imported(folder: str) -> list[tuple[str, str]]:
    """The packages of others that a folder's modules and notebooks import, and the file of each."""
    found = []
    ours = {"creditrisk", "papermill_chain", "page_style", "work_units", "run_all"}
    ours |= {
        path.stem for room in ("tests", "benchmarks", "docs") for path in (ROOT / room).glob("*.py")
    }
    ours |= {path.parent.name for path in (ROOT / "benchmarks").glob("*/__init__.py")}
    place = ROOT / folder
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.suffix == ".py":
            source = path.read_text("utf-8")
        elif path.suffix == ".ipynb" and ".ipynb_checkpoints" not in path.parts:
            cells = json.loads(path.read_text("utf-8"))["cells"]
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
            source = re.sub(r"^[%!].*$", "", "\n".join(code), flags=re.MULTILINE)
        else:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            for package in {name.split(".")[0] for name in names} - ours:
                if package not in sys.stdlib_module_names:
                    found.append((package, path.relative_to(ROOT).as_posix()))
    return found


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalized(re.match(r"[\w.-]+", line)[0]) for line in requirements}


def test_every_package_that_is_imported_is_declared():
    """What another package happens to bring along goes when that package wants it no longer."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    product = declared(settings["project"]["dependencies"])
    for extra in settings["project"]["optional-dependencies"].values():
        product |= declared(extra)
    tools = declared(settings["dependency-groups"]["dev"])
    providers = providers_of()
    for folders, allowed in (
        (
            [
                "creditrisk",
                "papermill_chain",
                "page_style",
                "work_units",
                "notebooks",
                "run_all.py",
            ],
            product,
        ),
        (["tests", "benchmarks", "docs"], product | tools),
    ):
        imports = [each for folder in folders for each in imported(folder)]
        assert imports
        for package, path in imports:
            provided = {normalized(name) for name in providers.get(package, [package])}
            assert provided & allowed, f"{path} imports {package}: declare it in pyproject.toml"


def test_the_wheel_of_the_runner_alone_declares_what_its_packages_import():
    """The same versions as the whole project's, and no package that the runner does not import."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    alone = tomllib.loads((ROOT / "packaging/papermill-chain/pyproject.toml").read_text("utf-8"))
    packages = alone["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    project = alone["project"]
    assert (project["version"], project["requires-python"]) == (
        whole["version"],
        whole["requires-python"],
    )
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    known = [line for extra in whole["optional-dependencies"].values() for line in extra]
    assert {*project["dependencies"], *extras} <= {*whole["dependencies"], *known}
    providers = providers_of()
    used = set()
    for package, path in (each for name in packages.values() for each in imported(name)):
        provided = {normalized(name) for name in providers.get(package, [package])}
        used |= provided & declared([*project["dependencies"], *extras])
        assert used & provided, f"{path} imports {package}: declare it in packaging/"
    assert used >= declared(project["dependencies"])


def test_the_wheel_of_the_server_declares_a_part_of_what_the_project_takes():
    """In the same versions, and only what the rooms that a server needs import themselves.

    That it is enough is seen where a server runs with nothing else, in test_lean_server.py.
    """
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lean = tomllib.loads((ROOT / "packaging/credit-risk-serve/pyproject.toml").read_text("utf-8"))
    project = lean["project"]
    for same in ("version", "requires-python"):
        assert project[same] == whole[same]
    assert project["scripts"] == whole["scripts"]
    assert set(project["dependencies"]) < set(whole["dependencies"])
    rooms = [f"creditrisk/{room}" for room in ("data", "records", "scoring", "serving")]
    providers = providers_of()
    used = {
        normalized(name)
        for package, _ in (each for room in rooms for each in imported(room))
        for name in providers.get(package, [package])
    }
    assert used >= declared(project["dependencies"])


def test_core_holds_no_package_of_a_later_feature():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    core = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    assert {
        "jupyterlab",
        "papermill",
        "pandas",
        "scikit-learn",
        "matplotlib",
        "seaborn",
        "mlflow",
    } <= core
    assert not core & {"dask", "distributed", "shap", "optbinning", "statsmodels", "pytest"}
    assert project["requires-python"] == ">=3.11,<3.14"


def test_help_imports_nothing_heavy():
    """Typing --help must not wait for MLflow, pandas or papermill."""
    code = (
        "import runpy, sys, json\n"
        "sys.argv = ['run_all.py', '--help']\n"
        "try:\n    runpy.run_path('run_all.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert not loaded & {"mlflow", "pandas", "papermill", "sklearn", "matplotlib", "nbconvert"}
    assert "Examples" in ran.stdout or "examples" in ran.stdout
