"""Cells that show, print and raise more than anybody reads, or never end."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import toy

from attack.results import HUNG, Fault
from attack.small_chain import Started, start

SECONDS_LATE = 2  # that a cell may end after its time is up
SECONDS_TO_INTERRUPT = 5
LOOKS = 0.02
MOST_MB = 33  # of a notebook or page
NOISE = ("Task ", "asyncio", "Exception ignored", "Traceback (most recent")

# What a cell does, and the options of the run.
INTERRUPT = ["interrupted"]  # none, but a signal once the cell has begun
SHOW = "from IPython.display import HTML, display\n"
FOR_EVER = ["--cell-timeout", "10"]
OUTPUTS = {
    "33 MB of HTML": (f"{SHOW}display(HTML('<p>some row</p>' * 2_200_000))", []),
    "100 MB of text": ("print('a line of text\\n' * 6_250_000)", []),
    "a table of 6 MB": (f"{SHOW}display(HTML('<table>' + '<tr><td>1</td></tr>' * 300_000))", []),
    "an error of 5 MB": ("raise ValueError('v' * 5_000_000)", []),
    "prints 9 kB for ever": ("while True: print('for ever ' * 1000)", FOR_EVER),
    "prints x for ever": ("while True: print('x')", FOR_EVER),
    "prints on standard error": ("import sys\nwhile True: print('x', file=sys.stderr)", FOR_EVER),
    "prints strings of 1 MB": ("text = 'a' * 1_000_000\nwhile True: print(text)", FOR_EVER),
    "displays for ever": (f"{SHOW}while True: display(HTML('x'))", FOR_EVER),
    "a process that prints": ("import os; os.system('yes')", FOR_EVER),
    "keeps Python's lock": ("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')", FOR_EVER),
    "ignores interrupts": (
        """
        import time
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass
        """,
        FOR_EVER,
    ),
    "flushes for ever": ("while True: print('x', flush=True)", FOR_EVER),
    "prints x until Ctrl-C": ("while True: print('x')", INTERRUPT),
    "stops itself": ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", FOR_EVER),
}


class Shown:
    """A chain of one notebook with one cell."""

    def __init__(self, patience: float):
        self.patience = patience

    @classmethod
    @contextmanager
    def place(cls, patience: float) -> Iterator["Shown"]:
        yield cls(patience)

    def fault(self, number: int) -> Fault:
        name, (cell, arguments) = list(OUTPUTS.items())[number]
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "project"
            toy.write_notebook(root / "notebooks/1_look.ipynb", "seed: int = 0", cell)
            limited = arguments is FOR_EVER
            started = start(root, 0, *(arguments if limited else []), chain="look")
            if arguments is INTERRUPT:
                asked = interrupt(started)
            ended = started.ended(2 * self.patience)
            after = time.monotonic() - asked if arguments is INTERRUPT else 0.0
            sizes = {
                path.suffix: path.stat().st_size / 1e6
                for path in root.glob("experiments/runs/*/1_look.*")
            }
        seconds = seconds_of_last_cell(ended.out)
        wrong = [] if ended.code is not None else [HUNG]
        if arguments is INTERRUPT and (ended.code != 130 or after > SECONDS_TO_INTERRUPT):
            wrong.append(f"exit code {ended.code} {after:.1f} s after the interrupt")
        if limited and seconds > int(arguments[1]) + SECONDS_LATE:
            wrong.append(f"ended {seconds - int(arguments[1]):.1f} s after its time was up")
        if max(sizes.values(), default=0) > MOST_MB:
            wrong.append("a file is too large")
        if wrong or any(word in ended.errors.replace("ValueError", "") for word in NOISE):
            wrong.append(f"it said: {ended.errors[-5_000:]}")
        page, notebook = sizes.get(".html", 0.0), sizes.get(".ipynb", 0.0)
        note = f"{after:.1f} s after the interrupt, " if after else ""
        note += f"cell {seconds:.1f} s, notebook {notebook:.1f} MB, page {page:.1f} MB"
        return Fault(name, ended.code, ended.seconds, wrong, note=note)


def interrupt(started: Started) -> float:
    """Send what Ctrl-C sends once the second cell has begun; when that was."""
    while started.process.poll() is None:
        printed = os.pread(started.out.fileno(), 100_000, 0)
        if printed.count(b'"cell started"') == 2:
            break
        time.sleep(LOOKS)
    time.sleep(1)  # for it to print
    started.process.send_signal(signal.SIGINT)
    return time.monotonic()


def seconds_of_last_cell(events: str) -> float:
    """From the start of the last cell to the end of its notebook."""
    recorded = [json.loads(line) for line in events.splitlines()]
    times = {event["event"]: event["time"] for event in recorded}  # the last of each kind
    return times.get("stage ended", 0.0) - times.get("cell started", 0.0)
