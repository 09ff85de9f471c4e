"""One file with all evidence on a run: complete, the same each time, and any change is told."""

import html
import json
import os
import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from creditrisk.cli import main
from creditrisk.evidence.checklist import checklist
from creditrisk.evidence.run_files import Evidence
from creditrisk.scoring.sources.model_manifest import KEY


@pytest.fixture
def here(finished, monkeypatch) -> Path:
    """The folder of a project whose chain has run; the tests write elsewhere."""
    monkeypatch.chdir(finished[0])
    monkeypatch.delenv(KEY, raising=False)
    return finished[0]


def bundle(path: Path, *more: str) -> dict[str, bytes]:
    assert main(["evidence", "latest", str(path), *more]) == 0
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(source: Path, target: Path, **changes: bytes | None) -> Path:
    """A bundle with other files in it; None takes one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        content = {name: old.read(name) for name in old.namelist()} | changes
        for name, each in content.items():
            if each is not None:
                new.writestr(name, each)
    return target


def test_the_same_run_gives_the_same_bytes_and_every_link_leads_somewhere(here, tmp_path, capsys):
    files = bundle(tmp_path / "a.zip")
    os.utime(here / "experiments/validation.json")
    assert bundle(tmp_path / "b.zip") == files
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert main(["evidence", "verify", str(tmp_path / "a.zip")]) == 0
    assert "are as they were made" in capsys.readouterr().out
    pages = [name for name in files if name.endswith(".html")]
    assert len(pages) >= 9  # the checklist, six reports, lab and card
    for page in pages:
        for link in re.findall(r'href="([^"#:]+)["#]', files[page].decode()):
            place = os.path.normpath(PurePosixPath(page).parent / link)
            assert place in files, f"{page} links to {link}"
    assert "figures/test_scores.csv" not in files
    assert "figures/test_scores.csv" in bundle(tmp_path / "c.zip", "--with-applicants")


def test_the_checklist_says_of_each_rule_what_the_gate_says(here, tmp_path):
    files = bundle(tmp_path / "a.zip", "--signed-by", "Jane Doe", "--signed-on", "2026-12-01")
    rules = json.loads((here / "experiments/validation.json").read_text("utf-8"))["rules"]
    listed = {item["question"]: item for item in json.loads(files["checklist.json"])}
    states = {"passed": "shown", "warning": "open", "not judged": "not checked", "stop": "failed"}
    assert len(rules) >= 10
    for rule in rules:
        assert listed[rule["rule"]]["state"] == states[rule["verdict"]]
        assert listed[rule["rule"]]["answer"] == rule["figure"]
    assert listed["Does somebody answer for the model?"]["state"] == "open"
    page = html.unescape(files["index.html"].decode())
    assert "Signed by Jane Doe, 2026-12-01" in page and all(rule["rule"] in page for rule in rules)
    groups = files["figures/validation.groups.csv"].decode().splitlines()
    found = json.loads(files["figures/validation.json"])["groups"]
    assert len(groups) == 1 + len(found) and groups[0].startswith("grouping,group,applicants")


def test_answers_are_about_the_run_s_own_version_and_are_sentences():
    refits = {"refits": 50, "judged": 1800, "turned": 0.0463, "unsteady": 0.095, "spread": 0.1}
    registered = {"model": "Loans", "version": 1, "refits": refits}
    won = {"folds": 10, "repeats": 3, "model": "Blend", "not_distinguishable_from": []}
    first = {"who": "Jane", "time": "2026-11-30T06:00", "reason": "passed", "from": None, "to": 1}
    then = {"who": "Joe", "time": "2026-12-01T06:00", "reason": "better", "from": 1, "to": 2}

    def answers(version: int, looks: int) -> dict[str, str]:
        found = Evidence({"stages": []}, promotions=[first, then])
        validation = {"rules": [], "risks": [], "looks": {"looks": looks, "models": 2}}
        found.figures = {"champion": won, "validation": validation}
        found.figures["registration"] = registered | {"version": version}
        return {item.question: item.answer for item in checklist(found)}

    one, who = answers(1, 1), "Is it recorded who put it into production, and why?"
    assert one[who] == "Jane, 2026-11-30: passed; replaced by version 2 on 2026-12-01"
    assert answers(2, 3)[who] == "Joe, 2026-12-01: better" and answers(3, 3)[who] == "it was not"
    assert one["Do decisions stay where the training set is drawn again?"] == (
        "4.6% of what 50 refits decide differs from their majority; 9.5% of 1,800 applicants are "
        "decided otherwise by a fifth of them or more"
    )
    looks = "Is it recorded how often the test set was looked at?"
    assert one[looks] == "once" and answers(1, 3)[looks] == "3 times, models: 2"


def test_what_was_altered_is_named(here, tmp_path, capsys):
    whole = tmp_path / "a.zip"
    files = bundle(whole)
    card = files["reports/model_card.md"]
    altered = rewritten(
        whole,
        tmp_path / "b.zip",
        **{
            "reports/model_card.md": card.replace(b"0.", b"1.", 1),
            "rules/scorecard.csv": None,
            "reports/another.html": b"",
        },
    )
    assert main(["evidence", "verify", str(altered)]) == 1
    told = capsys.readouterr().err
    assert "reports/model_card.md was altered" in told and "rules/scorecard.csv is missing" in told
    assert "reports/another.html was added" in told and len(told.splitlines()) == 3
    listed = json.loads(files["evidence.json"])
    listed["run"] = "another"
    forged = rewritten(whole, tmp_path / "c.zip", **{"evidence.json": json.dumps(listed).encode()})
    assert main(["evidence", "verify", str(forged)]) == 1
    assert "evidence.json was changed" in capsys.readouterr().err


def test_with_a_key_a_list_that_was_written_anew_is_told(here, tmp_path, capsys, monkeypatch):
    bundle(tmp_path / "plain.zip")
    monkeypatch.setenv(KEY, "a key of the validation unit")
    bundle(tmp_path / "signed.zip")
    assert main(["evidence", "verify", str(tmp_path / "signed.zip")]) == 0
    assert "signed with a key" in capsys.readouterr().out
    assert main(["evidence", "verify", str(tmp_path / "plain.zip")]) == 1
    monkeypatch.setenv(KEY, "somebody else's idea of it")
    assert main(["evidence", "verify", str(tmp_path / "signed.zip")]) == 1


def test_what_is_no_bundle_or_no_run_is_said_in_a_sentence(here, tmp_path, capsys):
    bundle(tmp_path / "a.zip")
    assert main(["evidence", "latest", str(tmp_path / "a.zip")]) == 2
    assert "is there already" in capsys.readouterr().err
    nowhere = tmp_path / "missing/a.zip"
    assert main(["evidence", "latest", str(nowhere)]) == 2
    why = f"creditrisk: {nowhere}: cannot be written (No such file or directory)\n"
    assert capsys.readouterr().err == why
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "folder.zip").mkdir()
    cut = tmp_path / "cut.zip"
    cut.write_bytes((tmp_path / "a.zip").read_bytes()[:100_000])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("readme.txt", "")
    nested = rewritten(tmp_path / "a.zip", tmp_path / "n.zip", **{"evidence.json": b"[" * 100_000})
    for file in ("text.zip", "folder.zip", cut.name, "other.zip", nested.name, "missing.zip"):
        assert main(["evidence", "verify", str(tmp_path / file)]) == 2, file
        assert len(capsys.readouterr().err.splitlines()) == 1, file
    assert main(["evidence", "1999", str(tmp_path / "b.zip")]) == 2
    assert "there is no run 1999" in capsys.readouterr().err
    run = tmp_path / "experiments/runs/20260101-000000"
    run.mkdir(parents=True)
    (run / "manifest.json").write_text('{"id": "1", "status": "failed", "stages": []}')
    assert main(["evidence", str(run), str(tmp_path / "b.zip")]) == 2
    assert "run 1 failed; give one that succeeded" in capsys.readouterr().err
    (run / "manifest.json").write_text("{}")
    assert main(["evidence", str(run), str(tmp_path / "b.zip")]) == 2
    assert not (tmp_path / "b.zip").exists() and not list(tmp_path.glob(".*"))


def test_a_report_that_is_gone_and_a_rule_that_has_changed_are_named(here, tmp_path, capsys):
    copy = shutil.copytree(here, tmp_path / "project", symlinks=True)
    (run,) = (copy / "experiments/runs").iterdir()
    (run / "01_eda.html").unlink()
    (copy / "models/scorecard.csv").write_text("other\n")
    os.chdir(copy)
    files = bundle(tmp_path / "a.zip")
    told = capsys.readouterr().out
    assert "left out: 01_eda.html: No such file" in told
    assert "left out: scorecard.csv: it is not any more as this run" in told
    assert "rules/scorecard.csv" not in files and "01_eda.html" in files["index.html"].decode()
