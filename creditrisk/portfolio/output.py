"""The folder that a portfolio's decisions go to, in which a file is there whole or not at all."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from creditrisk.data.contract import Json
from creditrisk.portfolio.storage import Disk, Objects, storage_of


@dataclass(frozen=True)
class Store:
    """The folder of decisions; its files go by their names below it."""

    storage: Disk | Objects
    path: str

    @classmethod
    def at(cls, url: str) -> "Store":
        """The store at a path or URL; NoStorage if there cannot be one."""
        return cls(*storage_of(url))

    def names(self) -> list[str]:
        """All files in it, hidden ones too."""
        start = len(self.path) + 1
        return [each.path[start:].replace("\\", "/") for each in self.storage.below(self.path)]

    def read_json(self, name: str) -> Json:
        """What a file of JSON holds; nothing if it is not there or not whole."""
        try:
            with self.storage.open(self._at(name)) as file:
                content: Json = json.loads(file.read())
                return content
        except (OSError, ValueError):
            return {}

    def write(self, name: str, content: str) -> None:
        """Write a file whole: aside first, then in place."""
        aside = f"{name}.{uuid.uuid4().hex}.tmp"
        try:
            file = self.open(aside)
            try:
                file.write(content.encode())
            finally:
                self.storage.close(file)
            self.move(aside, name)
        finally:
            self.delete(aside)

    def write_json(self, name: str, content: Json) -> None:
        """Write readable JSON, whole."""
        self.write(name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def open(self, name: str) -> BinaryIO:
        """A file to write bytes to."""
        return self.storage.create(self._at(name))

    def move(self, name: str, to: str) -> None:
        """Put a file where another may be."""
        self.storage.move(self._at(name), self._at(to))

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        self.storage.delete(self._at(name))

    def sha256(self, name: str) -> str | None:
        """The hash of a file's content, None if it is not there."""
        found = hashlib.sha256()
        try:
            with self.storage.open(self._at(name)) as file:
                while piece := file.read(2**20):
                    found.update(piece)
        except FileNotFoundError:
            return None
        return found.hexdigest()

    @contextmanager
    def writing(self) -> Iterator["Files"]:
        """Files that are written aside; what is not moved in the end is deleted."""
        files = Files(self, f"{uuid.uuid4().hex}.tmp")
        try:
            yield files
        finally:
            files.drop()

    def sweep(self) -> None:
        """Delete what was being written by those who were killed."""
        for name in self.names():
            if name.endswith(".tmp"):
                self.delete(name)

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}"


@dataclass
class Files:
    """The Parquet files of one part, written aside until they are whole."""

    store: Store
    suffix: str
    writers: dict[str, tuple["Hashed", pq.ParquetWriter]] = field(default_factory=dict)

    def parquet(self, name: str, schema: pa.Schema, repeated: tuple[str, ...]) -> pq.ParquetWriter:
        """Begin a file; in columns other than `repeated`, values are not expected to return."""
        sink = Hashed(self.store.open(self._aside(name)))
        writer = pq.ParquetWriter(
            pa.PythonFile(sink, "w"), schema, compression="zstd", use_dictionary=list(repeated)
        )
        self.writers[name] = sink, writer
        return writer

    def finished(self) -> dict[str, str]:
        """End all files; the hash of each by name."""
        for sink, writer in self.writers.values():
            writer.close()
            self.store.storage.close(sink.file)
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
            with suppress(OSError):
                sink.file.close()
            self.store.delete(self._aside(name))

    def _aside(self, name: str) -> str:
        folder, _, last = name.rpartition("/")
        return f"{folder}/_{last}.{self.suffix}" if folder else f"_{last}.{self.suffix}"


class Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO):
        self.file, self.hash = file, hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes, as :class:`pyarrow.PythonFile` asks."""
        self.hash.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        """Nothing is kept back here."""

    def close(self) -> None:
        """The file is closed by whoever opened it."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written."""
        return self.file.closed
