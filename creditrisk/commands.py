"""What each command of ``creditrisk`` does; each returns its exit code.

A command imports what it needs when it runs, so that ``--help`` need not wait.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from creditrisk.data_sets import DataSet
    from creditrisk.scoring.sources.production import Home


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


def serve(chosen: argparse.Namespace) -> int:
    from creditrisk.records.chain import LogError
    from creditrisk.scoring.scorer import ModelRefused
    from creditrisk.serving.http_server import serve

    if chosen.shadow and not chosen.decision_log:
        return failed("--shadow needs --decision-log: its probabilities are recorded there")
    try:
        serve(
            chosen.models,
            chosen.host,
            chosen.port,
            home=home_of(data_set_of(chosen)),
            hosts=tuple(chosen.allow_host),
            decision_log=chosen.decision_log,
            shadow=chosen.shadow,
            watch_seconds=chosen.watch,
        )
    except (ModelRefused, LogError) as error:
        return failed(str(error))
    except (OSError, OverflowError) as error:
        return failed(f"cannot listen on {chosen.host}:{chosen.port} ({error})")
    return 0


def predict(chosen: argparse.Namespace) -> int:
    from creditrisk.serving.client.applications import Unreadable
    from creditrisk.serving.client.client import predict
    from creditrisk.serving.client.posting import FLASK, MLFLOW, NoAnswer, token_from_environment

    if chosen.recourse and chosen.mlflow:
        return failed("--recourse: MLflow's server has none; ask that of creditrisk serve")
    endpoint = MLFLOW if chosen.mlflow else FLASK
    url = chosen.url or f"http://127.0.0.1:{5000 if chosen.mlflow else 8000}"
    token = token_from_environment()
    contract = chosen.contract or contract_file(chosen)
    try:
        return predict(
            chosen.file,
            url,
            endpoint,
            contract,
            token,
            chosen.reasons,
            chosen.recourse,
            chosen.blank_is_level,
        )
    except (Unreadable, NoAnswer) as error:
        return failed(str(error))


def score_portfolio(chosen: argparse.Namespace) -> int:
    from creditrisk.portfolio import progress
    from creditrisk.portfolio.job import Refused, Stopped
    from creditrisk.portfolio.scoring import score
    from creditrisk.portfolio.storage import NoStorage
    from creditrisk.records.chain import LogError
    from creditrisk.scoring.scorer import ModelRefused, NoReasons
    from creditrisk.scoring.sources.production import in_use
    from work_units.errors import NoCluster
    from work_units.units import ADDRESS

    scheduler = chosen.scheduler or (None if chosen.workers else os.environ.get(ADDRESS))
    try:
        use = in_use(chosen.models, home_of(data_set_of(chosen)))
        if use.by_default or use.notice:
            print(f"creditrisk: {use.why}", file=sys.stderr)
        with progress.progress_bar() as notify:
            summary = score(
                chosen.source,
                chosen.out,
                use.source,
                id=chosen.id,
                reasons=chosen.reasons,
                blank_is_level=chosen.blank_is_level,
                workers=chosen.workers,
                scheduler=scheduler,
                resume=chosen.resume,
                overwrite=chosen.overwrite,
                log=chosen.log,
                notify=notify,
            )
    except (Refused, ModelRefused, NoReasons, NoStorage) as error:
        return failed(str(error))
    except (Stopped, NoCluster, LogError, OSError) as error:
        return failed(f"{error}; finished parts are kept, go on with --resume")
    except KeyboardInterrupt:
        failed("stopped; finished parts are kept, go on with --resume")
        return 130
    for line in progress.lines(summary, chosen.out):
        print(line)
    for part in summary.failed:
        print(f"creditrisk: {part.name}: {part.reason}", file=sys.stderr)
    if summary.manifest is None:
        left = summary.parts - len(summary.done)
        print(
            f"creditrisk: {left} of {summary.parts} parts are not scored, the others are kept; "
            "mend what is named and go on with --resume",
            file=sys.stderr,
        )
    rows = summary.total("rows")
    nothing = rows > 0 and not summary.total("scored")
    if nothing:
        print(
            f"creditrisk: no row is scored, all {rows:,} are rejected; mend what "
            f"{chosen.out.rstrip('/')}/_rejected names and go on with --overwrite",
            file=sys.stderr,
        )
    return 0 if summary.manifest and not nothing else 1


def promote(chosen: argparse.Namespace) -> int:
    return _move_production(chosen, chosen.version)


def rollback(chosen: argparse.Namespace) -> int:
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


def history(chosen: argparse.Namespace) -> int:
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


def replay(chosen: argparse.Namespace) -> int:
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


def verify(chosen: argparse.Namespace) -> int:
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


def failed(reason: str) -> int:
    """Say on standard error why a command could not be tried; its exit code."""
    print(f"creditrisk: {reason}", file=sys.stderr)
    return 2
