"""Raw files that nobody means to give, through each command that reads one.

Each has to be refused with a sentence and a remedy, in 2 s of processor and 500 MB beyond what the
same command takes for a file that is refused at its first line: that is what imports take.
"""

import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from chain import copy_project
from published import publish

from attack.results import HUNG, Fault
from attack.small_chain import ROOT

DATA = ROOT / "data" / "raw"
CONTENT = (DATA / "german_credit_data.csv").read_bytes()
HEADER, FIRST = CONTENT.splitlines(keepends=True)[:2]
NAMES = HEADER.decode().strip().split(",")
MOST_SECONDS, MOST_MB = 2.0, 500.0
LOOKS = 0.02  # seconds between two at the memory
MB = 2**20
#: Without these rights root reads no more than its owner may, like anybody else.
RIGHTS = "-dac_override,-dac_read_search"
WITHOUT_RIGHTS = ["setpriv", "--bounding-set", RIGHTS, "--inh-caps", RIGHTS]


def pieces(*content: bytes, packed: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with gzip.open(path, "wb", 1) if packed else path.open("wb") as file:
            for piece in content:
                file.write(piece)

    return write


def table(columns: Callable[[str], pa.Array], names: list[str] = NAMES, **how: object):
    def write(path: Path) -> None:
        pq.write_table(pa.table([columns(name) for name in names], names), path, **how)

    return write


def repeated(rows: int) -> Callable[[str], pa.Array]:
    """One long text in each row, which Parquet stores once."""
    texts = pa.array(["x" * MB])
    return lambda name: pa.DictionaryArray.from_arrays(
        pa.nulls(rows, pa.int8()).fill_null(0), texts
    )


def nothing(rows: int) -> Callable[[str], pa.Array]:
    return lambda name: pa.nulls(rows, pa.int8())


def flipped(path: Path) -> None:
    """A Parquet file in whose footer and pages some bits are others."""
    table(lambda name: pa.array([1] * 1_000), write_page_checksum=True)(path)
    luck, content = random.Random(7), bytearray(path.read_bytes())
    for _ in range(9):
        content[luck.randrange(len(content) // 2, len(content) - 8)] ^= 1 << luck.randrange(8)
    path.write_bytes(content)


def many(path: Path) -> None:
    """Ten thousand files beside one another; the pattern is the file."""
    for number in range(10_000):
        path.with_name(f"part-{number:05}.csv").write_bytes(HEADER + FIRST)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def unreadable(path: Path) -> None:
    path.write_bytes(CONTENT)
    path.chmod(0)


#: A name and what it holds. The first is refused at its first line: what that takes, imports take.
FILES: dict[str, Callable[[Path], object]] = {
    "first line.csv": pieces(b"a,b\n1,2\n"),
    "pipe.csv": os.mkfifo,
    "zero.csv": lambda path: path.symlink_to("/dev/zero"),
    "folder.csv": os.mkdir,
    "circle.csv": loop,
    "no permission.csv": unreadable,
    "200,000 columns.csv": pieces(b",".join(b"c%d" % n for n in range(200_000)), b"\n"),
    "200,000 columns.parquet": table(nothing(1), [f"c{n}" for n in range(200_000)]),
    "2 million rows.csv": pieces(HEADER, *[FIRST * 10_000] * 200),
    "2 million rows.parquet": table(nothing(2_000_000)),
    "nested.parquet": table(lambda name: pa.array([[1]])),
    "flipped.parquet": flipped,
    "100 MB line.csv": pieces(HEADER, *[b"x" * MB] * 100),
    "gzip bomb.csv.gz": pieces(HEADER, *[bytes(MB)] * 4_000, packed=True),
    "gzip of lines.csv.gz": pieces(HEADER, *[FIRST * 20_000] * 1_000, packed=True),
    "bomb.parquet": table(repeated(100_000)),
    "part-*.csv": many,
    "NUL\0.csv": lambda path: None,
}
#: How a remedy begins.
REMEDY = re.compile(
    "Remedy:|; (put|give|name|mend|correct|join|write)|does not exist|holds no file"
)
COMMANDS = ("check", "draft", "run_all", "score")
#: What no command line can hold, and what a portfolio may well be.
NOT_TRIED = {
    *(("NUL\0.csv", command) for command in ("check", "draft", "score")),
    *((f"2 million rows.{kind}", "score") for kind in ("csv", "parquet")),
    ("gzip of lines.csv.gz", "score"),
    ("bomb.parquet", "score"),  # its rows are rejected one by one
}
TRIES = [
    (name, command) for name in FILES for command in COMMANDS if (name, command) not in NOT_TRIED
]


class Fed:
    """A checkout with a small model, and one raw file after the other."""

    def __init__(self, folder: Path, patience: float):
        self.folder, self.patience = folder, patience
        self.project = copy_project(folder / "project")
        self.models = publish(folder / "models", "Logistic Regression", 1)
        self.imports: dict[str, tuple[float, float]] = {}

    @classmethod
    @contextmanager
    def place(cls, patience: float) -> Iterator["Fed"]:
        with tempfile.TemporaryDirectory() as folder:
            yield cls(Path(folder), patience)

    def fault(self, number: int) -> Fault:
        name, command = TRIES[number]
        if command not in self.imports:
            self.imports[command] = self.tried(next(iter(FILES)), command)[-2:]
        code, said, wall, seconds, memory = self.tried(name, command)
        more = [has - takes for has, takes in zip((seconds, memory), self.imports[command])]
        wrong = [] if code in (1, 2) else [f"exit code {code}" if code is not None else HUNG]
        if "Traceback (most recent" in said:
            wrong.append("a traceback")
        if not REMEDY.search(said):
            wrong.append("no remedy")
        if more[0] > MOST_SECONDS:
            wrong.append(f"{more[0]:.1f} s beyond imports")
        if memory > MOST_MB and more[1] > 0 and command != "run_all" or more[1] > MOST_MB:
            wrong.append(f"{memory:.0f} MB")
        note = f"{seconds:.1f} s of processor, {memory:.0f} MB; beyond imports {more[0]:.1f} s"
        words = " ".join(said.split())[:150]
        if wrong:
            wrong.append(f"it said: {said[-3_000:]}")
        what = f"{name!a} {command}"
        return Fault(what, code, wall, wrong, note=f"{note}, {more[1]:.0f} MB: {words}")

    def tried(self, name: str, command: str) -> tuple[int | None, str, float, float, float]:
        """Exit code, what is said, and seconds, seconds of processor and MB of all processes."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        FILES[name](data / name)
        package = json.loads((DATA / "datapackage.json").read_text())
        package["name"] = "attacked"
        [described] = package["resources"]
        described.pop("hash"), described.pop("rows")
        (data / "datapackage.json").write_text(
            json.dumps(package | {"resources": [described | {"path": name}]})
        )
        try:
            return measured(self.command(command, data / name), self.project, self.patience)
        finally:
            shutil.rmtree(self.folder / "out", ignore_errors=True)

    def command(self, name: str, file: Path) -> list[str]:
        creditrisk = [sys.executable, "-m", "creditrisk.cli"]
        match name:
            case "check":
                return [*creditrisk, "contract", "check", str(file)]
            case "draft":
                out = str(self.folder / "out")
                return [
                    *creditrisk,
                    "contract",
                    "draft",
                    str(file),
                    "--target",
                    "Risk",
                    "--out",
                    out,
                ]
            case "score":
                out, models = str(self.folder / "out"), str(self.models)
                return [*creditrisk, "score", str(file), out, "--models", models, "--workers", "1"]
        return [sys.executable, "run_all.py", "--quiet", "--data", str(file.parent)]


def measured(
    command: list[str], folder: Path, patience: float
) -> tuple[int | None, str, float, float, float]:
    """Run a command as somebody without special rights; see `Fed.tried`."""
    environment = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
    environment["PYTHONPATH"] = str(folder)
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        child = subprocess.Popen(
            command if os.geteuid() else [*WITHOUT_RIGHTS, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        peak, hung = 0.0, False
        while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
            peak = max(peak, memory_of_family(child.pid))
            if not hung and time.monotonic() - began > patience:
                hung = True
                child.kill()
            time.sleep(LOOKS)
        _, status, usage = ended
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        output.seek(0)
        said = output.read().decode(errors="replace")
    seconds = usage.ru_utime + usage.ru_stime
    return None if hung else child.returncode, said, wall, seconds, peak


def memory_of_family(pid: int) -> float:
    """MB of memory of a process and all below it, what forks share counted once."""
    total = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss / 1e6
    with suppress(OSError):  # between two looks it may have had more
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peaks = [int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM")]
        return max([total, *peaks])  # of one that has just ended there is none
    return total
