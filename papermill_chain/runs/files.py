"""Files that are there whole or not at all: hashes, safe writing, and sets published together."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from papermill_chain.runs.record_files import read_json
from work_units.regular_files import Damaged, kind_of, make_way, open_regular, set_aside
from work_units.whole_files import replacing

PNG = b"\x89PNG\r\n\x1a\n"  # how the file of a picture begins


def sha256(path: Path) -> str:
    """The hash of what is in a file; an OSError if it is no regular one."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_and_size(path: Path) -> tuple[str, int]:
    """The hash of what is in a file, and how many bytes that is."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


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
    """Write a file so that readers find either the old one or all of the new one.

    A folder in its place is set aside.
    """
    with replacing(path) as half:
        half.write_text(text, encoding="utf-8")
        if kind_of(path) == "a folder":
            make_way(path)


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
        write_whole(journal, json.dumps({"places": places, "sha256": _digest(places)}))
        for place in filter(Path.exists, outputs.values()):
            _keep_aside(place)
        for new, place in outputs.items():
            _move(new, place)
        journal.unlink()
    finally:
        take_back(journal, outputs.values())


def take_back(journal: Path, places: Iterable[Path]) -> None:
    """Restore what a publication that came to no end has replaced; leave no trace of it."""
    places = list(places)
    if os.path.lexists(journal):
        try:
            existed = read_json(journal, _places_of)
        except (Damaged, FileNotFoundError) as damage:
            # What was new cannot be known, but what was replaced has still its second name.
            _restore({place: True for place in places})
            set_aside(journal, damage)
        else:
            _restore(existed)
            journal.unlink()
    for place in places:
        make_way(_aside(place))
        make_way(_near(place))


def os_error_text(error: OSError, file: Path | None = None) -> str:
    """An error of the file system with the path it is about, which a full disk leaves out."""
    path = error.filename2 or error.filename or file
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder: move it away, a file belongs there"
    reason = error.strerror or str(error)
    return f"{reason}: {path}" if path else reason


def _places_of(recorded: Any) -> dict[Path, bool]:
    """The places of a journal, and whether there was a file before."""
    places = recorded["places"]
    if recorded["sha256"] != _digest(places):
        raise ValueError("its hash does not fit its content")
    return {Path(name): existed is True for name, existed in places.items()}


def _digest(places: Mapping[str, bool]) -> str:
    return hashlib.sha256(json.dumps(places).encode()).hexdigest()


def _restore(existed: Mapping[Path, bool]) -> None:
    """Put back what was replaced, as far as it was; remove what was new."""
    for place, was_there in existed.items():
        old = _aside(place)
        if was_there and os.path.lexists(old) and not kind_of(old):
            if kind_of(place) == "a folder":
                make_way(place)
            os.replace(old, place)
        elif not was_there and not kind_of(place):
            place.unlink(missing_ok=True)


def _keep_aside(place: Path) -> None:
    """A second name for the file in a place, so that the place never stands empty."""
    make_way(_aside(place))
    link(place, _aside(place))


def _move(new: Path, place: Path) -> None:
    """Move a file to its place in one step, also to another disk."""
    try:
        os.replace(new, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        make_way(_near(place))
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
