"""How the user has started the program, and whether this Python has what a run needs."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from papermill_chain.chain.parameters import ChainError

UV = "UV"  # the variable by which `uv run` says to what it runs that it does
NEEDED = ("papermill", "nbclient", "nbformat", "nbconvert", "jupyter_client", "bs4", "nh3")
SERVER = ("flask", "waitress", "werkzeug")

#: An address on the web, which may be a secret itself.
_ADDRESS = re.compile(
    r"\b(?P<scheme>https?://)(?:[^\s/'\"@]*@)?(?P<host>[^\s/?#'\"@]*)[^\s'\"]*", re.IGNORECASE
)

#: The program's own arguments, which each command that it offers has to repeat.
_REPEATED: list[str] = []


def repeat(arguments: Iterable[str]) -> None:
    """Have all commands that are offered from now on begin with these arguments."""
    _REPEATED[:] = arguments


def repeated() -> list[str]:
    """The arguments that all commands begin with."""
    return list(_REPEATED)


def command(*arguments: str) -> str:
    """A command line that starts the program as the user has, with other arguments."""
    return shlex.join([*_launcher(), _from_here(sys.argv[0]), *_REPEATED, *arguments])


def tool(module: str, *arguments: str) -> str:
    """A command line that starts a program of this environment, where it need not be on PATH."""
    run = [] if UV in os.environ else ["-m"]
    return shlex.join([*_launcher(), *run, module, *arguments])


def refuse_incomplete_python(modules: Iterable[str] = NEEDED) -> None:
    """Raise ChainError if this Python lacks what runs notebooks; nothing is recorded then."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        words = shlex.join(["run", _from_here(sys.argv[0]), *sys.argv[1:]])
        raise ChainError(
            f"{sys.executable} has no {', '.join(missing)}; run the chain in its own"
            f" environment: {_uv()} {without_paths(words)}"
        )


def refuse_without_server() -> None:
    """Raise ChainError if this Python lacks what serves the page of --ui."""
    missing = [module for module in SERVER if find_spec(module) is None]
    if missing:
        raise ChainError(
            f"{sys.executable} has no {', '.join(missing)}, which --ui serves its page with;"
            " install the extra ui: pip install 'papermill-chain[ui]'"
        )


def program() -> list[str]:
    """What starts the program again as another process, without arguments."""
    return [sys.executable, sys.argv[0]]


def _launcher() -> list[str]:
    """What was typed before the program's name."""
    if UV in os.environ:
        return [*shlex.split(_uv()), "run"]
    python = sys.orig_argv[0] if sys.orig_argv else "python"
    return [_from_here(python) if os.path.dirname(python) else python]


def _from_here(typed: str) -> str:
    """A path as it was typed; an absolute one as short as it can be typed here."""
    path = Path(typed)
    if not path.is_absolute():
        return typed
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return path.name if shutil.which(path.name) else typed


def _uv() -> str:
    return "uv" if shutil.which("uv") else "python3 -m uv"


def without_paths(text: str) -> str:
    """A text in which all addresses end after the host: who knows the rest may post there."""
    return _ADDRESS.sub(r"\g<scheme>\g<host>/…", text)
