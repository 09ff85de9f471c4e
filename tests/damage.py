"""What may befall a file: other bytes, other JSON, or something in its place that is no file."""

import json
import os
import random
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VALUES = [
    *(None, True, False, 0, -1, 1.5, 1e308, 10**400, "", "x", "..", "../../x", "/dev/zero"),
    *("a\0b", "\ud800", [], {}, [[]], [None], {"a": None}, "9" * 5000),
]
TEXTS = ["", "null", "[]", "{}", "NaN", '{"a": NaN}', "[" * 100_000, '{"a":' * 9_000, "1" * 5000]


def damage(file: Path, luck: random.Random, outside: Path) -> str:
    """Damage a file in one of many ways; which, for whoever has to repeat it.

    `outside` is a file that links may lead to, and that nobody may change through one.
    """
    content = file.read_bytes() if file.is_file() else b""
    remove(file)
    way = luck.choice(["bytes", "bytes", "value", "value", "value", "text", "kind", "kind"])
    if way == "kind":
        return _in_its_place(file, luck, outside)
    if way == "value":
        try:
            content = json.dumps(changed := _with_other_value(json.loads(content), luck)).encode()
            way = f"value {changed!r}"
        except (ValueError, RecursionError):  # no JSON, or too deep for it
            way = "bytes"
    if way == "text":
        content = luck.choice(TEXTS).encode()
    if way == "bytes":
        content = _other_bytes(content, luck)
    file.write_bytes(content)
    return f"{file.name}: {way} {content[:2000]!r}"


def remove(path: Path) -> None:
    """Remove whatever lies in a place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Hangs(BaseException):
    """Something waits for ever; no handler of errors is to take it for one of its own."""


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """An error where something waits for ever."""

    def hangs(*_: object) -> None:
        raise Hangs(f"it takes more than {seconds} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _in_its_place(file: Path, luck: random.Random, outside: Path) -> str:
    kind = luck.choice(["folder", "full folder", "pipe", "socket", "link"])
    if "folder" in kind:
        file.mkdir()
        if kind == "full folder":
            (file / "something").write_text("there")
    elif kind == "link":
        to = luck.choice([outside, outside.parent, Path("/dev/zero"), file, Path("/no/where")])
        file.symlink_to(to)
        kind = f"link to {to}"
    else:
        os.mknod(file, (stat.S_IFIFO if kind == "pipe" else stat.S_IFSOCK) | 0o600)
    return f"{file.name}: {kind}"


def _with_other_value(content: object, luck: random.Random) -> object:
    """A JSON value in which one somewhere, or all of it, is another, is gone or has a new name."""
    places: list[tuple] = []
    waiting = [content]
    while waiting:
        each = waiting.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each))
        places += [(each, key) for key in keys]
        waiting += [each[key] for key in keys if isinstance(each[key], dict | list)]
    if not places or luck.random() < 0.05:
        return luck.choice(VALUES)
    within, key = luck.choice(places)
    match luck.randrange(4):
        case 0:
            del within[key]
        case 1 if isinstance(within, dict):
            within[luck.choice(["", "x", "a\0b", "../x"])] = within.pop(key)
        case _:
            within[key] = luck.choice(VALUES)
    return content


def _other_bytes(content: bytes, luck: random.Random) -> bytes:
    at = luck.randrange(len(content) + 1)
    match luck.randrange(4):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + luck.randbytes(luck.randrange(1, 9)) + content[at:]
        case 2 if content:
            flipped = bytearray(content)
            flipped[luck.randrange(len(content))] ^= 1 << luck.randrange(8)
            return bytes(flipped)
    return luck.randbytes(luck.randrange(200))
