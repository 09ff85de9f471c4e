"""Notebooks of all kinds, none written for a chain: they end as they do under papermill."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from jupyter_core.utils import ensure_event_loop
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from papermill.execute import ERROR_MARKER_TAG
from toy import manifests, write_notebook

from papermill_chain.chain import notebooks
from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main

PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
OTHER = {"name": "other", "display_name": "Another Python", "language": "python"}
BASH = {"name": "bash", "display_name": "Bash", "language": "bash"}
INJECTED = "injected-parameters"
RED_DOT = (  # a PNG of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJg"
    "gg=="
)


@dataclass
class Kind:
    """A kind of notebook: its cells, what it is handed, and how it ends."""

    cells: list[Any]
    handed: dict[str, Any] = field(default_factory=dict)
    ends: str = "succeeded"
    kernel: dict[str, str] | None = field(default_factory=lambda: PYTHON)
    error: str = ""  # how the failure's sentence begins
    papermill_succeeds: bool = False  # though the notebook has stopped half-way
    runs_under_papermill: bool = True  # False: to papermill it is as another kind is
    file: dict[str, Any] | None = None  # what is in its file, if that is no nbformat 4


def tagged(source: str, *tags: str) -> Any:
    return new_code_cell(source, metadata={"tags": list(tags)})


def parameters(source: str) -> Any:
    return tagged(source, "parameters")


OF_VERSION_3 = {
    "metadata": {"name": "old"},
    "nbformat": 3,
    "nbformat_minor": 0,
    "worksheets": [
        {
            "metadata": {},
            "cells": [
                {"cell_type": "heading", "level": 1, "metadata": {}, "source": ["An old one"]},
                {
                    "cell_type": "code",
                    "collapsed": False,
                    "input": ["import sys\n", "6 * 7"],
                    "language": "python",
                    "metadata": {},
                    "outputs": [],
                    "prompt_number": 9,
                },
            ],
        }
    ],
}

KINDS = {
    "untagged": Kind(["fruit = 'pear'", "fruit, sort"], {"sort": "Conference"}),
    "computed": Kind(
        [
            parameters(
                "import datetime as dt\nfrom pathlib import Path\n"
                "day = dt.date(2024, 2, 29)  # a leap day\nplace = Path('a') / 'b'\n"
                "pair = 1, 2\nfirst = second = 3\nif first:\n    third = 3\n"
                "def half(n): return n / 2\nsize: 'int | None' = None"
            ),
            "day, place, pair, first, second, third, half(first), size",
        ],
        {"day": "2025-01-01", "pair": [3, 4], "size": 5},
    ),
    "ran_before": Kind(
        [parameters("x = 1"), tagged("x = 99", INJECTED), "x", parameters("y = 5"), "x + y"],
        {"x": 4},
    ),
    "ran_before_alone": Kind([parameters("x = 1"), tagged("x = 99", INJECTED), "x"]),
    "magics": Kind(
        [
            parameters("%config InlineBackend.figure_format = 'svg'\nn = 2\nwho = !echo me\nlen?"),
            "%precision 3\n%env COLOUR=blue",
            "!echo $COLOUR",
            "%%capture caught\nprint('unseen')",
            "if n:\n    %env N=3",
            "lines = !echo one; echo two",
            "lines, caught.stdout, n and 1 / 3",
            '%%bash\nfor n in 1 2; do echo "$n"; done\necho "import = 3"',
            "%%html\n<b>bold</b>",
            "%%js\n1",
        ],
        {"n": 3},
    ),
    "other_kernel": Kind(
        ["import os, sys", "os.environ['KIND'], sys.flags.optimize"], kernel=OTHER
    ),
    "of_version_3": Kind([], kernel=None, file=OF_VERSION_3),
    "empty": Kind([]),
    "in_bash": Kind(
        [
            parameters("n=1\nwho=nobody\nis_new=false\nitems=(a b)\nnothing=x"),
            'echo "$n $who $is_new ${#items[@]} ${items[0]} [$nothing]"; basename "$PWD"',
            "echo error >&2\nprintf unended",
            "exit",  # its kernel starts another bash
            'echo "[$n]"',
        ],
        {"is_new": True, "items": ["x y", "z"], "n": 3, "nothing": None, "who": 'it\'s "$HOME"'},
        kernel=BASH,
    ),
    "in_bash_untagged": Kind(["echo $((amount * 2))"], {"amount": 21}, kernel=BASH),
    "in_bash_fails": Kind(
        [new_markdown_cell("## Look"), "echo begins; ls nowhere; (exit 7)", "echo not reached"],
        ends="failed",
        kernel=BASH,
        error="Error: exit code 7, after it printed: ls: cannot access 'nowhere': No such file",
    ),
    "in_bash_raises_as_it_should": Kind(
        [tagged("false", "raises-exception"), "echo goes on"],
        ends="failed",
        kernel=BASH,
        error="Error: exit code 1",
        runs_under_papermill=False,
    ),
    "in_bash_dies": Kind(
        ["echo one", "kill -9 $PPID", "echo not reached"],
        ends="failed",
        kernel=BASH,
        error="KernelDied: the kernel was killed",
        runs_under_papermill=False,
    ),
    "blank_and_without_kernel": Kind(
        [
            *("", "   \n", tagged("1 / 0", "skip-execution"), "3"),
            *(new_markdown_cell("# Nothing to run\n\n$x^2$"), new_raw_cell("raw")),
        ],
        kernel=None,
    ),
    "ünïcode": Kind(
        [
            parameters(
                "größe = 1  # Länge in µm\nπ = 3  # type: float about\nwer = None  # type: str"
            ),
            "print('größe', größe, π, wer, '日本')",
        ],
        {"größe": 2, "wer": "7", "π": 3.5},
    ),
    "widgets_and_updates": Kind(
        [
            "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nslider",
            "slider.value = 5",
            "from IPython.display import clear_output, display, HTML, Image, JSON, Latex",
            "shown = display('first', display_id='one')",
            "shown.update('second')\ndisplay(HTML('<i>x</i>'), Latex('$x$'), JSON({'a': 1}))",
            "import sys",
            "print('gone')\nclear_output()\nprint('stays')\nprint('error', file=sys.stderr)",
            f"import base64\nImage(base64.b64decode('{RED_DOT}'))",
            "import asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 'slept')",
            "print('a', end='')\nprint('b')\ndisplay(1)\nprint('c')",
        ]
    ),
    "fails": Kind(
        [new_markdown_cell("## Division"), "1", "1 / 0", "'not reached'"],
        ends="failed",
        error="ZeroDivisionError: division by zero",
    ),
    "unknown_magic": Kind(
        ["1", "%no_such_magic", "'not reached'"],
        ends="failed",
        error="UsageError: Line magic function `%no_such_magic` not found",
        runs_under_papermill=False,
    ),
    "raises_as_it_should": Kind(
        ["1", tagged("int('x')", "raises-exception"), "'goes on'", new_markdown_cell("end")],
        ends="failed",
        error="ValueError: invalid literal",
    ),
    "raises_twice": Kind(
        [tagged("int('x')", "raises-exception"), "'goes on'", "1 / 0", "'not reached'"],
        ends="failed",
        error="ZeroDivisionError: division by zero",
        runs_under_papermill=False,
    ),
    "asks": Kind(
        ["input('name? ')", "1"],
        ends="failed",
        error="StdinNotImplementedError: ",
        runs_under_papermill=False,
    ),
    "leaves": Kind(
        ["1", "import sys\nsys.exit()", "'not reached'"],
        ends="failed",
        error="SystemExit: so the cells below did not run",
        papermill_succeeds=True,
    ),
    "leaves_in_anger": Kind(
        ["import sys\nsys.exit(3)", "1"],
        ends="failed",
        error="SystemExit: 3, so the cells below did not run",
        runs_under_papermill=False,
    ),
    "dies": Kind(
        ["1", "import os\nos._exit(3)", "'not reached'"],
        ends="failed",
        error="KernelDied: the kernel ended by itself with exit code 3",
    ),
    "no_such_kernel": Kind(
        ["1"],
        ends="failed",
        kernel={"name": "nowhere", "display_name": "", "language": "python"},
        error="NoSuchKernel: there is no kernel nowhere here, but bash, other and python3;"
        " install it",
    ),
}
CHAIN = [Stage(name) for name in KINDS]


@dataclass
class Ran:
    """A project whose notebooks have been run, and how each ends under papermill."""

    root: Path
    notes: list[str]  # that the run has printed
    under_papermill: dict[str, tuple[bool, Any]]  # whether it calls it done, and what it leaves


def write_all(root: Path) -> None:
    """One notebook of each kind, the first half of them as nbformat 4.0 has it: without ids."""
    (root / "notebooks").mkdir(parents=True)
    for place, (name, kind) in enumerate(KINDS.items()):
        cells = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in kind.cells]
        about = {"kernelspec": kind.kernel} if kind.kernel else {}
        content = json.loads(nbformat.writes(new_notebook(cells=cells, metadata=about)))
        if kind.file:
            content = kind.file
        elif place < len(KINDS) // 2:
            content["nbformat_minor"] = 0
            for cell in content["cells"]:
                del cell["id"]
        (root / f"notebooks/{name}.ipynb").write_text(json.dumps(content))


def install_kernel(root: Path, about: dict[str, str], *command: str, **more: Any) -> None:
    """Have Jupyter know a kernel, if JUPYTER_PATH has the project's folder of that name."""
    argv = [sys.executable, *command, "-f", "{connection_file}"]
    folder = root / "jupyter/kernels" / about["name"]
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv} | about | more))


def ends_under_papermill(name: str, kind: Kind, root: Path) -> tuple[bool, Any]:
    """Whether papermill calls a notebook done, and the notebook that it leaves behind."""
    loop = ensure_event_loop()
    executed = root / "papermill" / f"{name}.ipynb"
    try:
        papermill.execute_notebook(
            root / f"notebooks/{name}.ipynb",
            executed,
            kind.handed,
            kernel_name=None if kind.kernel else "python3",  # which it has to be told
            language=None if kind.kernel else "python",
            progress_bar=False,
            iopub_timeout=60,  # after 4 s on a busy machine it would go on without the output
        )
        done = True
    except Exception:  # noqa: BLE001  whichever it is, the notebook has failed
        done = False
    finally:
        loop.close()
    return done, nbformat.read(executed, 4) if executed.exists() else None


def shown_in(notebook: Any) -> list[tuple[str, list[Any]]]:
    """The cells of an executed notebook with their outputs, as far as these are the same twice."""
    shown = []
    for cell in notebook.cells:
        if ERROR_MARKER_TAG in cell.metadata.get("tags", []):
            continue
        outputs: list[Any] = []
        for output in cell.get("outputs", []):
            kind, text = output.output_type, output.get("text", "")
            if kind == "stream" and outputs and outputs[-1][:2] == [kind, output.name]:
                outputs[-1][2] += text  # printed in one go or in two
            elif kind == "stream":
                outputs.append([kind, output.name, text])
            elif kind == "error":
                outputs.append([kind, output.ename, output.evalue])
            else:
                data = {
                    mime: sorted(value) if "widget" in mime else value
                    for mime, value in output.data.items()
                }
                outputs.append([kind, data, output.metadata])
        shown.append((cell.source, outputs))
    return shown


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Ran:
    """A folder with a notebook of each kind, all run as one chain; papermill has run each."""
    root = tmp_path_factory.mktemp("place") / "project"
    write_all(root)
    install_kernel(root, OTHER, "-O", "-m", "ipykernel_launcher", env={"KIND": "other"})
    install_kernel(root, BASH, "-m", "bash_kernel", env={"PS1": "$"})
    values = {name: kind.handed for name, kind in KINDS.items() if kind.handed}
    (root / "values.json").write_text(json.dumps(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        patch.chdir(root / "notebooks")
        (root / "papermill").mkdir()
        with ThreadPoolExecutor(2) as threads:
            runs = {
                name: threads.submit(ends_under_papermill, name, kind, root)
                for name, kind in KINDS.items()
                if kind.runs_under_papermill
            }
            expected = {name: run.result() for name, run in runs.items()}
        with redirect_stdout(StringIO()) as printed:
            assert main(CHAIN, root, "All kinds", argv=["--json", "-f", "../values.json"]) == 1
    events = [json.loads(line) for line in printed.getvalue().splitlines()]
    notes = [event["text"] for event in events if event["event"] == "note"]
    return Ran(root, notes, expected)


def records(root: Path) -> dict[str, dict]:
    return {stage["name"]: stage for stage in manifests(root)[-1]["stages"]}


def executed(root: Path, name: str) -> Any:
    (run,) = (root / "experiments/runs").iterdir()
    return nbformat.read(run / f"{name}.ipynb", 4)


@pytest.mark.parametrize("name", KINDS)
def test_a_notebook_ends_as_it_does_under_papermill(ran, name):
    kind, record = KINDS[name], records(ran.root)[name]
    assert record["status"] == kind.ends
    if kind.error:
        error = record["error"]
        assert f"{error['ename']}: {error['evalue']}".startswith(kind.error)
    if kind.runs_under_papermill:
        done, under_papermill = ran.under_papermill[name]
        assert done == (kind.ends == "succeeded" or kind.papermill_succeeds)
        assert under_papermill is None or shown_in(executed(ran.root, name)) == shown_in(
            under_papermill
        )


def test_each_has_a_report(ran):
    assert manifests(ran.root)[-1]["troubles"] == []
    reports = [record["report"] for record in records(ran.root).values()]
    assert reports == [f"{name}.html" for name in KINDS]
    (run,) = (ran.root / "experiments/runs").iterdir()
    for name, sentence in {
        "raises_as_it_should": "The cells after it were run, as its tag",
        "raises_twice": "Nothing after it was run",
    }.items():
        assert sentence in (run / f"{name}.html").read_text()


def test_parameters_that_a_notebook_does_not_list_are_noted(ran):
    assert sorted(ran.notes) == [
        f"notebooks/{notebook}.ipynb has no cell tagged `parameters`: a cell on top sets {name},"
        " and its own cells may set that anew"
        for notebook, name in {"in_bash_untagged": "amount", "untagged": "sort"}.items()
    ]


def test_all_that_ran_well_is_up_to_date_whatever_its_parameters(ran, monkeypatch, capsys):
    """A tuple or a date is not what JSON gives back; it must not look like a change."""
    monkeypatch.chdir(ran.root)
    assert main(CHAIN, ran.root, "All kinds", argv=["--dry-run", "-f", "values.json"]) == 0
    ends = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    good = [name for name, kind in KINDS.items() if kind.ends == "succeeded"]
    assert [ends[name] for name in good] == ["up to date"] * len(good)
    assert ends["fails"] == "would run: has not succeeded yet"


def test_defaults_that_are_computed_are_listed_as_code_and_can_be_set(ran, capsys):
    chain = [Stage("computed"), Stage("untagged"), Stage("ünïcode")]
    assert main(chain, ran.root, "All kinds", argv=["--list"]) == 0
    assert capsys.readouterr().out == (
        "computed  computed\n"
        "  set     day: Any = dt.date(2024, 2, 29)  # a leap day\n"
        "  set     place: Any = Path('a') / 'b'\n"
        "  set     pair: tuple = (1, 2)\n"
        "  set     first: int = 3\n"
        "  set     second: int = 3\n"
        "  set     size: int | None = None\n\n"
        "untagged  untagged\n"
        "  set     any NAME=VALUE: no cell is tagged `parameters`, or not in Python\n\n"
        "ünïcode  ünïcode\n"
        "  set     größe: int = 1  # Länge in µm\n"
        "  set     π: float = 3  # about\n"
        "  set     wer: str = None\n\n"
    )
    assert records(ran.root)["computed"]["parameters"] == {
        "day": "2025-01-01",
        "place": "computed: Path('a') / 'b'",
        "pair": [3, 4],
        "first": 3,
        "second": 3,
        "size": 5,
    }


def test_what_takes_python_is_refused_to_other_languages(ran, monkeypatch, capsys):
    monkeypatch.setenv("BANK_TOKEN", "abcdefgh")
    chain = [Stage("in_bash", secrets={"token": "BANK_TOKEN"})]
    assert main(chain, ran.root, "All kinds", argv=["--list"]) == 2
    assert "in_bash is handed secrets, which only Python fetches" in capsys.readouterr().err
    assert main(CHAIN, ran.root, "All kinds", argv=["--debug", "in_bash"]) == 2
    assert "in Python, and notebooks/in_bash.ipynb is in bash" in capsys.readouterr().err


def test_a_notebook_without_parameter_cell_gets_files_and_secrets(tmp_path, monkeypatch, capsys):
    write_notebook(tmp_path / "notebooks/1.ipynb", "n = 1", "open(out, 'w').write(token[::-1])")
    notebook = nbformat.read(tmp_path / "notebooks/1.ipynb", 4)
    notebook.cells[1].metadata = {}
    nbformat.write(notebook, tmp_path / "notebooks/1.ipynb")
    monkeypatch.setenv("BANK_TOKEN", "abcdefgh")
    chain = [Stage("1", writes={"out": "out.txt"}, secrets={"token": "BANK_TOKEN"})]
    assert main(chain, tmp_path, "Toy", argv=["--set", "more=2"]) == 0
    assert "has no cell tagged `parameters`: a cell on top sets more, out, token," in " ".join(
        capsys.readouterr().out.split()
    )
    assert (tmp_path / "out.txt").read_text() == "hgfedcba"
    assert "abcdefgh" not in executed(tmp_path, "1").cells[0].source
    assert executed(tmp_path, "1").cells[0].source.split("\n")[1:] == [
        "more = 2",
        'out = "../experiments/runs/' + f'{manifests(tmp_path)[0]["id"]}/staged/1/out.txt"',
        "token = None",
        "",
        'token = __import__("os").environ["BANK_TOKEN"]',
    ]


SCRIPT = """# %% [markdown]
# # A script

# %% tags=["parameters"]
n: int = 2  # how many
out: str = "../out.txt"

# %%
# %precision 3
n / 3

# %%
open(out, "w").write("x" * n)
"""


def test_a_script_in_the_percent_format_is_a_notebook(tmp_path, monkeypatch, capsys):
    script = tmp_path / "notebooks/1_script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.replace("n / 3", "n / 0"))
    chain = [Stage("1_script", writes={"out": "out.txt"})]

    def run(*arguments: str) -> tuple[int, str]:
        code = main(chain, tmp_path, "Toy", argv=arguments)
        return code, " ".join("".join(capsys.readouterr()).split())

    # a copy to find an error in is a notebook, and its changes go back into the script
    assert run("--set", "n=4")[0] == 1
    assert (
        "1_script stopped in cell 3, under “A script”: ZeroDivisionError"
        in run("--debug", "script")[1]
    )
    copy = nbformat.read(tmp_path / "debug/1_script.ipynb", 4)
    assert copy.cells[3].source == "%precision 3\nn / 0"
    copy.cells[3].source = "%precision 3\nn / 3"
    nbformat.write(copy, tmp_path / "debug/1_script.ipynb")
    code, said = run("--fixed", "script", "--set", "n=4")
    assert code == 0, said
    assert script.read_text() == SCRIPT
    assert (tmp_path / "out.txt").read_text() == "xxxx"
    last = tmp_path / "experiments/runs" / manifests(tmp_path)[-1]["id"] / "1_script.ipynb"
    assert nbformat.read(last, 4).cells[3].outputs[0].data["text/plain"] == "1.333"
    assert run("--dry-run", "--set", "n=4")[1] == "1_script up to date"

    monkeypatch.setattr(notebooks, "find_spec", lambda name: None)
    code, said = run()
    assert code == 2 and "this Python has no jupytext; install the extra" in said
