"""The record of each stage's last success, and the data that a stage's files come from."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from papermill_chain.runs.manifest import StageRun, read_stage, write_json


def last_good(experiments: Path) -> dict[str, StageRun]:
    """The record of each stage's last success; nothing of what cannot be read."""
    try:
        recorded = json.loads((experiments / "stages.json").read_text(encoding="utf-8"))
        return {name: read_stage(record) for name, record in recorded.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def remember(experiments: Path, stage: StageRun) -> None:
    """Keep a success as the stage's last."""
    good = last_good(experiments) | {stage.name: stage}
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
