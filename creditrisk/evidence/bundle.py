"""One file with all evidence on a run, the same bytes each time, and whether it was altered.

The list in it, ``evidence.json``, has the sha256 of every other file. Whoever can write the file
can write the list anew too: the list's own sha256, passed on separately, or a signature shows that.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from creditrisk.data.contract import Json
from creditrisk.evidence.checklist import checklist, page
from creditrisk.evidence.run_files import Evidence, EvidenceError
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources.model_manifest import SIGNATURE, check_seal, sealed
from work_units.whole_files import replacing

LIST = "evidence.json"
CHECKLIST = "index.html"

#: Larger files are not opened: a bundle holds pages and tables.
LARGEST_FILE, LARGEST_BUNDLE, MOST_FILES = 200 * 2**20, 500 * 2**20, 1000

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that an archive can hold


def write_bundle(evidence: Evidence, path: Path, signed: tuple[str, str] | None = None) -> Json:
    """Write the bundle, whole or not at all, and return its list.

    Nothing in it depends on the time or the machine, and it is not compressed, which not every
    library does alike: the same run gives the same bytes.

    Parameters
    ----------
    signed
        Who has signed the checklist and when.

    Raises
    ------
    EvidenceError
        If the file cannot be written.
    """
    items = checklist(evidence)
    files = dict(evidence.files)
    files[CHECKLIST] = page(evidence, items, signed).encode()
    files["checklist.json"] = _as_json(
        [
            {"part": each.part, "question": each.question, "state": str(each.state)}
            | {"answer": each.answer, "report": each.report}
            for each in items
        ]
    )
    listed = sealed(
        {
            "run": evidence.run["id"],
            "signed": list(signed) if signed else None,
            "files": {place: hashlib.sha256(files[place]).hexdigest() for place in sorted(files)},
        }
    )
    files[LIST] = _as_json(listed)
    try:
        with replacing(path) as half, zipfile.ZipFile(half, "w", zipfile.ZIP_STORED) as archive:
            for place in sorted(files):
                about = zipfile.ZipInfo(place, _EPOCH)
                about.external_attr, about.create_system = 0o644 << 16, 3
                archive.writestr(about, files[place])
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be written ({error.strerror or error})") from error
    return listed


@dataclass
class Verification:
    """Whether a bundle is as it was made."""

    run: str
    sha256: str  # of its list
    signed_with_key: bool
    checked: int
    problems: list[str] = field(default_factory=list)


def verify_bundle(path: Path) -> Verification:
    """Compare every file of a bundle with its list.

    Raises
    ------
    EvidenceError
        If it is no bundle that can be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _verified(archive, path)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise EvidenceError(f"{path} is no archive that can be read ({error})") from error


def _verified(archive: zipfile.ZipFile, path: Path) -> Verification:
    members = archive.infolist()
    if len(members) > MOST_FILES or sum(each.file_size for each in members) > LARGEST_BUNDLE:
        raise EvidenceError(f"{path} is too large to be a bundle of evidence")
    names = [each.filename for each in members]
    if LIST not in names:
        raise EvidenceError(f"{path} is no bundle of evidence: it has no {LIST}")
    try:
        if archive.getinfo(LIST).file_size > LARGEST_FILE:
            raise ValueError
        listed: Json = json.loads(archive.read(LIST))
        known = dict(listed["files"])
        found = Verification(str(listed["run"]), str(listed["manifest_sha256"]), False, len(known))
    except (ValueError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise EvidenceError(f"{LIST} of {path} cannot be understood") from error
    found.signed_with_key = SIGNATURE in listed
    try:
        check_seal(listed, LIST)
    except (ModelRefused, ValueError):
        found.problems.append(f"{LIST} was changed after it was written, or the key is another")
    found.problems += [f"{name} is there twice" for name in set(names) if names.count(name) > 1]
    for name in sorted({*names, *known} - {LIST}):
        if name not in known:
            found.problems.append(f"{name} was added")
        elif name not in names:
            found.problems.append(f"{name} is missing")
        elif _sha256(archive, name) != known[name]:
            found.problems.append(f"{name} was altered")
    return found


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    if archive.getinfo(name).file_size > LARGEST_FILE:
        return "too large"
    try:
        return hashlib.sha256(archive.read(name)).hexdigest()
    except zipfile.BadZipFile:  # its own checksum says so already
        return "damaged"


def _as_json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
