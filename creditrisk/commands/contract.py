"""``creditrisk contract draft | check``: from a file of one's own to a contract that it keeps.

Each returns its exit code, and imports what it needs when it runs.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from creditrisk.commands.options import Parsers, failed

_DESCRIPTOR = "datapackage.json"


def add_to(parsers: Parsers) -> None:
    """Add the command and its two parts to the command line's parser."""
    contract = parsers.add_parser(
        "contract",
        help="describe a loan file of your own, and check files against the description",
        description="A contract, datapackage.json, describes a loan file: its columns, its target, "
        "its costs. docs/contract.md has all that it can say.",
    )
    parts = contract.add_subparsers(required=True, metavar="PART")
    _add_draft(parts)
    _add_check(parts)


def _add_draft(parts: Parsers) -> None:
    drafting = parts.add_parser(
        "draft",
        help="write a first contract for a file",
        description="Read a CSV file (compressed or not) or a Parquet file, and write "
        f"{_DESCRIPTOR}: types, levels, missing values, dates and identifiers as the file shows "
        'them. What no file shows is asked under "review"; the chain refuses to run until each '
        "question is answered and deleted.",
        epilog="examples:\n"
        "  creditrisk contract draft loans.csv --target defaulted\n"
        "  creditrisk contract draft loans.csv.gz --target status --good 'Fully Paid' "
        "--bad 'Charged Off' --bad Default\n"
        "  creditrisk contract draft loans.parquet --target bad --out data/loans --force\n"
        "  creditrisk contract draft 'loans-*.csv' --target defaulted\n\n"
        "exit code: 0 written, 1 the file is refused, 2 it could not be tried",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    drafting.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV, .csv.gz or Parquet, with a header; several, or a pattern in quotation marks, "
        "are one table",
    )
    drafting.add_argument(
        "--target", required=True, metavar="COLUMN", help="says how each loan ended"
    )
    for side, other in (("good", "bad"), ("bad", "good")):
        drafting.add_argument(
            f"--{side}",
            action="append",
            default=[],
            metavar="VALUE",
            help=f"a value of the target that is {side}; may be repeated. With --{other} given "
            "too, all other values are left out; else the rest is guessed, and asked about",
        )
    drafting.add_argument("--out", metavar="FOLDER", help=f"for {_DESCRIPTOR} (default: FILE's)")
    drafting.add_argument(
        "--force", action="store_true", help=f"replace the {_DESCRIPTOR} that is there"
    )
    drafting.set_defaults(run=draft)


def _add_check(parts: Parsers) -> None:
    checking = parts.add_parser(
        "check",
        help="say whether a file keeps a contract",
        description="Read a file as the chain does, and name each row and column that breaks the "
        "contract. Questions that are still open are listed, and do not count as breaking it.",
        epilog="examples:\n"
        "  creditrisk contract check loans.csv\n"
        "  creditrisk contract check new/loans.parquet --contract data/loans/datapackage.json\n\n"
        "exit code: 0 the file keeps the contract, 1 it does not, 2 it could not be tried",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    checking.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV, .csv.gz or Parquet; several, or a pattern in quotation marks, are one table",
    )
    checking.add_argument(
        "--contract", metavar="FILE", help=f"the contract (default: {_DESCRIPTOR} beside FILE)"
    )
    checking.set_defaults(run=check)


def draft(chosen: argparse.Namespace) -> int:
    """Write a first contract for a file and show how each column was read."""
    from rich.console import Console

    from creditrisk.data.contract import ContractError, counted
    from creditrisk.data.draft import draft as drafting
    from creditrisk.data.draft.questions import open_questions
    from creditrisk.data.draft.table import show
    from creditrisk.data_sets import whose_name

    folder = Path(chosen.out) if chosen.out else Path(chosen.files[0]).parent
    path = folder / _DESCRIPTOR
    if os.path.lexists(path) and not chosen.force:
        return failed(f"{path} exists; give --force to replace it, or another folder with --out")
    if problem := _unreadable(chosen.files):
        return failed(problem)
    try:
        drafted = drafting.draft(chosen.files, chosen.target, chosen.good, chosen.bad, folder)
    except ContractError as error:
        return _refused(error)
    try:
        written = drafting.write(drafted, folder, chosen.force)
    except OSError as error:
        return failed(f"{path} cannot be written ({error.strerror or error}); nothing was changed")
    show(drafted, Console(highlight=False))
    asked = counted(len(open_questions(drafted.package)), "question")
    print(
        f'Written: {written}. It asks {asked} under "review"; the chain runs when each '
        "is answered by the property that it names, and deleted."
    )
    if other := whose_name(drafted.package["name"], folder, Path.cwd()):
        print(
            f"Results under the name {drafted.package['name']!r} are those of {other}: give one of "
            'the two contracts another "name", such as that of its folder.'
        )
    print(f"Next:    creditrisk contract check {shlex.join(chosen.files)}{_contract_of(chosen)}")
    return 0


def _unreadable(names: list[str]) -> str:
    """Why the first file that cannot even be opened cannot, and what to do; empty if all can."""
    from creditrisk.data.contract import ContractError
    from creditrisk.data.raw_files.files import matching

    try:
        for name in names:
            for file in matching(name):
                with file.opened():
                    pass
    except ContractError as error:
        return str(error)
    return ""


def _contract_of(chosen: argparse.Namespace) -> str:
    if not chosen.out:
        return ""
    return f" --contract {shlex.quote(str(Path(chosen.out) / _DESCRIPTOR))}"


def check(chosen: argparse.Namespace) -> int:
    """Say whether a file keeps a contract."""
    from creditrisk.data.contract import ContractError, counted
    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.draft.questions import open_questions
    from creditrisk.data.fields import WEIGHT
    from creditrisk.data.raw_files.reading import read_raw
    from creditrisk.data.splitting import only_outcome

    if problem := _unreadable(chosen.files):
        return failed(problem)
    path = Path(chosen.contract or Path(chosen.files[0]).parent / _DESCRIPTOR)
    try:
        contract = read_contract(path, open_questions=True)
    except ContractError as error:
        return failed(str(error))
    try:
        frame = read_raw(chosen.files, contract)
    except ContractError as error:
        return _refused(error)
    print(
        f"{', '.join(chosen.files)} keeps {path}: {counted(len(frame), 'row')}, "
        f"{counted(len(contract.fields), 'column')} to learn from"
    )
    if one_sided := only_outcome(contract.is_good(frame)):
        print(f"No model can be trained on it: {one_sided}")
    if contract.of_role(WEIGHT) is not None:
        from creditrisk.reports.findings.exploration import weights  # half a second

        print(weights(contract, frame).strip())
    asked = open_questions(contract.package)
    if asked:
        count = counted(len(asked), "question is", "questions are")
        print(f"{count} open; the chain does not run before each is answered:")
        for question in asked:
            print(f"  - {question}")
    return 0


def _refused(error: Exception) -> int:
    print(f"creditrisk: {error}", file=sys.stderr)
    return 1
