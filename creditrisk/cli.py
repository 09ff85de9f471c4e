"""The command line: ``creditrisk serve | predict | score | contract | promote | ...``.

Exit code 0 means done, 1 that something was refused or does not agree, 2 that it could not be
tried.
"""

import argparse
import os
import sys
from typing import TypeAlias

from creditrisk import commands, contract_commands, evidence_commands, record_commands
from creditrisk.records.log_files import FOLDER

Parsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

#: Packages of this project: if one of their modules is missing, that is a defect.
OURS = ("creditrisk", "page_style", "work_units")

EXAMPLES = """examples:
  creditrisk serve                                          what is in production, on port 8000
  creditrisk serve --models models                          the last model, whatever the gate says
  creditrisk serve --decision-log experiments/decisions/server.jsonl \\
      --shadow models:/Credit_Risk_Model@challenger
  creditrisk serve --data data/german_credit_20             what is in production of other data
  creditrisk predict                                        three made-up applicants
  creditrisk predict --reasons --recourse                   why, and what would turn a decline
  creditrisk predict --reasons --blank-is-level data/raw/german_credit_data.csv
  echo '{"Age": 35, ...}' | creditrisk predict -
  mlflow models serve -m models:/Credit_Risk_Model@production --env-manager local -p 5000
  creditrisk predict --mlflow applicants.json               asks that server instead
  creditrisk score portfolio/ decisions/ --log experiments/decisions
  creditrisk score portfolio/ decisions/                    Parquet or CSV files, of any size
  creditrisk contract draft loans.csv --target defaulted    describes a file of your own
  creditrisk contract check loans.csv                       does it keep its contract?
  creditrisk history                                        who put what into production, and why
  creditrisk promote 3 --reason "agreed by the risk committee on 12 May"
  creditrisk promote 4 --approve "Jane Doe" --reason "replaces a model that no longer scores"
  creditrisk rollback --reason "approvals fell by half"
  creditrisk verify-log decisions.jsonl
  creditrisk replay 5f0c...-3 --log decisions.jsonl
  creditrisk override 5f0c...-3 --by "Jane Doe" --reason "has a guarantor"
  creditrisk outcomes add outcomes.csv                      id and outcome of each decision
  creditrisk evidence latest evidence.zip                   all on the last run, for a validator
  creditrisk evidence verify evidence.zip                   was it altered?
  creditrisk simulate --shift relation --out simulated      made-up years, to try the monitoring
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    chosen = argument_parser().parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
        return code
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        return _not_installed(error)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


def _not_installed(error: ModuleNotFoundError) -> int:
    """Name the package that a command needs and the server's own installation leaves out."""
    package = str(error.name).partition(".")[0]
    if package in OURS:
        raise error
    return commands.failed(
        f"this command needs the package {package}, which is not installed: credit-risk-serve "
        "holds what serve and predict need; install the whole project for the others"
    )


class _Command(argparse.ArgumentParser):
    """A parser that refuses what it does not know itself, and so with its own usage."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown


def argument_parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser: argparse.ArgumentParser = _Command(
        prog="creditrisk",
        description="Serves, asks, promotes and audits the credit-risk model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(parsers)
    _add_predict(parsers)
    _add_score(parsers)
    contract_commands.add_to(parsers)
    _add_promote(parsers)
    _add_replay(parsers)
    _add_verify(parsers)
    record_commands.add_to(parsers)
    evidence_commands.add_to(parsers)
    return parser


def _add_serve(parsers: Parsers) -> None:
    serve = parsers.add_parser(
        "serve",
        help="answer applications over HTTP",
        description="Serve decisions over HTTP. SIGHUP looks for a newer model at once; SIGTERM "
        "stops once every request that has come is answered. If CREDITRISK_TOKEN is set, decisions "
        "and metrics need it as a bearer token. If CREDITRISK_MANIFEST_KEY is set, only a model "
        "signed with it is served.",
    )
    whose = serve.add_mutually_exclusive_group()
    commands.add_data(whose)
    whose.add_argument(
        "--models",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS of the registry (default: what is in production, from "
        "models/ if that is the same)",
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
        "--decision-log",
        metavar="FILE",
        help="record each decision in FILE (*.jsonl) before it is answered, and refused requests "
        "by reason beside it",
    )
    serve.add_argument(
        "--shadow",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS, of a model that is scored on the same applications "
        "and never decides; the decision log has its probabilities",
    )
    serve.add_argument(
        "--watch",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="how often to look for a newer model (default: 3)",
    )
    serve.set_defaults(run=commands.serve)


def _seconds(text: str) -> float:
    found = float(text)
    if not 0.1 <= found <= 86_400:
        raise argparse.ArgumentTypeError("give 0.1 to 86400 seconds")
    return found


def _add_predict(parsers: Parsers) -> None:
    predict = parsers.add_parser(
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
        "--recourse",
        action="store_true",
        help="also ask for the smallest changes, on a grid of round values, by which the model "
        "would approve; about the model, and no promise of a loan",
    )
    predict.add_argument(
        "--mlflow", action="store_true", help="the server is `mlflow models serve`"
    )
    predict.add_argument(
        "--url", help="the server (default: http://127.0.0.1:8000, or :5000 with --mlflow)"
    )
    whose = predict.add_mutually_exclusive_group()
    commands.add_data(whose)
    whose.add_argument(
        "--contract",
        metavar="FILE",
        help="manifest.json or datapackage.json to read CSV by "
        "(default: models/manifest.json, then data/raw/datapackage.json)",
    )
    _add_blank_is_level(predict)
    predict.set_defaults(run=commands.predict)


def _add_score(parsers: Parsers) -> None:
    score = parsers.add_parser(
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
        "exit code: 0 every row is scored or rejected, 1 some files are not read or every row is "
        "rejected,\n2 request refused, 130 stopped",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    score.add_argument(
        "source",
        metavar="IN",
        help="a file, a folder or a glob; s3:// and other URLs with the extra scale",
    )
    score.add_argument("out", metavar="OUT", help="the folder for the decisions; may be a URL too")
    whose = score.add_mutually_exclusive_group()
    commands.add_data(whose)
    whose.add_argument(
        "--models",
        metavar="SOURCE",
        help="folder, or models:/NAME@ALIAS of the registry (default: what is in production, from "
        "models/ if that is the same)",
    )
    score.add_argument(
        "--id",
        metavar="COLUMN",
        help="names each row (default: id if there is one, else file and row)",
    )
    score.add_argument("--reasons", action="store_true", help="also give what holds scores down")
    score.add_argument(
        "--log",
        metavar="FOLDER",
        help="record the decisions in FOLDER/portfolio.jsonl too, so that overrides and outcomes "
        f"can be attached to them (the others look into {FOLDER})",
    )
    _add_blank_is_level(score)
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
    score.set_defaults(run=commands.score_portfolio)


def _add_blank_is_level(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--blank-is-level",
        action="store_true",
        help="a blank stands for the level that the contract names by missingLabel. Right only for "
        "files in the coding of the model's own data, such as the raw file; what an applicant left "
        "blank would pass as a statement. By default blanks are refused",
    )


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError("give 1 to 1024 processes")
    return int(text)


def _add_promote(parsers: Parsers) -> None:
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
    runs = {promote: commands.promote, rollback: commands.rollback, history: commands.history}
    for command, run in runs.items():
        commands.add_data(command)
        command.add_argument(
            "--store",
            default="mlflow.db",
            metavar="FILE",
            help="MLflow's store, unless MLFLOW_TRACKING_URI names a server (default: mlflow.db)",
        )
        command.set_defaults(run=run)


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
    replay.set_defaults(run=commands.replay)


def _add_verify(parsers: Parsers) -> None:
    verify = parsers.add_parser("verify-log", help="find edited, missing or moved entries in a log")
    verify.add_argument("log", metavar="PLACE", help="a log, or a folder of logs")
    verify.add_argument(
        "--head",
        metavar="NUMBER:SHA256",
        help="the end of the log as noted elsewhere, for instance from /ready",
    )
    verify.set_defaults(run=commands.verify)


if __name__ == "__main__":
    sys.exit(main())
