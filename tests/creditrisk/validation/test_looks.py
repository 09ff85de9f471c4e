"""The ledger of looks at the test set."""

import pytest

from creditrisk.data.contract import ContractError
from creditrisk.validation.looks import Looks, record_look


def test_looks_are_counted_by_test_set_and_model(tmp_path):
    ledger, one, other = tmp_path / "made/looks.jsonl", tmp_path / "X.csv", tmp_path / "y.csv"
    one.write_text("a\n1\n")
    other.write_text("b\n1\n")
    assert record_look(ledger, [one, other], "m1") == Looks(1, 1)
    assert record_look(ledger, [one, other], "m1") == Looks(2, 1)
    assert record_look(ledger, [one, other], "m2") == Looks(3, 2)
    other.write_text("b\n0\n")  # another test set begins at one
    assert record_look(ledger, [one, other], "m1") == Looks(1, 1)
    assert len(ledger.read_text("utf-8").splitlines()) == 4
    assert Looks(3, 2).figures == {"looks": 3, "models": 2}


def test_a_last_line_that_was_cut_off_is_dropped_and_one_in_between_refused(tmp_path):
    ledger, file = tmp_path / "looks.jsonl", tmp_path / "X.csv"
    file.write_text("a\n")
    record_look(ledger, [file], "m1")
    whole = ledger.read_bytes()
    ledger.write_bytes(whole + whole[:20])  # whoever was killed writing it had seen nothing
    assert record_look(ledger, [file], "m2") == Looks(2, 2)
    assert ledger.read_bytes().startswith(whole) and ledger.read_bytes().count(b"\n") == 2
    damaged = whole + whole[:20] + b"\n" + whole
    ledger.write_bytes(damaged)
    with pytest.raises(ContractError, match="no look at a test set"):
        record_look(ledger, [file], "m1")
    assert ledger.read_bytes() == damaged
    ledger.write_bytes(whole.rstrip(b"\n"))  # only the line's end is missing
    assert record_look(ledger, [file], "m1") == Looks(2, 1)
    ledger.unlink()
    ledger.mkdir()
    with pytest.raises(ContractError, match="is no file"):
        record_look(ledger, [file], "m1")
