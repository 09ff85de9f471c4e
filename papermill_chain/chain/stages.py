"""The chain as a table of stages: who comes after whom, and what is wrong with the table."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from posixpath import isabs, normpath

from papermill_chain.chain.notebooks import Notebook, notebook_path, read_notebook
from papermill_chain.chain.parameters import ChainError
from work_units.regular_files import kind_of


@dataclass(frozen=True)
class External:
    """What a stage keeps outside of the project's files, such as in a registry.

    The functions are best ones that another process can import by name.
    """

    prepare: Callable[[], object] | None = None  # called ahead of the notebook, beside the others
    check: Callable[[], str] | None = None  # what is not there any more, in words; "" if all is
    release: Callable[[list[str]], object] | None = None  # ends what these killed runs left open


@dataclass(frozen=True)
class Stage:
    """One notebook of a chain.

    `reads` and `writes` map a parameter to a path below the root; what is only read may also be
    named by its whole path. `files` are read as well, without a parameter of their own, such as
    those that a file among `reads` names. `in_place` maps a parameter to what the notebook itself
    changes where it lies and nobody else reads, such as a log that grows; `scratch` names those of
    them that only save work, so that a result is as good without. `secrets` map one to the
    environment variable from which alone it comes. `kept` names those of `writes` of which each
    run keeps a copy beside its reports; pages among them are linked from there. A stage with
    `only_with`, a file or folder below the root, is left out while that is not there, unless it is
    asked for by name. `imports` are
    modules that libraries of the notebook import only when they are used: its kernel finds them
    ready with those it asks for. `external` is what the stage keeps outside of these files, such
    as in a registry; a stage that has it is never taken from a cache.
    """

    name: str
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    in_place: Mapping[str, str] = field(default_factory=dict)
    scratch: Sequence[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    kept: Sequence[str] = ()
    only_with: str = ""
    imports: Sequence[str] = ()
    external: External = field(default_factory=External)


def writers(stages: Iterable[Stage]) -> dict[str, str]:
    """Which stage writes a path."""
    return {normpath(path): stage.name for stage in stages for path in stage.writes.values()}


def upstream(stage: Stage, stages: Iterable[Stage]) -> set[str]:
    """The names of the stages whose files a stage reads."""
    writer = writers(stages)
    return {writer[normpath(path)] for path in stage.reads.values() if normpath(path) in writer}


def in_order(stages: Sequence[Stage]) -> list[Stage]:
    """The stages, each after those it reads from and otherwise as in the table."""
    _refuse_doubles(stages)
    ordered, waiting = [], list(stages)
    while waiting:
        names = {stage.name for stage in waiting}
        ready = next((stage for stage in waiting if not upstream(stage, stages) & names), None)
        if ready is None:
            circle = " or ".join(stage.name for stage in waiting)
            raise ChainError(f"the chain runs in a circle: {circle} would have to go first")
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def read_notebooks(stages: Sequence[Stage], root: Path) -> dict[str, Notebook]:
    """The notebook of each stage; ChainError where the table and the notebooks disagree."""
    notebooks = {}
    for stage in stages:
        path = notebook_path(root, stage.name)
        notebook = notebooks[stage.name] = read_notebook(path)
        for name in [*stage.reads, *stage.writes, *stage.in_place, *stage.secrets]:
            if not notebook.takes(name):
                raise ChainError(
                    f"{stage.name} is handed {name}, but notebooks/{path.name} "
                    "has no such parameter"
                )
        if stage.secrets and notebook.language != "python":
            raise ChainError(
                f"{stage.name} is handed secrets, which only Python fetches from the environment; "
                f"notebooks/{path.name} is in {notebook.language}"
            )
    return notebooks


def find_stage(asked: str, stages: Sequence[Stage]) -> Stage:
    """The stage a user means by its name, its number or a word of its name."""
    found = [stage for stage in stages if stage.name == asked] or [
        stage for stage in stages if _is_called(stage.name, asked.lower())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ChainError(f"{asked} may be {' or '.join(stage.name for stage in found)}")
    nearest = nearest_name(asked, [stage.name for stage in stages])
    raise ChainError(f"there is no stage {asked}; {nearest}")


def nearest_name(asked: str, names: Sequence[str]) -> str:
    """A hint at what a mistyped name may have been meant to be."""
    words = {word: name for name in names for word in (name, *name.lower().split("_"))}
    near = get_close_matches(asked.lower(), words, n=1)
    return f"did you mean {words[near[0]]}?" if near else f"there are {', '.join(names)}"


def refuse_missing(
    selected: Sequence[Stage], stages: Sequence[Stage], root: Path, command: str
) -> None:
    """Raise ChainError if a selected stage reads a file that is not there and will not be.

    The same if what lies in its place is no file: a pipe would be waited for.
    """
    names = {stage.name for stage in selected}
    for stage in selected:
        writer = writers(stages)
        for path in stage.reads.values():
            source = writer.get(normpath(path))
            if kind := kind_of(root / path, links=True):
                raise ChainError(
                    f"{stage.name} reads {path}, and in its place lies {kind}; put the file there"
                )
            if source in names or (root / path).exists():
                continue
            if source is None:
                raise ChainError(
                    f"{stage.name} reads {path}, which no stage writes and is not there"
                )
            needed = _with_missing_upstream(names, stages, root)
            only = " ".join(f"--only {other.name}" for other in stages if other.name in needed)
            raise ChainError(
                f"{stage.name} reads {path}, which {source} writes and has not yet; "
                f"to run what it needs as well: {command} {only}"
            )


def _with_missing_upstream(names: set[str], stages: Sequence[Stage], root: Path) -> set[str]:
    """Some stages, and all that must run before them because files of theirs are not there."""
    needed, writer = set(names), writers(stages)
    for stage in reversed(stages):
        if stage.name in needed:
            missing = [path for path in stage.reads.values() if not (root / path).exists()]
            needed |= {writer[normpath(path)] for path in missing if normpath(path) in writer}
    return needed


def _is_called(name: str, asked: str) -> bool:
    """Whether a stage answers to a number or a word."""
    number, _, rest = name.lower().partition("_")
    if asked.isdecimal() and number.isdecimal():
        return int(asked) == int(number)
    return asked == rest or asked in rest.split("_")


def _refuse_doubles(stages: Sequence[Stage]) -> None:
    """Raise ChainError for a name or a file that two stages claim, or a file outside the root."""
    names: set[str] = set()
    owners: dict[str, str] = {}
    files: dict[str, str] = {}
    for stage in stages:
        if stage.name in names:
            raise ChainError(f"two stages are called {stage.name}")
        names.add(stage.name)
        for name in stage.reads.keys() & stage.writes.keys():
            raise ChainError(f"{stage.name} both reads and writes {name}; it takes two parameters")
        for name in stage.scratch:
            if name not in stage.in_place:
                raise ChainError(f"{stage.name} has {name} as scratch, which is not in_place")
        for name in stage.kept:
            if name not in stage.writes:
                raise ChainError(f"{stage.name} is to keep {name}, which it does not write")
            file = Path(stage.writes[name]).name
            if file in files:
                raise ChainError(f"{files[file]} and {stage.name} both keep a file {file} in a run")
            files[file] = stage.name
        for path in map(normpath, stage.writes.values()):
            if isabs(path) or path.startswith(".."):
                raise ChainError(f"{stage.name} writes {path}, which is outside the project")
            if path in owners:
                raise ChainError(f"{owners[path]} and {stage.name} both write {path}")
            owners[path] = stage.name
