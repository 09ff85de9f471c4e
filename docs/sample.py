"""A sample run to read before anything is installed: the reports of one run in docs/sample.

    uv run python docs/sample.py

runs the chain with its defaults in a copy of the project, which takes a minute, and puts the index
and the pages of that run into ``docs/sample``. What it found follows from data, code and seed; the
run's id and its times are those of the day.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample"
LARGEST = 2_500_000  # bytes of all pages together: they are kept in git


def files_in_git() -> list[str]:
    """The files of the project as they are now, without what a run makes."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def run_copy(project: Path) -> None:
    """Run the chain in a copy of the project, with a registry of its own."""
    for name in files_in_git():
        if not name.startswith(("docs/", "tests/", "benchmarks/")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    ours["PYTHONPATH"] = str(project)
    ran = subprocess.run(
        [sys.executable, "run_all.py", "--quiet"], check=False, cwd=project, env=ours
    )
    if ran.returncode:
        sys.exit(f"the chain failed with exit code {ran.returncode}; docs/sample is as it was")


def pages_of(experiments: Path) -> list[Path]:
    """The index and the pages of the run, as far as they may be shown to anybody."""
    pages = [experiments / "index.html", *sorted(experiments.glob("runs/*/*.html"))]
    private = {str(experiments.parent), str(ROOT), str(Path.home())} - {"/"}
    for page in pages:
        text = page.read_text("utf-8")
        if shown := [path for path in private if path in text]:
            sys.exit(f"{page.name} names {shown[0]}; a sample holds no path of this machine")
    size = sum(page.stat().st_size for page in pages)
    if size > LARGEST:
        sys.exit(f"the pages have {size:,} bytes together; at most {LARGEST:,} are kept in git")
    return pages


def main() -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "project"
        run_copy(project)
        experiments = project / "experiments"
        made = Path(folder) / "sample"
        for page in pages_of(experiments):
            place = made / page.relative_to(experiments)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page, place)
        shutil.rmtree(SAMPLE, ignore_errors=True)
        shutil.copytree(made, SAMPLE)
    for page in sorted(SAMPLE.rglob("*.html")):
        print(f"{page.relative_to(ROOT)}: {page.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
