"""Where the records of decisions lie: logs, and beside them what became of the decisions."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from creditrisk.records.chain import LogError

#: The folder that is meant if none is named.
FOLDER = "experiments/decisions"

OVERRIDES, OUTCOMES = "overrides.jsonl", "outcomes.jsonl"
_LOG, _REJECTED = ".jsonl", ".rejected.jsonl"


@dataclass(frozen=True)
class LogFiles:
    """The files of one folder of records, each of them a chained log.

    Servers and portfolios each write a log of decisions, as a log has one writer. Overrides and
    outcomes are chains of their own: they come while a server holds its log.
    """

    decisions: tuple[Path, ...]
    overrides: Path
    outcomes: Path
    whole: bool  # whether these are all logs of the folder, so that no id may be unknown

    @property
    def rejections(self) -> list[Path]:
        """The logs of refused requests that are there."""
        found = [rejections_of(path) for path in self.decisions]
        return [path for path in found if path.exists()]

    @property
    def all(self) -> list[Path]:
        """Every log that is there."""
        beside = [path for path in (self.overrides, self.outcomes) if path.exists()]
        return [*self.decisions, *self.rejections, *beside]


def rejections_of(path: Path) -> Path:
    """Where the refused requests are recorded that belong to a log of decisions."""
    return path.with_name(path.name.removesuffix(_LOG) + _REJECTED)


def log_files(place: str | Path, outcomes: str | Path | None = None) -> LogFiles:
    """The records of a folder, or of one log in it.

    Parameters
    ----------
    place
        A folder of logs, whose names end in ``.jsonl``, or one log of decisions.
    outcomes
        Where outcomes are, if not in that folder's ``outcomes.jsonl``.

    Raises
    ------
    LogError
        If there is no log of decisions, or one is gone of which the end is still noted.
    """
    place = Path(place)
    folder = place if place.is_dir() else place.parent
    kept = folder / OVERRIDES, Path(outcomes) if outcomes else folder / OUTCOMES
    if not place.is_dir():
        if not place.exists():
            raise LogError(f"{place}: there is no decision log; {_BEGIN}")
        return LogFiles((place,), *kept, whole=False)
    _check_none_gone(folder)
    found = [
        path
        for path in sorted(folder.glob(f"*{_LOG}"))
        if path.name not in (OVERRIDES, OUTCOMES) and not path.name.endswith(_REJECTED)
    ]
    if not found:
        raise LogError(f"{place}: holds no decision log (*{_LOG}); {_BEGIN}")
    return LogFiles(tuple(found), *kept, whole=True)


_BEGIN = (
    f"creditrisk serve --decision-log {FOLDER}/server.jsonl and creditrisk score ... --log "
    f"{FOLDER} write them"
)


def state_of(folder: str | Path) -> str:
    """A hash that changes with every entry in a folder of logs; empty if there is none.

    It rests on the ends of the chains, which are noted beside them, and is no verification.
    """
    heads = sorted(Path(folder).glob("*.jsonl.head"))
    noted = sha256()
    for head in heads:
        noted.update(head.name.encode() + b"\0" + head.read_bytes() + b"\0")
    return noted.hexdigest() if heads else ""


def what_has_changed(folder: str | Path, judged: str) -> str:
    """Whether a folder of logs is not as it was when it was judged; empty if it is.

    Parameters
    ----------
    judged
        Its :func:`state_of` then.
    """
    return "" if state_of(folder) == judged else "the decision log has grown"


def _check_none_gone(folder: Path) -> None:
    for head in sorted(folder.glob(f"*{_LOG}.head")):
        log = head.with_name(head.name.removesuffix(".head"))
        if not log.exists():
            raise LogError(f"{log}: is gone, its end is noted in {head.name}; bring it back")
