"""Whatever befalls a decision log or the note of its end: one sentence, and no decision is lost."""

import os
import random

import pytest
from damage import damage, no_longer_than, remove

from creditrisk.records.chain import LogError
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import entry
from creditrisk.records.reading import read_entries
from creditrisk.records.verification import find, problems

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a decision log needs POSIX")


def test_a_note_of_the_end_that_cannot_be_written_takes_no_decision_back(tmp_path):
    """The line is on the disk; who opens the log next makes the note anew from it."""
    log = open_log(tmp_path / "log")
    os.close(log.head_file)
    log.head_file = os.open(os.devnull, os.O_RDONLY)  # a disk that takes no more
    log.append([entry("id-1", "now", {}, {"Age": 20}, {"probability": 0.5})])
    log.append([entry("id-2", "now", {}, {"Age": 20}, {"probability": 0.5})])
    log.close()
    open_log(tmp_path / "log").close()
    assert [each["id"] for each in read_entries(tmp_path / "log")] == ["id-1", "id-2"]
    assert not list(problems(tmp_path / "log"))


def test_a_log_gets_over_whatever_befalls_it(tmp_path, capsys):
    log, outside, luck = tmp_path / "log", tmp_path / "outside", random.Random(24)
    book = open_log(log)
    book.append([entry(f"id-{n}", "now", {}, {"Age": 20}, {"probability": 0.5}) for n in range(3)])
    book.close()
    head = tmp_path / "log.head"
    whole = {file: file.read_bytes() for file in (log, head)}
    opened = 0
    with no_longer_than(900):
        for number in range(300):
            for file in tmp_path.iterdir():
                remove(file)
            for file, content in whole.items():
                file.write_bytes(content)
            outside.write_text("outside")
            what = damage(damaged := (log, head)[number % 2], luck, outside)
            lines = log.read_bytes() if log.is_file() else b""
            for look in (lambda: list(problems(log)), lambda: find(log, "id-1")):
                try:
                    look()
                except LogError:
                    assert damaged == log, what
            with pytest.raises(LogError) as refused:
                list(read_entries(log))
            assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value), what
            try:
                book = open_log(log)
            except LogError as error:
                assert str(log) in str(error) and "\n" not in str(error), what
                left = log.read_bytes() if log.is_file() else b""
                assert left == lines, what
            else:
                opened += damaged == head
                book.append([entry("new", "now", {}, {"Age": 30}, {"probability": 0.5})])
                book.close()
                assert lines.startswith(log.read_bytes()[: len(lines[: lines.rfind(b"\n") + 1])])
                assert find(log, "new") and (damaged == log or not list(problems(log))), what
            said = capsys.readouterr().err
            aside = len(list(tmp_path.glob("*.damaged-1")))
            assert said.count("is set aside as") == said.count("\n") == aside <= 1, (what, said)
            assert outside.read_text() == "outside", what
    assert opened > 100  # the note of the end is made anew but where it tells of other decisions
