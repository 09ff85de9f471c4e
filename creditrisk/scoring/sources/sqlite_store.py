"""MLflow's SQLite file, read without MLflow, whose import takes seconds.

MLflow also creates its tables in any file that it opens; this module only reads.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

SCHEME = "sqlite:///"


def sqlite_file(named: str | None, beside: str | Path) -> Path | None:
    """The file of the store that a URI names, None if that is a store of another kind.

    Parameters
    ----------
    named
        As in ``MLFLOW_TRACKING_URI``.
    beside
        The file in use if no store is named.
    """
    if not named:
        return Path(beside)
    return Path(named.removeprefix(SCHEME)) if named.startswith(SCHEME) else None


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a store for reading.

    Raises
    ------
    sqlite3.Error
        If there is no such file, or at the first question if it is not SQLite's.
    """
    uri = f"{file.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        yield database
