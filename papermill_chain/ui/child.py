"""A run as a program of its own: started, followed line by line, and stopped in good order."""

import json
import os
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from papermill_chain.execution.events import ENDS_WITH_INPUT
from papermill_chain.ui.progress import Progress

SECONDS_TO_STOP = 30  # to end in good order when asked to
LONGEST_EVENT = 1_000_000  # characters


class Child:
    """A program that runs the chain and prints its events; threads read what it prints."""

    def __init__(self, command: Sequence[str], progress: Progress) -> None:
        self.progress = progress
        self._errors: deque[str] = deque(maxlen=20)
        # It ends with its input, so that none goes on if this process is killed; a signal from the
        # terminal is for this process, which passes it on.
        self._process = subprocess.Popen(
            command,
            env=os.environ | {ENDS_WITH_INPUT: "1", "PYTHONIOENCODING": "utf-8:replace"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_events, self._process.stdout),
                (self._read_errors, self._process.stderr),
            )
        ]
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        for thread in [*self._readers, self._waiter]:
            thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet, with all that it had to print."""
        return self._waiter.is_alive()

    def ask_to_stop(self) -> None:
        """Ask it to end in good order; after a while it is killed."""
        if self.is_running:
            self.progress.log.add("asked to stop")
            self._process.terminate()
            timer = threading.Timer(SECONDS_TO_STOP, self.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """End it at once; the next run clears up what is left."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._waiter.join()

    def _read_events(self, stream: IO[str]) -> None:
        while line := stream.readline(LONGEST_EVENT):
            try:
                self.progress.take(json.loads(line))
            except (
                ValueError,
                TypeError,
                KeyError,
                AttributeError,
            ):  # no event of ours
                self.progress.log.add(line)

    def _read_errors(self, stream: IO[str]) -> None:
        while line := stream.readline(LONGEST_EVENT):
            self.progress.log.add(line)
            self._errors.append(line.rstrip())

    def _wait(self) -> None:
        code = self._process.wait()
        for reader in self._readers:
            reader.join(timeout=5)  # a process that it has left behind may hold its output open
        self.progress.end(code, [line for line in self._errors if line])
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()
