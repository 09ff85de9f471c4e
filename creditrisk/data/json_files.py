"""Figures as JSON files."""

import json
from pathlib import Path

import pandas as pd

from creditrisk.data.contract import Json


def write_json(path: str | Path, content: Json) -> None:
    """Write figures as indented JSON; NaN and infinity, which JSON lacks, raise ValueError."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", "utf-8")


def records(table: "pd.DataFrame | pd.Series") -> list[Json]:
    """A table's rows as JSON objects, the index first; NaN becomes null."""
    frame = pd.DataFrame(table)
    taken = {name: f"{name} (rows)" for name in frame.index.names if name in frame}
    text = (
        frame.rename_axis(index=taken).reset_index().to_json(orient="records", double_precision=15)
    )
    rows: list[Json] = json.loads(text)
    return rows


def read_json(path: str | Path, made_by: str) -> Json:
    """Read figures that an earlier notebook has written.

    Raises
    ------
    FileNotFoundError
        Naming the notebook to run first.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: run {made_by} first")
    content: Json = json.loads(Path(path).read_text("utf-8"))
    return content
