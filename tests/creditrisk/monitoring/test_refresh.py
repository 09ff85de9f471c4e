"""Old data and matured outcomes become one raw file that the chain accepts."""

import describedloans
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from creditrisk.data.contract import ContractError
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.encoding import with_ids
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.monitoring.refresh import write_refreshed


def decisions_of(old, rows, known):
    """Rows of the raw file as decisions, one a day from the last to the first; some are known."""
    drawn = old.iloc[:rows].reset_index(drop=True)
    outcome = np.where(np.arange(rows) % 2 == 0, 1.0, 0.0)
    outcome[known:] = np.nan
    time = pd.date_range("2026-01-01", periods=rows, tz="UTC")[::-1]
    return drawn.assign(time=time, outcome=outcome)


@pytest.fixture(scope="module")
def old():
    contract = read_contract(ROOT / "data/raw/datapackage.json")
    return contract, read_raw(ROOT / "data/raw/german_credit_data.csv", contract)


def test_the_joined_file_is_read_as_any_raw_file(old, tmp_path):
    """Of 300 outcomes 200 are known, every second bad.

    The latest fifth, 40, has 20 bad ones: so the latest 60 are the test set, of which 30 are bad.
    """
    contract, data = old
    made = write_refreshed(data, decisions_of(data, 300, 200), contract, tmp_path)
    assert (made.rows, made.latest) == (1200, 60)
    joined_contract = read_contract(made.datapackage)
    joined = read_raw(made.raw, joined_contract)
    pd.testing.assert_frame_equal(joined.iloc[:1000], data, check_index_type=False)
    # the earliest of the known comes first, which is the last row drawn
    names = [field.name for field in contract.fields]
    added = joined.iloc[1000:][names].reset_index(drop=True)
    pd.testing.assert_frame_equal(added, data.iloc[199::-1][names].reset_index(drop=True))
    levels = joined[contract.target.name].iloc[-2:].tolist()
    assert levels[-1] == contract.positive != levels[0]  # row 0 is good, row 1 bad
    assert "Rows 1001 to 1200 are decisions" in joined_contract.caveats[-1]
    assert not list(tmp_path.glob(".*")), "nothing unfinished is left"


def test_what_cannot_be_joined_is_refused_by_column(old, tmp_path):
    contract, data = old
    few = decisions_of(data, 300, 200)
    name = contract.numbers[0].name
    few[name] = few[name].astype(float).where(np.arange(300) > 2)
    few.loc[:149, "outcome"] = 1.0  # left are 25 bad ones, all among the earlier 50
    message = f"{name}: 3 of 200 decisions.*later half of the 200 outcomes are 100 good and 0 bad"
    with pytest.raises(ContractError, match=f"(?s){message}"):
        write_refreshed(data, few, contract, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["messy", "monthly", "continuous"])
def test_however_the_old_file_is_written(name, tmp_path):
    """Semicolons, decimal commas, dates, booleans, ids, special codes: all is read back."""
    describedloans.put(name, tmp_path / name, 400)
    contract = read_contract(tmp_path / name / "datapackage.json")
    data = read_raw(tmp_path / name / "loans.csv", contract)
    decisions = decisions_of(data, 150, 150)
    made = write_refreshed(data, decisions, contract, tmp_path / "joined")
    joined_contract = read_contract(made.datapackage)
    joined = read_raw(made.raw, joined_contract)
    names = [field.name for field in contract.fields]
    backwards = pd.concat([data, data.iloc[149::-1]])[names].reset_index(drop=True)
    pd.testing.assert_frame_equal(joined[names].reset_index(drop=True), backwards)
    assert joined[contract.target.name].iloc[-2:].tolist() == [contract.bad[0], contract.good[0]]
    if id := contract.of_role("id"):  # of the decisions none is on record; it may still be given
        assert joined_contract.of_role("id").name == id.name
        assert joined[id.name].tolist()[:400] == data[id.name].tolist()
        assert joined[id.name].iloc[400:].isna().all()
    if day := contract.of_role("date"):  # the last decision was on 30 May 2026, day 150
        assert day.shown(joined[day.name].iloc[-1]) in ("2026-05-30", "2026-05")


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_old_rows_keep_their_weights_and_a_decision_stands_for_itself(kind, tmp_path):
    fields = [
        {"name": "w", "type": kind, "role": "weight"},
        {"name": "amount", "type": "number", "constraints": {"required": True}},
        {"name": "state", "type": "string", "constraints": {"required": True}},
    ]
    target = {"field": "state", "good": ["paid"], "bad": ["lost"]}
    resource = {"name": "loans", "target": target, "schema": {"fields": fields}}
    contract = parse_contract({"name": "loans", "resources": [resource]})
    rows = "".join(f"{10 - 9 * (n % 2)},{n}.5,{('paid', 'lost')[n % 2]}\n" for n in range(200))
    (tmp_path / "loans.csv").write_text(f"w,amount,state\n{rows}", "utf-8")
    data = read_raw(tmp_path / "loans.csv", contract)
    decisions = decisions_of(data, 150, 150).drop(columns="w")
    made = write_refreshed(data, decisions, contract, tmp_path / "joined")
    joined = read_raw(made.raw, read_contract(made.datapackage))
    assert joined["w"].tolist() == [10, 1] * 100 + [1] * 150


def test_ids_and_groups_stay_columns_though_no_decision_has_them(tmp_path):
    """Else applications that come with them, as they always have, are refused from then on."""
    must = {"required": True}
    fields = [
        {"name": "loan", "type": "integer", "role": "id", "constraints": must},
        {"name": "customer", "type": "integer", "role": "group", "constraints": must},
        {"name": "amount", "type": "number", "constraints": must},
        {"name": "state", "type": "string", "constraints": must},
    ]
    resource = {
        "name": "loans",
        "target": {"field": "state", "good": ["paid"], "bad": ["lost"]},
        "split": {"by": "group"},
        "schema": {"fields": fields},
    }
    contract = parse_contract({"name": "loans", "resources": [resource]})
    rows = "".join(f"{n},{n // 2},{n}.5,{('paid', 'lost')[n % 2]}\n" for n in range(200))
    (tmp_path / "loans.csv").write_text(f"loan,customer,amount,state\n{rows}", "utf-8")
    data = read_raw(tmp_path / "loans.csv", contract)
    decisions = decisions_of(data, 150, 150).drop(columns=["loan", "customer"])
    made = write_refreshed(data, decisions, contract, tmp_path / "joined")
    described = read_contract(made.datapackage)
    joined = read_raw(made.raw, described)
    assert joined.loan.tolist()[:200] == list(range(200)) and joined.loan[200:].isna().all()
    assert joined.customer.tolist()[:200] == [n // 2 for n in range(200)]
    assert joined.customer[200:].isna().all() and described.split.by != "group"
    written = with_ids(pd.Series(1, joined.index, name="state"), joined, described)
    assert written.loan.tolist()[:2] == ["0", "1"] and written.loan[200:].isna().all()
