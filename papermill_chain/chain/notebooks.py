"""What a notebook says of itself before it runs: its title, its kernel and its parameters.

Its file is as Jupyter writes it, or a script in jupytext's percent format.
"""

import hashlib
import io
import json
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from papermill_chain.chain.parameters import ChainError, Parameter, parameters_in
from papermill_chain.chain.python_code import imported_modules
from work_units.regular_files import NotRegular, kind_of, open_regular

SCRIPT = ".py"
PERCENT = "py:percent"  # jupytext's name of the format
PARAMETERS = "parameters"  # papermill's tag of the cell that sets them


@dataclass(frozen=True)
class Notebook:
    """A notebook as its file tells, unexecuted.

    One that `takes_any` parameter does not say which it has: it has no cell tagged `parameters`, or
    one in another language than Python.
    """

    title: str
    kernel: str
    language: str
    parameters: dict[str, Parameter]
    takes_any: bool
    is_untagged: bool  # no cell is tagged `parameters`
    code: tuple[str, ...]  # of its cells
    sha256: str  # of its cells and its kernel; outputs do not count

    def takes(self, name: str) -> bool:
        """Whether a parameter of this name can be handed to it."""
        return name in self.parameters or (self.takes_any and name.isidentifier())

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """The modules its cells ask for, in order."""
        if self.language != "python":
            return ()
        modules = (module for cell in self.code for module in imported_modules(cell))
        return tuple(dict.fromkeys(modules))


def notebook_path(root: Path, stage: str) -> Path:
    """Where the notebook of a stage is kept; of a pair of both kinds it is Jupyter's."""
    notebook = root / "notebooks" / f"{stage}.ipynb"
    script = notebook.with_suffix(SCRIPT)
    return script if script.is_file() and not notebook.exists() else notebook


def read_node(path: Path, text: str | None = None) -> Any:
    """A notebook in the newest form of nbformat 4, whatever form its file has.

    Parameters
    ----------
    path : its file.
    text : what is in the file, if it has been read already.

    Raises
    ------
    ChainError
        If it is a script and jupytext is not there.
    Exception
        If it cannot be read, whatever nbformat or jupytext raise for it.
    """
    from papermill_chain.notebook_format import nbformat

    text = path.read_text(encoding="utf-8") if text is None else text
    if path.suffix != SCRIPT:
        return nbformat.v4.upgrade(nbformat.reads(text, as_version=4))
    _refuse_without_jupytext(path)
    import jupytext

    return nbformat.v4.upgrade(jupytext.reads(text, fmt=PERCENT))


def text_of(node: Any, path: Path) -> str:
    """What the file of a notebook is to hold, in the form that its name stands for."""
    if path.suffix != SCRIPT:
        from papermill_chain.notebook_format import nbformat

        return f"{nbformat.writes(node)}\n"
    _refuse_without_jupytext(path)
    import jupytext

    text: str = jupytext.writes(node, fmt=PERCENT)
    return text


def read_notebook(path: Path) -> Notebook:
    """The notebook in a file; ChainError if it is missing or broken."""
    name = f"notebooks/{path.name}"
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise ChainError(f"{name} does not exist") from None
    except NotRegular:
        kind = kind_of(path, links=True)
        raise ChainError(f"{name} is {kind}: move it away, a notebook belongs there") from None
    except ValueError:
        raise ChainError(f"{name} is not a notebook that can be read") from None
    return notebook_in(text, name, path)


def notebook_in(text: str, name: str, path: Path) -> Notebook:
    """The notebook in a text, which errors call `name`; it has the form that its `path` ends in.

    Without a title of its own it is called after its file.
    """
    try:
        content = _content_of(text, path)
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in content["cells"]]
        tags = [cell["metadata"].get("tags") or [] for cell in content["cells"]]
        spec = content["metadata"].get("kernelspec", {})
        kernel = spec.get("name", "python3")
        about = content["metadata"].get("language_info", {})
        language = str(about.get("name") or spec.get("language") or "python")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ChainError(f"{name} is not a notebook that can be read") from None
    tagged = [source for (_, source), tag in zip(cells, tags, strict=True) if PARAMETERS in tag]
    # papermill knows other languages by their names as they are written, such as R
    language = "python" if language.lower() == "python" else language
    in_python = language == "python"
    titles = (
        re.search(r"^# +(.+)$", text, re.MULTILINE) for kind, text in cells if kind == "markdown"
    )
    title = next((match[1].strip() for match in titles if match), path.stem)
    return Notebook(
        title,
        kernel,
        language,
        # of several cells papermill takes the first, too
        parameters_in(tagged[0], name) if tagged and in_python else {},
        takes_any=not (tagged and in_python),
        is_untagged=not tagged,
        code=tuple(text for kind, text in cells if kind == "code"),
        sha256=hashlib.sha256(json.dumps([cells, tags, kernel]).encode()).hexdigest(),
    )


def _content_of(text: str, path: Path) -> Any:
    """A notebook as Jupyter writes it today; libraries are imported only for what is not."""
    content = {} if path.suffix == SCRIPT else json.loads(text)
    if path.suffix != SCRIPT and content.get("nbformat", 4) >= 4:
        return content
    try:
        return read_node(path, text)
    except ChainError:
        raise
    except Exception as error:  # jupytext and nbformat raise many kinds
        raise ValueError(str(error)) from error


def _refuse_without_jupytext(path: Path) -> None:
    if find_spec("jupytext") is None:
        raise ChainError(
            f"notebooks/{path.name} is a script, which jupytext reads as a notebook, and this "
            "Python has no jupytext; install the extra of that name: uv sync --extra jupytext, "
            "or pip install jupytext"
        )
