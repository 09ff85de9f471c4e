"""Who may go into production: groups, rules, and the record of every promotion."""

import json
import os
import sqlite3
import warnings

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from creditrisk import cli
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.metrics.calibration import CalibrationLine
from creditrisk.metrics.costs import Saving, saving_interval
from creditrisk.metrics.intervals import Interval, share_interval
from creditrisk.modelling import candidates
from creditrisk.registry import gate_result, mlflow_store, promotion, training_rows
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.validation import model_card
from creditrisk.validation.fairness import disparity
from creditrisk.validation.gate import incumbent, verdicts
from creditrisk.validation.gate import rules as gate_rules

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)
MODEL = "Credit_Risk_Model"
RAW, GOOD = TABLE.drop(columns=CONTRACT.target.name), target(TABLE, CONTRACT)


# --- groups ---------------------------------------------------------------------------------


def test_groupings_follow_from_the_contract():
    groups = disparity.groupings(RAW, CONTRACT)
    assert list(groups) == ["Age", "Sex", "Age and Sex"]
    # 190 applicants are 25 or younger; counted in the file with another tool
    assert groups["Age"].value_counts().to_dict() == {"age over 25": 810, "age to 25": 190}
    assert groups["Sex"].value_counts().to_dict() == {"male": 690, "female": 310}
    assert groups["Age and Sex"].value_counts().sum() == 1000
    assert (groups["Age and Sex"][RAW.Age == 25].str.startswith("age to 25, ")).all()


def test_rates_by_group_by_hand():
    # 20 a: 10 good (6 approved), 10 bad (2 approved); 12 b: 12 good (3 approved), no bad; 4 c
    group = pd.Series(["a"] * 20 + ["b"] * 12 + ["c"] * 4)
    y = np.array([1] * 10 + [0] * 10 + [1] * 12 + [1, 0, 1, 0])
    approve = np.array([1] * 6 + [0] * 4 + [1] * 2 + [0] * 8 + [1] * 3 + [0] * 9 + [1] * 4) == 1
    score = np.linspace(0.1, 0.9, 36)
    table = disparity.by_group(y, score, approve, group)
    assert table.index.to_list() == ["a", "b", "c"]  # largest first
    a = table.loc["a"]
    assert (a.applicants, a.bad, a.approved, a.tpr, a.fpr) == (20, 10, 8 / 20, 6 / 10, 2 / 10)
    assert a.roc_auc == 0 and a.observed == 0.5  # the good have the lowest ten scores
    assert a.tpr_low < a.tpr < a.tpr_high
    assert table.note["b"] == "only good risks" and table.approved["b"] == 3 / 12
    assert table.loc["b", ["fpr", "roc_auc"]].isna().all()
    assert table.note["c"] == "too few: 2 good, 2 bad" and np.isnan(table.approved["c"])

    ratios = disparity.impact_ratios(approve, group)
    # b against a: (3/12) / (8/20); ln ratio +- 1.96 sqrt(1/3 - 1/12 + 1/8 - 1/20); c is too small
    half = 1.959964 * np.sqrt(1 / 3 - 1 / 12 + 1 / 8 - 1 / 20)
    assert ratios.against.to_dict() == {"b": "a"}
    assert ratios.ratio["b"] == pytest.approx(0.625)
    assert ratios.low["b"] == pytest.approx(0.625 * np.exp(-half), rel=1e-5)
    assert ratios.high["b"] == pytest.approx(0.625 * np.exp(half), rel=1e-5)


@pytest.mark.parametrize("approved", [0, 1])
def test_one_decision_for_all_is_no_disparity_and_no_crash(approved):
    group = pd.Series(["a"] * 15 + ["b"] * 15)
    decided = np.full(30, approved == 1)
    table = disparity.by_group(np.tile([0, 1], 15), np.full(30, 0.5), decided, group)
    assert (table.approved == approved).all() and table.roc_auc.isna().all()
    ratios = disparity.impact_ratios(decided, group)
    assert ratios.ratio.to_list() == ([1.0] if approved else [])


def test_a_group_that_is_never_approved_has_the_ratio_zero():
    group = pd.Series(["a"] * 15 + ["b"] * 15)
    ratios = disparity.impact_ratios(group.to_numpy() == "a", group)
    # Wilson's upper bound of 0 of 15 is z²/(15 + z²), over an approval rate of 1
    assert ratios.loc["b", ["ratio", "low"]].to_list() == [0, 0]
    assert ratios.high["b"] == pytest.approx(3.841459 / 18.841459)


# --- rules ----------------------------------------------------------------------------------

SURE, UNSURE = Interval(0.76, 0.68, 0.84), Interval(0.55, 0.47, 0.63)


def slope(low, high):
    """A calibration line whose slope has these ends of its 95 % interval."""
    return CalibrationLine(Interval((low + high) / 2, low, high), Interval(0, -1, 1))


def saved(low, high):
    return Saving(Interval((low + high) / 2, low, high), "approving nobody")


def ratio(estimate, low, high):
    return pd.Series({"against": "men", "ratio": estimate, "low": low, "high": high}, name="women")


RULES = [
    (gate_rules.better_than_chance(SURE, UNSURE)[0], "passed"),
    (gate_rules.better_than_chance(SURE, UNSURE)[1], "stop"),
    (gate_rules.better_than_chance(UNSURE, SURE)[0], "stop"),
    (gate_rules.better_than_base_rate(Interval(0.02, -0.001, 0.04)), "stop"),
    (gate_rules.not_too_good(SURE, 0.95), "passed"),
    (gate_rules.not_too_good(Interval(1.0, 1.0, 1.0), 0.95), "stop"),
    # equivalence: the 90 % interval is 1.6449/1.9600 = .839 times as wide as that of 95 %, so that
    # 1 +- .23 becomes 1 +- .193 and lies within .8 and 1.25, and 1 +- .25 becomes 1 +- .2098
    (gate_rules.calibrated(slope(0.77, 1.23), 1.25), "passed"),
    (gate_rules.calibrated(slope(0.75, 1.25), 1.25), "warning"),
    (gate_rules.calibrated(slope(0.7, 1.5), 1.25), "warning"),  # a small sample shows nothing
    (gate_rules.calibrated(slope(0.4, 0.81), 1.25), "warning"),
    (gate_rules.calibrated(slope(0.4, 0.79), 1.25), "stop"),
    (gate_rules.calibrated(slope(1.26, 2.7), 1.25), "stop"),
    (gate_rules.calibrated(CalibrationLine(None, None, "not defined"), 1.25), "not judged"),
    (gate_rules.same_data("a" * 64, "a" * 64), "passed"),
    (gate_rules.same_data("a" * 64, "b" * 64), "stop"),
    (gate_rules.approves_enough(Interval(0.05, 0.03, 0.09), 0.05), "passed"),
    (gate_rules.approves_enough(Interval(0.01, 0.00, 0.04), 0.05), "stop"),
    (gate_rules.saves(saved(0.01, 0.2), True), "passed"),
    (gate_rules.saves(saved(-0.16, 0.16), False), "warning"),
    (gate_rules.saves(saved(-0.16, 0.16), True), "waits for approval"),
    (gate_rules.saves(saved(-0.3, -0.01), False), "stop"),
    (gate_rules.saves(saved(-0.3, -0.01), True), "stop"),
    (gate_rules.fair(ratio(0.8, 0.6, 1.1), "no column is protected", 0.8, True)[0], "passed"),
    (gate_rules.fair(ratio(0.7, 0.5, 0.9), "the groups are too small", 0.8, False)[0], "warning"),
    (gate_rules.fair(ratio(0.7, 0.5, 0.9), "the groups are too small", 0.8, True)[0], "stop"),
    (gate_rules.fair("no column is protected", ratio(0.7, 0.5, 0.9), 0.8, False)[1], "warning"),
    (gate_rules.fair("no column is protected", ratio(0.7, 0.5, 0.9), 0.8, True)[1], "stop"),
    (gate_rules.fair("no column is protected", ratio(1, 0.5, 2), 0.8, True)[0], "not judged"),
    (incumbent.not_worse(Interval(-0.05, -0.09, -0.01), 1, 0.0), "stop"),
    (incumbent.not_worse(Interval(-0.05, -0.09, -0.01), 1, 0.02), "passed"),
    (incumbent.not_worse(Interval(-0.05, -0.11, 0.01), 1, 0.0), "passed"),
    (incumbent.not_dearer(Interval(0.1, 0.02, 0.2), 1, 0.0), "stop"),
    (incumbent.not_dearer(Interval(0.1, 0.02, 0.2), 1, 0.05), "passed"),
]


@pytest.mark.parametrize(("rule", "verdict"), RULES)
def test_rules_at_their_edges(rule, verdict):
    assert rule.verdict == verdict and rule.name and rule.figure
    assert rule.why.endswith(".") and rule.why.count(". ") == 0  # one sentence


def test_a_slope_that_is_not_shown_says_on_which_side_it_lies():
    small = gate_rules.calibrated(slope(0.6, 1.4), 1.25).figure
    assert small.startswith(
        "slope 1.00, 90 % interval 0.66 to 1.34; allowed 0.80 to 1.25, not shown"
    )
    assert gate_rules.calibrated(slope(0.4, 0.9), 1.25).figure.endswith("95 % interval overlaps")


def test_a_model_that_lends_to_next_to_nobody_is_stopped():
    # 200 applicants, 60 bad; two are approved, both good: cost (140 - 2) / 200 = .69, and .70 if
    # nobody is approved. A bad loan costs 30, so approving everybody would cost 9.
    y = np.array([1] * 140 + [0] * 60)
    score = np.r_[0.99, 0.98, np.linspace(0.9, 0.3, 138), np.linspace(0.6, 0.1, 60)]
    saving = saving_interval(y, score, 0.95, 30, 1, draws=400, seed=1)
    assert saving.over == "approving nobody"
    assert saving.per_applicant.estimate == pytest.approx(0.01)
    # in a sample the two good ones occur 0, 1, 2 ... times, each of which saves 1/200
    assert saving.per_applicant.low == 0 and saving.per_applicant.high == pytest.approx(0.025)
    saves = gate_rules.saves(saving, require=False)
    assert saves.verdict == "warning" and "not distinguishable" in saves.figure
    enough = gate_rules.approves_enough(share_interval(2, 200), 0.05)
    assert enough.verdict == "stop" and enough.figure.startswith("1.0% approved, at least 5.0%")
    assert not verdicts.decide([saves, enough], 1).promotes


def test_saving_is_paired_and_against_the_cheaper_rule():
    # 10 good, 10 bad at prices 1 and 1: either rule costs .5; a model that is right costs nothing,
    # in every sample; one that is always wrong costs 1, and stops
    y = np.array([1] * 10 + [0] * 10)
    right = saving_interval(y, y.astype(float), 0.5, 1, 1, draws=50, seed=1).per_applicant
    assert (right.low, right.estimate, right.high) == (0.5, 0.5, 0.5)
    wrong = saving_interval(y, 1.0 - y, 0.5, 1, 1, draws=50, seed=1)
    assert gate_rules.saves(wrong, require=False).verdict == "stop"
    cheap = saving_interval(y, 1.0 - y, 0.5, 1, 9, draws=50, seed=1)
    assert cheap.over == "approving everybody" and cheap.per_applicant.estimate == 0.5 - 5


def test_equal_opportunity_looks_at_good_applicants_alone():
    # men: 20 good, all approved, 20 bad, none; women: 10 good, 5 approved, 30 bad, none. All
    # approved: 5/40 over 20/40 = .25; of the good: 5/10 over 20/20 = .5
    group = pd.Series(["men"] * 40 + ["women"] * 40)
    y = np.array([1] * 20 + [0] * 20 + [1] * 10 + [0] * 30)
    approve = np.array([1] * 20 + [0] * 20 + [1] * 5 + [0] * 35) == 1
    groups = {"Sex": group}
    by_group, ratios = disparity.audit(y, y * 0.5, approve, groups)
    of_good = disparity.opportunity_ratios(y, approve, groups)
    lowest = [disparity.lowest_ratio(each, by_group, approve) for each in (ratios, of_good)]
    assert [each.ratio for each in lowest] == [0.25, 0.5]
    rules = gate_rules.fair(*lowest, 0.4, True)
    assert [rule.verdict for rule in rules] == ["stop", "passed"]

    # with nothing protected neither rule is broken
    nothing = disparity.audit(y, y * 0.5, approve, {})
    none = disparity.opportunity_ratios(y, approve, {})
    lowest = [disparity.lowest_ratio(each, nothing[0], approve) for each in (nothing[1], none)]
    rules = gate_rules.fair(*lowest, 0.8, True)
    assert {rule.verdict for rule in rules} == {"not judged"}
    assert verdicts.decide(rules, 1).sentence.startswith("Version 1 passed the gate. Not judged: “")


def rule(name, verdict):
    return verdicts.Rule(name, "a figure", verdicts.Verdict(verdict), "A reason.")


def test_decision_names_what_stops_and_what_stays():
    stop, warn = rule("is good", "stop"), rule("is kind", "warning")
    waits, open_ = rule("saves", "waits for approval"), rule("is old", "not judged")
    decided = verdicts.decide([warn, stop, open_], 4)
    assert not decided.promotes and decided.sentence == (
        "Version 4 did not pass the gate: it breaks the rule “is good”. "
        "1 warning, for what is not kept or not shown: “is kind”. Not judged: “is old”."
    )
    assert verdicts.decide([open_, rule("is new", "passed")], 4).promotes
    assert verdicts.decide([], 4).sentence == "Version 4 passed the gate."
    assert verdicts.decide([warn, open_], 4).headline == "Version 4 passed the gate with 1 warning."
    assert verdicts.decide([], 4).headline == "Version 4 passed the gate."
    assert decided.headline.endswith("it breaks the rule “is good”.")
    assert verdicts.decide([warn, stop, stop], 4).outcome == "stopped by 2 rules, 1 warning"
    assert verdicts.decide([stop], 4).outcome == "stopped by 1 rule"
    assert verdicts.decide([warn, warn], 4).outcome == "passed, 2 warnings"

    held = verdicts.decide([waits, warn], 4)
    assert not held.promotes and held.outcome == "waits for approval, 1 warning"
    assert (
        "waits for the approval of a named person" in held.sentence and "“saves”" in held.sentence
    )
    approved = verdicts.decide([waits], 4, "Jane Doe", "a pilot")
    assert approved.promotes and approved.outcome == "approved by Jane Doe"
    assert "approved by Jane Doe (a pilot)" in approved.sentence and approved.reason == "a pilot"
    assert not verdicts.decide([waits, stop], 4, "Jane Doe", "a pilot").promotes
    assert held.record["rules"][0] == {
        "rule": "saves",
        "figure": "a figure",
        "verdict": "waits for approval",
        "why": "A reason.",
    }
    for name, reason, named in (("Jane", " ", "approval_reason"), ("", "a pilot", "approved_by")):
        with pytest.raises(ValueError, match=f"{named} is empty"):
            verdicts.decide([waits], 4, name, reason)


# --- a registry with three versions -----------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A registry: 1 and 2 alike but for the training rows, 3 of a contract without Age."""
    import mlflow

    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.delenv("MLFLOW_TRACKING_URI", raising=False)
        client = mlflow_store.connect(folder / "mlflow.db")
        package = json.loads(json.dumps(CONTRACT.package))
        fields = package["resources"][0]["schema"]["fields"]
        package["resources"][0]["schema"]["fields"] = [f for f in fields if f["name"] != "Age"]
        mixes = package["resources"][0]["mixes"]
        package["resources"][0]["mixes"] = [mix for mix in mixes if mix["field"] != "Age"]
        (folder / "other.json").write_text(json.dumps(package), "utf-8")
        other = read_contract(folder / "other.json")
        for contract, rows in (
            (CONTRACT, slice(0, 500)),
            (CONTRACT, slice(0, 400)),
            (other, slice(0, 500)),
        ):
            raw = RAW[[field.name for field in contract.fields]].iloc[rows]
            pipeline = candidates.decision_model(
                encoder(contract), candidates.estimator("Logistic Regression", contract, 7), 0.7
            )
            pipeline["decide"].fit(pipeline["encode"].transform(raw), GOOD.iloc[rows])
            with mlflow.start_run():
                tags = {"training_sha256": f"rows {rows.stop}"} | training_rows.track(raw)
                mlflow_store.register(client, pipeline, contract, raw.head(2), "", tags)
        yield client, folder
        mlflow.set_tracking_uri(before)


def aliases(client):
    return {
        name: int(v) for name, v in client.get_registered_model("Credit_Risk_Model").aliases.items()
    }


def test_promotion_and_rollback_leave_a_record(store, capsys, monkeypatch):
    client, folder = store
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself has set
    assert cli.main(["rollback", "--reason", "x"]) == 1
    assert "no version of Credit_Risk_Model has the alias previous" in capsys.readouterr().err
    assert cli.main(["history"]) == 0 and "nothing was ever" in capsys.readouterr().out

    assert cli.main(["promote", "1", "--reason", "first"]) == 0
    assert cli.main(["promote", "2", "--reason", "fewer rows"]) == 0
    assert aliases(client) == {"challenger": 3, "production": 2, "previous": 1}
    assert "it was never validated" in capsys.readouterr().out
    assert cli.main(["promote", "2", "--reason", "again"]) == 0
    assert "in production already" in capsys.readouterr().out
    assert cli.main(["rollback", "--reason", "worse after all"]) == 0
    assert aliases(client) == {"challenger": 3, "production": 1, "previous": 2}

    capsys.readouterr()
    assert cli.main(["history"]) == 0
    told = capsys.readouterr().out.splitlines()
    lines = [
        json.loads(line)
        for line in (folder / "experiments/promotions.jsonl").read_text("utf-8").splitlines()
    ]
    assert [(line["from"], line["to"]) for line in lines] == [(None, 1), (1, 2), (2, 1)]
    assert [line["reason"] for line in lines] == [
        "first",
        "fewer rows",
        "rollback: worse after all",
    ]
    assert all(line["who"] and len(line["artifact_sha256"]) == 64 for line in lines)
    assert (
        promotion.history(client, MODEL) == lines
        and len(told) == 3
        and "version 1 -> version 2" in told[1]
    )


class Killed(BaseException):
    """What no handler catches, as a killed process runs none."""


def killed_at(step, monkeypatch, do, client, *args):
    """Do something until it comes to its write number `step`, counted from 0."""
    done = []

    def until(write):
        def counted(*args, **kwargs):
            done.append(write)
            if len(done) > step:
                raise Killed
            return write(*args, **kwargs)

        return counted

    with monkeypatch.context() as patch, pytest.raises(Killed):
        for name in ("set_model_version_tag", "set_registered_model_alias"):
            patch.setattr(client, name, until(getattr(client, name)))
        patch.setattr(os, "fsync", until(os.fsync))  # the line is in the log, but not safely
        do(client, *args)


def test_what_was_cut_short_is_completed_by_a_second_try(store, tmp_path, capsys, monkeypatch):
    client, folder = store
    log = tmp_path / "promotions.jsonl"
    for number in (2, 1):
        promotion.promote(client, MODEL, number, "for the test")
    old = len(promotion.history(client, MODEL))
    # the writes: what is meant, production, previous, the log, that it is done
    for step in range(5):
        now = aliases(client)
        killed_at(step, monkeypatch, promotion.roll_back, client, MODEL, f"try {step}", log)
        assert bool(promotion.history(client, MODEL)[-1].get("pending")) == (step > 0)
        done = promotion.roll_back(client, MODEL, f"again {step}", log)
        assert aliases(client) == {
            **now,
            "production": now["previous"],
            "previous": now["production"],
        }
        assert (done["from"], done["to"]) == (now["production"], now["previous"])
        assert promotion.history(client, MODEL)[-1] == done
    # before production was moved, a second try is a promotion of its own; after, it completes the
    # first
    record = [
        (entry["reason"].removeprefix("rollback: "), "pending" in entry)
        for entry in promotion.history(client, MODEL)
    ]
    assert record[old:] == [
        ("again 0", False),
        ("try 1", True),
        ("again 1", False),
        ("try 2", False),
        ("try 3", False),
        ("try 4", False),
    ]
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert lines == [
        entry for entry in promotion.history(client, MODEL)[old:] if "pending" not in entry
    ]

    # a rollback after a promotion that was cut short goes back to where that one came from
    now = aliases(client)
    killed_at(2, monkeypatch, promotion.promote, client, MODEL, 3, "x\n2026-01-01 forged", log)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself has set
    capsys.readouterr()
    assert cli.main(["history"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(promotion.history(client, MODEL)) and "cut short" not in told[-2]
    assert "-> version 3 (cut short)  by" in told[-1] and told[-1].endswith(r"x\n2026-01-01 forged")
    assert cli.main(["rollback", "--reason", "x", "--log", str(log)]) == 0
    assert aliases(client) == {**now, "previous": 3}
    assert [entry["to"] for entry in promotion.history(client, MODEL)[-2:]] == [
        3,
        now["production"],
    ]

    # so does a promotion of yet another version: it completes the record that was cut short first
    killed_at(2, monkeypatch, promotion.promote, client, MODEL, 3, "y", log)
    promotion.promote(client, MODEL, now["previous"], "z", log)
    assert aliases(client) == {**now, "production": now["previous"], "previous": 3}
    told = promotion.history(client, MODEL)[-2:]
    assert [(entry["from"], entry["to"], "pending" in entry) for entry in told] == [
        (now["production"], 3, False),
        (3, now["previous"], False),
    ]
    now = aliases(client)

    # what an older rollback left when it was cut short
    client.set_registered_model_alias("Credit_Risk_Model", "previous", str(now["production"]))
    capsys.readouterr()
    assert cli.main(["rollback", "--reason", "x"]) == 1
    assert (
        f"both production and previous point to version {now['production']}"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["promote", "9", "--reason", "x"], "has no version 9"),
        (["promote", "2", "--reason", " "], "say why in words"),
        (["promote", "3", "--reason", "x\n2026-01-01 forged"], "in one line"),
        (["promote", "3", "--reason", "x", "--log", "mlartifacts"], "mlartifacts is not a file"),
        (
            ["promote", "3", "--reason", "x", "--log", "mlflow.db/log"],
            "mlflow.db/log cannot be written",
        ),
        (
            ["promote", "2", "--reason", "x", "--store", "elsewhere.db"],
            "elsewhere.db does not exist",
        ),
    ],
)
def test_what_cannot_be_promoted_changes_nothing(words, said, store, capsys, monkeypatch):
    client, folder = store
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself has set
    before = aliases(client), promotion.history(client, MODEL)
    assert cli.main(words) != 0
    assert (
        said in capsys.readouterr().err
        and (aliases(client), promotion.history(client, MODEL)) == before
    )
    assert not (folder / "elsewhere.db").exists()


@pytest.mark.parametrize("command", [["history"], ["rollback", "--reason", "x"]])
def test_somebody_elses_file_is_no_store_and_stays_as_it_is(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with sqlite3.connect("accounts.db") as database:
        database.execute("create table accounts (id integer)")
    database.close()
    (tmp_path / "empty.db").touch()
    (tmp_path / "notes.txt").write_text("loans\n" * 300, "utf-8")
    (tmp_path / "folder").mkdir()
    before = {path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()}
    for name in before:
        assert cli.main([*command, "--store", name]) != 0
        assert f"{name} cannot be read as a store of MLflow's" in capsys.readouterr().err
    assert {
        path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()
    } == before


def test_a_hostile_level_stays_in_its_cell_of_the_card():
    page = model_card.as_html(
        "# </title><script>x</script> & co\n\n"
        + model_card._table(("by", "note"), [("a\n\n| b", "c")])
    )
    assert "<title>&lt;/title&gt;&lt;script&gt;x&lt;/script&gt; &amp; co</title>" in page
    assert "<td>a | b</td>\n<td>c</td>" in page and page.count("<td>") == 2


def test_a_version_whose_files_are_gone_or_changed_is_not_promoted(store, capsys, monkeypatch):
    client, folder = store
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself has set
    before = aliases(client)
    model_id = client.get_model_version("Credit_Risk_Model", "3").source.rpartition("/")[2]
    [model] = folder.glob(f"mlartifacts/**/{model_id}/artifacts/model.skops")
    content = model.read_bytes()
    for damage, said in (
        (lambda: model.write_bytes(content[:-1]), "sha256 differs"),
        (lambda: [path.unlink() for path in model.parent.iterdir()], "version 3"),
    ):
        kept = {path: path.read_bytes() for path in model.parent.iterdir()}
        damage()
        assert cli.main(["promote", "3", "--reason", "x"]) == 1
        assert said in capsys.readouterr().err and aliases(client) == before
        for path, data in kept.items():
            path.write_bytes(data)


def new_rows(client, holder, applicants, training=RAW.iloc[:0]):
    return training_rows.new_to_both(client, holder, applicants, training, "a new split")


def test_challenger_meets_production_on_the_same_applicants(store):
    client, _folder = store
    rows = slice(500, 1000)
    raw, y = RAW.iloc[rows], GOOD.iloc[rows].to_numpy()
    versions = {n: client.get_model_version("Credit_Risk_Model", str(n)) for n in (1, 2, 3)}
    challenger = load_scorer("models:/Credit_Risk_Model/2")
    how = {"allowed_loss": 0.0, "allowed_cost": 0.0, "draws": 200, "seed": 1}
    all_new = new_rows(client, versions[1], raw)
    assert all_new.all()
    against = incumbent.against_production(versions[1], challenger, raw, y, (5, 1), all_new, **how)
    assert [rule.verdict for rule in against] == ["passed", "passed"]
    ours, theirs = (
        challenger.probabilities(raw),
        load_scorer("models:/Credit_Risk_Model/1").probabilities(raw),
    )
    cost = [
        (5 * ((p >= 0.7) & (y == 0)).sum() + ((p < 0.7) & (y == 1)).sum()) / 500
        for p in (ours, theirs)
    ]
    assert f"{cost[0] - cost[1]:.3f} (" in against[1].figure
    # there is nothing to compare with
    for holder in (None, versions[2]):
        same = incumbent.against_production(holder, challenger, raw, y, (5, 1), all_new, **how)
        assert same == []
    # production was made for other columns: it is not replaced, even if nobody knows whom it has
    # learned from
    [rule] = incumbent.against_production(
        versions[3], challenger, raw, y, (5, 1), "whom is not known", **how
    )
    assert rule.verdict == "stop" and "it lacks Age" in rule.figure
    assert "version 3" in rule.name and "creditrisk promote 2 --approve NAME" in rule.figure
    assert not verdicts.decide([rule], 2).promotes
    # the same columns, and of one of them other values
    narrow = raw.assign(Age=raw.Age.mask(raw.index == raw.index[0], 200))
    [rule] = incumbent.against_production(
        versions[1], challenger, narrow, y, (5, 1), all_new, **how
    )
    assert rule.verdict == "stop" and "Age" in rule.figure


def test_production_is_met_only_on_applicants_that_neither_has_learned_from(store):
    """A test set of another split: production knows most of it by heart."""
    client, _folder = store
    holder = client.get_model_version("Credit_Risk_Model", "1")  # of the rows 0 to 499
    challenger = load_scorer("models:/Credit_Risk_Model/2")
    how = {"allowed_loss": 0.0, "allowed_cost": 0.0, "draws": 100, "seed": 1}
    for rows, count, expected in (
        (slice(341, 541), 41, ["not judged"]),
        (slice(341, 700), 200, ["passed", "passed"]),
    ):
        raw, y = RAW.iloc[rows], GOOD.iloc[rows].to_numpy()
        new = new_rows(client, holder, raw)
        assert new.tolist() == [False] * 159 + [True] * count
        rules = incumbent.against_production(holder, challenger, raw, y, (5, 1), new, **how)
        assert [rule.verdict for rule in rules] == expected
        assert f"{count} applicants" in rules[0].figure and "new to both" in rules[0].figure
    bad = (GOOD.iloc[500:541] == 0).sum()
    few = incumbent.against_production(
        holder, challenger, RAW[341:541], GOOD[341:541].to_numpy(), (5, 1), new[:200], **how
    )
    assert f"only 41 applicants are new to both, {bad} of them bad; 30 good and 30 bad" in (
        few[0].figure
    )
    assert verdicts.decide(few, 2).promotes

    # whom the challenger has learned from is left out too, whatever the outcome
    raw = RAW.iloc[500:700]
    assert new_rows(client, holder, raw, RAW.iloc[600:800]).tolist() == [True] * 100 + [False] * 100
    # missing values and the type of a number change nothing
    alike = RAW.iloc[:500].astype({"Age": float}).where(RAW.iloc[:500].notna(), None)
    assert not new_rows(client, holder, alike).any()
    # the same training files: the same split, and all are new
    assert training_rows.new_to_both(client, holder, alike, alike, "rows 500").all()


def test_what_production_has_learned_from_may_be_unknown(store):
    client, folder = store
    holder = client.get_model_version("Credit_Risk_Model", "1")
    raw, y = RAW.iloc[500:], GOOD.iloc[500:].to_numpy()
    challenger = load_scorer("models:/Credit_Risk_Model/2")
    assert "a column that these applicants lack: Age" in new_rows(
        client, holder, raw.drop(columns="Age")
    )
    [file] = (folder / f"mlartifacts/{holder.run_id}").glob("**/row_hashes.txt")
    content = file.read_bytes()
    file.write_bytes(content[:-17])
    altered = new_rows(client, holder, raw)
    file.unlink()
    gone = new_rows(client, holder, raw)
    file.write_bytes(content)
    holder.tags.pop(training_rows.TAG)
    older = new_rows(client, holder, raw)
    for why, said in (
        (altered, "sha256 differs"),
        (gone, "cannot be fetched"),
        (older, "before versions had a list of their training rows"),
    ):
        [rule] = incumbent.against_production(
            holder,
            challenger,
            raw,
            y,
            (5, 1),
            why,
            allowed_loss=0.0,
            allowed_cost=0.0,
            draws=10,
            seed=1,
        )
        assert rule.verdict == "not judged" and said in rule.figure


@pytest.mark.parametrize("result", ["stopped", "waits for approval"])
def test_what_did_not_pass_is_promoted_only_on_a_named_persons_approval(
    result, store, capsys, monkeypatch, tmp_path
):
    client, folder = store
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself has set
    version = client.get_model_version("Credit_Risk_Model", "2")
    card = tmp_path / "card.md"
    card.write_text("# Card", "utf-8")
    registered = {"model": MODEL, "run_id": version.run_id, "version": 2}
    promotion.promote(client, MODEL, 1, "for the test")

    def validated(result, verdict):
        found = {"test": {"roc_auc": 0.7, "rows": 200}, "verdict": verdict, "result": result}
        gate_result.record_validation(client, registered, found, [str(card)])

    validated(result, "Version 2 breaks “is good”.")
    before = aliases(client), promotion.history(client, MODEL)
    log = ["--log", str(tmp_path / "promotions.jsonl")]
    assert cli.main(["promote", "2", "--reason", "x", *log]) == 1
    said = capsys.readouterr().err
    assert "(Version 2 breaks “is good”.)" in said and "--approve NAME" in said
    assert cli.main(["promote", "2", "--reason", "x", "--approve", " ", *log]) == 2
    assert "give the name of a person" in capsys.readouterr().err
    assert (aliases(client), promotion.history(client, MODEL)) == before

    assert cli.main(["promote", "2", "--approve", "Jane Doe", "--reason", "a pilot", *log]) == 0
    assert "version 2 is in production, approved by Jane Doe" in capsys.readouterr().out
    [line] = (tmp_path / "promotions.jsonl").read_text("utf-8").splitlines()
    entry = json.loads(line)
    assert entry == promotion.history(client, MODEL)[-1]
    assert (entry["approved_by"], entry["reason"], entry["gate"]) == ("Jane Doe", "a pilot", result)
    assert cli.main(["history"]) == 0
    assert ", approved by Jane Doe: a pilot" in capsys.readouterr().out.splitlines()[-1]

    # what is in production already is no promotion, and a rollback asks no gate again
    assert cli.main(["promote", "2", "--reason", "again", *log]) == 0
    assert cli.main(["rollback", "--reason", "x", *log]) == 0
    assert cli.main(["rollback", "--reason", "y", *log]) == 0 and aliases(client)["production"] == 2
    validated("passed", "Version 2 passed the gate.")
    described = client.get_model_version("Credit_Risk_Model", "2").description
    note = client.get_run(version.run_id).data.tags["mlflow.note.content"]
    assert described == note == "\n\n**Gate**: Version 2 passed the gate.", "and no earlier verdict"
    assert cli.main(["promote", "1", "--reason", "back", *log]) == 0
    assert cli.main(["promote", "2", "--reason", "passed", *log]) == 0
