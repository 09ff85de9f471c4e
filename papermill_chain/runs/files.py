"""Files that are there whole or not at all: hashes, safe writing, and sets published together."""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"  # how the file of a picture begins


def sha256(path: Path) -> str:
    """The hash of what is in a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def relative(file: Path, folder: Path) -> str:
    """A path relative to a folder, written the same on all systems."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return file.as_posix()


def browser_pages(files: Mapping[str, str]) -> dict[str, str]:
    """Of some files, by name, those that a browser shows."""
    return {name: file for name, file in files.items() if file.lower().endswith((".html", ".htm"))}


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers find either the old one or all of the new one."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        half.write_text(text, encoding="utf-8")
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def link(file: Path, place: Path) -> None:
    """Have a file in a second place as well, without a second copy where the disk allows it."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)


def publish(outputs: dict[Path, Path], journal: Path) -> None:
    """Put new files in their places as one set: if one cannot be, the old ones are put back.

    As long as `journal` exists the set is not complete; `take_back` then restores the old one, even
    if the process that was at it has been killed.
    """
    try:
        for new, place in outputs.items():
            _flush(new)
            place.parent.mkdir(parents=True, exist_ok=True)
        places = {str(place): place.exists() for place in outputs.values()}
        write_whole(journal, json.dumps(places))
        for place in filter(Path.exists, outputs.values()):
            _keep_aside(place)
        for new, place in outputs.items():
            _move(new, place)
        journal.unlink()
    finally:
        take_back(journal, outputs.values())


def take_back(journal: Path, places: Iterable[Path]) -> None:
    """Restore what a publication that came to no end has replaced; leave no trace of it."""
    if journal.exists():
        for name, existed in json.loads(journal.read_text(encoding="utf-8")).items():
            place = Path(name)
            with suppress(FileNotFoundError):  # not touched yet
                if existed:
                    os.replace(_aside(place), place)
                else:
                    place.unlink()
        journal.unlink()
    for place in places:
        for leftover in filter(Path.exists, [_aside(place), _near(place)]):
            leftover.unlink()


def os_error_text(error: OSError, file: Path | None = None) -> str:
    """An error of the file system with the path it is about, which a full disk leaves out."""
    path = error.filename2 or error.filename or file
    reason = error.strerror or str(error)
    return f"{reason}: {path}" if path else reason


def _keep_aside(place: Path) -> None:
    """A second name for the file in a place, so that the place never stands empty."""
    _aside(place).unlink(missing_ok=True)
    link(place, _aside(place))


def _move(new: Path, place: Path) -> None:
    """Move a file to its place in one step, also to another disk."""
    try:
        os.replace(new, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(new, _near(place))
        _flush(_near(place))
        os.replace(_near(place), place)
        new.unlink()


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.old")


def _near(place: Path) -> Path:
    return place.with_name(f".{place.name}.new")


def _flush(path: Path) -> None:
    """Have a file on the disk before its name is, so that a power cut leaves no empty one."""
    if os.name != "nt":  # Windows flushes only what is open for writing
        with open(path, "rb") as file:
            os.fsync(file.fileno())
