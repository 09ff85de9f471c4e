"""Whether a stage is up to date, and if not, why."""

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.python_code import imported_modules
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.files import sha256
from papermill_chain.runs.manifest import StageRun

FILE_NAME = re.compile(rb"[\"']([A-Za-z][\w-]*(?:\.\w+)+)[\"']")
PYTHON = ".".join(map(str, sys.version_info[:3]))


def basis_of(notebook: Notebook, root: Path) -> dict[str, Any]:
    """All that a stage's result rests on, apart from parameters and the files it reads."""
    return {
        "notebook": notebook.sha256,
        "code": _hashes(_code_behind(notebook.imports, root), root),
        "lock": _lock(root),
        "python": PYTHON,
    }


def rests_on(record: StageRun) -> dict[str, Any]:
    """All that a record's result rests on: what :func:`stale_reasons` compares with how it is now.

    The rest of what that looks at is what the stage has left behind in this checkout.
    """
    return {"parameters": record.parameters, "reads": record.reads, **record.basis}


def stale_reasons(
    stage: Stage,
    notebook: Notebook,
    parameters: dict[str, Any],
    reads: Iterable[str],
    root: Path,
    experiments: Path,
    last: StageRun | None,
) -> list[str]:
    """Why a stage has to run, in words; nothing if its last good result still stands.

    Parameters
    ----------
    parameters, reads : what it would be given, and the paths below the root it would read.
    experiments : the folder that keeps all runs.
    last : the record of its last success.
    """
    if last is None:
        return ["first run"]
    basis = last.basis
    reasons = [
        *(["notebook changed"] if notebook.sha256 != basis["notebook"] else []),
        *_changed_parameters(parameters, last.parameters),
        *_changed_files({path: last.reads.get(path, "") for path in reads}, root, "changed"),
        *_changed_files(basis["code"], root, "changed"),
        *(["uv.lock changed"] if _lock(root) != basis["lock"] else []),
        *([f"Python {basis['python']} → {PYTHON}"] if basis["python"] != PYTHON else []),
        *_changed_files(last.writes, root, "was altered"),
        *([] if report_of(last, experiments).is_file() else ["its report is missing"]),
        *[
            f"its run has no copy of {name}"
            for name in stage.kept
            if not _is_kept(name, last, experiments)
        ],
    ]
    if not reasons and stage.external.check and (gone := stage.external.check()):
        reasons.append(gone)
    return reasons


def report_of(last: StageRun, experiments: Path) -> Path:
    """The report of a stage's last success, below the folder that keeps all runs."""
    return experiments / "runs" / str(last.run) / f"{last.name}.html"


def _is_kept(name: str, last: StageRun, experiments: Path) -> bool:
    return name in last.kept and report_of(last, experiments).with_name(last.kept[name]).is_file()


def _changed_parameters(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    reasons = [f"parameter {name} is new" for name in now.keys() - before.keys()]
    reasons += [f"parameter {name} is gone" for name in before.keys() - now.keys()]
    reasons += [
        f"parameter {name} {before[name]} → {value}"
        for name, value in now.items()
        if name in before and before[name] != value
    ]
    return sorted(reasons)


def _changed_files(before: dict[str, str], root: Path, changed: str) -> list[str]:
    """What has become of files that once had these hashes; data by name, code by path."""
    now = _hashes(before, root)
    return [
        f"{path if path.endswith('.py') else Path(path).name} {changed if now[path] else 'is gone'}"
        for path, hash in before.items()
        if now[path] != hash
    ]


def _hashes(paths: Iterable[str], root: Path) -> dict[str, str]:
    """The hash of each file; none of one that is not there."""
    return {path: sha256(root / path) if (root / path).is_file() else "" for path in paths}


def _lock(root: Path) -> str:
    return _hashes(["uv.lock"], root)["uv.lock"]


def _code_behind(modules: Iterable[str], root: Path) -> list[str]:
    """The files below the root that importing these modules executes, in alphabetical order.

    With them go the templates and the like beside or right below them that they name.
    """
    found, waiting = set(), list(modules)
    while waiting:
        parts = waiting.pop().split(".")
        for length in range(1, len(parts) + 1):  # the packages above a module are executed as well
            stem = root.joinpath(*parts[:length])
            for file in stem.with_name(f"{stem.name}.py"), stem / "__init__.py":
                if file not in found and file.is_file():
                    found.add(file)
                    package = parts[:length] if file.name == "__init__.py" else parts[: length - 1]
                    source = file.read_bytes()
                    waiting += _modules(source, ".".join(package))
                    found |= _named_in(source, file.parent)
    return sorted(file.relative_to(root).as_posix() for file in found)


def _named_in(source: bytes, folder: Path) -> set[Path]:
    """The files beside a module or right below its folder that it names."""
    names = {name.decode() for name in FILE_NAME.findall(source)}
    return {
        file
        for name in names
        for where in (name, f"*/{name}")
        for file in folder.glob(where)
        if file.is_file()
    }


@cache
def _modules(source: bytes, package: str) -> list[str]:
    """What a file imports; files are shared by many notebooks and read once."""
    return imported_modules(source.decode("utf-8", errors="replace"), package)
