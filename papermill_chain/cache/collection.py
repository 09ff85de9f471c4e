"""What goes from a cache when it is too large or too old, while others read it and write to it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from papermill_chain.cache.entries import MOST_BYTES, Refused, entry_in
from papermill_chain.cache.results import key_file
from papermill_chain.cache.store import BLOBS, ENTRIES, Folder, Item, Objects, read
from papermill_chain.chain.output_limits import size_text

#: Seconds for which a file stays that no entry names: somebody may be writing its entry.
GRACE = 3600.0
DAY = 86_400.0
SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
AGES = {"h": 3600.0, "d": DAY, "w": 7 * DAY}


@dataclass(frozen=True)
class Limits:
    """How large a cache may be in bytes, and how many seconds ago a result was of use last."""

    size: int | None = None
    age: float | None = None


@dataclass
class Known:
    """An entry of a cache, and the files that it names; of a broken one there are none."""

    item: Item
    text: str  # what it is, in words
    blobs: frozenset[str] = frozenset()
    broken: bool = False


@dataclass
class Collection:
    """What goes from a cache, and what stays."""

    entries: list[Known] = field(default_factory=list)
    loose: list[tuple[str, Item]] = field(default_factory=list)  # shelf and file that none names
    young: int = 0  # such files that are so new that an entry may be about to name them
    left: int = 0  # entries
    size: int = 0  # bytes of what is left

    def __bool__(self) -> bool:
        """Whether there is a cache at all."""
        return bool(self.entries or self.loose or self.young or self.left)

    def lines(self, *, done: bool, now: float) -> Iterator[str]:
        """What has gone, or would go, in words."""
        verb = "removed" if done else "would remove"
        for each in self.entries:
            yield f"{verb} {each.text}, used last {_ago(now - each.item.time)} ago"
        freed = sum(each.item.size for each in self.entries)
        freed += sum(item.size for _, item in self.loose)
        yield (
            f"{verb} {_count(len(self.entries), 'result')} and"
            f" {_count(len(self.loose), 'file')} that none of the others names,"
            f" {size_text(freed)}; left: {_count(self.left, 'result')}, {size_text(self.size)}"
        )
        if self.young:
            yield f"{_count(self.young, 'such file')} younger than an hour left for the next time"


def planned(store: Folder | Objects, limits: Limits, now: float) -> Collection:
    """What is to go, the result that was of no use for longest first; nothing is removed yet.

    Parameters
    ----------
    now : the time, in seconds.
    """
    blobs = {item.name: item for item in store.items(BLOBS)}  # before the entries that name them
    items = store.items(ENTRIES)
    ours = re.compile(r"[0-9a-f]{64}\.json")
    known = [_known(store, item) for item in items if ours.fullmatch(item.name)]
    known.sort(key=lambda each: each.item.time, reverse=True)
    left, gone = _divided(known, blobs, limits, now)
    named = frozenset[str]().union(*(each.blobs for each in left))
    loose = [(BLOBS, item) for name, item in blobs.items() if name not in named]
    loose += [(ENTRIES, item) for item in items if _is_half(item.name)]
    loose = [(shelf, item) for shelf, item in loose if _is_ours(item)]
    old = [(shelf, item) for shelf, item in loose if _is_old(item, now)]
    size = sum(each.item.size for each in left) + _size(named, blobs)
    return Collection(gone, old, len(loose) - len(old), len(left), size)


def collect(store: Folder | Objects, collection: Collection, now: float) -> Collection:
    """Remove what is to go; what has gone.

    Entries go first, so that nobody finds one whose files are gone already.

    What somebody has used or written since it was looked at stays; a reader that finds a file gone
    runs its notebook.
    """
    gone = replace(collection, entries=[], loose=[])
    for each in collection.entries:
        if store.time(ENTRIES, each.item.name) == each.item.time:
            store.delete(ENTRIES, each.item.name)
            gone.entries.append(each)
    for shelf, item in collection.loose:
        written = store.time(shelf, item.name)
        if written is not None and now - written > GRACE:
            store.delete(shelf, item.name)
            gone.loose.append((shelf, item))
    return gone


def size_of(text: str) -> int:
    """A size such as 5GB in bytes; ValueError if it is none."""
    return int(_amount(text, SIZES))


def age_of(text: str) -> float:
    """A span of time such as 30d in seconds; ValueError if it is none."""
    return _amount(text, AGES)


def _amount(text: str, units: dict[str, int] | dict[str, float]) -> float:
    match = re.fullmatch(rf"(\d+(?:\.\d+)?)({'|'.join(units)})", text, re.IGNORECASE)
    if not match:
        raise ValueError(text)
    factors = {unit.lower(): factor for unit, factor in units.items()}
    return float(match[1]) * factors[match[2].lower()]


def _divided(
    known: list[Known], blobs: dict[str, Item], limits: Limits, now: float
) -> tuple[list[Known], list[Known]]:
    """The entries that stay and those that go, the latter the longest unused first.

    Parameters
    ----------
    known : all entries, the one that was used last first.
    """
    left, size, named = list[Known](), 0, set[str]()
    for each in known:
        if each.broken:
            continue
        size += each.item.size + _size(each.blobs - named, blobs)
        too_large = limits.size is not None and size > limits.size
        too_old = limits.age is not None and now - each.item.time > limits.age
        if too_large or too_old:
            break  # and all that were of no use for even longer
        left.append(each)
        named |= each.blobs
    kept = {each.item.name for each in left}
    gone = [each for each in reversed(known) if each.item.name not in kept]
    return left, [each for each in gone if not each.broken or _is_old(each.item, now)]


def _known(store: Folder | Objects, item: Item) -> Known:
    """An entry as it is; a broken one goes, as nobody can use it."""
    with suppress(Refused, OSError), store.open(ENTRIES, item.name) as file:
        entry = entry_in(read(file, MOST_BYTES + 1))
        blobs = frozenset(stored.sha256 for stored in entry.files)
        if key_file(entry.key) == item.name:
            return Known(item, f"{ascii(entry.stage)[1:-1]} of run {entry.run}", blobs)
    return Known(item, f"the broken entry {item.name}", broken=True)


def _size(names: frozenset[str] | set[str], blobs: dict[str, Item]) -> int:
    return sum(blobs[name].size for name in names if name in blobs)


def _is_half(name: str) -> bool:
    """Whether it is a file that a killed writer has left."""
    return bool(re.fullmatch(r"\.[0-9a-f]{64}(\.json)?\.[0-9a-f]{8}", name))


def _is_ours(item: Item) -> bool:
    return _is_half(item.name) or bool(re.fullmatch(r"[0-9a-f]{64}", item.name))


def _is_old(item: Item, now: float) -> bool:
    return now - item.time > GRACE


def _ago(seconds: float) -> str:
    if seconds < 3600:
        return "less than an hour"
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds / 3600:.0f} h"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
