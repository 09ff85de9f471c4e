"""Made-up loan files with a contract: drafted from the file, its questions answered; and fields."""

import json
from pathlib import Path

import loanfiles
import numpy as np

from creditrisk.cli import main
from creditrisk.data.fields import Field

TARGETS = {"continuous": "defaulted", "monthly": "status", "messy": "Ausgang"}

#: What the draft cannot know: of the package, of its table, and of columns.
PACKAGE = {
    "title": "Made-up loans",
    "sources": [{"title": "The generator"}],
    "licenses": [{"title": "None"}],
}
TABLE = {
    "population": "Nobody",
    "costs": {"badAccepted": 5, "goodRejected": 1},
    "realBadRate": 0.05,
}
COLUMNS: dict[str, dict[str, dict[str, object]]] = {
    "continuous": {
        "months_since_late": {
            "specialCodes": [{"value": -999, "label": "never was late"}],
            "constraints": {"required": True, "minimum": 0},
        }
    },
    "monthly": {},
    "messy": {"Beigetrieben": {"role": "afterOutcome"}},
}


def put(name: str, folder: Path, rows: int, seed: int = 0) -> np.ndarray:
    """Write a file and its contract; the true probability of good of each row, shape (rows,)."""
    folder.mkdir(parents=True, exist_ok=True)
    made = getattr(loanfiles, name)(rows, seed=seed)
    path = made.write(folder / "loans.csv")
    assert main(["contract", "draft", str(path), "--target", TARGETS[name]]) == 0
    answer(folder / "datapackage.json", name)
    return np.asarray(made.probability)


def answer(descriptor: Path, name: str) -> None:
    """Set what the questions ask for, and delete them."""
    package = json.loads(descriptor.read_text("utf-8")) | PACKAGE | {"name": name}
    resource = package["resources"][0]
    resource |= TABLE
    for entry in [resource, *resource["schema"]["fields"]]:
        entry.pop("review", None)
        entry |= COLUMNS[name].get(entry["name"], {})
    descriptor.write_text(json.dumps(package), "utf-8")


def field(type: str, **more: object) -> Field:
    """A field of which only what matters is stated."""
    return Field(
        **{
            "name": "x",
            "title": "x",
            "description": "",
            "type": type,
            "unit": "",
            "scale": "linear",
            "required": False,
            "levels": None,
            "ordered": False,
            "minimum": None,
            "maximum": None,
            **({"levels": (False, True)} if type == "boolean" else {}),
            **more,
        }
    )
