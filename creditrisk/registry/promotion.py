"""Which version is in production: promotions, rollbacks and their history."""

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from creditrisk.data.contract import Json
from creditrisk.registry import gate_result
from creditrisk.registry.mlflow_store import (
    PREVIOUS,
    PRODUCTION,
    connect,
    current,
)
from creditrisk.registry.sqlite_status import named_file, why_not_a_store_of
from creditrisk.scoring.sources import mlflow_files

ROLLBACK = "rollback: "  # how the reason of a rollback begins


class NotPromoted(Exception):
    """Why a version was not put into production, in one sentence."""


def open_existing(store: str | Path, model: str) -> MlflowClient:
    """Open an existing store that has a model of that name.

    Raises
    ------
    NotPromoted
        If the store does not exist or has no such model.
    """
    file = named_file(store)
    wrong = why_not_a_store_of(model, file) if file else ""
    if wrong:
        raise NotPromoted(f"{wrong}; run the chain first, or give --store")
    client = connect(store)
    if not client.search_registered_models(f"name='{model}'"):
        raise NotPromoted(f"no {model} is registered in that store; run the chain first")
    return client


def verify(version: ModelVersion) -> None:
    """Check that a version's files exist and are those that were registered.

    Raises
    ------
    NotPromoted
        If they do not or are not.
    """
    name = f"{version.name} version {version.version}"
    try:
        files = mlflow_files.files_of(f"models:/{version.name}/{version.version}")
    except (MlflowException, OSError) as error:
        reason = getattr(error, "message", None) or getattr(error, "strerror", None)
        reason = reason or type(error).__name__
        raise NotPromoted(f"the files of {name} cannot be fetched ({reason})") from error
    if mlflow_files.sha256_of(files) != version.tags.get("artifact_sha256"):
        raise NotPromoted(
            f"the files of {name} are not those that were registered (sha256 differs)"
        )


def promote(
    client: MlflowClient,
    model: str,
    number: str | int,
    reason: str,
    log: str | Path | None = None,
    figures: dict[str, float] | None = None,
    approved_by: str = "",
) -> Json:
    """Put a version into production; the one before it gets the alias ``previous``.

    Who did it, when, from and to which version, why, on which figures, and on whose approval is
    recorded as a tag of the version, and as a line of a file if one is given. Promoting what is in
    production already changes nothing, or completes its promotion if that was interrupted.

    Parameters
    ----------
    model
        The registered name; versions of other models are not touched.
    log
        A file of JSON lines, appended to.
    approved_by
        Who answers for a version that the gate has stopped or that waits for approval; ``reason``
        is then theirs.

    Returns
    -------
    dict
        The record; empty if the version was in production.

    Raises
    ------
    NotPromoted
        If there is no such version, its files are missing or changed, it did not pass the gate
        and nobody approves it, or the log cannot be opened.
    OSError
        If the log could be opened but not written, on a full disk; the version is in production
        then, and a second try writes the line.
    """
    try:
        version = client.get_model_version(model, str(number))
    except MlflowException as error:
        raise NotPromoted(f"{model} has no version {number}") from error
    before = current(client, model, PRODUCTION)
    in_production = before is not None and int(before.version) == int(version.version)
    held = gate_result.why_held(version)
    if held and not approved_by and not in_production:
        raise NotPromoted(
            f"{held}; give --approve NAME and --reason TEXT if somebody answers for it"
        )
    return _move(client, version, reason, log, figures, approved_by)


def _move(
    client: MlflowClient,
    version: ModelVersion,
    reason: str,
    log: str | Path | None,
    figures: dict[str, float] | None = None,
    approved_by: str = "",
) -> Json:
    """Put a version into production, whatever the gate has decided on it."""
    model = version.name
    before = current(client, model, PRODUCTION)
    begun = _interrupted(client, model)
    if before is not None and int(before.version) == int(version.version):
        return _carry_out(client, begun, log) if begun else {}
    verify(version)
    if begun:
        _carry_out(client, begun, log)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": _who(),
        "model": model,
        "from": int(before.version) if before else None,
        "to": int(version.version),
        "reason": reason,
        "figures": figures or {},
        "gate": gate_result.result_of(version),
        "approved_by": approved_by or None,
        "artifact_sha256": version.tags["artifact_sha256"],
    }
    return _carry_out(client, entry, log)


def _carry_out(client: MlflowClient, entry: Json, log: str | Path | None) -> Json:
    """Carry out a recorded promotion, in steps that can be repeated, and return the record."""
    entry = {name: value for name, value in entry.items() if name != "pending"}
    model, number = entry["model"], str(entry["to"])
    tag = f"promotion.{datetime.fromisoformat(entry['time']):%Y%m%dT%H%M%S%f}"
    line = json.dumps(entry, ensure_ascii=False)
    if log is not None:
        _try_to_open(Path(log))
    # The intention is recorded first: a version in production without a record would be worse than
    # a record of an interrupted promotion. That it was carried out is recorded last.
    intended = json.dumps({**entry, "pending": True}, ensure_ascii=False)
    client.set_model_version_tag(model, number, tag, intended)
    client.set_registered_model_alias(model, PRODUCTION, number)
    if entry["from"] is not None:
        client.set_registered_model_alias(model, PREVIOUS, str(entry["from"]))
    if log is not None:
        _append(Path(log), line)
    client.set_model_version_tag(model, number, tag, line)
    return entry


def _interrupted(client: MlflowClient, model: str) -> Json:
    """The record of the last promotion if it reached production but was not completed."""
    last, now = (history(client, model) or [{}])[-1], current(client, model, PRODUCTION)
    reached = now is not None and last.get("to") == int(now.version)
    return last if reached and last.get("pending") else {}


def roll_back(client: MlflowClient, model: str, reason: str, log: str | Path | None = None) -> Json:
    """Put the previous version back into production; see :func:`promote`.

    It was in production before, so the gate is not asked again. After a rollback that was
    interrupted, this completes it and goes no further back.

    Raises
    ------
    NotPromoted
        If there is no previous version, or as in :func:`promote`.
    """
    begun = _interrupted(client, model)
    if begun:
        done = _carry_out(client, begun, log)
        if done["reason"].startswith(ROLLBACK):
            return done
    before, now = current(client, model, PREVIOUS), current(client, model, PRODUCTION)
    if before is None:
        raise NotPromoted(f"no version of {model} has the alias {PREVIOUS}")
    if now is not None and now.version == before.version:
        raise NotPromoted(
            f"both {PRODUCTION} and {PREVIOUS} point to version {now.version}; promote by number"
        )
    return _move(client, before, ROLLBACK + reason, log)


def history(client: MlflowClient, model: str) -> list[Json]:
    """All promotions of a model on record in the registry, oldest first.

    One that was interrupted has ``pending``.
    """
    versions = client.search_model_versions(f"name='{model}'")
    lines = [
        text
        for version in versions
        for tag, text in version.tags.items()
        if tag.startswith("promotion.")
    ]
    return sorted(map(json.loads, lines), key=lambda entry: entry["time"])


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return "unknown"


def _try_to_open(log: Path) -> None:
    try:
        if log.exists() and not log.is_file():
            raise NotPromoted(f"{log} is not a file that a line can be added to")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.open("ab+").close()
    except OSError as error:
        raise NotPromoted(f"{log} cannot be written ({error.strerror})") from error


def _append(log: Path, line: str) -> None:
    """Add a line unless the file has it; what a full disk cut off stays a separate line."""
    text = line.encode() + b"\n"
    with log.open("ab+") as file:
        file.seek(0)
        content = file.read()
        if text not in content:
            file.write(text if content[-1:] in (b"", b"\n") else b"\n" + text)
            file.flush()
            os.fsync(file.fileno())
