"""A copy of a failed notebook to work on, and the way of its changes back into the notebook.

The copy lies in debug/, as deep as notebooks/, so that relative paths mean the same. It reads what
the chain would hand it, and writes to debug/files/: published files stay as they are.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papermill_chain.chain.notebooks import (
    PARAMETERS,
    SCRIPT,
    notebook_in,
    notebook_path,
    read_node,
    read_notebook,
    text_of,
)
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import External, Stage, find_stage
from papermill_chain.chain.staleness import report_of
from papermill_chain.debug_file import UNREADABLE, make_room, read_copy, write_copy
from papermill_chain.notebook_format import NotebookNode, nbformat
from papermill_chain.reports.screen import shown_path
from papermill_chain.reports.views import place_of
from papermill_chain.runs.files import os_error_text, write_whole
from papermill_chain.runs.lookup import read_runs
from papermill_chain.runs.manifest import StageRun
from papermill_chain.started import command, tool
from work_units.regular_files import Damaged

INJECTED_TAG = "injected-parameters"  # papermill's, of the cell that sets parameters
ERROR_TAG = "papermill-error-cell-tag"  # papermill's, of the cells that point to an error
TOOL_METADATA = ("papermill", "execution", "ExecuteTime", "chain", "trusted")  # of a cell
UNLISTED = object()  # in place of the default of a parameter that a notebook does not list


@dataclass
class DebugCopy:
    """A copy of a stage's notebook, and the run whose failure it is to explain."""

    stage: Stage
    file: Path
    failure: StageRun | None  # its record in its last run, if it failed there
    outdated: bool  # the notebook has changed since that run: the copy has no outputs
    settings: list[str]  # NAME=VALUE that the failed run was given


def make_copy(plan: Plan) -> DebugCopy:
    """Make the copy of the only stage of a plan.

    Raises
    ------
    ChainError
        There is a copy with changes that are not in the notebook yet, or no place for one.
    """
    (stage,) = plan.stages
    file = copy_path(plan.root, stage.name)
    failure = _last_failure(plan, stage)
    sha256 = plan.notebooks[stage.name].sha256
    outdated = failure is not None and failure.basis.get("notebook") != sha256
    settings = _settings(plan, stage, failure)
    place, about = notebook_path(plan.root, stage.name), plan.notebooks[stage.name]
    if about.language != "python":
        raise ChainError(
            f"a copy is handed its parameters in Python, and notebooks/{place.name} is in"
            f" {about.language}; open the executed notebook of its run instead"
        )
    notebook = read_node(place)
    _clear_outputs(notebook.cells)
    if failure and not outdated:
        executed = report_of(failure, plan.experiments).with_suffix(".ipynb")
        _copy_outputs(notebook.cells, executed)
    tagged = [n for n, cell in enumerate(notebook.cells) if PARAMETERS in _tags(cell)]
    at = tagged[0] if tagged else -1
    notebook.cells.insert(at + 1, _injected_cell(plan, stage, settings, failure))
    make_room(file, stage.name)
    try:
        for path in stage.writes.values():
            (file.parent / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        write_copy(notebook, file, sha256)
    except OSError as error:
        raise ChainError(f"the copy cannot be written: {os_error_text(error)}") from None
    return DebugCopy(stage, file, failure, outdated, _as_typed(plan, stage, settings))


def take_over(asked: str, stages: Sequence[Stage], root: Path) -> str:
    """Put the cells of a copy into the notebook it was made from; a sentence on what was done.

    Outputs, the injected cell and the metadata of tools stay in the copy.
    """
    stage = find_stage(asked, stages)
    place, file = notebook_path(root, stage.name), copy_path(root, stage.name)
    now, original, copy = read_notebook(place), shown_path(place), shown_path(file)
    make_one = command("--debug", asked)
    try:
        edited = read_copy(file)
        made_from = edited.metadata["chain"]["notebook"]
        text = text_of(_with_cells_of(edited, _as_written(place)), place)
        text.encode()  # now, and not when half of it is written
    except FileNotFoundError:
        raise ChainError(
            f"there is no copy of {stage.name} to take over; make one: {make_one}"
        ) from None
    except Damaged as why:
        raise ChainError(
            f"{copy} {why}; move it away, and make a copy to change: {make_one}"
        ) from None
    except UNREADABLE:
        raise ChainError(
            f"{copy} holds cells that cannot be written as a notebook; mend them in JupyterLab"
        ) from None
    fixed = notebook_in(text, copy, place)
    if fixed.is_untagged and not now.is_untagged:
        raise ChainError(f"{copy} has no cell tagged `parameters` any more, as {original} has")
    if fixed.sha256 == now.sha256:
        if now.sha256 != made_from:  # it was killed before it had noted that
            write_copy(read_copy(file), file, now.sha256)
        return f"{original} is already as {copy} has it"
    if now.sha256 != made_from:
        raise ChainError(
            f"{original} has changed since {copy} was made of it, and that would be lost; "
            f"to see both: git diff --no-index {shlex.join([original, copy])}; "
            "then carry the changes over by hand and delete the copy"
        )
    write_whole(place, text)
    write_copy(read_copy(file), file, fixed.sha256)  # its outputs stay
    return f"took the changes of {copy} over into {original}"


def copy_path(root: Path, stage: str) -> Path:
    """Where the copy of a stage's notebook is."""
    return root / "debug" / f"{stage}.ipynb"


def show_copy(copy: DebugCopy) -> None:
    """Print where the copy is, where its notebook stopped, and how to go on."""
    name, file = copy.stage.name, shown_path(copy.file)
    print(file)
    if error := copy.failure and copy.failure.error:
        print(f"{name} stopped{place_of(error)}: {error}")
    if copy.outdated:
        now = f"notebooks/{name}.ipynb"
        print(f"{now} has changed since; the copy is of how it is now, not yet run")
    elif not copy.failure:
        print(f"{name} has not failed in its last run; the copy is of the notebook as it is")
    print("What it writes goes to debug/files/; published files stay as they are.")
    if copy.stage.external != External():
        print("What it writes outside the project, as to a registry, the copy writes there, too.")
    settings = [part for setting in copy.settings for part in ("--set", setting)]
    print(
        f"Next: {tool('jupyter', 'lab', str(file))}    # find the cause, change the cells\n"
        f"      {command('--fixed', name, *settings)}    # take the changes over and run on\n"
        "If the cause was not in the notebook but in data or a package, a plain rerun goes on "
        f"from there:\n      {command(*settings)}"
    )


def open_in_jupyter(copy: DebugCopy) -> int:
    """Become JupyterLab with the copy open, so that its signals are its own; else an exit code."""
    lab = [sys.executable, "-m", "jupyter", "lab", str(copy.file)]
    if os.name == "nt":  # execv would start it beside us, and leave the terminal to both
        return subprocess.call(lab)
    sys.stdout.flush()
    os.execv(sys.executable, lab)


def _last_failure(plan: Plan, stage: Stage) -> StageRun | None:
    """The record of a stage in the run in which it was last executed, if it failed there."""
    for run in read_runs(plan.experiments):
        record = run.records.get(stage.name)
        if record and record.status in ("failed", "interrupted"):
            return record
        if record and record.status in ("succeeded", "cached"):
            return None
    return None


def _settings(plan: Plan, stage: Stage, failure: StageRun | None) -> dict[str, Any]:
    """The parameters that the failed run was given, and above them those of this command."""
    notebook, planned = plan.notebooks[stage.name], plan.planned(stage).parameters
    wired = stage.writes.keys() | stage.secrets.keys()
    defaults = {name: parameter.default for name, parameter in notebook.parameters.items()}
    before, handed = failure.parameters if failure else {}, {*stage.reads, *stage.in_place}
    given = {
        name: value
        for name, value in before.items()
        if name not in wired
        and notebook.takes(name)
        and value != (planned[name] if name in handed else defaults.get(name, UNLISTED))
    }
    return given | plan.settings[stage.name]


def _as_typed(plan: Plan, stage: Stage, settings: dict[str, Any]) -> list[str]:
    """Settings as NAME=VALUE; files as they are named from the current folder."""
    files = settings.keys() & stage.reads.keys()
    paths = {name: os.path.relpath(plan.root / "notebooks" / settings[name]) for name in files}
    return [f"{name}={value}" for name, value in (settings | paths).items()]


def _injected_cell(
    plan: Plan, stage: Stage, settings: dict[str, Any], failure: StageRun | None
) -> NotebookNode:
    """The cell that hands the copy what the chain would: parameters, files and environment."""
    planned = plan.planned(stage).parameters
    values = {name: planned[name] for name in [*stage.reads, *stage.in_place]} | settings
    values |= {name: f"files/{path}" for name, path in stage.writes.items()}
    secrets = {name: f"os.environ[{variable!r}]" for name, variable in stage.secrets.items()}
    expressions = {name: repr(value) for name, value in sorted(values.items())} | secrets
    lines = [
        f"# Parameters of run {failure.run}" if failure else "# Parameters",
        "import os, sys",
        *(f"{name} = {expression}" for name, expression in expressions.items()),
        "# what the chain sets beside them; --fixed leaves this cell out",
        'sys.path.insert(0, os.path.abspath(".."))',
        'os.environ["PYTHONPATH"] = os.path.abspath("..")',
        'os.environ["CHAIN_RUN_FOLDER"] = os.path.abspath("files")',
        f'os.environ["CHAIN_RUN_ID"] = {f"debug {stage.name}"!r}',
        f'os.environ["CHAIN_STAGE"] = {stage.name!r}',
    ]
    tags = {"tags": [INJECTED_TAG]}
    cell: NotebookNode = nbformat.v4.new_code_cell("\n".join(lines), id=INJECTED_TAG, metadata=tags)
    return cell


def _clear_outputs(cells: list[NotebookNode]) -> None:
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def _copy_outputs(cells: list[NotebookNode], executed: Path) -> None:
    """Give cells the outputs that they had in an executed notebook, if it can be read."""
    with suppress(*UNREADABLE):
        ran = nbformat.read(executed, as_version=4).cells
        ran = [cell for cell in ran if not _added_by_papermill(cell)]
        for cell, before in zip(cells, ran, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = before.outputs, before.execution_count


def _as_written(place: Path) -> NotebookNode:
    """A notebook that keeps, where it can, the version of nbformat that its file has."""
    is_script = place.suffix == SCRIPT
    notebook: NotebookNode = read_node(place) if is_script else nbformat.read(place, as_version=4)
    return notebook


def _with_cells_of(edited: NotebookNode, original: NotebookNode) -> NotebookNode:
    """A notebook that is the original but for its cells, which are those of a copy."""
    original.cells = [cell for cell in edited.cells if not _added_by_papermill(cell)]
    _clear_outputs(original.cells)
    for cell in original.cells:
        for name in TOOL_METADATA:
            cell.metadata.pop(name, None)
        if original.nbformat_minor < 5:  # before that, cells had no ids
            cell.pop("id", None)
    return original


def _added_by_papermill(cell: NotebookNode) -> bool:
    return bool({INJECTED_TAG, ERROR_TAG} & set(_tags(cell)))


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))
