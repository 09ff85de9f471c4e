"""``creditrisk replay | verify-log``: whether a log of decisions holds true.

Each returns its exit code, and imports what it needs when it runs.
"""

import argparse
from pathlib import Path

from creditrisk.commands.options import Parsers, failed


def add_to(parsers: Parsers) -> None:
    """Add the commands to those of ``creditrisk``."""
    _add_replay(parsers)
    _add_verify(parsers)


def _add_replay(parsers: Parsers) -> None:
    replay = parsers.add_parser("replay", help="make a logged decision again")
    replay.add_argument("id", help="id of the decision, as answered and logged")
    replay.add_argument("--log", required=True, metavar="FILE", help="the decision log")
    replay.add_argument(
        "--models",
        metavar="SOURCE",
        help="folder or registry URI of the model (default: models/ if its hash is "
        "the logged one, else the registry's version)",
    )
    replay.set_defaults(run=_replay)


def _add_verify(parsers: Parsers) -> None:
    verify = parsers.add_parser("verify-log", help="find edited, missing or moved entries in a log")
    verify.add_argument("log", metavar="PLACE", help="a log, or a folder of logs")
    verify.add_argument(
        "--head",
        metavar="NUMBER:SHA256",
        help="the end of the log as noted elsewhere, for instance from /ready",
    )
    verify.set_defaults(run=_verify)


def _replay(chosen: argparse.Namespace) -> int:
    from creditrisk.records.chain import LogError
    from creditrisk.scoring.scorer import ModelRefused
    from creditrisk.serving.replay import replay

    try:
        again = replay(chosen.id, chosen.log, chosen.models)
    except KeyError:
        return failed(f"{chosen.log} has no decision {chosen.id}")
    except (LogError, ModelRefused) as error:
        return failed(str(error))
    then = again.logged
    print(f"logged   {then['time']}  {then['decision']}  {then['probability']!r}")
    print(f"replayed {' ' * len(then['time'])}  {again.decision}  {again.probability!r}")
    print("the same" if again.same else "NOT THE SAME")
    return 0 if again.same else 1


def _verify(chosen: argparse.Namespace) -> int:
    from creditrisk.records.chain import Head, LogError, read_head
    from creditrisk.records.log_files import log_files
    from creditrisk.records.verification import problems

    head = None
    if chosen.head:
        number, _, sha256 = chosen.head.partition(":")
        if not number.isdecimal() or len(sha256) != 64:
            return failed("--head: give NUMBER:SHA256")
        head = Head(int(number), sha256)
    folder = Path(chosen.log).is_dir()
    if folder and head:
        return failed("--head: name the log that ends there, not its folder")
    try:
        logs = log_files(chosen.log).all if folder else [Path(chosen.log)]
        found = {log: list(problems(log, head)) for log in logs}
    except LogError as error:
        return failed(str(error))
    for log, faults in found.items():
        for fault in faults:
            print(f"{log}: {fault}" if folder else fault)
        if not faults:
            end = head or read_head(log)
            print(f"{log}: {end.number if end else 0} entries, none edited, missing or moved")
    return 1 if any(found.values()) else 0
