"""Logs of decisions, overrides and outcomes read as one table, or refused by file and line."""

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT, ONE, THREE, TWO

from creditrisk.monitoring.months import outside_training, timeline
from creditrisk.monitoring.records import inputs, read_decisions
from creditrisk.monitoring.watch import prepared, recorded
from creditrisk.records.chain import LogError
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import entry

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a decision log needs POSIX")

MODEL = {"name": "M", "version": 2, "alias": None, "sha256": "ab" * 32}
UNNUMBERED = MODEL | {"version": None}


def decided(id: str, day: int, record: dict, probability: float, model=MODEL, **more) -> dict:
    """A decision at the cut-off .5, on a day of May."""
    decision = "approve" if probability >= 0.5 else "decline"
    answer = {"decision": decision, "probability": probability, "cutoff": 0.5}
    return entry(id, f"2026-05-{day:02}T12:00:00.250+00:00", model, record, answer | more)


def write(path, *entries: dict) -> list[bytes]:
    book = open_log(path)
    book.append(list(entries))
    book.close()
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def folder(tmp_path):
    """Two logs: a server's of three decisions, a portfolio's of one that was made before them."""
    shadow = {"model": MODEL | {"version": 3}, "probability": 0.25}
    failed = {"model": MODEL | {"version": 3}, "error": "ValueError"}
    write(
        tmp_path / "server.jsonl",
        decided("a", 2, ONE, 0.75, shadow=shadow, caller_id="loan 1"),
        decided("b", 3, TWO, 0.5, shadow=failed),
        decided("c", 4, THREE, 0.25, UNNUMBERED),
    )
    write(tmp_path / "portfolio.jsonl", decided("d", 1, ONE, 0.125, simulated=True))
    return tmp_path


def test_one_row_a_decision_in_order_of_time(folder):
    who = {"by": "Jane Doe", "reason": "guarantor"}
    write(
        folder / "overrides.jsonl",
        {"id": "b", "time": "2026-05-04T00:00:00+00:00", "to": "decline"} | who,
        {"id": "c", "time": "2026-05-05T00:00:00+00:00", "to": "approve"} | who,
        {"id": "b", "time": "2026-05-06T00:00:00+00:00", "to": "approve"} | who,  # taken back
    )
    recorded = "2027-06-01T08:00:00+00:00"
    write(
        folder / "outcomes.jsonl",
        {"id": "a", "time": recorded, "outcome": 0, "date": "2027-05-02"},
        {"id": "c", "time": recorded, "outcome": 1, "date": None},
    )
    reasons = ["Age is out of range", "Sex is missing"]
    refused = {"request": "r", "time": "2026-05-02T00:00:00+00:00", "reasons": reasons}
    twice = {"request": "file", "time": "2026-05-01T00:00:00+00:00", "reasons": reasons[1:]}
    write(folder / "server.rejected.jsonl", refused, twice | {"count": 2})
    found = read_decisions(folder, CONTRACT)
    frame = found.frame
    assert frame["id"].tolist() == ["d", "a", "b", "c"]
    assert frame["caller_id"].tolist() == [None, "loan 1", None, None]
    assert frame["time"].tolist()[1] == pd.Timestamp("2026-05-02 12:00:00.25", tz="UTC")
    assert frame["model_version"].tolist() == ["2", "2", "2", "abababababab"]
    assert frame["probability"].tolist() == [0.125, 0.75, 0.5, 0.25]
    assert frame["approved"].tolist() == [False, True, True, False]
    assert frame["overridden"].tolist() == [False, False, False, True]
    assert frame["final"].tolist() == [False, True, True, True]
    np.testing.assert_array_equal(frame["outcome"], [np.nan, 0, np.nan, 1])
    days = [str(day)[:10] for day in frame["outcome_time"]]
    assert days == ["NaT", "2027-05-02", "NaT", "2027-06-01"]
    assert frame["shadow_version"].tolist() == [None, "3", None, None]
    np.testing.assert_array_equal(frame["shadow_probability"], [np.nan, 0.25, np.nan, np.nan])
    assert frame["simulated"].tolist() == [True, False, False, False]
    assert found.rejected["reason"].tolist() == [reasons[1], reasons[1], *reasons]
    for field in CONTRACT.fields:
        stated = [each[field.name] for each in (ONE, ONE, TWO, THREE)]
        plain = [None if value == field.missing_label else value for value in stated]
        assert [None if pd.isna(v) else v for v in frame[field.name]] == plain


def test_a_column_of_the_data_may_be_called_as_one_of_the_log(tmp_path):
    age, amount = (
        replace(CONTRACT[old], name=name) for old, name in (("Age", "score"), ("Age", "time"))
    )
    contract = replace(CONTRACT, fields=(age, amount))
    model = SimpleNamespace(contract=contract)
    log = (
        decided("a", 1, {"score": 35, "time": 44}, 0.75),
        decided("b", 2, {"score": 36, "time": 45}, 0.5),
    )
    write(tmp_path / "log", *log)
    frame = prepared(read_decisions(tmp_path / "log", contract).frame, model, "2")
    assert frame["score"].tolist() == [0.75, 0.5] and str(frame["time"][0])[:10] == "2026-05-01"
    given = inputs(frame, contract.fields)
    assert given.to_dict("list") == {"score": [35, 36], "time": [44, 45]}
    assert recorded(frame, contract) == contract
    line = timeline(frame, "", "")
    outside = outside_training(frame, given.tail(1), contract.fields, line)
    assert outside["any"].tolist() == [0.5]  # of the two only the first lies below


def test_a_field_that_was_not_recorded_is_nan(tmp_path):
    name, *others = [field.name for field in CONTRACT.fields]
    write(tmp_path / "log", decided("a", 1, {other: ONE[other] for other in others}, 0.75))
    frame = read_decisions(tmp_path / "log", CONTRACT).frame
    assert frame[name].isna().all() and frame[others[0]].tolist() == [ONE[others[0]]]


def test_a_log_without_decisions_is_an_empty_table(tmp_path):
    write(tmp_path / "log")
    found = read_decisions(tmp_path / "log", CONTRACT)
    assert found.frame.empty and found.rejected.empty
    assert found.frame["time"].dtype == found.frame["outcome_time"].dtype == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    "forge, words",
    [
        (lambda lines: [lines[0].replace(b"0.75", b"0.85"), *lines[1:]], "line 1 was edited"),
        (lambda lines: [lines[0], lines[2], lines[1]], "line 2 does not follow line 1"),
        (lambda lines: [lines[0], lines[2]], "line 2 does not follow line 1"),
        (lambda lines: lines[1:], "line 1 does not follow the beginning"),
        (lambda lines: lines[:2], "ends after line 2, and line 3 was written"),
        (lambda lines: [*lines[:2], lines[2][:-1]], "ends after line 2, and line 3 was written"),
    ],
)
def test_a_forged_log_is_refused_by_file_and_line(folder, forge, words):
    log = folder / "server.jsonl"
    log.write_bytes(b"".join(forge(log.read_bytes().splitlines(keepends=True))))
    for place in (folder, log):
        with pytest.raises(LogError) as refused:
            read_decisions(place, CONTRACT)
        assert str(refused.value).startswith(f"{log}: {words}")


def test_what_is_gone_or_belongs_elsewhere_is_refused(folder):
    log, outcomes = folder / "server.jsonl", folder / "outcomes.jsonl"
    write(outcomes, {"id": "a", "time": "2027-06-01T08:00:00+00:00", "outcome": 1})
    # Of one log alone, the outcome is another log's.
    assert read_decisions(folder / "portfolio.jsonl", CONTRACT).frame["outcome"].isna().all()
    log.rename(folder / "moved")
    with pytest.raises(LogError, match="server.jsonl: is gone, its end is noted"):
        read_decisions(folder, CONTRACT)
    (folder / "server.jsonl.head").unlink()
    with pytest.raises(LogError, match="outcomes.jsonl: line 1 is about decision a, which is in n"):
        read_decisions(folder, CONTRACT)
    (folder / "moved").rename(log)
    with pytest.raises(LogError, match="server.jsonl.head: is missing or damaged"):
        read_decisions(folder, CONTRACT)
    with pytest.raises(LogError, match="there is no decision log"):
        read_decisions(folder / "nothing", CONTRACT)
    write(folder / "promotions.jsonl", {"time": "2026-05-01", "to": 3})
    with pytest.raises(LogError, match=r"promotions.jsonl: line 1 is no decision \(no 'model'\)"):
        read_decisions(folder / "promotions.jsonl", CONTRACT)
