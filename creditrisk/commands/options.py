"""Options that several commands take, what they mean, and how a command says it cannot be tried."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from creditrisk.data_sets import DataSet
    from creditrisk.scoring.sources.production import Home

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def data_set_of(chosen: argparse.Namespace) -> "DataSet | None":
    """The data set that a command is about: the one it names, else the default one, if any."""
    from creditrisk import data_sets
    from creditrisk.data.contract import ContractError

    if not chosen.data:
        return data_sets.default_data_set(Path.cwd())
    try:
        return data_sets.served_data_set(Path.cwd(), chosen.data)
    except ContractError as error:
        sys.exit(failed(str(error)))


def add_data(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="the data set that is meant: the folder of its file and contract, as run_all.py "
        "--data has it, or its folder in models/ (default: that of data/raw)",
    )


def contract_file(chosen: argparse.Namespace) -> str | None:
    """The file with the contract of the data set that a command names; None if it names none."""
    data = data_set_of(chosen) if chosen.data else None
    if data is None:
        return None
    manifest = Path(data.models, "manifest.json")
    return str(manifest) if manifest.is_file() else data.descriptor


def home_of(data: "DataSet | None") -> "Home":
    """Where the models of a data set are."""
    from creditrisk.scoring.sources.production import RUN_FIRST, Home

    if data is None:
        return Home()
    named = f" --data {shlex.quote(data.folder)}" if data.name else ""
    return Home(data.model, data.models, f"{RUN_FIRST}{named}")


def failed(reason: str) -> int:
    """Say on standard error why a command could not be tried; its exit code."""
    print(f"creditrisk: {reason}", file=sys.stderr)
    return 2


def add_blank_is_level(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--blank-is-level",
        action="store_true",
        help="a blank stands for the level that the contract names by missingLabel. Right only for "
        "files in the coding of the model's own data, such as the raw file; what an applicant left "
        "blank would pass as a statement. By default blanks are refused",
    )
