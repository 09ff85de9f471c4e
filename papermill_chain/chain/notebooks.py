"""What a notebook says of itself before it runs: its title, its kernel and its parameters."""

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from papermill_chain.chain.parameters import ChainError, Parameter, parameters_in


@dataclass(frozen=True)
class Notebook:
    """A notebook as its file tells, unexecuted."""

    title: str
    kernel: str
    parameters: dict[str, Parameter]
    code: tuple[str, ...]  # of its cells
    sha256: str  # of its cells and its kernel; outputs do not count

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """The modules its cells ask for, in order."""
        modules = (module for cell in self.code for module in imported_modules(cell))
        return tuple(dict.fromkeys(modules))


def read_notebook(path: Path) -> Notebook:
    """The notebook in a file; ChainError if it is missing, broken or not made for a chain."""
    name = f"notebooks/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ChainError(f"{name} does not exist") from None
    except IsADirectoryError:
        raise ChainError(f"{name} is a folder: move it away, a notebook belongs there") from None
    except ValueError:
        raise ChainError(f"{name} is not a notebook that can be read") from None
    return notebook_in(text, name, path.stem)


def notebook_in(text: str, name: str, title: str) -> Notebook:
    """The notebook in a text, which errors call `name`; it is called `title` if it has none."""
    try:
        content = json.loads(text)
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in content["cells"]]
        tags = [cell["metadata"].get("tags", []) for cell in content["cells"]]
        kernel = content["metadata"].get("kernelspec", {}).get("name", "python3")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChainError(f"{name} is not a notebook that can be read") from None
    tagged = [source for (_, source), tag in zip(cells, tags, strict=True) if "parameters" in tag]
    if len(tagged) != 1:
        raise ChainError(
            f"{name} has {len(tagged)} cells tagged `parameters`; it takes exactly one"
        )
    titles = (
        re.search(r"^# +(.+)$", text, re.MULTILINE) for kind, text in cells if kind == "markdown"
    )
    title = next((match[1].strip() for match in titles if match), title)
    code = tuple(_without_magics(text) for kind, text in cells if kind == "code")
    content = hashlib.sha256(json.dumps([cells, tags, kernel]).encode()).hexdigest()
    return Notebook(title, kernel, parameters_in(tagged[0], name), code, content)


def imported_modules(source: str, package: str = "") -> list[str]:
    """The modules that a package's code imports; of `from a import b`, where b may be one, both."""
    try:
        statements = ast.walk(ast.parse(source))
    except SyntaxError:
        return []
    modules = []
    for statement in statements:
        if isinstance(statement, ast.Import):
            modules += [name.name for name in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            above = package.split(".")[: 1 - statement.level or None] if statement.level else []
            origin = ".".join(filter(None, [*above, statement.module]))
            modules += [origin, *(f"{origin}.{name.name}" for name in statement.names)]
    return modules


def _without_magics(source: str) -> str:
    """The Python of a cell, whose lines may also be for IPython or the shell."""
    return re.sub(r"^\s*[%!].*$", "pass", source, flags=re.MULTILINE)
