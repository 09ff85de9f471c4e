"""A decision log checked: breaks of its chain, and decisions made again by their own model."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from creditrisk.data.contract import Json
from creditrisk.data.missing_values import LEVEL, REFUSE
from creditrisk.data.record_checks import InvalidRecords
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.decision_log import Head, LogError, head_path, read_head, sealed
from work_units.regular_files import open_regular

#: How far a probability may be from the logged one.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class Replay:
    """What was decided then and what is decided now."""

    logged: Json
    probability: float
    decision: str

    @property
    def same(self) -> bool:
        """Whether both agree."""
        apart = abs(self.probability - self.logged["probability"])
        return bool(apart <= TOLERANCE and self.decision == self.logged["decision"])


def replay(number: str, log: str, models: str | None = None) -> Replay:
    """Make a logged decision again.

    Parameters
    ----------
    models
        Folder or registry URI of the model; by default ``models/`` if it holds the model of the
        logged hash, else the registry's version of the logged number.

    Raises
    ------
    LogError
        If the log cannot be read or the line was edited.
    KeyError
        If the log has no such decision.
    ModelRefused
        If the model with the logged hash is not to be had.
    """
    logged = find(log, number)
    if logged is None:
        raise KeyError(number)
    wanted = logged["model"]["sha256"]
    source = models or _source(logged["model"])
    # A blank that is in the log was accepted: in columns where it is refused today, as a value.
    scorer = load_scorer(source).taking_blanks(LEVEL, REFUSE)
    if scorer.sha256 != wanted:
        raise ModelRefused(
            f"{source} is another model (sha256 {scorer.sha256[:12]}...) than the one that decided "
            f"(sha256 {wanted[:12]}...)"
        )
    try:
        [decision] = scorer.score([logged["input"]])
    except InvalidRecords as error:
        raise ModelRefused(f"{source} does not take the logged application: {error}") from error
    return Replay(logged, decision.probability, decision.decision)


def _source(model: Json) -> str:
    for place in (Path("models/manifest.json"), *sorted(Path("models").glob("*/manifest.json"))):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(place.read_text("utf-8"))["model_sha256"] == model["sha256"]:
                return str(place.parent)
    return f"models:/{model['name']}/{model['version']}"


def problems(path: str | Path, head: Head | None = None) -> Iterator[str]:
    """What is wrong with a log, a sentence for each break of the chain.

    Parameters
    ----------
    head
        The end of the chain as noted elsewhere; by default as noted beside the log.
    """
    path = Path(path)
    noted = head or read_head(path)
    last, seen = Head(), noted is None or noted.number == 0
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            yield f"line {number}: not finished; the server that opens the log next cuts it off"
            break
        end = sealed(line)
        if end is None:
            yield f"line {number}: was edited, its hash does not fit its content"
            last = Head(last.number + 1, "")  # what follows it cannot be checked
            continue
        found, previous = end
        if found.number != last.number + 1:
            yield f"line {number}: {_gap(found.number, last.number)}"
        elif last.sha256 and previous != last.sha256:
            yield f"line {number}: does not follow line {number - 1}, which was replaced"
        last = found
        seen = seen or found == noted
    if noted is None:
        yield f"{head_path(path).name}: missing or damaged, so lines may be missing at the end"
    elif last.number < noted.number:
        yield f"end of log: {_gap(noted.number + 1, last.number)}"
    elif not seen:
        yield f"decision {noted.number}: is not the one that was written; the log was rewritten"


def find(path: str | Path, number: str) -> Json | None:
    """The logged decision with this id, None if there is none.

    Raises
    ------
    LogError
        If its line was edited.
    """
    wanted = json.dumps(number).encode()
    for position, line in enumerate(_lines(Path(path)), 1):
        if wanted in line and line.endswith(b"\n"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and found.get("id") == number:
                if sealed(line) is None:
                    raise LogError(f"{path}: line {position} was edited, its hash does not fit")
                return found
    return None


def _gap(number: int, last: int) -> str:
    if number <= last:
        return f"decision {number} stands after decision {last}"
    missing = f"{last + 1} is" if number == last + 2 else f"{last + 1} to {number - 1} are"
    return f"decision{'s' if ' to ' in missing else ''} {missing} missing"


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open_regular(path) as file:
            yield from file
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error
