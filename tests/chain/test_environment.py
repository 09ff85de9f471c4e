"""One source of versions: what conda users get is what the lock says."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import yaml
from conftest import ROOT

EXPORT = [
    "export",
    "-q",
    "--no-dev",
    "--no-hashes",
    "--no-emit-project",
    "--no-annotate",
    "--no-header",
    "--frozen",
]


def uv(*arguments):
    """What the uv that runs these tests answers; `uv run` names itself in the environment."""
    command = os.environ.get("UV") or shutil.which("uv")
    assert command, "run the tests with `uv run pytest`"
    ran = subprocess.run([command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_environment_yml_pins_what_uv_lock_pins():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    *conda, pip = dependencies
    assert pip["pip"][0] == "-e ." and conda == ["python=3.12", "pip"]
    assert pip["pip"][1:] == uv(*EXPORT).splitlines(), "run the line in environment.yml's head"


def test_lock_is_up_to_date_with_pyproject():
    uv("lock", "--check", "--offline")


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
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert not loaded & {"mlflow", "pandas", "papermill", "sklearn", "matplotlib", "nbconvert"}
    assert "Examples" in ran.stdout or "examples" in ran.stdout
