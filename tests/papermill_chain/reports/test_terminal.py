"""A terminal: what is running moves at the foot, and it is left in order whatever happens."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import toy

from papermill_chain.reports.screen import duration

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def shown(
    root: Path, *arguments: str, when: Callable[[], object] | None = None, **variables: str
) -> tuple[int, str]:
    """The exit code of a chain, and what it shows on a terminal; it gets Ctrl-C `when` asked."""
    terminal, other_end = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"} | variables
    command = [sys.executable, toy.__file__, str(root), *arguments]
    chain = subprocess.Popen(
        command, stdin=other_end, stdout=other_end, stderr=other_end, env=environment
    )
    os.close(other_end)
    pieces = []
    try:
        while piece := os.read(terminal, 4096):
            pieces.append(piece)
            if when and when():
                chain.send_signal(signal.SIGINT)
                when = None
    except OSError:  # so Linux says that the chain has ended
        pass
    os.close(terminal)
    return chain.wait(), b"".join(pieces).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 120])
def test_all_that_runs_moves_from_the_start_and_what_has_ended_stays(tmp_path, columns):
    """On a narrow terminal without colours, and on a wide one with them."""
    root = toy.make(tmp_path / "project")
    name = "What a reader of this notebook will meet first, and then what follows from it"
    toy.write_notebook(root / "notebooks/04_judge.ipynb", toy.NOTEBOOKS["04_judge"][0], "1")
    notebook = root / "notebooks/04_judge.ipynb"
    notebook.write_text(notebook.read_text().replace("What it does", name))
    code, text = shown(root, COLUMNS=str(columns), **{"NO_COLOR": "1"} if columns == 40 else {})
    assert code == 0
    moving, _, summary = text.rpartition(SHOW_CURSOR)
    assert moving.startswith(HIDE_CURSOR)
    frames = [plain(frame) for frame in moving.split("\r\x1b[2K") if "done" in frame]
    first = frames[0].split("\n")
    assert [line.split() for line in first[:4]] == [
        [stage, "waiting"] for stage in ("01_look", "02_split", "03_model", "04_judge")
    ]
    assert re.fullmatch(r"0 of 4 done · [\d.]+ s", first[4])
    assert "4 of 4 done" in frames[-1]
    lines = [line for frame in frames for line in frame.split("\n")]
    assert max(map(len, lines)) <= columns
    running = [line for line in lines if "cell " in line or "starting" in line]
    # time is never lost
    assert running and all(re.search(r"\d s$", line) for line in running), running
    judged = [line for line in running if line.startswith("04_judge") and "What" in line]
    assert columns == 40 or (judged and all("…" in line for line in judged))
    assert columns == 40 or "cell 2/3 · The notebook 01_look" in plain(moving)
    # the summary is that of a pipe; of the reasons or the closing lines no word is cut
    assert ("\x1b[36m" in summary) is (columns == 120)
    summary = plain(summary)
    pattern = r"^01_look +succeeded +[\d.]+ s   first run$"
    assert columns == 40 or re.search(pattern, summary, re.MULTILINE), summary
    assert {"first", "run", "succeeded", str(root / "experiments/index.html")} <= set(
        summary.split()
    )


def plain(text: str) -> str:
    """What a terminal shows, without colours and movements."""
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\r", "", text)


def test_a_list_on_a_narrow_terminal_is_broken_between_words(tmp_path):
    root = toy.make(tmp_path / "project")
    about = "how it ends: " + " ".join(["well", "badly", "hardly-ever-at-all"] * 6)
    toy.write_notebook(root / "notebooks/01_look.ipynb", f'raw: str = "a"  # {about}', "1")
    code, text = shown(root, "--list", COLUMNS="80")
    assert code == 0 and max(map(len, text.split("\n"))) < 80
    assert set(about.split()) <= set(text.split())


def test_whoever_stops_reading_a_list_gets_no_error(tmp_path):
    command = [sys.executable, toy.__file__, str(toy.make(tmp_path / "project")), "--list"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as chain:
        chain.stdout.close()  # as head does once it has its lines
        assert (chain.stderr.read(), chain.wait()) == (b"", 141)


def test_a_refusal_is_printed_once_as_the_user_named_the_file(tmp_path, capsys, monkeypatch):
    root = toy.make(tmp_path / "my project")
    for stage in ("01_look", "02_split"):
        parameters = toy.NOTEBOOKS[stage][0]
        refuse = """
        class Refusal(ValueError): pass
        raise Refusal(f"{raw}: 1 problem\\n  - row 3: Age is -5\\nRemedy: git checkout -- '{raw}'")
        """
        toy.write_notebook(root / f"notebooks/{stage}.ipynb", parameters, refuse)
    (tmp_path / "my file.csv").write_text("Age\n-5\n")
    monkeypatch.chdir(tmp_path)
    mine = ["--set", "raw=my file.csv"]
    assert toy.run(root, *mine, refusals=["Refusal"]) == 1
    said = capsys.readouterr().err.strip().split("\n")
    assert said[:3] == [
        "01_look and 02_split failed: my file.csv: 1 problem",
        "  - row 3: Age is -5",
        "Remedy: git checkout -- 'my file.csv'",
    ]
    assert [Path(line.strip()).name for line in said[3:]] == ["01_look.html", "02_split.html"]
    # an error that is no refusal keeps its traceback and the way to look into it
    assert toy.run(root, *mine) == 1
    said = capsys.readouterr().err
    assert said.count("my file.csv: 1 problem") == 2 and said.count("--debug") == 2


def test_a_python_without_papermill_records_nothing_and_names_the_command(tmp_path):
    root = toy.make(tmp_path / "project")
    command = [sys.executable, "-S", toy.__file__, str(root), "--jobs", "1"]
    ran = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=toy.REPOSITORY,
        env=os.environ | {"PYTHONPATH": ""},
    )
    assert ran.returncode == 2 and ran.stdout == ""
    assert "has no papermill" in ran.stderr and ran.stderr.count("\n") == 1
    assert f"uv run tests/toy.py {root} --jobs 1" in ran.stderr
    assert not (root / "experiments/runs").exists()


def test_a_failure_and_ctrl_c_leave_the_terminal_in_order(tmp_path):
    root = toy.make(tmp_path / "project")
    code, text = shown(root, "--set", "mood=bad")
    assert code == 1
    assert "\x1b[1;31m03_model failed\x1b[0m in cell 5, under “What it does”: ValueError" in text
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    code, text = shown(
        root, "--set", "mood=late", when=lambda: list(root.glob("experiments/runs/*/late"))
    )
    assert code == 130
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert "\x1b[33minterrupted" in text[text.rindex(SHOW_CURSOR) :]


def test_a_span_of_time_is_rounded_once_and_has_no_sixty_seconds():
    spans = {4.04: "4.0 s", 9.96: "10 s", 59.4: "59 s", 59.6: "1 min 00 s", 637.7: "10 min 38 s"}
    assert {seconds: duration(seconds) for seconds in spans} == spans
