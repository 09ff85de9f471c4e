"""The record of each stage's last success, and the data that a stage's files come from."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from papermill_chain.runs.manifest import StageRun, read_stage, write_json
from papermill_chain.runs.record_files import file_name, read_or_absent, text_of


def last_good(experiments: Path, *, clear: bool = False) -> dict[str, StageRun]:
    """The record of each stage's last success; nothing if the file of them is damaged.

    Parameters
    ----------
    clear : whether a damaged file is set aside, as a run does; else it only counts as absent.
    """
    return read_or_absent(experiments / "stages.json", _successes, {}, clear=clear)


def remember(experiments: Path, stage: StageRun) -> None:
    """Keep a success as the stage's last."""
    good = last_good(experiments, clear=True) | {stage.name: stage}
    write_json(experiments / "stages.json", {name: asdict(good[name]) for name in sorted(good)})


def sources(stage: StageRun, records: Iterable[StageRun]) -> dict[str, str]:
    """The files no stage writes from which all that a stage reads was made, with their hashes."""
    writer = {path: record for record in records for path in record.writes}
    found: dict[str, str] = {}
    waiting, known = [stage], {stage.name}
    while waiting:
        for path, hash in waiting.pop().reads.items():
            if path not in writer:
                found.setdefault(path, hash)
            elif writer[path].name not in known:
                waiting.append(writer[path])
                known.add(writer[path].name)
    return found


def _successes(recorded: Any) -> dict[str, StageRun]:
    """Records by the name of their stage, each with all that its being up to date is judged by."""
    return {name: _success(name, record) for name, record in recorded.items()}


def _success(name: str, recorded: Any) -> StageRun:
    basis = recorded["basis"]
    for part in "notebook", "lock", "python":
        text_of(basis[part])
    for hashes in basis["code"], recorded["reads"], recorded["writes"]:
        for path, hash in hashes.items():
            text_of(hash)
            if "\0" in path:
                raise ValueError(f"{path!r} is no path")
    file_name(recorded["run"])
    stage = read_stage(recorded)
    if stage.name != name:
        raise ValueError(f"the record of {name} is that of {stage.name}")
    return stage
