"""The parameters of a notebook, and the values that a user gives them."""

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from papermill_chain.chain.python_code import as_ipython_reads_it, parsed, without_magics

ANYTHING = "anything"  # the kind of what an annotation leaves open, or does not name
#: The kinds of value that papermill hands on, by the names that annotations have for them. A tuple
#: is handed on as a list.
KINDS = {
    **{kind: kind for kind in ("bool", "int", "float", "str", "list", "dict", "None")},
    **dict.fromkeys(("List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set"), "list"),
    **dict.fromkeys(("Dict", "Mapping"), "dict"),
    "NoneType": "None",
}


COMPUTED = "computed: "  # what stands in records for such a default begins with it


class ChainError(Exception):
    """A chain or a request that cannot be carried out, in one sentence for whoever asked for it."""


@dataclass(frozen=True)
class Parameter:
    """One line of a parameter cell: `seed: int = 7  # why`.

    Of a default that only the notebook can work out, such as `date.today()`, there is the `code`;
    it stands, with a word before it, for the `default`.
    """

    name: str
    type: str
    default: Any
    help: str
    code: str = ""

    @property
    def shown(self) -> str:
        """The default as Python has it."""
        return self.code or repr(self.default)


def parameters_in(source: str, name: str) -> dict[str, Parameter]:
    """The parameters of a cell, which is read and never executed.

    They are the names that its own lines set; what else the cell does, such as an import, is for
    the notebook alone.

    Raises
    ------
    ChainError
        If the cell, which is one of the notebook `name`, is no Python.
    """
    try:
        statements, python = parsed(source).body, without_magics(source)
    except SyntaxError as error:
        try:
            python = as_ipython_reads_it(source)
            statements = parsed(python).body
        except SyntaxError:
            raise ChainError(
                f"{name}, parameter cell, line {error.lineno}: not Python: {error.msg}"
            ) from None
    comments = _comments(python)
    found = (
        parameter
        for statement in statements
        for parameter in _set_by(statement, comments.get(statement.end_lineno or 0, ""))
    )
    return {parameter.name: parameter for parameter in found}


def value_of(text: str, type: str) -> Any:
    """The value that a text given by the user stands for; ValueError if none of that type."""
    kinds = kinds_of(type)
    if text == "None" and "None" in kinds:
        return None
    if "bool" in kinds and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind, read in (("int", int), ("float", _finite)):
        if kind in kinds:
            with suppress(ValueError):
                return read(text)
    try:
        value = _handed_on(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    if _kind(value) in kinds - {"bool", "int", "float", "str"}:
        return value
    if "str" in kinds:
        return text
    if ANYTHING in kinds:
        return value
    raise ValueError(text)


def value_in_file(value: Any, type: str) -> Any:
    """The value of a parameter that a file gives; ValueError if it is none of that type."""
    kinds = kinds_of(type)
    if isinstance(value, str):
        return value if kinds & {"str", ANYTHING} else value_of(value, type)
    value = _handed_on(value)
    if _kind(value) == "int" and "float" in kinds and "int" not in kinds:
        return float(value)
    if kinds & {_kind(value), ANYTHING}:
        return value
    raise ValueError(value)


def kinds_of(type: str) -> set[str]:
    """The kinds of value that an annotation admits, of `KINDS`, and `ANYTHING`."""
    try:
        return _kinds(ast.parse(type, mode="eval").body)
    except (SyntaxError, ValueError):
        return {ANYTHING}


def _kinds(annotation: ast.expr) -> set[str]:
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _kinds(left) | _kinds(right)
        case ast.Constant(value=str(text)):
            return kinds_of(text)
        case ast.Constant(value=None):
            return {"None"}
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {KINDS.get(name, ANYTHING)}
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            match name:
                case "Optional":
                    return _kinds(inner) | {"None"}
                case "Union":
                    return set().union(*map(_kinds, parts))
                case "Annotated" | "Final":
                    return _kinds(parts[0])
                case "Literal":
                    return {_kind(part.value) for part in parts if isinstance(part, ast.Constant)}
            return {KINDS.get(name, ANYTHING)}
    return {ANYTHING}


def _kind(value: Any) -> str:
    return "None" if value is None else value.__class__.__name__


def _set_by(statement: ast.stmt, comment: str) -> Iterator[Parameter]:
    """The parameters that a statement sets."""
    targets: list[ast.expr]
    match statement:
        case ast.AnnAssign(value=ast.expr() as value):
            match statement.annotation:
                case ast.Constant(value=text):  # in quotes
                    type = str(text)
                case annotation:
                    type = ast.unparse(annotation)
            targets = [statement.target]
        case ast.Assign(value=value):
            targets = statement.targets
            type = ""
            if in_comment := re.match(r"type:\s*(\S+)\s*(.*)", comment):  # as before Python 3.6
                type, comment = in_comment.groups()
        case _:
            return
    try:
        default = ast.literal_eval(value)
        inferred = "Any" if default is None else _kind(default)
        code = "" if _handed_on(default) == default else ast.unparse(value)
    except (ValueError, TypeError):
        inferred, code = "Any", ast.unparse(value)
    if code:
        default = COMPUTED + code
    for target in targets:
        if isinstance(target, ast.Name):
            yield Parameter(target.id, type or inferred, default, comment, code)


def _comments(source: str) -> dict[int, str]:
    """The comments of some Python, by the lines they are in."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _handed_on(value: Any) -> Any:
    """A value as a notebook gets it, and as it is kept: as JSON, a tuple as a list.

    Raises
    ------
    ValueError, TypeError
        If JSON does not have it: a set, a date, infinity, or a dictionary with other keys than
        texts, of which papermill would make texts.
    """
    kept = json.loads(json.dumps(value, allow_nan=False))
    if kept != (list(value) if isinstance(value, tuple) else value):
        raise ValueError(f"{value!r} is not what JSON has")
    return kept


def _finite(text: str) -> float:
    """A number that is one: parameters are kept as JSON, which knows neither nan nor infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
