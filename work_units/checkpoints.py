"""Results of units of work, kept in files until the whole work is done.

Work that is cut short, by whatever, goes on from them. A file is named by all that its content
follows from, so that it is never taken for the result of anything else.
"""

import hashlib
import os
import pickle
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib

from work_units.regular_files import Damaged, make_way, read_record, set_aside

#: Besides Python itself: what may change a figure.
LIBRARIES = ("numpy", "pandas", "scikit-learn")

#: Of one unit's result.
MOST_BYTES = 2**32

_WHOLE, _HALF = ".unit", ".half"


class Checkpoints:
    """The results of some units, in a folder.

    Parameters
    ----------
    folder
        Is made if it is not there.
    function, units
        What is done, and the arguments of each call.
    """

    def __init__(
        self, folder: str | Path, function: Callable[..., Any], units: Sequence[tuple[Any, ...]]
    ):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        hashes: dict[int, str] = {}  # most arguments are shared by many units
        for unit in units:
            for argument in unit:
                hashes[id(argument)] = hashes.get(id(argument)) or joblib.hash(argument)
        done = f"{basis(function.__module__)} {function.__module__}.{function.__qualname__}"
        self.names = [
            _hash(" ".join([done, *(hashes[id(each)] for each in unit)]).encode()) for unit in units
        ]

    def read(self) -> dict[int, Any]:
        """The results that are there, by the number of their unit; a damaged one is set aside."""
        found = {}
        for number, name in enumerate(self.names):
            file = self.folder / f"{name}{_WHOLE}"
            try:
                content = read_record(file, MOST_BYTES)
                hash, pickled = content[:64], content[64:]
                if hash != _hash(pickled).encode():
                    raise Damaged("its hash does not fit its content")
                found[number] = pickle.loads(pickled)
            except FileNotFoundError:
                continue
            except Damaged as damage:
                with suppress(OSError):  # then the result is made again, and not kept
                    set_aside(file, damage)
        return found

    def write(self, number: int, result: Any) -> None:
        """Keep the result of a unit; one that cannot be kept is made again, and no harm is done."""
        name = self.names[number]
        half = self.folder / f"{name}.{secrets.token_hex(4)}{_HALF}"
        pickled = pickle.dumps(result)
        with suppress(OSError):
            half.write_bytes(_hash(pickled).encode() + pickled)
            os.replace(half, self.folder / f"{name}{_WHOLE}")


def forget(folder: str | Path) -> None:
    """Remove all kept results of a folder, and the folder if it holds nothing else."""
    for file in Path(folder).glob("*"):
        if file.suffix in (_WHOLE, _HALF):
            make_way(file)
    with suppress(OSError):
        Path(folder).rmdir()


@cache
def basis(module: str) -> str:
    """What a result rests on besides arguments: a module's source, Python and the libraries."""
    file = getattr(sys.modules[module], "__file__", None)
    source = _hash(Path(file).read_bytes()) if file else ""
    installed = (f"{library} {version(library)}" for library in LIBRARIES)
    return ", ".join([f"Python {sys.version.split()[0]}", *installed, f"{module} {source[:12]}"])


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
