"""Files that are found whole: readers see the old one, or all of the new one."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of a file if the block ends well.

    If it does not, the old file stays and nothing else is left.

    Parameters
    ----------
    path : the file; its folder has to be there.

    Raises
    ------
    OSError
        If the file cannot be replaced, as when a folder is in its place.
    """
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield half
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def remove_halves(folder: Path) -> None:
    """Remove what killed writers have left half written; nobody else may be writing there.

    Parameters
    ----------
    folder : whose own files are looked at, not those of its folders.
    """
    for file in folder.glob(".*"):
        if re.fullmatch(r"\..+\.[0-9a-f]{8}", file.name) and file.is_file():
            with suppress(OSError):
                file.unlink()
