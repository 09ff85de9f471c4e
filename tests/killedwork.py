"""Units of work one of which kills the program that asked for it; quick to import."""

import os
import signal
from pathlib import Path


def square(calls: Path, number: int, deadly: bool = False) -> int:
    """The square of a number; each call leaves a sign, and one may be the end of all."""
    with (calls / str(number)).open("a") as file:
        file.write("x")
    if deadly and not (calls / "killed").exists():
        (calls / "killed").touch()
        os.kill(os.getpid() if os.environ.get("ALONE") else os.getppid(), signal.SIGKILL)
    return number**2


def units(calls: Path) -> list[tuple]:
    """Six numbers to be squared; at the fifth the program that asked for it is killed."""
    return [(calls, number, number == 4) for number in range(6)]
