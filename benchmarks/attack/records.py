"""Damage to what the runner keeps for itself, which a plain run has to get over."""

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from damage import damage, remove

from attack.forked_runs import ForkedRuns
from attack.kills import wrong_after
from attack.results import Fault
from attack.small_chain import make, start

REAL = 50  # of as many runs, one is a program of its own
#: Below experiments/; the manifest and the picture are those of the newest run.
RECORDS = ["stages.json", ".publishing.json", ".lock", "index.html"]


class Damaged:
    """A small chain whose records are damaged again and again.

    Its stages run anew where the record of their success is gone, and are up to date where not.
    """

    def __init__(self, folder: Path, seed: int, patience: float):
        self.root, self.outside = folder / "project", folder / "outside"
        self.seed, self.patience = seed, patience
        make(self.root, "light")
        self.forked = ForkedRuns()

    @classmethod
    @contextmanager
    def place(cls, *how: object) -> Iterator["Damaged"]:
        with tempfile.TemporaryDirectory() as folder:
            here = cls(Path(folder), *how)
            try:
                yield here
            finally:
                here.forked.close()

    def fault(self, number: int) -> Fault:
        luck = random.Random(f"{self.seed} records {number}")
        self.outside.write_text("outside")
        newest = max((self.root / "experiments/runs").iterdir())
        places = [self.root / "experiments" / name for name in RECORDS]
        places += [newest / "manifest.json", self.root / "data/.train.txt.old"]
        what = damage(places[number % len(places)], luck, self.outside)
        if number % REAL:
            ended = self.forked.run(self.root, 0, self.patience, "light")
        else:
            ended = start(self.root, 0, chain="light").ended(self.patience)
        wrong = wrong_after(self.root, ended, {0}, {"0"}, self.patience, "light")
        if self.outside.read_text() != "outside":
            wrong.append(f"outside: {self.outside.read_text()!r}")
        for left in self.root.rglob("*.damaged-*"):
            remove(left)
        return Fault(what, ended.code, ended.seconds, wrong)
