"""Signals that ask a program to end, and the noise of libraries: what a run keeps at bay."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue

ENDS_WITH_INPUT = "CHAIN_ENDS_WITH_INPUT"  # set where another program runs this one


class Interrupted(Exception):
    """A signal asks the run to end."""


@contextmanager
def signals_put_into(events: SimpleQueue) -> Iterator[None]:
    """Have the signals that ask a program to end wait in line with all other events."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                handler = lambda number, _: events.put(partial(_interrupt, number))
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_input() -> None:
    """End in good order when the program that runs this chain is gone, and with it our input."""

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
    """Keep the tools' own chatter off the terminal; what a notebook says is in its report."""
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
