"""A file behind a URL, fetched within limits of size and time."""

import http.client
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from creditrisk.data.contract import ContractError

#: Bytes of a file behind a URL, which is kept on the disk while it is read.
MOST_DOWNLOADED = 2**30
#: Seconds for a server to answer, or to send the next piece.
PATIENCE = 30
#: Seconds for a whole file.
LONGEST = 600

_PIECE = 2**20
_SCHEMES = ("http", "https")


def is_url(place: str) -> bool:
    """Whether a place is a URL and not a path."""
    return place.lower().startswith(("http://", "https://"))


def without_secrets(url: str) -> str:
    """A URL without user, password and query, which may hold a key."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


@contextmanager
def downloaded(url: str) -> Iterator[BinaryIO]:
    """A file behind a URL, as a temporary one that is gone afterwards.

    Raises
    ------
    ContractError
        If it is larger than the limit.
    OSError
        If it cannot be fetched.
    """
    with tempfile.TemporaryFile() as file:
        try:
            # Only http and https get here, and a redirection to another scheme is refused below.
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                _fetch(answer, file, url)
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"the server answers {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise OSError(f"no answer: {error.reason}") from error
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(f"no answer that can be read: {error!r}"[:200]) from error
        file.seek(0)
        yield file


def _fetch(answer: Any, file: BinaryIO, url: str) -> None:
    if urllib.parse.urlsplit(answer.url).scheme not in _SCHEMES:
        raise OSError("the server sends elsewhere than to http or https")
    until, size = time.monotonic() + LONGEST, 0
    while piece := answer.read1(_PIECE):
        size += len(piece)
        if size > MOST_DOWNLOADED:
            problem = f"more than {MOST_DOWNLOADED:,} bytes; no more are fetched"
            remedy = "fetch it yourself, and draw rows into a smaller file"
            raise ContractError(without_secrets(url), [problem], remedy)
        if time.monotonic() > until:
            raise TimeoutError(f"not all of it arrived within {LONGEST} seconds")
        file.write(piece)
    announced = answer.headers.get("Content-Length")
    if announced and announced.isdigit() and int(announced) != size:
        raise OSError(f"only {size:,} of {announced} bytes arrived")
