"""The file of a debug copy, which somebody may have damaged: what is in it is never lost."""

import hashlib
import json
from pathlib import Path

from papermill_chain.chain.parameters import ChainError
from papermill_chain.notebook_format import NotebookNode, nbformat
from papermill_chain.reports.screen import shown_path
from papermill_chain.runs.files import os_error_text, write_whole
from papermill_chain.started import command
from work_units.regular_files import Damaged, NotRegular, open_regular, set_aside

UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError),
    nbformat.ValidationError,
)
NO_COPY = "is not a copy that --debug has made"
MOST_BYTES = 200_000_000  # of a copy with its outputs: no browser opens a larger one


def read_copy(file: Path) -> NotebookNode:
    """The copy that lies in a place, which somebody may have damaged.

    Raises
    ------
    Damaged
        If what lies there is none.
    FileNotFoundError
        If there is nothing.
    """
    try:
        with open_regular(file) as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise Damaged(f"has more than {MOST_BYTES:,} bytes")
        copy: NotebookNode = nbformat.reads(content.decode(), as_version=4)
        about = copy.metadata["chain"]
        if not isinstance(about["notebook"], str) or not isinstance(about["copied"], str):
            raise Damaged(NO_COPY)
        _digest(copy.cells)
    except (FileNotFoundError, Damaged):
        raise
    except NotRegular as other:
        raise Damaged(other.strerror) from None
    except OSError as error:
        raise Damaged(f"cannot be read: {error.strerror}") from None
    except UNREADABLE:
        raise Damaged(NO_COPY) from None
    return copy


def write_copy(notebook: NotebookNode, file: Path, sha256: str) -> None:
    """Write a copy with the state of the notebook, and its own, at which the two agree."""
    notebook.metadata["chain"] = {"notebook": sha256, "copied": _digest(notebook.cells)}
    text = nbformat.writes(notebook).encode(errors="replace").decode()
    write_whole(file, f"{text}\n")


def make_room(file: Path, stage: str) -> None:
    """Have a folder for a copy, and nothing in its place; what is damaged is set aside.

    Raises
    ------
    ChainError
        There is a copy with changes that are not in the notebook yet, or no folder can be made.
    """
    try:
        file.parent.mkdir(exist_ok=True)
        copy = read_copy(file)
    except FileNotFoundError:
        return
    except Damaged as why:
        set_aside(file, why)
        return
    except OSError as error:
        raise ChainError(
            f"{os_error_text(error)}; copies of notebooks go into that folder: move away what is"
            " in its place"
        ) from None
    if copy.metadata["chain"]["copied"] != _digest(copy.cells):
        raise ChainError(
            f"{shown_path(file)} holds changes that are not taken over; take them over with "
            f"{command('--fixed', stage)}, or delete the file"
        )


def _digest(cells: list[NotebookNode]) -> str:
    """A hash of what cells say, whatever their outputs."""
    sources = [[cell.cell_type, cell.source] for cell in cells]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()
