"""The command line: ``creditrisk serve | predict | score | promote | rollback | ...``.

Exit code 0 means done, 1 that something was refused or does not agree, 2 that it could not be
tried. Each command imports what it needs when it runs, so that ``--help`` need not wait.
"""

import argparse
import os
import sys

EXAMPLES = """examples:
  creditrisk serve                                          the model in models/, on port 8000
  creditrisk serve --models models:/Credit_Risk_Model@production --decision-log decisions.jsonl
  creditrisk predict                                        three made-up applicants
  creditrisk predict --reasons data/raw/german_credit_data.csv
  echo '{"Age": 35, ...}' | creditrisk predict -
  mlflow models serve -m models:/Credit_Risk_Model@production --env-manager local -p 5000
  creditrisk predict --mlflow applicants.json               asks that server instead
  creditrisk score portfolio/ decisions/                    Parquet or CSV files, of any size
  creditrisk history                                        who put what into production, and why
  creditrisk promote 3 --reason "agreed by the risk committee on 12 May"
  creditrisk rollback --reason "approvals fell by half"
  creditrisk verify-log decisions.jsonl
  creditrisk replay 5f0c...-3 --log decisions.jsonl
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="creditrisk",
        description="Serves, asks, promotes and audits the credit-risk model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_predict(commands)
    _add_score(commands)
    _add_promote(commands)
    _add_replay(commands)
    _add_verify(commands)
    return parser


def _add_serve(commands) -> None:
    serve = commands.add_parser(
        "serve",
        help="answer applications over HTTP",
        description="Serve decisions over HTTP. SIGHUP looks for a newer model at once; SIGTERM "
        "stops once every request that has come is answered. If CREDITRISK_TOKEN is set, decisions "
        "and metrics need it as a bearer token.",
    )
    serve.add_argument(
        "--models",
        default="models",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS of the registry (default: models)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    serve.add_argument(
        "--port", type=int, default=8000, help="port, 0 for a free one (default: 8000)"
    )
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer under this name too, beside localhost; may be repeated",
    )
    serve.add_argument(
        "--decision-log", metavar="FILE", help="record each decision in FILE before it is answered"
    )
    serve.add_argument(
        "--watch",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="how often to look for a newer model (default: 3)",
    )
    serve.set_defaults(run=_serve)


def _seconds(text: str) -> float:
    found = float(text)
    if not 0.1 <= found <= 86_400:
        raise argparse.ArgumentTypeError("give 0.1 to 86400 seconds")
    return found


def _add_predict(commands) -> None:
    predict = commands.add_parser(
        "predict",
        help="send applications to a server and show its decisions",
        description="Send applications to a running server and print its decisions. If "
        "CREDITRISK_TOKEN is set, it is shown to the server.",
    )
    predict.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="JSON or CSV, - for standard input; without it three made-up applicants",
    )
    predict.add_argument(
        "--reasons", action="store_true", help="also ask what holds each score down"
    )
    predict.add_argument(
        "--mlflow", action="store_true", help="the server is `mlflow models serve`"
    )
    predict.add_argument(
        "--url", help="the server (default: http://127.0.0.1:8000, or :5000 with --mlflow)"
    )
    predict.add_argument(
        "--contract",
        metavar="FILE",
        help="manifest.json or datapackage.json to read CSV by "
        "(default: models/manifest.json, then data/raw/datapackage.json)",
    )
    predict.set_defaults(run=_predict)


def _add_score(commands) -> None:
    score = commands.add_parser(
        "score",
        help="score a portfolio of any size",
        description="Score Parquet or CSV files; each becomes a Parquet file of decisions under "
        "OUT. Rows that the contract does not allow go to OUT/_rejected with the reason. A run "
        "that was killed goes on with --resume; _SUCCESS is written last.",
        epilog="examples:\n"
        "  creditrisk score loans.csv decisions/\n"
        "  creditrisk score 'loans/2026-*.parquet' decisions/ --id loan_id --reasons\n"
        "  creditrisk score s3://bank/loans s3://bank/decisions --resume\n"
        "  creditrisk score loans/ decisions/ --scheduler tcp://host:8786\n\n"
        "exit code: 0 all is scored, 1 some files are not, 2 request refused, 130 stopped",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    score.add_argument(
        "source",
        metavar="IN",
        help="a file, a folder or a glob; s3:// and other URLs with the extra scale",
    )
    score.add_argument("out", metavar="OUT", help="the folder for the decisions; may be a URL too")
    score.add_argument(
        "--models",
        default="models",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS of the registry (default: models)",
    )
    score.add_argument(
        "--id",
        metavar="COLUMN",
        help="names each row (default: id if there is one, else file and row)",
    )
    score.add_argument("--reasons", action="store_true", help="also tell what holds scores down")
    where = score.add_mutually_exclusive_group()
    where.add_argument(
        "--workers",
        type=_processes,
        metavar="N",
        help="processes of this machine (default: one a core, if there is enough to "
        "do); a file is scored by one",
    )
    where.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster that does it instead, with the extra scale (default: "
        "DASK_SCHEDULER_ADDRESS)",
    )
    again = score.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run that OUT holds")
    again.add_argument("--overwrite", action="store_true", help="delete the run that OUT holds")
    score.set_defaults(run=_score)


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError("give 1 to 1024 processes")
    return int(text)


def _add_promote(commands) -> None:
    promote = commands.add_parser(
        "promote",
        help="put a registered version into production by hand",
        description="Move the alias production to a version. Its files must be there and be those "
        "that were registered. The version that was there gets the alias previous.",
    )
    promote.add_argument("version", type=int, metavar="VERSION", help="number of the version")
    rollback = commands.add_parser(
        "rollback",
        help="put the version before back into production",
        description="Move the alias production to the version with the alias previous.",
    )
    history = commands.add_parser("history", help="list who put what into production, and why")
    for command in (promote, rollback):
        command.add_argument("--reason", required=True, help="kept on the version and in the log")
        command.add_argument(
            "--log",
            default="experiments/promotions.jsonl",
            metavar="FILE",
            help="appended to (default: experiments/promotions.jsonl)",
        )
    for command, run in ((promote, _promote), (rollback, _rollback), (history, _history)):
        command.add_argument(
            "--store",
            default="mlflow.db",
            metavar="FILE",
            help="MLflow's store, unless MLFLOW_TRACKING_URI names a server (default: mlflow.db)",
        )
        command.set_defaults(run=run)


def _add_replay(commands) -> None:
    replay = commands.add_parser("replay", help="make a logged decision again")
    replay.add_argument("id", help="id of the decision, as answered and logged")
    replay.add_argument("--log", required=True, metavar="FILE", help="the decision log")
    replay.add_argument(
        "--models",
        metavar="SOURCE",
        help="folder or registry URI of the model (default: models/ if its hash is "
        "the logged one, else the registry's version)",
    )
    replay.set_defaults(run=_replay)


def _add_verify(commands) -> None:
    verify = commands.add_parser(
        "verify-log", help="find edited, missing or moved decisions in a log"
    )
    verify.add_argument("log", metavar="FILE")
    verify.add_argument(
        "--head",
        metavar="NUMBER:SHA256",
        help="the end of the log as noted elsewhere, for instance from /ready",
    )
    verify.set_defaults(run=_verify)


def _serve(chosen: argparse.Namespace) -> int:
    from creditrisk.scoring.loading import ModelRefused
    from creditrisk.serving.decision_log import LogError
    from creditrisk.serving.http_server import serve

    try:
        serve(
            chosen.models,
            chosen.host,
            chosen.port,
            hosts=tuple(chosen.allow_host),
            decision_log=chosen.decision_log,
            watch_seconds=chosen.watch,
        )
    except (ModelRefused, LogError) as error:
        return _say(str(error))
    except (OSError, OverflowError) as error:
        return _say(f"cannot listen on {chosen.host}:{chosen.port} ({error})")
    return 0


def _predict(chosen: argparse.Namespace) -> int:
    from creditrisk.serving import client

    door = client.MLFLOW if chosen.mlflow else client.FLASK
    url = chosen.url or f"http://127.0.0.1:{5000 if chosen.mlflow else 8000}"
    token = client.token_from_environment()
    try:
        return client.predict(chosen.file, url, door, chosen.contract, token, chosen.reasons)
    except (client.Unreadable, client.NoAnswer) as error:
        return _say(str(error))


def _score(chosen: argparse.Namespace) -> int:
    from creditrisk.portfolio import progress
    from creditrisk.portfolio.scoring import Refused, Stopped, score
    from creditrisk.portfolio.storage import NoStorage
    from creditrisk.scoring.loading import ModelRefused
    from creditrisk.scoring.scorer import NoReasons
    from work_units.errors import NoCluster
    from work_units.units import ADDRESS

    scheduler = chosen.scheduler or (None if chosen.workers else os.environ.get(ADDRESS))
    try:
        with progress.shown() as tell:
            summary = score(
                chosen.source,
                chosen.out,
                chosen.models,
                id=chosen.id,
                reasons=chosen.reasons,
                workers=chosen.workers,
                scheduler=scheduler,
                resume=chosen.resume,
                overwrite=chosen.overwrite,
                tell=tell,
            )
    except (Refused, ModelRefused, NoReasons, NoStorage) as error:
        return _say(str(error))
    except (Stopped, NoCluster, OSError) as error:
        return _say(f"{error}; finished parts are kept, go on with --resume")
    except KeyboardInterrupt:
        _say("stopped; finished parts are kept, go on with --resume")
        return 130
    for line in progress.lines(summary, chosen.out):
        print(line)
    for failed in summary.failed:
        print(f"creditrisk: {failed.name}: {failed.words}", file=sys.stderr)
    if summary.manifest is None:
        left = summary.parts - len(summary.done)
        print(
            f"creditrisk: {left} of {summary.parts} parts are not scored, the others are kept; "
            "mend what is named and go on with --resume",
            file=sys.stderr,
        )
    return 0 if summary.manifest else 1


def _promote(chosen: argparse.Namespace) -> int:
    return _move_production(chosen, chosen.version)


def _rollback(chosen: argparse.Namespace) -> int:
    return _move_production(chosen, None)


def _move_production(chosen: argparse.Namespace, version: int | None) -> int:
    """Promote a version, or roll back if it is None."""
    from mlflow.exceptions import MlflowException

    from creditrisk.registry import mlflow_store, promotion

    if not chosen.reason.strip():
        return _say("--reason: say why in words")
    if not chosen.reason.isprintable():
        return _say("--reason: say why in one line, without control characters")
    try:
        client = promotion.open_existing(chosen.store)
        if version is None:
            done = promotion.roll_back(client, chosen.reason, chosen.log)
        else:
            done = promotion.promote(client, version, chosen.reason, chosen.log)
    except promotion.NotPromoted as error:
        print(f"creditrisk: {error}; nothing was changed", file=sys.stderr)
        return 1
    except MlflowException as error:
        return _say(
            f"the registry does not answer as it should ({error.message}); "
            "the same command again completes what it has begun"
        )
    except OSError as error:
        return _say(
            f"a file cannot be written ({error}); "
            "the same command again completes what it has begun"
        )
    if not done:
        print(f"version {version} is in production already; nothing was changed")
        return 0
    before = f"; version {done['from']} is now previous" if done["from"] else ""
    print(f"version {done['to']} is in production{before}")
    verdict = client.get_model_version(mlflow_store.MODEL_NAME, str(done["to"])).tags.get("gate")
    print(f"note: what the validation said of it: {verdict or 'nothing, it was never validated'}")
    return 0


def _history(chosen: argparse.Namespace) -> int:
    from mlflow.exceptions import MlflowException

    from creditrisk.registry import promotion

    try:
        entries = promotion.history(promotion.open_existing(chosen.store))
    except (promotion.NotPromoted, MlflowException, OSError) as error:
        return _say(str(error))
    for entry in entries:
        before = f"version {entry['from']}" if entry["from"] else "nothing"
        when = entry["time"][:19].replace("T", " ")
        end = " (cut short)" if entry.get("pending") else ""
        print(
            f"{when} UTC  {before} -> version {entry['to']}{end}  "
            f"by {_in_line(entry['who'])}: {_in_line(entry['reason'])}"
        )
    if not entries:
        print("nothing was ever put into production")
    return 0


def _in_line(text: str) -> str:
    """Anyone may write a tag: what could pass for another line is shown as its code."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _replay(chosen: argparse.Namespace) -> int:
    from creditrisk.scoring.loading import ModelRefused
    from creditrisk.serving.decision_log import LogError
    from creditrisk.serving.replay import replay

    try:
        again = replay(chosen.id, chosen.log, chosen.models)
    except KeyError:
        return _say(f"{chosen.log} has no decision {chosen.id}")
    except (LogError, ModelRefused) as error:
        return _say(str(error))
    then = again.logged
    print(f"logged   {then['time']}  {then['decision']}  {then['probability']!r}")
    print(f"replayed {' ' * len(then['time'])}  {again.decision}  {again.probability!r}")
    print("the same" if again.same else "NOT THE SAME")
    return 0 if again.same else 1


def _verify(chosen: argparse.Namespace) -> int:
    from creditrisk.serving.decision_log import Head, LogError, read_head
    from creditrisk.serving.log_verification import problems

    head = None
    if chosen.head:
        number, _, sha256 = chosen.head.partition(":")
        if not number.isdecimal() or len(sha256) != 64:
            return _say("--head: give NUMBER:SHA256")
        head = Head(int(number), sha256)
    try:
        found = list(problems(chosen.log, head))
    except LogError as error:
        return _say(str(error))
    for line in found:
        print(line)
    if not found:
        end = head or read_head(chosen.log)
        print(f"{chosen.log}: {end.number} decisions, none edited, missing or moved")
    return 1 if found else 0


def _say(words: str) -> int:
    print(f"creditrisk: {words}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
