"""What runs have left, for reading: reports, indexes and the files that are kept with them."""

from pathlib import Path

from flask import Response, send_file
from werkzeug.exceptions import NotFound

from papermill_chain.ui.security import SANDBOX
from work_units.regular_files import open_regular

#: What a browser is sent, and as what; of all else nothing is served.
TYPES = {
    ".html": "text/html",
    ".htm": "text/html",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".md": "text/plain",
    ".json": "application/json",
    ".jsonl": "text/plain",
    ".ipynb": "application/json",
}


def folder_of(experiments: Path) -> Path:
    """The folder whose files are served: that of the runs, or that of other runs above it.

    The indexes of both link to one another.
    """
    above = experiments.parent
    return above if (above / "runs").is_dir() and (above / "index.html").is_file() else experiments


def answer_with(folder: Path, name: str) -> Response:
    """A file below a folder; NotFound for one that is not there, not below it, or of no such type.

    A link out of the folder leads to none, and a name that begins with a dot is the runner's own.
    """
    try:
        file, base = (folder / name).resolve(), folder.resolve()
        type = TYPES.get(file.suffix.lower())
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if hidden or type is None or not file.is_relative_to(base):
            raise NotFound("There is no such file of a run.")
        opened = open_regular(file)
    except (OSError, ValueError):
        raise NotFound("There is no such file of a run.") from None
    response = send_file(opened, mimetype=type)
    response.headers["Content-Security-Policy"] = SANDBOX
    return response
