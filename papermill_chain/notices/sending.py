"""Sending word when a run has ended: to all at once, within a limit of time; it fails no run."""

import sys
import threading
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLCertVerificationError
from urllib.error import URLError

from papermill_chain.notices.message import Notice, NotSent, notice_of, short
from papermill_chain.notices.targets import Target, targets_of
from papermill_chain.reports.views import print_event
from papermill_chain.runs.manifest import Run

SECONDS = 20.0  # for all of them, who get it side by side


@dataclass(frozen=True)
class Word:
    """Word of a run: to whom, and when."""

    title: str
    index: Path
    targets: Sequence[Target]
    occasion: str  # as --notify-on has it
    json: bool
    quiet: bool

    def ended(self, run: Run | None) -> None:
        """Send word of a run, or that there was nothing to do."""
        summary = "nothing to do, all is up to date"
        idle = Notice(self.title, summary, "up to date", self.index)
        self.of(notice_of(run) if run is not None else idle)

    def of(self, notice: Notice) -> None:
        """Send word of what has ended; if there was nothing to do, only if it is always wanted."""
        if notice.status != "up to date" or self.occasion == "always":
            self._send(notice)

    def refused(self, why: str) -> None:
        """Send word that nothing was run, or that a run could not be stored."""
        self._send(Notice(self.title, "not run", "refused", self.index, reason=short(why)))

    def _send(self, notice: Notice) -> None:
        if self.occasion == "failure" and not notice.is_bad:
            return
        for target, trouble in zip(self.targets, _sent(self.targets, notice), strict=True):
            if self.json:
                print_event("notified", target=target.shown, trouble=trouble or None)
            elif trouble:
                print(f"no word could be sent to {target.shown}: {trouble}", file=sys.stderr)
            elif not self.quiet:
                print(f"Sent word to {target.shown}")


def word_of(asked: Namespace, title: str, experiments: Path) -> Word:
    """To whom and when a command line wants word sent; ChainError if that cannot be."""
    targets = targets_of(asked.notify)
    return Word(
        title,
        experiments / "index.html",
        () if asked.dry_run else targets,
        asked.notify_on,
        asked.json,
        asked.quiet,
    )


@dataclass
class _Sending:
    """One being sent to, in a thread of its own."""

    target: Target
    notice: Notice
    trouble: str = field(init=False)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.trouble = _late()  # as long as there is no answer
        # a daemon: it may hang, and is not waited for longer than that
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def _send(self) -> None:
        try:
            self.target.send(self.notice, SECONDS)
            self.trouble = ""
        except NotSent as error:
            self.trouble = str(error)
        except Exception as error:  # noqa: BLE001  no word is worth failing a run
            self.trouble = _why(error)


def _sent(targets: Sequence[Target], notice: Notice) -> list[str]:
    """Send word to all; of each why it did not get through, empty if it did."""
    end = time.monotonic() + SECONDS
    sendings = [_Sending(target, notice) for target in targets]
    for sending in sendings:
        sending.thread.join(max(end - time.monotonic(), 0))
    return [sending.trouble for sending in sendings]


def _why(error: BaseException) -> str:
    """An error of the network in a few words, without the address."""
    match error:
        case URLError(reason=BaseException() as reason):
            return _why(reason)
        case SSLCertVerificationError(verify_message=message):
            return f"its certificate is not valid ({message})"
        case TimeoutError():
            return _late()
        case OSError(strerror=str() as text):
            return text
        case ConnectionError():
            return "the server closed the connection"
    return type(error).__name__


def _late() -> str:
    return f"no answer within {SECONDS:g} s"
