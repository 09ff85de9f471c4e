"""Kernels: forked ones are as clean as cold ones; secrets stay out; what a cell takes is told."""

import html
import json
import os
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import nbformat
import pytest
from damage import no_longer_than
from toy import REPOSITORY, family, manifests, write_notebook

from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main
from papermill_chain.execution import processes
from papermill_chain.execution.kernels import sockets

# A module that, like numpy, draws a seed when it is imported, and a figure left open in a cell.
LOOK = """
import json, os, random, sys
import matplotlib.pyplot as plt
import numpy as np
from ipykernel.connect import get_connection_info
connection = json.loads(get_connection_info())
found = {
    "names": sorted(name for name in globals() if not name.startswith("_")),
    "drawn": [random.random(), float(np.random.rand()), float(np.random.default_rng().random())],
    "folder": os.path.basename(os.getcwd()), "stage": os.environ["CHAIN_STAGE"],
    "seeded": float(np.random.RandomState(7).standard_normal((300, 300)).dot(np.ones(300)).sum()),
    "connection": [connection["transport"], os.path.dirname(connection["ip"])],
}
json.dump(found, open(out, "w"))
"""
FIGURE = "plt.plot([1, 2])\nopen_figures = plt.get_fignums()"


def look(root: Path, names: tuple[str, ...]) -> list[dict]:
    """What the kernels of notebooks find that all look at the same things."""
    chain = [Stage(name, writes={"out": f"{name}.json"}) for name in names]
    for name in names:
        write_notebook(root / f"notebooks/{name}.ipynb", 'out: str = "../out"', LOOK, FIGURE)
    assert main(chain, root, "Toy", argv=["--quiet"]) == 0
    assert not family(root)
    return [json.loads((root / f"{name}.json").read_text()) for name in names]


def test_a_forked_kernel_is_as_clean_as_a_cold_one(tmp_path, monkeypatch):
    first, second = look(tmp_path / "warm", ("1", "2"))
    monkeypatch.setattr(processes, "HAS_FORK", False)  # as where there is no fork
    (cold,) = look(tmp_path / "cold", ("1",))
    assert first["names"] == second["names"] == cold["names"]
    assert "pickle" not in cold["names"] and "np" in cold["names"]
    # random numbers without a seed differ in all three, those with a seed agree to the last digit
    draws = [*first["drawn"], *second["drawn"], *cold["drawn"]]
    assert len(set(draws)) == 9
    assert first["seeded"] == second["seeded"] == cold["seeded"]
    assert (first["folder"], first["stage"], second["stage"]) == ("notebooks", "1", "2")
    # a figure left open is shown below its cell, once, in both
    for place in "warm", "cold":
        (run,) = (tmp_path / place / "experiments/runs").iterdir()
        last = nbformat.read(run / "1.ipynb", 4).cells[-1]
        assert ["image/png" in output.data for output in last.outputs] == [True]
    # no kernel can take another's ports: each listens in a folder of its own, which is gone now
    assert os.name == "nt" or all(
        transport == "ipc" and Path(folder).is_absolute() and not Path(folder).exists()
        for transport, folder in (found["connection"] for found in (first, second, cold))
    )


def test_a_kernel_is_forked_from_a_process_that_has_its_imports_done(tmp_path):
    """A module notes which process imported it: not the kernel's own, and one for both stages."""
    note = "import os, pathlib\n(pathlib.Path(__file__).parent / f'by {os.getpid()}').touch()"
    (tmp_path / "heavy.py").write_text(note)
    for name in "12":
        write_notebook(tmp_path / f"notebooks/{name}.ipynb", "x: int = 1", "import heavy")
    write_notebook(tmp_path / "notebooks/3.ipynb", "x: int = 1", "import heavy, no_such_module")
    chain = [Stage("1"), Stage("2"), Stage("3")]
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 1
    assert len(list(tmp_path.glob("by *"))) == 1
    # what cannot be imported is for the notebook to tell
    stages = {stage["name"]: stage for stage in manifests(tmp_path)[0]["stages"]}
    assert stages["3"]["error"]["ename"] == "ModuleNotFoundError"


# The first notebook waits until the kernel of the second is there, and then does as it is told.
FIRST = """
import os, psutil, time
def others():
    return [p for p in psutil.Process(os.getppid()).children()
            if p.pid not in (os.getpid(), os.getsid(os.getppid())) and os.getsid(p.pid) == p.pid]
end = time.monotonic() + 300
while not others():
    assert time.monotonic() < end, "no kernel ahead"
    time.sleep(0.02)
"""


def first_and_second(root: Path, does: str) -> int:
    """Run two notebooks, of which the first does something once the second has a kernel."""
    write = "open(out, 'w').write('1')"
    write_notebook(root / "notebooks/1.ipynb", 'out: str = "../1"', FIRST, does, write)
    write_notebook(root / "notebooks/2.ipynb", 'read: str = "../1"', "print(open(read).read())")
    chain = [Stage("1", writes={"out": "1"}), Stage("2", reads={"read": "1"})]
    return main(chain, root, "Toy", argv=["--quiet"])


@pytest.mark.skipif(not processes.HAS_FORK, reason="looks for a fork")
def test_a_kernel_that_is_started_ahead_is_taken_replaced_or_let_go(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    killed = "others()[0].kill()\nwhile others(): time.sleep(0.02)"
    expected = [  # what the first does, the exit code, and what becomes of the second
        ("1 / 0", 1, "not run"),
        (killed, 0, "succeeded"),
        ("pass", 0, "up to date"),  # the first has run anew, and written the same
    ]
    for does, code, status in expected:
        assert first_and_second(tmp_path, does) == code
        assert manifests(tmp_path)[-1]["stages"][1]["status"] == status
        assert not family(tmp_path)
        assert not list((tmp_path / "runtime").glob("kernel-*"))  # nor a file to connect with


END = """
import atexit, sys, threading, time, zipfile
left_open = sys.modules["left_open"] = open(out, "w")
left_open.write("whole")
packed = zipfile.ZipFile(archive, "w")
packed.writestr("name", "content")
atexit.register(lambda: open(last, "w").write("at exit"))
threading.Thread(target=lambda: time.sleep(0.5) or open(later, "w").write("in a thread")).start()
"""


@pytest.mark.parametrize("forked", [True, False])
def test_a_kernel_comes_to_an_orderly_end_before_its_files_are_published(
    tmp_path, monkeypatch, forked
):
    if not forked:
        monkeypatch.setattr(processes, "HAS_FORK", False)
    names = "out", "archive", "last", "later"
    parameters = "\n".join(f'{name}: str = "../{name}"' for name in names)
    write_notebook(tmp_path / "notebooks/1.ipynb", parameters, END)
    chain = [Stage("1", writes={name: name for name in names})]
    assert main(chain, tmp_path, "Toy", argv=["--quiet"]) == 0
    told = [(tmp_path / name).read_text() for name in ("out", "last", "later")]
    assert told == ["whole", "at exit", "in a thread"]
    assert zipfile.ZipFile(tmp_path / "archive").read("name") == b"content"


SECRET = 'pa"ss\\w<o>rd &é'
TELL = """
print("token", token, repr(token), json.dumps(token))
for letter in token:
    print(letter, end="", flush=True)
display(HTML(f"<b>{html.escape(token)}</b>"))
display(Markdown(quote(token, "")))
display({"application/vnd.chain.headline+json": {"text": "it is " + token, "figures": {"f": token}},
         "text/plain": token}, raw=True)
token
"""


@pytest.mark.parametrize("ending", ["pass", "raise ValueError(token)", "os._exit(1)"])
def test_a_secret_is_known_to_its_notebook_and_stands_nowhere(tmp_path, capfd, monkeypatch, ending):
    imports = (
        "import html, json, os\nfrom hashlib import sha256\nfrom urllib.parse import quote\n"
        "from IPython.display import HTML, Markdown, display"
    )
    last = f"os.write(2, token.encode() + b'\\n')\n{ending}"
    parameters = 'token: str = ""  # of the registry\nout: str = "../out"'
    write = "open(out, 'w').write(sha256(token.encode()).hexdigest())"
    write_notebook(tmp_path / "notebooks/1.ipynb", parameters, imports, write, TELL, last)
    other = "import os\nassert 'TOY_TOKEN' not in os.environ"
    write_notebook(tmp_path / "notebooks/2.ipynb", "x: int = 1", other)
    chain = [Stage("2"), Stage("1", writes={"out": "out"}, secrets={"token": "TOY_TOKEN"})]

    monkeypatch.delenv("TOY_TOKEN", raising=False)
    assert main(chain, tmp_path, "Toy", argv=[]) == 2
    assert (
        "1 needs the secret token; set the environment variable TOY_TOKEN" in capfd.readouterr().err
    )
    monkeypatch.setenv("TOY_TOKEN", SECRET)
    assert main(chain, tmp_path, "Toy", argv=["--set", f"token={SECRET}"]) == 2
    said = capfd.readouterr().err
    assert "token is a secret and cannot be set here" in said and SECRET not in said

    assert main(chain, tmp_path, "Toy", argv=["--json"]) == int(ending != "pass")
    said = "".join(capfd.readouterr())
    (run,) = (tmp_path / "experiments/runs").iterdir()
    stages = {stage["name"]: stage for stage in manifests(tmp_path)[0]["stages"]}
    assert stages["2"]["status"] == "succeeded"
    if ending == "pass":
        assert (tmp_path / "out").read_text() == sha256(SECRET.encode()).hexdigest()
        assert stages["1"]["headline"] == "it is [secret token]"
    texts = [said, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    spelt = [SECRET, repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1], html.escape(SECRET)]
    spelt += [json.dumps(form)[1:-1] for form in spelt] + ["pa%22ss", "w<o>rd", "w&lt;o&gt;rd"]
    assert not [(form, text) for form in spelt for text in texts if form in text]
    assert any("[secret token]" in path.read_text() for path in run.glob("1.*"))


def test_time_and_memory_of_each_cell_are_kept_and_shown(tmp_path, capsys):
    cells = "import time\ntime.sleep(0.3)", "x = bytearray(150_000_000)\ndel x", "1"
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", *cells)
    assert main([Stage("1")], tmp_path, "Toy", argv=["--set", "x=2"]) == 0
    (told,) = manifests(tmp_path)
    # cells 0 and 3 are prose; 1 and 2 are the parameters
    _, _, slow, large, after = told["stages"][0]["cells"]
    assert [cell["cell"] for cell in (slow, large, after)] == [4, 5, 6]
    assert slow["heading"] == "What it does"
    # however busy the machine is, the stage takes longer, by the start of its kernel
    assert 0.3 <= slow["seconds"] < told["stages"][0]["seconds"]
    if sys.platform == "linux":  # the peak is that of the cell, not of all before it
        assert large["peak_mb"] > after["peak_mb"] + 140 > 140
    report = (tmp_path / "experiments/runs" / told["id"] / "1.html").read_text()
    assert f"{slow['seconds']:.1f} s" in report and f"{large['peak_mb']:.0f} MB" in report
    # where lines cannot move, each is complete in itself, and a second run knows how long it takes
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1  started: first run" and "\x1b" not in "".join(lines)
    assert main([Stage("1")], tmp_path, "Toy", argv=["--force", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == [
        "stage started",
        *["cell started"] * 4,
        "stage ended",
        "run ended",
    ]
    assert events[0]["expected_seconds"] == told["stages"][0]["seconds"]
    assert events[-1]["status"] == "succeeded"
    # cell 4 sleeps 0.3 s; an event has the time at which it came up, in thousandths of a second
    assert events[3]["time"] - events[2]["time"] >= 0.299
    assert events[2] | {"time": 0} == {
        "event": "cell started",
        "time": 0,
        "stage": "1",
        "number": 2,
        "of": 4,
        "heading": "What it does",
    }
    assert main([Stage("1")], tmp_path, "Toy", argv=["--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


#: A program that has one of the kernel's ports, and does not speak with whoever sends to it.
FOREIGN = """
import json, sys, time, zmq
taken = json.load(open(sys.argv[1]))
socket = zmq.Context().socket(zmq.PUB)
socket.bind(f"tcp://{taken['ip']}:{taken['shell_port']}")
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_a_port_that_another_program_has_is_not_waited_for(tmp_path, monkeypatch, capsys):
    """A kernel of another language has ports; who sends to the wrong one would wait for ever."""
    monkeypatch.setattr(sockets, "SECONDS_TO_SEND", 1)
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", "1", kernel="foreign")
    spec = tmp_path / "jupyter/kernels/foreign/kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-c", FOREIGN, "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "f", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    with no_longer_than(300):
        assert main([Stage("1")], tmp_path, "Toy", argv=["--quiet"]) == 1
    assert "KernelDied: the kernel did not start" in " ".join(capsys.readouterr().err.split())
    assert not family(tmp_path)


def test_a_run_goes_on_when_nobody_reads_what_it_says(tmp_path):
    write_notebook(tmp_path / "notebooks/1.ipynb", "x: int = 1", "1")
    program = (
        "import sys; from papermill_chain.chain.stages import Stage;"
        " from papermill_chain.cli import main;"
        f" sys.exit(main([Stage('1')], {str(tmp_path)!r}, 'Toy'))"
    )
    command = f'"{sys.executable}" -c "{program}" | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert manifests(tmp_path)[0]["status"] == "succeeded"
