"""A portfolio in, decisions out: every row once, in the API's words."""

import ast
import errno
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from portfoliofiles import content, write
from published import ONE, TWO, publish, put, trained

from creditrisk import cli
from creditrisk.data.applications.frame_codes import as_stated
from creditrisk.data.applications.record_checks import record_problems
from creditrisk.data.descriptor import read_contract
from creditrisk.modelling import candidates
from creditrisk.portfolio.decisions import score_part
from creditrisk.portfolio.job import RUN, FailedPart, Job, Part, Refused
from creditrisk.portfolio.output import Hashed, Store
from creditrisk.portfolio.reader import csv_rows, table
from creditrisk.portfolio.scoring import score
from creditrisk.scoring.fast_path import golden_codes
from creditrisk.scoring.scorer import Scorer
from creditrisk.scoring.sources.loading import load_scorer

CONTRACT = read_contract(ROOT / "data/raw/datapackage.json")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(publish(tmp_path_factory.mktemp("batch") / "models", "Random Forest", 3))


@pytest.fixture(scope="module")
def light(tmp_path_factory) -> str:
    """A model that takes no time to load."""
    return str(publish(tmp_path_factory.mktemp("light") / "models", "Logistic Regression", 4))


@pytest.fixture(scope="module")
def scorer(model) -> Scorer:
    return load_scorer(model)


@pytest.fixture(scope="module")
def applications(scorer) -> pd.DataFrame:
    """Applications all over the contract, numbered."""
    frame = as_stated(scorer.domain.frame(golden_codes(scorer.domain)), CONTRACT)
    frame.insert(0, "id", np.arange(len(frame)) + 1000)
    return frame


def test_decisions_are_the_scorers_to_the_last_bit_from_every_kind_of_file(
    tmp_path, model, scorer, applications, capsys
):
    source, out, n = tmp_path / "in", tmp_path / "out", len(applications)
    kinds = {
        "day=1/a.parquet": applications[:100],
        "day=2/a.parquet": applications[100:200]
        .astype({"Purpose": "category", "Age": "float64", "Job": "int8"})
        .assign(Branch="x"),
        "one.parquet": applications[200:201],
        "two.parquet": applications[201:203],
        "none.parquet": applications[:0],
    }
    for name, rows in kinds.items():
        write(rows, source / name)
    csv = {
        "three.csv": applications[203:206],
        "more.csv": applications[206:],
        "nothing.csv": applications[:0],
    }
    for name, rows in csv.items():
        rows.to_csv(source / name, index=False, na_rep="NA")
    (source / "_notes.csv").write_text("none of ours")

    assert cli.main(["score", str(source), str(out), "--models", model, "--workers", "1"]) == 0

    told = capsys.readouterr().out
    assert f"{n:,} rows in 8 files = {n:,} scored + 0 rejected" in told
    assert "passed over: 'Branch'" in told
    assert sorted(content(out)) == sorted([*kinds, *(f"{name}.parquet" for name in csv)])
    parts = [pd.read_parquet(out / name, partitioning=None) for name in content(out)]
    found = pd.concat([part.astype({"id": "int64"}) for part in parts if len(part)])
    found = found.sort_values("id")
    records = records_of(applications)
    expected = scorer.score(records)
    # One by one, as one application comes to the API.
    assert expected == [scorer.score(record)[0] for record in records]
    assert found.id.tolist() == applications.id.tolist()
    assert found.probability.tolist() == [each.probability for each in expected]
    assert found.decision.tolist() == [each.decision for each in expected]
    assert found.prediction.tolist() == [each.prediction for each in expected]
    assert {*found.model_version} == {3} and {*found.model_sha256} == {scorer.sha256}
    books = json.loads((out / "_manifest.json").read_text())
    assert books["approved"] == sum(found.prediction) and books["model"]["cutoff"] == 0.7


def test_reasons_are_the_scorers(tmp_path, model, scorer, applications):
    few = write(applications[:9], tmp_path / "few.parquet")
    score(str(few), str(tmp_path / "out"), model, reasons=True)
    found = pd.read_parquet(tmp_path / "out/few.parquet").reasons
    told = [[(each["field"], each["words"], each["effect"]) for each in row] for row in found]
    expected = scorer.score(records_of(applications[:9]), reasons=True)
    assert any(told)
    assert told == [[(r.field, r.words, r.effect) for r in each.reasons] for each in expected]


def test_quantities_beyond_those_of_training_are_named(tmp_path):
    ranges = {"Age": [19, 75], "Credit amount": [250, 18424], "Duration": [4, 72]}
    estimator = candidates.estimator("Logistic Regression", CONTRACT, 7)
    model = str(put(tmp_path / "models", trained(estimator), 1, training_ranges=ranges))
    ends = ONE | {"Age": 19, "Credit amount": 18424, "Duration": 72}
    rows = [ends, ends | {"Credit amount": 18425}, TWO, ONE | {"Age": 76, "Duration": 73}]
    frame = pd.DataFrame(rows)
    write(frame, tmp_path / "in/all.parquet")
    frame.to_csv(tmp_path / "in/text.csv", index=False)
    write(frame[:1], tmp_path / "in/within.parquet")
    score(str(tmp_path / "in"), str(tmp_path / "out"), model, workers=1)
    found = [pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert [each.outside_training.tolist() for each in found] == [
        ["", "Credit amount", "", "Age;Duration"],
        ["", "Credit amount", "", "Age;Duration"],
        [""],
    ]
    told = load_scorer(model).score(rows)
    assert [";".join(each.outside) for each in told] == found[0].outside_training.tolist()


def records_of(applications: pd.DataFrame) -> list[dict]:
    """Applications as JSON gives them."""
    rows = applications.drop(columns="id").astype(object).to_dict("records")
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()} for row in rows
    ]


BAD = [  # field, cell, whether a Parquet column holds such a value beside good ones
    ("Age", 17),
    ("Age", 35.5),
    ("Age", None),
    ("Age", float("inf")),
    ("Credit amount", -1),
    ("Credit amount", 2**62),
    ("Sex", "Secret"),
    ("Sex", None),
    ("Purpose", ""),
    ("Job", 4),
    ("Saving accounts", "missing"),
    ("Checking account", "poor"),
    ("Checking account", None),
]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_rows_that_break_the_contract_are_rejected_in_the_apis_words(
    kind, tmp_path, model, applications
):
    """13 bad rows and one without an id, 100 good ones."""
    frame = applications[:114].astype({"Age": float, "id": "Int64"}).reset_index(drop=True)
    given = {"csv": "id", "parquet": "loan"}[kind]
    fields = [field.name for field in CONTRACT.fields]
    for row, (name, value) in enumerate(BAD):
        frame.loc[3 * row, name] = value
    frame.loc[2, "id"] = None
    file = tmp_path / f"in.{kind}"
    if kind == "csv":
        text = frame.astype(object)
        ages = [v if pd.isna(v) or v % 1 else int(v) for v in frame.Age]
        text["Age"] = pd.Series(ages, dtype=object)
        text["id"] = text["id"].where(frame.id.notna(), "")
        text.to_csv(file, index=False, na_rep="NA")
    else:
        write(frame.rename(columns={"id": given}), file)

    summary = score(str(file), str(tmp_path / "out"), model, id=given, workers=1)

    assert [summary.total(name) for name in ("rows", "scored", "rejected")] == [114, 100, 14]
    made = f"in{'.csv' * (kind == 'csv')}.parquet"
    rejected = pd.read_parquet(tmp_path / "out/_rejected" / made).set_index("row")
    assert rejected.file.unique().tolist() == [file.name]
    assert rejected.loc[3, "reason"] == f"{given} is null, and names the row"
    assert rejected.loc[1, "reason"] == "Age is out of range; allowed 18 to 120 years"
    assert rejected.loc[19, "reason"] == "Sex is not an allowed value; allowed female, male"
    for row, (name, value) in enumerate(BAD):
        if value == "":  # nothing is given, in either kind of file
            value = None
        if kind == "csv" and value == float("inf"):  # just some text
            value = "inf"
        record = {field: frame[field][1] for field in fields} | {name: value}
        record = {k: v.item() if hasattr(v, "item") else v for k, v in record.items()}
        record = {k: int(v) if k == "Age" and k != name else v for k, v in record.items()}
        record = {k: None if v is not None and pd.isna(v) else v for k, v in record.items()}
        [problem] = record_problems(record, CONTRACT)
        assert rejected.loc[3 * row + 1, "reason"] == f"{name} {problem.message}"
        assert rejected.loc[3 * row + 1, "column"] == name
        assert rejected.loc[3 * row + 1, "id"] == str(frame.id[3 * row])
    assert rejected.loc[37, "reason"] == (
        "Checking account is null; allowed little, moderate, rich, 200 DM or more or salary "
        "account; what the data record as missing is stated as '200 DM or more or salary "
        "account', never by a blank"
    )
    left = sorted(set(frame.id.dropna()) - {int(each) for each in rejected.id.dropna()})
    decided = pd.read_parquet(tmp_path / "out" / made)
    assert decided.id.astype("int64").tolist() == left


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_blank_is_a_level_only_where_the_file_is_said_to_be_in_the_datas_coding(
    kind, tmp_path, light, applications, capsys
):
    stated = applications[-100:].reset_index(drop=True)
    labels = [field.missing_label for field in CONTRACT.fields if field.missing_label]
    coded = stated.where(~stated.isin(labels))
    blanks = int(coded.isna().any(axis=1).sum())
    assert 0 < blanks < 100
    for name, frame in (("stated", stated), ("coded", coded)):
        if kind == "csv":
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        else:
            write(frame, tmp_path / f"{name}.parquet")

    def scored(name: str, *options: str) -> pd.DataFrame:
        file, out = tmp_path / f"{name}.{kind}", tmp_path / f"{name}{len(options)}"
        assert cli.main(["score", str(file), str(out), "--models", light, *options]) == 0
        return pd.read_parquet(next(out.glob("*.parquet")))

    by_label = scored("stated")
    assert len(by_label) == 100
    assert len(scored("coded")) == 100 - blanks
    assert "never by a blank" in capsys.readouterr().out
    pd.testing.assert_frame_equal(scored("coded", "--blank-is-level"), by_label)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_flipped_bit_in_parquet_is_refused_or_does_no_harm(
    tmp_path, light, applications, checksums
):
    """With checksums each is; without, a level may become another, but none that there is not."""
    path, out = tmp_path / "in.parquet", str(tmp_path / "out")
    table = pa.Table.from_pandas(applications[:200], preserve_index=False)
    pq.write_table(table, path, compression="none", write_page_checksum=checksums)
    whole, group = path.read_bytes(), pq.ParquetFile(path).metadata.row_group(0)
    place = group.column(table.schema.names.index("Housing"))  # three levels, in two bits each
    end = place.dictionary_page_offset + place.total_compressed_size
    Store.at(out).write_json(RUN, {"run": "one"})
    job = Job("one", light, load_scorer(light).sha256, str(path), out, None, False)
    outcomes = []
    for at in range(end - 40, end):  # of its 50 bytes
        bits = bytearray(whole)
        bits[at] |= 3
        path.write_bytes(bits)
        if bits != whole:
            outcomes.append(score_part(job, Part("in.parquet", str(path), len(bits), 0)))
    refused = [each for each in outcomes if isinstance(each, FailedPart)]
    assert all("cannot be read" in each.reason for each in refused)
    assert len(outcomes) > 20
    assert len(refused) == len(outcomes) if checksums else refused


def test_a_line_that_is_too_long_is_named(tmp_path, light, applications, monkeypatch):
    monkeypatch.setattr(csv_rows, "BLOCK", 2**14)
    monkeypatch.setattr(csv_rows, "LONGEST_LINE", 2**12)
    text = applications[:50].to_csv(index=False, na_rep="NA")
    source = tmp_path / "in"
    source.mkdir()
    (source / "line.csv").write_text(text + "7," + "x" * 40_000 + "\n" + text)
    (source / "quote.csv").write_text(text + '7,"' + text * 10)
    summary = score(str(source), str(tmp_path / "out"), light, workers=1)
    assert {failed.name: failed.reason for failed in summary.failed} == {
        "line.csv.parquet": "line 52: more than 4,096 bytes; mend it, or leave it out",
        "quote.csv.parquet": "a row of more than 16,384 bytes; "
        "mend a quotation mark that is not closed again",
    }


def test_more_columns_than_a_raw_file_may_have_are_refused_before_a_row_is_read(
    tmp_path, light, applications, monkeypatch
):
    """The ten of an application and 991 more are one too many; a list of 10 kB is over 4 kB."""
    more = pd.DataFrame(0, range(3), [f"more {number}" for number in range(991)])
    wide = pd.concat([applications[:3].reset_index(drop=True), more], axis=1)
    assert len(wide.columns) == 1_001
    for source, columns in {tmp_path / "in": 1_001, tmp_path / "fits": 1_000}.items():
        source.mkdir()
        wide.iloc[:, :columns].to_csv(source / "a.csv", index=False, na_rep="NA")
        write(wide.iloc[:, :columns], source / "b.parquet")
    summary = score(str(tmp_path / "in"), str(tmp_path / "out"), light, workers=1)
    refused = "more than 1,000 columns; leave columns out"
    assert [failed.reason for failed in summary.failed] == [refused, refused]
    assert not score(str(tmp_path / "fits"), str(tmp_path / "fit"), light, workers=1).failed
    monkeypatch.setattr(table, "MOST_FOOTER", 2**12)
    summary = score(str(tmp_path / "fits"), str(tmp_path / "long"), light, workers=1)
    (failed,) = summary.failed
    assert failed.name == "b.parquet"
    assert re.fullmatch(
        r"its list of columns and groups of rows has [\d,]+ bytes; at most 4,096 are read; "
        r"write larger groups",
        failed.reason,
    )


def test_a_broken_file_fails_alone_and_is_all_that_a_resumed_run_does(
    tmp_path, light, applications
):
    source, out = tmp_path / "in", tmp_path / "out"
    good = {name: write(applications[:50], source / f"{name}.parquet") for name in "abcdef"}
    whole = good["b"].read_bytes()
    good["b"].write_bytes(whole[: len(whole) // 2] + whole[len(whole) // 2 + 40 :])
    write(applications[:50].rename(columns={"Housing": "House"}), good["c"])
    write(applications[:50].assign(Age=[[1]] * 50, Sex=1), good["d"])
    ages = applications.Age[:50].where(applications.index[:50] > 0, 7)  # the first one's is refused
    write(applications[:50].assign(Age=ages), good["f"])
    (source / "g.csv").write_text(
        applications[:3].to_csv(index=False, na_rep="NA") + "7,only this\n"
    )

    summary = score(str(source), str(out), light, workers=1)

    words = {failed.name: failed.reason for failed in summary.failed}
    assert sorted(words) == ["b.parquet", "c.parquet", "d.parquet", "g.csv.parquet"]
    assert "cannot be read" in words["b.parquet"]
    assert words["c.parquet"] == "Housing is missing; allowed free, rent, own"
    assert words["d.parquet"] == "Age is of type list<element: int64>; a cell is a number or a text"
    assert words["g.csv.parquet"] == "row 4 (line 5) has 2 cells, the header 10"
    assert sorted(content(out)) == ["_rejected/f.parquet", "a.parquet", "e.parquet", "f.parquet"]
    assert not list(out.rglob("*.tmp")) and not (out / "_SUCCESS").exists()

    for name in "bcdf":
        good[name].write_bytes(whole)
    (source / "g.csv").unlink()
    (out / "e.parquet").write_bytes(b"gone bad")
    seen = []
    again = score(
        str(source),
        str(out),
        light,
        workers=1,
        resume=True,
        notify=lambda what, about: seen.append(about) if what == "part" else None,
    )
    assert [part.name for part in seen] == [f"{name}.parquet" for name in "bcdef"]
    assert again.kept == 1 and again.manifest["rows"] == 300
    made = content(out)
    assert (out / "_SUCCESS").exists() and {*made} == {f"{name}.parquet" for name in "abcdef"}
    assert {*made.values()} == {made["a.parquet"]}


def test_a_full_disk_keeps_what_is_finished(tmp_path, light, applications, monkeypatch):
    """Room for two files of six and a half: the third fails, and the rest is not tried."""
    source, out, calm = tmp_path / "in", tmp_path / "out", tmp_path / "calm"
    for name in "abcdef":
        write(applications[:50], source / f"{name}.parquet")
    assert score(str(source), str(calm), light, workers=1).manifest["rows"] == 300
    room, write_on = [2.5 * (calm / "a.parquet").stat().st_size], Hashed.write

    def full(self, piece):
        room[0] -= len(piece)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_on(self, piece)

    with monkeypatch.context() as patch:
        patch.setattr(Hashed, "write", full)
        summary = score(str(source), str(out), light, workers=1)
    assert [(part.name, part.reason) for part in summary.failed] == [("c.parquet", "no space left")]
    assert sorted(content(out)) == ["a.parquet", "b.parquet"] and summary.manifest is None
    assert not list(out.rglob("*.tmp")) and not (out / "_SUCCESS").exists()
    again = score(str(source), str(out), light, workers=1, resume=True)
    assert again.kept == 2 and again.manifest["rows"] == 300
    assert content(out) == content(calm)


def test_the_folder_of_another_run_is_refused(tmp_path, light, applications):
    one, out = write(applications[:20], tmp_path / "in/one.parquet"), tmp_path / "out"
    source = str(tmp_path / "in")
    score(source, str(out), light)
    before = content(out)
    for how, words in [
        ({}, "add --resume to go on with it, or --overwrite"),
        ({"resume": True, "reasons": True}, "differs in whether reasons are given"),
        ({"resume": True, "id": "Age"}, "differs in the id column"),
    ]:
        with pytest.raises(Refused, match=words):
            score(source, str(out), light, **how)
    with pytest.raises(Refused, match="differs in the portfolio"):
        score(str(one), str(out), light, resume=True)
    for inside in (f"{source}/out", source, str(tmp_path)):
        with pytest.raises(Refused, match="lies in the portfolio or around it"):
            score(source, inside, light)
    with pytest.raises(Refused, match="holds no file that ends in"):
        score(str(out / "_parts"), str(tmp_path / "other"), light)
    other = write(applications[:5], tmp_path / "theirs/own.parquet")
    with pytest.raises(Refused, match="files that no scoring has made"):
        score(source, str(other.parent), light, overwrite=True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(Refused, match="also holds notes.txt, which no scoring has made"):
        score(source, str(out), light, overwrite=True)
    (out / "notes.txt").unlink()
    same = (tmp_path / "in/one.csv", tmp_path / "in/one.csv.parquet")
    for file in same:
        file.touch()
    with pytest.raises(Refused, match="would both become one.csv.parquet; rename one of them"):
        score(source, str(tmp_path / "other"), light)
    for file in same:
        file.unlink()
    one.rename(one.with_name("renamed.parquet"))
    with pytest.raises(Refused, match="one.parquet has been scored and is no longer"):
        score(source, str(out), light, resume=True)
    assert content(out) == before and (out / "_SUCCESS").exists()
    assert other.exists() and not (tmp_path / "other").exists()
    score(source, str(out), light, overwrite=True)
    assert sorted(content(out)) == ["renamed.parquet"]


def test_paths_may_be_urls_of_an_object_store(tmp_path, light, applications, monkeypatch, capsys):
    from moto.server import ThreadedMotoServer  # here: no other test waits for their import
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()  # another test's has another address
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        store = S3FileSystem()
        store.mkdir("bank")
        # The first 10 applications of either file have an Age of 7.
        young = applications.assign(Age=applications.Age.where(applications.id > 1009, 7))
        for name in ("a.parquet", "b.parquet"):
            store.put(str(write(young, tmp_path / "in" / name)), f"bank/loans/{name}")
        store.put(str(ROOT / "README.md"), "bank/loans/README.md")
        command = ["score", "s3://bank/loans/*", "s3://bank/decisions", "--models", light]
        assert cli.main(command) == 0
        n = 2 * len(applications)
        told = f"{n:,} rows in 2 files = {n - 20:,} scored + 20 rejected"
        assert told in capsys.readouterr().out
        out = tmp_path / "out"
        score(str(tmp_path / "in"), str(out), light, workers=1)
        for name, made in content(out).items():
            assert store.cat(f"bank/decisions/{name}") == made
        assert len(content(out)) == 4 and store.exists("bank/decisions/_SUCCESS")
        assert cli.main(command) == 2
        assert "holds the finished run of" in capsys.readouterr().err
        store.rm("bank/decisions/b.parquet")
        assert cli.main([*command, "--resume"]) == 0
        assert "1 of 2 files were scored before and are kept" in capsys.readouterr().err
        assert store.cat("bank/decisions/b.parquet") == content(out)["b.parquet"]
        assert not [name for name in store.find("bank") if name.endswith(".tmp")]
        assert (
            cli.main(["score", "s3://nobody/loans", str(tmp_path / "no"), "--models", light]) == 2
        )
        assert cli.main(["score", "nowhere://loans", str(tmp_path / "no"), "--models", light]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert errors[0] == "creditrisk: s3://nobody/loans does not exist"
        assert errors[1].startswith("creditrisk: nowhere://loans: ") and "s3:// comes" in errors[1]
        assert not (tmp_path / "no").exists()
    finally:
        S3FileSystem.clear_instance_cache()
        server.stop()


def test_help_waits_for_nothing_heavy():
    code = (
        "import sys; from creditrisk import cli\n"
        "try:\n    cli.main(['score', '--help'])\n"
        "finally:\n    print({name.split('.')[0] for name in sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0 and "--resume" in ran.stdout
    loaded = ast.literal_eval(ran.stdout.splitlines()[-1])
    assert not loaded & {"pyarrow", "pandas", "numpy", "sklearn", "rich", "mlflow"}
