"""What a user sets, which stages take it up, and what cannot be meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from posixpath import normpath
from typing import Any

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameters import ChainError, value_of
from papermill_chain.chain.stages import Stage, writers
from papermill_chain.runs.files import relative
from work_units.regular_files import kind_of


def given_by(
    assignments: Iterable[str], stages: list[Stage], notebooks: dict[str, Notebook]
) -> dict[str, str]:
    """What the user has set, name by name; ChainError for what nobody can set."""
    given = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ChainError(f"--set takes NAME=VALUE, not {assignment}")
        if name in given:
            raise ChainError(f"{name} is set twice")
        _refuse_unknown(name, notebooks)
        _refuse_wired(name, stages)
        given[name] = text
    return given


def settings_of(
    given: dict[str, str], stage: Stage, notebook: Notebook, root: Path
) -> dict[str, Any]:
    """The values that a stage is given; those of its input files as its notebook sees them."""
    settings = {}
    for name, text in given.items():
        if parameter := notebook.parameters.get(name):
            try:
                settings[name] = value_of(text, parameter.type)
            except ValueError:
                kind = parameter.type
                raise ChainError(
                    f"{name}={text}: {name} is of type {kind} in {stage.name}"
                ) from None
            if name in stage.reads:
                settings[name] = _input_file(name, text, root)
    return settings


def _input_file(name: str, text: str, root: Path) -> str:
    """The path of a file the user names from the current folder, as a notebook names it."""
    file = Path(text).absolute()
    if kind := kind_of(file, links=True):
        raise ChainError(f"{name}={text}: this is {kind}; give the path of a file")
    if not file.is_file():
        raise ChainError(f"{name}={text}: there is no such file")
    return relative(file, root / "notebooks")


def _refuse_unknown(name: str, notebooks: dict[str, Notebook]) -> None:
    homes: dict[str, list[str]] = {}
    for stage, notebook in notebooks.items():
        for known in notebook.parameters:
            homes.setdefault(known, []).append(stage)
    if name not in homes:
        near = get_close_matches(name, homes, n=1)
        hint = (
            f"did you mean {near[0]}, of {' and '.join(homes[near[0]])}?" if near else "see --list"
        )
        raise ChainError(f"no notebook has a parameter {name}; {hint}")


def _refuse_wired(name: str, stages: list[Stage]) -> None:
    """Raise ChainError for a secret, or a path that the chain itself hands on."""
    writer = writers(stages)
    for stage in stages:
        if variable := stage.secrets.get(name):
            raise ChainError(
                f"{name} is a secret and cannot be set here, where others can read it; "
                f"set the environment variable {variable}"
            )
        path = normpath({**stage.reads, **stage.writes}.get(name, ""))
        if path in writer:
            raise ChainError(f"{name} cannot be set: it is {path}, which {writer[path]} writes")


def refuse_idle(
    given: dict[str, str], settings: dict[str, dict[str, Any]], notebooks: dict[str, Notebook]
) -> None:
    """Raise ChainError for a setting that no stage of this run would take up."""
    for name in given:
        if not any(name in taken for taken in settings.values()):
            homes = [stage for stage, notebook in notebooks.items() if name in notebook.parameters]
            raise ChainError(f"{name} is of {' and '.join(homes)}, which this run leaves out")
