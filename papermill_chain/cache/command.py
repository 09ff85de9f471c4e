"""`python -m papermill_chain cache URL`: take from a cache what is too old or too much."""

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from papermill_chain.cache.collection import Limits, age_of, collect, planned, size_of
from papermill_chain.cache.store import Unreachable, store_at, without_password
from papermill_chain.chain.parameters import ChainError


def add_arguments(parser: ArgumentParser) -> None:
    """Have a parser take the arguments of this command."""
    parser.add_argument("url", metavar="URL", help="a folder, s3://... or what else fsspec knows")
    parser.add_argument(
        "--max-size",
        type=_size,
        metavar="SIZE",
        help="most that may be left, such as 500MB or 5GB; what was of no use for longest goes",
    )
    parser.add_argument(
        "--max-age",
        type=_age,
        metavar="AGE",
        help="longest since a result was of use, such as 12h, 30d or 8w",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would go, remove nothing")


def clean(asked: Namespace) -> list[str]:
    """Do what the arguments ask for; what has gone, in words.

    Raises
    ------
    ChainError
        If there is no cache, or it cannot be reached.
    """
    store, now = store_at(asked.url), time.time()
    shown = without_password(asked.url)
    try:
        collection = planned(store, Limits(asked.max_size, asked.max_age), now)
        if not collection:
            raise ChainError(f"{shown} holds no results; name the folder or URL of a cache")
        if not asked.dry_run:
            collection = collect(store, collection, now)
    except Unreachable as error:
        raise ChainError(f"the cache {shown} cannot be reached ({error})") from error
    return list(collection.lines(done=not asked.dry_run, now=now))


def _size(text: str) -> int:
    try:
        return size_of(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no size such as 500MB or 5GB") from None


def _age(text: str) -> float:
    try:
        return age_of(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is no age such as 12h, 30d or 8w") from None
