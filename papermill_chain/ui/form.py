"""The form of the page: a field for each parameter, and the arguments that it stands for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameter_files import read_yaml
from papermill_chain.chain.parameters import ChainError, Parameter, kinds_of
from papermill_chain.chain.settings import (
    refuse_senseless,
    settable,
    settings_of,
    typed_settings,
)
from papermill_chain.chain.stages import Stage
from papermill_chain.reports.listing import from_notebooks
from papermill_chain.reports.screen import shown_path

OTHERS = "others"  # the field for what notebooks take that list no parameters
WHICH = ("stale", "from", "only", "force")  # the choices of stages; the first is the usual one


@dataclass(frozen=True)
class Field:
    """One parameter, of one stage or of several."""

    name: str
    stages: tuple[str, ...]
    type: str
    kind: str  # bool, int, float, text, lines, yaml; "left" if a blank leaves what notebooks have
    default: str  # the text that stands in the field at first
    comments: dict[str, tuple[str, ...]]  # of the notebooks, and which of them say it
    left: str = ""  # what it is if the field stays blank


@dataclass
class Filled:
    """A form as somebody has filled it in, and what is wrong with it."""

    texts: dict[str, str] = field(default_factory=dict)  # by name of the parameter
    others: str = ""
    which: str = WHICH[0]
    start: str = ""
    only: tuple[str, ...] = ()
    faults: dict[str, str] = field(default_factory=dict)  # by name; "" for the form as a whole

    def text(self, field: Field) -> str:
        """What stands in a field."""
        return self.texts.get(field.name, field.default)

    def changed(self, fields: Iterable[Field]) -> list[Field]:
        """The fields that hold something else than at first."""
        return [field for field in fields if self.text(field) != field.default]


def fields_of(
    stages: Sequence[Stage], notebooks: Mapping[str, Notebook], root: Path
) -> list[Field]:
    """A field for each parameter that can be set, in the order of the stages."""
    homes: dict[str, dict[str, tuple[Parameter, str]]] = {}
    for stage in stages:
        for parameter, path in settable(stage, notebooks[stage.name], stages):
            default = _default(stage, parameter, path, root)
            homes.setdefault(parameter.name, {})[stage.name] = parameter, default
    return [_field(name, of) for name, of in homes.items()]


def filled_in(form: Mapping[str, str], only: Iterable[str], fields: Iterable[Field]) -> Filled:
    """The form that a browser has sent; an unticked box is not among what it sends."""
    # no argument of a program can hold a NUL
    sent = {key: text.replace("\r\n", "\n").replace("\0", "") for key, text in form.items()}
    texts = {}
    for each in fields:
        blank = "False" if each.kind == "bool" else each.default
        texts[each.name] = sent.get(f"set:{each.name}", blank)
    which = sent.get("which", WHICH[0])
    return Filled(
        texts,
        sent.get(OTHERS, "").strip(),
        which if which in WHICH else WHICH[0],
        sent.get("start", ""),
        tuple(only),
    )


def arguments_of(
    filled: Filled,
    fields: Sequence[Field],
    stages: Sequence[Stage],
    notebooks: dict[str, Notebook],
    root: Path,
) -> list[str]:
    """The arguments of the command line that a form stands for; its faults are noted in it."""
    settings = []
    for each in filled.changed(fields):
        try:
            setting = f"{each.name}={_typed(each, filled.text(each))}"
            _refuse(setting, stages, notebooks, root)
            settings.append(setting)
        except ChainError as fault:
            filled.faults[each.name] = str(fault)
    for line in filter(None, map(str.strip, filled.others.splitlines())):
        try:
            _refuse(line, stages, notebooks, root)
            settings.append(line)
        except ChainError as fault:
            filled.faults.setdefault(OTHERS, str(fault))
    if filled.which == "only" and not filled.only:
        filled.faults["only"] = "choose at least one stage to run"
    # each with =, or a name that begins with a hyphen would pass for an option
    chosen = {
        "stale": [],
        "from": [f"--from={filled.start}"],
        "only": [f"--only={name}" for name in filled.only],
        "force": ["--force"],
    }[filled.which]
    return [*chosen, *(f"--set={setting}" for setting in settings)]


def _refuse(
    setting: str, stages: Sequence[Stage], notebooks: dict[str, Notebook], root: Path
) -> None:
    """Raise ChainError for a setting that the command line would refuse."""
    settings = typed_settings([setting], stages)
    refuse_senseless(settings, stages, notebooks)
    for stage in stages:
        settings_of(settings, stage, stages, notebooks, root)


def _typed(field: Field, text: str) -> str:
    """What one would type after --set for a text in a field."""
    value = read_yaml(text, field.name) if field.kind == "yaml" else text
    return value if isinstance(value, str) else repr(value)


def _field(name: str, homes: Mapping[str, tuple[Parameter, str]]) -> Field:
    """The field for a parameter of some stages, each with its default."""
    comments: dict[str, tuple[str, ...]] = {}
    for stage, (parameter, _) in homes.items():
        if parameter.help:
            comments[parameter.help] = (*comments.get(parameter.help, ()), stage)
    (first, default), *_ = homes.values()
    defaults = {stage: text for stage, (_, text) in homes.items()}
    types = dict.fromkeys(parameter.type for parameter, _ in homes.values())
    common = name, tuple(homes), " or ".join(types)
    if len({*defaults.values()}) > 1 or len(types) > 1:
        each = ", ".join(f"{text or 'blank'} in {stage}" for stage, text in defaults.items())
        return Field(*common, "left", "", comments, f"Left blank, it is {each}.")
    if first.code:
        return Field(*common, "left", "", comments, f"Left blank, it is computed: {default}")
    return Field(*common, _kind(first, default), default, comments)


def _kind(parameter: Parameter, default: str) -> str:
    """How a parameter is asked for."""
    kinds = kinds_of(parameter.type)
    if kinds == {"bool"} and default in ("True", "False"):
        return "bool"
    if kinds & {"list", "dict"}:
        return "yaml"
    if kinds <= {"int", "float", "None"}:
        return "float" if "float" in kinds else "int"
    return "lines" if "\n" in default else "text"


def _default(stage: Stage, parameter: Parameter, path: str, root: Path) -> str:
    """A default as it is typed: a text without quotes, a list as YAML, all else as in Python."""
    if path:  # --set takes an input from the current folder, all else goes to the notebook as it is
        return shown_path(root / path) if parameter.name in stage.reads else from_notebooks(path)
    return parameter.code or text_for(parameter.default, parameter.type)


def text_for(value: Any, type: str) -> str:
    """A value as it is typed into the field of a parameter of some type."""
    if kinds_of(type) & {"list", "dict"}:
        return _yaml(value)
    return value if isinstance(value, str) else repr(value)


def _yaml(value: Any) -> str:
    """A value as YAML, on one line if it holds no other lists."""
    import yaml  # late: most commands do without it

    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(
        plain, default_flow_style=None, sort_keys=False, allow_unicode=True, width=80
    )
    return text.removesuffix("...\n").strip()
