"""Where OpenLineage events go: what the command line and the environment name, checked."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from papermill_chain.chain.parameters import ChainError
from papermill_chain.reports.screen import shown_path
from work_units.regular_files import kind_of

URL, API_KEY, NAMESPACE = "OPENLINEAGE_URL", "OPENLINEAGE_API_KEY", "OPENLINEAGE_NAMESPACE"
DISABLED = "OPENLINEAGE_DISABLED"
PATH = "/api/v1/lineage"  # of a server that takes events


@dataclass(frozen=True)
class Target:
    """A file or the URL of a server."""

    file: Path | None = None
    url: str = ""
    key: str = field(default="", repr=False)
    namespace: str = "default"

    @property
    def shown(self) -> str:
        """The target as a message may name it."""
        return shown_path(self.file) if self.file else self.url.removesuffix(PATH)


def target_of(option: str | None, environment: MutableMapping[str, str]) -> Target | None:
    """Where events go, if anywhere.

    The key is taken out of the environment, so that no notebook sees it.

    Raises
    ------
    ChainError
        If there can be no events there. It repeats no part of a URL: it may hold a password.
    """
    key = environment.pop(API_KEY, "").strip()
    if environment.get(DISABLED, "").strip().lower() == "true":
        return None
    namespace = environment.get(NAMESPACE) or "default"
    if option and "://" not in option:
        return Target(file=_writable(Path(option).absolute()), namespace=namespace)
    if address := option or environment.get(URL):
        name = "--openlineage" if option else URL
        if not (key.isascii() and key.isprintable()):
            raise ChainError(f"{API_KEY} has a character that no request can carry; correct it")
        return Target(url=_checked(address, name) + PATH, key=key, namespace=namespace)
    return None


def _writable(file: Path) -> Path:
    """A file to which events are added; there may be none yet."""
    if kind := kind_of(file, links=True):
        raise ChainError(f"--openlineage: {shown_path(file)} is {kind}; name a file, or a URL")
    if not file.parent.is_dir():
        raise ChainError(f"--openlineage: there is no folder {shown_path(file.parent)}; make it")
    return file


def _checked(address: str, name: str) -> str:
    """A URL to which requests can go, without the slash at its end."""
    try:
        parts = urlsplit(address)
        there = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        there = False
    if not there or parts.scheme not in ("http", "https") or not address.isascii():
        raise ChainError(f"{name} is no URL of a server; name one as http://host:5000, or https")
    if "@" in parts.netloc:
        raise ChainError(f"{name} holds a name or password; put a key into {API_KEY} instead")
    if parts.query or parts.fragment or not address.isprintable() or " " in address:
        raise ChainError(f"{name} has more than host, port and path; name it up to there")
    return address.rstrip("/")
