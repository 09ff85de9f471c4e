"""``creditrisk promote | rollback | history``: what is in production, by hand.

Each returns its exit code, and imports what it needs when it runs.
"""

import argparse
import sys
from pathlib import Path

from creditrisk.commands.options import Parsers, add_data, data_set_of, failed, home_of


def add_to(parsers: Parsers) -> None:
    """Add the commands to those of ``creditrisk``."""
    promote = parsers.add_parser(
        "promote",
        help="put a registered version into production by hand",
        description="Move the alias production to a version. Its files must be there and be those "
        "that were registered. The version that was there gets the alias previous. What did not "
        "pass the gate needs --approve.",
    )
    promote.add_argument("version", type=int, metavar="VERSION", help="number of the version")
    promote.add_argument(
        "--approve",
        metavar="NAME",
        help="who answers for a version that the gate has stopped or that waits for approval",
    )
    rollback = parsers.add_parser(
        "rollback",
        help="put the version before back into production",
        description="Move the alias production to the version with the alias previous.",
    )
    history = parsers.add_parser("history", help="list who put what into production, and why")
    for command in (promote, rollback):
        command.add_argument("--reason", required=True, help="kept on the version and in the log")
        command.add_argument(
            "--log",
            metavar="FILE",
            help="appended to (default: promotions.jsonl in experiments/, or in the data set's "
            "folder there)",
        )
    runs = {promote: _promote, rollback: _rollback, history: _history}
    for command, run in runs.items():
        add_data(command)
        command.add_argument(
            "--store",
            default="mlflow.db",
            metavar="FILE",
            help="MLflow's store, unless MLFLOW_TRACKING_URI names a server (default: mlflow.db)",
        )
        command.set_defaults(run=run)


def _promote(chosen: argparse.Namespace) -> int:
    return _move_production(chosen, chosen.version)


def _rollback(chosen: argparse.Namespace) -> int:
    return _move_production(chosen, None)


def _move_production(chosen: argparse.Namespace, version: int | None) -> int:
    """Promote a version, or roll back if it is None."""
    from mlflow.exceptions import MlflowException

    from creditrisk.registry import promotion

    if not chosen.reason.strip():
        return failed("--reason: say why in words")
    if not chosen.reason.isprintable():
        return failed("--reason: say why in one line, without control characters")
    who = None if version is None else chosen.approve
    if who is not None and not (who.strip() and who.isprintable()):
        return failed("--approve: give the name of a person in one line")
    data = data_set_of(chosen)
    model = home_of(data).model
    log = chosen.log or Path(data.experiments if data else "experiments", "promotions.jsonl")
    try:
        client = promotion.open_existing(chosen.store, model)
        if version is None:
            done = promotion.roll_back(client, model, chosen.reason, log)
        else:
            done = promotion.promote(
                client, model, version, chosen.reason, log, approved_by=who or ""
            )
    except promotion.NotPromoted as error:
        print(f"creditrisk: {error}; nothing was changed", file=sys.stderr)
        return 1
    except MlflowException as error:
        return failed(
            f"the registry does not answer as it should ({error.message}); "
            "the same command again completes what it has begun"
        )
    except OSError as error:
        return failed(
            f"a file cannot be written ({error}); "
            "the same command again completes what it has begun"
        )
    if not done:
        print(f"version {version} is in production already; nothing was changed")
        return 0
    before = f"; version {done['from']} is now previous" if done["from"] else ""
    approval = f", approved by {done['approved_by']}" if done.get("approved_by") else ""
    print(f"version {done['to']} is in production{approval}{before}")
    verdict = client.get_model_version(model, str(done["to"])).tags.get("gate")
    print(f"note: what the validation said of it: {verdict or 'nothing, it was never validated'}")
    return 0


def _history(chosen: argparse.Namespace) -> int:
    from mlflow.exceptions import MlflowException

    from creditrisk.registry import promotion

    model = home_of(data_set_of(chosen)).model
    try:
        entries = promotion.history(promotion.open_existing(chosen.store, model), model)
    except (promotion.NotPromoted, MlflowException, OSError) as error:
        return failed(str(error))
    for entry in entries:
        before = f"version {entry['from']}" if entry["from"] else "nothing"
        when = entry["time"][:19].replace("T", " ")
        end = " (cut short)" if entry.get("pending") else ""
        who = _in_line(entry["who"])
        if entry.get("approved_by"):
            who += f", approved by {_in_line(entry['approved_by'])}"
        print(
            f"{when} UTC  {before} -> version {entry['to']}{end}  "
            f"by {who}: {_in_line(entry['reason'])}"
        )
    if not entries:
        print("nothing was ever put into production")
    return 0


def _in_line(text: str) -> str:
    """Anyone may write a tag: what could pass for another line is shown as its code."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
