"""``creditrisk evidence``: one bundle on a run for whoever has to find fault with the model.

It returns its exit code, and imports what it needs when it runs.
"""

import argparse
import sys
from pathlib import Path

from creditrisk.commands.options import Parsers, add_data, data_set_of, failed

EXAMPLES = """examples:
  creditrisk evidence latest evidence.zip
  creditrisk evidence 20261129 signed.zip --signed-by "Jane Doe" --signed-on 2026-12-01
  creditrisk evidence latest evidence.zip --data data/german_credit_20
  creditrisk evidence verify evidence.zip

exit code: 0 written, or not altered; 1 altered; 2 it could not be tried"""


def add_to(parsers: Parsers) -> None:
    """Add the command to the command line's parser."""
    evidence = parsers.add_parser(
        "evidence",
        help="put all that speaks for and against a run's model into one file",
        description="Write a zip file: a checklist of what was checked, where it stands and what "
        "was not checked; reports and model card; every figure as JSON and CSV; the decision rule; "
        "hashes of data and code, and the log of promotions. The same run gives the same bytes. "
        "With verify instead of a run: say what of such a file was altered.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evidence.add_argument(
        "run_id", metavar="RUN", help="its id, the beginning of one, latest, a folder; or: verify"
    )
    evidence.add_argument("file", metavar="FILE", help="the zip file")
    evidence.add_argument(
        "--with-applicants",
        action="store_true",
        help="put in the file with the score of each applicant of the test set",
    )
    evidence.add_argument("--signed-by", metavar="WHO", help="who signs the checklist, and as what")
    evidence.add_argument("--signed-on", metavar="DATE", help="the day of the signature")
    evidence.add_argument(
        "--force", action="store_true", help="replace the file if there is one already"
    )
    add_data(evidence)
    evidence.set_defaults(run=evidence_of)


def evidence_of(chosen: argparse.Namespace) -> int:
    from creditrisk.evidence.run_files import EvidenceError
    from creditrisk.scoring.scorer import ModelRefused

    path = Path(chosen.file)
    try:
        if chosen.run_id == "verify":
            return _verify(path)
        return _write(chosen, path)
    except (EvidenceError, ModelRefused) as error:
        return failed(str(error))
    except OSError as error:
        return failed(f"{error.filename or path}: {error.strerror or error}")


def _write(chosen: argparse.Namespace, path: Path) -> int:
    from creditrisk.evidence.bundle import write_bundle
    from creditrisk.evidence.run_files import collect, find_run

    if bool(chosen.signed_by) != bool(chosen.signed_on):
        return failed("a signature needs --signed-by and --signed-on")
    if path.exists() and not chosen.force:
        return failed(f"{path} is there already; give another name, or --force")
    data = data_set_of(chosen)
    experiments = Path(data.experiments if data else "experiments")
    evidence = collect(find_run(experiments, chosen.run_id), Path.cwd(), chosen.with_applicants)
    signed = (chosen.signed_by, chosen.signed_on) if chosen.signed_by else None
    listed = write_bundle(evidence, path, signed)
    size = path.stat().st_size / 1e6
    print(f"{path}: {len(listed['files'])} files on run {listed['run']}, {size:.1f} MB")
    for text in evidence.left_out:
        print(f"  left out: {text}")
    print(f"sha256 of its list: {listed['manifest_sha256']}")
    return 0


def _verify(path: Path) -> int:
    from creditrisk.evidence.bundle import verify_bundle

    found = verify_bundle(path)
    for problem in found.problems:
        print(f"{path}: {problem}", file=sys.stderr)
    if found.problems:
        return 1
    how = "signed with a key" if found.signed_with_key else "not signed with a key"
    print(f"{path}: {found.checked} files on run {found.run} are as they were made; {how}")
    print(f"sha256 of its list: {found.sha256}")
    if not found.signed_with_key:
        print("Whoever wrote the file could write the list anew: compare this with what you know.")
    return 0
