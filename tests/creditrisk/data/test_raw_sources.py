"""Where raw data may lie and how they may be packed and written; each way gives the same frame."""

import gzip
import hashlib
import http.server
import json
import threading
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from creditrisk.cli import main
from creditrisk.data import encoding
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.raw_files import download, limits
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.reports.findings.exploration import data_set

FIELDS = [
    {"name": "loan", "type": "string", "role": "id"},
    {"name": "made", "type": "date", "role": "date"},
    {"name": "weight", "type": "number", "role": "weight"},
    {"name": "amount", "type": "number", "constraints": {"required": True, "minimum": 0}},
    {"name": "purpose", "type": "string", "constraints": {"enum": ["Möbel", "car"]}},
    {"name": "staff", "type": "boolean"},
    {"name": "note", "type": "string", "role": "ignore"},
    {"name": "recovered", "type": "number", "role": "afterOutcome"},
    {"name": "state", "type": "string"},
]
TARGET = {"field": "state", "good": ["paid"], "bad": ["late", "lost"], "exclude": ["open"]}
HEADER = "loan,made,weight,amount,purpose,staff,note,recovered,state\n"
ROWS = [
    'a1,2024-01-31,1,1000.5,Möbel,true,"two\nlines",,paid\n',
    "a2,2024-02-29,2.5,7,car,0,,30,late\n",
    "a3,,1,8,,,,x,open\n",
    "a4,2024-03-01,1,9,car,1,,,lost\n",
]
TEXT = HEADER + "".join(ROWS)


def described(fields=FIELDS, **table):
    return parse_contract(
        {
            "name": "loans",
            "resources": [{"target": TARGET, "schema": {"fields": fields}, **table}],
        }
    )


CONTRACT = described()
#: The rows above, by hand; 29 February 2024 is day 19723 + 59 after 1 January 1970.
EXPECTED = pd.DataFrame(
    {
        "amount": [1000.5, 7, 9],
        "purpose": pd.Series(["Möbel", "car", "car"], dtype="str"),
        "staff": pd.Series([True, False, True], dtype=object),
        "loan": pd.Series(["a1", "a2", "a4"], dtype="str"),
        "made": [19753.0, 19782, 19783],
        "weight": [1, 2.5, 1],
        "state": pd.Series(["paid", "late", "lost"], dtype="str"),
    }
).set_axis(pd.Index([0, 1, 3], name="row"), axis=0)


def written(path, text=TEXT, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def refusal(path, contract=CONTRACT):
    with pytest.raises(ContractError) as refused:
        read_raw(path, contract)
    assert "Remedy:" in str(refused.value)
    return str(refused.value)


def test_columns_have_roles_and_outcomes_that_are_excluded_are_counted(tmp_path):
    """What is known only afterwards is not even read: its 'x' is no number."""
    frame = read_raw(written(tmp_path / "loans.csv"), CONTRACT)
    pd.testing.assert_frame_equal(frame, EXPECTED)
    assert frame.attrs["excluded"] == {"open": 1}


DIALECTS = [
    ({"dialect": {"delimiter": ";"}}, lambda text: text.replace(",", ";"), "utf-8"),
    ({"dialect": {"quoteChar": "'"}}, lambda text: text.replace('"', "'"), "utf-8"),
    ({"dialect": {"skipInitialSpace": True}}, lambda text: text.replace(",", ", "), "utf-8"),
    ({"encoding": "latin-1"}, str, "latin-1"),
    ({"encoding": "utf-16"}, str, "utf-16"),
    ({}, str, "utf-8-sig"),
]


@pytest.mark.parametrize(("table", "change", "encoding"), DIALECTS)
def test_a_table_is_read_as_its_descriptor_says_that_it_is_written(
    table, change, encoding, tmp_path
):
    path = written(tmp_path / "loans.csv", change(TEXT), encoding)
    pd.testing.assert_frame_equal(read_raw(path, described(**table)), EXPECTED)


def test_another_dialect_or_encoding_is_refused_with_what_to_write_in_the_descriptor(tmp_path):
    path = tmp_path / "loans.csv"
    assert '"dialect": {"delimiter": ";"}' in refusal(written(path, TEXT.replace(",", ";")))
    message = refusal(written(path, encoding="latin-1"))
    assert "line 2: byte 0xf6 is not UTF-8" in message and '"encoding": "latin-1"' in message
    assert '"encoding": "utf-16"' in refusal(written(path, encoding="utf-16"))


def test_packed_files_patterns_and_lists_are_one_table(tmp_path):
    for number, rows in enumerate([ROWS[:1], ROWS[1:3], ROWS[3:]], 1):
        content = (HEADER + "".join(rows)).encode()
        (tmp_path / f"loans-{number}.csv.gz").write_bytes(gzip.compress(content))
    parts = [tmp_path / f"loans-{number}.csv.gz" for number in (1, 2, 3)]
    pd.testing.assert_frame_equal(read_raw(parts, CONTRACT), EXPECTED)
    pd.testing.assert_frame_equal(read_raw(tmp_path / "loans-*.csv.gz", CONTRACT), EXPECTED)
    package = CONTRACT.package | {
        "resources": [CONTRACT.package["resources"][0] | {"path": [each.name for each in parts]}]
    }
    (tmp_path / "datapackage.json").write_text(json.dumps(package), "utf-8")
    contract = read_contract(tmp_path / "datapackage.json")
    pd.testing.assert_frame_equal(read_raw(tmp_path / "datapackage.json", contract), EXPECTED)
    message = refusal([*parts, parts[1]])
    assert "loans-2.csv.gz, row 1 (line 2): loan 'a2' occurs twice" in message
    assert "no file has such a name" in refusal(tmp_path / "debts-*.csv")
    # a hash is of the file as it is stored, or of what is packed in it
    for content in parts[0].read_bytes(), gzip.decompress(parts[0].read_bytes()):
        recorded = described(hash=hashlib.sha256(content).hexdigest(), rows=1)
        assert len(read_raw(parts[0], recorded)) == 1
    assert "hash is recorded" in refusal(parts[0], described(hash="0" * 64))


def test_a_packed_file_that_is_damaged_or_swells_is_refused(tmp_path, monkeypatch):
    packed, path = gzip.compress(TEXT.encode()), tmp_path / "loans.csv.gz"
    path.write_bytes(packed[:-20])
    assert "is a damaged gzip file" in refusal(path)
    path.write_bytes(packed[:30] + bytes(9) + packed[39:])
    assert "is a damaged gzip file" in refusal(path)
    monkeypatch.setattr(limits, "MOST_BYTES", 10_000_000)
    path.write_bytes(gzip.compress((HEADER + ROWS[1] * 1_000_000).encode()))  # 35 MB in 110 kB
    assert "more than 10,000,000 bytes; no more are read" in refusal(path)


FORMATS = {
    "loans.xlsx": (b"PK\x03\x04" + bytes(99), "an Excel workbook"),
    "loans.xls": (b"\xd0\xcf\x11\xe0" + bytes(99), "an old Excel workbook"),
    "loans.csv.bz2": (b"BZh9" + bytes(99), "packed with bzip2"),
    "loans.csv.zst": (b"\x28\xb5\x2f\xfd" + bytes(99), "packed with zstd"),
    "loans.feather": (b"ARROW1" + bytes(99), "a Feather or Arrow file"),
    "loans.csv": (b"SQLite format 3\0" + bytes(99), "a SQLite database"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_another_format_is_named_and_its_remedy(name, tmp_path):
    content, kind = FORMATS[name]
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert kind in message and "Remedy: save it as CSV or Parquet" in message


def test_parquet_holds_decimals_dates_booleans_and_numbers_as_text(tmp_path):
    table = pa.table(
        {
            "loan": ["a1", "a2", "a3", "a4"],
            "made": pa.array([19753, 19782, None, 19783], pa.int32()).cast(pa.date32()),
            "weight": ["1", "2.5", "1", "1"],
            "amount": pa.array([1000.5, 7, 8, 9]).cast(pa.decimal128(9, 2)),
            "purpose": pa.array(["Möbel", "car", None, "car"]).dictionary_encode(),
            "staff": [True, False, None, True],
            "state": ["paid", "late", "open", "lost"],
        }
    )
    for name in "loans.PARQUET", "loans.data":  # the second is known by how it begins
        pq.write_table(table, tmp_path / name, row_group_size=2)
        frame = read_raw(tmp_path / name, CONTRACT)
        pd.testing.assert_frame_equal(frame, EXPECTED)
        assert frame.attrs["excluded"] == {"open": 1}


FAULTY = [
    (("a2,", ","), "row 2 (line 4): loan is empty; allowed"),  # the first row has two lines
    (("a4,", "a1,"), "row 4 (line 6): loan 'a1' occurs twice"),
    ((",2.5,", ",0,"), "row 2 (line 4): weight is 0; allowed above 0"),
    ((",2.5,", ",,"), "weight is empty; allowed a number"),
    (("2024-02-29", "2023-02-29"), "made is '2023-02-29', not a date such as 2024-01-31"),
    ((",7,", ",,"), "row 2 (line 4): amount is empty; allowed a number from 0 on"),
    ((",late", ",LATE"), "state is 'LATE'; allowed late, lost, paid, open"),
    ((",late", ","), "state is empty"),
    (("note,", "notes,"), "column 'notes' is not in the contract"),
    (("a2,", "a2,,"), "row 2 (line 4): 10 cells, the header has 9"),
    (("a2,", "\na2,"), "row 2 (line 4): the row is blank"),
]


@pytest.mark.parametrize(("change", "words"), FAULTY)
def test_a_fault_is_named_with_its_row_and_line(change, words, tmp_path):
    message = refusal(written(tmp_path / "loans.csv", TEXT.replace(*change)))
    assert words in message, message


def test_rows_are_to_be_left_when_excluded_outcomes_are_gone(tmp_path):
    assert "no row is left" in refusal(written(tmp_path / "loans.csv", HEADER + ROWS[2]))


def test_very_many_problems_are_counted_and_not_all_written_out(tmp_path):
    rows = [f"b{n},,1,{n}%,car,,,,paid\n" for n in range(3_000)]
    message = refusal(written(tmp_path / "loans.csv", HEADER + "".join(rows)))
    assert "3000 problems" in message and "... and 2990 more" in message
    assert "amount is '0%', not a number (it would be one with bareNumber false" in message


@contextmanager
def server(folder, answer=None):
    """A web server on this machine that gives the files of a folder, or one answer to all."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def do_GET(self):
            return super().do_GET() if answer is None else answer(self)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


def short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(HEADER.encode())


def elsewhere(handler):
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.end_headers()


def test_a_table_may_lie_behind_a_url(tmp_path, monkeypatch):
    written(tmp_path / "loans.csv")
    (tmp_path / "loans.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    dates = pd.to_datetime(EXPECTED.made, unit="D")  # as days since 1970 they would be numbers
    EXPECTED.assign(made=dates).to_parquet(tmp_path / "loans.parquet", index=False)
    with server(tmp_path) as url:
        for name in "loans.csv", "loans.csv?key=secret", "loans.csv.gz":
            pd.testing.assert_frame_equal(read_raw(f"{url}/{name}", CONTRACT), EXPECTED)
        of_parquet = read_raw(f"{url}/loans.parquet", CONTRACT)
        pd.testing.assert_frame_equal(
            of_parquet.reset_index(drop=True), EXPECTED.reset_index(drop=True)
        )
        message = refusal(f"{url}/none.csv?key=secret")
        assert "cannot be read (the server answers 404" in message and "secret" not in message
        monkeypatch.setattr(download, "MOST_DOWNLOADED", 100)
        assert "more than 100 bytes; no more are fetched" in refusal(f"{url}/loans.csv")
        monkeypatch.undo()
    assert "cannot be read (no answer" in refusal(f"{url}/loans.csv")
    with server(tmp_path, short) as url:
        assert "of 1000 bytes arrived" in refusal(f"{url}/loans.csv")
    with server(tmp_path, elsewhere) as url:
        assert "cannot be read" in refusal(f"{url}/loans.csv")


@pytest.mark.parametrize("role", ["weight", "ignore"])
def test_what_weighted_rows_stand_for_is_said(tmp_path, capsys, role):
    fields = [each | {"role": role} if each["name"] == "weight" else each for each in FIELDS]
    contract = described(fields)
    (tmp_path / "datapackage.json").write_text(json.dumps(contract.package), "utf-8")
    (tmp_path / "loans.csv").write_text(TEXT, "utf-8")
    assert main(["contract", "check", str(tmp_path / "loans.csv")]) == 0
    report = data_set(contract, read_raw(tmp_path / "loans.csv", contract))
    # Weights 1, 2.5 and 1 of the rows whose outcome is known: 4.5, and 4.5² / 8.25 = 2.45.
    worth = (
        "By the weights in `weight` the rows stand for 4 applications; figures are as uncertain "
        "as those of 2 rows of equal weight."
    )
    for said in (capsys.readouterr().out, report):
        assert (worth in said) == (role == "weight")


def test_weights_stand_after_the_outcomes_in_the_files_to_learn_from(tmp_path):
    (tmp_path / "loans.csv").write_text(TEXT, "utf-8")
    frame, path = read_raw(tmp_path / "loans.csv", CONTRACT), tmp_path / "y_test.csv"
    known = encoding.with_ids(encoding.target(frame, CONTRACT), frame, CONTRACT)
    encoding.with_weights(known, frame, CONTRACT).to_csv(path, index=False)
    assert path.read_text("utf-8") == "loan,state,weight\na1,1,1.0\na2,0,2.5\na4,0,1.0\n"
    assert encoding.read_target(path, CONTRACT, 3).tolist() == [1, 0, 0]
    assert encoding.read_weights(path, CONTRACT).tolist() == [1, 2.5, 1]
    assert encoding.read_ids(path, CONTRACT).tolist() == ["a1", "a2", "a4"]
    path.write_text("loan,state,weight\na1,1,0\n", "utf-8")
    with pytest.raises(ContractError, match="weight holds a weight that is not above 0"):
        encoding.read_weights(path, CONTRACT)
    path.write_text("state,weight\n1,1.0\n", "utf-8")  # as it was made before there were ids
    assert encoding.read_target(path, CONTRACT, 1).tolist() == [1]
    with pytest.raises(ContractError, match=r"has no column loan(.|\n)*run 02_preparation again"):
        encoding.read_ids(path, CONTRACT)
    path.write_text("loan,state\na1,1\n", "utf-8")
    with pytest.raises(ContractError, match="has no column weight"):
        encoding.read_weights(path, CONTRACT)
    with pytest.raises(ContractError, match="must hold state and weight only"):
        encoding.read_target(path, CONTRACT, 1)
