"""One chain of a grid, run in a workspace: a folder that holds links to a copy of all its files.

It needs nothing but what it is given, so that another process, or another machine that has the same
folders, can be sent :func:`run_one`.
"""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from papermill_chain.execution.events import ENDS_WITH_INPUT
from papermill_chain.grid.combinations import Result
from papermill_chain.runs.figures import read_figures
from papermill_chain.runs.files import link, relative, write_whole
from work_units.regular_files import make_way, read_record, set_aside

SECONDS_TO_WAIT = 10.0  # for a chain that a killed grid has left, and that is about to end
LONGEST_LIST = 10_000_000  # bytes of the names of a chain's files
BUSY = 75  # the exit code of a chain whose workspace another one is using
ENDED_BY_SIGNAL = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
OF_A_RUN = ("CHAIN_RUN_FOLDER", "CHAIN_RUN_ID", "CHAIN_STAGE")

Follow = Callable[[dict[str, Any]], None]  # called with each event of a chain
Started = Callable[["subprocess.Popen[bytes]"], None]  # called with its process


def run_one(
    workspace: Path,
    source: Path,
    script: str,
    settings: Mapping[str, str],
    options: Sequence[str] = (),
    unset: Sequence[str] = (),
    given: Mapping[str, str] | None = None,
    follow: Follow | None = None,
    started: Started | None = None,
    experiments: str = "experiments",
) -> Result:
    """Run a chain in a workspace and wait for its end.

    Parameters
    ----------
    workspace, source : the folder to run it in, and the copy of the chain to run.
    script : the program that runs the chain, below them.
    settings, options : the parameters to set, and other arguments of the program.
    unset, given : variables of the environment that the chain is not to have, and others for it.
    follow, started : called with each event of the run, and with the process itself.
    experiments : where the chain keeps its runs, below the workspace.
    """
    began = time.monotonic()
    fill(workspace, source)
    pairs = [part for name, text in settings.items() for part in ("--set", f"{name}={text}")]
    command = [sys.executable, str(workspace / script), "--json", *options, *pairs]
    hidden = {*unset, *OF_A_RUN}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {**(given or {}), ENDS_WITH_INPUT: "1"}
    while True:
        result = Result("failed")
        code, errors = _run(command, workspace, environment, result, follow, started)
        if code != BUSY or time.monotonic() - began > SECONDS_TO_WAIT:
            break
        time.sleep(0.5)
    result.seconds = round(time.monotonic() - began, 1)
    if code in ENDED_BY_SIGNAL:
        result.status = "interrupted"
    elif code:
        result.status = "failed"
        last = errors.splitlines() or [f"it ended with exit code {code}"]
        result.error = result.error or last[-1]
    if (workspace / experiments / "index.html").is_file():
        result.index = f"{experiments}/index.html"
    report = result.report and f"{experiments}/{result.report}"
    result.report = report if report and (workspace / report).is_file() else None
    return result


def _run(
    command: Sequence[str],
    workspace: Path,
    environment: Mapping[str, str],
    result: Result,
    follow: Follow | None,
    started: Started | None,
) -> tuple[int, str]:
    """Run a command to its end and put its events into a result; exit code and stderr."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            cwd=workspace,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # a signal from the terminal is for the grid
        ) as chain,
    ):
        if started:
            started(chain)
        for line in chain.stdout or ():
            with suppress(ValueError):
                add_event(event := json.loads(line), result)
                if follow:
                    follow(event)
        code = chain.wait()
        errors.seek(0)
        return code, errors.read().decode(errors="replace").strip()


def add_event(event: Mapping[str, Any], result: Result) -> None:
    """Put what an event of a chain contains into its result; a report as below its experiments."""
    match event:
        case {"event": "stage ended", "stage": stage, "run": run, "figures": figures}:
            result.figures |= read_figures(figures)
            if error := event["status"] == "failed" and event["error"]:
                under = f", under “{error['heading']}”" if error.get("heading") else ""
                result.error = f"{stage}{under}: {error['ename']}: {error['evalue']}"
                result.report = f"runs/{run}/{stage}.html"
        case {"event": "run ended"}:
            result.status, result.run = event["status"], event["run"]
            troubles = filter(None, [event.get("after"), *event.get("troubles", [])])
            result.error = result.error or "; ".join(map(str, troubles))


def copy_source(files: Mapping[str, Path], source: Path) -> bool:
    """Have in `source` the files of a chain as they are now, and no others; whether any is new.

    A file that has changed becomes a new one, so that links to the old one stay as they are.
    """
    gone, changed = _below(source) - files.keys(), False
    for path, file in files.items():
        there = source / path
        if not (there.is_file() and filecmp.cmp(file, there, shallow=False)):
            there.parent.mkdir(parents=True, exist_ok=True)
            make_way(there)
            shutil.copy2(file, there)
            changed = True
    for path in gone:
        make_way(source / path)
    return changed or bool(gone)


def fill(workspace: Path, source: Path) -> None:
    """Have in a workspace the files of the chain; what the chain has made there stays."""
    files, listed = _below(source), workspace / ".source"
    for gone in _listed(listed) - files:
        make_way(workspace / gone)
    for path in files:
        there = workspace / path
        if not (there.is_file() and os.path.samefile(source / path, there)):
            there.parent.mkdir(parents=True, exist_ok=True)
            make_way(there)
            link(source / path, there)
    write_whole(listed, "\n".join(sorted(files)))


def _listed(file: Path) -> set[str]:
    """The files that a workspace was filled with before; none if the list of them is damaged."""
    try:
        paths = read_record(file, LONGEST_LIST).decode("utf-8").splitlines()
        for path in paths:
            parts = Path(path).parts
            strange = "\0" in path or ".." in parts or max(map(len, parts), default=999) > 255
            if strange or path.startswith("/"):
                raise ValueError(f"{path[:80]!r} is no path below the workspace")
    except FileNotFoundError:
        return set()
    except ValueError as error:
        set_aside(file, error)
        return set()
    return set(paths)


def _below(folder: Path) -> set[str]:
    """The paths of all files below a folder."""
    return {relative(file, folder) for file in folder.rglob("*") if file.is_file()}
