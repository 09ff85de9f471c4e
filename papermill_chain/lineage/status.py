"""How the state of a stage is shown: a sign and a word, so that colour is never alone."""

from dataclasses import dataclass

from papermill_chain.runs.manifest import GOOD, StageRun

SIGNS = {
    "good": "✓",
    "warn": "!",
    "bad": "✕",
    "running": "●",
    "waiting": "○",
}


@dataclass(frozen=True)
class Look:
    """The state of a stage: its kind, a key of `SIGNS`, and the word for it."""

    kind: str
    word: str

    @property
    def text(self) -> str:
        return f"{SIGNS[self.kind]} {self.word}"


def look_of(stage: StageRun, goes_on: bool = False) -> Look:
    """How a stage is shown; `goes_on` if its run has not ended, so that what has not run may yet.

    A verdict on the result counts more than that the notebook came to its end.
    """
    if stage.status in GOOD:
        if stage.verdict in ("warning", "stop"):
            kind = "warn" if stage.verdict == "warning" else "bad"
            return Look(kind, stage.verdict)
        return Look("good", stage.status)
    if stage.status in ("failed", "interrupted"):
        return Look("bad", stage.status)
    if stage.status == "running":
        return Look("running", stage.status)
    return Look("waiting", "waiting" if goes_on else "not run")
