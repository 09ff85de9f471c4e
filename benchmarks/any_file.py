"""The chain on other loan files: how long each stage takes, and how near the best it comes.

    python benchmarks/any_file.py                    the made-up files with 20,000 rows each
    python benchmarks/any_file.py --rows 1000 10000 100000 --files continuous

Each file is made with a known probability of good, drafted by `creditrisk contract draft`, its
questions answered, and run by `run_all.py --data` in a copy of the checkout with default settings.
The champion's ROC-AUC on the test set stands beside that of the true probabilities on the same
applicants, which nobody can beat but by luck; and beside that of the truth without its drift over
time, which is all that applications of earlier months can teach. The processor seconds are those of
all processes: on a machine that others use they are what can be compared.
"""

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]


def main() -> None:
    """Run the chain on each file with each number of rows, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", nargs="+", default=["continuous", "monthly", "messy"])
    parser.add_argument("--rows", nargs="+", type=int, default=[20_000])
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    heads = ["file", "rows", "whole", "processor", "01", "02", "03", "04", "05", "06", "MB"]
    heads += ["champion", "AUC", "best", "without drift"]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for name in asked.files:
        seconds = []
        for rows in asked.rows:
            with tempfile.TemporaryDirectory() as folder:
                seconds.append(run(Path(folder), name, rows, asked.seed))
        if len(seconds) > 1:
            both = np.log(asked.rows), np.log(seconds)
            steps = np.diff(both[1]) / np.diff(both[0])
            shown = ", ".join(f"{step:.2f}" for step in steps)
            print(f"exponents of {name}, processor seconds: {shown}")


def run(place: Path, name: str, rows: int, seed: int) -> float:
    """Run the chain on one file; print its row of the table and return its processor seconds."""
    import describedloans
    import loanfiles
    from chain import copy_project

    from creditrisk.data.descriptor import read_contract
    from creditrisk.data.encoding import target
    from creditrisk.data.raw_files.reading import read_raw
    from creditrisk.data.splitting import split_rows

    data, project = place / name, copy_project(place / "project")
    with contextlib.redirect_stdout(io.StringIO()):
        true = describedloans.put(name, data, rows, seed)
    before = processor_seconds()
    subprocess.run(
        [sys.executable, "run_all.py", "--quiet", "--data", str(data)], cwd=project, check=True
    )
    spent = processor_seconds() - before
    contract = read_contract(data / "datapackage.json")
    raw = read_raw(data / "datapackage.json", contract)
    _, test = split_rows(raw, target(raw, contract), contract, 0.2, seed=7)
    outcome, rows_of_file = target(raw, contract).iloc[test], raw.index.to_numpy()[test]
    best = roc_auc_score(outcome, true[rows_of_file])
    undated = getattr(loanfiles, name)(rows, seed=seed).undated
    without_drift = roc_auc_score(outcome, undated[rows_of_file])
    [folder] = (project / "experiments" / name / "runs").iterdir()
    run = json.loads((folder / "manifest.json").read_text("utf-8"))
    validation = json.loads((project / "experiments" / name / "validation.json").read_text("utf-8"))
    champion = json.loads((project / "experiments" / name / "champion.json").read_text("utf-8"))
    peak = max(cell["peak_mb"] or 0 for stage in run["stages"] for cell in stage["cells"])
    stages = [f"{stage['seconds']:.0f}" for stage in run["stages"][:6]]
    auc = validation["test"]["roc_auc"]
    cells = [name, f"{rows:,}", f"{run['seconds']:.0f} s", f"{spent:.0f} s", *stages]
    cells += [f"{peak:,.0f}", champion["model"], f"{auc:.3f}", f"{best:.3f}"]
    print(f"| {' | '.join([*cells, f'{without_drift:.3f}'])} |", flush=True)
    return spent


def processor_seconds() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
