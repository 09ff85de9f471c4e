"""Where a portfolio comes from and its decisions go: a disk, or whatever fsspec has a name for."""

import glob
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs as pa_fs


class NoStore(Exception):
    """Why a URL leads nowhere, in one sentence."""


@dataclass(frozen=True)
class Store:
    """The folder of decisions, on a disk or elsewhere."""

    system: pa_fs.FileSystem
    path: str

    @classmethod
    def at(cls, url: str) -> "Store":
        """The store at a path or URL."""
        return cls(*system_of(url))

    def names(self) -> list[str]:
        """All files in it, hidden ones too, by their names below it."""
        selector = pa_fs.FileSelector(self.path, recursive=True, allow_not_found=True)
        base = PurePosixPath(self.path)
        return [PurePosixPath(info.path).relative_to(base).as_posix()
                for info in self.system.get_file_info(selector)
                if info.type == pa_fs.FileType.File]  # fmt: skip

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self.system.open_input_stream(self._in(name)) as content:
            return content.read()

    def read_json(self, name: str) -> dict:
        """What a file of JSON holds; nothing if it is not there or not whole."""
        try:
            return json.loads(self.read(name))
        except (OSError, ValueError):
            return {}

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole: aside first, then in place."""
        aside = f"{name}.{uuid.uuid4().hex}.tmp"
        self._make_room(name)
        with self.system.open_output_stream(self._in(aside)) as file:
            file.write(content)
        self.move(aside, name)

    def write_json(self, name: str, content: dict) -> None:
        """Write readable JSON, whole."""
        self.write(name, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def move(self, name: str, to: str) -> None:
        """Put a file where another may be."""
        self.system.move(self._in(name), self._in(to))

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        if self.system.get_file_info(self._in(name)).type == pa_fs.FileType.File:
            self.system.delete_file(self._in(name))

    def sha256(self, name: str) -> str | None:
        """The hash of a file's content, None if it is not there."""
        found = hashlib.sha256()
        try:
            with self.system.open_input_stream(self._in(name)) as content:
                while piece := content.read(2**20):
                    found.update(piece)
        except FileNotFoundError:
            return None
        return found.hexdigest()

    @contextmanager
    def writing(self, run: str) -> Iterator["Files"]:
        """Files that are written aside; what is not moved in the end is deleted."""
        files = Files(self, f"{run}-{uuid.uuid4().hex}.tmp")
        try:
            yield files
        finally:
            files.drop()

    def sweep(self) -> None:
        """Delete what was being written by those who were killed."""
        for name in self.names():
            if name.endswith(".tmp"):
                self.delete(name)

    def open(self, name: str) -> pa.NativeFile:
        """A stream that writes a file."""
        self._make_room(name)
        return self.system.open_output_stream(self._in(name))

    def _make_room(self, name: str) -> None:
        self.system.create_dir(self._in(str(PurePosixPath(name).parent)), recursive=True)

    def _in(self, name: str) -> str:
        return str(PurePosixPath(self.path) / name)


@dataclass
class Files:
    """The Parquet files of one part, written aside until they are whole."""

    store: Store
    suffix: str
    writers: dict[str, tuple["Hashed", pq.ParquetWriter]] = field(default_factory=dict)

    def parquet(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        """Begin a file."""
        sink = Hashed(self.store.open(self._aside(name)))
        writer = pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd")
        self.writers[name] = sink, writer
        return writer

    def finished(self) -> dict[str, str]:
        """End all files; the hash of each by name."""
        for sink, writer in self.writers.values():
            writer.close()
            sink.file.close()
        return {name: sink.hash.hexdigest() for name, (sink, _) in self.writers.items()}

    def move(self) -> None:
        """Put all files in their places, the decisions last."""
        for name in reversed(list(self.writers)):
            self.store.move(self._aside(name), name)

    def drop(self) -> None:
        """Delete what has not been moved."""
        for name, (sink, writer) in self.writers.items():
            # What cannot be written does not matter any more.
            with suppress(OSError, pa.ArrowException):
                writer.close()
            with suppress(OSError, pa.ArrowException):
                sink.file.close()
            with suppress(OSError, pa.ArrowException):
                self.store.delete(self._aside(name))

    def _aside(self, name: str) -> str:
        place = PurePosixPath(name)
        return str(place.parent / f"_{place.name}.{self.suffix}")


class Hashed:
    """A stream that hashes what it writes."""

    def __init__(self, file: pa.NativeFile):
        self.file, self.hash = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes, as :class:`pyarrow.PythonFile` asks."""
        self.hash.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        """Nothing is kept back here."""

    def close(self) -> None:
        """The stream is closed by whoever opened it."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self.file.closed


def absolute(source: str) -> str:
    """A path that means the same in another process; a URL is left as it is."""
    return source if "://" in source or source.startswith("models:/") else os.path.abspath(source)


def system_of(url: str) -> tuple[pa_fs.FileSystem, str]:
    """The file system of a path or URL, and the path in it.

    Raises
    ------
    NoStore
        If it takes a package that is not installed.
    """
    if "://" not in url:
        return pa_fs.LocalFileSystem(), os.path.abspath(url)
    try:
        from fsspec.core import url_to_fs

        # Other processes write there too: a remembered listing would be wrong.
        system, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        words = " ".join(str(error).split())
        raise NoStore(f"{url}: {words}; s3:// comes with the extra `scale`, gs:// with gcsfs, "
                      "abfs:// with adlfs") from None  # fmt: skip
    return pa_fs.PyFileSystem(pa_fs.FSSpecHandler(system)), path


def globbed(system: pa_fs.FileSystem, pattern: str) -> list[pa_fs.FileInfo]:
    """The files that a pattern means."""
    if isinstance(system, pa_fs.LocalFileSystem):
        paths = glob.glob(pattern, recursive=True)
    else:
        paths = system.handler.fs.glob(pattern)
    return system.get_file_info(paths)
