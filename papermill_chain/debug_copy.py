"""A notebook that failed, as a copy to work on, and the way of its changes back into the chain.

The copy lies in debug/, as deep as notebooks/, so that relative paths mean the same. It reads what
the chain would hand it, and writes to debug/files/: what is published stays as it is.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papermill_chain.chain.notebooks import ChainError, notebook_in, read_notebook
from papermill_chain.chain.plan import Plan
from papermill_chain.chain.stages import External, Stage, find_stage, notebook_path
from papermill_chain.reports.terminal import shown_path
from papermill_chain.runs.files import write_whole

INJECTED = "injected-parameters"  # papermill's tag
POINTER = "papermill-error-cell-tag"  # its tag, too, for the cells that point to an error
OF_TOOLS = ("papermill", "execution", "ExecuteTime", "chain", "trusted")  # in a cell's metadata


@dataclass
class Copy:
    """A copy to work on: where it is, where the notebook stopped, and what it was run with."""

    stage: Stage
    file: Path
    stopped: dict[str, Any] | None  # the error of its last run, if it failed
    run: str | None  # that failed
    changed: bool  # since that run: then the copy has no outputs
    settings: list[str]  # NAME=VALUE that the failed run was given


def make_copy(plan: Plan) -> Copy:
    """Make the copy of the only stage of a plan; ChainError if there is one that was worked on."""
    (stage,) = plan.stages
    notebook = plan.notebooks[stage.name]
    original = json.loads(notebook_path(plan.root, stage.name).read_text(encoding="utf-8"))
    file = copy_path(plan.root, stage.name)
    _refuse_to_overwrite(file, stage.name)
    run, told = _last_failure(plan, stage)
    changed = bool(told) and told["basis"].get("notebook") != notebook.sha256
    executed = file.parent / "none"
    if told and not changed:
        executed = plan.experiments / "runs" / run / f"{stage.name}.ipynb"
    cells = _with_outputs(_with_ids(original["cells"], stage.name), executed)
    at = next(n for n, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", []))
    cells.insert(at + 1, _injected(plan, stage, told or {}, run))
    metadata = original["metadata"] | {
        "chain": {"notebook": notebook.sha256, "copied": _digest_of(cells)}
    }
    file.parent.mkdir(exist_ok=True)
    for path in stage.writes.values():
        (file.parent / "files" / path).parent.mkdir(parents=True, exist_ok=True)
    copy = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    write_whole(file, json.dumps(copy, indent=1, ensure_ascii=False) + "\n")
    settings = _as_typed(plan, stage, told or {})
    return Copy(stage, file, (told or {}).get("error"), run, changed, settings)


def take_over(asked: str, stages: Sequence[Stage], root: Path) -> str:
    """Take the cells of a copy over into the notebook it was made of; a sentence on what it did."""
    stage = find_stage(asked, stages)
    place, file = notebook_path(root, stage.name), copy_path(root, stage.name)
    now, original, shown = read_notebook(place), shown_path(place), shown_path(file)
    try:
        copy = json.loads(file.read_text(encoding="utf-8"))
        made_of = copy["metadata"]["chain"]["notebook"]
        cells = [cell for cell in copy["cells"] if not _is_of_tools(cell)]
    except FileNotFoundError:
        raise ChainError(
            f"there is no copy of {stage.name} to take over; make one: {_command('--debug', asked)}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChainError(f"{shown} is not a copy that --debug has made") from None
    before = place.read_text(encoding="utf-8")
    text = _as_before(cells, before, stage.name)
    fixed = notebook_in(text, shown, stage.name)
    if fixed.sha256 == now.sha256:
        return f"{original} is already as {shown} has it"
    if now.sha256 != made_of:
        raise ChainError(
            f"{original} has changed since {shown} was made of it, and that would be lost; "
            f"to see both: git diff --no-index {shlex.join([original, shown])}; "
            "then carry the changes over by hand and delete the copy"
        )
    write_whole(place, text)
    copy["metadata"]["chain"] |= {"notebook": fixed.sha256, "copied": _digest_of(copy["cells"])}
    write_whole(file, json.dumps(copy, indent=1, ensure_ascii=False) + "\n")
    return f"took the changes of {shown} over into {original}"


def copy_path(root: Path, stage: str) -> Path:
    """Where the copy of a stage's notebook is."""
    return root / "debug" / f"{stage}.ipynb"


def show_copy(copy: Copy) -> None:
    """Print where the copy is, where its notebook stopped, and how to go on."""
    name, file = copy.stage.name, shown_path(copy.file)
    print(file)
    if copy.stopped:
        number = copy.stopped.get("number")
        heading = copy.stopped.get("heading")
        where = f" in cell {number}" if number else ""
        where += f", under “{heading}”" if heading else ""
        print(f"{name} stopped{where}: {copy.stopped['ename']}: {copy.stopped['evalue']}")
    if copy.changed:
        print(
            f"notebooks/{name}.ipynb has changed since; the copy is of how it is now, not yet run"
        )
    elif not copy.stopped:
        print(f"{name} has not failed in its last run; the copy is of the notebook as it is")
    print("What it writes goes to debug/files/, and what is published stays as it is.")
    if copy.stage.external != External():
        print("What it keeps elsewhere, as in a registry, it keeps there from the copy, too.")
    settings = [part for each in copy.settings for part in ("--set", each)]
    print(
        f"Next: uv run jupyter lab {file}    # find the cause, change the cells\n"
        f"      {_command('--fixed', name, *settings)}    # take the changes over and run on\n"
        "If the cause was not in the notebook but in data or a package, a plain rerun goes on "
        f"from there:\n      {_command(*settings)}"
    )


def open_in_jupyter(copy: Copy) -> int:
    """Go on as JupyterLab with the copy, so that its signals are its own; an exit code if not."""
    lab = [sys.executable, "-m", "jupyter", "lab", str(copy.file)]
    if os.name == "nt":  # it would start it beside us, and leave the terminal to both
        return subprocess.call(lab)
    sys.stdout.flush()
    os.execv(sys.executable, lab)


def _last_failure(plan: Plan, stage: Stage) -> tuple[str | None, dict[str, Any] | None]:
    """The run in which a stage was last executed and what is told of it, if it has failed there."""
    for manifest in sorted(plan.experiments.glob("runs/*/manifest.json"), reverse=True):
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(manifest.read_text(encoding="utf-8"))
            (one,) = (each for each in told["stages"] if each["name"] == stage.name)
            if one["status"] in ("failed", "interrupted"):
                return manifest.parent.name, one
            if one["status"] == "succeeded":
                return None, None
    return None, None


def _injected(plan: Plan, stage: Stage, told: dict[str, Any], run: str | None) -> dict[str, Any]:
    """The cell that hands the copy what the chain would: environment, parameters and files."""
    known = plan.notebooks[stage.name].parameters
    before = {k: v for k, v in told.get("parameters", {}).items() if k in known}
    taken = {k: v for k, v in before.items() if v != known[k].default and k not in stage.secrets}
    parameters = plan.planned(stage).parameters
    taken = {k: parameters[k] for k in stage.reads} | taken | plan.settings[stage.name]
    taken |= {name: f"files/{path}" for name, path in stage.writes.items()}
    variables = {
        "CHAIN_RUN_ID": f"debug {stage.name}",
        "CHAIN_STAGE": stage.name,
    }
    lines = [
        f"# Parameters of run {run}" if run else "# Parameters",
        *(f"{name} = {value!r}" for name, value in sorted(taken.items())),
        *(
            f"{name} = __import__('os').environ[{variable!r}]"
            for name, variable in stage.secrets.items()
        ),
        "# what the chain sets beside them; --fixed leaves this cell out",
        "import os, sys",
        'sys.path.insert(0, os.path.abspath(".."))',
        'os.environ["PYTHONPATH"] = os.path.abspath("..")',
        'os.environ["CHAIN_RUN_FOLDER"] = os.path.abspath("files")',
        *(f"os.environ[{name!r}] = {value!r}" for name, value in variables.items()),
    ]
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "injected-parameters",
        "metadata": {"tags": [INJECTED]},
        "outputs": [],
        "source": "\n".join(lines),
    }


def _with_ids(cells: list[dict[str, Any]], stage: str) -> list[dict[str, Any]]:
    """Cells each with an id, by which it is known again whatever is changed in it or around it."""
    stem = re.sub(r"[^\w-]|[^\x00-\x7f]", "-", stage)[:50]
    return [{"id": f"{stem}-{n}"} | cell for n, cell in enumerate(cells, start=1)]


def _with_outputs(cells: list[dict[str, Any]], executed: Path) -> list[dict[str, Any]]:
    """The cells with the outputs that they had in an executed notebook, if it is there."""
    cells = [
        cell | {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell
        for cell in cells
    ]
    with suppress(OSError, ValueError, KeyError, TypeError):
        ran = json.loads(executed.read_text(encoding="utf-8"))["cells"]
        ran = [cell for cell in ran if not _is_of_tools(cell)]
        if [cell["cell_type"] for cell in ran] == [cell["cell_type"] for cell in cells]:
            return [
                cell | {k: old[k] for k in ("outputs", "execution_count") if k in old}
                for cell, old in zip(cells, ran, strict=True)
            ]
    return cells


def _as_typed(plan: Plan, stage: Stage, told: dict[str, Any]) -> list[str]:
    """What to set for a run of the same parameters, as NAME=VALUE; files as seen from here."""
    known = plan.notebooks[stage.name].parameters
    wired = {**stage.writes, **stage.secrets}
    given = {
        name: value
        for name, value in told.get("parameters", {}).items()
        if name in known and name not in wired and value != known[name].default
    }
    places = plan.planned(stage).parameters
    given = {k: v for k, v in given.items() if not (k in stage.reads and v == places[k])}
    given |= plan.settings[stage.name]
    for name in given.keys() & stage.reads.keys():
        given[name] = os.path.relpath(plan.root / "notebooks" / given[name])
    return [f"{name}={value}" for name, value in given.items()]


def _as_before(cells: list[dict[str, Any]], before: str, stage: str) -> str:
    """A notebook with these cells, written as it was before: ids, metadata, indents, line ends."""
    notebook = json.loads(before)
    old = dict(
        zip(
            (cell["id"] for cell in _with_ids(notebook["cells"], stage)),
            notebook["cells"],
            strict=True,
        )
    )
    has_ids = any("id" in cell for cell in notebook["cells"])
    lists = any(isinstance(cell["source"], list) for cell in notebook["cells"])
    style = _style_of(before, notebook)
    fresh = []
    for cell in cells:
        was = old.get(cell.get("id"), {"cell_type": cell["cell_type"]})
        if was["cell_type"] != cell["cell_type"]:
            was = {"cell_type": cell["cell_type"]}
        metadata = {k: v for k, v in cell["metadata"].items() if k not in OF_TOOLS}
        source = "".join(cell["source"])
        one = dict(was)
        if has_ids and "id" not in one and "id" in cell:
            one["id"] = cell["id"]
        if {k: v for k, v in was.get("metadata", {}).items() if k not in OF_TOOLS} != metadata:
            one["metadata"] = metadata
        one.setdefault("metadata", metadata)
        if "source" not in was or "".join(was["source"]) != source:
            one["source"] = source.splitlines(keepends=True) if lists else source
        if cell["cell_type"] == "code":
            one |= {"outputs": [], "execution_count": None}
        fresh.append(one if was in notebook["cells"] else dict(sorted(one.items())))
    return _written(notebook | {"cells": fresh}, style)


def _style_of(text: str, notebook: dict[str, Any]) -> tuple[Any, bool, str]:
    """How a notebook is written: its indents, whether in ASCII alone, and its end."""
    end = text[len(text.rstrip()) :]
    for indent in (1, 2, 4, "\t", None):
        for ascii in (False, True):
            if _written(notebook, (indent, ascii, end)) == text:
                return indent, ascii, end
    return 1, False, "\n"


def _written(notebook: dict[str, Any], style: tuple[Any, bool, str]) -> str:
    indent, ascii, end = style
    return json.dumps(notebook, indent=indent, ensure_ascii=ascii) + end


def _is_of_tools(cell: dict[str, Any]) -> bool:
    """Whether a cell is not of the notebook itself: injected, or a sign that points to an error."""
    return bool({INJECTED, POINTER} & set(cell["metadata"].get("tags", [])))


def _digest_of(cells: list[dict[str, Any]]) -> str:
    """What the cells of a copy say, as a hash; outputs do not count."""
    from hashlib import sha256

    said = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    return sha256(json.dumps(said).encode()).hexdigest()


def _refuse_to_overwrite(file: Path, stage: str) -> None:
    """Raise ChainError for a copy in which somebody has changed something not taken over yet."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        copy = json.loads(file.read_text(encoding="utf-8"))
        if copy["metadata"]["chain"]["copied"] != _digest_of(copy["cells"]):
            raise ChainError(
                f"{shown_path(file)} holds changes that are not taken over; take them over with "
                f"{_command('--fixed', stage)}, or delete the file"
            )


def _command(*words: str) -> str:
    return shlex.join(["python", Path(sys.argv[0]).name, *words])
