"""Parameters that a file gives: YAML, JSON, or the manifest of an earlier run."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from papermill_chain.chain.notebooks import Notebook
from papermill_chain.chain.parameters import COMPUTED, ChainError
from papermill_chain.chain.settings import Setting
from papermill_chain.chain.stages import Stage, find_stage, nearest_name, writers
from papermill_chain.runs.files import relative
from papermill_chain.runs.manifest import Run, UnreadableManifest, read_run
from work_units.regular_files import open_regular

MANIFEST = "manifest.json"
MOST_BYTES = 10_000_000  # of a file of parameters
OF_OPTION = "--params-yaml"  # the source of what is typed after it


def settings_in_file(
    file: str, stages: Sequence[Stage], notebooks: Mapping[str, Notebook], root: Path
) -> list[Setting]:
    """The settings in a file, named from the current folder; see :func:`settings_in_text`.

    Raises
    ------
    ChainError
        If it cannot be read or is not of the form it should have.
    """
    path = Path(file)
    if path.name == MANIFEST:
        try:
            run = read_run(path.absolute().parent)
        except UnreadableManifest as error:
            raise ChainError(f"{file} cannot be read as the record of a run: {error}") from None
        return list(_recorded(run, file, stages, notebooks, root))
    try:
        with open_regular(path) as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ChainError(f"{file} has more than {MOST_BYTES:,} bytes: no file of parameters")
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ChainError(f"{file} is no text in UTF-8") from None
    except OSError as error:
        raise ChainError(f"{file}: {error.strerror or error}") from None
    return settings_in_text(text, file, stages, notebooks)


def settings_in_text(
    text: str, source: str, stages: Sequence[Stage], notebooks: Mapping[str, Notebook]
) -> list[Setting]:
    """The settings in some YAML, of which JSON is a part.

    It is a mapping of parameters to values, which hold as after --set, and of stages to mappings of
    parameters to values, which hold for that stage alone and count more.

    Raises
    ------
    ChainError
        If it is anything else, or names a stage that is not there.
    """
    content = read_yaml(text, source)
    if not isinstance(content, Mapping):
        raise ChainError(
            f"{source} holds no parameters: write one a line, as `seed: 7`, or a stage's name"
            " and its parameters indented below it"
        )
    known = {name for notebook in notebooks.values() for name in notebook.parameters}
    for_all, for_one = list[Setting](), list[Setting]()
    for key, value in content.items():
        stage = _stage_called(str(key), source, stages, known) if _is_group(value) else None
        if stage is None:
            for_all.append(Setting(str(key), value, source))
        else:
            for_one += [Setting(str(name), each, source, stage) for name, each in value.items()]
    return for_all + for_one


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping)


def _stage_called(
    key: str, source: str, stages: Sequence[Stage], known: Iterable[str]
) -> str | None:
    """The stage that parameters are grouped under; none if the key is a parameter itself."""
    names = [stage.name for stage in stages]
    if key in names:
        return key
    if key in known:
        return None
    try:
        return find_stage(key, stages).name
    except ChainError:
        hint = nearest_name(key, [*names, *known])
        raise ChainError(f"{source}: there is no stage or parameter {key}; {hint}") from None


def _recorded(
    run: Run, file: str, stages: Sequence[Stage], notebooks: Mapping[str, Notebook], root: Path
) -> Iterator[Setting]:
    """The parameters that an earlier run has handed its notebooks, but for what the chain hands on.

    A file that the user had named comes back as one named from the current folder.
    """
    by_name, writer = {stage.name: stage for stage in stages}, writers(stages)
    folder = root / "notebooks"
    for record in run.stages:
        stage = by_name.get(record.name)
        if stage is None:
            hint = nearest_name(record.name, list(by_name))
            raise ChainError(f"{file}: there is no stage {record.name} any more; {hint}")
        handed = {*stage.writes, *stage.in_place, *stage.secrets}
        handed |= {name for name, path in stage.reads.items() if path in writer}
        for name, value in record.parameters.items():
            if name in handed or str(value).startswith(COMPUTED):
                continue
            if name in stage.reads:
                if value == relative(root / stage.reads[name], folder):
                    continue
                value = str(folder / value)
            yield Setting(name, value, file, stage.name, recorded=True)


def read_yaml(text: str, source: str) -> Any:
    """What some YAML stands for; a date in it stays the text that it is, as papermill has it.

    Raises
    ------
    ChainError
        If it is no YAML, or a name is in it twice.
    """
    import yaml  # late: most commands do without it

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
            first: [(tag, found) for tag, found in resolvers if not tag.endswith(":timestamp")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            _refuse_twice([key.value for key, _ in node.value], source)
            return super().construct_mapping(node, deep)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_twice([name for name, _ in items], source)
        return dict(items)

    with suppress(ValueError, RecursionError):  # JSON may be indented with tabs, YAML may not
        return json.loads(text, object_pairs_hook=pairs)
    try:
        return yaml.load(text, Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ChainError(f"{source}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ChainError(f"{source} is not YAML: {error}") from None


def _refuse_twice(names: list[Any], source: str) -> None:
    seen: set[str] = set()
    for name in map(str, names):
        if name in seen:
            raise ChainError(f"{source}: {name} is there twice")
        seen.add(name)
