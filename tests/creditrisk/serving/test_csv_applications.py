"""A CSV file of applications is read by the rules by which the raw file is; and other files."""

import csv
import json
import sys

import pytest

from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.descriptor import read_contract
from creditrisk.serving.client.applications import Unreadable, find_contract, read

FIELDS = [
    {"name": "loan", "type": "integer", "role": "id"},
    {"name": "rate", "type": "number", "bareNumber": False, "decimalChar": ","},
    {"name": "since", "type": "yearmonth", "format": "%b-%Y", "missingMeans": "value"},
    {
        "name": "owner",
        "type": "boolean",
        "trueValues": ["Y"],
        "falseValues": ["N"],
        "missingMeans": "level",
        "missingLabel": "not asked",
    },
    {
        "name": "job",
        "type": "string",
        "unlisted": "other",
        "constraints": {"enum": ["nurse", "other"], "required": True},
    },
    {"name": "state", "type": "string"},
]
FILE = """\
loan;rate;since;owner;job;state
1;13,5 %;Feb-1999; Y;nurse;paid
2;7;;not asked;painter;
3;x;Feb-99;;nurse ;late
"""


def test_a_row_becomes_the_application_that_the_api_takes(tmp_path):
    table = {
        "dialect": {"delimiter": ";"},
        "target": {"field": "state", "good": ["paid"], "bad": ["late"]},
        "schema": {"fields": FIELDS},
    }
    package = tmp_path / "datapackage.json"
    package.write_text(json.dumps({"name": "loans", "resources": [table]}), "utf-8")
    (tmp_path / "loans.csv").write_text(FILE, "utf-8")
    records = read(str(tmp_path / "loans.csv"), str(package))
    assert records == [
        {"rate": 13.5, "since": "1999-02", "owner": True, "job": "nurse"},
        {"rate": 7, "since": None, "owner": "not asked", "job": "other"},
        {"rate": "x", "since": "Feb-99", "owner": None, "job": "nurse "},
    ]
    contract = read_contract(package)
    problems = [[problem.field for problem in record_problems(each, contract)] for each in records]
    assert problems == [[], [], ["rate", "since", "owner", "job"]]


def test_lines_may_end_as_on_any_system(tmp_path):
    expected = [{"Age": 30, "Sex": "male"}, {"Age": 40, "Sex": "female"}]
    for end in ("\n", "\r\n", "\r"):
        file = tmp_path / "loans.csv"
        file.write_bytes(end.join(("Age,Sex", "30,male", "40,female", "")).encode())
        assert read(str(file), "data/raw/datapackage.json") == expected


@pytest.fixture
def as_new():
    """The reader of CSV as it is in a new process: libraries change its limit for all of one."""
    before = csv.field_size_limit(2**17)
    yield
    csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Age\n" + b"9" * 200_000, "is no CSV, line 2 \\(field larger than field limit"),
        (b'[{"Age": 30, "Age": 40}]', "has a name twice in one object"),
        (b'[{"Age": NaN}]', "holds NaN or Infinity, which JSON does not know"),
        (b"[" * 100_000, "is nested deeper than 16 levels"),
        (b'\xef\xbb\xbf{"Age": 30', "is no JSON: .* \\(line 1, column 11\\)"),
    ],
)
def test_a_file_that_can_be_read_in_no_way_or_in_two_is_refused(content, words, tmp_path, as_new):
    file = tmp_path / "loans"
    file.write_bytes(content)
    with pytest.raises(Unreadable, match=f"{file}: {words}"):
        read(str(file), "data/raw/datapackage.json")


def test_a_manifest_that_is_no_object_holds_no_contract(tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest.write_text("[]", "utf-8")
    with pytest.raises(Unreadable, match="manifest.json: holds no contract"):
        find_contract(str(manifest))


def test_a_standard_input_that_is_closed_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Unreadable, match="-: there is no standard input; name a file"):
        read("-", None)
