"""What goes from a cache by size and by age, and what stays because others may be at it."""

import os
import re
import time
from pathlib import Path

import pytest
from cacheproject import CHAIN, KEY, result_in

from papermill_chain.__main__ import begin
from papermill_chain.cache.results import Cache
from papermill_chain.cache.store import Folder

HOUR, DAY = 3600, 86_400


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with a cache of three results, used last 1, 10 and 100 days ago.

    The first two have one file in common, the others are of no other.
    """
    for number, days in enumerate((1, 10, 100)):
        entry = result_in(tmp_path, f"run {number}", f"{number}" * 64)
        of_entry(tmp_path, number).write_bytes(entry.written(b""))
        age(of_entry(tmp_path, number), days * DAY)
    for blob in tmp_path.glob("cache/v1/blobs/*"):
        age(blob, 100 * DAY)
    return tmp_path


def of_entry(place: Path, number: int) -> Path:
    return place / f"cache/v1/entries/{f'{number}' * 64}.json"


def age(file: Path, seconds: float) -> None:
    """Have a file look as if it was last written or used so long ago."""
    os.utime(file, (time.time() - seconds,) * 2)


def left(place: Path) -> tuple[list[int], int]:
    """The numbers of the entries that are there, and how many files they and others name."""
    numbers = [number for number in range(4) if of_entry(place, number).exists()]
    return numbers, len(list(place.glob("cache/v1/blobs/*")))


def size(place: Path, *numbers: int) -> int:
    """The bytes of some results: each has an entry and files of its own."""
    texts = [f"run {number}" for number in numbers]
    files = [file for text in texts for file in place.glob(f"{text} *")]
    return sum(f.stat().st_size for f in [*files, *(of_entry(place, n) for n in numbers)])


def test_the_longest_unused_goes_first_until_the_rest_fits(place, capsys):
    cache, both = str(place / "cache"), size(place, 0, 1)
    assert begin(["cache", cache, "--max-size", f"{both / 1000}kB", "--dry-run"]) == 0
    assert left(place) == ([0, 1, 2], 9)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "would remove 1_make of run run-2, used last 100 days ago"
    assert told[1].startswith("would remove 1 result and 3 files that none of the others names, ")
    assert begin(["cache", cache, "--max-size", f"{both / 1000}kB"]) == 0
    assert left(place) == ([0, 1], 6)
    assert begin(["cache", cache, "--max-size", f"{(both - 1) / 1000}kB"]) == 0  # a byte too much
    assert left(place) == ([0], 3)


def test_what_was_of_no_use_for_too_long_goes_and_what_is_used_stays(place, capsys):
    cache = Cache("cache", Folder(place / "cache"))
    assert cache.find("2" * 64, CHAIN[0])  # used now, after 100 days
    assert begin(["cache", str(place / "cache"), "--max-age", "9d"]) == 0
    assert left(place) == ([0, 2], 6)
    assert "removed 1_make of run run-1, used last 10 days ago" in capsys.readouterr().out


def test_a_file_that_two_results_have_in_common_stays_with_one_of_them(place):
    entry = result_in(place, "run 1", "3" * 64)
    age(of_entry(place, 3), 50 * DAY)
    # the files of 1 are those of 3 as well, and count once
    fits = size(place, 0, 1) + of_entry(place, 3).stat().st_size
    assert begin(["cache", str(place / "cache"), "--max-size", f"{fits / 1000}kB"]) == 0
    assert left(place) == ([0, 1, 3], 6)
    assert begin(["cache", str(place / "cache"), "--max-age", "20d"]) == 0
    assert left(place) == ([0, 1], 6)
    Cache("cache", Folder(place / "cache"), KEY.encode()).fetch({place / "x": entry.notebook})


def test_what_no_result_names_stays_for_an_hour_since_one_may_be_about_to(place, capsys):
    cache = place / "cache"
    files = f"v1/entries/{'4' * 64}.json", f"v1/blobs/{'a' * 64}", f"v1/blobs/.{'b' * 64}.12345678"
    for number, seconds in enumerate((HOUR / 2, 2 * HOUR)):
        for file in files:
            # 4440…, aaa0… and bbb0… are young, 4441… and so on are old
            name = re.sub("(444|aaa|bbb).", rf"\g<1>{number}", file, count=1)
            (cache / name).write_text("half")
            age(cache / name, seconds)
    (cache / "v1/entries/README").write_text("not ours")
    age(cache / "v1/entries/README", 9 * DAY)
    before = {file.name for file in cache.rglob("*")}
    assert begin(["cache", str(cache)]) == 0
    gone = before - {file.name for file in cache.rglob("*")}
    assert {name.strip(".")[:4] for name in gone} == {"4441", "aaa1", "bbb1"}
    assert "2 such files younger than an hour" in capsys.readouterr().out
    assert left(place)[0] == [0, 1, 2]


def test_what_is_written_while_it_is_cleaned_stays(place, monkeypatch, capsys):
    """A writer comes back to a file that no entry has named, right after it was looked at."""
    of_entry(place, 2).unlink()
    real = Folder.items

    def items(self, shelf):
        found = real(self, shelf)
        if shelf.endswith("entries") and not of_entry(place, 2).exists():
            result_in(place, "run 2", "2" * 64)
        return found

    monkeypatch.setattr(Folder, "items", items)
    assert begin(["cache", str(place / "cache")]) == 0
    assert left(place) == ([0, 1, 2], 9)
    assert "removed 0 results and 0 files" in capsys.readouterr().out


def test_what_cannot_be_meant_is_refused(tmp_path, capsys):
    assert begin(["cache", str(tmp_path), "--max-age", "1d"]) == 2
    assert "holds no results; name the folder or URL of a cache" in capsys.readouterr().err
    for option in (["--max-age", "1y"], ["--max-size", "5"]):
        with pytest.raises(SystemExit, match="2"):
            begin(["cache", str(tmp_path), *option])
        assert f"{option[1]} is no " in capsys.readouterr().err
