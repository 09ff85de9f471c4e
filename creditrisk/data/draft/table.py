"""What was drafted, as one table on a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from creditrisk.data.draft.draft import Draft


def show(drafted: Draft, console: Console) -> None:
    """Print each column, what it was taken for, why, and what is to be checked."""
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Column", "Taken for", "Why", "To check"):
        grid.add_column(heading, overflow="fold")
    found = {column.name: column for column in drafted.columns}
    for name in drafted.table.cells:
        if name == drafted.row_number:
            cells = [name or "(no name)", "row number", "it counts the rows", ""]
        elif name == drafted.outcome.name:
            asked = "which is good, which is bad" if drafted.outcome.review else ""
            cells = [name, "target", drafted.outcome.why, asked]
        else:
            column = found[name]
            cells = [name, column.taken_for, column.why, "; ".join(column.checks)]
        grid.add_row(*(Text(_printable(text)) for text in cells))
    console.print(Text(_about_file(drafted)))
    console.print(grid)


def _about_file(drafted: Draft) -> str:
    table = drafted.table
    rows, columns = table.cells.shape
    several = f" in {table.files} files" if table.files > 1 else ""
    said = f"{', '.join(map(str, table.paths))}: {rows:,} rows{several}, {columns} columns"
    if table.kind == "parquet":
        return f"{said}, Parquet"
    between = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[table.delimiter]
    return f"{said}, {table.encoding}, {between} between the cells"


def _printable(text: str) -> str:
    """Text of a file on a terminal: what is not printable is shown as its code."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
