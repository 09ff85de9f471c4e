"""Altered models through every way that opens one: none may run code, and none may be scored.

    python tests/alteredmodels.py PLACE [--models N] [--seed N] [--store FILE]

works in the empty folder PLACE and prints a table. It is a program of its own because a model that
crashes the process would otherwise take the tests with it. What an altered model would run makes a
file; that it does so where nothing is verified is tried first, and last that all ways take the
unaltered model.
"""

import argparse
import json
import logging
import os
import pickle
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

import mlflow
import pandas as pd
import skops.io
from alterations import MANIFEST, Altering, Files, key
from leanserver import Commands
from modelways import NAME, Ways, fresh
from published import CONTRACT, ONE, TWO, put, trained
from sklearn.ensemble import RandomForestClassifier

from creditrisk.registry import mlflow_store
from creditrisk.scoring.scorer import ModelRefused
from creditrisk.scoring.sources import mlflow_files
from creditrisk.scoring.sources.loading import load_scorer
from creditrisk.scoring.sources.model_manifest import KEY

URI = f"models:/{NAME}/1"
SECRET = "only training and servers have it"

#: Whether whoever altered the files wrote their hashes anew, and whether the servers have a key.
PLAIN, KEYED, NO_KEY = "as they were", "anew, key", "anew, no key"
BYTES = ("bit", "short", "overwritten", "pickled", "field", "seal_removed")
SKOPS = ("numbers", "nodes", "calls")  # with right checksums in its zip
LOADERS = ("cloudpickle", "sklearn_pickle", "shadowed")
# With no key and hashes that fit, a model of the project's own types is a model like any other.
# What is refused all the same is what would run code.
PLANS = [
    *(("folder", each, PLAIN) for each in (*BYTES, *SKOPS)),
    *(("folder", each, KEYED) for each in ("pickled", *SKOPS)),
    ("folder", "calls", NO_KEY),
    *(("registry", each, PLAIN) for each in (*BYTES, *SKOPS, *LOADERS)),
    *(("registry", each, KEYED) for each in (*SKOPS, *LOADERS)),
    *(("registry", each, NO_KEY) for each in ("calls", "cloudpickle", "sklearn_pickle")),
]


class Original:
    """A small forest in a folder and in a registry, signed."""

    def __init__(self, place: Path, empty: Path | None):
        self.place, self.canary = place, place / "canary"
        self.pipeline = trained(RandomForestClassifier(8, random_state=7))
        store = place / "registry" / "mlflow.db"
        store.parent.mkdir(parents=True)
        if empty:
            shutil.copy(empty, store)
        with key(SECRET):
            models = put(place / "models", self.pipeline, 1)
            self.client = mlflow_store.connect(store)
            with mlflow.start_run():
                sha256 = json.loads((models / MANIFEST).read_text())["model_sha256"]
                self.version = mlflow_store.register(
                    self.client,
                    self.pipeline,
                    CONTRACT,
                    pd.DataFrame([ONE, TWO]),
                    "",
                    {"model_sha256": sha256},
                    TWO,
                )
        self.artifacts = next(store.parent.glob("mlartifacts/models/*/artifacts"))
        self.files = {
            "folder": mlflow_files.files_in(models),
            "registry": mlflow_files.files_in(self.artifacts),
        }
        self.scorer = load_scorer(models)

    def tag(self, sha256: str) -> None:
        """Have the registry say that this is the hash of the version's files."""
        self.client.set_model_version_tag(self.version.name, "1", "artifact_sha256", sha256)


def the_traps_work(altering: Altering, original: Original) -> None:
    """Opened without a check, each of them makes the file."""
    trusted = skops.io.get_untrusted_types(data=altering.hostile)
    files = altering.cloudpickle(original.files["registry"])
    registered = write(original.place / "trapped", files)
    for opened in (
        lambda: pickle.loads(altering.trap),
        lambda: skops.io.loads(altering.hostile, trusted=trusted).predict(pd.DataFrame([ONE])),
        lambda: mlflow.pyfunc.load_model(str(registered)),
    ):
        with suppress(Exception):  # it has made its file before
            opened()
        assert original.canary.exists(), opened
        original.canary.unlink()


def outcomes(
    original: Original, ways: Ways, altering: Altering, plan: tuple[str, str, str], number: int
) -> Iterator[tuple[str, str]]:
    """What became of one altered model: each way's name, and its outcome."""
    where, kind, hashes = plan
    before = original.files[where]
    files = getattr(altering, kind)(before)
    files = files if hashes == PLAIN else altering.resealed(files)
    if where == "folder":
        model = str(write(original.place / f"altered {number}", files))
    else:
        model = URI
        write(original.artifacts, files)
        if hashes != PLAIN:
            original.tag(mlflow_files.sha256_of(files))
    with key(SECRET if hashes == KEYED else None):
        for way in ways.of(where):
            outcome = _outcome(way, model, original.canary)
            yield way.__name__, "same" if outcome == "SCORED" and same(files, before) else outcome
    if where == "folder":
        shutil.rmtree(model)
    elif hashes != PLAIN:
        original.tag(original.version.tags["artifact_sha256"])


def _outcome(way: Callable[[str], None], model: str, canary: Path) -> str:
    try:
        way(model)
        outcome = "SCORED"
    except ModelRefused:
        outcome = "refused"
    except Exception as error:  # noqa: BLE001  # not in words
        outcome = f"RAISED {type(error).__name__}: {error}"
    if canary.exists():
        canary.unlink()
        return "EXECUTED"
    return outcome


def the_unaltered_is_taken(original: Original, ways: Ways) -> None:
    models = {"folder": str(write(original.place / "whole", original.files["folder"]))}
    write(original.artifacts, original.files["registry"])
    with key(SECRET):
        for where in ("folder", "registry"):
            for way in ways.of(where):
                way(models.get(where, URI))


def same(files: Files, original: Files) -> bool:
    """Whether only the manifest's layout differs, and not what it says."""
    if {**files, MANIFEST: b""} != {**original, MANIFEST: b""}:
        return False
    try:
        return json.loads(files[MANIFEST]) == json.loads(original[MANIFEST])
    except ValueError:
        return False


def write(folder: Path, files: Files) -> Path:
    fresh(folder)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", type=Path)
    parser.add_argument("--models", type=int, default=150)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", type=Path, help="an empty one; by default it is made")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", KEY):
        os.environ.pop(name, None)
    original = Original(chosen.place.resolve(), chosen.store)
    altering = Altering(original.canary, original.pipeline, random.Random(chosen.seed))
    the_traps_work(altering, original)
    counts: Counter[tuple[str, ...]] = Counter()
    with Commands() as lean:
        ways = Ways(original.place, original.artifacts, original.scorer, lean)
        for number in range(chosen.models):
            plan = PLANS[number % len(PLANS)]
            for way, outcome in outcomes(original, ways, altering, plan, number):
                counts[*plan, outcome] += 1
                if outcome not in ("refused", "same"):
                    print(number, *plan, way, outcome, flush=True)
        the_unaltered_is_taken(original, ways)
    print("| where | altered | hashes | outcome | openings |\n|---|---|---|---|---|")
    for row, count in sorted(counts.items()):
        print(f"| {' | '.join(row)} | {count} |")
    good = counts.total() - sum(n for row, n in counts.items() if row[-1] in ("refused", "same"))
    print(f"{chosen.models} altered models, {counts.total()} openings, {good} not refused")
    return 1 if good else 0


if __name__ == "__main__":
    sys.exit(main())
