"""Addresses on the web that are secrets themselves, as far as they may be shown."""

import re

_ADDRESS = re.compile(
    r"\b(?P<scheme>https?://)(?:[^\s/'\"@]*@)?(?P<host>[^\s/?#'\"@]*)[^\s'\"]*", re.IGNORECASE
)


def without_paths(text: str) -> str:
    """A text in which all addresses end after the host: who knows the rest may post there."""
    return _ADDRESS.sub(r"\g<scheme>\g<host>/…", text)
