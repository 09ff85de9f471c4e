"""The token that a server wants and a client shows, if one is set."""

import os

TOKEN = "CREDITRISK_TOKEN"  # the environment variable that holds it


class NoToken(ValueError):
    """A value of the variable that no request can carry."""


def token_from_environment() -> str | None:
    """The bearer token, None if none is set.

    Raises
    ------
    NoToken
        If it is none that a header of HTTP can hold: nobody could ever show it.
    """
    token = os.environ.get(TOKEN) or None
    if token and not (token.isascii() and token.isprintable() and token == token.strip()):
        raise NoToken(
            f"{TOKEN} holds what no request can carry: printable ASCII characters alone, without "
            "blanks or line ends around them, make a token"
        )
    return token
