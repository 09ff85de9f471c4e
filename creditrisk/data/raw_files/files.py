"""Where the raw data are: files, patterns, gzip and URLs, each opened as a file of bytes."""

import glob
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.package.remedies import restore
from creditrisk.data.raw_files.download import downloaded, is_url, without_secrets
from work_units.regular_files import open_regular

#: Files that are read as one table: a file a day of some years.
MOST_FILES = 1_000

#: How a file begins that is neither text nor Parquet, and what it then is.
_OTHERS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"ARROW1": "a Feather or Arrow file",
    b"ORC": "an ORC file",
    b"SQLite format 3": "a SQLite database",
    b"$FL2": "an SPSS file",
    b"<stata_dta>": "a Stata file",
    bytes(12) + b"\xc2\xea\x81\x60": "a SAS file",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
}
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_START = 16  # bytes that tell


@dataclass(frozen=True)
class RawFile:
    """One file, by the name that messages give it."""

    place: str

    @property
    def name(self) -> str:
        """The place as it can be printed, without what only its owner is to know."""
        place = without_secrets(self.place) if is_url(self.place) else self.place
        return place if place.isprintable() else ascii(place)[1:-1]

    @property
    def remedy(self) -> str:
        """How to have it back."""
        return "give another file" if is_url(self.place) else restore(Path(self.place))

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file as it is stored, from its beginning.

        Raises
        ------
        ContractError
            If it cannot be read.
        """
        try:
            with downloaded(self.place) if is_url(self.place) else open_regular(self.place) as file:
                yield file
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
            raise ContractError(self.name, [problem], self.remedy) from error

    def is_parquet(self, content: BinaryIO) -> bool:
        """Whether an opened file is to be read as Parquet; if not, it is text, perhaps packed.

        Raises
        ------
        ContractError
            If its first bytes are those of another format.
        """
        start = content.read(_START)
        content.seek(0)
        suffix = Path(self.place.split("?")[0]).suffix.lower()
        if suffix in (".parquet", ".pq") or start.startswith(_PARQUET):
            return True
        for beginning, kind in _OTHERS.items():
            if start.startswith(beginning):
                raise ContractError(
                    self.name, [f"is {kind}, not a table of text"], "save it as CSV or Parquet"
                )
        return False


def raw_files(path: str | Path | Sequence[str | Path], contract: Contract) -> list[RawFile]:
    """The files of a table, in the order in which their rows follow one another.

    Parameters
    ----------
    path
        A file, a URL, a pattern such as ``loans-*.csv`` (its files in the order of their names), a
        list of these, or the ``datapackage.json`` that names them.

    Raises
    ------
    ContractError
        If nothing matches a pattern, or there are too many files.
    """
    if not isinstance(path, str | Path):
        found = [file for each in path for file in raw_files(each, contract)]
        return _counted(found, ", ".join(map(str, path))[:200] or "the list of files")
    place = re.sub("^(https?:)/+", r"\1//", str(path))  # as pathlib shortens it
    if is_url(place):
        return [RawFile(place)]
    if place.endswith(".json"):
        folder = Path(place).parent
        named = [each if is_url(each) else str(folder / each) for each in contract.paths]
        if not named:
            problem = "names no file of its table"
            raise ContractError(place, [problem], 'give the table a "path"')
        return raw_files(named, contract)
    return matching(place)


def matching(place: str) -> list[RawFile]:
    """The file of a name, or the files of a pattern in the order of their names.

    Raises
    ------
    ContractError
        If nothing matches a pattern, or there are too many files.
    """
    if not re.search(r"[*?\[]", place) or Path(place).exists():
        return [RawFile(place)]
    found = [each for each in sorted(glob.glob(place, recursive=True)) if Path(each).is_file()]
    if not found:
        raise ContractError(place, ["no file has such a name"], "correct the pattern")
    return _counted([RawFile(each) for each in found], place)


def _counted(files: list[RawFile], name: str) -> list[RawFile]:
    if not files or len(files) > MOST_FILES:
        problem = f"{len(files):,} files; allowed 1 to {MOST_FILES:,}"
        raise ContractError(name, [problem], "join them into fewer files")
    return files


class Unpacked:
    """A file read from its beginning to its end; what is packed with gzip comes unpacked.

    The hash is that of the file as it is stored.
    """

    def __init__(self, stored: BinaryIO):
        self._stored = stored
        self._hash = hashlib.sha256()
        self.packed = stored.read(2) == _GZIP
        stored.seek(0)
        self._content: Any = gzip.GzipFile(fileobj=cast(BinaryIO, self)) if self.packed else None

    @property
    def sha256(self) -> str:
        """Of all that has been read, as hexadecimal."""
        return self._hash.hexdigest()

    def piece(self, size: int) -> bytes:
        """The next bytes of the content, empty at its end.

        Raises
        ------
        ValueError
            If the packed file is damaged.
        """
        if not self.packed:
            return self.read(size)
        try:
            found: bytes = self._content.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"is a damaged gzip file ({error})") from error
        return found

    def read(self, size: int = -1) -> bytes:
        """The next bytes as they are stored."""
        found = self._stored.read(size)
        self._hash.update(found)
        return found
