"""``creditrisk score``: decisions on a portfolio of any size.

It returns its exit code, and imports what it needs when it runs.
"""

import argparse
import os
import sys

from creditrisk.commands.options import (
    Parsers,
    add_blank_is_level,
    add_data,
    data_set_of,
    failed,
    home_of,
)
from creditrisk.records.log_files import FOLDER


def add_to(parsers: Parsers) -> None:
    """Add the command to those of ``creditrisk``."""
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
    add_data(whose)
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
    add_blank_is_level(score)
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


def _score(chosen: argparse.Namespace) -> int:
    from creditrisk.portfolio import progress
    from creditrisk.portfolio.job import Refused, Stopped
    from creditrisk.portfolio.scoring import score
    from creditrisk.portfolio.storage import NoStorage
    from creditrisk.records.chain import LogError
    from creditrisk.scoring.reason_finder import NoReasons
    from creditrisk.scoring.scorer import ModelRefused
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
        print(f"creditrisk: {part.file}: {part.reason}", file=sys.stderr)
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
