"""Cells that print for ever, show too much or stop themselves: time and size keep to limits."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.session import Session
from toy import REPOSITORY, family, wait_for, write_notebook

from papermill_chain.chain.output_limits import Limits, OutputBudget
from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main


def start(root: Path, chain: list[Stage], *arguments: str) -> subprocess.Popen:
    """Run a chain in a process of its own."""
    program = (
        "import sys; from papermill_chain.chain.stages import External, Stage;"
        " from papermill_chain.cli import main;"
        f" sys.exit(main({chain!r}, sys.argv[1], 'Toy', argv=sys.argv[2:]))"
    )
    command = [sys.executable, "-c", program, str(root), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, **pipes)


def files_of_run(root: Path) -> dict[str, Path]:
    (folder,) = (root / "experiments/runs").iterdir()
    return {path.name: path for path in folder.iterdir()}


ENDLESS = {
    "flushes": "while True: print('x', flush=True)",
    "ignores": """
        import time
        try:
            time.sleep(300)
        except KeyboardInterrupt:
            time.sleep(300)
        """,
    "prints": "while True: print('for ever ' * 1000)",
    "stops": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_a_cell_ends_when_its_time_is_up_whatever_it_is_at(tmp_path):
    """Four notebooks side by side, none of which would ever end."""
    for name, cell in ENDLESS.items():
        write_notebook(tmp_path / f"notebooks/{name}.ipynb", "x: int = 1", cell, "print('not run')")
    limits = ["--cell-timeout", "3", "--max-output", "1", "--max-notebook", "2"]
    with start(
        tmp_path, [Stage(name) for name in ENDLESS], "--json", "--jobs", "4", *limits
    ) as run:
        out, err = run.communicate(timeout=300)
    assert run.returncode == 1
    # nothing but each failure, where to read of it and what to do: no noise of asyncio
    told = [block.split("\n") for block in err.strip().split("\n\n")]
    assert sorted(first.rpartition(": ")[0] for first, _, _ in told) == [
        f"{name} failed in cell 2, under “What it does”: Timeout" for name in ENDLESS
    ]
    events = [json.loads(line) for line in out.splitlines()]
    for name in ENDLESS:
        of_stage = [event for event in events if event.get("stage") == name]
        began = [event["time"] for event in of_stage if event["event"] == "cell started"][1]
        (ended,) = [event["time"] for event in of_stage if event["event"] == "stage ended"]
        # four on an idle machine, where the start is told at once, and 300 or more without a limit
        assert 2 <= ended - began < 150
    files = files_of_run(tmp_path)
    assert all(file.stat().st_size < 2_100_000 for file in files.values())
    assert not family(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_an_interrupt_ends_a_cell_that_prints_for_ever_and_files_stay(tmp_path):
    root = tmp_path / "project"
    cell = """
    import os, pathlib
    pathlib.Path(out).write_text("half")
    (pathlib.Path(os.environ["CHAIN_RUN_FOLDER"]) / "begun").touch()
    while True:
        print("x")
    """
    write_notebook(root / "notebooks/1.ipynb", 'out: str = "../out"', cell)
    (root / "made").mkdir()
    (root / "made/out.txt").write_text("good")
    chain = [Stage("1", writes={"out": "made/out.txt"})]
    with start(root, chain, "--quiet", "--max-output", "1") as runner:
        wait_for(lambda: list(root.glob("experiments/runs/*/begun")) or runner.poll() is not None)
        runner.send_signal(signal.SIGINT)
        said = runner.communicate(timeout=300)  # some two seconds on an idle machine
    assert (runner.returncode, *said) == (130, "", "")
    assert (root / "made/out.txt").read_text() == "good"
    assert [path.name for path in (root / "made").iterdir()] == ["out.txt"]
    files = files_of_run(root)
    assert json.loads(files["manifest.json"].read_text())["status"] == "interrupted"
    assert all(file.stat().st_size < 3_000_000 for file in files.values())
    assert not family(root)


def test_what_is_cut_is_named_with_its_size(tmp_path):
    cells = (
        "from IPython.display import HTML, display\nrow = '<p>a row of a table</p>'",
        "display(HTML(row * (33_000_000 // len(row) + 1)))",
        "print('z' * 20_000_000)",
        "display({'text/plain': 'in short', 'text/html': '<p>' + 'y' * 1_500_000}, raw=True)",
        "raise ValueError('v' * 5_000_000)",
    )
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", *cells)
    began = time.process_time()
    arguments = ["--quiet", "--max-output", "2", "--max-page", "3"]
    assert main([Stage("1")], tmp_path, "Toy", argv=arguments) == 1
    assert time.process_time() - began < 20  # 33 MB of HTML alone would take five minutes
    files = files_of_run(tmp_path)
    page = files["1.html"].read_text()
    # the 34 bytes are those of its text, <IPython.core.display.HTML object>
    assert "[output of 33 MB cut to 34 bytes: --max-output is 2 MB]" in page
    assert "[output of 20 MB cut to 2 MB: --max-output is 2 MB]" in page
    # 1.5 MB of HTML is kept in the notebook, and would weigh 12 MB on the page
    told = "[output of 1.5 MB cut to 8 bytes: --max-page is 3 MB; 1.ipynb has all of it]"
    assert f"{told}\nin short" in page
    executed = nbformat.read(files["1.ipynb"], 4)
    shown = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert any(len(output.get("data", {}).get("text/html", "")) == 1_500_003 for output in shown)
    assert files["1.html"].stat().st_size < 3_200_000
    assert files["1.ipynb"].stat().st_size < 4_000_000
    assert files["manifest.json"].stat().st_size < 40_000


def test_a_notebook_as_a_whole_has_a_limit():
    """Ten outputs of 100 bytes where 500 may be stored: counted by hand."""
    budget = OutputBudget(Limits(output=1000, notebook=500))
    stored = 100 + 2 + 14  # with its quotes, and what a notebook adds to a line
    admitted = [
        budget.admits("display_data", {"data": {"text/plain": "x" * 100}}, cell)
        for cell in range(10)
    ]
    assert admitted == [True] * (500 // stored) + [False] * (10 - 500 // stored)
    assert budget.note(3) == "" and budget.note(4) == (
        "[output of 100 bytes cut to 0 bytes: --max-notebook is 500 bytes]"
    )
    budget.cleared(0)  # what is taken back makes room
    assert budget.admits("stream", {"name": "stdout", "text": "y"}, 4)


def test_lines_and_outputs_are_counted_as_a_reader_sees_them():
    """Of 3 times 60,000 lines 100,000 are kept; what joins an output is no other one."""
    budget = OutputBudget(Limits())
    for kept in 60_000, 40_000, 0:
        printed = {"name": "stdout", "text": "x\n" * 60_000}
        assert budget.admits("stream", printed, 0) is bool(kept)
        assert printed["text"] == "x\n" * kept
    assert budget.note(0) == "[output of 360 kB cut to 200 kB: a cell may print 100,000 lines]"
    packed = Session().pack({"name": "stdout", "text": "x\n" * 60_000})
    assert not budget.has_room_for(packed, 0) and budget.has_room_for(packed, 1)
    budget.skip(packed, 0)
    assert budget.note(0) == "[output of 480 kB cut to 200 kB: a cell may print 100,000 lines]"
    bits = [budget.admits("stream", {"name": "stderr", "text": "."}, 1) for _ in range(1001)]
    data = {"data": {"text/plain": "y" * 100}}
    shown = [budget.admits("display_data", data, 1) for _ in range(1999)]
    # with what is printed, which is one output however often it goes on, 1,000 outputs are full
    assert all(bits) and shown == [True] * 999 + [False] * 1000
    assert budget.admits("update_display_data", data, 1)  # takes the place of one
    # 1,001 bytes printed, 999 outputs of 100 and the one in place of another; and 1,000 dropped
    assert budget.note(1) == "[output of 201 kB cut to 101 kB: a cell may have 1,000 outputs]"


def test_what_is_printed_beyond_a_limit_is_not_even_unpacked(tmp_path, monkeypatch):
    """40 times 100,001 bytes, of which ten fit into 1 MB but for ten bytes."""
    skipped, skip = [], OutputBudget.skip

    def noted(budget: OutputBudget, packed: bytes, cell: int) -> None:
        skipped.append(len(packed))
        skip(budget, packed, cell)

    monkeypatch.setattr(OutputBudget, "skip", noted)
    cell = "for _ in range(40): print('y' * 100_000, flush=True)"
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", cell)
    assert main([Stage("1")], tmp_path, "Toy", argv=["--quiet", "--max-output", "1"]) == 0
    assert sum(skipped) > 2_500_000  # of the last 3 MB; the first may come together with others
    page = files_of_run(tmp_path)["1.html"].read_text()
    assert "[output of 4 MB cut to 1 MB: --max-output is 1 MB]" in page


def test_a_folder_in_the_place_of_a_file_is_named_with_the_remedy(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks/1.ipynb", 'out: str = "x"', "open(out, 'w').write('1')")
    (tmp_path / "model.txt").mkdir()
    chain = [Stage("1", writes={"out": "model.txt"}), Stage("2")]
    (tmp_path / "notebooks/2.ipynb").mkdir()
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "notebooks/2.ipynb is a folder: move it away, a notebook belongs there" in said
    assert main(chain[:1], tmp_path, "Toy", argv=["--quiet"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"{tmp_path}/model.txt is a folder: move it away, a file belongs there" in said
    (tmp_path / "model.txt").rmdir()
    assert main(chain[:1], tmp_path, "Toy", argv=["--quiet"]) == 0
