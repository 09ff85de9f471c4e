"""What is to be done with a portfolio, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from creditrisk.portfolio.storage import Disk, storage_of

#: In OUT, beside the decisions. Readers of a folder of Parquet files pass over such names.
REJECTED, PARTS, RUN, MANIFEST, SUCCESS = (
    "_rejected",
    "_parts",
    "_run.json",
    "_manifest.json",
    "_SUCCESS",
)


class Refused(Exception):
    """Why a portfolio is not scored, in one sentence."""


class Stopped(Exception):
    """Why the scoring of a portfolio has not come to its end, in one sentence."""


class Unreadable(Exception):
    """What is wrong with a whole part; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Part:
    """One file of the portfolio."""

    name: str  # of its decisions, below OUT
    path: str  # in its storage
    size: int
    state: int | str  # another one as soon as the file is another one

    @property
    def file(self) -> str:
        """The file itself, below the folder of the portfolio."""
        return PurePath(self.name).with_name(PurePath(self.path).name).as_posix()


@dataclass(frozen=True)
class Job:
    """What is done with each part; enough for a process on another machine."""

    run: str
    model: str  # folder or registry URI
    sha256: str  # the model's
    source: str  # path or URL of the portfolio
    out: str  # path or URL of the folder of decisions
    id: str | None  # column that names a row
    reasons: bool
    blank_is_level: bool = False  # whether blanks are in the coding of the model's data
    recorded: bool = False  # whether decisions get ids and are entered in a decision log

    @property
    def on_disk(self) -> bool:
        """Whether all files are in folders of the machine, and none in an object store."""
        places = storage_of(self.source), storage_of(self.out)
        return all(isinstance(storage, Disk) for storage, _ in places)


@dataclass(frozen=True)
class ScoredPart:
    """A part that has been scored."""

    name: str
    size: int
    state: int | str
    rows: int
    scored: int
    rejected: int
    approved: int
    sha256: dict[str, str]  # by file, below OUT
    why: dict[str, int] = field(default_factory=dict)  # rejected rows by reason
    unused: tuple[str, ...] = ()  # columns that the contract does not know


@dataclass(frozen=True)
class FailedPart:
    """A part that could not be scored; nothing of it is left."""

    name: str
    file: str
    reason: str
    fatal: bool = False  # whether the others would fail as well


@dataclass
class Summary:
    """What became of a portfolio."""

    parts: int
    done: list[ScoredPart]
    failed: list[FailedPart]
    kept: int  # parts that an earlier run had finished
    seconds: float = 0.0  # that this run took for the others, once the model was loaded
    manifest: dict[str, Any] | None = None  # if all is done
    recorded: int | None = None  # decisions that were entered in a log, if one was named

    def total(self, figure: str) -> int:
        """A figure summed over the parts that are done."""
        return sum(getattr(part, figure) for part in self.done)

    @property
    def why(self) -> Counter[str]:
        """Rejected rows by reason."""
        return sum((Counter(part.why) for part in self.done), Counter())
