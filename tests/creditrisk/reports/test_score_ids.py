"""Whoever the bank knows by an id is found by it among the scores of the test set."""

import numpy as np
import pandas as pd
import pytest

from creditrisk.data import encoding
from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import parse_contract
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.reports.test_scores import read_scores, write_scores

ROWS = {"text": ["007", "NA", "8"], "number": ["7", "100000000000000", "8"]}


def described(role: str, type: str):
    fields = [
        {"name": "loan", "type": type, "role": role},
        {"name": "amount", "type": "number", "constraints": {"required": True, "minimum": 0}},
        {"name": "state", "type": "string"},
    ]
    table = {"target": {"field": "state", "good": ["paid"], "bad": ["late"]}}
    return parse_contract({"name": "l", "resources": [table | {"schema": {"fields": fields}}]})


@pytest.mark.parametrize("kind", ROWS)
def test_ids_go_from_the_file_to_the_scores(tmp_path, kind):
    contract = described("id", "string" if kind == "text" else "integer")
    lines = [
        f"{id},{n}.5,{state}"
        for id, n, state in zip(ROWS[kind], (1, 2, 3), ("paid", "late", "paid"))
    ]
    (tmp_path / "loans.csv").write_text("\n".join(["loan,amount,state", *lines]), "utf-8")
    raw = read_raw(tmp_path / "loans.csv", contract)
    y, test, path = encoding.target(raw, contract), [2, 1], tmp_path / "y_test.csv"
    encoding.with_ids(y.iloc[test], raw, contract).to_csv(path, index=False)
    assert encoding.read_target(path, contract, 2).tolist() == [1, 0]
    ids = encoding.read_ids(path, contract)
    assert ids is not None and ids.tolist() == [ROWS[kind][2], ROWS[kind][1]]
    scores = tmp_path / "test_scores.csv"
    outcome, score, effects = np.array([1, 0]), np.array([0.5, 0.25]), np.array([[0.125], [-1]])
    write_scores(scores, raw.iloc[test], outcome, score, effects, contract, ids)
    assert scores.read_text("utf-8").splitlines() == [
        "id: loan,amount,state,probability_of_good,effect: amount",
        f"{ROWS[kind][2]},3.5,paid,0.5,0.125",
        f"{ROWS[kind][1]},2.5,late,0.25,-1.0",
    ]
    expected = ["amount", "state", "probability_of_good", "effect: amount"]
    assert list(read_scores(scores).columns) == expected


def test_without_such_a_column_the_outcomes_are_alone(tmp_path):
    contract, path = described("ignore", "string"), tmp_path / "y_test.csv"
    y = pd.Series([1, 0], name="state")
    encoding.with_ids(y, pd.DataFrame(index=y.index), contract).to_csv(path, index=False)
    assert path.read_text("utf-8") == "state\n1\n0\n"
    assert encoding.read_ids(path, contract) is None
    path.write_text("loan,state\na,1\nb,0\n", "utf-8")
    with pytest.raises(ContractError, match="must hold state only"):
        encoding.read_target(path, contract, 2)
