"""Who gets word of a run: what --notify may name, checked before anything runs."""

import os
from collections.abc import Iterable
from typing import Protocol

from papermill_chain.chain.parameters import ChainError
from papermill_chain.notices.mail import Server, mail_to, server_in_environment
from papermill_chain.notices.message import Notice, short
from papermill_chain.notices.webhook import webhook_at
from papermill_chain.started import without_paths

FROM_ENVIRONMENT = "env:"


class Target(Protocol):
    """Somebody who gets word of a run."""

    @property
    def shown(self) -> str:
        """How it is called wherever people read."""

    def send(self, notice: Notice, seconds: float) -> None:
        """Send word; NotSent or an OSError if it does not get through."""


def targets_of(asked: Iterable[str]) -> list[Target]:
    """Who gets word, by what the user has named.

    The secrets among it are taken out of the environment: no notebook finds them there.

    Raises
    ------
    ChainError
        If one cannot be meant, or what it needs is not in the environment. No secret is in it.
    """
    found: list[Target] = []
    server: Server | None = None
    for target, shown in [_looked_up(each) for each in dict.fromkeys(asked)]:
        if target.startswith("mailto:"):
            server = server or server_in_environment()
            found.append(mail_to(target, shown, server))
        elif target.startswith(("https://", "http://")):
            found.append(webhook_at(target, shown))
        else:
            kinds = "mailto:ADDRESS, https://… or env:NAME, whose value is one of the two"
            raise ChainError(f"--notify {shown} is none that it takes: {kinds}")
    return found


def _looked_up(asked: str) -> tuple[str, str]:
    """A target, and how it may be shown."""
    if asked.startswith(FROM_ENVIRONMENT):
        name = asked.removeprefix(FROM_ENVIRONMENT)
        target = os.environ.pop(name, None)
        if target:
            return target, short(asked)
        # a secret that a workflow names and nobody has set is an empty variable
        trouble = "there is no variable" if target is None else "nothing is in the variable"
        raise ChainError(f"--notify {short(asked)}: {trouble} {short(name)}; set it")
    if asked.startswith(("mailto:", "https://", "http://")):
        return asked, short(without_paths(asked).partition("?")[0])
    return asked, f"{short(asked)[:4]}…"  # it may be an address without its https://
