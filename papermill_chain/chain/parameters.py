"""The parameters of a notebook, and the values that a user gives them."""

import ast
import io
import math
import re
import tokenize
from contextlib import suppress
from dataclasses import dataclass
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


def parameters_in(source: str, name: str) -> dict[str, Parameter]:
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
