"""Where files lie: the folders of this machine, or whatever fsspec has a name for."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

#: What object stores call the state of a file, the best first.
STATES = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created")


class NoStorage(Exception):
    """Why a URL leads nowhere, in one sentence."""


@dataclass(frozen=True)
class Entry:
    """A file that is there."""

    path: str
    size: int
    state: int | str  # another one as soon as the file is another one


def storage_of(url: str) -> tuple["Disk | Objects", str]:
    """Where a path or URL leads: the storage, and the path there.

    Raises
    ------
    NoStorage
        If it takes a package that is not installed, or there is no such storage.
    """
    if "://" not in url:
        return Disk(), os.path.abspath(url)
    try:
        from fsspec.core import url_to_fs

        # Other processes write there too: a remembered listing would be wrong.
        system, path = url_to_fs(url, use_listings_cache=False)
    except Exception as error:  # noqa: BLE001 - each storage has errors of its own
        words = " ".join(str(error).split())
        raise NoStorage(
            f"{url}: {words}; s3:// comes with the extra scale (uv sync --extra scale),"
            " gs:// with gcsfs, abfs:// with adlfs"
        ) from None
    return Objects(system), path.rstrip("/")


def absolute(url: str) -> str:
    """A path that means the same in another process; a URL is left as it is."""
    return url.rstrip("/") if "://" in url else os.path.abspath(url)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn the errors of an object store, each of which has its own, into NoStorage."""
    try:
        yield
    except Exception as error:
        if "://" not in url or type(error).__module__.startswith("creditrisk."):
            raise
        raise NoStorage(f"{url} cannot be reached ({' '.join(str(error).split())[:200]})") from None


@dataclass(frozen=True)
class Disk:
    """The folders of this machine."""

    def is_file(self, path: str) -> bool:
        """Whether there is a file of this name."""
        return os.path.isfile(path)

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder of this name."""
        return os.path.isdir(path)

    def below(self, folder: str) -> Iterator[Entry]:
        """All files in a folder and in those below it; none if there is no such folder."""
        return map(self.entry, filter(os.path.isfile, map(str, Path(folder).rglob("*"))))

    def matching(self, pattern: str) -> Iterator[Entry]:
        """The files that a pattern means."""
        return map(self.entry, filter(os.path.isfile, glob.glob(pattern, recursive=True)))

    def entry(self, path: str) -> Entry:
        """A file by its name."""
        status = os.stat(path)
        return Entry(path, status.st_size, status.st_mtime_ns)

    def open(self, path: str) -> pa.NativeFile:
        """A file to read at any place; FileNotFoundError if it is not there."""
        return pa.OSFile(path)

    def create(self, path: str) -> BinaryIO:
        """A file to write, in a folder that is made if need be."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb")

    def close(self, file: BinaryIO) -> None:
        """End a file that is written, and have the disk itself keep it.

        Else, after a power cut, its name might outlive its content.
        """
        file.flush()
        os.fsync(file.fileno())
        file.close()

    def move(self, path: str, to: str) -> None:
        """Put a file where another may be."""
        os.replace(path, to)

    def delete(self, path: str) -> None:
        """Delete a file if it is there."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Objects:
    """A store of objects, by way of fsspec: the same as :class:`Disk`.

    An object is there whole or not at all, and kept once it is there. To move it is to copy it.
    """

    system: Any  # fsspec.AbstractFileSystem

    def is_file(self, path: str) -> bool:
        return bool(self.system.isfile(path))

    def is_folder(self, path: str) -> bool:
        return bool(self.system.isdir(path))

    def below(self, folder: str) -> Iterator[Entry]:
        return map(_object, self.system.find(folder, detail=True).values())

    def matching(self, pattern: str) -> Iterator[Entry]:
        found = self.system.glob(pattern, detail=True).values()
        return map(_object, (each for each in found if each["type"] == "file"))

    def entry(self, path: str) -> Entry:
        return _object(self.system.info(path))

    def open(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(self.system.open(path, "rb"), mode="r")

    def create(self, path: str) -> BinaryIO:
        self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
        file: BinaryIO = self.system.open(path, "wb")
        return file

    def close(self, file: BinaryIO) -> None:
        file.close()

    def move(self, path: str, to: str) -> None:
        self.system.mv(path, to)

    def delete(self, path: str) -> None:
        if self.system.exists(path):
            self.system.rm_file(path)


def _object(info: dict[str, Any]) -> Entry:
    """The entry of an object, from what its store says of it."""
    state = next((info[name] for name in STATES if info.get(name)), "")
    return Entry(info["name"], info["size"], str(state))
