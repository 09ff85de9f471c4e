"""The raw file, checked against the contract cell by cell."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from creditrisk.data.contract import Contract, ContractError, did_you_mean
from creditrisk.data.encoding import column_dtype
from creditrisk.data.fields import Field
from creditrisk.data.raw_files.limits import Content, check_table, read_content
from creditrisk.data.remedies import restore
from work_units.regular_files import open_regular

#: A file of so many times the rows that are recorded is another file, whatever its cells hold.
MANY_TIMES = 10


def read_raw(path: str | Path, contract: Contract, sample: int = 0, seed: int = 0) -> pd.DataFrame:
    """Read a raw file, refusing whatever the contract does not describe.

    A byte order mark, other line ends, empty lines at the end and another order of the columns
    are accepted; they give the same frame. A file beyond the limits in
    :mod:`creditrisk.data.raw_files.limits` is refused before it is parsed.

    Parameters
    ----------
    path
        A comma-separated UTF-8 file with a header, or one that ends in ``.parquet``; or a link to
        one. What could be read without end, as a pipe or a device, is no file.
    sample, seed
        How many rows to draw at random, the same ones for the same seed; 0 takes all. Of a Parquet
        file only these are loaded, and only these are checked cell by cell.

    Returns
    -------
    DataFrame, shape (rows, columns of the contract)
        In the contract's column order, indexed by row number. Quantities are int64, levels
        are strings (or int64 where the contract says integer), a missing value is NaN.

    Raises
    ------
    ContractError
        Naming file, row (counted from 1, with the line in the file), column and remedy.
    ValueError
        If ``sample`` is negative.
    """
    path = Path(path)
    if sample < 0:
        raise ValueError(f"sample is {sample}; give the number of rows to draw, or 0 for all")
    try:
        if path.suffix == ".parquet":
            return _from_parquet(path, contract, sample, seed)
        applications = _from_csv(path, read_content(path), contract)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise ContractError(_printable(path), [problem], restore(path)) from error
    return applications.iloc[_drawn(len(applications), sample, seed)] if sample else applications


def _from_csv(path: Path, content: Content, contract: Contract) -> pd.DataFrame:
    table = _table(path, content.bytes)
    header = next(table, [])
    _check_delimiter(path, header)
    _check_header(path, header, contract, "line 1: ")
    if contract.rows and content.lines > MANY_TIMES * contract.rows:  # and not worth the parsing
        _check_content(path, content.lines - 1, content.sha256, contract)
    rows = list(table)
    while rows and not rows[-1]:  # empty lines at the end
        rows.pop()
    _check_rows(path, header, rows, contract)
    cells = pd.DataFrame(rows, columns=header, dtype=object)
    _check_cells(path, cells, contract)
    _check_content(path, len(cells), content.sha256, contract, cells)
    return _typed(cells, contract)


def _from_parquet(path: Path, contract: Contract, sample: int, seed: int) -> pd.DataFrame:
    from creditrisk.data.raw_files import parquet

    with open_regular(path) as content:
        try:
            file = parquet.opened(path, content)
            header = parquet.columns(file)
            _check_header(path, header, contract)
            rows = parquet.rows(file)
            if not rows:
                raise ContractError(str(path), ["there is no row"], restore(path))
            check_table(path, min(sample or rows, rows), len(header))
            drawn = _drawn(rows, sample, seed) if sample else np.arange(rows)
            missing = next(iter(contract.missing_values), "")
            cells = parquet.text(file, header, drawn, missing)
        except parquet.Broken as error:
            raise ContractError(str(path), [str(error)], restore(path)) from error
        _check_cells(path, cells, contract)
        content.seek(0)
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    _check_content(path, rows, sha256, contract)
    return _typed(cells, contract)


def _drawn(rows: int, sample: int, seed: int) -> np.ndarray:
    """The positions of the rows that are drawn, in the order of the file."""
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(rows, min(sample, rows), replace=False, shuffle=False))


def _printable(path: Path) -> str:
    """A path whose every character can be printed."""
    return str(path) if str(path).isprintable() else ascii(str(path))[1:-1]


def _table(path: Path, content: io.BytesIO) -> Iterator[list[str]]:
    """Header and rows as text; a ContractError where the text is no such table."""
    text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    table = csv.reader(text, strict=True)
    try:
        yield from table
    except csv.Error as error:
        problem = f"line {table.line_num}: is no CSV ({error})"
        raise ContractError(str(path), [problem], restore(path)) from error


def _check_delimiter(path: Path, header: list[str]) -> None:
    """Refuse a file whose cells are separated by something else than commas."""
    if len(header) == 1 and (other := next((mark for mark in ";\t|" if mark in header[0]), None)):
        raise ContractError(
            str(path),
            [f"line 1: columns are separated by {other!r}, expected ','"],
            "save the file with commas between the columns",
        )


def _check_header(path: Path, header: list[str], contract: Contract, where: str = "") -> None:
    """Every column of the contract once, the row number if the contract has one, nothing else."""
    expected = [field.name for field in contract.columns]
    known = [*expected, contract.row_number]
    problems = [f"{where}column {name!r} is missing" for name in expected if name not in header]
    for name in dict.fromkeys(header):
        if header.count(name) > 1:
            problems.append(f"{where}column {name!r} occurs {header.count(name)} times")
        if name not in known:
            hint = did_you_mean(name.strip(), expected)
            problems.append(f"{where}column {name!r} is not in the contract{hint}")
    if problems:
        raise ContractError(
            str(path), problems, "name the columns as datapackage.json does, or describe them there"
        )


def _check_rows(path: Path, header: list[str], rows: list[list[str]], contract: Contract) -> None:
    """Refuse rows that are longer or shorter than the header, are blank or repeat it."""
    problems = [] if rows else ["there is a header but no row"]
    for number, row in enumerate(rows, 1):
        if row == header:
            problems.append(f"{_row(number)}: the header is repeated")
        elif not any(cell.strip() for cell in row):
            problems.append(f"{_row(number)}: the row is blank")
        elif len(row) != len(header):
            problems.append(f"{_row(number)}: {len(row)} cells, the header has {len(header)}")
    if problems:
        raise ContractError(str(path), problems, "remove or mend these rows, or " + restore(path))


def _row(number: int) -> str:
    return f"row {number} (line {number + 1})"


def _bad_cells(cells: pd.DataFrame, field: Field, contract: Contract) -> list[str]:
    """One sentence for each cell of a column that the contract does not allow."""
    faults = {
        value: fault
        for value in cells[field.name].unique()
        if (fault := _fault(value, field, contract))
    }
    bad = cells[field.name][cells[field.name].isin(list(faults))]
    return [f"{_row(row + 1)}: {field.name} {faults[value]}" for row, value in bad.items()]


def _fault(value: str, field: Field, contract: Contract) -> str | None:
    """Why a cell's text is not allowed in a column; None if it is."""
    if value in contract.missing_values:
        return f"is missing; allowed {field.allowed}" if field.required else None
    if field.type == "integer" and not re.fullmatch(r"-?[0-9]{1,15}", value):
        return f"is {value!r}, not a whole number; allowed {field.allowed}"
    if field.levels is not None:
        if value in map(str, field.levels):
            return None
        blanks = " (blanks around it)" if value.strip() in map(str, field.levels) else ""
        return f"is {value!r}{blanks}; allowed {field.allowed}"
    if not field.takes(int(value)):
        return f"is {value}; allowed {field.allowed}"
    return None


def _bad_row_numbers(cells: pd.DataFrame, contract: Contract) -> list[str]:
    """Row numbers that are no numbers or occur twice, as those of a duplicated row do."""
    if contract.row_number not in cells:
        return []
    numbers = cells[contract.row_number]
    broken = ~numbers.str.fullmatch(r"[0-9]{1,15}")
    doubled = numbers.duplicated() & ~broken
    return [
        *(f"{_row(row + 1)}: row number is {numbers[row]!r}" for row in numbers.index[broken]),
        *(
            f"{_row(row + 1)}: row number {numbers[row]} occurs twice"
            for row in numbers.index[doubled]
        ),
    ]


def _check_cells(path: Path, cells: pd.DataFrame, contract: Contract) -> None:
    problems = [line for field in contract.columns for line in _bad_cells(cells, field, contract)]
    problems += _bad_row_numbers(cells, contract)
    if problems:
        raise ContractError(str(path), problems, "correct these cells, or " + restore(path))


def _check_content(
    path: Path, rows: int, sha256: str, contract: Contract, cells: pd.DataFrame | None = None
) -> None:
    """Compare with the recorded hash: no schema notices a dropped row or a swapped label.

    A CSV file with the same cells is accepted if only its line ends, byte order mark or order of
    columns differ.
    """
    if contract.rows is not None and rows != contract.rows:
        problem = f"{rows} rows; datapackage.json records {contract.rows}"
    elif contract.sha256 and contract.sha256 not in (
        sha256,
        _sha256(_canonical(cells, contract)) if cells is not None else sha256,
    ):
        problem = "every cell is allowed, but the values are not those whose hash is recorded"
    else:
        return
    raise ContractError(
        str(path),
        [problem],
        f'if the change is meant, record it in datapackage.json: "hash": "sha256:{sha256}",'
        f' "rows": {rows}; if not, {restore(path)}',
    )


def _canonical(cells: pd.DataFrame, contract: Contract) -> bytes:
    """The content without byte order mark, in the contract's order, with plain line ends."""
    ordered = cells[[field.name for field in contract.columns]]
    if contract.row_number is not None:
        numbers = cells.get(contract.row_number, pd.Series(range(len(cells))).astype(str))
        ordered = pd.concat([numbers.rename(contract.row_number), ordered], axis=1)
    text: str = ordered.to_csv(index=False, lineterminator="\n")
    return text.encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _typed(cells: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    frame = pd.DataFrame(index=cells.index)
    if contract.row_number in cells:
        frame.index = pd.Index(cells[contract.row_number].astype("int64"))
    for field in contract.columns:
        values = cells[field.name].mask(cells[field.name].isin(contract.missing_values))
        frame[field.name] = values.astype(column_dtype(field)).array
    return frame.rename_axis("row")
