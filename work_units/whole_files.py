"""Files that are found whole: readers see the old one, or all of the new one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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
