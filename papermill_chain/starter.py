"""A small chain to begin with: a program of five lines and two notebooks."""

import json
import os
from pathlib import Path
from typing import Any

from papermill_chain.chain.parameters import ChainError
from papermill_chain.runs.figures import HEADLINE
from papermill_chain.runs.files import os_error_text, write_whole

PROGRAM = """\
from pathlib import Path
from papermill_chain.chain.stages import Stage
from papermill_chain.cli import main

CHAIN = [Stage("1_draw", writes={"path": "draw.txt"}), Stage("2_mean", reads={"path": "draw.txt"})]
raise SystemExit(main(CHAIN, Path(__file__).parent, "Numbers"))
"""

DRAW = [
    "# Drawing numbers\n\nEach run with the same seed draws the same.",
    (
        'path: str = "../draw.txt"  # where the numbers go, one a line\n'
        "count: int = 100  # how many\n"
        "seed: int = 7  # another one draws others"
    ),
    "import random\nfrom pathlib import Path",
    "generator = random.Random(seed)\nnumbers = [generator.random() for _ in range(count)]",
    'Path(path).write_text("\\n".join(map(str, numbers)))',
]
MEAN = [
    "# Their mean\n\nThe last cell says what the index of all runs shows.",
    'path: str = "../draw.txt"  # the numbers, one a line',
    "from pathlib import Path\nfrom statistics import mean",
    "numbers = [float(line) for line in Path(path).read_text().split()]\nresult = mean(numbers)",
    (
        'text = f"The mean of {len(numbers)} numbers is {result:.3f}."\n'
        'headline = {"text": text, "figures": {"mean": {"value": result}}}\n'
        f'display({{"{HEADLINE}": headline, "text/plain": text}}, raw=True)'
    ),
]


def write_starter(folder: Path) -> list[Path]:
    """Write the program and its notebooks; the files.

    Raises
    ------
    ChainError
        If one of them is there already, or the folder cannot be written to. Nothing is replaced.
    """
    files = {
        folder / "run_all.py": PROGRAM,
        folder / "notebooks/1_draw.ipynb": _notebook(DRAW),
        folder / "notebooks/2_mean.ipynb": _notebook(MEAN),
    }
    if there := [file for file in files if os.path.lexists(file)]:
        raise ChainError(f"{there[0]} is there already, and stays as it is; name another folder")
    try:
        (folder / "notebooks").mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            write_whole(file, text)
    except OSError as error:
        raise ChainError(f"the chain cannot be written: {os_error_text(error)}") from None
    return list(files)


def _notebook(sources: list[str]) -> str:
    """The text of a notebook: a title, the parameter cell, and cells of code."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{number}",
            "metadata": {"tags": ["parameters"]} if number == 1 else {},
            "outputs": [],
            "source": source.splitlines(keepends=True),
        }
        for number, source in enumerate(sources)
    ]
    title = sources[0].splitlines(keepends=True)
    cells[0] = {"cell_type": "markdown", "id": "cell-0", "metadata": {}, "source": title}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
