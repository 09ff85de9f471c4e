"""How far a run has come, from the events that it prints or from the record that it leaves."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from papermill_chain.reports.screen import duration
from papermill_chain.runs.manifest import Failure, Run

LINES_OF_LOG = 2_000
LONGEST_LINE = 2_000  # characters
#: What an exit code says if the program has not said it itself.
ENDS = {2: "refused", 75: "refused"}


@dataclass
class StageProgress:
    """How far a stage has come."""

    name: str
    title: str
    status: str = "waiting"
    why: str = ""
    expected: float | None = None  # seconds
    began: float = 0.0
    cell: int = 0
    of: int = 0
    heading: str = ""
    seconds: float | None = None
    headline: str = ""
    verdict: str = ""
    error: str = ""
    run: str = ""  # the one that has made its report

    @property
    def elapsed(self) -> str:
        """Since when it runs and how long it took the last time, or how long it took."""
        if self.status != "running":
            took = self.seconds is not None and self.status != "up to date"
            return duration(self.seconds or 0) if took else ""
        passed = duration(max(0.0, time.time() - self.began))
        return f"{passed} of about {duration(self.expected)}" if self.expected else passed


@dataclass
class Log:
    """The last lines of what a program has printed, numbered from the first that it printed."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES_OF_LOG))
    printed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)  # two threads write, more read

    def add(self, text: str) -> None:
        """Take a line up; of a very long one its beginning."""
        line = text.rstrip("\r\n")
        cut = f"{line[:LONGEST_LINE]} …" if len(line) > LONGEST_LINE else line
        with self.lock:
            self.lines.append(cut)
            self.printed += 1

    def after(self, number: int) -> list[str]:
        """The lines after so many, as far as they are still there."""
        with self.lock:
            new = max(0, self.printed - max(0, number))
            return list(self.lines)[-new:] if new else []


@dataclass
class Progress:
    """How far a run has come."""

    stages: dict[str, StageProgress]
    status: str = "starting"
    run: str = ""  # its id, once it is known
    began: float = field(default_factory=time.time)
    seconds: float | None = None
    notes: list[str] = field(default_factory=list)
    log: Log = field(default_factory=Log)

    @property
    def elapsed(self) -> str:
        """How long it has been running, or has run."""
        seconds = time.time() - self.began if self.seconds is None else self.seconds
        return duration(max(0.0, seconds))

    @property
    def summary(self) -> str:
        """In a sentence what to know without looking at the stages."""
        if self.status in ("starting", "running"):
            done = sum(stage.status not in ("waiting", "running") for stage in self.of_run)
            return f"{done} of {len(self.stages)} stages are done"
        if self.status == "up to date":
            return "Nothing to do: all stages are up to date"
        if self.status == "refused":
            return "Nothing was run: it was refused"
        run = f"Run {self.run}" if self.run else "The run"
        return f"{run} {self.status} after {self.elapsed}"

    @property
    def of_run(self) -> list[StageProgress]:
        """The stages, in order."""
        return list(self.stages.values())

    def take(self, event: Mapping[str, Any]) -> None:
        """Take up an event as `--json` prints it, and put it into the log in words."""
        stage = self.stages.get(str(event.get("stage")))
        match event:
            case {"event": "stage started", "why": why} if stage:
                self.status, stage.status, stage.why = "running", "running", ", ".join(why)
                stage.began, stage.expected = event["time"], event["expected_seconds"]
                self.log.add(f"{stage.name} started: {stage.why}")
            case {"event": "cell started", "number": number, "of": of} if stage:
                stage.cell, stage.of, stage.heading = number, of, event["heading"] or ""
                below = f" · {stage.heading}" if stage.heading else ""
                self.log.add(f"{stage.name} cell {number}/{of}{below}")
            case {"event": "stage ended"} if stage:
                self._end(stage, event)
            case {"event": "note", "text": text}:
                self.notes.append(str(text))
                self.log.add(str(text))
            case {"event": "run ended", "status": status}:
                self.status, self.run = str(status), event["run"] or ""
                self.seconds = event.get("seconds")
                self.notes += filter(None, [event.get("after"), *event.get("troubles", [])])
                self.log.add(f"{self.run or 'the chain'} {status}")

    def end(self, code: int, errors: Iterable[str]) -> None:
        """The program has ended; what it has not said of itself its exit code says."""
        if self.status in ("starting", "running"):
            by_signal = code < 0 or code >= 128
            self.status = ENDS.get(code, "interrupted" if by_signal else "failed")
            self.notes += errors
        if self.seconds is None:
            self.seconds = time.time() - self.began
        for stage in self.of_run:
            if stage.status == "running":
                stage.status = "interrupted"
            elif stage.status == "waiting":
                stage.status = "not run"

    def _end(self, stage: StageProgress, event: Mapping[str, Any]) -> None:
        """A stage has ended, with what it has found or why it has failed."""
        stage.status, stage.seconds = event["status"], event["seconds"]
        stage.headline, stage.verdict = event["headline"], event["verdict"]
        stage.run = event["run"] or ""
        if stage.status != "up to date":
            self.run = stage.run
        if error := event["error"]:
            stage.error = _reason(Failure(**error))
        took = f" after {stage.elapsed}" if stage.elapsed else ""
        self.log.add(f"{stage.name} {stage.status}{took}")
        if stage.error:
            self.log.add(f"{stage.name}: {stage.error}")


def progress_of(run: Run) -> Progress:
    """How far a run has come that has left a record."""
    began, goes_on = run.began.timestamp(), run.status == "running"
    stages = {
        stage.name: StageProgress(
            stage.name,
            stage.title,
            "waiting" if goes_on and stage.status == "not run" else stage.status,
            ", ".join(stage.why),
            began=began,
            seconds=stage.seconds,
            headline=stage.headline,
            verdict=stage.verdict,
            error=_reason(stage.error) if stage.error else "",
            run=stage.run or "",
        )
        for stage in run.stages
    }
    notes = [*filter(None, [run.after, run.unreadable]), *run.troubles]
    seconds = None if goes_on else run.seconds or 0.0
    return Progress(stages, run.status, run.id, began, seconds, notes)


def report_of(stage: StageProgress, experiments: Path) -> str:
    """The way to a stage's report from the folder that holds runs/; empty if there is none yet."""
    run, file = Path(stage.run).name, f"{stage.name}.html"
    if not run or not (experiments / "runs" / run / file).is_file():
        return ""
    return f"runs/{quote(run, safe='')}/{quote(file, safe='')}"


def _reason(error: Failure) -> str:
    """Why a stage has failed, and where in it."""
    where = f"cell {error.number}" if error.number else ""
    under = f"under “{error.heading}”" if error.heading else ""
    place = ", ".join(filter(None, [where, under]))
    return f"{place}: {error}" if place and not error.is_refusal else str(error)
