"""A cache of results: found by key, taken file by file with every byte verified, and put there."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from papermill_chain.cache.entries import MOST_BYTES, Entry, Refused, Stored, read_entry
from papermill_chain.cache.store import (
    BLOBS,
    ENTRIES,
    Folder,
    Objects,
    read,
    store_at,
    without_password,
)
from papermill_chain.chain.parameters import ChainError
from papermill_chain.chain.stages import Stage
from papermill_chain.runs.files import sha256
from work_units.regular_files import NotRegular

KEY_VARIABLE = "PAPERMILL_CHAIN_CACHE_KEY"
SHORTEST_KEY = 16  # characters
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Cache:
    """Results that runs share, in a store; signed and only read if signed where there is a key."""

    url: str  # as it may be shown
    store: Folder | Objects
    secret: bytes = b""

    def find(self, key: str, stage: Stage, *, to_use: bool = True) -> Entry | None:
        """The entry of a stage's result; None if there is none.

        Parameters
        ----------
        to_use : whether it is noted that the entry is of use, so that it is kept for longer.

        Raises
        ------
        Refused
            If it is broken or forged.
        Unreachable
            If the store does not answer.
        """
        try:
            with self.store.open(ENTRIES, key_file(key)) as file:
                content = read(file, MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        except NotRegular as error:
            raise Refused(f"its entry {error.strerror}") from error
        if len(content) > MOST_BYTES:
            raise Refused(f"its entry has more than {MOST_BYTES:,} bytes")
        entry = read_entry(content, key, stage, self.secret)
        if to_use:
            self.store.use(ENTRIES, key_file(key), content)
        return entry

    def fetch(self, files: Mapping[Path, Stored]) -> None:
        """Copy files of a result to where they are to be; as `find`, and Refused if one is not
        what the entry says.
        """
        for place in files:
            place.parent.mkdir(parents=True, exist_ok=True)
        needed = sum(stored.bytes for stored in files.values())
        free = shutil.disk_usage(next(iter(files)).parent).free
        if needed > free:
            raise Refused(f"it has {needed:,} bytes, and the disk has room for {free:,}")
        for place, stored in files.items():
            self._fetch(stored, place)

    def _fetch(self, stored: Stored, place: Path) -> None:
        digest, left = hashlib.sha256(), stored.bytes
        try:
            with self.store.open(BLOBS, stored.sha256) as file, place.open("wb") as copy:
                while left >= 0 and (chunk := read(file, min(CHUNK, left + 1))):
                    left -= len(chunk)
                    digest.update(chunk)
                    copy.write(chunk)
        except FileNotFoundError:
            raise Refused(f"{stored.path} is gone from it") from None
        except NotRegular as error:
            raise Refused(f"{stored.path} {error.strerror} there") from error
        if left or digest.hexdigest() != stored.sha256:
            raise Refused(f"{stored.path} is not what its entry says")

    def put(self, entry: Entry, files: Mapping[Path, Stored]) -> None:
        """Store a result, its entry last; what is there already is written anew.

        Only so is a damaged file mended, and a file that no entry names yet known to be of use.

        Raises
        ------
        Refused
            If a file is not what the entry says: somebody has changed it since.
        Unreachable
            If the store cannot be written.
        """
        for place, stored in files.items():
            if sha256(place) != stored.sha256:
                raise Refused(f"{stored.path} has been changed since")
            self.store.put(BLOBS, stored.sha256, place)
        self.store.put(ENTRIES, key_file(entry.key), entry.written(self.secret))


def cache_at(url: str, secret: bytes = b"") -> Cache:
    """The cache that a path or a URL names; ChainError if it cannot be meant."""
    return Cache(without_password(url), store_at(url), secret)


@contextmanager
def key_from_environment() -> Iterator[bytes]:
    """The key that entries are signed with, out of the environment as long as notebooks run.

    Raises
    ------
    ChainError
        If it is too short to protect anything.
    """
    key = os.environ.pop(KEY_VARIABLE, None)
    try:
        if key is not None and len(key) < SHORTEST_KEY:
            raise ChainError(
                f"the key in {KEY_VARIABLE} has fewer than {SHORTEST_KEY} characters; choose a"
                " longer one, or unset it to trust all who write to the cache"
            )
        yield (key or "").encode()
    finally:
        if key is not None:
            os.environ[KEY_VARIABLE] = key


def key_file(key: str) -> str:
    """The name of an entry's file."""
    return f"{key}.json"
