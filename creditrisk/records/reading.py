"""The entries of a chained log, each verified on the way."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from creditrisk.data.contract import Json
from creditrisk.records.chain import (
    BEGIN,
    SEAL_LENGTH,
    Head,
    LogError,
    head_path,
    is_only_begun,
    lines,
    read_head,
)


def read_entries(path: str | Path) -> Iterator[Json]:
    """The entries of a log in the order in which they were written.

    A server may be writing meanwhile: what comes after the end that was noted beside the log when
    the reading began is read as well, and a last line that is not finished is left out.

    Parameters
    ----------
    path
        The log; beside it stands ``<log>.head``, which :mod:`creditrisk.records.chain` describes.

    Raises
    ------
    LogError
        Naming file and line, if a line was edited, removed, moved or replaced, or if the log does
        not reach to its noted end.
    """
    path = Path(path)
    noted = read_head(path)  # before the log: then it may only be behind what is read
    if noted is None and is_only_begun(path):
        return
    if noted is None:
        raise LogError(
            f"{head_path(path)}: is missing or damaged, so that lines may be missing at the end of "
            f"{path.name}; bring it back from a copy"
        )
    last = Head()
    for number, line in enumerate(lines(path), 1):
        if not line.endswith(b"\n"):
            break
        last = _follows(line, last, path)
        if number == noted.number and last != noted:
            raise LogError(f"{path}: line {number} is not the one that was written; {_REMEDY}")
        try:
            entry: Json = json.loads(str(line, "utf-8"))
        except (ValueError, RecursionError) as error:
            raise LogError(f"{path}: line {number} is no JSON; {_REMEDY}") from error
        yield entry
    if last.number < noted.number:
        raise LogError(
            f"{path}: ends after line {last.number}, and line {noted.number} was written; {_REMEDY}"
        )


_REMEDY = "see creditrisk verify-log, and bring the log back from a copy"


def _follows(line: bytes, last: Head, path: Path) -> Head:
    """The end of the chain with one more line.

    Raises
    ------
    LogError
        If the line's hash does not fit, or it does not name the line before.
    """
    text, number = line[:-SEAL_LENGTH], last.number + 1
    sha256 = hashlib.sha256(text).hexdigest()
    if line[-SEAL_LENGTH:] != b',"sha256":"%s"}\n' % sha256.encode():
        raise LogError(f"{path}: line {number} was edited, its hash does not fit; {_REMEDY}")
    if not text.startswith(b'{"number":%d,"previous":"%s",' % (number, last.sha256.encode())):
        before = f"line {last.number}" if last.sha256 != BEGIN else "the beginning"
        raise LogError(
            f"{path}: line {number} does not follow {before}: lines were removed, moved or "
            f"replaced; {_REMEDY}"
        )
    return Head(number, sha256)
