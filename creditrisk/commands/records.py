"""The commands on what became of decisions: their arguments, and what each of them does.

Each returns its exit code, and imports what it needs when it runs.
"""

import argparse
import sys
from pathlib import Path

from creditrisk.commands.options import (
    Parsers,
    add_data,
    contract_file,
    data_set_of,
    failed,
    home_of,
)
from creditrisk.records.log_files import FOLDER

DEFAULT = "data/raw/datapackage.json"
SHIFTS = ("none", "mix", "rising-bad-rate", "recoded", "broken-feed", "relation")


def add_to(parsers: Parsers) -> None:
    """Add the commands to those of ``creditrisk``."""
    _add_override(parsers)
    _add_outcomes(parsers)
    _add_simulate(parsers)


def _add_override(parsers: Parsers) -> None:
    override = parsers.add_parser(
        "override",
        help="record that a person has changed a decision",
        description="Record that a person has changed a decision. What the model decided stays in "
        "its log; the override goes to overrides.jsonl beside it, a hash-chained log too.",
    )
    override.add_argument("id", help="id of the decision, as answered and logged")
    override.add_argument("--by", required=True, metavar="NAME", help="who has changed it")
    override.add_argument("--reason", required=True, metavar="TEXT", help="why")
    override.add_argument(
        "--to",
        choices=("approve", "decline"),
        help="what holds now (default: the opposite of what has held)",
    )
    add_data(override)
    _add_log(override)
    override.set_defaults(run=_override)


def _add_outcomes(parsers: Parsers) -> None:
    outcomes = parsers.add_parser(
        "outcomes",
        help="record what became of decisions",
        description="Record outcomes, which are never overwritten.",
    )
    add = outcomes.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "add",
        help="record the outcomes of a file",
        description="Record the outcomes of a CSV or Parquet file with the columns id (of the "
        "decision), outcome (a level of the contract's target, or 1 for good and 0 for bad) and, "
        "if wanted, date. The whole file is refused if an id is not known or an outcome "
        "contradicts one that is known. They go to outcomes.jsonl beside the log.",
    )
    add.add_argument("file", metavar="FILE", help="CSV, or Parquet if it ends in .parquet")
    whose = add.add_mutually_exclusive_group()
    add_data(whose)
    whose.add_argument(
        "--contract",
        metavar="FILE",
        help="manifest.json or datapackage.json that names the outcomes "
        "(default: models/manifest.json, then data/raw/datapackage.json)",
    )
    _add_log(add)
    add.set_defaults(run=_outcomes)


def _add_simulate(parsers: Parsers) -> None:
    simulate = parsers.add_parser(
        "simulate",
        help="make up decisions and outcomes over time, to try the monitoring",
        description="Draw applicants from the raw data, have the model decide, and make up "
        "outcomes, with something going wrong from a month on if wanted. Everything is marked as "
        "simulated. The folder is a folder of records as servers and portfolios write them.",
    )
    for option, default, words in (
        ("--months", 24, "how many months"),
        ("--per-month", 300, "applications a month"),
        ("--seed", 1, "for other draws another number"),
        ("--from-month", 13, "first month that the shift concerns, counted from 1"),
        ("--maturity", 12, "months from a decision to its outcome"),
    ):
        simulate.add_argument(
            option, type=int, default=default, metavar="N", help=f"{words} (default: {default})"
        )
    simulate.add_argument(
        "--shift", choices=SHIFTS, default="none", help="what goes wrong (default: none)"
    )
    simulate.add_argument(
        "--strength", type=float, default=1.0, metavar="X", help="of the shift, 0 to 1 (default: 1)"
    )
    simulate.add_argument(
        "--outcomes",
        choices=("approved", "all"),
        default="approved",
        help="whose outcomes become known (default: approved)",
    )
    add_data(simulate)
    simulate.add_argument(
        "--models", metavar="SOURCE", help="the model that decides (default: as creditrisk serve)"
    )
    simulate.add_argument("--shadow", metavar="SOURCE", help="a model scored beside it")
    simulate.add_argument(
        "--contract",
        metavar="FILE",
        help="describes the data that applicants are drawn from (default: that of the data set)",
    )
    simulate.add_argument(
        "--raw", metavar="FILE", help="the data (default: the file that the contract names)"
    )
    simulate.add_argument("--out", required=True, metavar="FOLDER", help="made by this command")
    simulate.set_defaults(run=_simulate)


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log",
        metavar="PLACE",
        help=f"folder of decision logs, or one log (default: {FOLDER}, or the same of the data set "
        "that is named)",
    )


def _log_of(chosen: argparse.Namespace) -> str:
    """The records that a command is about: those that it names, else those of its data set."""
    if chosen.log:
        return str(chosen.log)
    data = data_set_of(chosen)
    return data.decisions if data else FOLDER


def _override(chosen: argparse.Namespace) -> int:
    from creditrisk.records.chain import LogError
    from creditrisk.records.overrides import NotRecorded, override

    try:
        log = _log_of(chosen)
        entry = override(chosen.id, log, by=chosen.by, reason=chosen.reason, to=chosen.to)
    except NotRecorded as error:
        print(f"creditrisk: {error}; nothing was recorded", file=sys.stderr)
        return 1
    except LogError as error:
        return failed(f"{error}; nothing was recorded")
    print(f"decision {entry['id']}: {entry['from']} -> {entry['to']}, by {entry['by']}")
    return 0


def _outcomes(chosen: argparse.Namespace) -> int:
    from creditrisk.data.contract import ContractError
    from creditrisk.records.chain import LogError
    from creditrisk.records.outcomes import add_outcomes
    from creditrisk.serving.client.applications import Unreadable, find_contract

    try:
        contract = find_contract(chosen.contract or contract_file(chosen))
        added = add_outcomes(chosen.file, _log_of(chosen), contract)
    except ContractError as error:
        print(f"creditrisk: {error}", file=sys.stderr)
        return 1
    except (LogError, Unreadable) as error:
        return failed(f"{error}; nothing was recorded")
    print(f"{added.new} outcomes recorded, {added.known} known already")
    return 0


def _simulate(chosen: argparse.Namespace) -> int:
    from creditrisk.data.applications.record_checks import InvalidRecords
    from creditrisk.data.contract import ContractError
    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.raw_files.reading import read_raw
    from creditrisk.monitoring.population import Population
    from creditrisk.monitoring.simulated_log import LOG, NotWritten, write_simulation
    from creditrisk.monitoring.simulation import simulate
    from creditrisk.records.chain import LogError
    from creditrisk.scoring.scorer import ModelRefused
    from creditrisk.scoring.sources.loading import load_scorer
    from creditrisk.scoring.sources.production import in_use

    try:
        data = data_set_of(chosen)
        described = chosen.contract or (data.descriptor if data else DEFAULT)
        contract = read_contract(described)
        raw = read_raw(chosen.raw or described, contract)
        scorer = in_use(chosen.models, home_of(data)).load()
        shadow = load_scorer(chosen.shadow) if chosen.shadow else None
        population = Population.of(scorer, raw, contract, shadow)
        frame = simulate(
            population,
            months=chosen.months,
            per_month=chosen.per_month,
            seed=chosen.seed,
            shift=chosen.shift,
            from_month=chosen.from_month,
            strength=chosen.strength,
            outcomes=chosen.outcomes,
            maturity=chosen.maturity,
        )
        write_simulation(frame, population, contract, chosen.out)
    except (ContractError, ModelRefused, InvalidRecords, NotWritten, LogError, ValueError) as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"{chosen.out}: cannot be written ({error.strerror})")
    known = int(frame["outcome"].notna().sum())
    print(
        f"{len(frame)} simulated decisions in {Path(chosen.out, LOG)}, {known} outcomes known; "
        f"shift: {chosen.shift}"
    )
    return 0
