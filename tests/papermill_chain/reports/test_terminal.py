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


def test_what_runs_moves_and_what_has_ended_stays(tmp_path):
    root = toy.make(tmp_path / "project")
    code, text = shown(root, "--only", "1")
    assert code == 0
    moving, _, summary = text.rpartition(SHOW_CURSOR)
    assert moving.startswith(HIDE_CURSOR) and "cell 2/3 · The notebook 01_look" in moving
    assert "\x1b[32msucceeded\x1b[0m after" in moving
    # the summary is that of a pipe, in colour
    plain = re.sub(r"\x1b\[[\d;]*m", "", summary)
    assert re.search(r"^01_look  succeeded +[\d.]+ s   asked for$", plain, re.MULTILINE)
    assert "\x1b[36m" in summary and "\x1b[36m" not in shown(root, NO_COLOR="1")[1]


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
