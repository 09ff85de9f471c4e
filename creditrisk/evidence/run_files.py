"""The files of a run that belong to its evidence, by their places in the bundle."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creditrisk.data.contract import Json

#: Rows of single applicants, which leave the house only if somebody asks for it.
OF_APPLICANTS = "test_scores.csv"


class EvidenceError(Exception):
    """Why there is no bundle, or none that can be read, in one sentence."""


@dataclass
class Evidence:
    """What a bundle is made of."""

    run: Json  # the run's manifest
    figures: dict[str, Json] = field(default_factory=dict)  # by name: "champion", "validation" ...
    files: dict[str, bytes] = field(default_factory=dict)  # by place in the bundle
    promotions: list[Json] = field(default_factory=list)  # of the version that the run registered
    left_out: list[str] = field(default_factory=list)  # what is not in the bundle and why

    @property
    def stages(self) -> list[Json]:
        """The notebooks of the run."""
        return list(self.run["stages"])


def find_run(experiments: Path, asked: str) -> Path:
    """The folder of a run: its id, the beginning of one, ``latest``, or the folder itself.

    Raises
    ------
    EvidenceError
        If there is no such run, or more than one.
    """
    if (Path(asked) / "manifest.json").is_file():
        return Path(asked)
    runs = sorted(file.parent for file in (experiments / "runs").glob("*/manifest.json"))
    if not runs:
        raise EvidenceError(f"there is no run in {experiments / 'runs'}; run the chain first")
    found = runs[-1:] if asked == "latest" else [r for r in runs if r.name.startswith(asked)]
    if len(found) != 1:
        names = " or ".join(each.name for each in found)
        what = f"{asked} may be {names}" if found else f"there is no run {asked}"
        raise EvidenceError(f"{what}; the last one is {runs[-1].name}")
    return found[0]


def collect(folder: Path, root: Path, with_applicants: bool = False) -> Evidence:
    """What there is of a run, and what is missing.

    Parameters
    ----------
    folder
        Of the run.
    root
        The checkout, below which the run has written.
    with_applicants
        Whether the scores of single applicants go in.

    Raises
    ------
    EvidenceError
        If the run's manifest cannot be read, or the run did not succeed.
    """
    found = Evidence(_manifest(folder))
    if found.run["status"] != "succeeded":
        raise EvidenceError(f"run {found.run['id']} {found.run['status']}; give one that succeeded")
    found.files["provenance/run.json"] = (folder / "manifest.json").read_bytes()
    for stage in found.stages:
        _add_stage(found, stage, folder.parent / str(stage.get("run") or folder.name), folder)
    if OF_APPLICANTS in [Path(place).name for place in found.files] and not with_applicants:
        del found.files[f"figures/{OF_APPLICANTS}"]
        found.left_out.append(
            f"{OF_APPLICANTS}: it has a row for each applicant; --with-applicants puts it in"
        )
    for name, content in _tables(found.figures):
        found.files[name] = content
    _add_written(found, root)
    _add_promotions(found, root)
    return found


def _manifest(folder: Path) -> Json:
    file = folder / "manifest.json"
    try:
        run: Json = json.loads(file.read_text("utf-8"))
        named = all(isinstance(stage["name"], str) for stage in run["stages"])
        if not named or not {"id", "status"} <= run.keys():
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"{file} is no manifest of a run") from error
    return run


def _add_stage(found: Evidence, stage: Json, home: Path, folder: Path) -> None:
    """The report and the kept files of a stage, from the folder of the run that made them."""
    if report := stage.get("report"):
        _add(found, f"reports/{report}", home / report)
    for kept in (stage.get("kept") or {}).values():
        place = "reports" if kept.endswith(".html") else "figures"
        source = folder / kept if (folder / kept).is_file() else home / kept
        _add(found, f"{place}/{kept}", source)
        if kept.endswith(".json") and f"figures/{kept}" in found.files:
            try:
                found.figures[Path(kept).stem] = json.loads(found.files[f"figures/{kept}"])
            except ValueError as error:
                raise EvidenceError(f"{source} is no JSON; run the chain again") from error


def _add(found: Evidence, place: str, source: Path) -> None:
    try:
        content = source.read_bytes()
    except OSError as error:
        found.left_out.append(f"{source.name}: {error.strerror or type(error).__name__}")
        return
    if place.endswith(".html"):  # the list of all runs does not travel along; the checklist does
        content = content.replace(b'href="../../index.html"', b'href="../index.html"')
        content = content.replace(b">All runs<", b">Checklist<")
    found.files[place] = content


def _tables(figures: dict[str, Json]) -> Iterator[tuple[str, bytes]]:
    """Each list of rows within the figures as a CSV file of its own."""
    for name, content in figures.items():
        for key, value in content.items():
            if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
                yield f"figures/{name}.{key}.csv", _as_csv(value)


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _add_written(found: Evidence, root: Path) -> None:
    """What decides, and what it was made with: files that are still as the run has written them."""
    written = {path: sha for stage in found.stages for path, sha in stage["writes"].items()}
    places = {
        "scorecard.csv": "rules/scorecard.csv",
        "scorecard.sql": "rules/scorecard.sql",
        "model_card.md": "reports/model_card.md",
        "manifest.json": "provenance/model.json",
    }
    for path, sha256 in sorted(written.items()):
        if place := places.get(Path(path).name):
            _add_if(found, place, root / path, sha256)
    read = {path: sha for stage in found.stages for path, sha in stage["reads"].items()}
    for path, sha256 in sorted(read.items()):
        if Path(path).name == "datapackage.json":
            _add_if(found, "provenance/datapackage.json", root / path, sha256)
    if lock := found.run.get("lock_sha256"):
        _add_if(found, "provenance/uv.lock", root / "uv.lock", lock)


def _add_if(found: Evidence, place: str, source: Path, sha256: str) -> None:
    content = source.read_bytes() if source.is_file() else b""
    if hashlib.sha256(content).hexdigest() == sha256:
        found.files[place] = content
    else:
        found.left_out.append(f"{source.name}: it is not any more as this run found or left it")


def _add_promotions(found: Evidence, root: Path) -> None:
    """The lines of the log that are about the version which the run has registered."""
    registered = found.figures.get("registration", {})
    logs = {
        value
        for stage in found.stages
        for name, value in stage["parameters"].items()
        if name == "promotions_path"
    }
    lines: list[bytes] = []
    for log in sorted(logs):
        file = root / "notebooks" / log
        for line in file.read_bytes().splitlines() if file.is_file() else ():
            try:
                entry = json.loads(line)
                mine = entry["model"] == registered["model"]
                if mine and registered["version"] in (entry["to"], entry["from"]):
                    found.promotions.append(entry)
                    lines.append(line + b"\n")
            except (ValueError, KeyError, TypeError):
                continue
    found.files["provenance/promotions.jsonl"] = b"".join(lines)
