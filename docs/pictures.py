"""The pictures of README and docs: index, decision lab and monitoring, as a browser shows them.

    uv run --group dev python docs/pictures.py

runs the chain in a copy of the project, then 07 on simulated decisions in which a level is recorded
as another from the thirteenth month on, and writes ``docs/index.png``, ``docs/decision_lab.png``
and ``docs/monitoring.png``. It needs Chromium or Chrome on the path.
"""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sample import run_copy

DOCS = Path(__file__).resolve().parent
SIZE = {"width": 1200, "height": 900}
LIMIT = 150_000  # bytes: a README should load at once
ALARM = 4  # the exit code of 07 for a change that asks for an act


def small(picture: bytes) -> bytes:
    """The same picture in as many colours as fit the limit; a page of text needs few."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32):
        packed = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(packed, "png", optimize=True)
        if packed.tell() < LIMIT:
            return packed.getvalue()
    sys.exit(f"a picture of {packed.tell()} bytes in {colours} colours is too large")


def take(browser: Browser, file: Path, name: str) -> None:
    """Write the first screen of a page as a picture."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(file.as_uri())
    bottom = page.evaluate("document.querySelector('main').getBoundingClientRect().bottom")
    height = min(SIZE["height"], bottom + 24)
    picture = small(page.screenshot(clip=SIZE | {"x": 0, "y": 0, "height": height}))
    (DOCS / name).write_bytes(picture)
    print(f"docs/{name}: {len(picture) / 1000:.0f} kB")


def watch_simulated(project: Path) -> None:
    """Judge two years of simulated decisions in a copy in which the chain has been run."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    ours["PYTHONPATH"] = str(project)
    simulate = ["-m", "creditrisk.cli", "simulate", "--shift", "recoded"]
    steps = [
        (0, [*simulate, "--out", "experiments/decisions"]),
        (ALARM, ["run_all.py", "--quiet", "--only", "07"]),
    ]
    for expected, step in steps:
        ran = subprocess.run([sys.executable, *step], check=False, cwd=project, env=ours)
        if ran.returncode != expected:
            sys.exit(f"{' '.join(step)} ended with {ran.returncode} and not with {expected}")


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        project = Path(folder).resolve() / "project"
        experiments = project / "experiments"
        run_copy(project)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        take(browser, experiments / "index.html", "index.png")
        take(browser, next(experiments.glob("runs/*/decision_lab.html")), "decision_lab.png")
        watch_simulated(project)
        take(browser, next(experiments.glob("runs/*/07_monitoring.html")), "monitoring.png")
        browser.close()


if __name__ == "__main__":
    main()
