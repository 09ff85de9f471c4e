"""Portfolios of any contract, in CSV and in Parquet, get the decisions of the API."""

import copy
import json
from datetime import date

import numpy as np
import pandas as pd
import published
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawncontracts import (
    EVERY_TYPE,
    RECORDS,
    as_json,
    drawn_applications,
    drawn_contract,
    drawn_model,
    every_type_model,
)
from published import put

from creditrisk.cli import main
from creditrisk.data.applications.examples import applications
from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.descriptor import parse_contract
from creditrisk.data.quantities import dates_as_text
from creditrisk.modelling import candidates
from creditrisk.portfolio.scoring import score
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.serving.replay import replay

CONTRACT = parse_contract(EVERY_TYPE)

HEADER = "loan;rate;late;debt;opened;employed;owner;job;term;grade"
FINE = """\
a;1.013,5; 12;0,5;31.01.2001;1999-02; ja;nurse; 36 months;1
b;7;-999;no income;01.01.1990 ;k.A.;not asked;painter; 60 months;
c;-,5;;99,5;02.03.2004;;nein;other; 36 months;3
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(every_type_model(tmp_path_factory.mktemp("every") / "models"))


def test_every_type_is_read_as_the_contract_says(tmp_path, model):
    file = tmp_path / "in.csv"
    file.write_text(f"{HEADER}\n{FINE}\n\n", "utf-8")  # empty lines last
    done = score(str(file), str(tmp_path / "out"), model, workers=1, log=str(tmp_path / "log"))
    assert (done.total("rows"), done.total("scored"), done.recorded) == (3, 3, 3)
    found = pd.read_parquet(tmp_path / "out/in.csv.parquet")
    assert found.id.tolist() == ["a", "b", "c"]  # by the column with the role id
    scorer = load_scorer(model)
    expected = scorer.score(RECORDS)
    assert found.probability.tolist() == [each.probability for each in expected]
    log = tmp_path / "log/portfolio.jsonl"
    inputs = [json.loads(line)["input"] for line in log.read_text().splitlines()]
    counted = RECORDS[1] | {"job": "other"}  # as which "painter" counts
    assert inputs == [RECORDS[0], counted, RECORDS[2]]
    assert all(replay(id, log, model).same for id in found.decision_id)


def test_what_a_parquet_file_holds_may_have_any_type_that_stands_for_it(tmp_path, model):
    columns = {
        "loan": pa.array(["a", "b", "c"]),
        "rate": pa.array(["1013.50", "7.00", "-0.50"]).cast(pa.decimal128(9, 2)),
        "late": pa.array([12.0, -999.0, None]),
        "debt": pa.array(["0,5", "no income", "99,5"]),
        "opened": pa.array([date(2001, 1, 31), date(1990, 1, 1), date(2004, 3, 2)]),
        "employed": pa.array([date(1999, 2, 17), None, None]).cast(pa.timestamp("us")),
        "owner": pa.array(["ja", "not asked", "nein"]).dictionary_encode(),
        "job": pa.array(["nurse", "painter", "other"]),
        "term": pa.array([" 36 months", " 60 months", " 36 months"], pa.large_string()),
        "grade": pa.array([1, None, 3], pa.int8()),
    }
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    done = score(str(tmp_path / "in.parquet"), str(tmp_path / "out"), model, workers=1)
    assert done.total("scored") == 3
    found = pd.read_parquet(tmp_path / "out/in.parquet")
    expected = load_scorer(model).score(RECORDS)
    assert found.probability.tolist() == [each.probability for each in expected]


BAD = [  # field, cell, what the API would get for it
    ("rate", "x", "x"),
    ("rate", "", None),
    ("rate", "9" * 20, 10**20),
    ("late", "-1", -1),
    ("late", "1,5", 1.5),
    ("debt", "99,6", 99.6),
    ("debt", "", None),
    ("opened", "31.12.1989", "1989-12-31"),
    ("opened", "2001-01-31", "31.01.2001"),
    ("employed", "1999-13", "1999-13"),
    ("owner", "yes", "yes"),
    ("job", " nurse", " nurse"),
    ("job", "k.A.", None),
    ("term", "36 months", "36 months"),
    ("grade", "4", 4),
]


def test_what_is_not_allowed_is_rejected_in_the_apis_words(tmp_path, model):
    first = FINE.splitlines()[0].split(";")
    lines = [HEADER]
    for name, cell, _ in BAD:
        row = dict(zip(HEADER.split(";"), first)) | {name: cell}
        lines.append(";".join(row.values()))
    (tmp_path / "in.csv").write_text("\n".join(lines), "utf-8")
    done = score(str(tmp_path / "in.csv"), str(tmp_path / "out"), model, workers=1)
    assert (done.total("scored"), done.total("rejected")) == (0, len(BAD))
    rejected = pd.read_parquet(tmp_path / "out/_rejected/in.csv.parquet")
    for (name, _, value), words in zip(BAD, rejected.reason, strict=True):
        [problem] = record_problems(RECORDS[0] | {name: value}, CONTRACT)
        assert words == f"{name} {problem.message}"


def test_an_empty_line_between_rows_is_a_row_that_is_rejected(tmp_path, model):
    one, *rest = FINE.splitlines(keepends=True)
    (tmp_path / "in.csv").write_text("".join([HEADER, "\n", one, "\n", *rest]), "utf-8")
    done = score(str(tmp_path / "in.csv"), str(tmp_path / "out"), model, workers=1)
    assert (done.total("scored"), done.total("rejected")) == (3, 1)
    rejected = pd.read_parquet(tmp_path / "out/_rejected/in.csv.parquet")
    assert rejected.row.tolist() == [2]


def test_a_portfolio_of_which_nothing_is_scored_ends_with_1(tmp_path, model, capsys):
    one, *_ = FINE.splitlines()
    bad = one.replace(" 12", "-1")
    for name, rows in {"bad": [bad, bad], "half": [bad, one], "none": []}.items():
        (tmp_path / f"{name}.csv").write_text("\n".join([HEADER, *rows, ""]), "utf-8")
    command = ["--models", model, "--workers", "1"]
    codes, said = {}, {}
    for name in ("bad", "half", "none"):
        source, out = str(tmp_path / f"{name}.csv"), str(tmp_path / name)
        codes[name] = main(["score", source, out, *command])
        said[name] = capsys.readouterr().err
    assert codes == {"bad": 1, "half": 0, "none": 0}  # of no rows none is rejected
    assert (
        f"no row is scored, all 2 are rejected; mend what {tmp_path}/bad/_rejected" in said["bad"]
    )
    assert "no row" not in said["half"] + said["none"]


def test_blanks_after_a_delimiter_are_no_part_of_a_cell_if_the_contract_says_so(tmp_path):
    package = copy.deepcopy(published.CONTRACT.package)
    package["resources"][0]["dialect"] = {"skipInitialSpace": True}
    estimator = candidates.estimator("Logistic Regression", published.CONTRACT, 7)
    model = str(put(tmp_path / "models", published.trained(estimator), 1, contract=package))
    names, asked = list(published.ONE), [published.ONE, published.TWO]
    first, second = ([str(value) for value in each.values()] for each in asked)
    quoted = [f'"{cell}"' for cell in second]
    lines = ["id, " + ", ".join(names), "1, " + ", ".join(first), "", "2,  " + ",".join(quoted)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/good.csv").write_text("\ufeff" + "\n".join([*lines, "", ""]), "utf-8")
    (tmp_path / "in/torn.csv").write_text("\n".join([*lines, "3, 35"]), "utf-8")
    (tmp_path / "in/open.csv").write_text("\n".join([*lines, '3, "35']), "utf-8")
    done = score(str(tmp_path / "in"), str(tmp_path / "out"), model, workers=1)
    found = pd.read_parquet(tmp_path / "out/good.csv.parquet")
    expected = load_scorer(model).score(asked)
    assert found.id.tolist() == ["1", "2"]
    assert found.probability.tolist() == [each.probability for each in expected]
    rejected = pd.read_parquet(tmp_path / "out/_rejected/good.csv.parquet")
    assert rejected.row.tolist() == [2]  # the empty line between them
    assert {each.name: each.reason for each in done.failed} == {
        "torn.csv.parquet": "row 4 has 2 cells, the header 10",
        "open.csv.parquet": "line 5 is no CSV (unexpected end of data)",
    }
    assert [each.file for each in done.failed] == ["open.csv", "torn.csv"]  # as they are named


@pytest.mark.parametrize("seed", range(2))
def test_a_drawn_contract_is_scored_from_either_kind_of_file(tmp_path, seed):
    random = np.random.default_rng(seed)
    contract = drawn_contract(random)
    pipeline = drawn_model(contract, random)
    changes = {"contract": contract.package, "reference": applications(contract)[0], "cutoff": 0.5}
    folder = put(tmp_path / "m", pipeline, 1, **changes)
    rows = dates_as_text(drawn_applications(contract, 200, random), contract)
    rows.insert(0, "id", np.arange(200))
    (tmp_path / "in").mkdir()
    rows.to_csv(tmp_path / "in/a.csv", index=False)
    rows.to_parquet(tmp_path / "in/b.parquet", index=False)
    done = score(str(tmp_path / "in"), str(tmp_path / "out"), str(folder), workers=1)
    assert done.total("scored") == 400
    expected = load_scorer(folder).score(as_json(contract, drawn_applications_of(rows, contract)))
    for name in ("a.csv.parquet", "b.parquet"):
        found = pd.read_parquet(tmp_path / "out" / name)
        assert found.probability.tolist() == [each.probability for each in expected]


def drawn_applications_of(rows: pd.DataFrame, contract) -> pd.DataFrame:
    """The applications of a file with dates as the numbers that they stand for."""
    dated = {
        field.name: rows[field.name].map(field.number_of, na_action="ignore")
        for field in contract.numbers
        if field.is_dated
    }
    return rows.assign(**dated)[[field.name for field in contract.fields]]
