"""Alter a saved model in a thousand ways, and open each by every way that there is.

    uv run --group dev python benchmarks/altered_models.py              # 1,000 models
    uv run --group dev python benchmarks/altered_models.py --models 100

A folder and a registered version are altered: bytes of any file, numbers and tree nodes in the
skops file with right checksums, calls of other functions in it, the manifest, and MLmodel with a
loader that runs code; then once more with all hashes written anew, the registry's too, against
servers that have a key. Opened by the loader of folders and of the registry, a server's start and
reload, the model in its shadow, the command of the server that is installed alone, a portfolio's
worker, a replay, the notebooks and MLflow's loader module. None may run code, none may be scored,
and the process has to live to the end.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "tests" / "alteredmodels.py"


def main() -> int:
    arguments = sys.argv[1:] or ["--models", "1000"]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        ended = subprocess.run([sys.executable, str(PROGRAM), place, *arguments], check=False)
    print(f"exit code {ended.returncode} after {time.perf_counter() - began:.0f} s")
    return abs(ended.returncode)


if __name__ == "__main__":
    sys.exit(main())
