"""Decisions that a person has changed: by whom, why, and to what."""

from pathlib import Path

from creditrisk.data.contract import Json
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import now
from creditrisk.records.log_files import log_files
from creditrisk.records.reading import read_entries

DECISIONS = ("approve", "decline")


class NotRecorded(Exception):
    """Why something is not recorded, in one sentence; nothing was written."""


def override(
    number: str, place: str | Path, *, by: str, reason: str, to: str | None = None
) -> Json:
    """Record that a person has changed a decision, in ``overrides.jsonl`` beside the log.

    That is a hash-chained log of its own, as a server holds its log of decisions while it runs.
    What the model decided stays as it is; of several overrides of a decision the last one holds.

    Parameters
    ----------
    number
        The id of the decision.
    place
        The folder of logs, or the log of the decision.
    by, reason
        Who has changed it and why, in one line each.
    to
        ``"approve"`` or ``"decline"``; by default the opposite of what holds.

    Returns
    -------
    dict
        The entry.

    Raises
    ------
    NotRecorded
        If there is no such decision, it stands so already, or a name or a reason is missing.
    LogError
        If a log is missing, damaged or held by another process.
    """
    for option, text in (("--by", by), ("--reason", reason)):
        if not text.strip() or not text.isprintable():
            raise NotRecorded(f"{option}: give it in one line, without control characters")
    files = log_files(place)
    holds = _decided(number, files.decisions)
    if holds is None:
        raise NotRecorded(f"{place} has no decision {number}; give the id as it was answered")
    if files.overrides.exists():
        before = [each for each in read_entries(files.overrides) if each["id"] == number]
        holds = before[-1]["to"] if before else holds
    to = to or DECISIONS[DECISIONS.index(holds) - 1]
    if to == holds:
        raise NotRecorded(f"decision {number} is {to} already")
    entry = {"id": number, "time": now(), "to": to, "from": holds, "by": by, "reason": reason}
    log = open_log(files.overrides)
    try:
        log.append([entry])
    finally:
        log.close()
    return entry


def _decided(number: str, logs: tuple[Path, ...]) -> str | None:
    """What the model decided, None if no log has the decision; the logs are verified."""
    found = None
    for path in logs:
        for entry in read_entries(path):
            if entry.get("id") == number:
                found = str(entry["decision"])
    return found
