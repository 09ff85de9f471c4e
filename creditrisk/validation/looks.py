"""The ledger of looks at the test set: each look that informs a decision uses some of it up."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from creditrisk.data.contract import ContractError
from work_units.whole_files import replacing


@dataclass(frozen=True)
class Looks:
    """How often one test set was looked at so far, this time included."""

    looks: int
    models: int  # different models among them

    @property
    def figures(self) -> dict[str, int]:
        """The counts as JSON holds them."""
        return {"looks": self.looks, "models": self.models}


def record_look(path: str | Path, files: Iterable[str | Path], model_sha256: str) -> Looks:
    """Add a look at a test set to the ledger, and count those on record.

    Parameters
    ----------
    path
        The ledger, one JSON object a line; it is made if there is none.
    files
        The files of the test set, by whose content it is known again.
    model_sha256
        The model that is judged.

    Raises
    ------
    ContractError
        If the ledger is no such file or holds a line that cannot be read.
    """
    ledger = Path(path)
    test_set = _hash_of(files)
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "test_sha256": test_set,
        "model_sha256": model_sha256,
    }
    if ledger.exists() and not ledger.is_file():
        raise ContractError(str(path), ["is no file"], "move it away; a new ledger is then begun")
    ledger.parent.mkdir(parents=True, exist_ok=True)
    before = _whole_lines(ledger.read_bytes() if ledger.exists() else b"")
    models = [_model_of(line, test_set, str(path)) for line in before.splitlines() if line.strip()]
    with replacing(ledger) as half:
        half.write_bytes(before + json.dumps(entry).encode() + b"\n")
    seen = [model for model in models if model] + [model_sha256]
    return Looks(len(seen), len(set(seen)))


def _whole_lines(content: bytes) -> bytes:
    """A ledger without a last line that was cut off; who was killed writing it had seen nothing."""
    last = content[content.rfind(b"\n") + 1 :]
    try:
        json.loads(last or b"{}")
    except ValueError:
        return content.removesuffix(last)
    return content + b"\n" if last else content


def _model_of(line: bytes, test_set: str, path: str) -> str:
    """The model of a look at this test set; empty for one at another."""
    try:
        entry = json.loads(line)
        return str(entry["model_sha256"]) if entry["test_sha256"] == test_set else ""
    except (ValueError, TypeError, KeyError) as error:
        remedy = "restore it, or move it away; a new ledger is then begun"
        raise ContractError(path, ["holds a line that is no look at a test set"], remedy) from error


def _hash_of(files: Iterable[str | Path]) -> str:
    joined = sha256()
    for file in files:
        joined.update(sha256(Path(file).read_bytes()).digest())
    return joined.hexdigest()
