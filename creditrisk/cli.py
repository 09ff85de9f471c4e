"""The command line: ``creditrisk serve | predict | score | contract | promote | ...``.

Exit code 0 means done, 1 that something was refused or does not agree, 2 that it could not be
tried.
"""

import argparse
import os
import sys
from typing import Any

from creditrisk.commands import (
    contract,
    decision_log,
    evidence,
    portfolio,
    promotion,
    records,
    serving,
)
from creditrisk.commands.options import failed

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
    return failed(
        f"this command needs the package {package}, which is not installed: credit-risk-serve "
        "holds what serve and predict need; install the whole project for the others"
    )


class _Command(argparse.ArgumentParser):
    """A parser that refuses what it does not know itself, and so with its own usage.

    It refuses an empty value, too: a script's variable that is not set must not mean the default,
    such as no decision log.
    """

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        for name, value in vars(found).items():
            if "" in (value if isinstance(value, list) else [value]):
                self.error(f"{name.replace('_', '-')} is empty; give a value, or leave it out")
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
    for group in (serving, portfolio, contract, promotion, decision_log, records, evidence):
        group.add_to(parsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
