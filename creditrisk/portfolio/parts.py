"""The files of a portfolio: which they are, and what their decisions are called."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from creditrisk.portfolio.job import Part, Refused
from creditrisk.portfolio.storage import Entry, storage_of


def find_parts(source: str, out: str) -> list[Part]:
    """The files of a portfolio, by name; of a folder those that end in .parquet or .csv.

    Raises
    ------
    Refused
        If there is none, two would become one, or portfolio and decisions lie in one another.
    """
    (storage, path), (other, target) = storage_of(source), storage_of(out)
    found: Iterable[Entry]
    if storage.is_folder(path):
        base, found = PurePath(path), storage.below(path)
    elif storage.is_file(path):
        base, found = PurePath(path).parent, [storage.entry(path)]
    elif glob.has_magic(path):
        base = PurePath(*_before_magic(PurePath(path).parts))
        found = storage.matching(path)
    else:
        raise Refused(f"{source} does not exist")
    parts: dict[str, Entry] = {}
    for file in found:
        if (name := _decisions_of(file, base)) and parts.setdefault(name, file) != file:
            both = " and ".join(sorted((file.path, parts[name].path)))
            raise Refused(f"{both} would both become {name}; rename one of them")
    if not parts:
        raise Refused(f"{source} holds no file that ends in .parquet or .csv")
    folder = PurePath(target)
    wide = storage.is_folder(path) or "**" in path
    if storage == other and (
        any(folder in PurePath(file.path).parents for file in parts.values())
        or (wide and base in (folder, *folder.parents))
    ):
        raise Refused(f"{out} lies in the portfolio or around it; name a folder apart from it")
    return [Part(name, **vars(parts[name])) for name in sorted(parts)]


def _decisions_of(file: Entry, base: PurePath) -> str | None:
    """The name of a file's decisions below OUT; none if it is not of the portfolio."""
    below = PurePath(file.path).relative_to(base)
    hidden = any(name[0] in "_." for name in below.parts)
    if hidden or below.suffix not in (".parquet", ".csv"):
        return None
    return below.as_posix() + ".parquet" * (below.suffix == ".csv")


def _before_magic(parts: tuple[str, ...]) -> Iterator[str]:
    """The folders of a glob before the first one that is a pattern."""
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part
