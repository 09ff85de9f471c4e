"""The recipes of docs/schedule.md: each file is one of its kind, and what it types exists."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from papermill_chain.arguments import argument_parser
from papermill_chain.cli import BUSY
from run_all import CHAIN, own_options

RECIPES = ROOT / "docs/schedule"
WORKFLOW = yaml.safe_load((RECIPES / "github-actions.yml").read_text("utf-8"))
STEPS = WORKFLOW["jobs"]["chain"]["steps"]
RUN = next(step for step in STEPS if step.get("id") == "chain")["run"]
KEPT = [step["with"]["path"].split() for step in STEPS if "cache" in step.get("uses", "")]


def takes(words: list[str]) -> None:
    """Have the chain read the arguments after its name; it leaves if it does not know one."""
    given = words[words.index("run_all.py") + 1 :]
    own = list(takewhile(lambda word: word not in ("||", "&&"), given))
    assert own and argument_parser("Credit risk", CHAIN, True, own_options()).parse_args(own).keep


def is_of_cron(schedule: str) -> bool:
    """Whether these are five fields of numbers, ranges, steps and lists, each within its bounds."""
    bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
    fields = schedule.split()
    return len(fields) == len(bounds) and all(
        re.fullmatch(r"(\*|\d+(-\d+)?)(/\d+)?(,\d+(-\d+)?)*", field)
        and all(low <= int(number) <= high for number in re.findall(r"\d+", field))
        for field, (low, high) in zip(fields, bounds, strict=True)
    )


def test_crontab():
    (line,) = [
        line
        for line in (RECIPES / "crontab").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    *fields, command = line.split(maxsplit=5)
    assert is_of_cron(" ".join(fields)) and not is_of_cron("60 5 * * *")
    assert "%" not in command  # cron would end the line there
    subprocess.run(["bash", "-n", "-c", command], check=True)
    takes(shlex.split(command))


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str
    parsed.read_string((RECIPES / name).read_text("utf-8"))
    return parsed


def test_units(tmp_path):
    service, timer = unit("credit-risk.service")["Service"], unit("credit-risk.timer")
    takes(shlex.split(service["ExecStart"]))
    assert service["ExecStart"].startswith(service["WorkingDirectory"])
    assert service["SuccessExitStatus"].split() == ["3", str(BUSY)] and service["User"] != "root"
    assert timer["Timer"]["OnCalendar"] and timer["Install"]["WantedBy"] == "timers.target"
    if not shutil.which("systemd-analyze"):
        return
    calendar = ["systemd-analyze", "calendar", timer["Timer"]["OnCalendar"]]
    read = subprocess.run(calendar, capture_output=True, text=True, check=True)
    assert "Normalized form: Mon..Fri *-*-* 05:15:00" in read.stdout  # as the crontab has it
    for name in ("credit-risk.service", "credit-risk.timer"):  # it looks for the program, too
        text = (RECIPES / name).read_text("utf-8")
        python = f"{service['WorkingDirectory']}/.venv/bin/python"
        (tmp_path / name).write_text(text.replace(python, sys.executable), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "credit-risk.timer")]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0 and str(tmp_path) not in verified.stderr, verified.stderr


def test_workflow_keeps_what_a_run_leaves():
    (schedule,) = WORKFLOW[True]["schedule"]  # YAML 1.1 reads `on` as a boolean
    assert is_of_cron(schedule["cron"])
    takes(shlex.split(next(line for line in RUN.splitlines() if "run_all.py" in line)))
    restored, saved = KEPT
    assert restored == saved
    for stage in CHAIN:
        for path in stage.writes.values():
            assert any(Path(path).is_relative_to(kept) for kept in saved), path
    ignored = (ROOT / ".gitignore").read_text("utf-8")
    for registry in {*saved} - {"experiments", "models", "data/training"}:
        assert f"/{registry}" in ignored
    pages = [step["with"]["path"] for step in STEPS if "upload" in step.get("uses", "")]
    assert pages == ["experiments", "experiments"] and WORKFLOW["jobs"]["page"]["needs"] == "chain"


@pytest.mark.skipif(os.name == "nt", reason="the workflow runs on Linux")
@pytest.mark.parametrize(("code", "ends", "says"), [(0, 0, ""), (3, 0, "look"), (4, 0, "act")])
def test_workflow_goes_on_after_a_verdict_and_stops_after_a_failure(tmp_path, code, ends, says):
    for ended, expected in ((code, ends), (1, 1), (2, 2)):
        (tmp_path / "uv").write_text(f"#!/bin/sh\nexit {ended}\n")
        (tmp_path / "uv").chmod(0o755)
        output = tmp_path / "output"
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(output)}
        # as GitHub starts what is in `run`
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", RUN]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == expected and output.read_text().endswith(f"code={ended}\n")
        assert ended != code or (says in ran.stdout and bool(says) == bool(ran.stdout))
    last = [step for step in STEPS if "run" in step][-1]
    assert last == {
        "name": "End red if monitoring asks to act",
        "if": "steps.chain.outputs.code == '4'",
        "run": "exit 4",
    }


def test_containerfile():
    text = (RECIPES / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    given = {name: value for name, value in lines}
    assert re.fullmatch(r"python:3\.1[123]-slim", given["FROM"])
    for sources in [value.split()[:-1] for name, value in lines if name == "COPY"]:
        assert sources and all((ROOT / source).exists() for source in sources)
    assert any(name == "RUN" and value.startswith("uv sync --locked") for name, value in lines)
    assert given["USER"].split(":")[0] not in ("0", "root")
    python, program = json.loads(given["ENTRYPOINT"])
    venv = next(value for name, value in lines if value.startswith("UV_PROJECT_ENVIRONMENT="))
    assert python == f"{venv.partition('=')[2]}/bin/python" and (ROOT / program).exists()
    takes([program, *json.loads(given["CMD"])])


def test_page_names_each_recipe():
    page = (ROOT / "docs/schedule.md").read_text("utf-8")
    for recipe in RECIPES.iterdir():
        assert f"](schedule/{recipe.name})" in page
