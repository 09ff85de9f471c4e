"""What a user sets, which stages take it up, and what cannot be meant."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from posixpath import normpath
from typing import Any

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameters import ChainError, Parameter, value_in_file, value_of
from papermill_chain.chain.stages import Stage, find_stage, writers
from papermill_chain.runs.files import relative
from work_units.regular_files import kind_of

UNDECLARED = "Any"  # the type of a parameter that a notebook does not list


@dataclass(frozen=True)
class Setting:
    """The value of a parameter, for all stages that have it or for one."""

    name: str
    value: Any  # a text if it is typed after --set, which is to be read as the parameter's type
    source: str = ""  # the file that gives it; none if it was typed after --set
    stage: str = ""  # the only one that it is for
    recorded: bool = False  # by an earlier run, with all that was left at its default then

    def __str__(self) -> str:
        return f"{self.origin}{self.label}={self.value}"

    @property
    def label(self) -> str:
        """The parameter as one would type it."""
        return f"{self.stage}.{self.name}" if self.stage and not self.source else self.name

    @property
    def origin(self) -> str:
        """What a sentence about it begins with."""
        return f"{self.source}: " if self.source else ""

    def value_for(self, stage: str, type: str) -> Any:
        """The value as a parameter of a stage takes it; ChainError if it is of another type."""
        try:
            return value_in_file(self.value, type) if self.source else value_of(self.value, type)
        except (ValueError, TypeError):
            raise ChainError(f"{self}: {self.name} is of type {type} in {stage}") from None


def typed_settings(assignments: Iterable[str], stages: Sequence[Stage]) -> list[Setting]:
    """What the user has typed after --set; what is for one stage alone counts more.

    Raises
    ------
    ChainError
        For what is neither NAME=VALUE nor STAGE.NAME=VALUE, what is set twice, an unknown stage.
    """
    settings: dict[str, Setting] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ChainError(f"--set takes NAME=VALUE or STAGE.NAME=VALUE, not {assignment}")
        stage, name = named(name, stages)
        setting = Setting(name, text, stage=stage)
        if setting.label in settings:
            raise ChainError(f"{setting.label} is set twice")
        settings[setting.label] = setting
    return sorted(settings.values(), key=lambda setting: bool(setting.stage))


def named(name: str, stages: Sequence[Stage]) -> tuple[str, str]:
    """The stage, if one is named before a dot, and the parameter that a user means."""
    stage, _, parameter = name.rpartition(".")
    return (find_stage(stage, stages).name if stage else ""), parameter


def settable(
    stage: Stage, notebook: Notebook, stages: Sequence[Stage]
) -> Iterator[tuple[Parameter, str]]:
    """The parameters of a stage that a user may set, with the paths that the chain gives them.

    The path is empty for a parameter whose default stands in the notebook alone.
    """
    wired, writer = {**stage.reads, **stage.writes, **stage.in_place}, writers(stages)
    for name, parameter in notebook.parameters.items():
        path = wired.get(name, "")
        if name not in stage.secrets and normpath(path) not in writer:
            yield parameter, path


def refuse_senseless(
    settings: Iterable[Setting], stages: Sequence[Stage], notebooks: dict[str, Notebook]
) -> None:
    """Raise ChainError for what no notebook has, and for what nobody can set."""
    for setting in settings:
        if not takers(setting, stages, notebooks):
            raise ChainError(f"{setting.origin}{_unknown(setting, notebooks)}")
        _refuse_wired(setting, stages)


def takers(setting: Setting, stages: Sequence[Stage], notebooks: dict[str, Notebook]) -> list[str]:
    """The stages that take a setting up.

    They are those whose notebooks list the parameter or that the chain hands it. One that nobody
    knows goes to the notebooks that list none, unless it looks like one that is mistyped.
    """
    name = setting.name
    if setting.stage:
        return [setting.stage] if notebooks[setting.stage].takes(name) else []
    known = {stage.name: _names_of(stage, notebooks[stage.name]) for stage in stages}
    if found := [stage for stage, names in known.items() if name in names]:
        return found
    if get_close_matches(name, set().union(*known.values()), n=1):
        return []
    return [stage for stage, notebook in notebooks.items() if notebook.takes(name)]


def settings_of(
    settings: Iterable[Setting],
    stage: Stage,
    stages: Sequence[Stage],
    notebooks: dict[str, Notebook],
    root: Path,
) -> dict[str, Any]:
    """The values that a stage is given; those of its input files as its notebook sees them.

    Parameters
    ----------
    settings : the ones that count more come later.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        if stage.name not in takers(setting, stages, notebooks):
            continue
        name, parameter = setting.name, notebooks[stage.name].parameters.get(setting.name)
        value = setting.value_for(stage.name, parameter.type if parameter else UNDECLARED)
        if setting.recorded and parameter and value == parameter.default:
            values.pop(name, None)
        else:
            values[name] = _input_file(setting, root) if name in stage.reads else value
    return values


def refuse_idle(
    settings: Iterable[Setting],
    values: dict[str, dict[str, Any]],
    stages: Sequence[Stage],
    notebooks: dict[str, Notebook],
) -> None:
    """Raise ChainError for what was typed and no stage of this run would take up.

    A file may well hold parameters of stages that a run leaves out.
    """
    for setting in settings:
        homes = takers(setting, stages, notebooks)
        if not (setting.source or values.keys() & homes):
            whose = " and ".join(homes)
            raise ChainError(f"{setting.label} is of {whose}, which this run leaves out")


def given_in_all(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What stages are given, by its name alone; with the stage's where stages differ in it."""
    given: dict[str, Any] = {}
    for taken in values.values():
        for name, value in taken.items():
            others = [other[name] for other in values.values() if name in other]
            if all(other == value for other in others):
                given[name] = value
    return given | {
        f"{stage}.{name}": value
        for stage, taken in values.items()
        for name, value in taken.items()
        if name not in given
    }


def _names_of(stage: Stage, notebook: Notebook) -> set[str]:
    """The parameters that a notebook lists, and those that the chain hands it."""
    return {*notebook.parameters, *stage.reads, *stage.writes, *stage.in_place, *stage.secrets}


def _input_file(setting: Setting, root: Path) -> str:
    """The path of a file the user names from the current folder, as a notebook names it."""
    file = Path(setting.value).absolute()
    if kind := kind_of(file, links=True):
        raise ChainError(f"{setting}: this is {kind}; give the path of a file")
    if not file.is_file():
        raise ChainError(f"{setting}: there is no such file")
    return relative(file, root / "notebooks")


def _unknown(setting: Setting, notebooks: dict[str, Notebook]) -> str:
    """That a parameter is unknown, and which may be meant."""
    homes: dict[str, list[str]] = {}
    for stage, notebook in notebooks.items():
        if setting.stage in ("", stage):
            for known in notebook.parameters:
                homes.setdefault(known, []).append(stage)
    near = get_close_matches(setting.name, homes, n=1)
    whose = "" if setting.stage else f", of {' and '.join(homes[near[0]])}" if near else ""
    hint = f"did you mean {near[0]}{whose}?" if near else "see --list"
    return f"{setting.stage or 'no notebook'} has {'no' if setting.stage else 'a'} parameter " + (
        f"{setting.name}; {hint}"
    )


def _refuse_wired(setting: Setting, stages: Iterable[Stage]) -> None:
    """Raise ChainError for a secret, or a path that the chain itself hands on."""
    name, writer = setting.name, writers(stages)
    for stage in stages:
        if setting.stage not in ("", stage.name):
            continue
        if variable := stage.secrets.get(name):
            raise ChainError(
                f"{setting.origin}{name} is a secret and cannot be set here, where others can read"
                f" it; set the environment variable {variable}"
            )
        path = normpath({**stage.reads, **stage.writes}.get(name, ""))
        if path in writer:
            raise ChainError(
                f"{setting.origin}{name} cannot be set: it is {path}, which {writer[path]} writes"
            )
