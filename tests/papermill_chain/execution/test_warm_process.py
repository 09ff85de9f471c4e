"""The process that kernels are forked from dies, or hangs: all is then done the plain way."""

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile

import psutil
import pytest
from toy import family, make, start, wait_for, write_notebook

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.execution import processes
from papermill_chain.execution.kernels import execute, fork_process, fork_server
from papermill_chain.execution.kernels import start as begin

pytestmark = pytest.mark.skipif(not processes.HAS_FORK, reason="nothing is forked")


def warm_process(runner: int) -> psutil.Process:
    """The process from which kernels are forked, as soon as it is there."""
    found: list[psutil.Process] = []

    def look() -> bool:
        for process in psutil.Process(runner).children():
            with suppress(psutil.Error):
                if any("fork_process" in word for word in process.cmdline()):
                    found.append(process)
        return bool(found)

    wait_for(look)
    return found[0]


@contextmanager
def struck(number: int):
    """Send a signal to the warm process of this process as soon as there is one."""
    thread = threading.Thread(target=lambda: warm_process(os.getpid()).send_signal(number))
    thread.start()
    yield
    thread.join()


def test_killed_at_its_first_imports_it_is_done_without(tmp_path):
    """An import never ends: it is killed while one kernel is waited for, and one is at work."""
    root = make(tmp_path / "project")
    (root / "toolbox/cut.py").write_text(
        "import os, pathlib, time\n"
        "if 'fork_process' in pathlib.Path('/proc/self/cmdline').read_text():\n"
        "    pathlib.Path(os.environ['CHAIN_RUN_FOLDER'], 'importing').touch()\n"
        "    time.sleep(600)\n"
        "strip = str.strip\n"
    )
    runner = start(root, "--json")
    wait_for(lambda: list(root.glob("experiments/runs/*/importing")))
    warm_process(runner.pid).kill()
    events, errors = runner.communicate(timeout=300)
    assert (runner.returncode, errors) == (0, "")
    notes = [told["text"] for told in map(json.loads, events.splitlines()) if "text" in told]
    assert len(notes) == 1 and "the process that forks kernels has ended" in notes[0]
    assert not family(root)


def note_pid(run) -> None:
    """What follows the last stage: note the process that does it."""
    (run.folder / "followed by").write_text(str(os.getpid()))


KILL = """
import os, psutil
for process in psutil.Process(os.getppid()).children():
    if "fork_process" in " ".join(process.cmdline()):
        process.kill()
"""


def test_what_follows_the_last_stage_is_done_without_it(tmp_path, monkeypatch, capsys):
    """The last notebook, whose kernel is a plain one, kills it."""
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", KILL, kernel="plain")
    spec = tmp_path / "jupyter/kernels/plain/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["env", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "plain", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert main([Stage("1")], tmp_path, "Toy", argv=[], after=note_pid) == 0
    (folder,) = (tmp_path / "experiments/runs").iterdir()
    assert (folder / "followed by").read_text() == str(os.getpid())
    assert "the process that forks kernels has ended" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("limit", [None, 1])
def test_a_kernel_may_take_as_long_to_start_as_the_limit_says(tmp_path, monkeypatch, capsys, limit):
    """Its program begins after three seconds: within the limit there is, and not within one."""
    assert begin.SECONDS_TO_START >= 300  # a machine with much else to do took over a minute
    for module in (begin, execute):  # ahead of its turn, or at it
        monkeypatch.setattr(module, "SECONDS_TO_START", limit or begin.SECONDS_TO_START)
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", "1", kernel="late")
    spec = tmp_path / "jupyter/kernels/late/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["sh", "-c", 'sleep 3; exec "$@"', "sh", sys.executable, "-m", "ipykernel_launcher"]
    kernel = {"argv": [*argv, "-f", "{connection_file}"], "display_name": "late"}
    spec.write_text(json.dumps(kernel | {"language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert main([Stage("1")], tmp_path, "Toy", argv=["--quiet"]) == (1 if limit else 0)
    assert ("the kernel did not start" in capsys.readouterr().err) is bool(limit)


def test_what_it_is_asked_for_may_be_of_any_size(tmp_path):
    """A call carries a whole run, which grows with the chain: here 5 MB, more than any message."""
    environment = {**os.environ, fork_process.RUN_VARIABLE: str(tmp_path)}
    server = fork_server.ForkServer(tmp_path, environment)
    try:
        server.prepare([(f"stage {number}", ["json"] * 1000, None) for number in range(500)])
        with TemporaryFile() as output:
            fork = server.call(("builtins", "len"), "x" * 5_000_000, output)
            assert fork.wait(60) == 0
            output.seek(0)
            assert output.read().splitlines()[-1] == b"null"
        assert not server.is_dead
    finally:
        server.close()


def test_what_an_import_has_made_for_all_outlives_each_fork_and_their_result_is_said_last(tmp_path):
    """Where the home folder cannot be written, Matplotlib makes one that it removes at exit."""
    (tmp_path / "made.py").write_text(
        "import atexit, pathlib, shutil\n"
        "folder = pathlib.Path(__file__).with_name('folder')\n"
        "folder.mkdir()\n"
        "atexit.register(shutil.rmtree, folder)\n"
        "atexit.register(print, 'goodbye', flush=True)\n"
        "def say(argument):\n"
        "    print(argument, 'waits in a buffer')\n"
        "    assert folder.is_dir()\n"
    )
    environment = {**os.environ, fork_process.RUN_VARIABLE: str(tmp_path)}
    server = fork_server.ForkServer(tmp_path, environment | {"PYTHONPATH": str(tmp_path)})
    try:
        server.prepare([("stage", ["made"], None)])
        wait_for((tmp_path / "folder").is_dir)
        for _ in range(2):
            with TemporaryFile() as output:
                assert server.call(("made", "say"), None, output).wait(60) == 0
                output.seek(0)
                assert output.read().splitlines()[-1] == b"null"
    finally:
        server.close()


def test_one_that_hangs_is_given_up(tmp_path, monkeypatch, capsys):
    """Stopped, it answers nobody; after its time is up a plain kernel runs the notebook."""
    monkeypatch.setattr(fork_server, "SECONDS_TO_FORK", 1.0)
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", "1")
    with struck(signal.SIGSTOP):
        assert main([Stage("1")], tmp_path, "Toy", argv=[]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the process that forks kernels is given up, as it does not answer: notebooks" in said
    assert not family(tmp_path)


def test_one_that_works_is_waited_for(tmp_path, monkeypatch):
    """At an import that takes longer than what hangs is given, as on a busy machine."""
    monkeypatch.setattr(fork_server, "SECONDS_TO_FORK", 1.0)
    begun, go = tmp_path / "begun", tmp_path / "go"
    (tmp_path / "long.py").write_text(
        "from pathlib import Path\n"
        f"Path({str(begun)!r}).touch()\n"
        f"while not Path({str(go)!r}).exists():\n    pass\n"
    )
    environment = {**os.environ, fork_process.RUN_VARIABLE: str(tmp_path)}
    server = fork_server.ForkServer(tmp_path, environment | {"PYTHONPATH": str(tmp_path)})
    ticks, looks = server._ticks, []

    def look() -> int:
        looks.append(ticks())
        if len(looks) == 6:  # two at the first second, then one or two at each
            go.touch()
        return looks[-1]

    monkeypatch.setattr(server, "_ticks", look)
    try:
        server.prepare([("stage", ["long"], None)])
        wait_for(begun.exists)
        with TemporaryFile() as output:
            assert server.call(("builtins", "print"), None, output).wait(60) == 0
        assert len(looks) >= 6 and looks[0] < looks[5] and not server.is_dead
    finally:
        server.close()


PATIENT = """
import os, pathlib, time
session = pathlib.Path("/proc/self/autogroup")
def niceness():
    return session.read_text().split()[-1] if session.exists() else str(os.nice(0))
folder, end = pathlib.Path(os.environ["CHAIN_RUN_FOLDER"]), time.monotonic() + 300
while not (folder / "last").exists() or niceness() != "0":
    if niceness() != "0":
        (folder / "yielded").touch()
    assert time.monotonic() < end, f"still nice: {niceness()}"
    time.sleep(0.02)
assert (folder / "yielded").exists()
"""
LAST = """
import os, pathlib, time
folder, end = pathlib.Path(os.environ["CHAIN_RUN_FOLDER"]), time.monotonic() + 300
while not (folder / "yielded").exists():
    assert time.monotonic() < end, "the other does not yield"
    time.sleep(0.02)
open(out, "w").write("1")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="not everybody may take a niceness back")
def test_a_kernel_yields_to_its_run_and_not_to_other_programs(tmp_path):
    """While others of the run are waited for it leaves them the processor, and then no longer."""
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", PATIENT)
    write_notebook(tmp_path / "notebooks/2.ipynb", 'out: str = "../2"', LAST)
    touch = "import os, pathlib\npathlib.Path(os.environ['CHAIN_RUN_FOLDER'], 'last').touch()"
    write_notebook(tmp_path / "notebooks/3.ipynb", 'read: str = "../2"', touch)
    chain = [Stage("1"), Stage("2", writes={"out": "2"}), Stage("3", reads={"read": "2"})]
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 0
