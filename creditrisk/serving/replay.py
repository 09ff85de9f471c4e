"""A logged decision made again by its own model."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from creditrisk.data.applications.record_checks import InvalidRecords
from creditrisk.data.contract import Json
from creditrisk.data.missing_values import LEVEL, REFUSE
from creditrisk.records.verification import find
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.loading import load_scorer

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
