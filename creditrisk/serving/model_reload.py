"""The model being served, and how a newer version takes its place while requests go on."""

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from creditrisk.data.applications.examples import applications
from creditrisk.scoring.scorer import Scorer
from creditrisk.scoring.sources.model_files import HASHES
from creditrisk.scoring.sources.production import Home, InUse, in_use

log = logging.getLogger("creditrisk")

#: Any of these changing means that somebody has put another model into the folder.
FILES = ("manifest.json", *HASHES)


@dataclass(frozen=True)
class Refusal:
    """A newer model that was not taken: when, and why."""

    time: str
    reason: str


@dataclass
class Served:
    """The scorer that answers now. Read ``scorer`` once a request: it may change in between."""

    asked: str | None  # the source that was named; by default it is what is in production
    use: InUse
    scorer: Scorer
    mark: object
    home: Home | None = None  # the data set whose production it is by default
    refused: Refusal | None = None
    swaps: int = 0
    refusals: int = 0
    wake: threading.Event = field(default_factory=threading.Event)

    def renew(self) -> None:
        """Take the source's model if it has changed; keep the present one if that fails."""
        found = None  # if the source cannot even be looked at, it counts as changed next time
        try:
            use = in_use(self.asked, self.home)
            found = mark(use)
            if found == self.mark:
                self._note(replace(use, source=self.use.source))
                return
            scorer = checked(use.load())
        # Whatever is wrong with the new one, the old one goes on.
        except Exception as error:  # noqa: BLE001  # the reason is under /ready
            self._refuse(f"{type(error).__name__}: {error}")
            return
        finally:
            self.mark = found  # a model that is refused is not tried again every second
        before, self.scorer, self.refused = self.scorer, scorer, None
        self.swaps += 1
        log.info(
            "model swapped",
            extra={"from": before.version, "to": scorer.version, "sha256": scorer.sha256},
        )
        self._note(use)

    def _note(self, use: InUse) -> None:
        """Keep how the model stands, and log it if that has changed."""
        before, self.use = self.use, use
        if use.why != before.why:
            log_standing(use)

    def _refuse(self, reason: str) -> None:
        if self.refused is not None and self.refused.reason == reason:
            return  # the registry is still out of reach: said once is enough
        self.refused = Refusal(datetime.now(UTC).isoformat(timespec="seconds"), reason)
        self.refusals += 1
        log.error("model refused", extra={"reason": reason, "kept": self.scorer.version})


def serve_from(asked: str | None = None, home: Home | None = None) -> Served:
    """Load the model of a folder or registry URI for serving; by default what is in production.

    Parameters
    ----------
    home
        The data set of which the model in production is meant.

    Raises
    ------
    ModelRefused
        If there is none, or none that can be trusted.
    """
    use, found = in_use(asked, home), None
    with suppress(Exception):  # loading has the words for what is wrong
        found = mark(use)  # before loading: what changes while we load is seen by the next look
    return Served(asked, use, checked(use.load()), found, home)


def log_standing(use: InUse) -> None:
    """Log why this model is served, as a warning if it is not in production."""
    if use.notice:
        log.warning("not in production", extra={"why": use.why})
    else:
        log.info("model in use", extra={"why": use.why})


def watch(served: Served, seconds: float) -> threading.Thread:
    """Look for a newer model every so many seconds, and at once when ``served.wake`` is set."""

    def look() -> None:
        while True:
            served.wake.wait(seconds)
            if served.wake.is_set():
                served.wake.clear()
                served.mark = None  # asked for by name: load it, changed or not
            served.renew()

    thread = threading.Thread(target=look, name="model watch", daemon=True)
    thread.start()
    return thread


def checked(scorer: Scorer) -> Scorer:
    """The scorer, once it has answered sensibly; this also warms it up."""
    decisions = scorer.score(applications(scorer.contract))
    if not all(0 <= decision.probability <= 1 for decision in decisions):
        raise ValueError("its probabilities do not lie between 0 and 1")
    return scorer


def mark(use: InUse) -> object:
    """What tells one state of a source from the next: an alias' version, or the files' dates."""
    if use.mark is not None:
        return use.mark
    source = use.source
    if source.startswith("models:/"):
        if "@" not in source:
            return source  # a version by number never changes
        from creditrisk.scoring.sources import mlflow_files

        return mlflow_files.version_of(source)[0].version
    return tuple(_stamp(Path(source, name)) for name in FILES)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
