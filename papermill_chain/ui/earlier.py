"""The form filled in as for an earlier run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameter_files import settings_in_file
from papermill_chain.chain.settings import UNDECLARED, refuse_senseless, settings_of
from papermill_chain.chain.stages import Stage
from papermill_chain.reports.screen import shown_path
from papermill_chain.ui.form import Field, Filled, fields_of, text_for


def filled_again(
    manifest: Path, stages: Sequence[Stage], notebooks: dict[str, Notebook], root: Path
) -> Filled:
    """The form that asks for the parameters of an earlier run.

    What only some of the notebooks had that know a parameter goes to the lines for one alone.

    Raises
    ------
    ChainError
        If its record cannot be read, or has what no notebook takes any more.
    """
    settings = settings_in_file(str(manifest), stages, notebooks, root)
    refuse_senseless(settings, stages, notebooks)
    texts: dict[str, dict[str, str]] = {}  # parameter: stage: what one would type
    for stage in stages:
        for name, value in settings_of(settings, stage, stages, notebooks, root).items():
            parameter = notebooks[stage.name].parameters.get(name)
            type = parameter.type if parameter else UNDECLARED
            texts.setdefault(name, {})[stage.name] = _text(value, type, name in stage.reads, root)
    fields = {field.name: field for field in fields_of(stages, notebooks, root)}
    form, lines = Filled(), list[str]()
    for name, of in texts.items():
        if _is_for_all(of, fields.get(name)):
            form.texts[name] = next(iter(of.values()))
        else:
            lines += [f"{stage}.{name}={text}" for stage, text in of.items()]
    if several := [line.partition("=")[0] for line in lines if "\n" in line]:
        form.faults["others"] = f"{several[0]} has several lines and cannot be set for one alone"
    form.others = "\n".join(line for line in lines if "\n" not in line)
    return form


def _text(value: Any, type: str, is_file: bool, root: Path) -> str:
    """A value as one would type it; a file from the current folder."""
    if is_file:
        return shown_path((root / "notebooks" / str(value)).resolve())
    return text_for(value, type)


def _is_for_all(texts: dict[str, str], field: Field | None) -> bool:
    """Whether one field says what each of the notebooks had."""
    return field is not None and {*texts} == {*field.stages} and len({*texts.values()}) == 1
