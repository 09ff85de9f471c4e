"""A small chain for the tests of the runner: four notebooks that import nothing heavy.

    python tests/toy.py FOLDER [arguments of the runner]

runs it as a program, in a folder that `make` has filled.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

REPOSITORY = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))

from papermill_chain.chain.stages import External, Stage
from papermill_chain.cli import main

HEADLINE = "application/vnd.chain.headline+json"

RAW = {"raw": "data/raw.csv"}
SPLIT = {"train": "data/split/train.csv", "test": "data/split/test.csv"}
MODEL = {"model": "models/model.txt", "card": "models/card.txt"}


def registry() -> Path:
    """Where the toy's model is registered, outside of what the chain writes: beside its folder."""
    return Path(os.environ["TOY_REGISTRY"])


def what_registry_lacks() -> str:
    return "" if (registry() / "model").exists() else "the model is not in the registry"


def close_registry(runs: list[str]) -> None:
    for run in runs:
        (registry() / f"{run} open").unlink(missing_ok=True)


CHAIN = [
    Stage(
        "03_model",
        reads={"train": SPLIT["train"]},
        writes=MODEL,
        kept=["card"],
        external=External(check=what_registry_lacks, release=close_registry),
    ),
    Stage("01_look", reads=RAW),
    Stage("02_split", reads=RAW, writes=SPLIT),
    Stage("04_judge", reads={"model": MODEL["model"], "test": SPLIT["test"]}),
]

NOTEBOOKS = {
    # 01 and 02 each wait for the other: they come to an end only if they run side by side.
    "01_look": [
        'raw: str = "../data/raw.csv"  # the applications\nmeet: bool = False  # wait for 02',
        """
        import os, pathlib, time
        run = pathlib.Path(os.environ["CHAIN_RUN_FOLDER"])
        session = pathlib.Path("/proc/self/autogroup")
        told = session.read_text() if session.exists() else ""
        (run / "look").write_text(f"{os.nice(0)} {told}")
        while meet and not (run / "split").exists():
            time.sleep(0.05)
        """,
    ],
    "02_split": [
        (
            'raw: str = "../data/raw.csv"\n'
            'train: str = "../data/split/train.csv"\n'
            'test: str = "../data/split/test.csv"\n'
            "meet: bool = False\n"
            "seed: int = 7  # luck\n"
            "share: float | None = None"
        ),
        """
        import os, pathlib, time
        from toolbox import cut
        run = pathlib.Path(os.environ["CHAIN_RUN_FOLDER"])
        session = pathlib.Path("/proc/self/autogroup")
        told = session.read_text() if session.exists() else ""
        (run / "split").write_text(f"{os.nice(0)} {told}")
        while meet and not (run / "look").exists():
            time.sleep(0.05)
        """,
        """
        text = pathlib.Path(raw).read_text()
        pathlib.Path(train).write_text(f"{cut.strip(text)}\\n{seed}")
        pathlib.Path(test).write_text("test")
        published = pathlib.Path("../data/split/train.csv").exists()
        """,
        f"""
        from IPython.display import display
        told = {{"text": f"published early: {{published}}", "figures": {{"rows": {{"value": 2}}}}}}
        display({{"{HEADLINE}": told, "text/plain": ""}}, raw=True)
        """,
    ],
    "03_model": [
        (
            'train: str = "../data/split/train.csv"\n'
            'model: str = "../models/model.txt"\n'
            'card: str = "../models/card.txt"\n'
            'mood: str = "good"  # how it ends'
        ),
        """
        import os, pathlib, signal, subprocess, sys, time
        registry = pathlib.Path(os.environ["TOY_REGISTRY"])
        open_run = registry / (os.environ["CHAIN_RUN_ID"] + " open")
        open_run.touch()
        """,
        """
        if mood == "late":
            if os.fork() == 0:
                time.sleep(300)
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            (pathlib.Path(os.environ["CHAIN_RUN_FOLDER"]) / "late").touch()
            time.sleep(300)
        """,
        """
        content = "x" * 200_000 if mood == "huge" else mood
        pathlib.Path(model).write_text(content)
        pathlib.Path(card).write_text(content)
        if mood == "bad":
            raise ValueError("the model is bad")
        """,
        """
        if mood == "leaving":
            sys.exit(0)
        if mood in ("dying", "killed"):
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            os.kill(os.getpid(), signal.SIGKILL) if mood == "killed" else os._exit(1)
        if mood == "slow":
            time.sleep(300)
        if mood == "forgetful":
            os.remove(model)
        """,
        """
        (registry / "model").write_text(mood)
        open_run.unlink()
        """,
    ],
    "04_judge": ['model: str = "../models/model.txt"\ntest: str = "../data/split/test.csv"', "1"],
}


def write_notebook(path: Path, parameters: str, *cells: str, kernel: str = "python3") -> None:
    """A notebook with a title, a parameter cell, a heading and code cells."""

    def cell(kind: str, source: str, **metadata) -> dict:
        more = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {"cell_type": kind, "source": source, "metadata": metadata, **more}

    cells = [
        cell("markdown", f"# The notebook {path.stem}"),
        cell("code", parameters, tags=["parameters"]),
        cell("markdown", "## What it does"),
        *(cell("code", dedent(source).strip()) for source in cells),
    ]
    about = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    notebook = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 4}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook))


def make(root: Path) -> Path:
    """A folder with the chain's notebooks, its data and its package, and a registry beside it."""
    for name, cells in NOTEBOOKS.items():
        write_notebook(root / "notebooks" / f"{name}.ipynb", *cells)
    (root / "data").mkdir()
    (root / "data/raw.csv").write_text("raw\n")
    (root / "toolbox").mkdir()
    (root / "toolbox/__init__.py").write_text("")
    (root / "toolbox/cut.py").write_text("from . import words\n\nstrip = words.strip\n")
    (root / "toolbox/words.py").write_text(
        "LETTER = 'letter.txt'\n\n\ndef strip(text):\n    return text.strip()\n"
    )
    (root / "toolbox/pages").mkdir()
    (root / "toolbox/pages/letter.txt").write_text("Dear applicant")
    (root / "uv.lock").write_text("1")
    registry_of(root).mkdir()
    return root


def registry_of(root: Path) -> Path:
    """The registry of the chain in a folder."""
    return root.with_name(f"{root.name} registry")


def run(root: Path, *arguments: str, chain=CHAIN, **more) -> int:
    """Run the chain in this process."""
    os.environ["TOY_REGISTRY"] = str(registry_of(root))
    return main(chain, root, "Toy", argv=arguments, **more)


def start(root: Path, *arguments: str, **how) -> subprocess.Popen:
    """Run the chain as a program of its own."""
    command = [sys.executable, __file__, str(root), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, **pipes | how)


def wait_for(condition, seconds: float = 300) -> None:
    """Wait until something holds; an error if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def manifests(root: Path) -> list[dict]:
    """What all runs tell, oldest first."""
    return [
        json.loads(path.read_text())
        for path in sorted(root.glob("experiments/runs/*/manifest.json"))
    ]


def family(root: Path) -> list[int]:
    """The processes that belong to a run of a project, however they were started."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CHAIN_RUN_FOLDER", "").startswith(str(root)):
                found.append(process.pid)
        except psutil.Error:
            pass
    return found


if __name__ == "__main__":
    sys.modules["toy"] = sys.modules["__main__"]
    sys.exit(run(Path(sys.argv[1]), *sys.argv[2:]))
