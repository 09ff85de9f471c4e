"""Work that is cut short: what is done is kept whole, and only the rest is done later."""

import os
import random
import signal
import subprocess
import sys

import pytest
import sklearn
from conftest import ROOT
from damage import damage, no_longer_than, remove
from killedwork import square, units

from work_units.checkpoints import basis, forget
from work_units.units import run_units


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_kill_only_what_is_left_is_done(workers, tmp_path):
    calls, kept = tmp_path / "calls", tmp_path / "kept"
    calls.mkdir()
    program = (
        "from pathlib import Path; from killedwork import square, units\n"
        "from work_units.units import run_units\n"
        f"run_units(square, units(Path({str(calls)!r})), {workers}, {str(kept)!r})"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    alone = {"ALONE": "1"} if workers == 1 else {}
    killed = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | alone | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,  # open until its last process has ended, and nothing is called
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    done = {number for number in range(6) if (calls / str(number)).exists()}
    whole = len(list(kept.glob("*.unit")))
    # one worker had done four of them; of two, one may have had the time for the sixth
    assert whole == 4 if workers == 1 else 1 <= whole <= 5
    before = {number: len((calls / str(number)).read_text()) for number in done}
    assert run_units(square, units(calls), workers, kept) == [0, 1, 4, 9, 16, 25]
    after = {number: len((calls / str(number)).read_text()) for number in range(6)}
    assert sum(after.values()) - sum(before.values()) == 6 - whole
    (kept / "mine.txt").touch()
    forget(kept)
    assert [file.name for file in kept.iterdir()] == ["mine.txt"]  # what is not of the work stays
    (kept / "mine.txt").unlink()
    forget(kept)
    assert not kept.exists()
    forget(kept)


@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[:-1], lambda c: c[:-3] + b"\0" + c[-2:]]
)
def test_a_damaged_result_is_made_again(damage, tmp_path):
    three = [(tmp_path, number) for number in range(3)]
    assert run_units(square, three, 1, tmp_path / "kept") == [0, 1, 4]
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(damage(file.read_bytes()))
    assert run_units(square, three, 1, tmp_path / "kept") == [0, 1, 4]
    assert run_units(square, three, 1, tmp_path / "kept") == [0, 1, 4]
    assert [(tmp_path / str(number)).read_text() for number in range(3)] == ["xx"] * 3


@pytest.mark.skipif(os.name == "nt", reason="pipes and sockets")
def test_whatever_befalls_a_result_it_is_made_again(tmp_path, capsys):
    kept, outside, luck = tmp_path / "kept", tmp_path / "outside", random.Random(23)
    units = [(2, 3), (3, 2)]
    assert run_units(pow, units, 1, kept) == [8, 9]
    whole = {file: file.read_bytes() for file in kept.iterdir()}
    with no_longer_than(900):
        for number in range(300):
            outside.write_text("outside")
            what = damage(list(whole)[number % 2], luck, outside)
            assert run_units(pow, units, 1, kept) == [8, 9], what
            assert {file: file.read_bytes() for file in whole} == whole, what
            said = capsys.readouterr().err
            aside = list(kept.glob("*.damaged-1"))
            assert said.count("is set aside as") == said.count("\n") == len(aside) <= 1, what
            assert outside.read_text() == "outside", what
            for each in aside:
                remove(each)
    next(iter(whole)).unlink()
    next(iter(whole)).mkdir()
    forget(kept)
    assert [file.name for file in kept.iterdir()] == [f"{next(iter(whole)).name}.damaged-1"]


def test_a_result_is_taken_for_that_of_nothing_else(tmp_path, monkeypatch):
    """Neither for other arguments, nor another function, nor other libraries."""
    kept = tmp_path / "kept"
    assert run_units(pow, [(2, 3)], 1, kept) == [8]
    assert run_units(pow, [(3, 2), (2.0, 3), (2, 3, 5)], 1, kept) == [9, 8.0, 3]
    assert run_units(divmod, [(2, 3)], 1, kept) == [(0, 2)]
    assert len(list(kept.iterdir())) == 5
    assert f"scikit-learn {sklearn.__version__}" in basis("builtins")
    monkeypatch.setattr("work_units.checkpoints.basis", lambda module: "scikit-learn 0.1")
    assert run_units(pow, [(2, 3)], 1, kept) == [8]
    assert len(list(kept.iterdir())) == 6
