"""Where a file comes from: its makers back to what came from outside, as all runs have recorded."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from posixpath import normpath

from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.files import relative, sha256
from papermill_chain.runs.lookup import read_runs
from papermill_chain.runs.manifest import GOOD, StageRun
from papermill_chain.runs.records import last_good

AS_RECORDED, CHANGED, GONE = "as recorded", "changed", "gone"


@dataclass(frozen=True)
class Content:
    """A file as a run has recorded it."""

    path: str  # below the root
    sha256: str


@dataclass
class History:
    """All that runs have recorded of files; of the same content the newest record counts."""

    known: set[Content] = field(default_factory=set)
    maker: dict[Content, StageRun] = field(default_factory=dict)
    size: dict[Content, int] = field(default_factory=dict)
    newest: dict[str, Content] = field(default_factory=dict)  # of each path
    written: dict[str, str] = field(default_factory=dict)  # path: the stage that writes it

    def add(self, stage: StageRun) -> None:
        """Add what a stage has recorded; newer stages are added first."""
        for path, hash in stage.writes.items() if stage.status in GOOD else ():
            self._keep(Content(path, hash), stage)
            self.maker.setdefault(Content(path, hash), stage)
            self.written.setdefault(path, stage.name)
        for path, hash in stage.reads.items():
            self._keep(Content(path, hash), stage)

    def _keep(self, content: Content, stage: StageRun) -> None:
        self.known.add(content)
        self.newest.setdefault(content.path, content)
        if content.path in stage.sizes:
            self.size.setdefault(content, stage.sizes[content.path])


@dataclass
class Origin:
    """A file, and what it was made from."""

    content: Content
    bytes: int | None
    on_disk: str  # AS_RECORDED, CHANGED or GONE
    maker: StageRun | None  # None if it came from outside
    replaces: str = ""  # the stage that writes this path, where the content came from outside
    made_from: list["Origin"] = field(default_factory=list)
    repeated: bool = False  # what it was made from stands above

    def all(self) -> Iterator["Origin"]:
        """This file and all that it was made from, each once."""
        if not self.repeated:
            yield self
            for origin in self.made_from:
                yield from origin.all()


def origin_of(typed: str, root: Path, experiments: Path, stages: Sequence[Stage]) -> Origin:
    """Where a file comes from, by the name that a user has typed.

    Raises
    ------
    ChainError
        If it is none that the chain reads or writes, or no run has recorded it.
    """
    history = _history(experiments)
    path = _path_of(typed, root, history, stages)
    if path not in history.newest:
        raise ChainError(f"no run has recorded {path} yet; run the chain first")
    on_disk = cache(lambda path: _hash_on_disk(root / path))
    found = Content(path, on_disk(path))
    content = found if found in history.known else history.newest[path]
    return _origin(content, on_disk, history, set())


def _history(experiments: Path) -> History:
    """What is known of files, from the manifests of runs and the last success of each stage."""
    history = History()
    for run in read_runs(experiments):
        for stage in run.stages:
            history.add(stage)
    for stage in last_good(experiments).values():
        history.add(stage)
    return history


def _path_of(typed: str, root: Path, history: History, stages: Sequence[Stage]) -> str:
    """A file's path below the root, as typed from the current folder or from the root."""
    known = {*history.newest, *_wired(stages)}
    for path in relative(Path(typed).absolute(), root), normpath(typed):
        if path in known:
            return path
    near = get_close_matches(Path(typed).name, [Path(path).name for path in known], 1)
    hint = next((path for path in sorted(known) if near and Path(path).name == near[0]), "")
    meant = f"did you mean {hint}?" if hint else "--graph shows the files that are"
    raise ChainError(f"{typed} is no file that this chain reads or writes; {meant}")


def _wired(stages: Iterable[Stage]) -> set[str]:
    """The files that the table of the chain names."""
    return {
        normpath(path)
        for stage in stages
        for path in [*stage.reads.values(), *stage.files, *stage.writes.values()]
    }


def _origin(
    content: Content, on_disk: Callable[[str], str], history: History, above: set[Content]
) -> Origin:
    """A file and what it was made from; `above` has those whose makers have been named."""
    now = on_disk(content.path)
    maker = history.maker.get(content)
    origin = Origin(
        content,
        history.size.get(content),
        GONE if not now else AS_RECORDED if now == content.sha256 else CHANGED,
        maker,
        replaces="" if maker else history.written.get(content.path, ""),
        repeated=content in above,
    )
    above.add(content)
    if maker and not origin.repeated:
        origin.made_from = [
            _origin(Content(path, hash), on_disk, history, above)
            for path, hash in maker.reads.items()
        ]
    return origin


def _hash_on_disk(file: Path) -> str:
    """The hash of a file as it is now; none if it is not there or cannot be read."""
    try:
        return sha256(file)
    except OSError:
        return ""
