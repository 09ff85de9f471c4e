"""Where shared results lie: a folder, or whatever fsspec has a name for.

Both kinds have two shelves of files, entries and blobs, each file named after its hash. Another
format has shelves of its own, so that neither of two versions cleans away what the other needs.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO, cast

from papermill_chain.cache.key import FORMAT
from papermill_chain.chain.parameters import ChainError
from work_units.regular_files import NotRegular, open_regular

ENTRIES, BLOBS = f"v{FORMAT}/entries", f"v{FORMAT}/blobs"
#: What object stores call the time of an object's last change.
TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


class Unreachable(Exception):
    """Why a cache cannot be read or written, in words."""


@dataclass(frozen=True)
class Item:
    """A file on a shelf: its name, its bytes, and when it was written or used last, in seconds."""

    name: str
    size: int
    time: float


def store_at(url: str) -> "Folder | Objects":
    """The store that a path or a URL names; nothing is read yet.

    Raises
    ------
    ChainError
        If it takes a package that is not installed, if there is no such kind of store, or if a
        file lies in the place of the folder.
    """
    if "://" not in url:
        if os.path.lexists(url) and not os.path.isdir(url):
            raise ChainError(f"--cache {url}: this is no folder; name a folder or a URL")
        return Folder(Path(url))
    try:
        from fsspec.core import url_to_fs

        # Other machines write there too: a remembered listing would be wrong.
        system, path = url_to_fs(url, use_listings_cache=False)
    except Exception as error:  # noqa: BLE001  each kind of store has errors of its own
        raise ChainError(
            f"--cache {without_password(url)}: {_on_one_line(error)}; s3:// takes fsspec and s3fs"
            " (uv sync --extra scale, or pip install fsspec s3fs), gs:// gcsfs, abfs:// adlfs"
        ) from None
    return Objects(system, path.rstrip("/"))


def absolute(url: str) -> str:
    """A path that means the same in another folder; a URL is left as it is."""
    return url.rstrip("/") if "://" in url else os.path.abspath(os.path.expanduser(url))


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return re.sub(r"//[^/@]*@", "//", url)


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that several share."""

    place: Path

    def open(self, shelf: str, name: str) -> BinaryIO:
        """A file to read; FileNotFoundError if it is not there, NotRegular for a link."""
        with _reaching():
            return open_regular(self.place / shelf / name, links=False)

    def put(self, shelf: str, name: str, content: bytes | Path) -> None:
        """Write a file, whole or not at all."""
        with _reaching():
            (self.place / shelf).mkdir(parents=True, exist_ok=True)
            half = self.place / shelf / f".{name}.{secrets.token_hex(4)}"
            try:
                with half.open("xb") as file:
                    _write(file, content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(half, self.place / shelf / name)
            finally:
                half.unlink(missing_ok=True)

    def use(self, shelf: str, name: str, content: bytes) -> None:
        """Note that a file is of use; whoever may only read the cache leaves no note."""
        with suppress(OSError):
            os.utime(self.place / shelf / name)

    def items(self, shelf: str) -> list[Item]:
        """All files on a shelf; also those that a killed writer has left half done."""
        with _reaching(), suppress(FileNotFoundError):
            with os.scandir(self.place / shelf) as found:
                files = [each for each in found if each.is_file(follow_symlinks=False)]
            statuses = [(each.name, each.stat(follow_symlinks=False)) for each in files]
            return [Item(name, each.st_size, each.st_mtime) for name, each in statuses]
        return []

    def time(self, shelf: str, name: str) -> float | None:
        """When a file was written or used last; None if it is gone."""
        with _reaching(), suppress(FileNotFoundError):
            return (self.place / shelf / name).lstat().st_mtime
        return None

    def delete(self, shelf: str, name: str) -> None:
        """Remove a file if it is there."""
        with _reaching():
            (self.place / shelf / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Objects:
    """A store of objects, by way of fsspec: the same as :class:`Folder`.

    An object is there whole or not at all.
    """

    system: Any  # fsspec.AbstractFileSystem
    place: str
    made: set[str] = field(default_factory=set)  # the shelves that are known to be there

    def open(self, shelf: str, name: str) -> BinaryIO:
        with _reaching():
            return cast(BinaryIO, self.system.open(self._path(shelf, name), "rb"))

    def put(self, shelf: str, name: str, content: bytes | Path) -> None:
        with _reaching():
            if shelf not in self.made:
                self.system.makedirs(f"{self.place}/{shelf}", exist_ok=True)
                self.made.add(shelf)
            if isinstance(content, Path):
                self.system.put_file(str(content), self._path(shelf, name))
            else:
                self.system.pipe_file(self._path(shelf, name), content)

    def use(self, shelf: str, name: str, content: bytes) -> None:
        with suppress(Exception):  # an object's time changes only when it is written
            self.system.pipe_file(self._path(shelf, name), content)

    def items(self, shelf: str) -> list[Item]:
        with _reaching(), suppress(FileNotFoundError):
            found = self.system.find(f"{self.place}/{shelf}", detail=True, maxdepth=1)
            return [Item(path.rpartition("/")[2], _size(i), _time(i)) for path, i in found.items()]
        return []

    def time(self, shelf: str, name: str) -> float | None:
        with _reaching(), suppress(FileNotFoundError):
            return _time(self.system.info(self._path(shelf, name)))
        return None

    def delete(self, shelf: str, name: str) -> None:
        with _reaching(), suppress(FileNotFoundError):
            self.system.rm_file(self._path(shelf, name))

    def _path(self, shelf: str, name: str) -> str:
        return f"{self.place}/{shelf}/{name}"


def read(file: BinaryIO, most: int) -> bytes:
    """So many bytes of a file in a store at most; Unreachable if it does not answer."""
    with _reaching():
        return file.read(most)


@contextmanager
def _reaching() -> Iterator[None]:
    """Turn the errors of a store, of which each kind has its own, into Unreachable."""
    try:
        yield
    except (FileNotFoundError, NotRegular):  # of one file, not of the store
        raise
    except Exception as error:
        raise Unreachable(_on_one_line(error)[:300]) from error


def _write(file: BinaryIO, content: bytes | Path) -> None:
    if isinstance(content, Path):
        with open_regular(content) as source:
            copyfileobj(source, file)
    else:
        file.write(content)


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _size(info: dict[str, Any]) -> int:
    return int(info.get("size") or 0)


def _time(info: dict[str, Any]) -> float:
    """When an object was written; now if its store does not say, so that nobody removes it."""
    found = next((info[name] for name in TIMES if info.get(name)), None)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if isinstance(found, datetime):
        return found.timestamp()
    return float(found) if found else datetime.now().timestamp()
