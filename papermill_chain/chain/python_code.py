"""The Python of notebooks and packages, which is read and never executed."""

import ast
import re
import warnings

#: Cell magics whose cells are Python all the same; those of other magics are for somebody else.
PYTHON_MAGICS = ("capture", "debug", "prun", "time", "timeit")


def parsed(source: str) -> ast.Module:
    """The statements of some Python, magics left out.

    Raises
    ------
    SyntaxError
        If it is no Python.
    """
    with warnings.catch_warnings():  # of an escape such as "\\d" the kernel warns
        warnings.simplefilter("ignore")
        try:
            return ast.parse(without_magics(source))
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from error


def without_magics(source: str) -> str:
    """The Python of a cell, line for line; its lines may also be for IPython or the shell."""
    cell_magic = re.match(r"\s*%%(\w+)", source)
    if cell_magic and cell_magic[1] not in PYTHON_MAGICS:
        return ""
    source = re.sub(r"^([ \t]*)(?:%%?\w|[!?]|[\w.]+\?).*$", r"\1pass", source, flags=re.MULTILINE)
    return re.sub(r"^([ \t]*[\w., ]+=)[ \t]*(?:%\w|!).*$", r"\1 None", source, flags=re.MULTILINE)


def as_ipython_reads_it(source: str) -> str:
    """The Python that IPython makes of a cell, also of its rarer forms such as `/print 1`."""
    from IPython.core.inputtransformer2 import TransformerManager  # late: it takes a while

    manager = TransformerManager()  # type: ignore[no-untyped-call]  # typed in part
    return manager.transform_cell(source)


def imported_modules(source: str, package: str = "") -> list[str]:
    """The modules that a package's code imports; of `from a import b`, where b may be one, both."""
    try:
        statements = ast.walk(parsed(source))
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
