"""Decisions on a portfolio in a decision log: each once, as it was written, whatever stops it."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from published import CONTRACT, ONE, THREE, TWO, publish

from creditrisk import cli
from creditrisk.monitoring.records import read_decisions
from creditrisk.records.chained_log import open_log
from creditrisk.records.verification import problems
from creditrisk.serving.replay import replay

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a decision log needs POSIX")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(publish(tmp_path_factory.mktemp("light") / "models", "Logistic Regression", 4))


@pytest.fixture
def portfolio(tmp_path):
    """Two files of four rows; in each the second row has a quantity out of range, twice a fault."""
    quantity, category = CONTRACT.numbers[0].name, CONTRACT.categories[0].name
    rows = [ONE, TWO | {quantity: -1, category: "?"}, TWO, THREE]
    source = tmp_path / "in"
    source.mkdir()
    for name, first in (("a", 10), ("b", 20)):
        frame = pd.DataFrame(rows).assign(loan=range(first, first + 4))
        frame.to_csv(source / f"{name}.csv", index=False)
    return source


def command(portfolio, model, log, *options: str) -> list[str]:
    out = str(portfolio.with_name("out"))
    return [
        "score",
        str(portfolio),
        out,
        "--models",
        model,
        "--id",
        "loan",
        "--log",
        str(log),
        *options,
    ]


def test_every_decision_is_recorded_and_found_again(portfolio, model, tmp_path, capsys):
    log = tmp_path / "log"
    assert cli.main(command(portfolio, model, log, "--reasons")) == 0
    assert "6 decisions recorded" in capsys.readouterr().out
    made = pd.concat(map(pd.read_parquet, sorted((tmp_path / "out").glob("*.parquet"))))
    found = read_decisions(log, CONTRACT)
    frame = found.frame
    assert frame["id"].tolist() == made["decision_id"].tolist() and frame["id"].is_unique
    assert frame["caller_id"].tolist() == ["10", "12", "13", "20", "22", "23"]
    np.testing.assert_array_equal(frame["probability"], made["probability"])
    assert frame["approved"].tolist() == (made["decision"] == "approve").tolist()
    for field in CONTRACT.fields:
        stated = [each[field.name] for each in (ONE, TWO, THREE)] * 2
        plain = [None if value == field.missing_label else value for value in stated]
        assert [None if pd.isna(v) else v for v in frame[field.name]] == plain
    faults = ["is out of range", "is not an allowed value"]
    fields = (CONTRACT.numbers[0].name, CONTRACT.categories[0].name)
    expected = [f"{field} {fault}" for field, fault in zip(fields, faults)]
    assert found.rejected["reason"].value_counts().to_dict() == dict.fromkeys(expected, 2)
    assert replay(frame["id"].iloc[-1], str(log / "portfolio.jsonl"), model).same
    again = ["override", frame["id"].iloc[0], "--by", "Jane", "--reason", "why", "--log", str(log)]
    assert cli.main(again) == 0
    assert read_decisions(log, CONTRACT).frame["overridden"].tolist() == [True] + [False] * 5


def test_without_a_log_nothing_has_an_id(portfolio, model, tmp_path):
    assert cli.main(["score", str(portfolio), str(tmp_path / "out"), "--models", model]) == 0
    assert "decision_id" not in pd.read_parquet(tmp_path / "out/a.csv.parquet")


def test_what_was_stopped_goes_on_and_records_nothing_twice(portfolio, model, tmp_path, capsys):
    log = tmp_path / "log"
    path = log / "portfolio.jsonl"
    held = open_log(path)
    assert cli.main(command(portfolio, model, log)) == 2
    said = capsys.readouterr().err
    assert "another process is writing it" in said and "go on with --resume" in said
    assert not (tmp_path / "out/_SUCCESS").exists()
    held.close()
    assert cli.main(command(portfolio, model, log, "--resume")) == 0
    whole = path.read_bytes()
    rejected = (log / "portfolio.rejected.jsonl").read_bytes()
    # As if it had been stopped after four of six decisions.
    short = open_log(tmp_path / "short" / "portfolio.jsonl")
    entries = [_plain(line) for line in whole.splitlines()[:4]]
    short.append(entries)
    short.close()
    assert cli.main(command(portfolio, model, tmp_path / "short", "--resume")) == 0
    assert "2 decisions recorded" in capsys.readouterr().out
    ids = read_decisions(log, CONTRACT).frame["id"].tolist()
    assert read_decisions(tmp_path / "short", CONTRACT).frame["id"].tolist() == ids
    assert cli.main(command(portfolio, model, log, "--resume")) == 0
    assert path.read_bytes() == whole and not list(problems(path))
    assert (log / "portfolio.rejected.jsonl").read_bytes() == rejected


def _plain(line: bytes) -> dict:
    """An entry without what the chain adds to it."""
    content = json.loads(line)
    return {name: content[name] for name in content if name not in ("number", "previous", "sha256")}


def test_a_run_without_ids_is_not_resumed_as_one_with(portfolio, model, tmp_path, capsys):
    log = tmp_path / "log"
    plain = [each for each in command(portfolio, model, log) if each not in ("--log", str(log))]
    assert cli.main(plain) == 0
    assert cli.main(command(portfolio, model, log, "--resume")) == 2
    assert "differs in whether decisions are recorded" in capsys.readouterr().err
