"""``creditrisk`` where nothing is installed but the server: what else there is cannot be imported.

    python tests/leanserver.py ABSENT ARGUMENTS...

runs one command as if the packages in the JSON list ABSENT were not installed. With no further
arguments it runs one command after another, read from standard input.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import redirect_stderr
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from io import StringIO
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
OURS = {"creditrisk", "page_style", "work_units"}


def lean_program() -> tuple[str, ...]:
    """How ``creditrisk`` is typed there."""
    lean = brought_along()
    absent = [
        package
        for package, providers in packages_distributions().items()
        if package not in OURS and not lean & set(map(normalized, providers))
    ]
    assert {"mlflow", "matplotlib", "rich", "IPython"} <= set(absent)
    return sys.executable, __file__, json.dumps(absent)


def brought_along() -> set[str]:
    """The distributions that installing ``packaging/credit-risk-serve`` brings, all normalized."""
    text = (ROOT / "packaging/credit-risk-serve/pyproject.toml").read_text("utf-8")
    found, left = set(), list(tomllib.loads(text)["project"]["dependencies"])
    while left:
        line = left.pop()
        name = normalized(re.match(r"[\w.-]+", line)[0])
        if name in found or "extra ==" in line:
            continue
        try:
            left += requires(name) or []
        except PackageNotFoundError:  # wanted on another system only
            continue
        found.add(name)
    return found


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Commands:
    """Commands that are run there one after another, by one process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            lean_program(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(self, *arguments: str, **environment: str | None) -> tuple[Any, str]:
        """A command's exit code, or the exception that escaped it; and what it says on stderr."""
        print(json.dumps([arguments, environment]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process has ended with {self.process.wait()}")
        code, said = json.loads(answer)
        return code, said


def main() -> int:
    absent = set(json.loads(sys.argv.pop(1)))

    class Absent:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.partition(".")[0] in absent:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Absent)
    sys.path.insert(0, str(ROOT))
    from creditrisk import cli

    if sys.argv[1:]:
        return cli.main()
    for line in sys.stdin:
        arguments, environment = json.loads(line)
        for name, value in environment.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})
        with redirect_stderr(StringIO()) as said:
            try:
                code: Any = cli.main(arguments)
            except Exception as error:  # noqa: BLE001  # the caller has the words for it
                code = repr(error)
        print(json.dumps([code, said.getvalue()]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
