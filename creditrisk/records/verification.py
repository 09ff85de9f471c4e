"""A chained log checked: what is wrong with its chain, and one entry looked up."""

import json
from collections.abc import Iterator
from pathlib import Path

from creditrisk.data.contract import Json
from creditrisk.records.chain import (
    Head,
    LogError,
    head_path,
    is_only_begun,
    lines,
    read_head,
    sealed,
)


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
    for number, line in enumerate(lines(path), 1):
        if not line.endswith(b"\n"):
            yield f"line {number}: not finished; whoever writes the log next cuts it off"
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
    if noted is None and is_only_begun(path):
        return
    if noted is None:
        yield f"{head_path(path).name}: missing or damaged, so lines may be missing at the end"
    elif last.number < noted.number:
        yield f"end of log: {_gap(noted.number + 1, last.number)}"
    elif not seen:
        yield f"entry {noted.number}: is not the one that was written; the log was rewritten"


def find(path: str | Path, number: str) -> Json | None:
    """The logged decision with this id, None if there is none.

    Raises
    ------
    LogError
        If its line was edited.
    """
    wanted = json.dumps(number).encode()
    for position, line in enumerate(lines(Path(path)), 1):
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
        return f"entry {number} stands after entry {last}"
    missing = f"{last + 1} is" if number == last + 2 else f"{last + 1} to {number - 1} are"
    return f"{'entries' if ' to ' in missing else 'entry'} {missing} missing"
