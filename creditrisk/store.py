"""The folder that a portfolio's decisions go to, in which a file is there whole or not at all."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Store:
    """The folder of decisions; its files go by their names below it."""

    path: Path

    def names(self) -> list[str]:
        """All files in it, hidden ones too."""
        return [file.relative_to(self.path).as_posix() for file in self.path.rglob("*")
                if not file.is_dir()]  # fmt: skip

    def read_json(self, name: str) -> dict:
        """What a file of JSON holds; nothing if it is not there or not whole."""
        try:
            return json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError):
            return {}

    def write(self, name: str, content: str) -> None:
        """Write a file whole: aside first, then in place."""
        aside = f"{name}.{uuid.uuid4().hex}.tmp"
        try:
            with self.open(aside) as file:
                file.write(content.encode())
                _keep(file)
            self.move(aside, name)
        finally:
            self.delete(aside)

    def write_json(self, name: str, content: dict) -> None:
        """Write readable JSON, whole."""
        self.write(name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def open(self, name: str):
        """A file to write bytes to, in a folder that is made if need be."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("wb")

    def move(self, name: str, to: str) -> None:
        """Put a file where another may be."""
        os.replace(self.path / name, self.path / to)

    def delete(self, name: str) -> None:
        """Delete a file if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def sha256(self, name: str) -> str | None:
        """The hash of a file's content, None if it is not there."""
        try:
            with (self.path / name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None

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
            _keep(sink.file)
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
            with suppress(OSError):
                sink.file.close()
            self.store.delete(self._aside(name))

    def _aside(self, name: str) -> str:
        folder, _, last = name.rpartition("/")
        return f"{folder}/_{last}.{self.suffix}" if folder else f"_{last}.{self.suffix}"


class Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, file):
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


def _keep(file) -> None:
    """Have the disk itself keep what was written, so that a name never outlives its content."""
    file.flush()
    os.fsync(file.fileno())
