"""What a run is to do: the stages it takes, what each is given, and what cannot be meant."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import normpath
from typing import Any

from papermill_chain.chain.notebooks import Notebook, notebook_path
from papermill_chain.chain.output_limits import Limits, limits_of
from papermill_chain.chain.parameter_files import OF_OPTION, settings_in_file, settings_in_text
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.settings import (
    Setting,
    given_in_all,
    refuse_idle,
    refuse_senseless,
    settings_of,
    typed_settings,
)
from papermill_chain.chain.stages import Stage, find_stage, refuse_missing
from papermill_chain.chain.staleness import stale_reasons
from papermill_chain.runs.files import relative
from papermill_chain.runs.lookup import has_failed
from papermill_chain.runs.manifest import Run, StageRun

SHORTEST_SECRET = 6  # characters; a shorter one looks like ordinary text


@dataclass(frozen=True)
class Plan:
    """What to run and how."""

    root: Path
    title: str
    stages: Sequence[Stage]  # in order
    notebooks: dict[str, Notebook]
    settings: dict[str, dict[str, Any]]  # stage: parameter: value, as the user wants it
    given: dict[str, Any]  # the same, whatever the stage
    asked_for: frozenset[str]  # stages to run whether they are up to date or not
    jobs: int = 2
    cell_timeout: int | None = None
    limits: Limits = field(default_factory=Limits)
    after: Callable[[Run], None] | None = None
    compare: str | None = None  # the command that compares the runs {a} and {b}
    typed: dict[str, str] = field(default_factory=dict)  # files as the user has named them
    columns: tuple[str, ...] = ()  # the figures that the table of all runs has
    refusals: frozenset[str] = frozenset()  # exceptions that say all that is to be said
    experiments_path: str = "experiments"  # below the root

    @property
    def experiments(self) -> Path:
        """The folder that keeps all runs."""
        return self.root / self.experiments_path

    @property
    def places(self) -> list[Path]:
        """The files that the chain writes."""
        return [self.root / path for stage in self.stages for path in stage.writes.values()]

    def planned(self, stage: Stage) -> StageRun:
        """A stage that has not run, with what it would get; files as its notebook sees them."""
        return StageRun(
            stage.name,
            self.notebooks[stage.name].title,
            self._parameters(stage),
            inputs=list(self.files_read(stage)),
            outputs=[normpath(path) for path in stage.writes.values()],
        )

    def _parameters(self, stage: Stage) -> dict[str, Any]:
        """What a notebook would get; files as it sees them."""
        notebook = self.notebooks[stage.name]
        defaults = {name: parameter.default for name, parameter in notebook.parameters.items()}
        wired = {
            name: relative(self.root / path, self.root / "notebooks")
            for name, path in {**stage.reads, **stage.writes, **stage.in_place}.items()
        }
        secrets = {name: f"from the environment: {of}" for name, of in stage.secrets.items()}
        return defaults | wired | self.settings[stage.name] | secrets

    def files_read(self, stage: Stage) -> dict[str, Path]:
        """The files a stage reads, by their paths below the root."""
        parameters = self._parameters(stage)
        files = [notebook_path(self.root, stage.name).parent / parameters[k] for k in stage.reads]
        files += [self.root / path for path in stage.files]
        return {relative(file, self.root): file for file in files}

    def handed(self, stage: Stage, staged: Mapping[str, Path]) -> dict[str, Any]:
        """The parameters that a notebook is handed, its defaults left out.

        Parameters
        ----------
        staged : where each file that it writes waits for the others, by parameter.
        """
        planned = self.planned(stage).parameters
        given = sorted({*stage.reads, *stage.in_place, *self.settings[stage.name]})
        parameters = {name: planned[name] for name in given}
        folder = self.root / "notebooks"
        parameters |= {name: relative(file, folder) for name, file in staged.items()}
        if self.notebooks[stage.name].takes_any:  # else it has no cell to fetch secrets in
            parameters |= dict.fromkeys(stage.secrets)
        return parameters

    def note_on_parameters(self, stage: Stage) -> str:
        """What a reader should know of how a notebook gets its parameters; "" if all is as usual.

        Papermill warns of the same.
        """
        notebook = self.notebooks[stage.name]
        handed = {*stage.reads, *stage.writes, *stage.in_place, *stage.secrets}
        handed |= self.settings[stage.name].keys()
        if not (notebook.is_untagged and handed):
            return ""
        return (
            f"notebooks/{notebook_path(self.root, stage.name).name} has no cell tagged"
            f" `parameters`: a cell on top sets {', '.join(sorted(handed))}, and its own cells may"
            " set that anew"
        )

    def why(self, stage: Stage, last: StageRun | None) -> list[str]:
        """Why a stage has to run as things are now; nothing if it has not."""
        if stage.name in self.asked_for:
            return ["asked for"]
        if last is None and has_failed(stage.name, self.experiments):
            return ["has not succeeded yet"]
        return stale_reasons(
            stage,
            self.notebooks[stage.name],
            self.planned(stage).parameters,
            self.files_read(stage),
            self.root,
            self.experiments,
            last,
        )


def plan_of(
    asked: Namespace,
    stages: list[Stage],
    notebooks: dict[str, Notebook],
    root: Path,
    title: str,
    command: str,
    after: Callable[[Run], None] | None,
    compare: str | None,
) -> Plan:
    """The plan that a command line asks for; ChainError if it cannot be meant."""
    selected = _selected(asked, stages, root)
    given = _given(asked, stages, notebooks, root)
    refuse_senseless(given, stages, notebooks)
    settings = {
        stage.name: settings_of(given, stage, stages, notebooks, root) for stage in selected
    }
    refuse_idle(given, settings, stages, notebooks)
    _refuse_without_secrets(selected)
    wired = [
        replace(
            stage, reads={k: v for k, v in stage.reads.items() if k not in settings[stage.name]}
        )
        for stage in selected
    ]
    refuse_missing(wired, stages, root, command)
    named = asked.force or asked.only or asked.start
    return Plan(
        root,
        title,
        selected,
        notebooks,
        settings,
        given=given_in_all(settings),
        asked_for=frozenset(stage.name for stage in selected if named),
        jobs=asked.jobs,
        cell_timeout=asked.cell_timeout,
        limits=limits_of(vars(asked)),
        after=after,
        compare=compare,
        typed={
            setting.name: setting.value
            for setting in given
            if any(setting.name in stage.reads for stage in selected)
        },
    )


def _given(
    asked: Namespace, stages: list[Stage], notebooks: dict[str, Notebook], root: Path
) -> list[Setting]:
    """All that the user sets, what counts more later: files, texts, and what is typed by name."""
    given = [
        setting
        for file in asked.params
        for setting in settings_in_file(file, stages, notebooks, root)
    ]
    for text in asked.params_yaml:
        given += settings_in_text(text, OF_OPTION, stages, notebooks)
    return given + typed_settings(asked.set, stages)


def _selected(asked: Namespace, stages: list[Stage], root: Path) -> list[Stage]:
    """The stages to run, in order; one that nobody has named needs what it is `only_with`."""
    if asked.only:
        chosen = {find_stage(name, stages).name for name in asked.only}
        return [stage for stage in stages if stage.name in chosen]
    start = find_stage(asked.start, stages) if asked.start else None
    after = stages[stages.index(start) :] if start else stages
    return [
        stage
        for stage in after
        if stage is start or not stage.only_with or (root / stage.only_with).exists()
    ]


def _refuse_without_secrets(stages: Sequence[Stage]) -> None:
    """Raise ChainError for a secret that is not in the environment, or too short to be masked."""
    for stage in stages:
        for name, variable in stage.secrets.items():
            if variable not in os.environ:
                raise ChainError(
                    f"{stage.name} needs the secret {name}; set the environment variable {variable}"
                )
            if len(os.environ[variable]) < SHORTEST_SECRET:
                raise ChainError(
                    f"the secret in {variable} has fewer than {SHORTEST_SECRET} characters, "
                    "too few to be kept out of the reports; choose a longer one"
                )
