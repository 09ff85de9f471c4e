"""What became of each fault, in a file that a run which was cut off can go on with."""

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

HUNG = "it did not end"
LONGEST_SHOWN = 80  # characters of a fault that was borne


@dataclass
class Fault:
    """A fault that was tried."""

    what: str  # what was done, and when
    code: int | None  # of the run that it befell; None if that had to be ended
    seconds: float  # from the start of that run to its end
    wrong: list[str] = field(default_factory=list)  # what is not as it has to be, with what it said
    repaired: bool = False  # by a plain rerun, where there was one
    note: str = ""  # figures of it

    @property
    def outcome(self) -> str:
        """In words, for a line of its own."""
        if not self.wrong:
            return f"well, exit code {self.code}"
        return "; ".join(self.wrong)


class Place(Protocol):
    """Where one fault after the other is tried."""

    def fault(self, number: int) -> Fault: ...


class Results:
    """A file with a line for each fault; `head` says of which code and seed they are."""

    def __init__(self, path: Path, head: dict[str, object], anew: bool):
        self.path, self.writing, self.stopped = path, threading.Lock(), threading.Event()
        self.parts: dict[str, dict[int, Fault]] = {}
        if anew or not path.exists():
            path.write_text(json.dumps(head) + "\n")
        with path.open() as lines:
            if json.loads(next(lines)) != head:
                raise SystemExit(f"{path} is of other code or another seed; --anew begins anew")
            for line in lines:
                part, number, recorded = json.loads(line)
                self.parts.setdefault(part, {})[number] = Fault(**recorded)

    def add(self, part: str, number: int, fault: Fault, more: str) -> None:
        with self.writing:
            self.parts.setdefault(part, {})[number] = fault
            with self.path.open("a") as file:
                file.write(json.dumps([part, number, asdict(fault)]) + "\n")
            what = fault.what if fault.wrong else fault.what[:LONGEST_SHOWN]
            print(f"{part} {more}  {what}: {fault.outcome}  {fault.note}", flush=True)

    def fill(
        self,
        part: str,
        numbers: Iterable[int],
        jobs: int,
        place: Callable[[], AbstractContextManager[Place]],
    ) -> None:
        """Try the faults of a part that are not there yet, in as many places as there are jobs."""
        wanted = list(numbers)
        known = self.parts.setdefault(part, {})
        left = iter([number for number in wanted if number not in known])
        taking = threading.Lock()

        def lane() -> None:
            with place() as here:
                while not self.stopped.is_set():
                    with taking:
                        number = next(left, None)
                    if number is None:
                        return
                    fault = here.fault(number)
                    self.add(part, number, fault, f"{len(known) + 1}/{len(wanted)}")

        if len(known) < len(wanted):
            with ThreadPoolExecutor(jobs) as pool:
                lanes = [pool.submit(lane) for _ in range(jobs)]
                try:
                    for each in lanes:
                        each.result()
                finally:
                    self.stopped.set()
            self.stopped.clear()

    def print_table(self) -> int:
        """One line for each part; how many faults did not end well."""
        names = ["faults", "hung", "survived", "repaired", "bad"]
        width = max(map(len, self.parts), default=0)
        print(f"\n{'':{width}}" + "".join(f"{name:>10}" for name in names) + "  longest")
        for part, by_number in self.parts.items():
            faults = list(by_number.values())
            figures = [
                len(faults),
                sum(fault.code is None for fault in faults),
                sum(fault.code == 0 for fault in faults),
                sum(fault.repaired for fault in faults),
                sum(bool(fault.wrong) for fault in faults),
            ]
            longest = max((fault.seconds for fault in faults), default=0)
            print(f"{part:{width}}" + "".join(f"{n:>10}" for n in figures) + f"{longest:7.1f} s")
        return sum(bool(fault.wrong) for part in self.parts.values() for fault in part.values())
