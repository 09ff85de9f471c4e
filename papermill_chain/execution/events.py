"""The events of a run: what its threads have done, and signals, one at a time."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

ENDS_WITH_INPUT = "CHAIN_ENDS_WITH_INPUT"  # set where another program runs this one


T = TypeVar("T")


class Interrupted(Exception):
    """A signal asks the run to end."""


class Events(SimpleQueue[Callable[[], None]]):
    """What the main thread has to do next, in the order in which it has come up."""

    busy = 0  # threads whose work is not done

    def handle_next(self, patience: float) -> None:
        """Do what comes up within so many seconds, if anything."""
        with suppress(Empty):
            self.get(timeout=patience)()

    def in_background(
        self, work: Callable[[], T], then: Callable[[T | BaseException], None]
    ) -> None:
        """Do some work in a thread, then something in the main thread with what it returns.

        If the work raises, the exception is handed on in place of a result.
        """

        def job() -> None:
            result: T | BaseException
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  whatever it is, it is to be recorded
                result = error
            self.put(partial(self._finish, then, result))

        self.busy += 1
        threading.Thread(target=job, daemon=True).start()

    def _finish(self, then: Callable[[T], None], result: T) -> None:
        self.busy -= 1
        then(result)


@contextmanager
def signals_put_into(events: SimpleQueue[Callable[[], None]]) -> Iterator[None]:
    """Have the signals that ask a program to end wait in line with all other events."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                before[number] = signal.signal(
                    number, lambda number, _: events.put(partial(_interrupt, number))
                )
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_input() -> None:
    """End in good order when stdin ends, if another program runs this one and may be killed."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 1024):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    if os.environ.pop(ENDS_WITH_INPUT, None):
        threading.Thread(target=wait, daemon=True).start()


def _interrupt(number: int) -> None:
    raise Interrupted(number)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep log messages and warnings of libraries off the terminal."""
    names = ("papermill", "nbclient", "traitlets", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
