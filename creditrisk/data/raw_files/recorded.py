"""Whether a file is the one whose rows and hash the descriptor records."""

import csv
import hashlib
import io
from collections.abc import Sequence

from creditrisk.data.contract import Contract, ContractError
from creditrisk.data.raw_files.tables import RawTable


def check_recorded(tables: Sequence[RawTable], contract: Contract, name: str, remedy: str) -> None:
    """Compare with the recorded hash: no schema notices a dropped row or a swapped label.

    A CSV file with the same cells is accepted if only its line ends, byte order mark or order of
    columns differ. The hash of several files is that of their hashes, written one after the other
    in hexadecimal.

    Raises
    ------
    ContractError
        With what to record if the change is meant.
    """
    rows = sum(table.rows for table in tables)
    hashes = tables[0].sha256 if len(tables) == 1 else (_of_several(tables),)
    if contract.rows is not None and rows != contract.rows:
        problem = f"{rows} rows; datapackage.json records {contract.rows}"
    elif contract.sha256 and contract.sha256 not in hashes and not _same_cells(tables, contract):
        problem = "every cell is allowed, but the values are not those whose hash is recorded"
    else:
        return
    raise ContractError(
        name,
        [problem],
        f'if the change is meant, record it in datapackage.json: "hash": "sha256:{hashes[0]}",'
        f' "rows": {rows}; if not, {remedy}',
    )


def _of_several(tables: Sequence[RawTable]) -> str:
    """The hash of the hashes of several files, in their order."""
    return hashlib.sha256("".join(table.sha256[0] for table in tables).encode()).hexdigest()


def _same_cells(tables: Sequence[RawTable], contract: Contract) -> bool:
    """Whether the cells are those of the recorded file, written as such a file mostly is."""
    if len(tables) > 1 or not tables[0].is_text:
        return False
    return hashlib.sha256(_canonical(tables[0], contract)).hexdigest() == contract.sha256


def _canonical(table: RawTable, contract: Contract) -> bytes:
    """The content without byte order mark, in the descriptor's order, with plain line ends."""
    described = [entry["name"] for entry in contract.package["resources"][0]["schema"]["fields"]]
    names = [name for name in described if name in table.columns]
    columns = [table.columns[name].to_pylist() for name in names]
    if contract.row_number is not None:
        numbers = table.columns.get(contract.row_number)
        names.insert(0, contract.row_number)
        columns.insert(0, list(range(table.rows)) if numbers is None else numbers.to_pylist())
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=contract.delimiter, quotechar=contract.quote_char, lineterminator="\n"
    )
    writer.writerow(names)
    writer.writerows(zip(*columns))
    return text.getvalue().encode(contract.encoding)
