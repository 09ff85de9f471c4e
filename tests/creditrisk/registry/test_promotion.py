"""What goes into production, on whose word, and how a challenger meets what is there."""

import json
import os
import shutil
import sqlite3
import warnings

import pytest
from conftest import ROOT

from creditrisk import cli
from creditrisk.data.descriptor import read_contract
from creditrisk.data.encoding import encoder, target
from creditrisk.data.raw_files.reading import read_raw
from creditrisk.modelling import candidates
from creditrisk.registry import gate_result, mlflow_store, promotion, training_rows
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.validation.gate import incumbent, verdicts

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")
TABLE = read_raw(ROOT / "data/raw/german_credit_data.csv", CONTRACT)
MODEL = "Credit_Risk_Model"
RAW, GOOD = TABLE.drop(columns=CONTRACT.target.name), target(TABLE, CONTRACT)


@pytest.fixture(scope="module")
def store(tmp_path_factory, empty_store):
    """A registry: 1 and 2 alike but for the training rows, 3 of a contract without Age."""
    import mlflow

    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")
        environment.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; at the end it is as before
        shutil.copy(empty_store, folder / "mlflow.db")
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
