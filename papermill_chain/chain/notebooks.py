"""What a notebook says of itself before it runs: its title, its kernel and its parameters."""

import ast
import hashlib
import io
import json
import math
import re
import tokenize
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


class ChainError(Exception):
    """A chain or a request that cannot be carried out, in one sentence for whoever asked for it."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameter cell: `seed: int = 7  # why`."""

    name: str
    type: str
    default: Any
    help: str


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
    return Notebook(title, kernel, _parameters(tagged[0], name), code, content)


def value_of(text: str, type: str) -> Any:
    """The value that a text given by the user stands for; ValueError if none of that type."""
    kinds = set(re.sub(r"\[.*\]", "", type).replace(" ", "").split("|"))
    if "None" in kinds and text == "None":
        return None
    if "bool" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind, read in (("int", int), ("float", _finite)):
        if kind in kinds:
            with suppress(ValueError):
                return read(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    if value.__class__.__name__ in kinds - {"bool", "int", "float", "str"}:
        return value
    if "str" in kinds:
        return text
    raise ValueError(text)


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


def _parameters(source: str, name: str) -> dict[str, Parameter]:
    """The parameters of a cell, which is read and never executed."""
    lines = source.splitlines()
    try:
        statements = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except SyntaxError as error:
        raise ChainError(
            f"{name}, parameter cell, line {error.lineno}: not Python: {error.msg}"
        ) from None
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    parameters = {}
    for statement in statements:
        parameter = _parameter(statement, comments.get(statement.end_lineno or 0, ""))
        if parameter is None:
            raise ChainError(
                f"{name}, parameter cell, line {statement.lineno}: only literals can be "
                f"parameters, such as `seed: int = 7`, not `{lines[statement.lineno - 1].strip()}`"
            )
        parameters[parameter.name] = parameter
    return parameters


def _parameter(statement: ast.stmt, comment: str) -> Parameter | None:
    """The parameter that a statement sets to a literal, if that is what it does."""
    match statement:
        case ast.AnnAssign(
            target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value
        ):
            type = (
                annotation.value
                if isinstance(annotation, ast.Constant)
                else ast.unparse(annotation)
            )
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            type = ""
        case _:
            return None
    try:
        default = ast.literal_eval(value)
    except (ValueError, TypeError):
        return None
    kind = "None" if default is None else default.__class__.__name__
    return Parameter(name, str(type) or kind, default, comment)


def _finite(text: str) -> float:
    """A number that is one: parameters are kept as JSON, which knows neither nan nor infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
