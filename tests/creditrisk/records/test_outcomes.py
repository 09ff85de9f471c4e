"""Outcomes and overrides: recorded once, whole or not at all, in chains of their own."""

import os

import pandas as pd
import pytest
from published import CONTRACT, ONE, RAW_FILE

from creditrisk import cli
from creditrisk.data.contract import ContractError
from creditrisk.monitoring.records import read_decisions
from creditrisk.records.chain import LogError
from creditrisk.records.chained_log import open_log
from creditrisk.records.entries import entry
from creditrisk.records.outcomes import Added, add_outcomes
from creditrisk.records.overrides import NotRecorded, override
from creditrisk.records.verification import problems

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a decision log needs POSIX")

GOOD = CONTRACT.positive
(BAD,) = [level for level in CONTRACT.target.levels if level != GOOD]


@pytest.fixture
def folder(tmp_path):
    """A log of four decisions, the first two of which were approved."""
    model = {"name": "M", "version": 2, "alias": None, "sha256": "ab" * 32}
    log = open_log(tmp_path / "log" / "server.jsonl")
    for number, decision in enumerate(("approve", "approve", "decline", "decline"), 1):
        answer = {"decision": decision, "probability": 0.5, "cutoff": 0.5}
        log.append([entry(f"id-{number}", "2026-05-04T12:00:00+00:00", model, ONE, answer)])
    log.close()
    return tmp_path / "log"


def test_outcomes_are_added_once_and_never_overwritten(folder, tmp_path):
    first, more, parquet = tmp_path / "first.csv", tmp_path / "more.csv", tmp_path / "m.parquet"
    first.write_text(f"id,{CONTRACT.target.name},date\nid-1,{GOOD},2026-05-04\nid-2,{BAD},\n")
    more.write_bytes(b"\xef\xbb\xbfoutcome,decision_id\r\n0,id-2\r\n1,id-1\r\n0,id-2\r\n1,id-3\r\n")
    days = pd.to_datetime(["2026-06-01", None])
    table = {"id": ["id-4", "id-1"], "outcome": [0.0, 1.0], "date": days}
    pd.DataFrame(table).to_parquet(parquet)
    assert add_outcomes(first, folder, CONTRACT) == Added(2, 0)
    log = folder / "outcomes.jsonl"
    before = log.read_bytes()
    assert add_outcomes(first, folder, CONTRACT) == Added(0, 2)
    assert log.read_bytes() == before
    assert add_outcomes(more, folder / "server.jsonl", CONTRACT) == Added(1, 3)
    assert add_outcomes(parquet, folder, CONTRACT) == Added(1, 1)
    assert log.read_bytes().startswith(before) and not list(problems(log))
    frame = read_decisions(folder, CONTRACT).frame
    assert frame["outcome"].tolist() == [1, 0, 1, 0]
    assert str(frame["outcome_time"][0])[:10] == "2026-05-04"
    assert str(frame["outcome_time"][3])[:10] == "2026-06-01"


def test_what_is_wrong_is_refused_by_row_and_nothing_is_written(folder, tmp_path):
    file = tmp_path / "known.csv"
    file.write_text(f"id,outcome\nid-1,{GOOD}\n")
    add_outcomes(file, folder, CONTRACT)
    before = (folder / "outcomes.jsonl").read_bytes()
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(
        "id,outcome,date\n"
        "id-2,1,\n"  # this one alone would be taken
        "nobody,1,\n"
        "id-3,maybe,\n"
        "id-3,1,yesterday\n"
        "id-3,1,2026-05-03\n"
        "id-3,1,2999-01-01\n"
        "id-1,0,\n"
        "id-2,0,\n"
        ",1,\n"
    )
    with pytest.raises(ContractError) as refused:
        add_outcomes(wrong, folder, CONTRACT)
    levels = ", ".join(map(str, (*CONTRACT.good, *CONTRACT.bad)))
    give = "give the id that was answered with the decision"
    assert refused.value.problems == [
        f"row 2: id 'nobody' is in none of the decision logs; {give}",
        f"row 3: outcome is 'maybe'; allowed {levels}, 1, 0",
        "row 4: date is 'yesterday'; give a day as YYYY-MM-DD",
        "row 5: date is 2026-05-03, before the decision of 2026-05-04",
        "row 6: date is 2999-01-01, which is still to come",
        "row 7: outcome of id-1 is 0, and line 1 of outcomes.jsonl has it as 1",
        "row 8: outcome of id-2 is 0, and row 1 has it as 1",
        f"row 9: id is empty; {give}",
    ]
    assert str(wrong) in str(refused.value)
    assert (folder / "outcomes.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "content, words",
    [
        (b"id,outcom\n", "column 'outcom' is not known; did you mean 'outcome'?; allowed id, "),
        (b"id\n", "column 'outcome' is missing; allowed id, outcome"),
        (b"id,decision_id,outcome\n", "column 'id' stands there more than once"),
        (b"", "column 'id' is missing"),
        (b"id,outcome\nid-1\n", "row 1 has 1 cells, the header 2"),
        (b"id,outcome\n\xff,1\n", "is no CSV file in UTF-8"),
        (b'id,outcome\n"id-1,1\n', "is no CSV file in UTF-8"),
    ],
)
def test_files_that_are_no_outcomes_are_refused(folder, tmp_path, content, words, capsys):
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    contract = ["--contract", str(RAW_FILE.with_name("datapackage.json"))]
    assert cli.main(["outcomes", "add", str(file), "--log", str(folder), *contract]) == 1
    said = capsys.readouterr().err
    assert f"{file}: " in said and words in said
    assert [path.name for path in folder.iterdir() if "outcomes" in path.name] == []


@pytest.mark.parametrize("noted", [None, b""])
def test_a_writer_killed_before_its_first_entry_holds_nobody_up(folder, tmp_path, noted, capsys):
    """It has made the log, and perhaps the file beside it, and written into neither."""
    file = tmp_path / "file.csv"
    file.write_text("id,outcome\nid-1,1\nid-2,0\n")
    for name in "outcomes.jsonl", "overrides.jsonl":
        (folder / name).touch()
        if noted is not None:
            (folder / f"{name}.head").write_bytes(noted)
    assert cli.main(["verify-log", str(folder)]) == 0
    assert add_outcomes(file, folder, CONTRACT) == Added(2, 0)
    assert override("id-1", folder, by="Jane", reason="why")["to"] == "decline"
    (folder / "outcomes.jsonl").write_bytes(b"")  # what was written may not be gone unseen
    (folder / "outcomes.jsonl.head").write_bytes(b"damaged")
    assert cli.main(["verify-log", str(folder)]) == 1
    with pytest.raises(LogError, match="missing or damaged"):
        add_outcomes(file, folder, CONTRACT)


def test_an_override_holds_and_the_models_decision_stays(folder, capsys):
    place = ["--log", str(folder), "--by", "Jane Doe", "--reason", "has a guarantor"]
    assert cli.main(["override", "id-3", *place]) == 0
    assert capsys.readouterr().out == "decision id-3: decline -> approve, by Jane Doe\n"
    assert cli.main(["override", "id-1", "--to", "decline", *place]) == 0
    capsys.readouterr()
    frame = read_decisions(folder, CONTRACT).frame
    assert frame["approved"].tolist() == [True, True, False, False]
    assert frame["overridden"].tolist() == [True, False, True, False]
    assert frame["final"].tolist() == [False, True, True, False]
    log = folder / "overrides.jsonl"
    before = log.read_bytes()
    for arguments, words in (
        (["id-1", "--to", "decline"], "decision id-1 is decline already"),
        (["nobody"], "has no decision nobody"),
    ):
        assert cli.main(["override", *arguments, *place]) == 1
        assert words in capsys.readouterr().err
    for by, reason in (("", "why"), ("Jane", " "), ("Jane\nDoe", "why")):
        with pytest.raises(NotRecorded, match="give it in one line"):
            override("id-1", folder, by=by, reason=reason)
    assert log.read_bytes() == before
    # Taken back: what holds is what the model decided.
    assert override("id-3", folder, by="Jane Doe", reason="the guarantor left")["to"] == "decline"
    assert not read_decisions(folder, CONTRACT).frame["overridden"][2]
    assert not list(problems(log))


@pytest.mark.parametrize("name", ["server.jsonl", "overrides.jsonl", "outcomes.jsonl"])
def test_nothing_is_added_to_what_was_edited(folder, tmp_path, name, capsys):
    file = tmp_path / "file.csv"
    file.write_text("id,outcome\nid-1,1\nid-2,0\n")
    override("id-1", folder, by="Jane", reason="why")
    add_outcomes(file, folder, CONTRACT)
    assert cli.main(["verify-log", str(folder)]) == 0
    counts = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert [text.partition(",")[0] for text in counts] == ["4 entries", "1 entries", "2 entries"]
    log = folder / name
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"id":"id-1"', b'"id":"id-2"', 1))
    assert log.read_bytes() != content
    with pytest.raises(LogError, match=f"{name}: line 1 was edited"):
        read_decisions(folder, CONTRACT)
    assert cli.main(["verify-log", str(folder)]) == 1
    assert f"{log}: line 1: was edited" in capsys.readouterr().out
    if name != "overrides.jsonl":
        with pytest.raises(LogError, match=f"{name}: line 1 was edited"):
            add_outcomes(file, folder, CONTRACT)
    if name != "outcomes.jsonl":
        with pytest.raises(LogError, match=f"{name}: line 1 was edited"):
            override("id-2", folder, by="Jane", reason="why")
