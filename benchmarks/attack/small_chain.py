"""The small chains that are attacked, and how one is run as a program of its own.

python benchmarks/attack/small_chain.py FOLDER CHAIN [arguments of the runner]
"""

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

BENCHMARKS = Path(__file__).resolve().parent.parent
ROOT = BENCHMARKS.parent
for place in ROOT, ROOT / "tests", BENCHMARKS:
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

import toy

from papermill_chain.chain.stages import External, Stage
from papermill_chain.cli import main

SPLIT = {"train": "data/train.txt", "test": "data/test.txt"}
MODEL = {"model": "models/model.txt", "card": "models/card.txt", "manifest": "models/manifest.txt"}
WHOLE = [
    Stage("1_look"),
    Stage("2_split", writes=SPLIT),
    Stage(
        "3_model",
        reads={"train": SPLIT["train"]},
        writes=MODEL,
        external=External(release=toy.close_registry),
    ),
    Stage(
        "4_judge",
        reads={"model": MODEL["model"], "test": SPLIT["test"]},
        writes={"verdict": "models/verdict.txt"},
    ),
]
#: By name: all of it, its first notebook alone, and the first two, which do not take long.
CHAINS = {"whole": WHOLE, "look": WHOLE[:1], "light": WHOLE[:2]}
#: Files that are published together.
SETS = {"whole": [[*SPLIT.values()], [*MODEL.values()], ["models/verdict.txt"]]}
SETS["light"] = SETS["whole"][:1]
WAIT = "import time\ntime.sleep(0.2)"
NOTEBOOKS = {
    "1_look": ["seed: int = 0", WAIT, WAIT, WAIT],
    "2_split": [
        'seed: int = 0\ntrain: str = "../a"\ntest: str = "../b"',
        WAIT,
        "for path in train, test:\n    open(path, 'w').write(str(seed))\n    time.sleep(0.1)",
    ],
    "3_model": [
        'train: str = "../a"\nmodel: str = "../b"\ncard: str = "../c"\nmanifest: str = "../d"',
        """
        import os, pathlib, subprocess, time
        from joblib import Parallel, delayed
        open_run = pathlib.Path(os.environ["TOY_REGISTRY"]) / f"{os.environ['CHAIN_RUN_ID']} open"
        open_run.touch()
        """,
        "daemon = subprocess.Popen(['sleep', '600'], start_new_session=True)",
        "Parallel(2)(delayed(time.sleep)(0.2) for _ in range(4));",
        """
        for path in model, card, manifest:
            pathlib.Path(path).write_text(pathlib.Path(train).read_text())
            time.sleep(0.05)
        """,
        "open_run.unlink()\ndaemon.kill()",
    ],
    "4_judge": [
        'model: str = "../a"\ntest: str = "../b"\nverdict: str = "../c"',
        WAIT,
        "open(verdict, 'w').write(open(model).read())",
    ],
}

SECONDS_FOR_STACKS = 1.0


@dataclass
class Ended:
    """How a run ended; `code` is None if it had to be ended."""

    code: int | None
    out: str
    errors: str
    seconds: float


@dataclass
class Started:
    """A run that goes on, in a process group of its own, with files for what it prints."""

    command: list[str]
    folder: Path | None = None
    environment: dict[str, str] | None = None
    began: float = field(default_factory=time.monotonic)
    out: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    errors: IO[bytes] = field(default_factory=tempfile.TemporaryFile)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.out,
            stderr=self.errors,
            start_new_session=True,
        )

    def ended(self, patience: float) -> Ended:
        """Wait for its end; one that has none within `patience` seconds shows its stacks first."""
        code: int | None = None
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            if str(Path(__file__)) in self.command:  # others would end by the signal
                self.process.send_signal(signal.SIGUSR1)
                time.sleep(SECONDS_FOR_STACKS)
            self.process.kill()
            self.process.wait()
        return Ended(code, text(self.out), text(self.errors), time.monotonic() - self.began)


def text(file: IO[bytes]) -> str:
    """All that was printed to a file, which is closed."""
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def start(root: Path, seed: int, *arguments: str, chain: str = "whole") -> Started:
    """Start a chain as a program of its own."""
    return Started([sys.executable, __file__, str(root), *request(seed, chain, *arguments)])


def request(seed: int, chain: str, *arguments: str) -> list[str]:
    """The name of a chain, and the arguments of its runner."""
    how = "--json" if chain == "look" else "--quiet"
    return [chain, "--set", f"seed={seed}", how, *arguments]


def run(root: Path, chain: str, arguments: list[str]) -> int:
    """Run a chain in this process; SIGUSR1 has it print what each thread is at."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.environ["TOY_REGISTRY"] = str(toy.registry_of(root))
    return main(CHAINS[chain], root, "Toy", argv=arguments)


def make(root: Path, chain: str = "whole") -> float:
    """Write a chain's notebooks, and run it undisturbed; the seconds that took."""
    for name, cells in NOTEBOOKS.items():
        toy.write_notebook(root / "notebooks" / f"{name}.ipynb", *cells)
    toy.registry_of(root).mkdir()
    ended = start(root, 0, chain=chain).ended(600)
    if ended.code:
        sys.exit(f"the chain does not even run undisturbed:\n{ended.errors}")
    return ended.seconds


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
