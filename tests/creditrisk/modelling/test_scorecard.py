"""The scorecard on paper and in SQL says what the model says."""

import json
import math
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io
from conftest import ROOT

from creditrisk.data.applications.domain import domain
from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.descriptor import parse_contract, read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.modelling.scorecard import scorecard, sql
from creditrisk.scoring.fast_path import golden_codes, make_scorer
from creditrisk.scoring.sources.model_files import TRUSTED_TYPES

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)


def fit(contract, frame, y, name="WoE Scorecard"):
    ready = encoder(contract)
    X = ready.transform(frame)
    model = candidates.decision_model(ready, candidates.estimator(name, contract, 7), 0.7)
    model["decide"].fit(X, y)
    return model, X


def run_sql(query, frame, table):
    """What a query makes of a table in SQLite."""
    with closing(sqlite3.connect(":memory:")) as database:
        [built_in] = database.execute(
            "SELECT COUNT(*) FROM pragma_function_list WHERE name = 'exp'"
        ).fetchone()
        if not built_in:
            database.create_function("EXP", 1, math.exp)
        frame.to_sql(table, database, index=False)
        return pd.read_sql(query, database)


def test_sql_and_points_are_the_model_on_every_row():
    X_raw, y = TABLE[[field.name for field in CONTRACT.fields]], target(TABLE, CONTRACT)
    model, X = fit(CONTRACT, X_raw, y)
    places = domain(CONTRACT)
    drawn = places.frame(golden_codes(places))
    frame = pd.concat([X_raw, drawn], ignore_index=True)
    coded = sql.to_sql(model, CONTRACT.taking_blanks())
    answers = run_sql(coded, frame, "applications")
    expected = model.predict_proba(frame)[:, 1]
    assert list(answers) == [*frame, "log_odds", "points", "probability_of_good"]
    assert np.abs(answers.probability_of_good - expected).max() < 1e-9
    odds = expected / (1 - expected)
    # 600 points at 50:1, 20 more for twice the odds
    assert np.abs(answers.points - (600 + 20 * np.log2(odds / 50))).max() < 1e-9
    table = scorecard.scorecard(model, CONTRACT, X=X, y=y)
    assert list(table.field.unique()) == list(X_raw)
    by_field = table.groupby("field")
    assert (by_field.applicants.sum() == 1000).all()
    assert np.allclose((table.bad_rate * table.applicants).groupby(table.field).sum(), 300)
    best, worst = by_field.points.max().sum(), by_field.points.min().sum()
    assert answers.points.max() <= best + 1e-9 and answers.points.min() >= worst - 1e-9
    checking = table[table.field == "Checking account"].set_index("bin")
    assert checking.applicants.to_dict() == {
        "little": 274,
        "moderate": 269,
        "rich": 63,
        "200 DM or more or salary account": 394,
    }
    # a page writes codes with their words, and large numbers with separators
    read = dict(zip(table.bin, scorecard.bins_to_read(model, CONTRACT), strict=True))
    assert read["3"] == "3: highly qualified, self-employed or manager"
    (last,) = (text for name, text in read.items() if name.endswith("to 50000 DM"))
    assert last.endswith(" to 50,000 DM") and read["little"] == "little"
    stored = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    assert (stored.predict_proba(frame)[:, 1] == expected).all()
    # As applicants state it, missing is a level with a name, and a blank gets no score.
    query, stated = sql.to_sql(model, CONTRACT), as_stated(frame, CONTRACT)
    by_name = run_sql(query, stated, "applications")
    pd.testing.assert_series_equal(by_name.log_odds, answers.log_odds)
    unanswered = run_sql(query, frame, "applications").points.isna()
    assert (unanswered == frame.isna().any(axis=1)).all() and 0 < unanswered.sum() < len(frame)
    # What else the contract does not allow gets none either.
    odd = frame.head(3).assign(Age=[17, 35, 35], Purpose=["car", "yacht", None])
    assert run_sql(sql.to_sql(model, CONTRACT), odd, "applications").points.isna().all()


def test_a_blank_that_counts_as_the_worst_gets_the_fewest_points():
    X_raw, y = TABLE[[field.name for field in CONTRACT.fields]], target(TABLE, CONTRACT)
    model, _ = fit(CONTRACT, X_raw, y)
    fields = [
        field if field.required else replace(field, missing_means="worst", missing_label=None)
        for field in CONTRACT.fields
    ]
    query = sql.to_sql(model, replace(CONTRACT, fields=tuple(fields)))
    found = run_sql(query, X_raw, "applications").probability_of_good
    worst = X_raw.fillna({"Saving accounts": "little", "Checking account": "little"})
    assert np.abs(found - model.predict_proba(worst)[:, 1]).max() < 1e-9


@pytest.fixture(scope="module")
def tiny():
    """Forty applicants of level x's, 30 good; twenty of level y, 10 good; N tells nothing."""
    package = {
        "title": "tiny",
        "sources": [{"title": "made up"}],
        "licenses": [{"title": "none"}],
        "resources": [
            {
                "target": {"field": "Risk", "positive": "good"},
                "schema": {
                    "fields": [
                        {
                            "name": 'a "group"',
                            "type": "string",
                            "constraints": {"required": True, "enum": ["x's", "y"]},
                        },
                        {
                            "name": "N",
                            "type": "integer",
                            "unit": "coins",
                            "constraints": {"required": True, "minimum": 1, "maximum": 100},
                        },
                        {
                            "name": "Risk",
                            "type": "string",
                            "constraints": {"required": True, "enum": ["good", "bad"]},
                        },
                    ]
                },
            }
        ],
    }
    contract = parse_contract(package)
    frame = pd.DataFrame(
        {
            'a "group"': ["x's"] * 30 + ["y"] * 10 + ["x's"] * 10 + ["y"] * 10,
            "N": [10, 20, 30, 40] * 15,
        }
    )
    y = pd.Series([1] * 40 + [0] * 20)
    return (contract, frame, y, *fit(contract, frame, y))


def test_points_of_a_card_worked_out_by_hand(tiny):
    contract, frame, y, model, X = tiny
    table = scorecard.scorecard(model, contract, X=X, y=y)
    # Quartiles of N lie at 17.5, 25 and 32.5.
    assert table.bin.tolist() == [
        "x's",
        "y",
        "1 to 17 coins",
        "18 to 24 coins",
        "25 to 32 coins",
        "33 to 100 coins",
    ]
    assert table.applicants.tolist() == [40, 20, 15, 15, 15, 15]
    assert table.bad_rate.tolist() == [10 / 40, 10 / 20, *[5 / 15] * 4]
    # 40 of 60 are good: odds 2. With 20 average applicants added, x's has 30 + 40/3 good of 60,
    # odds 2.6, and y has 10 + 40/3 of 40, odds 1.4; N has 10 + 40/3 of 35 everywhere, odds 2.
    assert table.woe.tolist() == pytest.approx([math.log(1.3), math.log(0.7), 0, 0, 0, 0])
    # One unit of the regression's log-odds is 20 / ln 2 points, and 487.12 points are odds of 1:1.
    regression = model["decide"].estimator_["regression"]
    weight = dict(zip(["N", "group"], regression.coef_[0]))["group"]
    base = regression.intercept_[0] + regression.coef_[0].sum() * math.log(2)
    half = (487.1228762045055 + 20 / math.log(2) * base) / 2
    by_hand = [half + 20 * weight * math.log2(share) for share in (1.3, 0.7, 1, 1, 1, 1)]
    assert table.points.tolist() == pytest.approx(by_hand, abs=1e-9)
    other = scorecard.scorecard(model, contract, scorecard.Scale(0, 1, math.log(2)))
    log_odds = np.log(np.divide(*model.predict_proba(frame.head(1))[0, ::-1]))
    assert other.points[[0, 2]].sum() == pytest.approx(log_odds)


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_value_so_frequent_that_a_quarter_begins_and_ends_there_is_a_bin_of_its_own(kind):
    """Terms of 6, 12, 24 and 36 months: quartiles at 12, 24 and 24, so that 24 is one of them."""
    term = {"name": "Term", "type": kind, "unit": "months", "constraints": {"required": True}}
    ending = {
        "name": "Risk",
        "type": "string",
        "constraints": {"required": True, "enum": ["good", "bad"]},
    }
    package = {"title": "terms", "sources": [{"title": "made up"}], "licenses": [{"title": "none"}]}
    described = {
        "target": {"field": "Risk", "positive": "good"},
        "schema": {"fields": [term, ending]},
    }
    contract = parse_contract(package | {"resources": [described]})
    # 20 of 6 months, 25 of 12, 46 of 24 and 9 of 36; good are 18, 15, 40 and 3 of them
    counts, good = {6: 20, 12: 25, 24: 46, 36: 9}, {6: 18, 12: 15, 24: 40, 36: 3}
    frame = pd.DataFrame({"Term": np.repeat([*counts], [*counts.values()])})
    frame = frame.astype("int64" if kind == "integer" else float)
    y = pd.Series(np.concatenate([np.arange(counts[n]) < good[n] for n in counts]).astype(int))
    model, X = fit(contract, frame, y)
    table = scorecard.scorecard(model, contract, X=X, y=y).set_index("bin")
    assert table.applicants["24 months"] == 46 and table.applicants.sum() == 100
    assert table.bad_rate["24 months"] == pytest.approx(6 / 46)
    tried = frame.drop_duplicates().Term.to_numpy()
    beside = [tried - 1, tried + 1] + [np.nextafter(tried, -np.inf)] * (kind == "number")
    everything = pd.DataFrame({"Term": np.concatenate([tried, *beside]).astype(frame.Term.dtype)})
    expected = model.predict_proba(everything)[:, 1]
    found = run_sql(sql.to_sql(model, contract), everything, "applications")
    assert np.abs(found.probability_of_good - expected).max() < 1e-9
    fast = make_scorer(model, contract)
    assert fast.fast and np.abs(fast.probabilities(everything) - expected).max() < 1e-12


def test_columns_may_have_the_names_of_the_answers_or_differ_in_case_alone():
    """Forty of level x, 30 good, and twenty of y, 10 good; the other columns say nothing."""
    names = ["Log_Odds", "log_odds", "points", "model_log_odds"]
    fields = [{"name": n, "type": "string", "constraints": {"enum": ["x", "y"]}} for n in names]
    fields.append({"name": "end", "type": "string", "constraints": {"enum": ["good", "bad"]}})
    fields = [each | {"title": each["name"]} for each in fields]
    for each in fields:
        each["constraints"]["required"] = True
    package = json.loads((ROOT / "data/raw/datapackage.json").read_text("utf-8"))
    kept = {"name": "loans", "path": "loans.csv", "costs": {"badAccepted": 5, "goodRejected": 1}}
    table = kept | {"target": {"field": "end", "positive": "good"}, "schema": {"fields": fields}}
    contract = parse_contract(package | {"resources": [table]}, "here")
    frame = pd.DataFrame({n: np.tile(["x", "y", "x"], 20) for n in names})
    frame["log_odds"], frame["points"] = ["x"] * 40 + ["y"] * 20, ["y"] * 30 + ["x"] * 30
    y = pd.Series([1] * 30 + [0] * 10 + [1] * 10 + [0] * 10)
    model, _ = fit(contract, frame, y)
    apart = sql.names_apart(contract)
    assert apart == {"log_odds": "log_odds 2"}
    query = sql.to_sql(model, contract, names=apart)
    found = run_sql(query, frame.rename(columns=apart), "applications")
    answers = ["model_model_log_odds", "model_points", "probability_of_good"]
    assert list(found) == ["Log_Odds", "log_odds 2", "points", "model_log_odds", *answers]
    expected = model.predict_proba(frame)[:, 1]
    assert np.abs(found.probability_of_good - expected).max() < 1e-9
    assert '"log_odds 2"' not in sql.to_sql(model, contract)  # as in PostgreSQL


def test_names_and_text_are_escaped_and_the_table_is_written(tiny, tmp_path):
    contract, frame, _, model, _ = tiny
    query = sql.to_sql(model, contract, 'my "table"; drop')
    found = run_sql(query, frame, 'my "table"; drop').probability_of_good
    assert np.abs(found - model.predict_proba(frame)[:, 1]).max() < 1e-9
    table = scorecard.scorecard(model, contract)
    scorecard.write_csv(table, tmp_path / "card.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "card.csv"), table, check_dtype=False)


def test_another_model_has_no_points(tiny):
    contract, frame, y, *_ = tiny
    forest, _ = fit(contract, frame, y, "Random Forest")
    with pytest.raises(ValueError, match="a Pipeline is no WoE scorecard"):
        scorecard.scorecard(forest, contract)
