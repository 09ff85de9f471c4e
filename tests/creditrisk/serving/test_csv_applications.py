"""A CSV file of applications is read by the rules by which the raw file is."""

import json

from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.descriptor import read_contract
from creditrisk.serving.client.applications import read

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
