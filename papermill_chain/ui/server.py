"""The server of the page: it listens on this machine alone, until it is stopped."""

import logging
import os
import signal
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType

from waitress import create_server

from papermill_chain.chain.parameters import ChainError
from papermill_chain.runs.files import os_error_text
from papermill_chain.started import program
from papermill_chain.ui.app import create_app
from papermill_chain.ui.desk import Chain, Desk
from papermill_chain.ui.security import Guard
from work_units.regular_files import make_way

#: What is chosen on the page, by its option.
CHOSEN = {
    "set": "--set",
    "params": "--params",
    "params_yaml": "--params-yaml",
    "only": "--only",
    "start": "--from",
    "force": "--force",
    "list": "--list",
    "dry_run": "--dry-run",
    "quiet": "--quiet",
    "json": "--json",
}
THREADS = 4


def passed_on(argv: Sequence[str]) -> list[str]:
    """The arguments of the command line that each run from the page is started with, too."""
    own = ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--ui", action="store_true")
    own.add_argument("--open", action="store_true")
    own.add_argument("--port")
    return own.parse_known_args(argv)[1]


def serve_page(
    asked: Namespace, arguments: Sequence[str], chain: Chain, show: Callable[[Path], None]
) -> int:
    """Serve the page until Ctrl-C; the exit code.

    Parameters
    ----------
    arguments : of each run.
    show : shows a file in a browser.

    Raises
    ------
    ChainError
        If an option is given whose place is on the page, or the port cannot be used.
    """
    if given := [option for name, option in CHOSEN.items() if getattr(asked, name)]:
        raise ChainError(
            f"with --ui, parameters and stages are chosen on the page; leave out {given[0]}"
        )
    desk = Desk(chain, [*program(), *arguments, "--json"])
    with _listening(asked.port) as listener:
        guard = Guard(listener.getsockname()[1])
        app = create_app(desk, guard)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a queue is what it is for
        server = create_server(app, sockets=[listener], threads=THREADS, ident=None)
        print(f"{chain.title}: open {guard.url}\nCtrl-C ends it.", flush=True)
        shown = _shown(guard.url, chain, show if asked.open else None)
        with closing(server), _ended_like_ctrl_c(), shown:
            server.run()
            server.close()
            _end(desk)
    return 0


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ChainError(
            f"port {port} cannot be used ({os_error_text(error)}); name another one with --port,"
            " or 0 for any that is free"
        ) from None
    with listener:
        yield listener


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Have other signals that ask a program to end do what Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    yield


@contextmanager
def _shown(url: str, chain: Chain, show: Callable[[Path], None] | None) -> Iterator[None]:
    """Show an address in a browser, by a file that leads to it.

    All users of a machine can see what programs are started with; the token is in a file that only
    its owner can read.
    """
    if show is None:
        yield
        return
    chain.experiments.mkdir(parents=True, exist_ok=True)
    file = chain.experiments / f".open-{os.getpid()}.html"
    make_way(file)  # of a page that was killed; in a container each has the same number
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as page:
        page.write(f'<meta http-equiv="refresh" content="0; url={url}">\n')
    try:
        show(file)
        yield
    finally:
        file.unlink(missing_ok=True)


def _end(desk: Desk) -> None:
    """End a run that is going on, in good order if there is the time for it."""
    child = desk.child
    if child is None or not child.is_running:
        return
    print("the run in progress is asked to stop; Ctrl-C again kills it", file=sys.stderr)
    child.ask_to_stop()
    try:
        child.wait()
    except KeyboardInterrupt:
        child.kill()
        with suppress(KeyboardInterrupt):
            child.wait()
    print(child.progress.summary, file=sys.stderr)
