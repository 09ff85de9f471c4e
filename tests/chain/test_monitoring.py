"""07 in the chain: left out without a log, and with one an exit code for whoever schedules it."""

import json
import re
import shutil

from conftest import run_all

from creditrisk.cli import main


def test_a_scheduler_learns_of_a_broken_feed_by_the_exit_code(finished, tmp_path, monkeypatch):
    chain, ran = finished
    assert ran.returncode == 0 and not (chain / "experiments/monitoring.json").exists()
    project = tmp_path / "project"
    shutil.copytree(chain, project)
    log = "--months", "14", "--per-month", "120", "--shift", "broken-feed"
    monkeypatch.chdir(project)
    assert main(["simulate", *log, "--out", "experiments/decisions"]) == 0

    watched = run_all(project, "--only", "07", "--set", "quiet_logs=400")
    assert watched.returncode == 4, watched.stderr
    assert "07_monitoring: Act: " in watched.stdout  # as its page says it
    record = json.loads((project / "experiments/monitoring.json").read_text("utf-8"))
    (alarm, *_) = record["alarms"]
    assert (record["exit_code"], alarm["action"]) == (4, "investigate data")
    assert alarm["month"] == "2025-01" and alarm["what_to_do"] and record["simulated"]
    assert {row["month"] for row in record["volumes"]} >= {"2024-01", "2025-02"}

    # the log is what it was, and so is the verdict; with one more entry it is judged again
    again = run_all(project, "--set", "quiet_logs=400", "--dry-run")
    assert re.search("07_monitoring +up to date", again.stdout)
    head = project / "experiments/decisions/outcomes.jsonl.head"
    head.write_text(head.read_text().replace("0", "1", 1))
    again = run_all(project, "--set", "quiet_logs=400", "--dry-run")
    assert "would run: the decision log has grown" in again.stdout
